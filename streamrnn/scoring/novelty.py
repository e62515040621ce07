"""Evidence from memory: how far something is from everything like it that was seen.

A memory holds *codes*: values (or pairs of them) that were further than ``NEW`` from
every code before. Novelty is the distance to the nearest code, each dimension in units
of its range so far. Where novelty is frequent it says little, so it is discounted by
1 / (1 + .07 r), r a count of recent novelties that decays with memory tau.

A memory has room for so many codes. When one of values is full, it leaves out those that
another covers at the present range, which may have grown: at most 1 / ``NEW`` are left. When one
of pairs is full, a new code takes the place of the one nearest to it: what is covered stays
covered, at a coarser grain.
"""

from __future__ import annotations

from math import sqrt as square_root

import numpy as np

from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.vector import (
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
)

NEW = 0.01  # of the range: from here on something is new
_DISCOUNT = 0.07
KEEP = 0.9995001249791693  # exp(-1 / 2000): of a count of recent ones, where nothing else is said
_FLOOR = 1e-6  # of the largest magnitude: the least range
FARTHEST = 1e9

# float64 of a memory of single values: these, then sorted codes
(COUNT, LOW, HIGH, RECENT, RECENT_LATE, MEAN) = range(6)
CODES = 8
VALUE_CODES = 104  # more than 1 / NEW, so that leaving out makes room
VALUES = CODES + VALUE_CODES

# A memory of pairs: these as float64, then room for the search, then as float32 the codes of the
# first members, then of the second.
(PAIR_COUNT, LOW_1, HIGH_1, LOW_2, HIGH_2, PAIR_RECENT, LAST, BEFORE_LAST) = range(8)
_FIRST = 2 * CODES + 16  # in float32
NOWHERE = 1e18  # codes that are not there yet


def pairs_size(room: int) -> int:
    """Float64 of a memory of so many pairs, a multiple of 16."""
    return _FIRST // 2 + room


size_of_pairs = inlined(pairs_size)


@inlined
def _place(codes, count, value):
    """How many of the sorted codes are below a value."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if load(codes, middle) < value:
            low = middle + 1
        else:
            high = middle
    return low


@inlined
def _widen(memory, low, high, value, first):
    """Let a range take in a value."""
    store(memory, low, value if first else min(load(memory, low), value))
    store(memory, high, value if first else max(load(memory, high), value))


@kernel
def _thin(codes, count, apart):
    """Keep of the sorted codes those that are further than ``apart`` from the kept one below; how many."""
    never_inline()
    kept = 1
    for i in range(1, count):
        if load(codes, i) - load(codes, kept - 1) > apart:
            store(codes, kept, load(codes, i))
            kept += 1
    return kept


@kernel
def observe_value(memory, value, magnitude):
    """Novelty of a value, 0 up; the memory learns it. The first value is no novelty.

    ``magnitude`` is the largest that the channel has shown, in units of the value.
    """
    never_inline()
    count = int(load(memory, COUNT))
    codes = shift(memory, CODES)
    _widen(memory, LOW, HIGH, value, count == 0)
    i = _place(codes, count, value)
    distance = 0.0
    if count > 0:
        distance = abs(load(codes, i if i < count else count - 1) - value)
        if i > 0:
            distance = min(distance, value - load(codes, i - 1))
        width = load(memory, HIGH) - load(memory, LOW) + _FLOOR * magnitude
        distance = min(distance / width, FARTHEST) if distance > 0.0 else 0.0
    if count > 0 and distance <= NEW:
        return distance
    if count == VALUE_CODES:
        count = _thin(codes, count, NEW * (load(memory, HIGH) - load(memory, LOW)))
        i = _place(codes, count, value)
    for j in range(count, i, -1):
        store(codes, j, load(codes, j - 1))
    store(codes, i, value)
    store(memory, COUNT, count + 1.0)
    return distance


@inlined
def _squares(codes, room, first, second, scales, i):
    """Squared distances of ``lanes`` codes from a pair."""
    a = (splat(codes, first) - load_vector(codes, _FIRST + i)) * scales[0]
    b = (splat(codes, second) - load_vector(codes, _FIRST + room + i)) * scales[1]
    return fma(a, a, b * b)


@inlined
def _nearest_pair(codes, room, count, first, second, scales):
    """The smallest squared distance of a pair from the codes."""
    found = shift(codes, 2 * CODES)
    best = splat(codes, NOWHERE)
    for i in range(0, count, lanes(codes)):
        best = smaller(_squares(codes, room, first, second, scales, i), best)
    store_vector(found, 0, best)
    least = load(found, 0)
    for j in range(1, lanes(codes)):
        least = min(least, load(found, j))
    return least


@inlined
def _place_of_nearest(codes, room, first, second, scales):
    """The place of the code nearest to a pair, in a full memory."""
    best, at = load(codes, _FIRST) * 0 + NOWHERE, 0
    for i in range(room):
        a = (first - load(codes, _FIRST + i)) * scales[0]
        b = (second - load(codes, _FIRST + room + i)) * scales[1]
        squared = a * a + b * b
        if squared < best:
            best, at = squared, i
    return at


@kernel
def observe_pair(memory, codes, room, first, second):
    """Novelty of a pair of scaled values, 0 up: the root mean square over both; the memory learns it.

    ``codes`` is the memory again, as float32, with ``room`` for so many, a multiple of 16: all
    are searched at each record, and a hundredth of the range needs no more digits.
    """
    never_inline()
    count = int(load(memory, PAIR_COUNT))
    _widen(memory, LOW_1, HIGH_1, first, count == 0)
    _widen(memory, LOW_2, HIGH_2, second, count == 0)
    width_1 = load(memory, HIGH_1) - load(memory, LOW_1) + _FLOOR * (1.0 + abs(first))
    width_2 = load(memory, HIGH_2) - load(memory, LOW_2) + _FLOOR * (1.0 + abs(second))
    scales = (np.float32(1.0 / width_1), np.float32(1.0 / width_2))
    a, b = np.float32(first), np.float32(second)
    distance = 0.0
    if count > 0:
        distance = square_root(0.5 * float(_nearest_pair(codes, room, count, a, b, scales)))
    if count == 0 or distance > NEW:
        place = count
        if count < room:
            store(memory, PAIR_COUNT, count + 1.0)
        else:
            place = _place_of_nearest(codes, room, a, b, scales)
        store(codes, _FIRST + place, a)
        store(codes, _FIRST + room + place, b)
    return distance


@inlined
def discounted(novelty, recent):
    """Novelty where so much of it was seen of late."""
    return novelty / (1.0 + _DISCOUNT * recent)


@inlined
def counted(novelty, recent, keep):
    """The decaying count of novelties after one more record; ``keep`` = exp(-1 / tau)."""
    return recent * keep + (1.0 if novelty > NEW else 0.0)
