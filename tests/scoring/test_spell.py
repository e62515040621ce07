"""Spells of detections: when the tail's trackers go back to where they were."""

from __future__ import annotations

import naive_scoring
import numpy as np
import pytest
from support import test_kernel

from streamrnn.kernels.vector import float64_at, int64_at, load, store
from streamrnn.scoring import anchor, spell

LONG = 150
FIRST = 1000


@test_kernel
def _spells(state, detected, surprises, columns, n):
    """What ``step.py`` asks of spells, record by record."""
    back, kept, adopted = columns
    for i in range(n):
        spell.end_if_calm(float64_at(state))
        store(int64_at(back), i, spell.recovers(float64_at(state), load(float64_at(surprises), i)))
        begins, adopts = spell.go_on(float64_at(state), load(int64_at(detected), i) > 0, False)
        store(int64_at(kept), i, begins)
        store(int64_at(adopted), i, adopts)


def spells(detected, surprises):
    """(3, n) of 0 and 1: trackers go back, are kept, the spell is adopted."""
    state, columns = np.zeros(spell.STATE), np.empty((3, len(detected)), np.int64)
    addresses = tuple(column.ctypes.data for column in columns)
    _spells(state.ctypes.data, detected.ctypes.data, surprises.ctypes.data, addresses, len(detected))
    return columns


def stream(*starts, length=LONG, n=30_000):
    """Detections in every tenth record for a while, from each start on; a surprise of 4, else of .3."""
    detected = np.zeros(n, np.int64)
    for start in starts:
        detected[start : start + length : 10] = 1
    return detected, np.where(detected > 0, 4.0, 0.3)


def backs(*starts, **options):
    """Records at which the trackers go back."""
    return np.flatnonzero(spells(*stream(*starts, **options))[0])


@pytest.mark.parametrize("length", [1, 50, LONG, 700])
def test_spells_equal_the_twin(length):
    detected, surprises = stream(FIRST, 3000, 14_000, length=length)
    twin, expected = naive_scoring.Spell(), []
    for hit, surprise in zip(detected, surprises, strict=True):
        twin.end_if_calm()
        expected.append((twin.recovers(surprise), *twin.go_on(bool(hit), False)))
    np.testing.assert_array_equal(spells(detected, surprises), np.array(expected).T)


def test_after_a_long_spell_the_trackers_go_back_and_after_a_short_or_lasting_one_not():
    assert len(backs(FIRST)) == 1
    assert FIRST + LONG < backs(FIRST)[0] <= FIRST + LONG + 20
    assert len(backs(FIRST, length=50)) == 0
    assert len(backs(FIRST, length=700)) == 0


def test_what_is_taken_back_stays_rare():
    """Else a stream with a spell now and then would have more detections than were asked for."""
    rare = FIRST + LONG + 20 + int(anchor.ADOPTED)
    assert len(backs(FIRST, rare)) == 2
    assert len(backs(FIRST, rare - 500)) == 1
    assert len(backs(*range(FIRST, 30_000, 1000))) == 1
