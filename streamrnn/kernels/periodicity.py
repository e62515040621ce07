"""Periods in a channel's past: hints in its autocorrelation, and which of them is the season.

It follows AUTOPERIOD (Vlachos, Yu and Castelli 2005, section 3): hints, each of which must be
a hill of the autocorrelation and is refined there. Its hints come from a periodogram under
white noise and see periods in any random walk, so ours differ. The values are averaged over
blocks of 1, 2, 4, ... records and differenced: of white noise, random walks and AR(1) that
leaves hardly any autocorrelation beyond the first lags, at every scale, and no trend. A lag
of k blocks is a hint where

- rho_k is as high as any from rho_k/2 to rho_3k/2, up to what chance does: a hill;
- the contrast (t_k - (t_k/2 + t_3k/2) / 2) / sqrt(1.5 B) is at least ``EVIDENCE``. There
  t_k = sum x x' / sqrt(sum x^2 x'^2), x' being x k blocks later, is the autocorrelation in
  standard errors whatever the variances (Dalla, Giraitis and Phillips 2022, section 2), so
  that a few spikes or bursts are no evidence; B = 1 + 2 (rho_1^2 + ... + rho_(k/4)^2) is
  Bartlett's (1946) inflation by what is correlated at short lags. A slow decline cancels;
- t_k is half of that by itself, and rho_2k at least half of rho_k: it comes again.

A contrast of ``HINT`` is enough where rho_k and rho_2k are at least ``HIGH``: few cycles, but
each like the other. Three cycles must have been seen.

A hint stands for the period nearby where the correlation of the values, less their mean over
a period around them, is highest over its first multiples. Where that of 2, 3 or 7 times the
period clearly excels (a week of days), that is it. Of what two scales hint at, the shorter is
the season unless the longer clearly excels.

A past is (address of a ring of float32, records that went into it, its size, a power of two).
"""

from __future__ import annotations

from math import sqrt as square_root

import numpy as np

from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.vector import (
    float32_at,
    float64_at,
    fma,
    lanes,
    load,
    load_vector,
    never_inline,
    shift,
    smaller,
    splat,
    store,
    store_vector,
    vector_sum,
)

BLOCKS = 2048  # of one scale, the newest
SPAN = 256  # lags of one scale
SHORTEST = 4  # records; shorter ones lie within every head's lags
CYCLES = 3
EVIDENCE = 5.0  # one-sided error 3e-7 for each of at most 800 lags
HINT, HIGH = 2.2, 0.6  # 3 would not find 5 hours a day within 2 weeks
WEAKEST = 0.1  # strength of a season
LARGEST = 15.0  # magnitude of a value
_LEAST_BLOCKS = 64
_MOST_DIVISOR = 12
_HILL_ERRORS = 2.5  # standard errors by which a hill may be lower than what is beside it
_CLIP, _CLIPPINGS = 4.0, 3  # mean magnitudes beyond which a value counts no more; how often they are taken
_STILL = 1e-10  # mean square of what does not move: a hundred-thousandth of the channel's scale
# Plain int64: a Python number is a type of its own to Numba, and so one more compilation.
_NONE, _ONE = np.int64(0), np.int64(1)
_FEW, _MANY = np.int64(2), np.int64(8)  # multiples
_PAD = 16  # zeros behind values, so that vectors may read on


def scratch_size(size: int) -> int:
    """float64 that a search needs, shared by all channels of rings up to ``size``."""
    return 3 * (size + _PAD) + BLOCKS + _PAD + 2 * SPAN


@inlined
def rooms_in(scratch, size):
    """(levels, sums of them), (values of blocks, their differences, t, rho) of a search."""
    levels = float64_at(scratch)
    sums = shift(levels, size + _PAD)
    blocks = shift(sums, size + _PAD)
    x = shift(blocks, size + _PAD)
    t = shift(x, BLOCKS + _PAD)
    return (levels, sums), (blocks, x, t, shift(t, SPAN))


@inlined
def _kept(past):
    """How many of a past's values are searched: the newest, as many as a power of two."""
    _, count, size = past
    n = size
    while n > max(count, 1):
        n //= 2
    return n


@kernel
def _unroll(past, values):
    """Copy a past, oldest value first; how many there are."""
    ring, count, size = past
    n = _kept(past)
    for i in range(n):
        store(values, i, load(float32_at(ring), (count - n + i) & (size - 1)))
    return n


@inlined
def _magnitude(x, i, mean):
    """|x_i - mean| of a vector."""
    y = load_vector(x, i) - mean
    return splat(x, 0.0) - smaller(y, splat(x, 0.0) - y)


@kernel
def _prepare(x, n):
    """Take off the mean, bound what lies far out, put zeros behind; the sum of squares.

    0 where nothing moves.
    """
    never_inline()
    for i in range(n, n + _PAD):
        store(x, i, 0.0)
    width = lanes(x)
    over = (n + width - 1) // width * width - n  # zeros in the last vector
    total = splat(x, 0.0)
    for i in range(0, n, width):
        total = total + load_vector(x, i)
    mean = vector_sum(total) / n
    most = 2.0 * LARGEST
    for _ in range(_CLIPPINGS):
        total, bound = splat(x, 0.0), splat(x, most)
        for i in range(0, n, width):
            total = total + smaller(_magnitude(x, i, mean), bound)
        most = _CLIP * max(vector_sum(total) - over * min(abs(mean), most), 0.0) / n
    squares, bound = splat(x, 0.0), splat(x, most)
    for i in range(0, n, width):
        y = smaller(load_vector(x, i) - mean, bound)
        y = splat(x, 0.0) - smaller(splat(x, 0.0) - y, bound)
        store_vector(x, i, y)
        squares = fma(y, y, squares)
    energy = vector_sum(squares)
    for i in range(n, n + over):
        energy -= load(x, i) * load(x, i)
        store(x, i, 0.0)
    return energy if energy > _STILL * n else 0.0


@kernel
def _products(x, n, lag):
    """(sum of x_i x_(i + lag), sum of their squares) of n values with ``_PAD`` zeros behind."""
    never_inline()
    width = lanes(x)
    a, b = splat(x, 0.0), splat(x, 0.0)
    aa, bb = splat(x, 0.0), splat(x, 0.0)
    for i in range(0, n - lag, 2 * width):
        p = load_vector(x, i) * load_vector(x, i + lag)
        q = load_vector(x, i + width) * load_vector(x, i + width + lag)
        a, aa = a + p, fma(p, p, aa)
        b, bb = b + q, fma(q, q, bb)
    return vector_sum(a + b), vector_sum(aa + bb)


# ---------------------------------------------------------------- hints


@inlined
def _rho(total, energy, n, lag):
    return total / energy * n / (n - lag)


@kernel
def _autocorrelate(x, n, energy, t, rho):
    """Write t and rho of every lag to half as much again as the longest; the longest."""
    never_inline()
    longest = min(n // CYCLES, 2 * (SPAN - 1) // 3)
    for k in range(1, (3 * longest + 1) // 2 + 1):
        total, squares = _products(x, n, k)
        store(rho, k, _rho(total, energy, n, k))
        store(t, k, total / square_root(squares) if squares > 0.0 else 0.0)
    return longest


@inlined
def _is_hill(rho, k, slack):
    top = load(rho, k)
    for j in range((k + 1) // 2, 3 * k // 2 + 1):
        if load(rho, j) > top + slack:
            return False
    return top > 0.0


@inlined
def _at_half(t, doubled):
    """The value at half of ``doubled``; between two, their mean."""
    return 0.5 * (load(t, doubled // 2) + load(t, (doubled + 1) // 2))


@inlined
def _comes_again(x, n, energy, k):
    """The autocorrelation at twice a lag, or beside it."""
    again = -1.0
    for lag in range(2 * k - 1, 2 * k + 2):
        again = max(again, _rho(_products(x, n, lag)[0], energy, n, lag))
    return again


@kernel
def _evidence(x, n, energy, t, rho, k):
    """Evidence that a season has k blocks; 0: no hint of that."""
    never_inline()
    if not _is_hill(rho, k, _HILL_ERRORS / square_root(n)):
        return 0.0
    inflation = 1.0
    for j in range(1, k // 4 + 1):
        inflation += 2.0 * load(rho, j) * load(rho, j)
    contrast = load(t, k) - 0.5 * (_at_half(t, k) + _at_half(t, 3 * k))
    found = contrast / square_root(1.5 * inflation)
    if found < HINT or load(t, k) < 0.5 * found * square_root(inflation):
        return 0.0
    again = _comes_again(x, n, energy, k)
    few = found < EVIDENCE and min(again, load(rho, k)) < HIGH
    return 0.0 if few or again < 0.5 * load(rho, k) else found


@kernel
def _strongest(x, n, energy, t, rho):
    """(evidence, lag) of the lag with most of it, or of its fundamental; (0, 0): none."""
    never_inline()
    best, lag = 0.0, 0
    for k in range(SHORTEST, _autocorrelate(x, n, energy, t, rho) + 1):
        found = _evidence(x, n, energy, t, rho, k)
        if found > best:
            best, lag = found, k
    top = load(rho, lag) if lag > 0 else 2.0
    for divisor in range(_MOST_DIVISOR, 1, -1):
        near = (2 * lag + divisor) // (2 * divisor)
        for k in range(max(near - 1, 2), near + 2):
            part = load(rho, k)
            if part < 0.8 * top or 1.0 - part > 2.0 * (1.0 - top) + 0.02:
                continue
            if k < SHORTEST and _is_hill(rho, k, 0.0):
                return 0.0, 0
            if k >= SHORTEST and _evidence(x, n, energy, t, rho, k) > 0.0:
                return best, k
    return best, lag


# ---------------------------------------------------------------- periods


@kernel
def _level(past, rooms, box, window):
    """Means over ``box`` values less those over the ``window`` around them; how many, 0: still.

    At the ends the nearest whole window serves. Then sums[i] is the sum of the first i squares.
    """
    never_inline()
    levels, sums = rooms
    n, total = _unroll(past, levels), 0.0
    of_box, of_window = 1.0 / box, 1.0 / window
    for i in range(n):
        store(sums, i, total)
        total += load(levels, i)
    store(sums, n, total)
    for i in range(n - box + 1):
        start = min(max(i + (box - window) // 2, 0), n - window)
        mean = (load(sums, i + box) - load(sums, i)) * of_box
        store(levels, i, mean - (load(sums, start + window) - load(sums, start)) * of_window)
    n -= box - 1
    if _prepare(levels, n) == 0.0:
        return 0
    total = 0.0
    for i in range(n):
        store(sums, i, total)
        total += load(levels, i) * load(levels, i)
    store(sums, n, total)
    return n


@kernel
def _correlation(rooms, n, p, most):
    """Of the levels with themselves p records later, pooled over p's first ``most`` multiples."""
    never_inline()
    levels, sums = rooms
    total, energy = 0.0, 0.0
    for m in range(1, max(min(most, 2 * n // (3 * p)), 1) + 1):
        total += _products(levels, n, m * p)[0]
        energy += load(sums, n - m * p) + load(sums, n) - load(sums, m * p)
    return 2.0 * total / energy if energy > 0.0 else 0.0


@kernel
def _best_of(rooms, n, middle, width, most):
    """The period within ``width`` of the middle with the highest correlation; 0: none has any."""
    never_inline()
    best, period = 0.0, 0
    for p in range(middle - width, middle + width + 1):
        found = _correlation(rooms, n, p, most)
        if found > best:
            best, period = found, p
    return period


@kernel
def _locate(past, rooms, hint, scale):
    """The period that a hint of so many records, found in blocks of ``scale``, stands for; 0: none."""
    never_inline()
    n, width = _level(past, rooms, scale, hint), max(scale, hint // 8)
    if 2 * (hint + width) > n:
        return 0
    found = _best_of(rooms, n, hint, width, _FEW)
    if found > 0:
        found = _best_of(rooms, n, found, max(found // 32, 1), _MANY)
    return found if found >= SHORTEST else 0


@kernel
def strength_of(past, rooms, p):
    """Correlation of the values, less their mean over p around them, with those p later.

    0 where that is negative, nothing moves, or fewer than two periods are known.
    """
    if p < 1 or p > _kept(past) // 2 or _level(past, rooms, _ONE, p) == 0:
        return 0.0
    return max(_correlation(rooms, _kept(past), p, _ONE), 0.0)


@kernel
def _excels(rooms, n, longer, shorter, alone):
    """Whether a longer period, whose levels are at hand, is clearly better than a shorter one.

    Its correlation is set against those one shorter period before and behind, which were as
    high if the shorter one were all, and against the shorter one's strength ``alone``.
    """
    never_inline()
    if 2 * (longer + shorter) > n:
        return False
    own = _correlation(rooms, n, longer, _ONE)
    beside = _correlation(rooms, n, longer - shorter, _ONE) + _correlation(rooms, n, longer + shorter, _ONE)
    beside = 0.5 * beside + 3.0 * (1.0 - own) / square_root(n - longer)
    clearly = own > beside + 0.03 and 1.0 - own < 0.7 * (1.0 - beside)
    return own > alone + 0.3 or (clearly and own > alone)


@kernel
def _of_many(past, rooms, p):
    """The period, or where that clearly excels, 2, 3 or 7 times as long a one."""
    never_inline()
    alone = strength_of(past, rooms, p)
    for m in (2, 3, 7):
        if CYCLES * (m * p + m // 2) > _kept(past):
            break
        n = _level(past, rooms, _ONE, m * p)
        longer = _best_of(rooms, n, m * p, m // 2, _FEW) if n > 0 else 0
        if longer > 0 and _excels(rooms, n, longer, p, alone):
            p, alone = longer, strength_of(past, rooms, longer)
    return p


@kernel
def _shorter_unless(past, rooms, former, other):
    """The shorter of two periods unless the longer excels; the former where they hardly differ."""
    never_inline()
    if former == 0:
        return other
    shorter, longer = min(former, other), max(former, other)
    if 2 * longer < 3 * shorter:
        return former
    alone = strength_of(past, rooms, shorter)
    n = _level(past, rooms, _ONE, longer)
    return longer if _excels(rooms, n, longer, shorter, alone) else shorter


@kernel
def search(past, scratch):
    """(evidence, period, strength) of the season in the ring; zeros: none."""
    never_inline()
    rooms, (values, x, t, rho) = rooms_in(scratch, past[2])
    n, scale = _unroll(past, values), _ONE
    evidence, best, known = 0.0, _NONE, _NONE
    while n >= _LEAST_BLOCKS:
        kept = min(n, BLOCKS) - 1
        for i in range(kept):
            store(x, i, load(values, n - kept + i) - load(values, n - kept + i - 1))
        energy = _prepare(x, kept)
        found, lag = _strongest(x, kept, energy, t, rho) if energy > 0.0 else (0.0, 0)
        hint = lag * scale
        if lag > 0 and abs(hint - known) <= scale:
            evidence = max(evidence, found)
        elif lag > 0:
            former, other = best, _locate(past, rooms, hint, scale)
            if other > 0:
                best = _shorter_unless(past, rooms, best, _of_many(past, rooms, other))
            if best != former:
                evidence, known = found, other
        n, scale = n // 2, 2 * scale
        for i in range(n):
            store(values, i, 0.5 * (load(values, 2 * i) + load(values, 2 * i + 1)))
    strength = strength_of(past, rooms, best) if best > 0 else 0.0
    return (evidence, best, strength) if strength >= WEAKEST else (0.0, 0, 0.0)
