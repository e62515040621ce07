"""Memories of novelty beside their twins, also when they are full."""

from __future__ import annotations

import numpy as np
import pytest
from naive_evidence import Memory

from streamrnn.kernels.compiling import entry_point
from streamrnn.kernels.vector import float32_at, float64_at, load, store
from streamrnn.scoring import novelty
from streamrnn.space import address, aligned_bytes


@entry_point
def observe_values(memory, values, found, n):
    for i in range(n):
        value = load(float64_at(values), i)
        store(float64_at(found), i, novelty.observe_value(float64_at(memory), value, 1.0))


@entry_point
def observe_pairs(memory, room, values, found, n):
    for i in range(n):
        first, second = load(float64_at(values), 2 * i), load(float64_at(values), 2 * i + 1)
        distance = novelty.observe_pair(float64_at(memory), float32_at(memory), room, first, second)
        store(float64_at(found), i, distance)


def growing(n, columns):
    """A walk whose range grows a hundredfold, so that early codes lie close at the end."""
    rng = np.random.default_rng(2)
    return rng.normal(size=(n, columns)) * np.geomspace(0.01, 1.0, n)[:, None]


def test_a_memory_of_values_finds_what_its_twin_finds_though_its_range_grows():
    values, found = growing(3000, 1), np.zeros(3000)
    memory = aligned_bytes(8 * novelty.VALUES)
    observe_values(address(memory), address(values), address(found), len(values))
    twin = Memory(novelty.VALUE_CODES, novelty.KEEP)
    expected = [twin.observe(value, np.ones(1)) for value in values]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    kept = memory.view(np.float64)
    codes = kept[novelty.CODES :][: int(kept[novelty.COUNT])]
    assert np.array_equal(codes, np.sort(codes))
    assert np.array_equal(codes, np.sort([code[0] for code in twin.codes]))


def test_more_room_than_the_range_has_places_would_find_nothing_else():
    """1 / NEW codes cover every range: what is left out changes a distance by a hundredth at most."""
    values, found = growing(3000, 1), np.zeros(3000)
    memory = aligned_bytes(8 * novelty.VALUES)
    observe_values(address(memory), address(values), address(found), len(values))
    roomy = Memory(3000, novelty.KEEP)
    expected = np.array([roomy.observe(value, np.ones(1)) for value in values])
    assert np.abs(found - expected).max() <= novelty.NEW
    assert len(roomy.codes) > novelty.VALUE_CODES


@pytest.mark.parametrize("room", [32, 1024])
def test_a_memory_of_pairs_finds_what_its_twin_finds_also_when_it_is_full(room):
    values, found = growing(1500, 2), np.zeros(1500)
    memory = aligned_bytes(8 * novelty.pairs_size(room))
    memory.view(np.float32)[2 * novelty.CODES :] = novelty.NOWHERE
    observe_pairs(address(memory), room, address(values), address(found), len(values))
    twin = Memory(room, novelty.KEEP)
    expected = [twin.observe(pair, 1.0 + np.abs(pair)) for pair in values]
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)
