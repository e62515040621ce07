"""Seasons that are found in made streams, those that must not be, and the plain twin of both."""

from __future__ import annotations

import naive_season
import numpy as np
import pytest
from guarded import Arena
from hypothesis import given, settings
from hypothesis import strategies as st
from support import test_kernel

from streamrnn.kernels import season
from streamrnn.kernels.periodicity import LARGEST, scratch_size
from streamrnn.kernels.vector import float64_at, load, store

AHEAD = (1, 2, 3, 7, 24, 100, 500)


@test_kernel
def _observe(state, scratch, size, values, n, out):
    """Observe values; after each, (period, strength)."""
    source, found = float64_at(values), float64_at(out)
    for i in range(n):
        season.observe(state, scratch, size, load(source, i))
        store(found, 2 * i, float(season.period(state)))
        store(found, 2 * i + 1, season.strength(state))


@test_kernel
def _give(state, records):
    season.given(state, records)


@test_kernel
def _lag(state, size, ahead):
    return season.seasonal_lag(state, size, ahead)


class Channel:
    """A channel's season, in memory between canaries."""

    def __init__(self, size=2048, period=0):
        self.size = size
        self.state, self.scratch = Arena(8 * season.state_size(size)), Arena(8 * scratch_size(size))
        self.scratch.bytes[:] = 0xFF  # whatever another series left there
        if period:
            _give(self.state.address, period)

    def observe(self, values):
        """(n, 2) of period and strength after each value."""
        values = np.ascontiguousarray(values, np.float64)
        found = np.empty((len(values), 2))
        addresses = (self.state.address, self.scratch.address)
        _observe(*addresses, self.size, values.ctypes.data, len(values), found.ctypes.data)
        assert self.state.intact() and self.scratch.intact()
        return found

    def lags(self):
        return np.array([_lag(self.state.address, self.size, ahead) for ahead in AHEAD])

    @property
    def ring(self):
        return self.state.bytes[64:].view(np.float32)


def period_of(values, size=2048):
    """The period in force after the last value."""
    return int(Channel(size).observe(scaled(values))[-1, 0])


def scaled(values):
    """As a scaler that has long known the channel would have it."""
    values = np.asarray(values, np.float64)
    return np.arcsinh((values - values.mean()) / (values.std() or 1.0))


def autoregressive(rng, n, *weights):
    values, noise = np.zeros(n), rng.normal(size=n)
    for i in range(n):
        values[i] = noise[i] + sum(w * values[i - k] for k, w in enumerate(weights, 1) if i >= k)
    return values


def wave(n, period):
    return np.sin(2 * np.pi * np.arange(n) / period)


def place(n, period):
    """Where in the season each record is."""
    return np.arange(n) % period


WEEK = np.array([0.0, 0.1, 0.0, 0.2, 0.1, 1.0, 1.2])
SEASONS = {  # period, records, made by
    "hours of a day": (24, 700, lambda rng, n: wave(n, 24) + 0.3 * rng.normal(size=n)),
    "hours of a day under noise": (24, 1100, lambda rng, n: wave(n, 24) + rng.normal(size=n)),
    "days of a week": (7, 300, lambda rng, n: WEEK[place(n, 7)] + 0.2 * rng.normal(size=n)),
    "five minutes of a day": (288, 4200, lambda rng, n: wave(n, 288) + 0.3 * rng.normal(size=n)),
    "on and off": (288, 4200, lambda rng, n: (place(n, 288) < 100) + 0.2 * rng.normal(size=n)),
    "a spike a day": (24, 1100, lambda rng, n: 5.0 * (place(n, 24) == 5) + 0.3 * rng.normal(size=n)),
    "ramps": (48, 1100, lambda rng, n: place(n, 48) / 48 + 0.1 * rng.normal(size=n)),
    "two waves a day": (
        96,
        1100,
        lambda rng, n: wave(n, 48) + 0.5 * wave(n, 96) + 0.3 * rng.normal(size=n),
    ),
    "on a trend": (24, 1100, lambda rng, n: wave(n, 24) + 0.02 * np.arange(n) + 0.3 * rng.normal(size=n)),
    "on a random walk": (24, 1100, lambda rng, n: wave(n, 24) + np.cumsum(0.3 * rng.normal(size=n))),
    "on a fifth of the time": (
        288,
        4200,
        lambda rng, n: (place(n, 288) < 60) + 0.2 * rng.normal(size=n),
    ),
    "among spikes": (
        24,
        2100,
        lambda rng, n: wave(n, 24) + 0.2 * rng.normal(size=n) + 30.0 * (rng.random(n) < 0.01),
    ),
    "quiet weekends": (
        336,
        4200,
        lambda rng, n: wave(n, 48) * np.where(place(n, 336) < 240, 1, 0.2) + 0.2 * rng.normal(size=n),
    ),
}
NOISES = {
    "white": lambda rng, n: rng.normal(size=n),
    "random walk": lambda rng, n: np.cumsum(rng.normal(size=n)),
    "integrated walk": lambda rng, n: np.cumsum(np.cumsum(rng.normal(size=n))),
    "AR(1), .5": lambda rng, n: autoregressive(rng, n, 0.5),
    "AR(1), .9": lambda rng, n: autoregressive(rng, n, 0.9),
    "AR(1), .99": lambda rng, n: autoregressive(rng, n, 0.99),
    "AR(1), -.7": lambda rng, n: autoregressive(rng, n, -0.7),
    "heavy tails": lambda rng, n: rng.standard_cauchy(n),
    "spikes at random": lambda rng, n: 10.0 * (rng.random(n) < 0.005) + 0.1 * rng.normal(size=n),
    "bursts": lambda rng, n: rng.normal(size=n) * np.exp(0.2 * autoregressive(rng, n, 0.98)),
    "on and off at random": lambda rng, n: np.cumsum(rng.random(n) < 0.03) % 2 + 0.1 * rng.normal(size=n),
    "a trend": lambda rng, n: np.exp(np.arange(n) / n * 4.0) + 0.3 * rng.normal(size=n),
}
EXTREMES = {
    "constant": np.full(4200, 3.0),
    "a straight line": np.linspace(-2.0, 2.0, 4200),
    "two values by turns": np.tile([1.0, -1.0], 2100),
    "huge": np.where(place(4200, 24) < 3, 1e308, -np.inf),
    "not a number": np.full(4200, np.nan),
    "tiny": 1e-300 * wave(4200, 24),
}


@pytest.mark.parametrize("name", SEASONS)
def test_the_season_of_a_made_stream_is_found(name):
    period, n, make = SEASONS[name]
    found = [period_of(make(np.random.default_rng(seed), n)) for seed in range(10)]
    assert np.count_nonzero(np.array(found) == period) >= 9, found


def test_the_minutes_of_a_day_are_found_in_a_ring_that_holds_five_days():
    rng = np.random.default_rng(0)
    values = wave(16400, 1440) + 0.5 * wave(16400, 720) + 0.3 * rng.normal(size=16400)
    assert abs(period_of(values, size=8192) - 1440) <= 1
    assert period_of(values, size=2048) == 0


@pytest.mark.parametrize("name", NOISES)
def test_noise_has_no_season_at_any_record_in_19_of_20_streams(name):
    ever = []
    for seed in range(60):
        values = scaled(NOISES[name](np.random.default_rng(seed), 8192 + 256))
        ever.append(Channel().observe(values)[:, 0].any())
    assert np.mean(ever) <= 0.05


@pytest.mark.parametrize("name", EXTREMES)
def test_extreme_values_have_no_season_and_leave_nothing_that_is_not_finite(name):
    channel = Channel()
    found = channel.observe(EXTREMES[name])
    assert np.isfinite(found).all() and np.isfinite(channel.ring).all()
    assert np.abs(channel.ring).max() <= LARGEST
    assert name == "huge" or not found.any()


def test_a_value_that_is_not_a_number_counts_as_the_one_before():
    channel = Channel()
    channel.observe([np.nan, 2.0, np.nan, -1.0])
    assert channel.ring[:4].tolist() == [0.0, 2.0, 2.0, -1.0]


# ---------------------------------------------------------------- over time


def test_a_season_that_goes_is_noticed():
    rng = np.random.default_rng(1)
    values = np.concatenate([wave(8192, 24), np.zeros(3 * 4096)]) + 0.3 * rng.normal(size=5 * 4096)
    found = Channel().observe(values)
    assert set(found[600:8192, 0]) == {24.0}
    assert not found[-1].any()


def test_one_search_without_the_season_does_not_end_it():
    rng = np.random.default_rng(2)
    values = np.concatenate([wave(8192, 24), np.zeros(4096), wave(4096, 24)]) + 0.3 * rng.normal(size=16384)
    assert set(Channel().observe(values)[600:, 0]) == {24.0}


def test_a_season_that_changes_is_followed_once_it_was_found_twice():
    rng = np.random.default_rng(3)
    values = np.concatenate([wave(8192, 24), wave(8192, 40)]) + 0.3 * rng.normal(size=16384)
    found = Channel().observe(values)[:, 0]
    assert found[8192 + 4096] == 24.0
    assert found[-1] == 40.0


def test_a_season_that_can_no_longer_be_proved_stays_while_half_of_its_strength_is_left():
    rng, n = np.random.default_rng(0), 6 * 4096
    values = (place(n, 288) < 60) + np.where(np.arange(n) < 8192, 0.3, 0.5) * rng.normal(size=n)
    found = Channel().observe(values)
    proved = [naive_season.search(part)[1] for part in values.reshape(-1, 4096)[2:, -2048:]]
    assert 0 in proved
    assert found[8192:, 0].min() > 280.0


def test_seasons_change_only_after_the_stated_numbers_of_records():
    early = {2**i for i in range(8, 13)} | {3 * 2**i for i in range(7, 12)}
    rng = np.random.default_rng(7)
    for size in (256, 2048, 8192):
        every = max(size, season.EVERY)
        due = {n for n in early if n < every} | set(range(every, 20481, every))
        values = wave(20480, 24) + rng.normal(size=20480)
        changes = np.flatnonzero(np.diff(Channel(size).observe(values)[:, 1])) + 2
        assert set(changes) <= due and len(changes) > 2


def test_strength_is_the_share_of_the_season_in_the_variance():
    rng = np.random.default_rng(4)
    for noise in (0.1, 0.5, 1.0):
        values = np.sqrt(2.0) * wave(4096, 24) + noise * rng.normal(size=4096)
        assert Channel().observe(values)[-1, 1] == pytest.approx(1.0 / (1.0 + noise**2), abs=0.06)


def test_a_given_period_stays_and_is_measured():
    rng = np.random.default_rng(5)
    values = wave(4096, 24) + 0.1 * rng.normal(size=4096)
    right, wrong = Channel(period=48).observe(values), Channel(period=36).observe(values)
    assert set(right[:, 0]) == {48.0} and set(wrong[:, 0]) == {36.0}
    assert not right[:255, 1].any()
    assert right[-1, 1] > 0.95
    assert wrong[-1, 1] == 0.0


def test_the_strength_of_a_given_period_is_zero_before_two_were_seen():
    found = Channel(period=400).observe(wave(1100, 400))
    assert not found[:1023, 1].any()
    assert found[1023, 1] > 0.9


# ---------------------------------------------------------------- seasonal lags


def test_the_seasonal_lag_is_the_newest_value_in_phase_with_the_record_ahead():
    period = 24
    channel = Channel(period=period)
    channel.observe(np.arange(100) / 10.0)
    for ahead, lag in zip(AHEAD, channel.lags(), strict=True):
        wanted = 99 + ahead - period * -(-ahead // period)
        assert 99 - period < wanted <= 99
        assert lag == np.float32(wanted / 10.0)


def test_there_is_no_seasonal_lag_without_a_period_or_before_the_past_is_long_enough():
    channel = Channel()
    channel.observe(np.ones(50))
    assert np.isnan(channel.lags()).all()
    channel = Channel(period=24)
    channel.observe(np.ones(23))
    assert np.isnan(channel.lags()).tolist() == [ahead == 1 for ahead in AHEAD]
    channel.observe([1.0])
    assert not np.isnan(channel.lags()).any()


def test_a_period_as_long_as_the_ring_has_its_lags():
    channel = Channel(size=256, period=256)
    channel.observe(np.arange(1000) / 100.0)
    assert channel.lags()[0] == np.float32((1000 - 256) / 100.0)


# ---------------------------------------------------------------- the twin


def assert_equals_the_twin(values, size, period=0):
    channel, twin = Channel(size, period), naive_season.Season(size, period)
    found, expected = channel.observe(values), np.empty((len(values), 2))
    for i, value in enumerate(values):
        twin.observe(value)
        expected[i] = twin.period, twin.strength
    np.testing.assert_array_equal(found[:, 0], expected[:, 0])
    np.testing.assert_allclose(found[:, 1], expected[:, 1], rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(channel.lags(), [twin.lag(ahead) for ahead in AHEAD])


@pytest.mark.parametrize("name", SEASONS)
def test_seasons_equal_the_twin(name):
    _, n, make = SEASONS[name]
    assert_equals_the_twin(scaled(make(np.random.default_rng(20), n)), 2048)


@pytest.mark.parametrize("size", [256, 512, 4096, 8192])
def test_rings_of_any_size_equal_the_twin(size):
    rng = np.random.default_rng(size)
    values = wave(9000, 30) * np.where(place(9000, 210) < 150, 1, 0.2) + 0.3 * rng.normal(size=9000)
    assert_equals_the_twin(values, size)
    assert_equals_the_twin(values, size, period=60)


@pytest.mark.parametrize("name", ["white", "random walk", "AR(1), .9", "bursts", "integrated walk"])
def test_noise_equals_the_twin(name):
    assert_equals_the_twin(scaled(NOISES[name](np.random.default_rng(21), 4200)), 2048)


@pytest.mark.parametrize("name", EXTREMES)
def test_extreme_values_equal_the_twin(name):
    assert_equals_the_twin(EXTREMES[name], 1024)


@given(
    seed=st.integers(0, 2**31),
    period=st.integers(2, 90),
    noise=st.sampled_from([0.0, 0.1, 0.5, 2.0]),
    size=st.sampled_from([256, 512, 1024]),
)
@settings(max_examples=40, deadline=None)
def test_seasons_of_any_shape_equal_the_twin(seed, period, noise, size):
    rng = np.random.default_rng(seed)
    shape = rng.normal(size=period)
    assert_equals_the_twin(shape[place(1100, period)] + noise * rng.normal(size=1100), size)


# ---------------------------------------------------------------- memory


@given(seed=st.integers(0, 2**31), size=st.sampled_from([256, 1024, 2048, 4096]))
@settings(max_examples=25, deadline=None)
def test_whatever_a_state_holds_nothing_outside_is_touched(seed, size):
    rng = np.random.default_rng(seed)
    channel = Channel(size)
    channel.state.bytes[:] = rng.integers(0, 256, channel.state.bytes.size)
    whole = channel.state.bytes[:64].view(np.int64)
    whole[season.GIVEN] = rng.integers(2)
    if rng.random() < 0.7:
        whole[season.COUNT] = rng.choice([-1, 255, 2**62, -(2**63), size * 4 - 1, 4095])
        whole[season.PERIOD] = rng.choice([-5, 0, 3, size, size + 1, 2**62, 24])
    channel.observe(rng.normal(size=300))
    channel.lags()
    assert channel.state.intact() and channel.scratch.intact()
