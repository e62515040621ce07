"""Layers one above the other: the h of one are the inputs of the next, the head reads the last.

A stack is itself a cell, so the driver knows nothing of it. Its layers have one kind of cell
and one number of units. Each has a table of its own, one behind the other from ``net`` on;
the slots, masks, targets and the head are the same in all.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from streamrnn.kernels import plan
from streamrnn.kernels.cells.protocol import (
    cell_backward,
    cell_forward,
    cell_gradient,
    cell_hold,
    cell_input_gradient,
    cell_moment,
    cell_prepare,
    implements,
)
from streamrnn.kernels.cells.simple import vector_behind, vector_of
from streamrnn.kernels.compiling import inlined
from streamrnn.kernels.vector import (
    int64_at,
    lanes,
    load,
    load_vector,
    pointer_like,
    shift,
    store_vector,
)


class Stack(NamedTuple):
    """Tag of a stack; ``one`` carries the element type, ``cell`` is the tag of its layers."""

    one: Any
    cell: Any


@inlined
def _layer(net, n):
    return net + 8 * plan.NET_SIZE * n


@implements(cell_forward, Stack)
def forward(cell, net, row, slot):
    for n in range(load(int64_at(net), plan.NET_LAYERS)):
        layer = _layer(net, n)
        if n > 0:
            h_size = load(int64_at(layer), plan.NET_PADDED)
            below = vector_behind(cell, _layer(net, n - 1), row, slot)
            inputs = shift(vector_of(cell, layer, row, slot), h_size + 1)
            for j in range(0, h_size, lanes(below)):
                store_vector(inputs, j, load_vector(below, j))
        cell_forward(cell.cell, layer, row, slot)


@implements(cell_hold, Stack)
def hold(cell, net, row, slot):
    for n in range(load(int64_at(net), plan.NET_LAYERS)):
        cell_hold(cell.cell, _layer(net, n), row, slot)


@implements(cell_prepare, Stack)
def prepare(cell, net, row, scratch):
    for n in range(load(int64_at(net), plan.NET_LAYERS)):
        cell_prepare(cell.cell, _layer(net, n), row, scratch)


@implements(cell_backward, Stack)
def backward(cell, net, row, scratch, slot, last):
    table = int64_at(net)
    by_inputs = pointer_like(scratch + load(table, plan.NET_BY_INPUTS), cell.one)
    for n in range(load(table, plan.NET_LAYERS) - 1, -1, -1):
        layer = _layer(net, n)
        cell_backward(cell.cell, layer, row, scratch, slot, last)
        if n > 0:
            cell_input_gradient(cell.cell, layer, row, scratch, slot, by_inputs)
            dh = pointer_like(scratch + load(int64_at(_layer(net, n - 1)), plan.NET_DH), cell.one)
            for j in range(0, load(table, plan.NET_PADDED), lanes(dh)):
                store_vector(dh, j, load_vector(dh, j) + load_vector(by_inputs, j))


@implements(cell_gradient, Stack)
def gradient(cell, net, row, scratch, first, steps):
    squares = 0.0
    for n in range(load(int64_at(net), plan.NET_LAYERS)):
        squares += float(cell_gradient(cell.cell, _layer(net, n), row, scratch, first, steps))
    return squares


@implements(cell_input_gradient, Stack)
def input_gradient(cell, net, row, scratch, slot, out):
    cell_input_gradient(cell.cell, net, row, scratch, slot, out)


@implements(cell_moment, Stack)
def moment_of_a_layer(cell, moment):
    return cell_moment(cell.cell, moment)
