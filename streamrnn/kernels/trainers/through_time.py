"""How a forecast moves with the weights of a network whose units see each other.

Going back from the step that made it through a window of stored steps; the state at the
window's start is a constant (truncated backpropagation through time, ``network.py``).
"""

from __future__ import annotations

from streamrnn.kernels import plan
from streamrnn.kernels.cells.protocol import cell_gradient, cell_prepare
from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.network import clear, in_one_piece, step_back
from streamrnn.kernels.slots import slot_before
from streamrnn.kernels.vector import (
    int64_at,
    lanes,
    load,
    load_vector,
    never_inline,
    pointer_like,
    shift,
    store_vector,
)


@inlined
def window_of(group, row, horizon):
    """(Slot of the step that forecast the newest record ``horizon`` ahead, steps to go back from it)."""
    table = int64_at(group)
    net = int64_at(group + load(table, plan.GROUP_NET))
    counters = int64_at(row + load(net, plan.NET_COUNTERS))
    first = slot_before(load(counters, plan.COUNT_SLOT), horizon - 1, load(net, plan.NET_SLOTS))
    return first, min(load(table, plan.GROUP_WINDOW), load(counters, plan.COUNT_FILLED) - horizon + 1)


@kernel
def differentiate(cell, group, row, scratch, k, first, steps):
    """D(w_k' h(first)) / dtheta through ``steps`` steps, to the network's gradient in the scratch."""
    never_inline()
    table, net = int64_at(group), group + load(int64_at(group), plan.GROUP_NET)
    sizes, padded = int64_at(net), load(table, plan.GROUP_PADDED)
    weights = shift(pointer_like(row + load(table, plan.GROUP_WEIGHT), cell.one), k * padded)
    dh = pointer_like(scratch + load(sizes, plan.NET_DH), cell.one)
    clear(pointer_like(scratch + load(sizes, plan.NET_CARRY), cell.one), padded)
    for j in range(0, padded, lanes(dh)):
        store_vector(dh, j, load_vector(weights, j))
    cell_prepare(cell, net, row, scratch)
    for n in range(steps):
        slot = slot_before(first, n, load(sizes, plan.NET_SLOTS))
        step_back(cell, net, row, scratch, slot, n == steps - 1)
    start, length = in_one_piece(cell, net, scratch, first, steps)
    cell_gradient(cell, net, row, scratch, start, length)
