"""The race of alarms: what simple forecasts would have raised, beside the detector, in one pass.

The errors of last value, season and EWMA (``tally.py``) become evidence as those of the
autoregressions do, log(1 + e^2 / v), the mean over the channels. Its averages over
fusion's spans and itself go through a tail of their own (``scoring/tail.py``) and an
alert layer of their own (``scoring/alert.py``) at the detector's ``false_alarms``.

The column of linear autoregression is the detector without its networks: its p-values,
which hear autoregressions, T2 and novelty of values alone, through one more alert layer,
which hears nothing else.

All are judged on the records on which the detector is. Two alerts are the same where at
some record both their events are open and have reached their alert levels.
"""

from __future__ import annotations

from math import isnan, nan

from streamrnn.kernels import plan, tally
from streamrnn.kernels.clock import observe_time, typical_step
from streamrnn.kernels.compiling import entry_point, inlined, kernel
from streamrnn.kernels.residuals import gap_inflation
from streamrnn.kernels.scalar import log, log1p
from streamrnn.kernels.tally import real, real_row, whole, whole_row
from streamrnn.kernels.vector import float64_at, int64_at, load, store
from streamrnn.scoring import alert, fusion, tail

SIMPLE = 3  # baselines that have evidence of their own: LAST_VALUE, SEASONAL, EWMA
SIDES = 1 + tally.N_BASELINES  # the detector, then all baselines
# int64 of one side against the detector: alerts of the detector that it has too; its own that are those
(BOTH, SHARED, AGREEMENT) = range(3)
# float64 of one baseline: averages over fusion's spans, how many they are of
(AVERAGES, SEEN, MEANS) = (0, len(fusion.SPANS), len(fusion.SPANS) + 1)
(USUAL, COUNT, MAGNITUDE, ERRORS) = range(4)  # float64 of one baseline on one channel
CLOCK = plan.STEP_SIZE  # of the clock: counters as int64, then this float64

_ERROR_GAIN = 0.001
_LARGEST_ERROR = 100.0  # times the usual square
_FLOOR = 1e-9  # of the largest magnitude
_LOG10 = 2.302585092994046
_ALERT = alert.state_size()
# flags of an event beside those of ``tally.py``: of a side's, that it is counted among SHARED;
# of the detector's, among BOTH of side k, shifted by k
_IS_SHARED, _IS_BOTH = 1 << 8, 1 << 9

# addresses and sizes of all series' numbers, each an array with a row for each series
(
    RACE_SERIES,  # that race: the first
    RACE_CHANNELS,  # of them: the first
    RACE_MODEL,  # a model's table, of which only clock, level and budget are set
    RACE_CLOCKS,  # int64 and float64 (CLOCK + 1)
    RACE_ERRORS,  # float64 (SIMPLE, channels, ERRORS)
    RACE_MEANS,  # float64 (SIMPLE, MEANS)
    RACE_TAILS,  # float64 (SIMPLE, tail.STATE)
    RACE_ALERTS,  # float64 (baselines, alert.state_size())
    RACE_EVENTS,  # int64 (baselines, alert.EVENT_STATE)
    RACE_COUNTERS,  # int64 (SIDES, tally.COUNTERS)
    RACE_AGREEMENT,  # int64 (baselines, AGREEMENT)
    RACE_SIZE,
) = range(12)


@kernel
def _evidence(race, columns, i, s, which, inflation):
    """Mean evidence of a baseline's errors over the channels; NaN where it has none. Learns their size."""
    channels, kept = load(int64_at(columns), tally.COLUMN_CHANNELS), load(int64_at(race), RACE_CHANNELS)
    total, present = 0.0, 0
    for d in range(kept):
        at = i * channels + d
        error = real(columns, tally.COLUMN_ERRORS, at * tally.N_BASELINES + which)
        if isnan(error):
            continue
        known = real_row(race, RACE_ERRORS, (s * SIMPLE + which) * kept + d, ERRORS)
        usual, count = load(known, USUAL), load(known, COUNT)
        magnitude = max(load(known, MAGNITUDE), abs(real(columns, tally.COLUMN_VALUES, at)))
        least = _FLOOR * magnitude
        squared, size = error * error, usual + least * least
        if count > 0.0 and size > 0.0:
            total += log1p(squared / size / inflation)
        if usual > 0.0:
            squared = min(squared, _LARGEST_ERROR * usual)
        store(known, USUAL, usual + max(_ERROR_GAIN, 1.0 / (count + 1.0)) * (squared - usual))
        store(known, COUNT, count + 1.0)
        store(known, MAGNITUDE, magnitude)
        present += 1
    return total / present if present else nan


@kernel
def _surprise(race, s, which, evidence, scored):
    """(score, -log10 p) of a baseline's evidence; NaN before its tail is known."""
    means = real_row(race, RACE_MEANS, s * SIMPLE + which, MEANS)
    state = real_row(race, RACE_TAILS, s * SIMPLE + which, tail.STATE)
    score = 0.0
    for j in range(len(fusion.SPANS)):
        average = load(means, AVERAGES + j)
        average += 2.0 / (fusion.SPANS[j] + 1.0) * (evidence - average)
        store(means, AVERAGES + j, average)
        score += average
    seen = load(means, SEEN) + 1.0
    store(means, SEEN, seen)
    if seen <= tail.FIRST or not scored:
        tail.learn(state, score, evidence)
        return nan, nan
    return score, tail.judge(state, score, evidence)


@inlined
def _state(race, s, which):
    return real_row(race, RACE_ALERTS, s * tally.N_BASELINES + which, _ALERT)


@inlined
def _event(race, s, which):
    return whole_row(race, RACE_EVENTS, s * tally.N_BASELINES + which, alert.EVENT_STATE)


@inlined
def _write(side, which, i, value):
    store(int64_at(load(int64_at(side), which)), i, value)


@inlined
def _write_real(side, which, i, value):
    store(float64_at(load(int64_at(side), which)), i, value)


@kernel
def _judge(race, side, i, place, surprise, lasts):
    """What a side says of a record whose -log10 p is known; whether its tail may take it for a normal one.

    ``place`` = (series, side); ``lasts``: whether what began goes on.
    """
    s, which = place
    model = load(int64_at(race), RACE_MODEL)
    clock = load(int64_at(race), RACE_CLOCKS) + 8 * s * (CLOCK + 1)
    state, event = _state(race, s, which), _event(race, s, which)
    alert.end_if_calm(event)
    allowed = load(float64_at(model), plan.MODEL_BUDGET) * typical_step(model, clock)
    level = alert.level_now(state, load(float64_at(model), plan.MODEL_LEVEL), allowed)
    level_surprise = -log(level) / _LOG10
    normal = alert.is_normal(state, surprise, level_surprise, False)
    hit = surprise >= level_surprise
    _write(side, tally.COLUMN_HIT, i, 1 if hit else 0)
    _write_real(side, tally.COLUMN_ALERT_LEVEL, i, alert.alert_level_now(state, event))
    name = (0, load(event, alert.RECORDS))  # whatever is another for each event
    strength = alert.judge_event(state, event, hit, surprise / alert.SURPRISE, allowed, name, lasts)
    _write_real(side, tally.COLUMN_STRENGTH, i, strength)
    return normal


@inlined
def _write_event(race, side, i, s, which):
    event = _event(race, s, which)
    is_open = load(event, alert.OPEN)
    _write(side, tally.COLUMN_EVENT_PARTITION, i, load(event, alert.PARTITION) if is_open else -1)
    _write(side, tally.COLUMN_EVENT_OFFSET, i, load(event, alert.OFFSET) if is_open else -1)


@kernel
def _run(race, sides, i, s, scored, inflation):
    """Every baseline judges the record."""
    for which in range(tally.N_BASELINES):
        side = sides + 8 * (1 + which) * tally.COLUMN_SIZE
        score, surprise, evidence = nan, nan, nan
        if which == tally.LINEAR:
            surprise = real(side, tally.COLUMN_SURPRISE, i) if scored else nan
        else:
            evidence = _evidence(race, side, i, s, which, inflation)
            if not isnan(evidence):
                score, surprise = _surprise(race, s, which, evidence, scored)
            _write_real(side, tally.COLUMN_SCORE, i, score)
        if not isnan(surprise):
            # What the detector takes for one event is one here too.
            lasts = which == tally.LINEAR and whole(sides, tally.COLUMN_EVENT_OFFSET, i) >= 0
            normal = _judge(race, side, i, (s, which), surprise, lasts)
            if normal and which != tally.LINEAR:
                tail.learn(real_row(race, RACE_TAILS, s * SIMPLE + which, tail.STATE), score, evidence)
        _write_event(race, side, i, s, which)


@inlined
def _is_alert(side, i, counters):
    """Whether an event that has reached its alert level is open."""
    return whole(side, tally.COLUMN_EVENT_OFFSET, i) >= 0 and tally.has_reached(counters)


@kernel
def _count(race, sides, i, s, scored):
    """Count events, alerts and windows of every side, and which alerts are the same."""
    detector = whole_row(race, RACE_COUNTERS, s * SIDES, tally.COUNTERS)
    for k in range(SIDES):
        side = sides + 8 * k * tally.COLUMN_SIZE
        counters = whole_row(race, RACE_COUNTERS, s * SIDES + k, tally.COUNTERS)
        alerted = tally.count_event(side, counters, i)
        tally.count_label(side, counters, i, scored, alerted)
        if k == 0 or not (_is_alert(side, i, counters) and _is_alert(sides, i, detector)):
            continue
        agreement = whole_row(race, RACE_AGREEMENT, s * tally.N_BASELINES + k - 1, AGREEMENT)
        if tally.is_first(detector, _IS_BOTH << k):
            store(agreement, BOTH, load(agreement, BOTH) + 1)
        if tally.is_first(counters, _IS_SHARED):
            store(agreement, SHARED, load(agreement, SHARED) + 1)


@entry_point
def race_alarms(race, sides):
    """Let every side judge the records of a batch, in order, and count what it raises.

    ``race`` (what it points to is written) is the address of the table above; ``sides``
    that of SIDES tables of columns as ``tally.py`` has them, of the detector (read) and of
    the baselines: their hits, events, strengths, alert levels and scores are written, the
    other columns are the detector's. The columns of errors must be written before.
    """
    model, most = load(int64_at(race), RACE_MODEL), load(int64_at(race), RACE_SERIES)
    for i in range(load(int64_at(sides), tally.COLUMN_RECORDS)):
        s, status = whole(sides, tally.COLUMN_SERIES, i), whole(sides, tally.COLUMN_STATUS, i)
        if s >= most or status >= plan.LATE:
            continue
        clock = load(int64_at(race), RACE_CLOCKS) + 8 * s * (CLOCK + 1)
        odd_step = observe_time(model, clock, whole(sides, tally.COLUMN_TIMES, i))
        scored = status == plan.PROVISIONAL or status == plan.CALIBRATED
        _run(race, sides, i, s, scored, gap_inflation(odd_step))
        _count(race, sides, i, s, scored)
