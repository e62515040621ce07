"""Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000).

As PyTorch computes it, gates in its order i, f, g, o:

    z = W_hh h + b_hh + W_ih x + b_ih
    i, f, o = sigmoid(z_i, z_f, z_o);  g = tanh(z_g)
    c' = f c + i g;  h' = o tanh(c')
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
from streamrnn.kernels.slots import alternate, next_slot, previous_slot
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


class LSTM(NamedTuple):
    """Tag of the LSTM kernels; ``one`` carries the element type."""

    one: Any


# Saved vectors of a slot: i, f, g, o, c', tanh(c').
SPEC = CellSpec("lstm", LSTM, ("i", "f", "g", "o"), saved=6, errors=4, state=(4,), bias={"f": 1.0})


@implements(cell_forward, LSTM)
def forward(cell, net, row, slot):
    table = int64_at(net)
    h_size, stride = load(table, plan.NET_PADDED), load(table, plan.NET_SAVED_STRIDE)
    slots, v_stride = load(table, plan.NET_SLOTS), load(table, plan.NET_V_STRIDE)
    rows = h_size + load(table, plan.NET_INPUTS) + 2
    weights = pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
    v = pointer_like(row + load(table, plan.NET_V), cell.one)
    saved = pointer_like(row + load(table, plan.NET_SAVED), cell.one)
    now = shift(saved, slot * stride)
    c_before = shift(saved, previous_slot(slot, slots) * stride + 4 * h_size)
    h_out = shift(v, next_slot(slot, slots) * v_stride)
    matvec(
        weights, 4 * h_size, shift(v, slot * v_stride), rows, now, 4 * h_size, alternate(slot, rows * h_size)
    )
    for j in range(0, h_size, lanes(now)):
        i = sigmoid(load_vector(now, j))
        f = sigmoid(load_vector(now, h_size + j))
        g = tanh(load_vector(now, 2 * h_size + j))
        o = sigmoid(load_vector(now, 3 * h_size + j))
        c = fma(f, load_vector(c_before, j), i * g)
        tanh_c = tanh(c)
        store_vector(now, j, i)
        store_vector(now, h_size + j, f)
        store_vector(now, 2 * h_size + j, g)
        store_vector(now, 3 * h_size + j, o)
        store_vector(now, 4 * h_size + j, c)
        store_vector(now, 5 * h_size + j, tanh_c)
        store_vector(h_out, j, o * tanh_c)


@implements(cell_hold, LSTM)
def hold(cell, net, row, slot):
    table = int64_at(net)
    h_size, stride = load(table, plan.NET_PADDED), load(table, plan.NET_SAVED_STRIDE)
    slots, v_stride = load(table, plan.NET_SLOTS), load(table, plan.NET_V_STRIDE)
    v = pointer_like(row + load(table, plan.NET_V), cell.one)
    saved = pointer_like(row + load(table, plan.NET_SAVED), cell.one)
    before, now = previous_slot(slot, slots) * stride, slot * stride
    for j in range(0, h_size, lanes(v)):
        store_vector(v, next_slot(slot, slots) * v_stride + j, load_vector(v, slot * v_stride + j))
        store_vector(saved, now + 4 * h_size + j, load_vector(saved, before + 4 * h_size + j))


@implements(cell_backward, LSTM)
def backward(cell, net, row, scratch, slot, last):
    table = int64_at(net)
    h_size, stride = load(table, plan.NET_PADDED), load(table, plan.NET_SAVED_STRIDE)
    saved = pointer_like(row + load(table, plan.NET_SAVED), cell.one)
    now = shift(saved, slot * stride)
    c_before = shift(saved, previous_slot(slot, load(table, plan.NET_SLOTS)) * stride + 4 * h_size)
    dh = pointer_like(scratch + load(table, plan.NET_DH), cell.one)
    dc = pointer_like(scratch + load(table, plan.NET_CARRY), cell.one)
    dz = shift(
        pointer_like(scratch + load(table, plan.NET_ERRORS), cell.one),
        slot * load(table, plan.NET_ERRORS_STRIDE),
    )
    for j in range(0, h_size, lanes(now)):
        i, f = load_vector(now, j), load_vector(now, h_size + j)
        g, o = load_vector(now, 2 * h_size + j), load_vector(now, 3 * h_size + j)
        tanh_c, d = load_vector(now, 5 * h_size + j), load_vector(dh, j)
        c = fma(d * o, 1.0 - tanh_c * tanh_c, load_vector(dc, j))
        store_vector(dz, j, c * g * i * (1.0 - i))
        store_vector(dz, h_size + j, c * load_vector(c_before, j) * f * (1.0 - f))
        store_vector(dz, 2 * h_size + j, c * i * (1.0 - g * g))
        store_vector(dz, 3 * h_size + j, d * tanh_c * o * (1.0 - o))
        store_vector(dc, j, c * f)
    if not last:
        weights = pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
        backwards = alternate(slot, (h_size + load(table, plan.NET_INPUTS) + 2) * h_size)
        matvec_transposed(weights, 4 * h_size, dz, 4 * h_size, dh, h_size, backwards)


@implements(cell_gradient, LSTM)
def gradient(cell, net, row, scratch, first, steps):
    table = int64_at(net)
    h_size, v_stride = load(table, plan.NET_PADDED), load(table, plan.NET_V_STRIDE)
    errors_stride = load(table, plan.NET_ERRORS_STRIDE)
    v = pointer_like(row + load(table, plan.NET_V), cell.one)
    dz = pointer_like(scratch + load(table, plan.NET_ERRORS), cell.one)
    out = pointer_like(scratch + load(table, plan.NET_GRADIENT), cell.one)
    rows = h_size + load(table, plan.NET_INPUTS) + 2
    return weight_gradient(
        shift(v, first * v_stride), v_stride, shift(dz, first * errors_stride), errors_stride, steps,
        out, rows, 4 * h_size,
    )  # fmt: skip


@implements(cell_input_gradient, LSTM)
def input_gradient(cell, net, row, scratch, slot, out):
    table = int64_at(net)
    h_size = load(table, plan.NET_PADDED)
    weights = pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
    dz = shift(
        pointer_like(scratch + load(table, plan.NET_ERRORS), cell.one),
        slot * load(table, plan.NET_ERRORS_STRIDE),
    )
    first = shift(weights, (h_size + 1) * 4 * h_size)
    rows = (load(table, plan.NET_INPUTS) + 15) // 16 * 16  # the surplus reads on in the row; nobody uses it
    matvec_transposed(first, 4 * h_size, dz, 4 * h_size, out, rows, 0)
