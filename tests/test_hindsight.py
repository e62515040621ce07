"""A finished series read both ways: what is odd between its neighbours, and what is missing."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn.hindsight import _line, look_back
from streamrnn.pipelines.plant import Plant


def wave(n=1500, noise=0.05, seed=0):
    rng = np.random.default_rng(seed)
    return (np.sin(np.arange(n) / 4) + noise * rng.normal(size=n))[:, None]


def test_the_line_runs_between_known_neighbours_and_not_through_the_value_itself():
    nan = np.nan
    z = np.array([[1.0, nan], [9.0, nan], [3.0, 4.0], [nan, nan], [7.0, nan]])
    expected = [[9.0, 4.0], [2.0, 4.0], [8.333333333, 0.0], [5.0, 4.0], [3.0, 4.0]]
    np.testing.assert_allclose(_line(z), expected)


def test_spikes_and_dips_are_odd_and_their_neighbours_are_not():
    values = wave()
    values[[300, 901]] += 3.0
    values[600] -= 3.0
    assert np.flatnonzero(look_back(values).is_anomaly).tolist() == [300, 600, 901]


def test_of_a_curve_the_network_knows_more_than_the_line_about_what_is_missing():
    values, truth = wave(noise=0.02), wave(noise=0.0)
    holes = [slice(start, start + 5) for start in range(130, 1300, 97)]
    for hole in holes:
        values[hole] = np.nan
    found = look_back(values)
    missing = np.isnan(values)
    assert found.learned[0] and found.errors[0, 0] < 0.9 * found.errors[0, 1]
    error = np.abs(found.expected - truth)[missing].mean()
    assert error < 0.8 * np.abs(_line(values) - truth)[missing].mean()
    assert np.isnan(found.score[missing]).all() and not found.is_anomaly.any()


def test_where_the_line_is_all_there_is_to_know_it_stays():
    steps = np.random.default_rng(7).normal(size=(900, 1)).cumsum(axis=0)
    found = look_back(steps)
    assert not found.learned[0] and found.errors[0, 0] > found.errors[0, 1]
    np.testing.assert_allclose(found.expected[1:-1], 0.5 * (steps[:-2] + steps[2:]), rtol=1e-9)


def test_faults_of_a_plant_are_seen_at_both_ends_of_what_lasts():
    plant = Plant(sensors=1, channels=1, seed=3, start=0, step=60_000_000_000, every=1000)
    odd = np.flatnonzero(look_back(plant.block(0, 9000).values[:, 0]).is_anomaly)
    near = np.zeros(9000, bool)
    for fault in plant.faults(0, 9000):
        near[max(fault.first - 2, 0) : fault.last + 3] = True
        if fault.kind in ("spike", "dip", "level shift"):
            assert np.any(np.abs(odd - fault.first) <= 2) and np.any(np.abs(odd - fault.last) <= 2), fault
    assert near[odd].all()


def test_both_sides_are_heard_and_the_seed_decides_everything():
    values = wave(700)
    first, again = look_back(values), look_back(values)
    assert np.array_equal(first.expected, again.expected)
    other = values.copy()
    other[401] += 0.5
    changed = look_back(other).expected[400] != first.expected[400]
    assert changed.all()  # one record before what changed: not causal


@pytest.mark.parametrize(
    "values",
    [
        np.full((3, 2), np.nan),
        np.zeros((1, 1)),
        np.full((800, 1), 7.0),
        np.array([[1.0, np.nan], [np.inf, np.nan], [-1e308, np.nan], [1e308, 2.0]]),
        np.where(np.arange(800) % 7 == 0, np.nan, 1e12)[:, None],
    ],
    ids=["nothing", "one", "constant", "absurd", "huge"],
)
def test_odd_series_stay_finite_and_raise_no_alarm(values):
    found = look_back(values)
    known = ~np.isnan(values).all(axis=0)
    assert np.isfinite(found.expected[:, known]).all() and np.isnan(found.expected[:, ~known]).all()
    assert not found.is_anomaly.any()


def test_scaling_by_a_power_of_two_changes_no_score():
    values = wave(700)
    values[350] += 3.0
    assert np.array_equal(look_back(values).score, look_back(1024.0 * values).score, equal_nan=True)
