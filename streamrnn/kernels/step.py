"""One record through one model: the heart.

In this order, so that nothing is said of a record that depends on a later one:
compare the record with the forecast that was made for it; turn the surprise into
score, p-value and event; learn; make the next forecast.
"""

from __future__ import annotations

from math import isnan, nan

from streamrnn.kernels import plan
from streamrnn.kernels.clock import observe_time, typical_step
from streamrnn.kernels.compiling import entry_point, inlined, kernel, woven
from streamrnn.kernels.ensemble import learn_all, step_all
from streamrnn.kernels.features import remember, write_shared
from streamrnn.kernels.forecaster import learn_forecasts, make_forecasts
from streamrnn.kernels.prefetching import prefetch
from streamrnn.kernels.residuals import (
    compare,
    gap_inflation,
    learn_errors,
    open_slot,
    usual_error,
    write_interval,
)
from streamrnn.kernels.scalar import log
from streamrnn.kernels.scaler import learn_scale, scale_of, to_scaled, usable
from streamrnn.kernels.vector import float64_at, int64_at, load, never_inline, shift, store
from streamrnn.scoring import alert, evidence, feedback, flatline, fusion, kinds, memory, recall, tail
from streamrnn.scoring import spell as spells

_MOST_LATE = 20
_PARTS = 8  # of the next series' row
_LOG10 = 2.302585092994046
_SURPRISE_OF_ONE = 8.0  # for ``alert.SURPRISE`` with one channel, where the memories hear most
_OF_FLAT = 2.0  # what a flat line asks for when its evidence is full; growing with it, it would speak often


@inlined
def _column(call, name):
    return float64_at(load(int64_at(call), name))


@kernel
def _write_nothing(model, call, i, status):
    """The outputs of a record of which nothing can be said."""
    channels = load(int64_at(model), plan.MODEL_CHANNELS)
    for d in range(channels):
        for name in (plan.CALL_YHAT, plan.CALL_LOWER, plan.CALL_UPPER, plan.CALL_SHARE):
            store(_column(call, name), i * channels + d, nan)
    ahead = channels * (load(int64_at(model), plan.MODEL_HORIZONS) - 1) * 3
    for j in range(ahead):
        store(_column(call, plan.CALL_AHEAD), i * ahead + j, nan)
    for name in (plan.CALL_SCORE, plan.CALL_P_VALUE, plan.CALL_SURPRISE):
        store(_column(call, name), i, nan)
    store(_column(call, plan.CALL_STRENGTH), i, 0.0)
    store(_column(call, plan.CALL_LEVEL), i, nan)
    store(_column(call, plan.CALL_ALERT_LEVEL), i, nan)
    table = int64_at(call)
    store(int64_at(load(table, plan.CALL_STATUS)), i, status)
    store(int64_at(load(table, plan.CALL_DETECTION)), i, 0)
    store(int64_at(load(table, plan.CALL_EVENT_PARTITION)), i, -1)
    store(int64_at(load(table, plan.CALL_EVENT_OFFSET)), i, -1)
    store(int64_at(load(table, plan.CALL_EVENT_KIND)), i, kinds.NO_KIND)


@kernel
def _write_forecast(model, row, call, i):
    """The forecast that was made for this record, before anything is learned from it."""
    table = int64_at(model)
    channels = load(table, plan.MODEL_CHANNELS)
    slot = load(int64_at(row + load(table, plan.MODEL_COUNTERS)), plan.STEP_SLOT)
    out = float64_at(load(int64_at(call), plan.CALL_SCRATCH) + load(table, plan.MODEL_INTERVAL))
    for d in range(channels):
        write_interval(model, row, 0, d, slot, out)
        store(_column(call, plan.CALL_YHAT), i * channels + d, load(out, 0))
        store(_column(call, plan.CALL_LOWER), i * channels + d, load(out, 1))
        store(_column(call, plan.CALL_UPPER), i * channels + d, load(out, 2))


@kernel
def _write_ahead(model, row, call, i):
    """The forecasts made at this record for the horizons beyond the first."""
    table = int64_at(model)
    channels, ahead = load(table, plan.MODEL_CHANNELS), load(table, plan.MODEL_HORIZONS) - 1
    slot = load(int64_at(row + load(table, plan.MODEL_COUNTERS)), plan.STEP_SLOT)
    for d in range(channels):
        for k in range(ahead):
            place = shift(_column(call, plan.CALL_AHEAD), ((i * channels + d) * ahead + k) * 3)
            write_interval(model, row, k + 1, d, slot, place)


@inlined
def _disorder(model, row, time, values):
    """``LATE`` or ``DUPLICATE`` for a record that must not be learned, else -1.

    After ``_MOST_LATE`` late records in a row it is the clock that is wrong: it
    was ahead, or has been set back, and time goes on from the next record.
    """
    table = int64_at(model)
    counters = int64_at(row + load(table, plan.MODEL_COUNTERS))
    last = load(counters, plan.STEP_TIME)
    if time == plan.NO_TIME:
        return -1
    late = load(counters, plan.STEP_LATE) + 1 if last != plan.NO_TIME and time < last else 0
    if late > _MOST_LATE:
        late, last = 0, plan.NO_TIME
        store(counters, plan.STEP_TIME, last)
    store(counters, plan.STEP_LATE, late)
    if last == plan.NO_TIME or time > last:
        return -1
    if late > 0:
        return plan.LATE
    raw = float64_at(row + load(table, plan.MODEL_RAW))
    for d in range(load(table, plan.MODEL_CHANNELS)):
        a, b = load(raw, d), load(values, d)
        if a != b and not (isnan(a) and isnan(b)):
            return -1
    return plan.DUPLICATE


@woven
def _score(model, row, scratch, before, of_value):
    """(anomaly_score, its own evidence, surprise, what that asks for) of a record; NaN before there are."""
    table = int64_at(model)
    channels = load(table, plan.MODEL_CHANNELS)
    asked = 0.0
    if channels == 1:
        asked = memory.strength(model, row, scratch, before, of_value)
    if before < evidence.FIRST:
        return nan, nan, nan, 0.0
    fused = float64_at(row + load(table, plan.MODEL_FUSION))
    found = float64_at(scratch + load(table, plan.MODEL_FOUND))
    score, momentary = fusion.combine(fused, found), fusion.momentary(found)
    state_of_tail = float64_at(row + load(table, plan.MODEL_TAIL))
    if load(fused, fusion.COUNT) <= tail.FIRST:
        tail.learn(state_of_tail, score, momentary)
        return nan, nan, nan, 0.0
    surprise = tail.judge(state_of_tail, score, momentary)
    asked = max(asked, surprise / (_SURPRISE_OF_ONE if channels == 1 else alert.SURPRISE))
    if load(found, fusion.FLAT) >= flatline.MOST:
        asked = max(asked, _OF_FLAT)
    return score, momentary, surprise, asked


@kernel
def _fetch(ahead, part):
    """Have a part of the next series' row on its way; ``ahead`` = (address, bytes; 0: there is none).

    All of it at once would have to be waited for: so much cannot be on its way.
    """
    never_inline()
    row, size = ahead
    for at in range(part * size // _PARTS, (part + 1) * size // _PARTS, 64):
        prefetch(row + at)


@woven
def _judge(model, row, scratch, values, call, i, odd_step, ahead):
    """Score, p-value, event and status of a record that has values; (whether scored, a detection)."""
    table, numbers, columns = int64_at(model), float64_at(model), int64_at(call)
    state = float64_at(row + load(table, plan.MODEL_ALERT))
    event = int64_at(row + load(table, plan.MODEL_EVENT))
    state_of_tail = float64_at(row + load(table, plan.MODEL_TAIL))
    spell = float64_at(row + load(table, plan.MODEL_SPELL))
    alert.end_if_calm(event)
    spells.end_if_calm(spell)
    before, of_value = evidence.assess(model, row, scratch, values, gap_inflation(odd_step))
    _fetch(ahead, 2)
    score, momentary, surprise, asked = _score(model, row, scratch, before, of_value)
    _fetch(ahead, 3)
    if isnan(score):
        return False, False
    allowed = load(numbers, plan.MODEL_BUDGET) * typical_step(model, row)
    fixed = load(numbers, plan.MODEL_LEVEL)
    level = alert.level_now(state, fixed, allowed)
    level_surprise = -log(level) / _LOG10
    odd = fusion.is_of_itself(float64_at(scratch + load(table, plan.MODEL_FOUND)))
    may_learn = spells.may_be_normal(spell, tail.is_usual(state_of_tail, momentary))
    if may_learn and alert.is_normal(state, surprise, level_surprise, odd):
        tail.learn(state_of_tail, score, momentary)
    position = (
        load(int64_at(load(columns, plan.CALL_PARTITIONS)), i),
        load(int64_at(load(columns, plan.CALL_OFFSETS)), i),
    )
    detection = surprise >= level_surprise
    normal = load(state, alert.NORMAL)
    store(_column(call, plan.CALL_ALERT_LEVEL), i, alert.alert_level_now(state, event))
    lasts = evidence.lasts(model, row, scratch)
    strength = alert.judge_event(state, event, detection, asked, allowed, position, lasts)
    if spells.go_on(spell, detection, lasts, surprise):
        evidence.adopt(model, row)
    kinds.observe(model, row, scratch, values)
    _write_shares(model, scratch, call, i)
    demand = (detection, asked, allowed, lasts)
    strength = feedback.weigh(model, row, scratch, call, i, (strength, surprise), demand, position)
    store(feedback.shown_event(model, row), alert.KIND, load(event, alert.KIND))
    store(_column(call, plan.CALL_SCORE), i, score)
    store(_column(call, plan.CALL_SURPRISE), i, surprise)
    store(_column(call, plan.CALL_P_VALUE), i, tail.p_value(surprise))
    store(_column(call, plan.CALL_STRENGTH), i, strength)
    store(_column(call, plan.CALL_LEVEL), i, level)
    store(int64_at(load(columns, plan.CALL_DETECTION)), i, 1 if detection else 0)
    base = min(allowed, alert.LARGEST_LEVEL) if allowed > 0.0 else fixed
    sure = normal >= alert.CALIBRATED_AFTER / base
    store(int64_at(load(columns, plan.CALL_STATUS)), i, plan.CALIBRATED if sure else plan.PROVISIONAL)
    return True, detection


@inlined
def _write_shares(model, scratch, call, i):
    """Each channel's share of the evidence."""
    channels = load(int64_at(model), plan.MODEL_CHANNELS)
    parts = float64_at(scratch + load(int64_at(model), plan.MODEL_SURPRISES))
    total = 0.0
    for d in range(channels):
        total += load(parts, d)
    for d in range(channels):
        store(_column(call, plan.CALL_SHARE), i * channels + d, load(parts, d) / total)


@inlined
def _write_event(model, row, call, i):
    event = feedback.shown_event(model, row)
    if load(event, alert.OPEN):
        columns = int64_at(call)
        store(int64_at(load(columns, plan.CALL_EVENT_PARTITION)), i, load(event, alert.PARTITION))
        store(int64_at(load(columns, plan.CALL_EVENT_OFFSET)), i, load(event, alert.OFFSET))
        store(int64_at(load(columns, plan.CALL_EVENT_KIND)), i, load(event, alert.KIND))


@woven
def _learn(tags, model, row, scratch, values, known):
    """Learn the record: errors, readouts, networks, forecasters, scales."""
    table = int64_at(model)
    newest = load(int64_at(row + load(table, plan.MODEL_COUNTERS)), plan.STEP_SLOT)
    learn_errors(model, row, scratch)
    horizons = int64_at(model + load(table, plan.MODEL_HORIZON_LIST))
    learn_all(tags[0], model, row, scratch, (newest, known, horizons))
    if len(tags[1]) > 0:
        learn_forecasts(tags[1], model, row, scratch)
    for d in range(load(table, plan.MODEL_CHANNELS)):
        if usable(load(values, d)):
            learn_scale(model, row, d, load(values, d))


@kernel
def _take_in(model, row, scratch, values, time, odd_step):
    """Scale the record's values, with forecasts in the place of missing ones; write the inputs."""
    table = int64_at(model)
    channels, horizons = load(table, plan.MODEL_CHANNELS), load(table, plan.MODEL_HORIZONS)
    slot = load(int64_at(row + load(table, plan.MODEL_COUNTERS)), plan.STEP_SLOT)
    forecast = shift(float64_at(row + load(table, plan.MODEL_PAST_FORECAST)), slot * horizons * channels)
    mean, variance = (
        float64_at(row + load(table, plan.MODEL_MEAN)),
        float64_at(row + load(table, plan.MODEL_VARIANCE)),
    )
    magnitude = float64_at(row + load(table, plan.MODEL_MAGNITUDE))
    raw = float64_at(row + load(table, plan.MODEL_RAW))
    inputs = float64_at(scratch + load(table, plan.MODEL_INPUTS))
    for d in range(channels):
        value = load(values, d)
        store(raw, d, value)
        missing = not usable(value) or isnan(load(mean, d))
        u = load(forecast, d)
        if not missing:
            u = to_scaled(value, load(mean, d), scale_of(load(variance, d), load(magnitude, d)))
        remember(model, row, d, u, missing, inputs)
    write_shared(channels, time, odd_step, inputs)


@woven
def process_record(tags, model, call, row, i, ahead):
    """Record ``i`` of a call through the model in ``row``; ``ahead``: as ``_fetch`` has it."""
    table, columns = int64_at(model), int64_at(call)
    scratch = load(columns, plan.CALL_SCRATCH)
    channels = load(table, plan.MODEL_CHANNELS)
    time = load(int64_at(load(columns, plan.CALL_TIMES)), i)
    values = shift(_column(call, plan.CALL_VALUES), i * channels)
    counters = int64_at(row + load(table, plan.MODEL_COUNTERS))
    store(counters, plan.STEP_RECORDS, load(counters, plan.STEP_RECORDS) + 1)
    disorder = _disorder(model, row, time, values)
    if disorder >= 0:
        _write_nothing(model, call, i, disorder)
        return
    absent = True
    for d in range(channels):
        absent = absent and not usable(load(values, d))
    _write_nothing(model, call, i, plan.MISSING if absent else plan.WARMING)
    _fetch(ahead, 0)
    _write_forecast(model, row, call, i)
    odd_step = observe_time(model, row, time)
    known = compare(model, row, scratch, values)
    _fetch(ahead, 1)
    detection = False
    if not absent:
        scored, detection = _judge(model, row, scratch, values, call, i, odd_step, ahead)
        _fetch(ahead, 4)
        may_learn = not detection or load(table, plan.MODEL_LEARN_ANOMALIES) == 1
        evidence.learn(model, row, scratch, values, scored, may_learn)
        if scored and load(table, plan.MODEL_RECALLS):
            recall.settle(model, row)
    _fetch(ahead, 5)
    _write_event(model, row, call, i)
    if not detection or load(table, plan.MODEL_LEARN_ANOMALIES):
        _learn(tags, model, row, scratch, values, known)
    _fetch(ahead, 6)
    _take_in(model, row, scratch, values, time, odd_step)
    slot = open_slot(model, row)
    _fetch(ahead, 7)
    step_all(tags[0], 0, model, row, scratch, (slot, absent))
    if len(tags[1]) > 0:
        make_forecasts(tags[1], model, row, scratch, slot, absent)
    _write_ahead(model, row, call, i)


@entry_point
def process_batch(tags, model, call):
    """Every record of a call, in order, each through the row of its series.

    ``tags`` are those of the networks and of the forecasting groups; ``model`` and ``call`` are the
    addresses of the tables of ``plan.py``.
    """
    columns, size = int64_at(call), load(int64_at(model), plan.MODEL_ROW_BYTES)
    rows = int64_at(load(columns, plan.CALL_ROWS))
    series = int64_at(load(columns, plan.CALL_SERIES))
    records = load(columns, plan.CALL_RECORDS)
    row = load(rows, load(series, 0)) if records > 0 else 0
    for i in range(records):
        after = load(rows, load(series, i + 1)) if i + 1 < records else row
        process_record(tags, model, call, row, i, (after, size if after != row else 0))
        row = after


@entry_point
def newest_forecasts(model, row, out):
    """Forecasts made at the newest record: (channels, horizons, 4) of mean, scale, lower, upper."""
    table, place = int64_at(model), float64_at(out)
    channels, horizons = load(table, plan.MODEL_CHANNELS), load(table, plan.MODEL_HORIZONS)
    slot = load(int64_at(row + load(table, plan.MODEL_COUNTERS)), plan.STEP_SLOT)
    for d in range(channels):
        for k in range(horizons):
            at = shift(place, (d * horizons + k) * 4)
            write_interval(model, row, k, d, slot, shift(at, 1))
            store(at, 0, load(at, 1))
            store(at, 1, usual_error(model, row, k, d, slot))
