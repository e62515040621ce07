"""Entry points for one network by itself: benchmarks, gradient checks, golden data."""

from __future__ import annotations

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import entry_point
from streamrnn.kernels.network import gradient_of_window, input_address, learn, step
from streamrnn.kernels.slots import next_slot
from streamrnn.kernels.vector import int64_at, load, pointer_like, shift, store


@entry_point
def run_network(cell, net, row, scratch, inputs, observed, outputs, n, learning):
    """Feed n records to one network.

    ``inputs`` (n, inputs), ``observed`` (n, outputs; the truth of the output made
    one record before) and ``outputs`` (n, outputs; written) are addresses of
    arrays of the network's element type.
    """
    table = int64_at(net)
    counters = int64_at(row + load(table, plan.NET_COUNTERS))
    n_inputs, n_outputs = load(table, plan.NET_INPUTS), load(table, plan.NET_OUTPUTS)
    x, truth = pointer_like(inputs, cell.one), pointer_like(observed, cell.one)
    out = pointer_like(outputs, cell.one)
    y = pointer_like(row + load(table, plan.NET_Y), cell.one)
    target = pointer_like(row + load(table, plan.NET_TARGET), cell.one)
    for t in range(n):
        slot = load(counters, plan.COUNT_SLOT)
        for k in range(n_outputs):
            store(target, slot * n_outputs + k, load(truth, t * n_outputs + k))
        if learning:
            learn(cell, net, row, scratch)
        slot = next_slot(slot, load(table, plan.NET_SLOTS))
        place = input_address(cell, net, row, slot)
        for k in range(n_inputs):
            store(place, k, load(x, t * n_inputs + k))
        step(cell, net, row, 0)
        for k in range(n_outputs):
            store(out, t * n_outputs + k, load(y, slot * n_outputs + k))


@entry_point
def run_one(cell, net, row, x):
    """One forward step of a network with one input and one output."""
    table = int64_at(net)
    slot = next_slot(
        load(int64_at(row + load(table, plan.NET_COUNTERS)), plan.COUNT_SLOT), load(table, plan.NET_SLOTS)
    )
    store(input_address(cell, net, row, slot), 0, x)
    step(cell, net, row, 0)
    return float(load(shift(pointer_like(row + load(table, plan.NET_Y), cell.one), slot), 0))


@entry_point
def window_gradient(cell, net, row, scratch):
    """The gradient that an update would use now, left in the scratch; (squares, losses)."""
    return gradient_of_window(cell, net, row, scratch)
