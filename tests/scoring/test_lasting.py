"""Evidence of what lasts, flat lines and unrest, against plain twins; and what it does not hear."""

from __future__ import annotations

import naive_lasting
import numpy as np
import pytest
from support import test_kernel

from streamrnn.kernels.vector import float64_at, load, store
from streamrnn.scoring import flatline, unrest

N = 6000


@test_kernel
def _flat(state, values, found, n):
    for i in range(n):
        last = load(float64_at(values), i - 1) if i > 0 else 0.0
        store(float64_at(found), i, flatline.observe(float64_at(state), load(float64_at(values), i), last))


@test_kernel
def _restless(state, errors, found, channels, n):
    for i in range(n):
        error = load(float64_at(errors), i)
        store(float64_at(found), i, unrest.observe(float64_at(state), error, 1.0, channels))


def flat(values):
    values, found = np.ascontiguousarray(values, np.float64), np.empty(len(values))
    state = np.zeros(flatline.STATE)
    _flat(state.ctypes.data, values.ctypes.data, found.ctypes.data, len(values))
    return found


def restless(errors, channels=1):
    errors, found = np.ascontiguousarray(errors, np.float64), np.empty(len(errors))
    state = np.zeros(unrest.STATE)
    _restless(state.ctypes.data, errors.ctypes.data, found.ctypes.data, channels, len(errors))
    return found


def noise(seed=0, n=N):
    return np.random.default_rng(seed).normal(size=n)


def stuck(decimals, at=3000, n=200):
    values = noise().round(decimals)
    values[at : at + n] = values[at]
    return values


def resting(at=5000, n=90):
    """Half of the records are in rests of some 4 to 30, one rest is of n."""
    values, rng = noise(), np.random.default_rng(1)
    for start in range(0, N, 34):
        values[start : start + rng.integers(4, 30)] = values[start]
    values[at : at + n] = values[at]
    return values


@pytest.mark.parametrize(
    "values", [stuck(2), stuck(0), np.zeros(500), stuck(2) * 1e80, np.r_[stuck(2), stuck(1)], resting()]
)
def test_evidence_of_a_flat_line_equals_the_twins(values):
    twin = naive_lasting.FlatLine()
    expected = [
        twin.observe(value, last) for value, last in zip(values, np.r_[0.0, values[:-1]], strict=True)
    ]
    np.testing.assert_allclose(flat(values), expected, rtol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e60, 0.0])
@pytest.mark.parametrize("channels", [1, 38])
def test_evidence_of_unrest_equals_the_twins(scale, channels):
    errors = noise() * scale
    errors[2500:2800] *= 3.0
    errors[4000:] *= 0.3
    errors[2000] *= 1e6
    twin = naive_lasting.Unrest()
    expected = [twin.observe(error, 1.0, channels) for error in errors]
    found = restless(errors, channels)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)
    assert found.any() == (scale >= 1.0)  # an error of a thousandth of the channel's deviation is none


def test_a_stuck_sensor_is_evidence_after_a_few_records_and_until_it_moves():
    found = flat(stuck(2))
    assert not found[:3003].any()
    assert found[3006:3200].all()
    assert not found[3200:].any()


def test_a_channel_that_often_rests_is_no_evidence_where_it_does():
    values = noise().round(2)
    for at in range(200, N, 400):
        values[at : at + 150 + at % 7] = values[at]  # every night
    assert not flat(values)[800:].any()  # the first two nights are odd


def test_a_long_rest_counts_by_how_often_a_rest_went_on():
    """If repeats were independent, 90 of them would be evidence of 60 at a share of a half."""
    found = flat(resting())
    assert not found[1000:5050].any()
    assert 3.0 < found[5088] < 8.0
    assert flat(resting(n=300))[5299] > 10.0


def test_a_second_stuck_sensor_is_found_as_the_first_was():
    values = stuck(2)
    values[3600:3800] = values[3600]
    assert flat(values)[3612:3800].all()


def test_a_deviation_that_doubles_is_evidence_within_200_records():
    errors = noise()
    errors[4000:] *= 2.0
    found = restless(errors)
    assert not found[:4000].any()
    assert found[4000:4200].any()


def test_a_channel_that_becomes_quieter_is_none():
    errors = noise()
    errors[4000:] *= 0.5
    assert not restless(errors).any()


def test_a_variance_that_always_changes_and_a_spike_are_no_evidence():
    errors = noise()
    errors[3000] = 1000.0
    assert not restless(errors).any()
    bursts = noise() * np.where(np.arange(N) // 250 % 2, 3.0, 1.0)
    assert (restless(bursts)[3000:] > 0.0).mean() < 0.01


def test_an_excursion_is_remembered_when_it_is_over_and_fades():
    twin = naive_lasting.Excursion()
    assert [twin.observe(value, 6.0) > 0 for value in (5.0, 20.0, 4.0, 2.0)] == [False, True, True, False]
    twin.observe(0.0, 6.0)
    assert twin.remembered == pytest.approx(6.0, rel=1e-2)
    assert [twin.observe(value, 6.0) > 0 for value in (8.0, 9.5, 0.0)] == [False, True, False]
    assert twin.remembered == pytest.approx(9.5)  # as high as the one before: a habit
