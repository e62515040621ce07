"""A whole forecaster, record by record, against its plain twin; what runs away heals."""

from __future__ import annotations

from contextlib import nullcontext

import naive_forecaster as naive
import numpy as np
import pytest
from support import Network, float64_groups, relative_error

from streamrnn import Batch, Fleet, Settings
from streamrnn.groups import FAST_FORGETTING
from streamrnn.initial import initial_parameters
from streamrnn.kernels import kalman, plan
from streamrnn.kernels.trainers import Window

NETWORKS = ("diagonal_lstm:5", "diagonal_lstm:7:frozen", "ar:16")
HORIZONS = (1, 3, 6)
CHANNELS = {"one channel": ("a",), "two channels": ("a", "b")}
# What differs from the twin in float64 is the order of sums. In float32 it is the network's
# rounding, 6e-8 a step, which training feeds back for 300 records: measured 4e-5 at most.
TOLERANCE = {"float64": 1e-9, "float32": 2e-4}


def records(channels, n=330):
    """Waves with noise, holes, a spike and a change of amplitude, a minute apart."""
    rng = np.random.default_rng(0)
    t = np.arange(n)[:, None]
    values = np.sin(t * [0.21, 0.13][:channels]) + 0.2 * rng.normal(size=(n, channels))
    values[150] += 6.0
    values[200:] *= 2.0
    values[rng.random(n) < 0.04, 0] = np.nan
    values[[120, 121]] = np.nan
    return values, np.arange(n, dtype=np.int64) * 60_000_000_000


def ran_together(channels, element, n=330, networks=NETWORKS, horizons=HORIZONS):
    """(fleet, its results, twin, what it said) after the same records."""
    settings = Settings(channels=channels, networks=networks, horizons=horizons, season="off")
    with float64_groups() if element == "float64" else nullcontext():
        fleet, twin = Fleet(settings), naive.Model(settings)
    values, times = (each[:n] for each in records(len(channels)))
    found = fleet.process(Batch.of_one_series(values, times))
    said = [twin.process(int(time), row) for time, row in zip(times, values, strict=True)]
    return fleet, found, twin, said


@pytest.fixture(scope="module", params=[(c, e) for c in CHANNELS for e in TOLERANCE], ids="-".join)
def pair(request):
    channels, element = request.param
    return *ran_together(CHANNELS[channels], element), TOLERANCE[element]


def assert_same_forecasts(found, said, tolerance):
    close = {"rtol": tolerance, "atol": tolerance}
    yhat = np.array([out["yhat"] for out in said])
    for i, part in enumerate((found.yhat, found.yhat_lower, found.yhat_upper)):
        np.testing.assert_allclose(part, yhat[:, :, i], **close)
    if found.ahead.size:  # horizons beyond the next record
        ahead = np.array([out["ahead"] for out in said]).transpose(0, 2, 1, 3)
        np.testing.assert_allclose(found.ahead, ahead, **close)
        assert np.isfinite(found.ahead[20:]).all()


def test_every_forecast_equals_that_of_the_twin(pair):
    _, found, _, said, tolerance = pair
    assert_same_forecasts(found, said, tolerance)


def test_what_it_learned_equals_that_of_the_twin(pair):
    fleet, _, twin, _, tolerance = pair

    def part(name, dtype=np.float64):
        return fleet.layout.segment(fleet.row(0), name, dtype)

    for d, forecaster in enumerate(twin.forecasters):
        shares = part(f"channel{d}.shares").reshape(len(HORIZONS), -1)
        expected = np.array([each.shares for each in forecaster.mixtures])
        assert relative_error(shares[:, : expected.shape[1]], expected) < tolerance
        assert not shares[:, expected.shape[1] :].any()
        for i, group in enumerate(forecaster.groups):
            for e, head in enumerate(group.heads):
                name = f"channel{d}.group{i}.head{e}"
                scale = np.array([clip.scale for clip in head.clips])
                assert relative_error(part(f"{name}.scale"), scale) < tolerance
                weights = part(f"{name}.own_weights").reshape(head.b.shape)
                assert relative_error(weights, head.b) < 10 * tolerance
        kept, group = fleet.layout.groups[0], forecaster.groups[0]
        shape = kept.network
        weights = Network(shape).named(part(f"channel{d}.group0.weights", shape.dtype))
        theta = naive.Cell(weights).theta
        assert relative_error(theta, group.cell.theta) < 10 * tolerance
        for found, blocks in zip(covariances(fleet, d), group.trainer.blocks, strict=True):
            expected = np.array([block.covariance for block in blocks])
            assert relative_error(found, expected) < 10 * tolerance


def covariances(fleet, d=0, i=0):
    """(blocks, units, size, size): every block of a group, whole."""
    group = fleet.layout.groups[i]
    size, lanes = group.elements // group.blocks, 64 // np.dtype(group.network.dtype).itemsize
    kept = fleet.layout.segment(fleet.row(0), f"channel{d}.group{i}.covariance", group.network.dtype)
    if isinstance(group.trainer, Window):  # vectors of units within blocks, not blocks within vectors
        kept = kept.reshape(group.blocks, -1, kalman.triangle(size), lanes).swapaxes(0, 1)
    else:
        kept = kept.reshape(-1, group.blocks, kalman.triangle(size), lanes)
    rows, columns = np.tril_indices(size)
    whole = np.zeros((group.blocks, len(kept) * lanes, size, size))
    whole[:, :, rows, columns] = kept.transpose(1, 0, 3, 2).reshape(group.blocks, -1, len(rows))
    whole[:, :, columns, rows] = whole[:, :, rows, columns]
    return whole[:, : group.network.hidden]


def inverse_correlations(fleet, d=0):
    """Both stages' matrices of every head of every group of a channel."""
    for i, group in enumerate(fleet.layout.groups):
        terms = group.network.hidden + 1
        for e in range(len(FAST_FORGETTING)):
            name = f"channel{d}.group{i}.head{e}"
            shared = fleet.layout.segment(fleet.row(0), f"{name}.shared", np.float64)
            yield shared.reshape(terms, -1)[:, :terms]
            own = fleet.layout.segment(fleet.row(0), f"{name}.own", np.float64)
            yield own.reshape(group.regressors, group.regressors)


def test_a_frozen_network_stays_as_it_was_drawn_and_a_trained_one_does_not(pair):
    fleet = pair[0]
    fresh = Fleet(fleet.settings)
    fresh.series([""])
    for i, trained in enumerate((True, False)):
        name, dtype = f"channel0.group{i}.weights", fleet.layout.groups[i].network.dtype
        before, after = (
            each.layout.segment(each.row(0), name, kind)
            for each, kind in ((fresh, np.float32), (fleet, dtype))
        )
        assert np.array_equal(before, after.astype(np.float32)) == (not trained)


# ---------------------------------------------------------------- derivatives through a window

DENSE, DESCENDING = ("lstm:4:kalman", "ar:8"), ("gru:4:adam_heads", "ar:8")  # each compiled once


@pytest.mark.parametrize("horizons", [(1,), (1, 4), (1, 2, 3, 4, 6)], ids=str)
def test_a_network_whose_units_see_each_other_learns_what_its_twin_learns(horizons):
    assert_the_filter_follows_its_twin(DENSE, horizons)


@pytest.mark.soak
@pytest.mark.parametrize("cell", ["rnn", "rnn_relu", "rnn_logistic"])
def test_a_simple_network_under_the_filter_learns_what_its_twin_learns(cell):
    assert_the_filter_follows_its_twin((f"{cell}:4:kalman", "ar:8"), (1, 3, 6))


@pytest.mark.soak
@pytest.mark.parametrize("cell", ["rnn", "rnn_relu", "rnn_logistic", "gru"])
def test_the_heads_of_a_frozen_network_whose_units_see_each_other_learn_what_its_twins_learn(cell):
    fleet, found, _, said = ran_together(("a",), "float64", 160, (f"{cell}:4:frozen", "ar:8"), (1, 3, 6))
    assert_same_forecasts(found, said, TOLERANCE["float64"])
    shape = fleet.layout.groups[0].network
    flat = fleet.layout.segment(fleet.row(0), "channel0.group0.weights", shape.dtype)
    drawn = initial_parameters(shape, fleet.settings.seed + len(fleet.layout.networks))
    assert np.array_equal(flat, drawn)


def assert_the_filter_follows_its_twin(networks, horizons):
    fleet, found, twin, said = ran_together(("a",), "float64", 160, networks, horizons)
    tolerance = TOLERANCE["float64"]
    assert_same_forecasts(found, said, tolerance)
    kept, group = fleet.layout.groups[0].network, twin.forecasters[0].groups[0]
    flat = fleet.layout.segment(fleet.row(0), "channel0.group0.weights", kept.dtype)
    theta = naive.DenseCell(kept.cell, Network(kept).named(flat)).theta
    assert relative_error(theta, group.cell.theta) < 10 * tolerance
    blocks = covariances(fleet)
    expected = group.trainer.covariance.reshape(blocks.shape)
    assert relative_error(blocks, expected) < 10 * tolerance
    assert np.trace(expected, axis1=2, axis2=3).max() < kalman.PRIOR * expected.shape[-1]


@pytest.mark.parametrize("horizons", [(1,), (1, 3, 6)], ids=str)
def test_adam_moves_a_network_along_what_its_heads_missed_as_the_twin_does(horizons):
    fleet, found, twin, said = ran_together(("a",), "float64", 160, DESCENDING, horizons)
    assert_same_forecasts(found, said, TOLERANCE["float64"])
    kept, group = fleet.layout.groups[0].network, twin.forecasters[0].groups[0]
    flat = fleet.layout.segment(fleet.row(0), "channel0.group0.weights", kept.dtype)
    theta = naive.DenseCell(kept.cell, Network(kept).named(flat)).theta
    assert relative_error(theta, group.cell.theta) < 10 * TOLERANCE["float64"]


def test_heads_whose_weights_ran_away_leave_a_network_that_adam_trains_as_it_is():
    fleet = ran_together(("a",), "float64", 40, DESCENDING, (1,))[0]
    values, _ = records(1)
    for e in range(len(FAST_FORGETTING)):
        fleet.layout.segment(fleet.row(0), f"channel0.group0.head{e}.shared_weights", np.float64)[0] = 1e300
    times = np.arange(400, 430, dtype=np.int64) * 60_000_000_000
    found = fleet.process(Batch.of_one_series(values[:30], times, 400))
    weights = fleet.layout.segment(fleet.row(0), "channel0.group0.weights", np.float64)
    assert np.isfinite(weights).all()
    assert np.isfinite(found.yhat).all()


# ---------------------------------------------------------------- what runs away


@pytest.fixture(scope="module")
def learned():
    """A fleet of one channel after all records, as bytes."""
    fleet = ran_together(("a",), "float32")[0]
    return fleet.to_bytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30, -1e30])
@pytest.mark.parametrize("segment", ["of_c", "of_h", "covariance", "before", "factor"])
def test_what_ran_away_in_the_filter_of_a_unit_heals(learned, segment, bad):
    """Whatever the cause, the unit starts anew and the forecasts stay near those of an untouched model."""
    hurt, untouched = (Fleet.from_bytes(learned) for _ in range(2))
    part = hurt.layout.segment(hurt.row(0), f"channel0.group0.{segment}", np.float32)
    part.reshape(-1, 16)[0, 2] = bad  # of unit 2: elements of the other units lie beside it
    values, _ = records(1)
    times = np.arange(400, 430, dtype=np.int64) * 60_000_000_000
    one, other = (fleet.process(Batch.of_one_series(values[:30], times, 400)) for fleet in (hurt, untouched))
    assert np.isfinite(one.yhat).all()
    usual = np.nanmean(np.abs(values[:30] - other.yhat))
    assert np.nanmean(np.abs(values[:30] - one.yhat)) < 1.5 * usual
    for name in ("of_c", "of_h", "covariance", "product", "power", "before", "factor", "weights"):
        numbers = hurt.layout.segment(hurt.row(0), f"channel0.group0.{name}", np.float32)
        assert np.isfinite(numbers).all(), name
    assert np.linalg.eigvalsh(covariances(hurt)).min() > 0.0


def test_a_unit_that_starts_anew_has_its_prior_again_and_the_others_go_on(learned):
    hurt, untouched = (Fleet.from_bytes(learned) for _ in range(2))
    hurt.layout.segment(hurt.row(0), "channel0.group0.of_h", np.float32)[2] = np.nan
    for fleet in (hurt, untouched):
        fleet.process(Batch.of_one_series(np.zeros((1, 1)), np.array([10**15])))
    found, expected = covariances(hurt), covariances(untouched)
    blocks, _, size, _ = found.shape
    assert np.array_equal(found[:, 2], np.tile(kalman.PRIOR * np.eye(size), (blocks, 1, 1)))
    assert np.array_equal(found[:, [0, 1, 3, 4]], expected[:, [0, 1, 3, 4]])
    assert np.trace(expected[0, 2]) < np.trace(found[0, 2])


@pytest.fixture(scope="module")
def learned_through_a_window():
    """A float64 fleet of one channel and three horizons after 160 records."""
    return ran_together(("a",), "float64", 160, DENSE)[0]


def copied(fleet):
    """The same fleet once more; its networks' shapes are float64."""
    with float64_groups():
        return Fleet.from_bytes(fleet.to_bytes())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30, -1e30])
@pytest.mark.parametrize("segment", ["covariance", "before", "factor"])
def test_what_ran_away_in_the_filter_of_a_window_heals(learned_through_a_window, segment, bad):
    """Whatever the cause, the filter starts anew and the forecasts stay near those of an untouched model."""
    hurt, untouched = copied(learned_through_a_window), copied(learned_through_a_window)
    hurt.layout.segment(hurt.row(0), f"channel0.group0.{segment}", np.float64)[2] = bad
    values, _ = records(1)
    times = np.arange(400, 430, dtype=np.int64) * 60_000_000_000
    one, other = (fleet.process(Batch.of_one_series(values[:30], times, 400)) for fleet in (hurt, untouched))
    assert np.isfinite(one.yhat).all()
    usual = np.nanmean(np.abs(values[:30] - other.yhat))
    assert np.nanmean(np.abs(values[:30] - one.yhat)) < 1.5 * usual
    for name in ("covariance", "before", "factor", "weights"):
        numbers = hurt.layout.segment(hurt.row(0), f"channel0.group0.{name}", np.float64)
        assert np.isfinite(numbers).all(), name
    assert np.linalg.eigvalsh(covariances(hurt)).min() > 0.0


@pytest.mark.parametrize("horizons", [(1, 2, 3, 4, 6)], ids=str)
def test_spikes_leave_every_covariance_of_a_window_positive_definite(horizons):
    settings = Settings(networks=DENSE, horizons=horizons, season="off")
    with float64_groups():
        fleet = Fleet(settings)
    rng, n = np.random.default_rng(3), 100
    for first in range(0, 2_000, n):
        waves = np.sin(np.arange(first, first + n)[:, None] / 5.0)
        spikes = np.where(rng.random((n, 1)) < 0.01, 100.0 * rng.normal(size=(n, 1)), 0.0)
        found = fleet.process(Batch.of_one_series(waves + spikes, first_offset=first))
        assert np.isfinite(found.yhat[20:]).all(), first
        assert np.linalg.eigvalsh(covariances(fleet)).min() > 0.0, first
    trained = np.trace(covariances(fleet), axis1=2, axis2=3)
    assert (trained < kalman.PRIOR * covariances(fleet).shape[-1]).any()


# ---------------------------------------------------------------- long streams


def block_of(kind, rng, first, n):
    """Records ``first`` to ``first + n`` of a stream that strains covariances: (n, 1)."""
    noise = rng.normal(size=(n, 1))
    return {
        "constant": np.full((n, 1), 7.25),
        "noise, then constant": noise if first == 0 else np.full((n, 1), 3.3),
        "square": (np.arange(first, first + n)[:, None] // 50 % 2) * 1.0,
        "spiky": np.where(rng.random((n, 1)) < 0.002, 1e4 * noise, 0.0),
        "huge": 1e90 * noise * 10.0 ** rng.uniform(-6, 6, size=(n, 1)),
    }[kind]


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["constant", "noise, then constant", "square", "spiky", "huge"])
@pytest.mark.parametrize("networks", [("diagonal_lstm",), DENSE], ids="-".join)
def test_two_million_records_leave_every_matrix_positive_definite(kind, networks):
    fleet = Fleet(Settings(networks=networks, horizons=(1, 4), season="off"))
    rng, n = np.random.default_rng(3), 20_000
    for first in range(0, 2_000_000, n):
        found = fleet.process(Batch.of_one_series(block_of(kind, rng, first, n), first_offset=first))
        assert np.isfinite(found.yhat[20:]).all(), first
        assert np.linalg.eigvalsh(covariances(fleet)).min() > 0.0, first
        for matrix in inverse_correlations(fleet):
            assert np.array_equal(matrix, matrix.T), first
            assert np.linalg.eigvalsh(matrix).min() > 0.0, first
    assert fleet.layout.segment(fleet.row(0), "counters", np.int64)[plan.STEP_RECORDS] == 2_000_000
