"""A step and the network's only output in one go, of cells that see few numbers: tanh of their sums.

On its way through memory h would take as long again; it goes there for the steps to come alone.
"""

from __future__ import annotations

from streamrnn.kernels import plan
from streamrnn.kernels.cells.simple import vector_behind, vector_of
from streamrnn.kernels.compiling import inlined
from streamrnn.kernels.vector import (
    fma,
    int64_at,
    lanes,
    load,
    load_vector,
    pointer_like,
    shift,
    splat,
    store,
    store_vector,
    tanh,
    vector_sum,
)


@inlined
def goes_in_one(net):
    """Whether the network has one layer and one output."""
    return load(int64_at(net), plan.NET_OUTPUTS) == 1 and load(int64_at(net), plan.NET_LAYERS) == 1


@inlined
def go_in_one(cell, net, row, slot, seen, heard, last):
    """H and the output of a slot, from ``seen`` numbers of v, the inputs first, ``last`` at ``heard``, and 1.

    What was heard is multiplied last: it is new.
    """
    table = int64_at(net)
    h_size, rows = load(table, plan.NET_PADDED), seen + last
    x, h = shift(vector_of(cell, net, row, slot), h_size + 1), vector_behind(cell, net, row, slot)
    weights = pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
    y = shift(pointer_like(row + load(table, plan.NET_Y), cell.one), slot)
    head, width = shift(weights, load(table, plan.NET_HEAD)), 2 * lanes(h)
    total = splat(h, 0.0)
    for j in range(0, h_size - width + 1, width):
        of_pair = shift(weights, j)
        a, b = load_vector(of_pair, rows * h_size), load_vector(of_pair, rows * h_size + lanes(h))
        for k in range(seen):
            x_k, row_k = splat(h, load(x, k)), shift(of_pair, k * h_size)
            a, b = fma(x_k, load_vector(row_k, 0), a), fma(x_k, load_vector(row_k, lanes(h)), b)
        for k in range(last):
            y_k, row_k = splat(h, load(heard, k)), shift(of_pair, (seen + k) * h_size)
            a, b = fma(y_k, load_vector(row_k, 0), a), fma(y_k, load_vector(row_k, lanes(h)), b)
        a, b = tanh(a), tanh(b)
        store_vector(h, j, a)
        store_vector(h, j + lanes(h), b)
        total = fma(a, load_vector(head, j), total)
        total = fma(b, load_vector(head, j + lanes(h)), total)
    if h_size % width:
        j = h_size - lanes(h)
        z = load_vector(weights, rows * h_size + j)
        for k in range(seen):
            z = fma(load(x, k), load_vector(weights, k * h_size + j), z)
        for k in range(last):
            z = fma(load(heard, k), load_vector(weights, (seen + k) * h_size + j), z)
        z = tanh(z)
        store_vector(h, j, z)
        total = fma(z, load_vector(head, j), total)
    store(y, 0, vector_sum(total) + load(head, h_size))
