"""Diagonal LSTM: each unit sees the inputs and its own output only.

Gates in the LSTM's order i, f, g, o, all products between units elementwise:

    z_q = w_q h + W_q x + b_q
    i, f, o = sigmoid(z_i, z_f, z_o);  g = tanh(z_g)
    c' = f c + i g;  h' = o tanh(c')

Since no unit sees another, exact real-time recurrent learning (Williams and Zipser
1989; for diagonal recurrence Mozer 1989) costs O(parameters) a step, without a window:
``sensitivities`` keeps dc/dw and dh/dw of every weight w of every unit.

Weights are rows [own h | inputs | bias] of 4 gates x padded units, so that element
(row, gate) of all units is one run of memory, and so are sensitivities.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple

from streamrnn.kernels import plan
from streamrnn.kernels.cells.protocol import (
    CellSpec,
    cell_backward,
    cell_forward,
    cell_gradient,
    cell_hold,
    cell_input_gradient,
    cell_sensitivities,
    implements,
)
from streamrnn.kernels.matrix import matvec, matvec_transposed, weight_gradient
from streamrnn.kernels.slots import next_slot, previous_slot
from streamrnn.kernels.vector import (
    fma,
    int64_at,
    lanes,
    load,
    load_vector,
    pointer_like,
    shift,
    sigmoid,
    splat,
    store_vector,
    tanh,
    vector_sum,
)


class DiagonalLSTM(NamedTuple):
    """Tag of the diagonal LSTM's kernels; ``one`` carries the element type."""

    one: Any


# Saved vectors of a slot: i, f, g, o, c', tanh(c').
SPEC = CellSpec(
    "diagonal_lstm",
    DiagonalLSTM,
    ("i", "f", "g", "o"),
    saved=6,
    errors=4,
    state=(4,),
    bias={"f": 1.0},
    context="own",
    bound=2.0 / sqrt(12.0),
)


@implements(cell_forward, DiagonalLSTM)
def forward(cell, net, row, slot):
    table = int64_at(net)
    h_size, stride = load(table, plan.NET_PADDED), load(table, plan.NET_SAVED_STRIDE)
    slots, v_stride = load(table, plan.NET_SLOTS), load(table, plan.NET_V_STRIDE)
    weights = pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
    v = pointer_like(row + load(table, plan.NET_V), cell.one)
    saved = pointer_like(row + load(table, plan.NET_SAVED), cell.one)
    now, h_before = shift(saved, slot * stride), shift(v, slot * v_stride)
    c_before = shift(saved, previous_slot(slot, slots) * stride + 4 * h_size)
    h_out = shift(v, next_slot(slot, slots) * v_stride)
    inputs, rows = shift(h_before, h_size + 1), load(table, plan.NET_INPUTS) + 1
    matvec(shift(weights, 4 * h_size), 4 * h_size, inputs, rows, now, 4 * h_size, 0)
    for j in range(0, h_size, lanes(now)):
        h = load_vector(h_before, j)
        i = sigmoid(fma(h, load_vector(weights, j), load_vector(now, j)))
        f = sigmoid(fma(h, load_vector(weights, h_size + j), load_vector(now, h_size + j)))
        g = tanh(fma(h, load_vector(weights, 2 * h_size + j), load_vector(now, 2 * h_size + j)))
        o = sigmoid(fma(h, load_vector(weights, 3 * h_size + j), load_vector(now, 3 * h_size + j)))
        c = fma(f, load_vector(c_before, j), i * g)
        tanh_c = tanh(c)
        store_vector(now, j, i)
        store_vector(now, h_size + j, f)
        store_vector(now, 2 * h_size + j, g)
        store_vector(now, 3 * h_size + j, o)
        store_vector(now, 4 * h_size + j, c)
        store_vector(now, 5 * h_size + j, tanh_c)
        store_vector(h_out, j, o * tanh_c)


@implements(cell_sensitivities, DiagonalLSTM)
def sensitivities(cell, net, row, slot, of_c, of_h):
    """Dc/dw and dh/dw after the slot's step; before it they were those of the step before.

    dc' = f dc + (df w_f + di w_i + dg w_g) dh + d_q z;  dh' = o (1 - tanh(c')^2) dc' + do w_o dh,
    where d_q is c's derivative by gate q's sum (of gate o: 0, and do z is added to dh').
    """
    table = int64_at(net)
    h_size, stride = load(table, plan.NET_PADDED), load(table, plan.NET_SAVED_STRIDE)
    slots, v_stride = load(table, plan.NET_SLOTS), load(table, plan.NET_V_STRIDE)
    weights = pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
    saved = pointer_like(row + load(table, plan.NET_SAVED), cell.one)
    now = shift(saved, slot * stride)
    c_before = shift(saved, previous_slot(slot, slots) * stride + 4 * h_size)
    h_before = shift(pointer_like(row + load(table, plan.NET_V), cell.one), slot * v_stride)
    rows = load(table, plan.NET_INPUTS) + 2
    for j in range(0, h_size, lanes(now)):
        i, f = load_vector(now, j), load_vector(now, h_size + j)
        g, o = load_vector(now, 2 * h_size + j), load_vector(now, 3 * h_size + j)
        tanh_c = load_vector(now, 5 * h_size + j)
        di, df = g * i * (1.0 - i), load_vector(c_before, j) * f * (1.0 - f)
        dg, do = i * (1.0 - g * g), tanh_c * o * (1.0 - o)
        through_c = o * (1.0 - tanh_c * tanh_c)
        own = di * load_vector(weights, j)
        own = fma(df, load_vector(weights, h_size + j), own)
        own = fma(dg, load_vector(weights, 2 * h_size + j), own)
        own_o = do * load_vector(weights, 3 * h_size + j)
        for m in range(rows):
            z = splat(now, load(h_before, h_size + m)) if m > 0 else load_vector(h_before, j)
            at = 4 * m * h_size + j
            for q in range(4):
                e = at + q * h_size
                dh = load_vector(of_h, e)
                dc = fma(f, load_vector(of_c, e), own * dh)
                if q == 0:
                    dc = fma(di, z, dc)
                elif q == 1:
                    dc = fma(df, z, dc)
                elif q == 2:
                    dc = fma(dg, z, dc)
                dh = fma(through_c, dc, own_o * dh)
                if q == 3:
                    dh = fma(do, z, dh)
                store_vector(of_c, e, dc)
                store_vector(of_h, e, dh)


@implements(cell_hold, DiagonalLSTM)
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


@implements(cell_backward, DiagonalLSTM)
def backward(cell, net, row, scratch, slot, last):
    table = int64_at(net)
    h_size, stride = load(table, plan.NET_PADDED), load(table, plan.NET_SAVED_STRIDE)
    weights = pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
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
        by_i, by_f = c * g * i * (1.0 - i), c * load_vector(c_before, j) * f * (1.0 - f)
        by_g, by_o = c * i * (1.0 - g * g), d * tanh_c * o * (1.0 - o)
        store_vector(dz, j, by_i)
        store_vector(dz, h_size + j, by_f)
        store_vector(dz, 2 * h_size + j, by_g)
        store_vector(dz, 3 * h_size + j, by_o)
        store_vector(dc, j, c * f)
        if not last:
            before = by_i * load_vector(weights, j)
            before = fma(by_f, load_vector(weights, h_size + j), before)
            before = fma(by_g, load_vector(weights, 2 * h_size + j), before)
            store_vector(dh, j, fma(by_o, load_vector(weights, 3 * h_size + j), before))


@implements(cell_gradient, DiagonalLSTM)
def gradient(cell, net, row, scratch, first, steps):
    table = int64_at(net)
    h_size, v_stride = load(table, plan.NET_PADDED), load(table, plan.NET_V_STRIDE)
    stride = load(table, plan.NET_ERRORS_STRIDE)
    v = shift(pointer_like(row + load(table, plan.NET_V), cell.one), first * v_stride)
    dz = shift(pointer_like(scratch + load(table, plan.NET_ERRORS), cell.one), first * stride)
    out = pointer_like(scratch + load(table, plan.NET_GRADIENT), cell.one)
    squares = splat(v, 0.0)
    for j in range(0, h_size, lanes(v)):
        for q in range(4):
            total = splat(v, 0.0)
            for t in range(steps):
                d = load_vector(dz, t * stride + q * h_size + j)
                total = fma(load_vector(v, t * v_stride + j), d, total)
            store_vector(out, q * h_size + j, total)
            squares = fma(total, total, squares)
    rows = load(table, plan.NET_INPUTS) + 1
    of_inputs = weight_gradient(
        shift(v, h_size + 1), v_stride, dz, stride, steps, shift(out, 4 * h_size), rows, 4 * h_size
    )
    return vector_sum(squares) + of_inputs


@implements(cell_input_gradient, DiagonalLSTM)
def input_gradient(cell, net, row, scratch, slot, out):
    table = int64_at(net)
    h_size = load(table, plan.NET_PADDED)
    weights = pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
    dz = shift(
        pointer_like(scratch + load(table, plan.NET_ERRORS), cell.one),
        slot * load(table, plan.NET_ERRORS_STRIDE),
    )
    rows = (load(table, plan.NET_INPUTS) + 15) // 16 * 16  # the surplus reads on in the row; nobody uses it
    matvec_transposed(shift(weights, 4 * h_size), 4 * h_size, dz, 4 * h_size, out, rows, 0)
