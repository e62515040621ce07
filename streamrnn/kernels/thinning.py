"""Records for a picture, thinned by smallest and largest value into a bounded number of bins.

A bin holds 2^k consecutive records of a series: the smallest and the largest value of
each channel, and all else of the most surprising record. When a series' bins are full,
each two become one. So a picture shows every extreme, whatever the length of a run,
and does not depend on how a stream is cut into batches.
"""

from __future__ import annotations

from math import isnan, nan

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import entry_point, inlined, kernel
from streamrnn.kernels.scaler import usable
from streamrnn.kernels.tally import (
    COLUMN_CHANNELS,
    COLUMN_HIT,
    COLUMN_LEVEL,
    COLUMN_LOWER,
    COLUMN_OFFSETS,
    COLUMN_RECORDS,
    COLUMN_SERIES,
    COLUMN_SHARE,
    COLUMN_STATUS,
    COLUMN_STRENGTH,
    COLUMN_SURPRISE,
    COLUMN_TIMES,
    COLUMN_UPPER,
    COLUMN_VALUES,
    COLUMN_YHAT,
    real,
    whole,
)
from streamrnn.kernels.vector import float64_at, int64_at, load, shift, store

WHOLE = (OFFSET, TIME, STATUS, HIT) = (0, 1, 2, 3)  # int64 of a bin
NUMBERS = (SURPRISE, LEVEL, STRENGTH) = (0, 1, 2)  # float64 of a bin, then those of each channel
CHANNEL = (LOWEST, HIGHEST, YHAT, LOWER, UPPER, SHARE) = (0, 1, 2, 3, 4, 5)
SEEN, HALVED = 0, 1  # of a series: records so far; how often its bins were halved


# addresses and sizes of the bins of all series that are kept; one spare bin behind the last of each
(
    BIN_SERIES,
    BIN_MOST,  # bins of a series
    BIN_CHANNELS,
    BIN_STATE,  # int64 (series, 2)
    BIN_WHOLE,  # int64 (series, bins + 1, 4)
    BIN_NUMBERS,  # float64 (series, bins + 1, 3 + 6 x channels)
    BIN_SIZE,
) = range(7)


@inlined
def _width(bins):
    """Numbers of a bin."""
    return len(NUMBERS) + len(CHANNEL) * load(int64_at(bins), BIN_CHANNELS)


@inlined
def _bin(bins, s, place):
    """Pointers to the two parts of a bin."""
    at = s * (load(int64_at(bins), BIN_MOST) + 1) + place
    wholes = shift(int64_at(load(int64_at(bins), BIN_WHOLE)), at * len(WHOLE))
    return wholes, shift(float64_at(load(int64_at(bins), BIN_NUMBERS)), at * _width(bins))


@inlined
def _state(bins, s):
    return shift(int64_at(load(int64_at(bins), BIN_STATE)), 2 * s)


@kernel
def _copy(bins, s, into, other):
    (wholes, numbers), (from_wholes, from_numbers) = _bin(bins, s, into), _bin(bins, s, other)
    for k in range(len(WHOLE)):
        store(wholes, k, load(from_wholes, k))
    for k in range(_width(bins)):
        store(numbers, k, load(from_numbers, k))


@kernel
def _merge(bins, s, into, other):
    """Take a bin's records into the bin before it; of equal surprise, the earlier counts."""
    (wholes, numbers), (from_wholes, from_numbers) = _bin(bins, s, into), _bin(bins, s, other)
    mine, its = load(numbers, SURPRISE), load(from_numbers, SURPRISE)
    takes = its > mine or (isnan(mine) and not isnan(its))
    hit = max(load(wholes, HIT), load(from_wholes, HIT))
    strength = max(load(numbers, STRENGTH), load(from_numbers, STRENGTH))
    if takes:
        for k in range(len(WHOLE)):
            store(wholes, k, load(from_wholes, k))
        store(numbers, SURPRISE, its)
        store(numbers, LEVEL, load(from_numbers, LEVEL))
    store(wholes, HIT, hit)
    store(numbers, STRENGTH, strength)
    for start in range(len(NUMBERS), _width(bins), len(CHANNEL)):
        low, high = load(from_numbers, start + LOWEST), load(from_numbers, start + HIGHEST)
        if low < load(numbers, start + LOWEST) or isnan(load(numbers, start + LOWEST)):
            store(numbers, start + LOWEST, low)
        if high > load(numbers, start + HIGHEST) or isnan(load(numbers, start + HIGHEST)):
            store(numbers, start + HIGHEST, high)
        if takes:
            for k in range(YHAT, len(CHANNEL)):
                store(numbers, start + k, load(from_numbers, start + k))


@kernel
def _halve(bins, s):
    """Make one bin of each two."""
    state = _state(bins, s)
    halved = load(state, HALVED)
    used = (load(state, SEEN) + (1 << halved) - 1) >> halved
    for place in range((used + 1) // 2):
        _copy(bins, s, place, 2 * place)
        if 2 * place + 1 < used:
            _merge(bins, s, place, 2 * place + 1)
    store(state, HALVED, halved + 1)


@kernel
def _write(bins, s, place, columns, i):
    """Write one record as a bin of its own."""
    wholes, numbers = _bin(bins, s, place)
    store(wholes, OFFSET, whole(columns, COLUMN_OFFSETS, i))
    store(wholes, TIME, whole(columns, COLUMN_TIMES, i))
    store(wholes, STATUS, whole(columns, COLUMN_STATUS, i))
    store(wholes, HIT, whole(columns, COLUMN_HIT, i))
    store(numbers, SURPRISE, real(columns, COLUMN_SURPRISE, i))
    store(numbers, LEVEL, real(columns, COLUMN_LEVEL, i))
    store(numbers, STRENGTH, real(columns, COLUMN_STRENGTH, i))
    for d in range(load(int64_at(bins), BIN_CHANNELS)):
        at = i * load(int64_at(columns), COLUMN_CHANNELS) + d
        channel = shift(numbers, len(NUMBERS) + len(CHANNEL) * d)
        value = real(columns, COLUMN_VALUES, at)
        store(channel, LOWEST, value if usable(value) else nan)
        store(channel, HIGHEST, value if usable(value) else nan)
        store(channel, YHAT, real(columns, COLUMN_YHAT, at))
        store(channel, LOWER, real(columns, COLUMN_LOWER, at))
        store(channel, UPPER, real(columns, COLUMN_UPPER, at))
        store(channel, SHARE, real(columns, COLUMN_SHARE, at))


@entry_point
def thin_records(bins, columns):
    """Take in the records of a batch that are in order, of the series that are kept.

    ``bins`` (what it points to is written) is the address of the table above,
    ``columns`` (read) that of ``tally.py``.
    """
    most = load(int64_at(bins), BIN_MOST)
    for i in range(load(int64_at(columns), COLUMN_RECORDS)):
        s = whole(columns, COLUMN_SERIES, i)
        if s >= load(int64_at(bins), BIN_SERIES) or whole(columns, COLUMN_STATUS, i) >= plan.LATE:
            continue
        state = _state(bins, s)
        seen = load(state, SEEN)
        if seen >> load(state, HALVED) >= most:
            _halve(bins, s)
        place = seen >> load(state, HALVED)
        if seen == place << load(state, HALVED):
            _write(bins, s, place, columns, i)
        else:
            _write(bins, s, most, columns, i)
            _merge(bins, s, place, most)
        store(state, SEEN, seen + 1)


@entry_point
def keep_newest(rings, columns):
    """Put the records of a batch that are in order, of the series that are kept, into rings of the newest.

    ``rings`` is the address of a table as above, whose bins hold one record each.
    """
    most = load(int64_at(rings), BIN_MOST)
    for i in range(load(int64_at(columns), COLUMN_RECORDS)):
        s = whole(columns, COLUMN_SERIES, i)
        if s < load(int64_at(rings), BIN_SERIES) and whole(columns, COLUMN_STATUS, i) < plan.LATE:
            seen = load(_state(rings, s), SEEN)
            _write(rings, s, seen % most, columns, i)
            store(_state(rings, s), SEEN, seen + 1)


@entry_point
def fit_bins(bins, most):
    """Halve the bins of every series that uses more than ``most`` of them."""
    for s in range(load(int64_at(bins), BIN_SERIES)):
        state = _state(bins, s)
        while load(state, SEEN) > most << load(state, HALVED):
            _halve(bins, s)
