"""Gated recurrent unit (Cho et al. 2014), reset after the product, as PyTorch computes it.

r, z = sigmoid(W_ir x + b_ir + W_hr h + b_hr, W_iz x + b_iz + W_hz h + b_hz)
n = tanh(W_in x + b_in + r (W_hn h + b_hn))
h' = (1 - z) n + z h
"""

from __future__ import annotations

from typing import Any, NamedTuple

from streamrnn.kernels import plan
from streamrnn.kernels.cells.protocol import (
    CellSpec,
    cell_backward,
    cell_forward,
    cell_gradient,
    cell_hold,
    cell_input_gradient,
    implements,
)
from streamrnn.kernels.matrix import matvec, matvec_transposed, weight_gradient
from streamrnn.kernels.slots import alternate, next_slot
from streamrnn.kernels.vector import (
    fma,
    int64_at,
    lanes,
    load,
    load_vector,
    pointer_like,
    shift,
    sigmoid,
    store_vector,
    tanh,
)


class GRU(NamedTuple):
    """Tag of the GRU kernels; ``one`` carries the element type."""

    one: Any


# Saved vectors of a slot: r, z, W_hn h + b_hn; then room for the input's products, the last of them n.
# Errors of a slot: those of the products with h (r, z, n r), then those with x (r, z, n).
SPEC = CellSpec("gru", GRU, ("r", "z", "n"), saved=6, errors=6, state=(), bias={})


@implements(cell_forward, GRU)
def forward(cell, net, row, slot):
    table = int64_at(net)
    h_size, v_stride = load(table, plan.NET_PADDED), load(table, plan.NET_V_STRIDE)
    x_rows = load(table, plan.NET_INPUTS) + 1
    columns = 3 * h_size
    weights = pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
    v = pointer_like(row + load(table, plan.NET_V), cell.one)
    saved = pointer_like(row + load(table, plan.NET_SAVED), cell.one)
    now = shift(saved, slot * load(table, plan.NET_SAVED_STRIDE))
    h_before = shift(v, slot * v_stride)
    h_out = shift(v, next_slot(slot, load(table, plan.NET_SLOTS)) * v_stride)
    backwards = alternate(slot, (h_size + x_rows + 1) * h_size)
    from_x = shift(now, columns)
    matvec(weights, columns, h_before, h_size + 1, now, columns, backwards)
    x = shift(h_before, h_size + 1)
    matvec(shift(weights, (h_size + 1) * columns), columns, x, x_rows, from_x, columns, 0)
    for j in range(0, h_size, lanes(now)):
        r = sigmoid(load_vector(now, j) + load_vector(from_x, j))
        z = sigmoid(load_vector(now, h_size + j) + load_vector(from_x, h_size + j))
        n = tanh(fma(r, load_vector(now, 2 * h_size + j), load_vector(from_x, 2 * h_size + j)))
        store_vector(now, j, r)
        store_vector(now, h_size + j, z)
        store_vector(from_x, 2 * h_size + j, n)
        store_vector(h_out, j, fma(z, load_vector(h_before, j) - n, n))


@implements(cell_hold, GRU)
def hold(cell, net, row, slot):
    table = int64_at(net)
    v_stride = load(table, plan.NET_V_STRIDE)
    v = pointer_like(row + load(table, plan.NET_V), cell.one)
    h_before = shift(v, slot * v_stride)
    h_out = shift(v, next_slot(slot, load(table, plan.NET_SLOTS)) * v_stride)
    for j in range(0, load(table, plan.NET_PADDED), lanes(v)):
        store_vector(h_out, j, load_vector(h_before, j))


@implements(cell_backward, GRU)
def backward(cell, net, row, scratch, slot, last):
    table = int64_at(net)
    h_size = load(table, plan.NET_PADDED)
    columns = 3 * h_size
    now = shift(
        pointer_like(row + load(table, plan.NET_SAVED), cell.one), slot * load(table, plan.NET_SAVED_STRIDE)
    )
    h_before = shift(
        pointer_like(row + load(table, plan.NET_V), cell.one), slot * load(table, plan.NET_V_STRIDE)
    )
    dh = pointer_like(scratch + load(table, plan.NET_DH), cell.one)
    direct = shift(dh, h_size)  # what reaches h past the gates: z dh
    dz = shift(
        pointer_like(scratch + load(table, plan.NET_ERRORS), cell.one),
        slot * load(table, plan.NET_ERRORS_STRIDE),
    )
    for j in range(0, h_size, lanes(now)):
        r, z = load_vector(now, j), load_vector(now, h_size + j)
        from_h, n = load_vector(now, 2 * h_size + j), load_vector(now, 5 * h_size + j)
        d = load_vector(dh, j)
        d_n = d * (1.0 - z) * (1.0 - n * n)
        d_z = d * (load_vector(h_before, j) - n) * z * (1.0 - z)
        d_r = d_n * from_h * r * (1.0 - r)
        store_vector(dz, j, d_r)
        store_vector(dz, h_size + j, d_z)
        store_vector(dz, 2 * h_size + j, d_n * r)
        store_vector(dz, 3 * h_size + j, d_r)
        store_vector(dz, 4 * h_size + j, d_z)
        store_vector(dz, 5 * h_size + j, d_n)
        store_vector(direct, j, d * z)
    if not last:
        weights = pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
        backwards = alternate(slot, (h_size + load(table, plan.NET_INPUTS) + 2) * h_size)
        matvec_transposed(weights, columns, dz, columns, dh, h_size, backwards)
        for j in range(0, h_size, lanes(now)):
            store_vector(dh, j, load_vector(dh, j) + load_vector(direct, j))


@implements(cell_gradient, GRU)
def gradient(cell, net, row, scratch, first, steps):
    table = int64_at(net)
    h_size, v_stride = load(table, plan.NET_PADDED), load(table, plan.NET_V_STRIDE)
    stride = load(table, plan.NET_ERRORS_STRIDE)
    columns = 3 * h_size
    v = shift(pointer_like(row + load(table, plan.NET_V), cell.one), first * v_stride)
    dz = shift(pointer_like(scratch + load(table, plan.NET_ERRORS), cell.one), first * stride)
    out = pointer_like(scratch + load(table, plan.NET_GRADIENT), cell.one)
    h_rows, x_rows = h_size + 1, load(table, plan.NET_INPUTS) + 1
    squares = weight_gradient(v, v_stride, dz, stride, steps, out, h_rows, columns)
    return squares + weight_gradient(
        shift(v, h_rows), v_stride, shift(dz, columns), stride, steps,
        shift(out, h_rows * columns), x_rows, columns,
    )  # fmt: skip


@implements(cell_input_gradient, GRU)
def input_gradient(cell, net, row, scratch, slot, out):
    table = int64_at(net)
    columns = 3 * load(table, plan.NET_PADDED)
    weights = pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
    dz = shift(
        pointer_like(scratch + load(table, plan.NET_ERRORS), cell.one),
        slot * load(table, plan.NET_ERRORS_STRIDE),
    )
    first = shift(weights, (load(table, plan.NET_PADDED) + 1) * columns)
    rows = (load(table, plan.NET_INPUTS) + 15) // 16 * 16  # the surplus reads on in the row; nobody uses it
    matvec_transposed(first, columns, shift(dz, columns), columns, out, rows, 0)
