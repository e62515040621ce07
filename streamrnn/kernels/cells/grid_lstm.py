"""LSTM of two dimensions (Graves, Fernandez and Schmidhuber 2007, section 2.1): a forget gate for each.

    z = W_hh h(t-1, c) + b_hh + W_ih x + W_ch h(t, c-1) + b_ih
    i, f, e, o = sigmoid(z_i, z_f, z_e, z_o);  g = tanh(z_g)
    s = f s(t-1, c) + e s(t, c-1) + i g;  h = o tanh(s)

without their peepholes. To the kernels a channel is a sequence: x and h(t, c-1) are its inputs. What
else crosses from channel to channel lies in the slots: the neighbour's s, written before the
sequence is run, and before the way back dL/ds by the neighbour on the other side. The errors of the
neighbour's s are the first of a slot's. Only grids (``streamrnn/grid.py``) write and read these.
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
    implements,
)
from streamrnn.kernels.cells.simple import errors_of, vector_behind, vector_of
from streamrnn.kernels.compiling import inlined
from streamrnn.kernels.matrix import matvec, matvec_transposed, weight_gradient
from streamrnn.kernels.slots import alternate, previous_slot
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


class GridLSTM(NamedTuple):
    """Tag of the kernels; ``one`` carries the element type."""

    one: Any


# Saved vectors of a slot: i, f, e, g, o, and
S, TANH_S, S_BESIDE, S_ERRORS = range(5, 9)
# Two forget gates begin at 1/2: what they keep together must not be more than there was.
SPEC = CellSpec("grid_lstm", GridLSTM, ("i", "f", "e", "g", "o"), saved=9, errors=6, state=(S,), bias={})


@inlined
def _saved(cell, net, row, slot):
    table = int64_at(net)
    saved = pointer_like(row + load(table, plan.NET_SAVED), cell.one)
    return shift(saved, slot * load(table, plan.NET_SAVED_STRIDE))


@inlined
def _sizes(net):
    """(padded units, columns of the weights, rows)."""
    table = int64_at(net)
    h_size = load(table, plan.NET_PADDED)
    return h_size, 5 * h_size, h_size + load(table, plan.NET_INPUTS) + 2


@implements(cell_forward, GridLSTM)
def forward(cell, net, row, slot):
    h_size, columns, rows = _sizes(net)
    table = int64_at(net)
    weights = pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
    now, h = _saved(cell, net, row, slot), vector_behind(cell, net, row, slot)
    before = _saved(cell, net, row, previous_slot(slot, load(table, plan.NET_SLOTS)))
    v = vector_of(cell, net, row, slot)
    matvec(weights, columns, v, rows, now, columns, alternate(slot, rows * h_size))
    for j in range(0, h_size, lanes(now)):
        i = sigmoid(load_vector(now, j))
        f = sigmoid(load_vector(now, h_size + j))
        e = sigmoid(load_vector(now, 2 * h_size + j))
        g = tanh(load_vector(now, 3 * h_size + j))
        o = sigmoid(load_vector(now, 4 * h_size + j))
        kept = fma(e, load_vector(now, S_BESIDE * h_size + j), i * g)
        s = fma(f, load_vector(before, S * h_size + j), kept)
        tanh_s = tanh(s)
        store_vector(now, j, i)
        store_vector(now, h_size + j, f)
        store_vector(now, 2 * h_size + j, e)
        store_vector(now, 3 * h_size + j, g)
        store_vector(now, 4 * h_size + j, o)
        store_vector(now, S * h_size + j, s)
        store_vector(now, TANH_S * h_size + j, tanh_s)
        store_vector(h, j, o * tanh_s)


@implements(cell_hold, GridLSTM)
def hold(cell, net, row, slot):
    h_size, _, _ = _sizes(net)
    now, h = _saved(cell, net, row, slot), vector_behind(cell, net, row, slot)
    before = _saved(cell, net, row, previous_slot(slot, load(int64_at(net), plan.NET_SLOTS)))
    v = vector_of(cell, net, row, slot)
    for j in range(0, h_size, lanes(now)):
        store_vector(h, j, load_vector(v, j))
        store_vector(now, S * h_size + j, load_vector(before, S * h_size + j))


@implements(cell_backward, GridLSTM)
def backward(cell, net, row, scratch, slot, last):
    h_size, columns, rows = _sizes(net)
    table = int64_at(net)
    now = _saved(cell, net, row, slot)
    before = _saved(cell, net, row, previous_slot(slot, load(table, plan.NET_SLOTS)))
    dh = pointer_like(scratch + load(table, plan.NET_DH), cell.one)
    ds = pointer_like(scratch + load(table, plan.NET_CARRY), cell.one)
    beside = errors_of(cell, net, scratch, slot)
    dz = shift(beside, h_size)
    for j in range(0, h_size, lanes(now)):
        i, f = load_vector(now, j), load_vector(now, h_size + j)
        e, g = load_vector(now, 2 * h_size + j), load_vector(now, 3 * h_size + j)
        o, tanh_s = load_vector(now, 4 * h_size + j), load_vector(now, TANH_S * h_size + j)
        d = load_vector(dh, j)
        heard = load_vector(ds, j) + load_vector(now, S_ERRORS * h_size + j)
        s = fma(d * o, 1.0 - tanh_s * tanh_s, heard)
        store_vector(dz, j, s * g * i * (1.0 - i))
        store_vector(dz, h_size + j, s * load_vector(before, S * h_size + j) * f * (1.0 - f))
        store_vector(dz, 2 * h_size + j, s * load_vector(now, S_BESIDE * h_size + j) * e * (1.0 - e))
        store_vector(dz, 3 * h_size + j, s * i * (1.0 - g * g))
        store_vector(dz, 4 * h_size + j, d * tanh_s * o * (1.0 - o))
        store_vector(ds, j, s * f)
        store_vector(beside, j, s * e)
    if not last:
        weights = pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
        matvec_transposed(weights, columns, dz, columns, dh, h_size, alternate(slot, rows * h_size))


@implements(cell_gradient, GridLSTM)
def gradient(cell, net, row, scratch, first, steps):
    h_size, columns, rows = _sizes(net)
    table = int64_at(net)
    v, dz = vector_of(cell, net, row, first), shift(errors_of(cell, net, scratch, first), h_size)
    out = pointer_like(scratch + load(table, plan.NET_GRADIENT), cell.one)
    strides = load(table, plan.NET_V_STRIDE), load(table, plan.NET_ERRORS_STRIDE)
    return weight_gradient(v, strides[0], dz, strides[1], steps, out, rows, columns)
