"""Invariant 12: kernels stay within their memory, whatever the sizes and the records."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from guarded import CANARY, EIGHT_BYTES, Arena, GuardedModel, red_zones
from hypothesis import given, settings
from hypothesis import strategies as st
from support import Network

from streamrnn.feedback import DISMISSED, Position, Signature, tell
from streamrnn.kernels import plan
from streamrnn.kernels.cells import CELLS
from streamrnn.kernels.compiling import bind
from streamrnn.kernels.step import newest_forecasts, process_batch
from streamrnn.pooling import blank_prior
from streamrnn.records import Batch
from streamrnn.settings import Settings
from streamrnn.tables import NetworkShape

BAD = (np.nan, np.inf, -np.inf, 1e308, -1e308, 1e100, 5e-324, 0.0)
EDGES = (plan.NO_TIME, plan.NO_TIME + 1, -1, 0, 2**63 - 1)
# Compiled for the invariants' tests, too: other units and blocks are the same kernels.
SINGLY = ("lstm", "gru", "diagonal_lstm")  # the others in one model together, and singly with -m soak
NETWORKS = [
    ("none",),
    *(pytest.param((name,), marks=[pytest.mark.soak] * (name not in SINGLY[:2])) for name in CELLS),
    ("rnn_relu", "jordan", "tdnn:4x2"),
    SINGLY,
    ("gru", "diagonal_lstm:7:kalman_units", "ar:16"),
    ("lstm:9:kalman", "gru:9:adam_heads", "ar:8"),
]


@st.composite
def models(draw):
    """Settings of every kind of size that shapes a row."""
    k2 = draw(st.integers(1, 20))
    return {
        "channels": [f"c{i}" for i in range(draw(st.integers(1, 5)))],
        "preset": draw(st.sampled_from(["default", "light"])),
        "hidden": draw(st.one_of(st.integers(0, 40), st.sampled_from([64, 100, 130]))),
        "lags": 8 * draw(st.integers(1, 4)),
        "k1": draw(st.integers(1, k2)),
        "k2": k2,
        "horizons": draw(st.lists(st.integers(1, 12), min_size=1, max_size=5)),
        "recompute": draw(st.booleans()),
        "learn_anomalies": draw(st.booleans()),
        "false_alarms": draw(st.sampled_from(["1/hour", "5/year", 1e-2, 0.5, None])),
        "learning_rate": draw(st.sampled_from([0.0, 1.5e-3, 1.0])),
    }


def random_batch(rng: np.random.Generator, n: int, n_series: int, channels: int) -> Batch:
    """Records of random series, sane and absurd, in and out of order."""
    values = rng.normal(size=(n, channels)) * 10.0 ** rng.integers(-3, 4, size=(1, channels))
    values[rng.random(values.shape) < 0.15] = rng.choice(BAD)
    for bad in BAD:
        values[rng.random(values.shape) < 0.01] = bad
    values[rng.random(n) < 0.05] = np.nan
    times = np.cumsum(rng.choice([0, 1, 60, 60, 60, -50, 10**6], n)).astype(np.int64) * 10**9
    times[rng.random(n) < 0.02] = rng.choice(EDGES)
    return Batch(
        rng.integers(0, n_series, n).astype(np.int32), times, values,
        rng.integers(0, 3, n).astype(np.int32), np.arange(n, dtype=np.int64),
    )  # fmt: skip


def process(model: GuardedModel, batch: Batch):
    return model.process(batch, bind(process_batch, model.layout.tags, 0, 0))


def assert_no_segment_is_poisoned(model: GuardedModel):
    """Nothing that the model learned is NaN: what was absurd has left no trace that stays."""
    shapes = model.layout.networks
    for code in range(model.n_series):
        row = model.row(code)
        for i, shape in enumerate(shapes):
            for name in ("h",) if shape.shared else ("weights", "moment_1", "moment_2", "v"):
                numbers = model.layout.segment(row, f"network{i}.{name}", shape.dtype)
                assert np.isfinite(numbers).all(), (name, code)
            for name in ("shared", "cross", "own", "shared_weights", "own_weights", "x", "rest"):
                assert np.isfinite(model.layout.segment(row, f"readout{i}.{name}", np.float64)).all(), name
        for name in model.layout.row.segments:
            if name.startswith("channel") and not name.endswith(("counters", "mask", "target")):
                of_network = ".group" in name and ".head" not in name and not name.endswith(EIGHT_BYTES)
                dtype = np.float32 if of_network else np.float64
                assert np.isfinite(model.layout.segment(row, name, dtype)).all(), name
        for name in ("variance", "magnitude", "value", "slow", "lag_values", "spread", "quantile", "tail"):
            assert np.isfinite(model.layout.segment(row, name, np.float64)).all(), name


@pytest.mark.parametrize("networks", NETWORKS, ids="+".join)
@given(sizes=models(), n_series=st.integers(1, 3), seed=st.integers(0, 2**31))
@settings(max_examples=25)
def test_kernels_write_nowhere_but_in_their_own_segments(networks, sizes, n_series, seed):
    model = GuardedModel(Settings(networks=networks, **sizes), n_series)
    rng = np.random.default_rng(seed)
    for part in range(2):
        process(model, random_batch(rng, 200, n_series, len(sizes["channels"])))
        for code in range(n_series):
            signature = Signature(*rng.normal(size=(4, len(sizes["channels"]))))
            tell(model.layout, model.row(code), Position(0, part), DISMISSED + part % 2, signature)
    assert_no_segment_is_poisoned(model)
    for code in range(n_series):
        place = Arena(8 * 4 * len(sizes["channels"]) * len(model.layout.settings.horizons))
        newest_forecasts(
            model.table.address, model.slab.address + code * model.layout.row_bytes, place.address
        )
        model.check([place])


@given(sizes=models(), seed=st.integers(0, 2**31))
@settings(max_examples=15)
def test_kernels_of_shared_networks_write_nowhere_else_and_change_no_weight(sizes, seed):
    asked = Settings(networks=(f"rnn:{max(sizes['hidden'], 1)}:shared",), **sizes)
    model = GuardedModel(replace(asked, prior=blank_prior(asked)), 2)
    kept = model.layout.scratch.view(model.scratch.bytes, "network0.weights", np.float32).copy()
    process(model, random_batch(np.random.default_rng(seed), 250, 2, len(sizes["channels"])))
    assert_no_segment_is_poisoned(model)
    now = model.layout.scratch.view(model.scratch.bytes, "network0.weights", np.float32)
    assert kept.any() and np.array_equal(now, kept)


@pytest.mark.parametrize("networks", NETWORKS, ids="+".join)
@given(sizes=models(), seed=st.integers(0, 2**31))
@settings(max_examples=15)
def test_nothing_outside_a_segment_changes_any_bit(networks, sizes, seed):
    """Between segments lie NaNs in one model and nothing in the other: what is read there is unused."""
    guarded, plain = (
        GuardedModel(Settings(networks=networks, **sizes), 2, zones=zones) for zones in (True, False)
    )
    batch = random_batch(np.random.default_rng(seed), 250, 2, len(sizes["channels"]))
    one, other = process(guarded, batch), process(plain, batch)
    for field in fields(one):
        first, second = getattr(one, field.name), getattr(other, field.name)
        assert np.array_equal(first, second, equal_nan=first.dtype.kind == "f"), field.name
    for code in range(2):
        assert guarded.state(code) == plain.state(code)


@pytest.mark.soak
@pytest.mark.parametrize(
    "networks",
    [
        ("lstm", "gru", "lstm"),
        ("gru", "gru", "gru"),
        ("lstm", "diagonal_lstm:7", "diagonal_lstm:20:frozen", "ar:16"),
        ("gru:5:kalman", "lstm:9:frozen"),
    ],
    ids="+".join,
)
def test_several_networks_stay_within_their_segments(networks):
    rng = np.random.default_rng(0)
    for hidden in (1, 12, 33):
        channels = [f"c{i}" for i in range(3)]
        model = GuardedModel(
            Settings(networks=networks, channels=channels, hidden=hidden, horizons=[1, 5]), 2
        )
        for _ in range(5):
            process(model, random_batch(rng, 400, 2, 3))
        assert_no_segment_is_poisoned(model)


# ---------------------------------------------------------------- one network


@pytest.mark.parametrize(
    ("cell", "most_layers"),
    [
        pytest.param(cell, layers, marks=[pytest.mark.soak] * (layers > 1 or cell not in SINGLY))
        for cell in sorted(CELLS)
        for layers in (1, 4)
    ],
)
@pytest.mark.parametrize("double", [False, True])
@given(
    hidden=st.integers(1, 40), inputs=st.integers(1, 20), outputs=st.integers(1, 18),
    k2=st.integers(1, 9), seed=st.integers(0, 2**31),
)  # fmt: skip
@settings(max_examples=15)
def test_a_network_by_itself_stays_within_its_segments(
    cell, most_layers, double, hidden, inputs, outputs, k2, seed
):
    rng = np.random.default_rng(seed)
    layers = int(rng.integers(2, most_layers + 1)) if most_layers > 1 else 1
    windows = 1 + int(rng.integers(k2)), k2
    shape = NetworkShape(cell, hidden, inputs, outputs, *windows, double=double, layers=layers)
    with red_zones() as zones:
        net = Network(shape)
    memories = [(net.memory_of(space)[start:end]) for space, start, end in zones]
    for memory in memories:
        memory[:] = CANARY
    x, truth = rng.normal(size=(60, inputs)), rng.normal(size=(60, outputs))
    net.run(x, truth, learning=True)
    assert np.isfinite(net.segment("weights")).all()
    x[rng.random(x.shape) < 0.02], truth[rng.random(truth.shape) < 0.1] = np.inf, np.nan
    net.run(x, truth, learning=True)
    net.gradient()
    net.input_gradient(0)
    assert all(np.all(memory == CANARY) for memory in memories)
