"""The scaler against its plain twin, and what no value may do to it."""

from __future__ import annotations

import naive_scoring
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import test_kernel

from streamrnn import Batch, Fleet
from streamrnn.initial import initial_row
from streamrnn.kernels import plan, scaler
from streamrnn.kernels.vector import float64_at, int64_at, load, store
from streamrnn.layout import ModelLayout
from streamrnn.settings import Settings


@test_kernel
def _learn(model, row, d, values, scaled, n):
    """Scale each value as the channel stood before it, then learn it."""
    table = int64_at(model)
    source, out = float64_at(values), float64_at(scaled)
    mean, variance = (
        float64_at(row + load(table, plan.MODEL_MEAN)),
        float64_at(row + load(table, plan.MODEL_VARIANCE)),
    )
    magnitude = float64_at(row + load(table, plan.MODEL_MAGNITUDE))
    for i in range(n):
        value = load(source, i)
        scale = scaler.scale_of(load(variance, d), load(magnitude, d))
        store(out, i, scaler.to_scaled(value, load(mean, d), scale))
        if scaler.usable(value):
            scaler.learn_scale(model, row, d, value)


@test_kernel
def there_and_back(value, mean, scale):
    u = scaler.to_scaled(value, mean, scale)
    return u, scaler.from_scaled(u, mean, scale)


class Channels:
    """The scalers of a model."""

    def __init__(self, n=1):
        self.layout = ModelLayout(Settings(channels=[f"c{i}" for i in range(n)]))
        self.row = initial_row(self.layout)

    def learn(self, values, d=0):
        """Learn values; each, scaled as it came."""
        values = np.ascontiguousarray(values, np.float64)
        scaled = np.empty_like(values)
        addresses = (self.layout.table.ctypes.data, self.row.ctypes.data)
        _learn(*addresses, d, values.ctypes.data, scaled.ctypes.data, len(values))
        return scaled

    def state(self, d=0):
        """(mean, variance, magnitude) of a channel."""
        names = ("mean", "variance", "magnitude")
        return np.array([self.layout.segment(self.row, name, np.float64)[d] for name in names])


def by_twin(values):
    twin, scaled = naive_scoring.Scaler(), []
    for value in values:
        scaled.append(twin.scaled(value))
        twin.learn(value)
    return np.array(scaled), np.array([twin.mean, twin.variance, twin.magnitude])


STREAMS = {
    "normal": lambda rng: rng.normal(20.0, 3.0, 6000),
    "heavy": lambda rng: rng.standard_cauchy(6000),
    "drifting": lambda rng: np.cumsum(rng.normal(size=6000)),
    "constant": lambda rng: np.full(200, 7.5),
    "zeros, then not": lambda rng: np.concatenate([np.zeros(40), rng.normal(size=200)]),
    "on and off": lambda rng: rng.choice([0.0, 1.0], 500),
    "spikes": lambda rng: rng.normal(size=3000) + 1e6 * (rng.random(3000) < 0.01),
    "huge": lambda rng: 1e99 * rng.normal(size=300),
    "tiny": lambda rng: 1e-100 * rng.normal(size=300),
}


@pytest.mark.parametrize("name", STREAMS)
def test_scaled_values_and_state_equal_the_twin(name):
    values = STREAMS[name](np.random.default_rng(0))
    channels = Channels()
    scaled, (expected, state) = channels.learn(values), by_twin(values)
    assert np.array_equal(np.isnan(scaled), np.arange(len(values)) < scaler.WINDOW)
    np.testing.assert_allclose(scaled, expected, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(channels.state(), state, rtol=1e-10)


def test_the_first_values_give_median_and_median_absolute_deviation():
    rng = np.random.default_rng(1)
    for _ in range(50):
        values = rng.normal(size=scaler.WINDOW) * 10.0 ** rng.integers(-5, 6)
        channels = Channels()
        channels.learn(values)
        mean, variance, _ = channels.state()
        spread = np.median(np.abs(values - np.median(values))) * 1.4826
        assert mean == pytest.approx(np.median(values), rel=1e-14, abs=0)
        assert np.sqrt(variance) == pytest.approx(spread, rel=1e-12)


def test_seven_wild_values_of_the_first_sixteen_do_not_matter():
    values = np.random.default_rng(2).normal(5.0, 1.0, scaler.WINDOW)
    values[:7] = [1e90, -1e90, 1e50, 3e20, 1e60, 1e70, -1e80]
    channels = Channels()
    channels.learn(values)
    mean, variance, _ = channels.state()
    assert 3.0 < mean < 7.0
    assert 0.1 < np.sqrt(variance) < 20.0


def test_one_absurd_value_does_not_blind_the_channel():
    rng = np.random.default_rng(3)
    channels = Channels()
    channels.learn(rng.normal(size=1000))
    before = channels.state()
    channels.learn([1e100])
    mean, variance, magnitude = channels.state()
    assert abs(mean - before[0]) < 0.05
    assert np.sqrt(variance) < 1.6 * np.sqrt(before[1])
    assert magnitude < 100.0


@pytest.mark.parametrize("shift", [100.0, 1e4, 1e8])
def test_a_channel_that_has_changed_for_good_is_itself_again_after_some_hundred_values(shift):
    rng = np.random.default_rng(8)
    channels = Channels()
    channels.learn(rng.normal(size=5000))
    scaled = channels.learn(shift + rng.normal(size=4000))
    assert scaled[0] > 5.0
    assert np.abs(scaled[300:]).max() < 3.0
    assert np.abs(scaled[-1]) < 1.0


@given(k=st.integers(-300, 200), name=st.sampled_from(["normal", "heavy", "on and off", "spikes"]))
@settings(max_examples=30)
def test_a_power_of_two_changes_no_bit_of_a_scaled_value(k, name):
    """Invariant 9; within magnitudes from 1e-100 to 1e100."""
    values = STREAMS[name](np.random.default_rng(4))[:400]
    one, other = Channels(), Channels()
    assert np.array_equal(one.learn(values), other.learn(values * 2.0**k), equal_nan=True)
    factors = 2.0**k, 4.0**k, 2.0**k
    assert np.array_equal(one.state() * factors, other.state())


def test_what_is_no_measurement_is_neither_learned_nor_counted():
    rng = np.random.default_rng(5)
    values = rng.normal(size=300)
    one, other = Channels(), Channels()
    one.learn(values)
    bad = np.array([np.nan, np.inf, -np.inf, 1.01e100, -1e308])
    other.learn(np.insert(values, [0, 3, 16, 100, 250], bad))
    assert np.array_equal(one.row, other.row)


def test_channels_learn_apart():
    rng = np.random.default_rng(6)
    values = rng.normal(size=(100, 3)) * [1.0, 100.0, 1e-3]
    together = Channels(3)
    for row in values:
        for d in range(3):
            together.learn(row[d : d + 1], d)
    for d in range(3):
        alone = Channels()
        alone.learn(values[:, d])
        assert np.array_equal(together.state(d), alone.state())


def test_only_zeros_have_no_scale_and_anything_else_is_as_far_as_can_be():
    channels = Channels()
    scaled = channels.learn([0.0] * 30 + [-1e-50, 0.0])
    assert np.all(scaled[scaler.WINDOW : 30] == 0.0)
    assert scaled[30] == pytest.approx(-np.arcsinh(scaler.FARTHEST), rel=1e-14)
    assert np.isfinite(channels.state()).all()


def test_scaling_goes_there_and_back():
    rng = np.random.default_rng(7)
    for value in rng.normal(size=100) * 10.0 ** rng.integers(-3, 5, 100):
        u, back = there_and_back(value, 3.0, 0.5)
        assert u == pytest.approx(np.arcsinh((value - 3.0) / 0.5), rel=1e-13, abs=1e-15)
        assert back == pytest.approx(value, rel=1e-12, abs=1e-14)


def test_scaled_values_are_bounded_and_nan_without_a_scale():
    far = np.arcsinh(scaler.FARTHEST)
    assert there_and_back(1e100, 0.0, 1e-100)[0] == pytest.approx(far)
    assert there_and_back(-1e100, 0.0, 1e-100)[0] == pytest.approx(-far)
    assert there_and_back(5.0, 5.0, 0.0) == (0.0, 5.0)
    assert np.isnan(there_and_back(1.0, np.nan, 1.0)[0])


def scale_after(values):
    fleet = Fleet(Settings(channels=["x"]))
    fleet.process(Batch.of_one_series(np.array(values, float)[:, None]))
    part = {name: fleet.layout.segment(fleet.row(0), name, float)[0] for name in ("variance", "magnitude")}
    return max(part["variance"] ** 0.5, scaler.FLOOR * part["magnitude"])


def test_a_channel_that_mostly_rests_takes_its_smallest_step_for_its_scale():
    assert scale_after([5.0] * 13 + [5.5, 6.0, 9.0]) == 0.5


def test_one_absurd_value_in_a_constant_channel_does_not_set_its_scale():
    absurd = [5.0] * 15 + [1e90]
    assert scale_after(absurd) == scaler.FLOOR * 5.0
    assert scale_after([5.0] * 100 + [1e90]) < 1.0


def test_a_constant_channel_that_starts_to_move_has_a_fair_scale_after_some_hundred_records():
    moving = 5.0 + np.random.default_rng(0).normal(size=300)
    unlimited = (300 / 1300) ** 0.5  # the deviation of all values so far
    assert 0.3 < scale_after([5.0] * 1000 + moving.tolist()) / unlimited < 1.1
