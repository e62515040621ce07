"""What cells without gates share: one sum of products a unit, and a function of it.

Of ``v`` = [h of the step before | 1 | inputs | context | 1] a cell sees either all but the
context (``FROM_H``), or all from the inputs on (``FROM_X``); its weights are the rows that
belong to it. The step's h lies where the next step reads it, so nothing else is saved.
"""

from __future__ import annotations

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.matrix import matvec_transposed, narrow_weight_gradient
from streamrnn.kernels.narrow import narrow_matvec
from streamrnn.kernels.slots import next_slot
from streamrnn.kernels.vector import (
    int64_at,
    lanes,
    load,
    load_vector,
    never_inline,
    pointer_like,
    shift,
    splat,
    store_vector,
    tanh,
)

FROM_H, FROM_X = True, False


@inlined
def vector_of(cell, net, row, slot):
    """Pointer to v of a slot."""
    table = int64_at(net)
    v = pointer_like(row + load(table, plan.NET_V), cell.one)
    return shift(v, slot * load(table, plan.NET_V_STRIDE))


@inlined
def vector_behind(cell, net, row, slot):
    """Pointer to v of the slot that follows, where a step puts its h."""
    return vector_of(cell, net, row, next_slot(slot, load(int64_at(net), plan.NET_SLOTS)))


@inlined
def errors_of(cell, net, scratch, slot):
    """Pointer to dL/dz of a slot."""
    table = int64_at(net)
    errors = pointer_like(scratch + load(table, plan.NET_ERRORS), cell.one)
    return shift(errors, slot * load(table, plan.NET_ERRORS_STRIDE))


@inlined
def _seen(net, whence):
    """(first element of v that is seen, how many are)."""
    table = int64_at(net)
    first = 0 if whence else load(table, plan.NET_PADDED) + 1
    beside = load(table, plan.NET_PADDED) + 1 if whence else load(table, plan.NET_CONTEXT)
    return first, beside + load(table, plan.NET_INPUTS) + 1


@inlined
def multiply(cell, net, row, slot, whence, backwards):
    """Z = W v, written where the step's h will be."""
    h_size = load(int64_at(net), plan.NET_PADDED)
    first, rows = _seen(net, whence)
    weights = pointer_like(row + load(int64_at(net), plan.NET_WEIGHTS), cell.one)
    v = shift(vector_of(cell, net, row, slot), first)
    whole, out = h_size if whence else 0, vector_behind(cell, net, row, slot)
    narrow_matvec(weights, h_size, v, whole, rows, out, backwards)


@inlined
def put_tanh(h_size, z):
    """Put tanh(z) in the place of z, of so many padded units."""
    width = 2 * lanes(z)
    for j in range(0, h_size - width + 1, width):  # two at a time: each alone would wait for itself
        a, b = tanh(load_vector(z, j)), tanh(load_vector(z, j + lanes(z)))
        store_vector(z, j, a)
        store_vector(z, j + lanes(z), b)
    if h_size % width:
        j = h_size - lanes(z)
        store_vector(z, j, tanh(load_vector(z, j)))


@kernel
def units_of_many(cell, net, row, slot):
    """H of a step of many weights, FROM_X; apart, since it would cost those of few their registers."""
    never_inline()
    multiply(cell, net, row, slot, FROM_X, 0)
    put_tanh(load(int64_at(net), plan.NET_PADDED), vector_behind(cell, net, row, slot))


@inlined
def end_tanh(cell, net, row, scratch, slot):
    """dL/dz = dL/dh (1 - h^2) of a slot whose h no later step sees; nothing of dL/dh goes further back."""
    h = vector_behind(cell, net, row, slot)
    dh = pointer_like(scratch + load(int64_at(net), plan.NET_DH), cell.one)
    dz = errors_of(cell, net, scratch, slot)
    for j in range(0, load(int64_at(net), plan.NET_PADDED), lanes(h)):
        h_j = load_vector(h, j)
        store_vector(dz, j, load_vector(dh, j) * (1.0 - h_j * h_j))
        store_vector(dh, j, splat(h, 0.0))


@inlined
def hold_h(cell, net, row, slot):
    """H passes through a slot unchanged."""
    h_before, h_out = vector_of(cell, net, row, slot), vector_behind(cell, net, row, slot)
    for j in range(0, load(int64_at(net), plan.NET_PADDED), lanes(h_out)):
        store_vector(h_out, j, load_vector(h_before, j))


@inlined
def gradient_of_products(cell, net, row, scratch, first, steps, whence, skipped=0, left=0):
    """dL/dW = sum over the slots of v dz', of the rows but the first and last so many; its sum of squares."""
    table = int64_at(net)
    h_size = load(table, plan.NET_PADDED)
    start, seen = _seen(net, whence)
    rows = seen - skipped - left
    v, dz = shift(vector_of(cell, net, row, 0), start + skipped), errors_of(cell, net, scratch, 0)
    out = shift(pointer_like(scratch + load(table, plan.NET_GRADIENT), cell.one), skipped * h_size)
    stride, errors_stride = load(table, plan.NET_V_STRIDE), load(table, plan.NET_ERRORS_STRIDE)
    slots = load(table, plan.NET_SLOTS)
    return narrow_weight_gradient(v, stride, dz, errors_stride, steps, out, rows, h_size, first, slots)


@inlined
def gradient_of_inputs(cell, net, row, scratch, slot, out, first_row):
    """dL/dx = W_x dz of a slot, where the inputs' weights begin at ``first_row``."""
    table = int64_at(net)
    h_size = load(table, plan.NET_PADDED)
    weights = pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
    dz = errors_of(cell, net, scratch, slot)
    rows = (load(table, plan.NET_INPUTS) + 15) // 16 * 16  # the surplus reads on in the row; nobody uses it
    matvec_transposed(shift(weights, first_row * h_size), h_size, dz, h_size, out, rows, 0)
