"""The season of a channel: given, or found online; and its values one season ago.

A channel keeps a ring of its newest scaled values. After 256, 384, 512, 768, ... records up
to ``EVERY``, and every ``EVERY`` records from then on (every ring, where that is larger), it
is searched (``periodicity.py``). So what is found depends on the records alone, and a record
costs 20 to 40 ns on average.

What one search finds is believed where the next one finds it too, or at once where its
evidence is ``SURE`` and there is no season yet. A season ends where two searches in a row
find another one, or none and less than half of its strength.
"""

from __future__ import annotations

from math import isnan, nan

from streamrnn.kernels.compiling import inlined, kernel, woven
from streamrnn.kernels.periodicity import LARGEST, WEAKEST, rooms_in, search, strength_of
from streamrnn.kernels.vector import float32_at, float64_at, int64_at, load, never_inline, store

# 8-byte numbers of a channel before its ring of float32: int64, but STRENGTH float64
(COUNT, PERIOD, CANDIDATE, MISSED, GIVEN, STRENGTH) = range(6)
_RING = 8

FIRST = 256  # records before the first search; the smallest ring
EVERY = 4096
SURE = 6.0


def state_size(size: int) -> int:
    """float64 of a channel whose ring has ``size`` values, a power of two from ``FIRST`` on.

    Periods up to a third of ``size`` are found; given ones may be as long as ``size``.

    Examples
    --------
    >>> 8 * state_size(2048), 8 * state_size(8192)
    (8256, 32832)
    """
    return _RING + size // 2


@inlined
def _ring(state):
    return state + 8 * _RING


@inlined
def _is_due(count, size):
    """Whether the ring is to be searched after so many records."""
    if count & (FIRST // 2 - 1):
        return False
    every = max(size, EVERY)
    if count >= every:
        return count % every == 0
    power = FIRST
    while 2 * power <= count:
        power *= 2
    return count == power or 2 * count == 3 * power


@inlined
def _agree(a, b):
    return a > 0 and b > 0 and abs(a - b) <= max(a // 16, 1)


@kernel
def _is_still(state, past, scratch):
    """Whether a period that was not found again has kept half of its strength; renews that."""
    never_inline()
    rooms, _ = rooms_in(scratch, past[2])
    before = load(float64_at(state), STRENGTH)
    now = strength_of(past, rooms, load(int64_at(state), PERIOD))
    if now < max(0.5 * before, WEAKEST):
        return False
    store(float64_at(state), STRENGTH, now)
    return True


@woven
def _look(state, scratch, size):
    """Search the ring, and let what is found begin, go on or end a season."""
    whole = int64_at(state)
    past = (_ring(state), load(whole, COUNT), size)
    evidence, found, strength = search(past, scratch)
    period, candidate, missed = load(whole, PERIOD), load(whole, CANDIDATE), 0
    if _agree(found, period):
        period = found if found == candidate else period
    elif _agree(found, candidate) or (period == 0 and evidence >= SURE):
        period = found
    elif found > 0 or not _is_still(state, past, scratch):
        missed = load(whole, MISSED) + 1
        period = period if missed < 2 else 0
    store(whole, PERIOD, period)
    store(whole, CANDIDATE, found)
    store(whole, MISSED, missed)
    if period == 0:
        store(float64_at(state), STRENGTH, 0.0)
    elif found > 0 and missed == 0:
        store(float64_at(state), STRENGTH, strength)


@woven
def _measure(state, scratch, size):
    """Renew the strength of a period that was given."""
    past = (_ring(state), load(int64_at(state), COUNT), size)
    rooms, _ = rooms_in(scratch, size)
    store(float64_at(state), STRENGTH, strength_of(past, rooms, load(int64_at(state), PERIOD)))


@kernel
def _renew(state, scratch, size):
    """Search the ring, or measure the period that was given."""
    never_inline()
    if load(int64_at(state), GIVEN):
        _measure(state, scratch, size)
    else:
        _look(state, scratch, size)


@kernel
def observe(state, scratch, size, u):
    """Take in a channel's newest scaled value, or its forecast where that is missing.

    Parameters
    ----------
    state : address
        ``state_size(size)`` float64, zeros before the first record.
    scratch : address
        ``scratch_size(size)`` float64; nothing in it is kept.
    size : int
        Values in the ring: a power of two, at least ``FIRST``. Not part of the state, so
        that no saved state can lead outside.
    u : float64
        Held within ``LARGEST``; NaN counts as the value before.
    """
    whole, ring = int64_at(state), float32_at(_ring(state))
    count = load(whole, COUNT)
    if isnan(u):
        u = float(load(ring, (count - 1) & (size - 1)))
    store(ring, count & (size - 1), min(max(u, -LARGEST), LARGEST))
    store(whole, COUNT, count + 1)
    if _is_due(count + 1, size):
        _renew(state, scratch, size)


@inlined
def given(state, records):
    """Set the period, 1 to ``size``, of a channel that has seen nothing: it is never searched for."""
    store(int64_at(state), PERIOD, records)
    store(int64_at(state), GIVEN, 1)


@inlined
def period(state):
    """Records of the channel's season; 0: none."""
    return load(int64_at(state), PERIOD)


@inlined
def strength(state):
    """Correlation of the values with those one period later, 0 to 1; 0 where there is no period.

    Of values less their mean over a period around them, as the latest search saw it.
    """
    return load(float64_at(state), STRENGTH)


@inlined
def seasonal_lag(state, size, ahead):
    """The value whole seasons before the record ``ahead`` (at least 1) records from now.

    u[t + ahead - p ceil(ahead / p)], t the newest record: the newest value that is in phase.
    NaN where there is no period, or the channel has not seen that much.
    """
    p = load(int64_at(state), PERIOD)
    if p < 1 or p > size:
        return nan
    count, back = load(int64_at(state), COUNT), (ahead + p - 1) // p * p - ahead
    return float(load(float32_at(_ring(state)), (count - 1 - back) & (size - 1))) if back < count else nan
