"""DESIGN's invariants, over every registered cell and a list of networks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamrnn import Batch, Fleet, Settings
from streamrnn.adapters.weights import weights_of
from streamrnn.kernels.cells import CELLS
from streamrnn.kernels.plan import NO_TIME

NETWORKS = [
    ("lstm", "gru", "diagonal_lstm"),
    ("rnn_relu", "jordan", "tdnn:4x2"),
    ("lstm:4:kalman", "gru:4:adam_heads", "ar:8"),
    *(pytest.param((name,), marks=pytest.mark.soak) for name in CELLS),
]
COLUMNS = (
    "yhat", "yhat_lower", "yhat_upper", "share", "ahead", "anomaly_score", "p_value", "surprise",
    "alert_strength", "level", "is_anomaly", "status", "event_partition", "event_offset", "event_kind",
)  # fmt: skip

networks_matrix = pytest.mark.parametrize("networks", NETWORKS, ids="+".join)


def make_settings(networks, **changes):
    return Settings(
        **{"channels": ("a", "b"), "networks": networks, "hidden": 5, "horizons": (1, 3), **changes}
    )


def stream(n, seed=0, channels=2, times=True):
    """Two noisy waves with holes, a spike, irregular steps, and a few disordered records."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)[:, None]
    values = np.sin(t * [0.1, 0.23][:channels]) + 0.1 * rng.normal(size=(n, channels))
    values[n // 2] += 5.0
    values[rng.random(values.shape) < 0.03] = np.nan
    values[n // 3] = np.nan
    stamps = np.cumsum(rng.choice([60, 60, 60, 61, 600], n)).astype(np.int64) * 1_000_000_000
    stamps[n // 4] = stamps[n // 4 - 2]  # late
    stamps[n // 5], values[n // 5] = stamps[n // 5 - 1], values[n // 5 - 1]  # duplicate
    return values, stamps if times else np.full(n, NO_TIME, np.int64)


def batch_of(series, times, values, offsets):
    n = len(values)
    return Batch(
        np.asarray(series, np.int32), np.asarray(times, np.int64), np.asarray(values, float),
        np.zeros(n, np.int32), np.asarray(offsets, np.int64),
    )  # fmt: skip


def run(fleet, values, times, first=0):
    return fleet.process(Batch.of_one_series(values, times, first))


def assert_same(one, other, rows=slice(None), other_rows=slice(None)):
    for name in COLUMNS:
        np.testing.assert_array_equal(
            getattr(one, name)[rows], getattr(other, name)[other_rows], err_msg=name
        )


@networks_matrix
@pytest.mark.parametrize("cut", [1, 63, 301, 499])
def test_what_is_said_of_a_record_does_not_depend_on_later_ones(networks, cut):
    values, times = stream(500)
    whole = run(Fleet(make_settings(networks)), values, times)
    part = run(Fleet(make_settings(networks)), values[:cut], times[:cut])
    assert_same(whole, part, slice(cut))


@networks_matrix
@settings(max_examples=15)
@given(cuts=st.lists(st.integers(0, 300), max_size=8))
def test_cutting_a_stream_into_batches_changes_no_bit(networks, cuts):
    values, times = stream(300)
    whole = Fleet(make_settings(networks))
    expected = run(whole, values, times)
    fleet = Fleet(make_settings(networks))
    bounds = [0, *sorted(cuts), 300]
    for start, stop in pairwise(bounds):
        if start < stop:
            found = run(fleet, values[start:stop], times[start:stop], start)
            assert_same(expected, found, slice(start, stop))
    assert fleet.to_bytes() == whole.to_bytes()


@networks_matrix
@settings(max_examples=10)
@given(seed=st.integers(0, 1000), size=st.integers(1, 97))
def test_a_fleet_gives_the_same_bits_as_its_series_alone_however_they_interleave(networks, seed, size):
    rng = np.random.default_rng(seed)
    n, streams = 150, [stream(150, seed=s) for s in range(4)]
    order = rng.permutation(np.repeat(np.arange(4), n))
    place = np.zeros(len(order), np.int64)
    for code in range(4):
        place[order == code] = np.arange(n)
    values = np.stack([streams[c][0][i] for c, i in zip(order, place, strict=True)])
    times = np.array([streams[c][1][i] for c, i in zip(order, place, strict=True)])
    fleet = Fleet(make_settings(networks))
    fleet.series(["w", "x", "y", "z"])
    parts = [
        fleet.process(
            batch_of(order[i : i + size], times[i : i + size], values[i : i + size], place[i : i + size])
        )
        for i in range(0, len(order), size)
    ]
    for code in range(4):
        alone = run(Fleet(make_settings(networks)), *streams[code])
        for name in COLUMNS:
            together = np.concatenate([getattr(part, name) for part in parts])[order == code]
            np.testing.assert_array_equal(together, getattr(alone, name), err_msg=name)


@networks_matrix
@pytest.mark.parametrize("cut", [0, 1, 17, 250, 399])
def test_saving_and_loading_changes_no_bit_of_what_follows(networks, cut):
    values, times = stream(400)
    fleet = Fleet(make_settings(networks))
    fleet.series([""])
    if cut:
        run(fleet, values[:cut], times[:cut])
    loaded = Fleet.from_bytes(fleet.to_bytes())
    assert_same(run(fleet, values[cut:], times[cut:], cut), run(loaded, values[cut:], times[cut:], cut))
    assert loaded.to_bytes() == fleet.to_bytes()


@networks_matrix
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(networks):
    values, times = stream(200)
    one, same, other = (Fleet(make_settings(networks, seed=seed)) for seed in (3, 3, 4))
    expected = run(one, values, times)
    assert_same(expected, run(same, values, times))
    found = run(other, values, times)
    for name in ("yhat", "ahead"):
        assert not np.array_equal(getattr(expected, name), getattr(found, name), equal_nan=True), name


@networks_matrix
@pytest.mark.parametrize("absurd", [np.inf, -np.inf, 1e308, -1e308, 1e101])
def test_what_is_no_measurement_counts_as_missing_to_the_bit(networks, absurd):
    values, times = stream(300)
    holed, poisoned = values.copy(), values.copy()
    holed[[5, 90, 200], 0] = np.nan
    poisoned[[5, 90, 200], 0] = absurd
    holed[210:215] = np.nan
    poisoned[210:215] = absurd
    one = run(Fleet(make_settings(networks)), holed, times)
    assert_same(one, run(Fleet(make_settings(networks)), poisoned, times))


@networks_matrix
def test_no_state_becomes_nan_for_good(networks):
    rng = np.random.default_rng(1)
    values, times = stream(600)
    wild = rng.choice([np.nan, np.inf, -np.inf, 0.0, 1e99, -1e99, 1e-300, 5e-324, 1e308], size=(300, 2))
    fleet = Fleet(make_settings(networks))
    run(fleet, values, times)
    run(fleet, wild, times[-1] + 60_000_000_000 * np.arange(1, 301), 600)
    after = run(fleet, values[:300], times[-1] + 60_000_000_000 * np.arange(301, 601), 900)
    present = ~np.isnan(values[:300]).all(axis=1)
    assert np.isfinite(after.yhat).all() and np.isfinite(after.ahead).all()
    assert np.isfinite(after.anomaly_score[present]).all()
    assert (after.yhat_lower <= after.yhat).all() and (after.yhat <= after.yhat_upper).all()
    ahead, lower, upper = np.moveaxis(after.ahead, -1, 0)
    assert (lower <= ahead).all() and (ahead <= upper).all()


@networks_matrix
@pytest.mark.parametrize("rare", ["missing channel", "all missing", "late", "duplicate"])
def test_each_kind_of_rare_record_has_its_status_and_leaves_later_forecasts_finite(networks, rare):
    values, times = stream(300)
    values[:] = np.where(np.isnan(values), 0.0, values)
    times = (np.arange(300) * 60_000_000_000).astype(np.int64)
    if rare == "missing channel":
        values[200, 0] = np.nan
    elif rare == "all missing":
        values[200] = np.nan
    else:
        times[200] = times[199] - (1 if rare == "late" else 0)
        values[200] = values[199]
    found = run(Fleet(make_settings(networks)), values, times)
    expected = {"missing channel": 1, "all missing": 3, "late": 4, "duplicate": 5}[rare]
    assert found.status[200] == expected
    assert np.isnan(found.anomaly_score[200]) == (expected > 2)
    assert np.isfinite(found.yhat[201:]).all() and np.isfinite(found.ahead[201:]).all()


@networks_matrix
def test_late_and_duplicate_records_leave_the_model_as_it_was(networks):
    values, times = stream(200)
    times = (np.arange(200) * 60_000_000_000).astype(np.int64)
    values = np.where(np.isnan(values), 0.0, values)
    dirty_values = np.concatenate([values[:150], values[149:150], values[:1], values[150:]])
    dirty_times = np.concatenate([times[:150], times[149:150], times[:1], times[150:]])
    clean = run(Fleet(make_settings(networks)), values, times)
    dirty = run(Fleet(make_settings(networks)), dirty_values, dirty_times)
    np.testing.assert_array_equal(dirty.status[[150, 151]], [5, 4])
    for name in ("yhat", "yhat_lower", "yhat_upper", "ahead", "anomaly_score", "p_value"):
        found = np.delete(getattr(dirty, name), [150, 151], 0)
        np.testing.assert_array_equal(found, getattr(clean, name), err_msg=name)


def test_a_clock_that_was_ahead_costs_twenty_records_and_not_all_that_follow():
    values, _ = stream(400)
    values = np.where(np.isnan(values), 0.0, values)
    times = (np.arange(400) * 60_000_000_000).astype(np.int64)
    times[200] = np.iinfo(np.int64).max
    found = run(Fleet(make_settings(("lstm",))), values, times)
    np.testing.assert_array_equal(found.status[201:221], 4)
    assert (found.status[221:] == 1).all()


@pytest.mark.parametrize("first", [np.iinfo(np.int64).min + 1, 0])
def test_an_absurd_first_time_does_not_poison_the_clock(first):
    values, _ = stream(1500)
    times = 1_700_000_000_000_000_000 + np.arange(1500) * 60_000_000_000
    times[0] = first
    fleet = Fleet(make_settings(("lstm",)))
    run(fleet, values, times)
    assert fleet.typical_step_ns(0) == 60e9


@networks_matrix
def test_memory_is_the_formula_and_does_not_grow_with_the_stream(networks):
    fleet = Fleet(make_settings(networks))
    values, times = stream(1000)
    run(fleet, values, times)
    before = len(fleet.to_bytes())
    run(fleet, values, times + times[-1], 1000)
    assert fleet.state_bytes == fleet.layout.row_bytes
    assert len(fleet.to_bytes()) == before
    assert before - fleet.layout.row_bytes < 1000  # the header


@pytest.mark.parametrize(
    ("channels", "hidden", "horizons", "gates"),
    [(1, 12, 1, 4), (38, 12, 1, 4), (38, 64, 24, 3), (1, 512, 1, 4)],
)
def test_the_memory_formula_of_the_documentation_holds(channels, hidden, horizons, gates):
    asked = make_settings(
        ("lstm" if gates == 4 else "gru",),
        channels=[str(i) for i in range(channels)], hidden=hidden, horizons=horizons,
    )  # fmt: skip
    padded, inputs = -(-hidden // 16) * 16, 6 * channels + 3
    rows, k = padded + inputs + 2, len(asked.horizons)
    network = 3 * (rows * gates * padded + channels * padded) + 17 * (rows + 6 * padded + 2 * channels)
    readout = (hidden + 1) ** 2 + 8 * channels * (hidden + 1) + 64 * channels + k * channels * (hidden + 9)
    readout += 2 * horizons * (hidden + 1 + 8 * channels)
    stride = -(-channels // 8) * 8
    evidence = 951 * channels + 8 * channels * stride + 900 + (1154 if channels == 1 else 0)
    rest = 700 + 150 * channels + horizons * channels * (3 + k)
    expected = 4 * network + 8 * (readout + evidence + rest)
    assert Fleet.bytes_per_series(asked) == pytest.approx(expected, rel=0.08)


@networks_matrix
@settings(max_examples=12)
@given(powers=st.tuples(st.integers(-250, 250), st.integers(-250, 250)))
def test_a_power_of_two_in_the_unit_changes_no_bit_of_a_score(networks, powers):
    values, times = stream(300)
    factors = 2.0 ** np.array(powers)
    one = run(Fleet(make_settings(networks)), values, times)
    other = run(Fleet(make_settings(networks)), values * factors, times)
    for name in ("anomaly_score", "p_value", "alert_strength", "is_anomaly", "status", "share"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    for name in ("yhat", "yhat_lower", "yhat_upper"):
        np.testing.assert_array_equal(getattr(one, name) * factors, getattr(other, name), err_msg=name)
    np.testing.assert_array_equal(one.ahead * factors[:, None, None], other.ahead)


@networks_matrix
def test_a_record_is_scored_before_it_is_learned(networks):
    values, times = stream(300)
    fleet = Fleet(make_settings(networks))
    run(fleet, values[:250], times[:250])
    record = Batch.of_one_series(values[250:251], times[250:251], 250)
    before = fleet.to_bytes()
    foretold = fleet.score(record)
    assert fleet.to_bytes() == before
    assert_same(foretold, fleet.process(record))
    assert fleet.to_bytes() != before


def learned_segments(layout):
    """(name, type) of what every kind of learning moves: scale, errors, each network and its heads."""
    yield from (("mean", float), ("spread", float))
    for i in range(len(layout.networks)):
        yield from ((f"network{i}.weights", np.float32), (f"readout{i}.own_weights", float))
    for d in range(len(layout.settings.channels) if layout.groups else 0):
        yield f"channel{d}.shares", float
        for i, group in enumerate(layout.groups):
            yield from ((f"channel{d}.group{i}.head{e}.own_weights", float) for e in range(3))
            if group.training != "frozen":
                yield f"channel{d}.group{i}.weights", np.float32


@networks_matrix
def test_whether_an_anomaly_is_learned_is_a_setting(networks):
    values, times = stream(400, channels=2)
    values, times = np.where(np.isnan(values), 0.0, values), (np.arange(400) * 10**9).astype(np.int64)
    values[300] = 50.0
    for learn in (True, False):
        fleet = Fleet(make_settings(networks, learn_anomalies=learn, false_alarms=1e-3))
        run(fleet, values[:300], times[:300])
        before = fleet.row(0).copy()
        assert run(fleet, values[300:301], times[300:301], 300).is_anomaly[0]
        unchanged = [
            np.array_equal(
                fleet.layout.segment(before, name, kind), fleet.layout.segment(fleet.row(0), name, kind)
            )
            for name, kind in learned_segments(fleet.layout)
        ]
        assert not any(unchanged) if learn else all(unchanged)


@pytest.mark.soak
def test_a_network_learns_the_same_beside_one_that_goes_back_fewer_steps():
    """A time-delay network goes back through k1 steps; those beside it through all k2."""
    values, times = stream(60, times=False)
    values[:] = np.sin(np.arange(60)[:, None] * [0.3, 0.5])  # in a hole they would hear each other's forecast
    learned = []
    for beside in ("tdnn", "gru"):
        fleet = Fleet(make_settings((beside, "lstm"), k1=1, k2=7))
        fleet.series(["pump"])
        run(fleet, values, times)
        learned.append(weights_of(fleet, "pump", network=1))
    for name, array in learned[0].items():
        assert np.array_equal(array, learned[1][name]), name
