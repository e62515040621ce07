"""Conformance of every registered cell: a new one is tested without writing a test.

It needs a twin in ``naive.CELLS``, and golden arrays where PyTorch has the cell.
"""

from __future__ import annotations

from itertools import pairwise

import naive
import naive_learning
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import Arrays, Network, golden, random_weights, relative_error, test_kernel

from streamrnn.kernels import plan
from streamrnn.kernels.cells import CELLS
from streamrnn.kernels.network import go_back, open_window, sum_up
from streamrnn.tables import NetworkShape, Training

# The activations of a simple network share all else; these two join in only where float64 is enough.
BESIDE_TANH = ("rnn_relu", "rnn_logistic")
each_cell = pytest.mark.parametrize(
    "cell",
    [pytest.param(cell, marks=[pytest.mark.soak] * (cell in BESIDE_TANH)) for cell in sorted(CELLS)],
)
each_cell_in_float64 = pytest.mark.parametrize("cell", sorted(CELLS))
GOLDEN = {  # PyTorch's networks: cell, layers
    "lstm": ("lstm", 1), "lstm_16": ("lstm", 1), "lstm_stacked": ("lstm", 2),
    "gru": ("gru", 1), "gru_16": ("gru", 1), "gru_stacked": ("gru", 3),
    "elman_tanh": ("rnn", 1), "elman_relu": ("rnn_relu", 1), "elman_stacked": ("rnn", 2),
}  # fmt: skip
STACKS_WITH_SOAK = ("gru_stacked", "elman_stacked")
# In one compilation a stack has any number of layers; one cell stands for the others.
each_stack = pytest.mark.parametrize(
    "cell", [pytest.param(cell, marks=[pytest.mark.soak] * (cell != "lstm")) for cell in sorted(CELLS)]
)
# Here those with ways down of their own: past the gates, through the head, from later steps.
each_stack_in_float64 = pytest.mark.parametrize(
    "cell",
    [
        pytest.param(cell, marks=[pytest.mark.soak] * (cell not in ("gru", "jordan", "tdnn")))
        for cell in sorted(CELLS)
    ],
)
few_examples = settings(max_examples=25)

SHAPES = ((1, 1, 1), (5, 3, 2), (16, 1, 1), (17, 2, 3), (33, 20, 1))  # hidden, inputs, outputs


def make(cell: str, sizes: tuple[int, int, int], windows: tuple[int, int], **options: object) -> Network:
    """A network with random weights, biases included."""
    training = options.pop("training", None)
    hidden, inputs, outputs = sizes
    shape = NetworkShape(cell, hidden, inputs, outputs, *windows, **options)
    net = Network(shape, training)
    # Without gates, weights of this size make a chaotic network of many units, in which rounding grows.
    scale = 0.7 if len(shape.spec.gates) > 1 else 0.7 / np.sqrt(hidden)
    net.set_weights(random_weights(shape, np.random.default_rng(hidden + 100 * inputs), scale))
    return net


@each_cell_in_float64
def test_a_cell_has_a_plain_twin(cell):
    assert cell in naive.CELLS
    spec = CELLS[cell]
    assert naive.CELLS[cell].states == 1 + len(spec.state)
    assert naive.CELLS[cell].context == (spec.context if spec.context in ("outputs", "inputs") else "hidden")
    assert set(spec.bias) <= set(spec.gates)


@each_cell
@pytest.mark.parametrize("sizes", SHAPES)
@pytest.mark.parametrize(("double", "tolerance"), [(True, 1e-12), (False, 1e-5)])
def test_forward_equals_the_plain_twin(cell, sizes, double, tolerance):
    net = make(cell, sizes, (1, 3), double=double)
    inputs = np.random.default_rng(1).normal(size=(30, sizes[1]))
    outputs = net.run(inputs)
    steps = naive.sequence(naive.CELLS[cell], net.weights, inputs)
    assert relative_error(outputs, np.array([made.y for made in steps])) < tolerance
    assert np.abs(net.hidden()[: sizes[0]] - steps[-1].state[0]).max() < tolerance


@each_cell
def test_saturated_gates_stay_finite(cell):
    net = make(cell, (5, 3, 2), (1, 3))
    inputs = np.full((20, 3), 3e38) * np.random.default_rng(2).choice([-1, 0, 1], size=(20, 3))
    net.set_weights({name: w / 10 for name, w in net.weights.items()})
    assert np.isfinite(net.run(inputs)).all()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.soak] * (name in STACKS_WITH_SOAK or name.startswith("elman")))
        for name in sorted(GOLDEN)
    ],
)
def test_outputs_meet_pytorch(name):
    arrays = golden(name)
    net = golden_network(name, arrays, double=False)
    outputs = net.run(arrays["x"])
    assert np.abs(outputs - arrays["output"]).max() < 1e-5
    assert np.abs(net.hidden()[: net.shape.hidden] - arrays["h_n"][-1]).max() < 1e-5


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.soak] * (name in STACKS_WITH_SOAK)) for name in sorted(GOLDEN)],
)
def test_gradients_meet_pytorch(name):
    """Of sum(output**2): twice the half squares of a head that is the identity, with targets 0."""
    arrays = golden(name)
    net = golden_network(name, arrays, double=True)
    net.run(arrays["x"])
    net.set_targets(np.zeros_like(arrays["output"]))
    gradient, _, losses = net.gradient()
    assert losses == arrays["output"].size
    for key in (key for key in gradient if not key.startswith("head")):
        assert relative_error(2.0 * gradient[key], arrays[f"grad_{key}"]) < 1e-12, key
    steps = len(arrays["x"])
    by_input = np.array([net.input_gradient(steps - 1 - t) for t in range(steps)])
    assert relative_error(2.0 * by_input, arrays["grad_x"]) < 1e-12


def golden_network(name: str, arrays: Arrays, double: bool) -> Network:
    """PyTorch's network, all of its h as outputs, every step within one window."""
    hidden, (steps, inputs) = arrays["output"].shape[1], arrays["x"].shape
    cell, layers = GOLDEN[name]
    shape = NetworkShape(cell, hidden, inputs, hidden, steps, steps, double=double, layers=layers)
    net = Network(shape, Training(huber=1e9))
    net.set_weights({**arrays, "head_weight": np.eye(hidden), "head_bias": np.zeros(hidden)})
    return net


# ---------------------------------------------------------------- gradients


@st.composite
def windows(draw):
    """(sizes, (k1, k2), steps so far, seed): rings that are partly filled, full, and wrapped."""
    sizes = (draw(st.integers(1, 6)), draw(st.integers(1, 4)), draw(st.integers(1, 3)))
    k2 = draw(st.integers(1, 7))
    k1 = draw(st.integers(1, k2))
    return sizes, (k1, k2), draw(st.integers(1, 20)), draw(st.integers(0, 10_000))


@each_cell_in_float64
@given(case=windows(), recompute=st.booleans())
@few_examples
def test_gradients_equal_complex_step_derivatives_of_the_twin(cell, case, recompute):
    """Invariant 6, with masked steps, missing targets, errors on both sides of Huber's threshold."""
    assert_gradients_are_right(cell, 1, case, recompute)


@pytest.mark.parametrize("cell", ["jordan", "tdnn"])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (2, 1), (2, 3)])
@pytest.mark.parametrize("masked", [0.0, 0.3, 0.9])
def test_gradients_are_right_at_once_and_step_by_step(cell, inputs, outputs, masked):
    """With one output the way back is in one piece, whatever is masked and wherever the ring ends."""
    for n in (1, 4, 9, 10, 13, 22):
        for k1 in (1, 3, 7):
            case = ((17, inputs, outputs), (k1, 7 if n < 13 else 8), n, 100 * n + k1)
            assert_gradients_are_right(cell, 1, case, n % 2 == 0, masked)


@test_kernel
def _go_back_beside_others(cell, net, row, scratch, most):
    losses = 0
    open_window(cell, net, row, scratch)
    for n in range(most):
        losses += go_back(cell, net, row, scratch, n, most)
    return losses, sum_up(cell, net, row, scratch)


@pytest.mark.parametrize("cell", ["jordan", "tdnn"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_beside_networks_that_take_every_step_back_it_is_the_same_way(cell, outputs):
    net, rng = make(cell, (17, 2, outputs), (3, 7)), np.random.default_rng(8)
    net.step(rng.normal(size=(12, 2)), rng.random(12) < 0.2)
    targets = rng.normal(size=(3, outputs))
    targets[1, 0] = np.nan
    net.set_targets(targets)
    gradient, squares, losses = net.gradient()
    addresses = [memory.ctypes.data for memory in (net.table, net.row, net.scratch)]
    assert _go_back_beside_others(net.shape.tag, *addresses, 7) == (losses, squares)
    assert losses == 3 * outputs - 1
    again = net.named(net.segment("gradient"))
    assert all(np.array_equal(again[name], array) for name, array in gradient.items())


@each_stack_in_float64
@given(case=windows(), recompute=st.booleans(), layers=st.integers(2, 4))
@few_examples
def test_gradients_of_a_stack_equal_complex_step_derivatives_of_the_twin(cell, case, recompute, layers):
    assert_gradients_are_right(cell, layers, case, recompute)


def assert_gradients_are_right(cell, layers, case, recompute, masked=0.2):
    sizes, (k1, k2), n, seed = case
    rng = np.random.default_rng(seed)
    options = {"layers": layers, "recompute": recompute, "training": Training(huber=0.8)}
    net = make(cell, sizes, (k1, k2), double=True, **options)
    inputs, masks = rng.normal(size=(n, sizes[1])), rng.random(n) < masked
    net.step(inputs, masks)
    filled = min(n, k2)
    targets = rng.normal(size=(min(k1, filled), sizes[2]))
    targets[rng.random(targets.shape) < 0.3] = np.nan
    net.set_targets(targets)
    gradient, squares, losses = net.gradient()

    twin, p = naive.twin(cell, layers), net.weights
    before = naive.sequence(twin, p, inputs[: n - filled], masks[: n - filled])
    start = before[-1].state if before else twin.zero_state(p)
    window = naive.Window(inputs[n - filled :], start, targets, masks[n - filled :])
    truth = naive.complex_step(lambda q: window.loss(twin, q, 0.8), p)
    assert losses == window.losses
    largest = max(np.abs(array).max() for array in truth.values())
    for name, array in truth.items():
        allowed = 1e-10 * np.abs(array).max() + 1e-15 * largest
        assert np.abs(gradient[name] - array).max() <= allowed, name
    total = sum(np.sum(array**2) for array in truth.values())
    assert squares == pytest.approx(total, rel=1e-10, abs=1e-20)
    by_inputs = naive.complex_step(
        lambda q: window.loss_of_inputs(twin, p, 0.8, q["x"]), {"x": window.inputs}
    )["x"]
    for t in np.flatnonzero(~window.masks):
        allowed = 1e-10 * np.abs(by_inputs).max() + 1e-15 * largest
        assert np.abs(net.input_gradient(filled - 1 - t) - by_inputs[t]).max() <= allowed


@each_cell
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize(("double", "tolerance"), [(True, 1e-12), (False, 2e-6)])
def test_a_learning_network_follows_its_twin(cell, recompute, double, tolerance):
    """Stored activations too: what is differentiated is the past as it was computed."""
    assert_it_follows(cell, 1, recompute, double, tolerance)


@pytest.mark.parametrize("cell", ["jordan", "tdnn"])
def test_a_learning_network_with_one_output_follows_its_twin(cell):
    assert_it_follows(cell, 1, False, True, 1e-12, outputs=1)


@each_stack
@pytest.mark.parametrize("recompute", [False, True])
def test_a_learning_stack_follows_its_twin(cell, recompute):
    assert_it_follows(cell, 3, recompute, True, 1e-12)


def assert_it_follows(cell, layers, recompute, double, tolerance, outputs=2):
    training = Training(rate=0.02, huber=0.7, clip=0.3)
    net = make(
        cell, (3, 2, outputs), (2, 5), double=double, recompute=recompute, training=training, layers=layers
    )
    twin = naive_learning.Learner(
        naive.twin(cell, layers), net.weights,
        naive_learning.Adam(training.rate, training.beta_1, training.beta_2, training.epsilon, training.clip),
        k1=2, k2=5, huber=training.huber, recompute=recompute,
    )  # fmt: skip
    rng = np.random.default_rng(7)  # no gradient so small that rounding decides its sign, and Adam's step
    inputs, observed = rng.normal(size=(60, 2)), rng.normal(size=(60, outputs))
    observed[rng.random(observed.shape) < 0.2] = np.nan
    expected = np.array([twin.learn_one(x, y) for x, y in zip(inputs, observed, strict=True)])
    outputs = net.run(inputs, observed, learning=True)
    assert relative_error(outputs, expected) < tolerance
    for name, array in twin.p.items():
        assert relative_error(net.weights[name], array) < tolerance, name
    assert net.segment("powers")[0] == pytest.approx(training.beta_1**twin.adam.t)


# ---------------------------------------------------------------- invariants


@each_cell
def test_padding_stays_zero_while_learning(cell):
    assert_padding_stays_zero(cell, 1, [*range(1, 41), 512])


@each_stack
def test_padding_of_a_stack_stays_zero_while_learning(cell):
    assert_padding_stays_zero(cell, 3, [1, 15, 16, 17, 33])


def assert_padding_stays_zero(cell, layers, sizes):
    rng = np.random.default_rng(4)
    for hidden in sizes:
        steps = 12 if hidden == 512 else 120
        net = make(cell, (hidden, 2, 1), (1, 4), layers=layers)
        inputs, observed = rng.normal(size=(steps, 2)), rng.normal(size=(steps, 1))
        first = net.weights
        net.run(inputs, observed, learning=True)
        assert any(np.any(net.weights[name] != first[name]) for name in first)
        for name in ("weights", "moment_1", "moment_2", "gradient"):
            assert not np.any(net.padding(net.segment(name))), (hidden, name)
        assert not np.any(net.hidden()[hidden:]), hidden


@each_cell
@given(cuts=st.lists(st.integers(0, 60), max_size=4), learning=st.booleans())
@few_examples
def test_chunks_of_any_size_give_the_same_bits(cell, cuts, learning):
    rng = np.random.default_rng(5)
    inputs, observed = rng.normal(size=(60, 3)), rng.normal(size=(60, 2))
    whole, cut = (make(cell, (20, 3, 2), (2, 5)) for _ in range(2))
    expected = whole.run(inputs, observed, learning)
    edges = [0, *sorted(cuts), 60]
    parts = [cut.run(inputs[a:b], observed[a:b], learning) for a, b in pairwise(edges)]
    assert np.array_equal(np.concatenate(parts), expected)
    assert np.array_equal(cut.row, whole.row)


@each_cell
@pytest.mark.parametrize("hidden", [5, 48])
def test_recomputing_changes_no_bit_while_weights_stand_still(cell, hidden):
    """48 units alternate the direction in which weights are walked; it must follow the slot."""
    rng = np.random.default_rng(6)
    inputs, observed = rng.normal(size=(50, 2)), rng.normal(size=(50, 1))
    rows = []
    for recompute in (False, True):
        net = make(cell, (hidden, 2, 1), (3, 8), recompute=recompute, training=Training(rate=0.0))
        rows.append((net.run(inputs, observed, learning=True), net.row))
    assert np.array_equal(rows[0][0], rows[1][0])
    assert np.array_equal(rows[0][1], rows[1][1])


@each_cell
@pytest.mark.parametrize("double", [False, True])
def test_a_masked_step_carries_the_state(cell, double):
    rng = np.random.default_rng(7)
    inputs = rng.normal(size=(12, 3))
    masks = np.array([1, 0, 0, 1, 1, 0, 0, 0, 1, 0, 1, 1])
    masked, plain = (make(cell, (5, 3, 2), (1, 4), double=double) for _ in range(2))
    outputs = masked.step(np.where(masks[:, None], np.nan, inputs), masks)
    expected = plain.run(inputs[masks == 0])
    assert np.array_equal(outputs[masks == 0], expected)
    assert np.array_equal(outputs[4], outputs[2])  # passes two masked steps
    assert np.array_equal(masked.hidden(), plain.hidden())


@each_cell
def test_without_a_known_target_nothing_is_learned(cell):
    net = make(cell, (5, 2, 2), (2, 4))
    first = net.segment("weights").copy()
    net.run(np.ones((20, 2)), np.full((20, 2), np.nan), learning=True)
    assert np.array_equal(net.segment("weights"), first)
    assert np.all(net.segment("powers") == 1.0)
    assert net.segment("counters")[plan.COUNT_FILLED] == 4


@each_cell
def test_a_float64_network_is_twice_as_large_and_the_same_otherwise(cell):
    single, double = (NetworkShape(cell, 7, 3, 2, 1, 4, double=d) for d in (False, True))
    assert single.parameters == double.parameters
    assert np.dtype(double.dtype).itemsize == 2 * np.dtype(single.dtype).itemsize
