"""Shares of a mixture against their plain twin, and what must hold of them whatever is said."""

from __future__ import annotations

import naive_forecaster as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import test_kernel

from streamrnn.kernels import mixture
from streamrnn.kernels.vector import float64_at, load, shift

HORIZONS = (1, 4, 24)


@test_kernel
def _learn(shares, state, said, truths, n, horizon, experts, width):
    for t in range(n):
        row = shift(float64_at(said), t * width)
        truth = load(float64_at(truths), t)
        mixture.learn_shares(float64_at(shares), float64_at(state), row, truth, horizon, (experts, width))


@test_kernel
def _mixed(shares, said, width):
    return mixture.mixed(float64_at(shares), float64_at(said), width)


class Shares:
    """Shares of one horizon in memory that the test owns."""

    def __init__(self, experts, horizon=1):
        self.experts, self.horizon, self.width = experts, horizon, -(-experts // 8) * 8
        self.all, self.state = np.zeros(self.width), np.zeros(2)
        self.all[:experts] = 1.0 / experts

    @property
    def now(self):
        return self.all[: self.experts]

    def padded(self, said):
        rows = np.zeros((len(said), self.width))
        rows[:, : self.experts] = said
        return rows

    def learn(self, said, truths):
        """(n, experts) forecasts and the n truths, in turn."""
        rows, truths = self.padded(said), np.ascontiguousarray(truths, np.float64)
        addresses = [a.ctypes.data for a in (self.all, self.state, rows, truths)]
        _learn(*addresses, len(rows), self.horizon, self.experts, self.width)

    def mixed(self, said):
        row = self.padded([said])
        return _mixed(self.all.ctypes.data, row.ctypes.data, self.width)


def forecasts(n, experts, seed=0):
    """A random walk and experts of which each is off by its own amount."""
    rng = np.random.default_rng(seed)
    truths = np.cumsum(rng.normal(size=n)) * 0.1
    errors = rng.standard_t(3, size=(n, experts)) * rng.uniform(0.01, 0.3, experts)
    return truths[:, None] + errors, truths


@pytest.mark.parametrize("horizon", HORIZONS)
@pytest.mark.parametrize("experts", [1, 2, 4, 7, 8, 10, 19])
def test_shares_equal_those_of_the_twin(horizon, experts):
    """To 1e-8: the kernel's exponential is a series, right to 1e-9."""
    said, truths = forecasts(600, experts, seed=experts)
    shares, twin = Shares(experts, horizon), naive.Mixture(experts, horizon)
    for row, truth in zip(said, truths, strict=True):
        assert shares.mixed(row) == pytest.approx(twin.mixed(row), rel=1e-8, abs=1e-10)
        shares.learn(row[None], [truth])
        twin.learn(row, truth)
        np.testing.assert_allclose(shares.now, twin.shares, rtol=1e-8)
    assert shares.state[0] == pytest.approx(twin.spread, rel=1e-8)
    assert shares.state[1] == 600
    assert not shares.all[experts:].any()


huge = st.floats(-1e300, 1e300)
usual = st.floats(-15.0, 15.0)


@given(data=st.data(), experts=st.integers(1, 19), horizon=st.sampled_from(HORIZONS))
@settings(max_examples=100)
def test_shares_stay_positive_and_sum_to_one_whatever_is_said(data, experts, horizon):
    """Huge and tiny forecasts, equal ones (a spread of 0), truths far off."""
    numbers = data.draw(st.sampled_from([huge, usual, st.just(0.0), st.sampled_from([-1.0, 1.0])]))
    rows = st.lists(numbers, min_size=experts, max_size=experts)
    said = np.array(data.draw(st.lists(rows, min_size=1, max_size=6)))
    shares = Shares(experts, horizon)
    for row in np.tile(said, (5, 1)):
        shares.learn(row[None], [data.draw(usual)])
        assert (shares.now > 0.0).all()
        assert shares.now.sum() == pytest.approx(1.0, abs=1e-12)
        assert not shares.all[experts:].any()
        assert np.isfinite(shares.state).all()


@given(experts=st.integers(2, 19), value=usual, truth=usual, seed=st.integers(0, 1000))
@settings(max_examples=40)
def test_equal_forecasts_only_let_the_fixed_share_flow(experts, value, truth, seed):
    shares = Shares(experts)
    shares.all[:experts] = np.random.default_rng(seed).dirichlet(np.ones(experts))
    before, back = shares.now.copy(), 1.0 / mixture._SPAN
    shares.state[:] = 0.1, 1000.0
    shares.learn(np.full((1, experts), value), [truth])
    np.testing.assert_allclose(shares.now, (1.0 - back) * before + back / experts, rtol=1e-6)


@pytest.mark.parametrize("horizon", HORIZONS)
@pytest.mark.parametrize("experts", [4, 10])
def test_an_expert_that_is_always_right_gets_nearly_all(horizon, experts):
    """.9 and more where the others err to one side; errors at random cancel out, so they keep more."""
    rng = np.random.default_rng(0)
    _, truths = forecasts(3000, experts)
    noise = 0.2 * rng.normal(size=(3000, experts))
    for errors, least in ((np.abs(noise), 0.9), (noise, 0.7)):
        said = truths[:, None] + errors
        said[:, 2] = truths
        shares = Shares(experts, horizon)
        shares.learn(said, truths)
        assert shares.now[2] > least
        assert np.mean(np.abs(said @ shares.now - truths)) < 0.1 * np.mean(np.abs(errors))


def test_shares_return_when_another_expert_is_right_from_now_on():
    said, truths = forecasts(4000, 7)
    said[:2000, 2], said[2000:, 5] = truths[:2000], truths[2000:]
    shares = Shares(7)
    shares.learn(said[:2000], truths[:2000])
    assert shares.now.argmax() == 2
    shares.learn(said[2000:], truths[2000:])
    assert shares.now[5] > 0.8


@pytest.mark.parametrize("power", [-20, -3, 3, 40])
def test_another_unit_moves_shares_by_no_more_than_the_floor_of_the_spread(power):
    """The floor of the spread, 1e-9, is absolute in scaled units: without it no bit would move."""
    said, truths = forecasts(500, 7)
    one, other, bare = Shares(7), Shares(7), Shares(7)
    one.learn(said, truths)
    other.learn(said * 2.0**power, truths * 2.0**power)
    assert not np.array_equal(one.now, bare.now)
    floor = mixture._LEAST_SPREAD / (one.state[0] * min(1.0, 2.0**power))
    np.testing.assert_allclose(other.now, one.now, rtol=100.0 * floor)
    assert other.state[0] == pytest.approx(one.state[0] * 2.0**power, rel=100.0 * floor)


@pytest.mark.parametrize("edges", [(200, 500), (1, 2, 3, 499)])
def test_chunks_of_any_size_give_the_same_bits(edges):
    said, truths = forecasts(500, 10)
    whole, cut = Shares(10), Shares(10)
    whole.learn(said, truths)
    for start, stop in zip((0, *edges), (*edges, 500), strict=True):
        cut.learn(said[start:stop], truths[start:stop])
    assert np.array_equal(whole.all, cut.all)
    assert np.array_equal(whole.state, cut.state)
