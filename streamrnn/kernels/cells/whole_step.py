"""A step and the network's only output in one go, of cells that see few numbers: tanh of their sums.

On its way through memory h would take as long again; it goes there for the steps to come alone.
Of a sequence whose inputs are known such steps follow each other without the driver, which takes as
many instructions as one of them.
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
def sizes_of(net, seen, last):
    """What ``output`` takes: padded units, numbers seen, 1 if one is heard, where slopes and head lie."""
    table = int64_at(net)
    h_size = load(table, plan.NET_PADDED)
    return h_size, seen, last, load(table, plan.NET_V_STRIDE) - h_size, load(table, plan.NET_HEAD)


@inlined
def _store_part(h, j, part, sizes):
    """Put a part of h at element j, and of cells that hear what they said 1 - h^2 behind it."""
    store_vector(h, j, part)
    if sizes[2]:
        store_vector(h, sizes[3] + j, fma(part * -1.0, part, 1.0))


@inlined
def _add_pair(total, j, x, h, weights, sizes, heard):
    """Two vectors of h from element j on; the total with their products with the head's weights."""
    h_size, seen, last, _, head = sizes
    of_pair, rows = shift(weights, j), seen + last
    a, b = load_vector(of_pair, rows * h_size), load_vector(of_pair, rows * h_size + lanes(h))
    for k in range(seen):
        x_k, row_k = splat(h, load(x, k)), shift(of_pair, k * h_size)
        a, b = fma(x_k, load_vector(row_k, 0), a), fma(x_k, load_vector(row_k, lanes(h)), b)
    if last:
        y, row_y = splat(h, heard), shift(of_pair, seen * h_size)
        a, b = fma(y, load_vector(row_y, 0), a), fma(y, load_vector(row_y, lanes(h)), b)
    a, b = tanh(a), tanh(b)
    _store_part(h, j, a, sizes)
    _store_part(h, j + lanes(h), b, sizes)
    total = fma(a, load_vector(of_pair, head), total)
    return fma(b, load_vector(of_pair, head + lanes(h)), total)


@inlined
def output(x, h, weights, sizes, heard, alone):
    """The output of a step that sees what is at x and, last because it is new, ``heard``; writes h.

    ``alone``: h is one pair of vectors; a loop around it would keep what was heard in memory.
    """
    h_size, seen, last, _, head = sizes
    total, width, rows = splat(h, 0.0), 2 * lanes(h), seen + last
    if alone:
        total = _add_pair(total, 0, x, h, weights, sizes, heard)
        return vector_sum(total) + load(weights, head + h_size)
    for j in range(0, h_size - width + 1, width):
        total = _add_pair(total, j, x, h, weights, sizes, heard)
    if h_size % width:
        j = h_size - lanes(h)
        z = load_vector(weights, rows * h_size + j)
        for k in range(seen):
            z = fma(load(x, k), load_vector(weights, k * h_size + j), z)
        if last:
            z = fma(heard, load_vector(weights, seen * h_size + j), z)
        z = tanh(z)
        _store_part(h, j, z, sizes)
        total = fma(z, load_vector(weights, head + j), total)
    return vector_sum(total) + load(weights, head + h_size)


@inlined
def go_in_one(cell, net, row, slot, seen, last, heard):
    """H and output of a slot, from ``seen`` numbers of v from the inputs on, ``heard`` if ``last``, and 1."""
    table = int64_at(net)
    x = shift(vector_of(cell, net, row, slot), load(table, plan.NET_PADDED) + 1)
    weights = pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
    y, h = pointer_like(row + load(table, plan.NET_Y), cell.one), vector_behind(cell, net, row, slot)
    store(y, slot, output(x, h, weights, sizes_of(net, seen, last), heard, False))
