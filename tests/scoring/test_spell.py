"""Spells of detections: when what was learned is kept, and when it is put back."""

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
def _spells(state, inputs, columns, n):
    """What ``step.py`` asks of spells, record by record."""
    detected, surprises, shut = inputs
    due, adopted = columns
    for i in range(n):
        spell.end_if_calm(float64_at(state))
        surprise = load(float64_at(surprises), i)
        adopts = spell.go_on(float64_at(state), load(int64_at(detected), i) > 0, False, surprise)
        store(int64_at(adopted), i, adopts)
        store(int64_at(due), i, spell.settle(float64_at(state), load(float64_at(shut), i) > 0.0, True))


def spells(detected, surprises, shut):
    """(2, n): what is due with what was learned, whether the spell is adopted."""
    state, columns = np.array(spell.initial_state()), np.empty((2, len(detected)), np.int64)
    addresses = tuple(column.ctypes.data for column in columns)
    inputs = (detected.ctypes.data, surprises.ctypes.data, shut.ctypes.data)
    _spells(state.ctypes.data, inputs, addresses, len(detected))
    return columns


def stream(*starts, length=LONG, n=30_000, strength=7.0, shut_for=0, every=10):
    """Detections now and then for a while from each start; the gate stays shut a little longer."""
    detected, shut = np.zeros(n, np.int64), np.zeros(n)
    for start in starts:
        detected[start : start + length : every] = 1
        shut[start : start + length + shut_for] = 1.0
    return detected, np.where(detected > 0, strength, 0.3), shut


def records(due, *starts, **options):
    """Records at which something is due."""
    return np.flatnonzero(spells(*stream(*starts, **options))[0] == due)


def backs(*starts, **options):
    return records(spell.PUT_BACK, *starts, **options)


@pytest.mark.parametrize("length", [1, 50, LONG, 700])
@pytest.mark.parametrize("strength", [2.5, 3.0])
@pytest.mark.parametrize("shut_for", [0, 30, 5000])
def test_spells_equal_the_twin(length, strength, shut_for):
    columns = stream(FIRST, 1200, 3000, 14_000, length=length, strength=strength, shut_for=shut_for)
    twin, expected = naive_scoring.Spell(), []
    for hit, surprise, shut in zip(*columns, strict=True):
        twin.end_if_calm()
        adopts = twin.go_on(bool(hit), False, surprise)
        expected.append((twin.settle(bool(shut)), adopts))
    np.testing.assert_array_equal(spells(*columns), np.array(expected).T)


def test_after_a_long_spell_what_was_learned_is_put_back_and_after_a_short_or_lasting_one_not():
    (back,) = backs(FIRST)
    assert FIRST + LONG < back <= FIRST + LONG + 20
    assert len(backs(FIRST, length=50)) == 0
    assert len(backs(FIRST, length=700)) == 0


def test_after_a_weak_spell_or_one_that_was_seldom_odd_nothing_is_put_back_however_long_it_was():
    assert len(backs(FIRST, strength=2.5)) == 0
    assert len(backs(FIRST, every=19)) == 1
    assert len(backs(FIRST, every=20, length=141)) == 1
    assert len(backs(FIRST, every=20, length=140)) == 0


def test_nothing_is_put_back_while_values_are_off_the_anchored_normal_nor_long_after():
    (back,) = backs(FIRST, shut_for=60)
    assert back == FIRST + LONG + 60
    assert len(backs(FIRST, shut_for=5000)) == 0


def test_nothing_is_put_back_before_something_was_kept():
    assert len(backs(0)) == 0
    assert len(backs(50, 12_000)) == 1


def test_what_was_learned_is_kept_often_but_neither_in_a_spell_nor_soon_after_it():
    kept = records(spell.KEEP, FIRST, n=3000)
    before, after = kept[kept < FIRST], kept[kept >= FIRST]
    assert len(before) >= 4
    assert np.diff(before).min() == spell._EVERY
    assert after.min() >= FIRST + LONG + spell._CALM - 10


def test_a_fault_in_two_spells_is_put_back_once_both_are_over():
    """The second begins before any record looks usual."""
    columns = stream(FIRST, FIRST + 200, n=5000)
    columns[1][FIRST : FIRST + 200] = 7.0
    (back,) = np.flatnonzero(spells(*columns)[0] == spell.PUT_BACK)
    assert FIRST + 200 + LONG < back <= FIRST + 200 + LONG + 20


def test_what_is_taken_back_stays_rare():
    """Else a stream with a spell now and then would have more detections than were asked for."""
    rare = FIRST + LONG + 20 + int(anchor.ADOPTED)
    assert len(backs(FIRST, rare)) == 2
    assert len(backs(FIRST, rare - 500)) == 1
    assert len(backs(*range(FIRST, 30_000, 1000))) == 1
    weak = [
        np.maximum(one, other) for one, other in zip(stream(FIRST, strength=2.5), stream(5000), strict=True)
    ]
    assert len(np.flatnonzero(spells(*weak)[0] == spell.PUT_BACK)) == 0
