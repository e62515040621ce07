"""What a summary counts of a run: one pass over the records and what was found in them.

Every number belongs to one series and is updated record by record, in order, so
nothing depends on how a stream is cut into batches or how series interleave.
"""

from __future__ import annotations

from math import floor, isnan, nan

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import entry_point, inlined, kernel
from streamrnn.kernels.scalar import bits_of
from streamrnn.kernels.scaler import usable
from streamrnn.kernels.vector import float64_at, int64_at, load, shift, store
from streamrnn.scoring import linear

LOUD = 0.5  # the alert_strength that opens an event
SMOOTHING = 0.3  # of the EWMA baseline

# a series' int64 counters
(
    STATUS,  # records of each of the six statuses
    ALARM,  # detections of each of the six statuses
    NORMAL,  # scored records that were no detections
    # moments: an offset (-1: none), then a time
    FIRST,
    LAST,  # in order
    SCORED,  # the first
    SURE,  # the first that is calibrated
    # steps of time
    NEWEST,  # time of the newest record in order
    START,  # time of the first
    REPEATED,  # records with the time of the one before
    BACKWARDS,  # with an earlier one
    LONGEST,  # the longest step, ns
    LONGEST_START,
    # the newest event
    EVENT_PARTITION,
    EVENT_OFFSET,
    EVENT_FLAGS,
    EVENTS,
    ALERTS,  # events that reached the alert level
    SURE_ALERTS,  # that did so on a calibrated record
    TRUE_ALERTS,  # alerts that overlap a labelled window
    TRUE_SURE_ALERTS,
    # the newest labelled window
    WINDOW_FLAGS,
    WINDOW_RECORDS,
    WINDOW_TIME,
    WINDOWS,
    WINDOWS_SCORED,  # that hold a scored record
    WINDOWS_FOUND,  # that hold a detection
    WINDOWS_ALERTED,  # that hold one of an event that has reached the alert level
    DELAY_RECORDS,  # sum over the windows found: records before the first detection
    DELAYS_TIMED,  # windows found where times are known
    DELAY_NS,  # sum over them
    QUIET,  # calibrated records without a label
    QUIET_ALARMS,  # detections among them
    COUNTERS,
) = (0, 6, 12, *range(13, 21, 2), *range(21, 48))

# flags of an event, and of a window
_REACHED, _REACHED_SURE, _LABEL_WAITS, _OVERLAPS, _TRUE, _TRUE_SURE = 1, 2, 4, 8, 16, 32
_OPEN, _WITH_SCORE, _FOUND, _ALERTED = 1, 2, 4, 8

# forecasts to race: the detector's, then the baselines
BASELINES = (LAST_VALUE, SEASONAL, EWMA, LINEAR) = range(4)
N_BASELINES = len(BASELINES)
COMPARED, WITHIN, AGAINST = 0, 1, 2  # counts of a channel; from AGAINST on one for each baseline
COUNTS = AGAINST + N_BASELINES
ERROR, OTHERS = 0, 1  # sums of a channel; from OTHERS on (baseline, forecast on the same records)
SUMS = OTHERS + 2 * N_BASELINES

STRENGTH, SURPRISE = 0, 1  # the largest of a series

# Bins of steps: eight to an octave, from a microsecond to nine years.
_LOWEST = 1023 + 10
OCTAVES = 48
BINS = 8 * OCTAVES
_LONGEST_STEP = 2**63 - 1


# addresses and sizes of all series' numbers, each an array with a row for each series
(
    TALLY_CHANNELS,
    TALLY_SEASON,  # slots
    TALLY_SEASONAL,  # series that have slots
    TALLY_LINEAR_SERIES,  # series that have an autoregression
    TALLY_LINEAR_CHANNELS,  # channels of them that have one
    TALLY_COUNTERS,  # int64 (COUNTERS)
    TALLY_LARGEST,  # float64 (2)
    TALLY_COUNTS,  # int64 (channels, COUNTS)
    TALLY_SUMS,  # float64 (channels, SUMS)
    TALLY_BEFORE,  # float64 (channels, 2): last value and EWMA
    TALLY_STEPS,  # int64 (BINS)
    TALLY_STEP_SUMS,  # float64 (BINS), ns
    TALLY_SLOTS,  # int64 (season): number of each slot
    TALLY_SLOT_VALUES,  # float64 (season, channels): the last season
    TALLY_LINEAR,  # float64 (linear channels, linear.STATE)
    TALLY_LINEAR_ROOM,  # float64 (1, linear.ROOM), of all series
    TALLY_SIZE,
) = range(17)

# addresses and sizes of a batch and of what was found in it; (n,) where no shape is said
(
    COLUMN_RECORDS,
    COLUMN_CHANNELS,
    COLUMN_SERIES,  # int64
    COLUMN_TIMES,
    COLUMN_OFFSETS,
    COLUMN_STATUS,
    COLUMN_HIT,  # 0 or 1, as the label
    COLUMN_EVENT_PARTITION,
    COLUMN_EVENT_OFFSET,
    COLUMN_LABEL,
    COLUMN_VALUES,  # float64 (n, channels)
    COLUMN_YHAT,
    COLUMN_LOWER,
    COLUMN_UPPER,
    COLUMN_SHARE,
    COLUMN_SURPRISE,  # float64
    COLUMN_LEVEL,
    COLUMN_STRENGTH,
    COLUMN_ALERT_LEVEL,
    COLUMN_ERRORS,  # float64 (n, channels, baselines), written: value less forecast; NaN: none
    COLUMN_SCORE,  # float64, written by baselines that race for alarms
    COLUMN_SIZE,
) = range(22)


@inlined
def whole(columns, which, i):
    """Element ``i`` of an int64 column."""
    return load(int64_at(load(int64_at(columns), which)), i)


@inlined
def real(columns, which, i):
    """Element ``i`` of a float64 column."""
    return load(float64_at(load(int64_at(columns), which)), i)


@inlined
def whole_row(tallies, which, s, width):
    """The part of series ``s`` of an int64 array whose rows have ``width`` elements."""
    return shift(int64_at(load(int64_at(tallies), which)), s * width)


@inlined
def real_row(tallies, which, s, width):
    """The same of a float64 array."""
    return shift(float64_at(load(int64_at(tallies), which)), s * width)


@inlined
def _add(row, place, more):
    store(row, place, load(row, place) + more)


@inlined
def _mark(counters, which, offset, time):
    """Write a moment."""
    store(counters, which, offset)
    store(counters, which + 1, time)


@inlined
def step_bin(step):
    """The bin of a step in ns: exponent and three bits of its float64."""
    return min(max((bits_of(float(step)) >> 49) - 8 * _LOWEST, 0), BINS - 1)


@kernel
def _observe_time(tallies, counters, s, time, in_order):
    """Count the step to a record's time."""
    newest = load(counters, NEWEST)
    if in_order:
        store(counters, NEWEST, time)
    if newest == plan.NO_TIME:
        if in_order:
            store(counters, START, time)
        return
    if time <= newest:
        _add(counters, REPEATED if time == newest else BACKWARDS, 1)
        return
    fits = newest >= 0 or time <= newest + _LONGEST_STEP
    step = time - newest if fits else _LONGEST_STEP
    place = step_bin(step)
    _add(whole_row(tallies, TALLY_STEPS, s, BINS), place, 1)
    _add(real_row(tallies, TALLY_STEP_SUMS, s, BINS), place, float(step))
    if step > load(counters, LONGEST):
        store(counters, LONGEST, step)
        store(counters, LONGEST_START, newest)


@inlined
def _slot_of(tallies, counters, s, time, slot_ns):
    """Number of the time's slot since the series' start; negative: before it, or no seasons are kept."""
    if time == plan.NO_TIME or s >= load(int64_at(tallies), TALLY_SEASONAL) or slot_ns <= 0.0:
        return -1
    # in floats, since centuries overflow an int64; a slot is far longer than their rounding
    return floor((float(time) - float(load(counters, START))) / slot_ns + 0.5)


@inlined
def _linear_error(tallies, s, d, value):
    """The error of the autoregression of a channel, which then learns the value; NaN: there is none."""
    table = int64_at(tallies)
    channels = load(table, TALLY_LINEAR_CHANNELS)
    if s >= load(table, TALLY_LINEAR_SERIES) or d >= channels:
        return nan
    state = real_row(tallies, TALLY_LINEAR, s * channels + d, linear.STATE)
    return linear.error_of(state, float64_at(load(table, TALLY_LINEAR_ROOM)), value)


@kernel
def _compare_channel(tallies, columns, i, place, scored, season_ago):
    """Forecast and baselines against a value; ``place`` is that of the channel in the tallies."""
    channels = load(int64_at(columns), COLUMN_CHANNELS)
    d = place % channels
    at = i * channels + d
    value, yhat = real(columns, COLUMN_VALUES, at), real(columns, COLUMN_YHAT, at)
    before = real_row(tallies, TALLY_BEFORE, place, 2)
    last, smooth = load(before, 0), load(before, 1)
    errors = shift(float64_at(load(int64_at(columns), COLUMN_ERRORS)), at * N_BASELINES)
    store(errors, LAST_VALUE, value - last)
    store(errors, SEASONAL, value - season_ago)
    store(errors, EWMA, value - smooth)
    store(errors, LINEAR, _linear_error(tallies, place // channels, d, value))
    if scored and usable(yhat):
        counts = whole_row(tallies, TALLY_COUNTS, place, COUNTS)
        sums = real_row(tallies, TALLY_SUMS, place, SUMS)
        error = abs(value - yhat)
        inside = real(columns, COLUMN_LOWER, at) <= value <= real(columns, COLUMN_UPPER, at)
        _add(counts, COMPARED, 1)
        _add(counts, WITHIN, 1 if inside else 0)
        _add(sums, ERROR, error)
        for which in range(N_BASELINES):
            other = load(errors, which)
            if not isnan(other):
                _add(counts, AGAINST + which, 1)
                _add(sums, OTHERS + 2 * which, abs(other))
                _add(sums, OTHERS + 2 * which + 1, error)
    store(before, 0, value)
    store(before, 1, value if isnan(smooth) else smooth + SMOOTHING * (value - smooth))


@kernel
def _compare(tallies, columns, i, s, scored, slot_ns):
    """Compare the values of a record in order; then the baselines learn it."""
    channels, season = load(int64_at(tallies), TALLY_CHANNELS), load(int64_at(tallies), TALLY_SEASON)
    counters = whole_row(tallies, TALLY_COUNTERS, s, COUNTERS)
    slot = _slot_of(tallies, counters, s, whole(columns, COLUMN_TIMES, i), slot_ns)
    place = slot % season if slot >= 0 else 0
    slots = whole_row(tallies, TALLY_SLOTS, s, season)
    values = real_row(tallies, TALLY_SLOT_VALUES, s * season + place, channels)
    held = load(slots, place) if slot >= 0 else plan.NO_TIME
    if slot >= 0:
        store(slots, place, slot)
    for d in range(channels):
        value = real(columns, COLUMN_VALUES, i * channels + d)
        season_ago = load(values, d) if slot >= 0 and held == slot - season else nan
        if slot >= 0 and held != slot:
            store(values, d, nan)
        if usable(value):
            _compare_channel(tallies, columns, i, s * channels + d, scored, season_ago)
            if slot >= 0:
                store(values, d, value)


@kernel
def count_event(columns, counters, i):
    """Count the record's event; whether the record is a loud one of an alert."""
    partition, offset = whole(columns, COLUMN_EVENT_PARTITION, i), whole(columns, COLUMN_EVENT_OFFSET, i)
    if offset < 0:
        return False
    if offset != load(counters, EVENT_OFFSET) or partition != load(counters, EVENT_PARTITION):
        store(counters, EVENT_OFFSET, offset)
        store(counters, EVENT_PARTITION, partition)
        store(counters, EVENT_FLAGS, 0)
        _add(counters, EVENTS, 1)
    hit, strength = whole(columns, COLUMN_HIT, i), real(columns, COLUMN_STRENGTH, i)
    loud = hit != 0 or strength >= LOUD
    old = flags = load(counters, EVENT_FLAGS)
    if whole(columns, COLUMN_LABEL, i):
        flags |= _LABEL_WAITS
    if loud and flags & _LABEL_WAITS:  # a label counts once a detection is at or after it
        flags |= _OVERLAPS
    if strength >= real(columns, COLUMN_ALERT_LEVEL, i):
        flags |= _REACHED
        if whole(columns, COLUMN_STATUS, i) == plan.CALIBRATED:
            flags |= _REACHED_SURE
    if flags & _OVERLAPS and flags & _REACHED:
        flags |= _TRUE
    if flags & _OVERLAPS and flags & _REACHED_SURE:
        flags |= _TRUE_SURE
    new = flags & ~old
    store(counters, EVENT_FLAGS, flags)
    _add(counters, ALERTS, 1 if new & _REACHED else 0)
    _add(counters, SURE_ALERTS, 1 if new & _REACHED_SURE else 0)
    _add(counters, TRUE_ALERTS, 1 if new & _TRUE else 0)
    _add(counters, TRUE_SURE_ALERTS, 1 if new & _TRUE_SURE else 0)
    return loud and (flags & _REACHED) != 0


@inlined
def has_reached(counters):
    """Whether the newest event has reached the alert level."""
    return (load(counters, EVENT_FLAGS) & _REACHED) != 0


@inlined
def is_first(counters, flag):
    """Whether the newest event lacked a flag until now; it gets it."""
    flags = load(counters, EVENT_FLAGS)
    store(counters, EVENT_FLAGS, flags | flag)
    return (flags & flag) == 0


@kernel
def count_label(columns, counters, i, scored, alerted):
    """Count a labelled window, or a record without a label."""
    hit, time = whole(columns, COLUMN_HIT, i), whole(columns, COLUMN_TIMES, i)
    if not whole(columns, COLUMN_LABEL, i):
        store(counters, WINDOW_FLAGS, 0)
        if whole(columns, COLUMN_STATUS, i) == plan.CALIBRATED:
            _add(counters, QUIET, 1)
            _add(counters, QUIET_ALARMS, hit)
        return
    flags = load(counters, WINDOW_FLAGS)
    if not flags:
        flags = _OPEN
        _add(counters, WINDOWS, 1)
        store(counters, WINDOW_RECORDS, 0)
        store(counters, WINDOW_TIME, time)
    if scored and not flags & _WITH_SCORE:
        flags |= _WITH_SCORE
        _add(counters, WINDOWS_SCORED, 1)
    if alerted and not flags & _ALERTED:
        flags |= _ALERTED
        _add(counters, WINDOWS_ALERTED, 1)
    if hit and not flags & _FOUND:
        flags |= _FOUND
        start = load(counters, WINDOW_TIME)
        _add(counters, WINDOWS_FOUND, 1)
        _add(counters, DELAY_RECORDS, load(counters, WINDOW_RECORDS))
        if start != plan.NO_TIME and time >= start:
            _add(counters, DELAYS_TIMED, 1)
            _add(counters, DELAY_NS, time - start)
    store(counters, WINDOW_FLAGS, flags)
    _add(counters, WINDOW_RECORDS, 1)


@kernel
def _count_status(tallies, columns, counters, i, s, scored):
    """Count what the record is, and mark the first and the last of its kind."""
    status, hit = whole(columns, COLUMN_STATUS, i), whole(columns, COLUMN_HIT, i)
    offset, time = whole(columns, COLUMN_OFFSETS, i), whole(columns, COLUMN_TIMES, i)
    _add(counters, STATUS + status, 1)
    _add(counters, ALARM + status, hit)
    if load(counters, FIRST) < 0:
        _mark(counters, FIRST, offset, time)
    if status < plan.LATE:
        _mark(counters, LAST, offset, time)
    if not scored:
        return
    _add(counters, NORMAL, 1 - hit)
    if load(counters, SCORED) < 0:
        _mark(counters, SCORED, offset, time)
    if status == plan.CALIBRATED and load(counters, SURE) < 0:
        _mark(counters, SURE, offset, time)
    largest = real_row(tallies, TALLY_LARGEST, s, 2)
    strength, surprise = real(columns, COLUMN_STRENGTH, i), real(columns, COLUMN_SURPRISE, i)
    if strength > load(largest, STRENGTH):
        store(largest, STRENGTH, strength)
    if surprise > load(largest, SURPRISE):
        store(largest, SURPRISE, surprise)


@entry_point
def count_records(tallies, columns, slot_ns):
    """Take in every record of a batch, in order.

    ``tallies`` (what it points to is written) and ``columns`` (read) are the addresses
    of the tables above; ``slot_ns`` is the length of a slot of the season, 0: none.
    Every series of the batch has its rows in the tallies.
    """
    for i in range(load(int64_at(columns), COLUMN_RECORDS)):
        s, status = whole(columns, COLUMN_SERIES, i), whole(columns, COLUMN_STATUS, i)
        counters = whole_row(tallies, TALLY_COUNTERS, s, COUNTERS)
        in_order = status < plan.LATE
        scored = status == plan.PROVISIONAL or status == plan.CALIBRATED
        _count_status(tallies, columns, counters, i, s, scored)
        if whole(columns, COLUMN_TIMES, i) != plan.NO_TIME:
            _observe_time(tallies, counters, s, whole(columns, COLUMN_TIMES, i), in_order)
        if in_order:
            _compare(tallies, columns, i, s, scored, slot_ns)
            alerted = count_event(columns, counters, i)
            count_label(columns, counters, i, scored, alerted)
