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
    detected, surprises, shut, back = inputs
    due, adopted = columns
    for i in range(n):
        spell.end_if_calm(float64_at(state))
        surprise = load(float64_at(surprises), i)
        adopts = spell.go_on(float64_at(state), load(int64_at(detected), i) > 0, False, surprise)
        store(int64_at(adopted), i, adopts)
        closed, small = load(float64_at(shut), i) > 0.0, load(float64_at(back), i) > 0.0
        store(int64_at(due), i, spell.settle(float64_at(state), closed, small))


def spells(detected, surprises, shut, back):
    """(2, n): what is due with what was learned, whether the spell is adopted."""
    state, columns = np.array(spell.initial_state()), np.empty((2, len(detected)), np.int64)
    inputs = tuple(column.ctypes.data for column in (detected, surprises, shut, back))
    _spells(state.ctypes.data, inputs, tuple(column.ctypes.data for column in columns), len(detected))
    return columns


def stream(*starts, length=LONG, n=30_000, strength=7.0, shut_for=0, large_for=0, every=10):
    """Detections now and then for a while from each start; gate and errors take a little longer."""
    detected, shut, back = np.zeros(n, np.int64), np.zeros(n), np.ones(n)
    for start in starts:
        detected[start : start + length : every] = 1
        shut[start : start + length + shut_for] = 1.0
        back[start : start + length + large_for] = 0.0
    return detected, np.where(detected > 0, strength, 0.3), shut, back


def records(due, *starts, **options):
    """Records at which something is due."""
    return np.flatnonzero(spells(*stream(*starts, **options))[0] == due)


def backs(*starts, **options):
    return records(spell.PUT_BACK, *starts, **options)


@pytest.mark.parametrize("length", [1, 22, 50, LONG, 700])
@pytest.mark.parametrize("strength", [2.5, 3.0, 4.1, 7.0])
@pytest.mark.parametrize("shut_for", [0, 30, 5000])
@pytest.mark.parametrize("large_for", [0, 400, 700])
def test_spells_equal_the_twin(length, strength, shut_for, large_for):
    longer = {"shut_for": shut_for, "large_for": large_for}
    columns = stream(FIRST, 1200, 3000, 14_000, length=length, strength=strength, **longer)
    twin, expected = naive_scoring.Spell(), []
    for hit, surprise, shut, back in zip(*columns, strict=True):
        twin.end_if_calm()
        adopts = twin.go_on(bool(hit), False, surprise)
        expected.append((twin.settle(bool(shut), bool(back)), adopts))
    np.testing.assert_array_equal(spells(*columns), np.array(expected).T)


def test_after_a_fault_what_was_learned_is_put_back_and_after_a_short_or_lasting_spell_not():
    (back,) = backs(FIRST)
    assert FIRST + LONG < back <= FIRST + LONG + 20
    assert len(backs(FIRST, length=22, strength=12.0)) == 1
    assert len(backs(FIRST, length=20, strength=12.0)) == 0
    assert len(backs(FIRST, length=700)) == 0


def test_a_brief_spell_is_a_fault_where_its_surprises_have_12_over_3():
    three = {"length": 31, "every": 15}
    assert len(backs(FIRST, strength=6.9, **three)) == 0
    assert len(backs(FIRST, strength=7.0, **three)) == 1


def test_a_weak_spell_is_a_fault_where_it_is_long_and_often_odd():
    assert len(backs(FIRST, strength=2.5)) == 0
    assert len(backs(FIRST, strength=3.0, every=19)) == 1
    assert len(backs(FIRST, strength=3.0, every=20, length=141)) == 1
    assert len(backs(FIRST, strength=3.0, every=20, length=140)) == 0


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


def test_errors_are_waited_for_until_they_are_as_small_as_before_but_not_for_ever():
    (back,) = backs(FIRST, large_for=450)
    assert back == FIRST + LONG + 450
    assert len(backs(FIRST, large_for=600)) == 0


def test_clear_faults_are_put_back_once_in_3000_records_three_saved_up():
    """Else a stream with a fault now and then would have more detections than were asked for."""
    rarity = int(spell._CLEAR_RARE)
    three = (FIRST, FIRST + 900, FIRST + 1800)
    assert len(backs(*three, three[-1] + 1000)) == 3
    assert len(backs(*three, three[-1] + 1500)) == 4
    assert len(backs(*range(FIRST, 30_000 - LONG, 900))) == 3
    assert len(backs(*range(FIRST, 30_000 - LONG, rarity))) == 10


def test_weak_faults_are_put_back_once_in_10_000_records():
    rare = FIRST + LONG + 20 + int(anchor.ADOPTED)
    assert len(backs(FIRST, rare, strength=3.0)) == 2
    assert len(backs(FIRST, rare - 500, strength=3.0)) == 1
    assert len(backs(*range(FIRST, 30_000, 1000), strength=3.0)) == 1


@pytest.mark.parametrize(("strength", "put_back"), [(3.0, 0), (7.0, 1)])
def test_a_long_spell_that_was_hardly_odd_keeps_only_a_weak_fault_from_being_put_back(strength, put_back):
    one, other = stream(FIRST, strength=2.5), stream(3000, strength=strength)
    detected, surprises, shut = (np.maximum(a, b) for a, b in zip(one[:3], other[:3], strict=True))
    due = spells(detected, surprises, shut, np.minimum(one[3], other[3]))[0]
    assert len(np.flatnonzero(due == spell.PUT_BACK)) == put_back
