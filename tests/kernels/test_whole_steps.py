"""Steps that follow each other without the driver, against the same steps that it takes one by one."""

from __future__ import annotations

import numpy as np
import pytest
from support import Network, test_kernel

from streamrnn.kernels import plan
from streamrnn.kernels.network import input_address, learn, step
from streamrnn.kernels.slots import next_slot
from streamrnn.kernels.vector import float32_at, int64_at, load, pointer_like, store
from streamrnn.tables import NetworkShape

N = 150


@test_kernel
def _one_by_one(cell, net, row, scratch, columns, n, learning):
    table = int64_at(net)
    counters = int64_at(row + load(table, plan.NET_COUNTERS))
    target = pointer_like(row + load(table, plan.NET_TARGET), cell.one)
    y = pointer_like(row + load(table, plan.NET_Y), cell.one)
    x, truth, out = float32_at(columns[0]), float32_at(columns[1]), float32_at(columns[2])
    for t in range(n):
        slot = next_slot(load(counters, plan.COUNT_SLOT), load(table, plan.NET_SLOTS))
        known = load(x, t) == load(x, t)
        store(input_address(cell, net, row, slot), 0, load(x, t) if known else 0.0)
        step(cell, net, row, slot, 0 if known else 1)
        store(out, t, load(y, slot))
        store(target, slot, load(truth, t))
        if learning:
            learn(cell, net, row, scratch, 1)


def sequence(missing):
    """(inputs, targets), (N, 1) float32, so many of the inputs missing, and every seventh target."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, N, 1)).astype(np.float32)
    x[rng.choice(N, missing, replace=False)] = np.nan
    y[::7] = np.nan
    return x, y


@pytest.mark.parametrize("cell", ["jordan", "tdnn"])
@pytest.mark.parametrize("hidden", [12, 20, 40, 64])  # one vector, two, three, four
@pytest.mark.parametrize("ks", [(8, 32), (1, 16), (5, 7), (2, 3)])
@pytest.mark.parametrize("missing", [0, 4, 40])
@pytest.mark.parametrize("learning", [True, False])
def test_they_are_the_steps_that_the_driver_takes(cell, hidden, ks, missing, learning):
    shape, (x, y) = NetworkShape(cell, hidden, 1, 1, *ks), sequence(missing)
    at_once, single = Network(shape, seed=1), Network(shape, seed=1)
    said = at_once.run(x, y, learning)
    out = np.empty_like(said)
    columns = tuple(array.ctypes.data for array in (x, y, out))
    addresses = [array.ctypes.data for array in (single.table, single.row, single.scratch)]
    _one_by_one(shape.tag, *addresses, columns, N, learning)
    assert np.array_equal(out, said)
    assert np.array_equal(single.row, at_once.row)


@pytest.mark.parametrize("taps", [2, 7, 9])
def test_a_time_delay_network_of_other_windows_takes_them_too(taps):
    shape, (x, y) = NetworkShape("tdnn", 20, 1, 1, 4, 12, taps=taps), sequence(6)
    whole, parts = Network(shape, seed=1), Network(shape, seed=1)
    said = whole.run(x, y, learning=True)
    assert np.array_equal(
        said, np.concatenate([parts.run(x[t : t + 1], y[t : t + 1], True) for t in range(N)])
    )
    assert np.array_equal(parts.row, whole.row)


@pytest.mark.parametrize("cell", ["jordan", "tdnn"])
def test_a_network_learns_the_same_whether_errors_are_kept_or_not(cell):
    shape, (x, y) = NetworkShape(cell, 20, 1, 1, 3, 9), sequence(6)
    plain, kept = Network(shape, seed=1), Network(shape, seed=1)
    kept.table[plan.NET_ERRORS_KEPT] = 1
    assert np.array_equal(plain.run(x, y, learning=True), kept.run(x, y, learning=True))
    assert np.array_equal(plain.row, kept.row)
    assert np.any(kept.segment("errors"))
