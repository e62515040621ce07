"""What a group's heads tell its network: their mixed error, and how it moves with each unit."""

from __future__ import annotations

import numpy as np
import pytest
from support import test_kernel

from streamrnn import Batch, Fleet, Settings
from streamrnn.groups import FAST_FORGETTING
from streamrnn.kernels import plan
from streamrnn.kernels.heads import head_table, leverage, mixed_error, mixed_weights
from streamrnn.kernels.readout import predict
from streamrnn.kernels.vector import float64_at, int64_at, load, shift, store

HORIZONS = (1, 3, 6)
HEADS = len(FAST_FORGETTING)
GROUPS = {"trained": (0, 5), "frozen": (1, 7), "autoregression": (2, 0)}  # and their units
each_group = pytest.mark.parametrize("group", GROUPS)
each_horizon = pytest.mark.parametrize("k", range(len(HORIZONS)))


@test_kernel
def _group(model, i):
    fore = model + load(int64_at(model), plan.MODEL_FORECASTER)
    table = int64_at(fore)
    return fore + load(table, plan.FORE_GROUP_TABLES) + i * load(table, plan.FORE_GROUP_BYTES)


@test_kernel
def _weights(model, i, row, scratch, shares, k, total, out):
    mixed_weights(_group(model, i), row, scratch, float64_at(shares), k, total, float64_at(out))


@test_kernel
def _forecast(model, i, row, shares, k, h, lags, value):
    """What the heads' mixture of horizon ``k`` forecasts from a state and lags."""
    total, weight = 0.0, 0.0
    for e in range(load(int64_at(_group(model, i)), plan.GROUP_HEADS)):
        read = head_table(_group(model, i), e)
        predict(read, row, 0, float64_at(h), (float64_at(lags), float64_at(lags)), float64_at(value))
        made = float64_at(row + load(int64_at(read), plan.READ_FORECAST))
        total += load(float64_at(shares), e) * load(made, k)
        weight += load(float64_at(shares), e)
    return total / weight


@test_kernel
def _error(model, i, scratch, shares, k, errors):
    """The mixed error of given ``errors`` (heads), and what the shares sum to."""
    for e in range(load(int64_at(_group(model, i)), plan.GROUP_HEADS)):
        read = int64_at(head_table(_group(model, i), e))
        place = float64_at(scratch + load(read, plan.READ_ERRORS))
        store(shift(place, k), 0, load(float64_at(errors), e))
    return mixed_error(_group(model, i), scratch, float64_at(shares), k)


@test_kernel
def _leverage(model, i, row, slot):
    return leverage(_group(model, i), row, slot)


@pytest.fixture(scope="module")
def fleet():
    """After 250 records of a noisy wave, so that every weight and every regression is something."""
    fleet = Fleet(
        Settings(
            networks=("diagonal_lstm:5", "diagonal_lstm:7:frozen", "ar:16"), horizons=HORIZONS, season="off"
        )
    )
    rng = np.random.default_rng(4)
    values = np.sin(np.arange(250) / 4.0) + 0.2 * rng.normal(size=250)
    fleet.process(Batch.of_one_series(values[:, None]))
    return fleet


def address(array):
    return array.ctypes.data


@each_horizon
@each_group
def test_mixed_weights_are_the_change_of_the_forecast_with_each_unit(fleet, group, k):
    """The forecast is linear in h, so a finite difference of any size is exact but for rounding."""
    i, hidden = GROUPS[group]
    rng = np.random.default_rng(k)
    model, row = address(fleet.layout.table), fleet.row(0).copy()
    scratch = np.zeros(fleet.layout.scratch.size + 64, np.uint8)
    scratch = scratch[-address(scratch) % 64 :]
    shares = rng.random(HEADS) / 7.0
    found, padded = np.full(32, np.nan), -(-hidden // 16) * 16
    _weights(
        model, i, address(row), address(scratch), address(shares), k, float(shares.sum()), address(found)
    )
    h, lags, value = np.zeros(16), rng.normal(size=64), np.zeros(1)
    h[:hidden] = np.tanh(rng.normal(size=hidden))

    def forecast(state):
        return _forecast(
            model, i, address(row), address(shares), k, address(state), address(lags), address(value)
        )

    steps = 0.5 * np.eye(16)[:hidden]
    expected = np.array([forecast(h + step) - forecast(h - step) for step in steps])
    np.testing.assert_allclose(found[:hidden], expected, rtol=1e-9, atol=1e-12)
    assert hidden == 0 or np.abs(expected).max() > 1e-3
    assert np.isnan(found[padded:]).all()


@each_group
def test_the_mixed_error_weighs_heads_by_their_shares(fleet, group):
    model, scratch = address(fleet.layout.table), np.zeros(fleet.layout.scratch.size, np.uint8)
    shares, errors = np.array([0.1, 0.02, 0.3]), np.array([1.0, -2.0, 0.5])

    def mixed(of_heads, parts=shares):
        arguments = (address(scratch), address(parts), 1, address(of_heads))
        return _error(model, GROUPS[group][0], *arguments)

    error, total = mixed(errors)
    assert error == pytest.approx(shares @ errors / shares.sum(), rel=1e-10)
    assert total == pytest.approx(shares.sum(), rel=1e-10)
    assert np.isnan(mixed(np.full(3, np.nan))[0])
    assert mixed(errors, np.zeros(3))[0] == 0.0  # shares that vanished divide nothing by 0


@each_group
def test_the_leverage_is_that_of_the_head_that_forgets_least(fleet, group):
    i = GROUPS[group][0]
    name = f"channel0.group{i}.head{np.argmax(FAST_FORGETTING)}.leverage"
    kept = fleet.layout.segment(fleet.row(0), name, np.float64)
    model, row = address(fleet.layout.table), address(fleet.row(0))
    assert [_leverage(model, i, row, slot) for slot in range(HORIZONS[-1])] == list(kept)
    assert np.count_nonzero(kept) == HORIZONS[-1] - 1  # the newest record has taught nothing yet
