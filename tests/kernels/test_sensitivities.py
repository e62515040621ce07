"""Exact derivatives: what a diagonal cell carries along equals going back to the stream's start."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import Network, random_weights, relative_error, test_kernel

from streamrnn.kernels import network, plan
from streamrnn.kernels.cells import CELLS
from streamrnn.kernels.cells.protocol import cell_sensitivities
from streamrnn.kernels.vector import int64_at, load, pointer_like, store
from streamrnn.tables import NetworkShape, Training

each_diagonal_cell = pytest.mark.parametrize("cell", sorted(name for name in CELLS if CELLS[name].diagonal))


@test_kernel
def _follow(cell, net, row, inputs, masks, n, of_c, of_h):
    """Steps, and after each that is not masked the sensitivities."""
    table = int64_at(net)
    counters = int64_at(row + load(table, plan.NET_COUNTERS))
    x, n_inputs = pointer_like(inputs, cell.one), load(table, plan.NET_INPUTS)
    for t in range(n):
        slot = load(counters, plan.COUNT_SLOT) + 1
        slot = 0 if slot == load(table, plan.NET_SLOTS) else slot
        place = network.input_address(cell, net, row, slot)
        for k in range(n_inputs):
            store(place, k, load(x, t * n_inputs + k))
        network.step(cell, net, row, slot, load(int64_at(masks), t))
        if not load(int64_at(masks), t):
            cell_sensitivities(
                cell, net, row, slot, pointer_like(of_c, cell.one), pointer_like(of_h, cell.one)
            )


class Followed:
    """A network whose h are its outputs, after a stream, with the sensitivities of h."""

    def __init__(self, shape, inputs, masks, seed=0):
        self.net = Network(shape, Training(huber=1.0))
        weights = random_weights(shape, np.random.default_rng(seed))
        eye = {"head_weight": np.eye(shape.hidden), "head_bias": np.zeros(shape.hidden)}
        self.net.set_weights({**weights, **eye})
        self.shape = shape
        self.of_c, self.of_h = np.zeros((2, shape.head), shape.dtype)
        self.follow(inputs, masks)

    def follow(self, inputs, masks):
        x, masked = np.ascontiguousarray(inputs, self.shape.dtype), np.ascontiguousarray(masks, np.int64)
        addresses = [a.ctypes.data for a in (self.net.table, self.net.row, x, masked)]
        _follow(self.shape.tag, *addresses, len(x), self.of_c.ctypes.data, self.of_h.ctypes.data)

    @property
    def sensitivities(self):
        """dh of each unit by its own weights, by PyTorch's names."""
        flat = np.zeros(self.shape.parameters, self.shape.dtype)
        flat[: self.shape.head] = self.of_h
        return of_cell(self.net.named(flat))


def of_cell(arrays):
    return {name: array for name, array in arrays.items() if not name.startswith("head")}


def stream(n, inputs, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, inputs)), rng.random(n) < 0.2


def shape_of(cell, hidden, inputs, k2=1, double=True):
    return NetworkShape(cell, hidden, inputs, hidden, 1, k2, double=double)


def by_complex_step(cell, net, inputs, masks):
    """No unit sees another, so the sum of all h moves with a weight as its own unit's h does."""
    twin = naive.CELLS[cell]
    return of_cell(
        naive.complex_step(
            lambda p: naive.sequence(twin, p, inputs, masks)[-1].state[0].sum(axis=-1), net.weights
        )
    )


def assert_equal(found, expected, tolerance):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert relative_error(found[name], array) < tolerance, name


@each_diagonal_cell
@given(
    hidden=st.integers(1, 20), inputs=st.integers(1, 9), n=st.integers(1, 40),
    k2=st.integers(1, 4), seed=st.integers(0, 10_000),
)  # fmt: skip
@settings(max_examples=30)
def test_sensitivities_equal_complex_step_derivatives_of_the_whole_stream(cell, hidden, inputs, n, k2, seed):
    x, masks = stream(n, inputs, seed)
    followed = Followed(shape_of(cell, hidden, inputs, k2), x, masks, seed)
    assert_equal(followed.sensitivities, by_complex_step(cell, followed.net, x, masks), 1e-10)


@each_diagonal_cell
def test_sensitivities_do_not_drift_in_a_long_stream(cell):
    """To 1e-8 after 1500 steps, saturated gates and long memories among them."""
    x, masks = stream(1500, 3)
    x[500:520] *= 30.0
    x[520:] *= 0.1
    followed = Followed(shape_of(cell, 6, 3), x, masks)
    assert_equal(followed.sensitivities, by_complex_step(cell, followed.net, x, masks), 1e-8)


@each_diagonal_cell
@pytest.mark.parametrize(("double", "tolerance"), [(True, 1e-10), (False, 1e-4)])
def test_sensitivities_equal_our_own_way_back_to_the_start(cell, double, tolerance):
    """Truncated backpropagation whose window is the whole stream; Huber's slope beyond 1 is 1."""
    n = 120
    x, masks = stream(n, 4)
    followed = Followed(shape_of(cell, 17, 4, n, double), x, masks)
    followed.net.set_targets(followed.net.hidden()[None, :17] - 10.0)
    gradient, _, losses = followed.net.gradient()
    assert losses == 17
    assert_equal(followed.sensitivities, of_cell(gradient), tolerance)


@each_diagonal_cell
def test_a_masked_step_leaves_the_sensitivities_and_what_follows_is_as_without_it(cell):
    x, masks = stream(60, 3)
    masked = Followed(shape_of(cell, 5, 3), np.where(masks[:, None], 1e3, x), masks)
    plain = Followed(shape_of(cell, 5, 3), x[~masks], masks[~masks])
    assert np.array_equal(masked.of_h, plain.of_h)
    assert np.array_equal(masked.of_c, plain.of_c)


@each_diagonal_cell
@pytest.mark.parametrize("double", [True, False])
def test_what_lies_in_the_padding_is_seen_by_no_unit(cell, double):
    x, masks = stream(50, 3)
    followed = Followed(shape_of(cell, 5, 3, double=double), x, masks)
    assert not followed.net.hidden()[5:].any()
    wide = Followed(shape_of(cell, 5, 3, double=double), x, masks)
    wide.of_h.reshape(-1, followed.shape.padded)[:, 5:] = 7.0
    for each in (followed, wide):
        each.follow(x, masks)
    assert_equal(followed.sensitivities, wide.sensitivities, 1e-300)
