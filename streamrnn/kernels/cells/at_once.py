"""The whole way back at once, of cells whose past comes to them through one output or not at all.

In ``step_back`` dL/dh passes through memory from step to step. Where h is heard by nothing but the head's
only output y, dL/dh = w_out dL/dy: one number a step, d, is all that flows back. First those are
found, then of all steps

    dL/dz = (1 - h^2) w_out d,   dL/dw_out = sum d h

and, while dL/dz is at hand, the gradient of the first rows of weights and of the bias', which are all that a
Jordan network with one input has.

A masked step's output says again what the h of the step before says, and hands on what it hears.
"""

from __future__ import annotations

from streamrnn.kernels import plan
from streamrnn.kernels.cells.simple import FROM_X, errors_of, gradient_of_products, vector_of
from streamrnn.kernels.compiling import inlined
from streamrnn.kernels.matrix import sum_of_squares
from streamrnn.kernels.slots import next_slot, previous_slot, slot_before
from streamrnn.kernels.vector import (
    float64_at,
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
)

_TAKEN = 2  # rows of weights that every such cell has beside the bias': of an input, and of something past


@inlined
def goes_at_once(net):
    """Whether there is room for what the slots hear."""
    return load(int64_at(net), plan.NET_HEARD) > 0


@inlined
def heard_by(cell, net, scratch):
    """Pointer to the d of every step, the newest first."""
    return pointer_like(scratch + load(int64_at(net), plan.NET_HEARD), cell.one)


@inlined
def head_of(cell, net, memory, segment):
    """Pointer to the head's part of the weights, or of the gradient."""
    table = int64_at(net)
    return shift(pointer_like(memory + load(table, segment), cell.one), load(table, plan.NET_HEAD))


@inlined
def _hear(heard, n, masked, gain, flow):
    """What goes further back than step ``n``, and the sum of what steps heard, from both before it."""
    back, total = flow
    if masked:
        store(heard, n, 0.0)
        return back, total
    store(heard, n, back)
    return back * gain, total + back


@inlined
def go_at_once(cell, net, row, scratch, steps, gains, gain_of):
    """The way back of ``steps`` steps, the newest first; the number of losses.

    ``gain_of(gains, n)`` is what the step before a step hears of 1 that this one hears, whose h is in slot n.
    """
    table = int64_at(net)
    slots, k1 = load(table, plan.NET_SLOTS), min(load(table, plan.NET_K1), steps)
    y = pointer_like(row + load(table, plan.NET_Y), cell.one)
    target = pointer_like(row + load(table, plan.NET_TARGET), cell.one)
    mask, huber = int64_at(row + load(table, plan.NET_MASK)), load(float64_at(net), plan.NET_HUBER)
    slot = load(int64_at(row + load(table, plan.NET_COUNTERS)), plan.COUNT_SLOT)
    behind, heard, losses = next_slot(slot, slots), heard_by(cell, net, scratch), 0
    back, total = cell.one - cell.one, cell.one - cell.one
    for n in range(k1):
        error = float(load(y, slot)) - float(load(target, slot))
        if error == error:
            losses += 1
            store(heard, n, min(max(error, -huber), huber))
            back += load(heard, n)
        back, total = _hear(heard, n, load(mask, slot), gain_of(gains, behind), (back, total))
        behind, slot = slot, previous_slot(slot, slots)
    for n in range(k1, steps):
        back, total = _hear(heard, n, load(mask, slot), gain_of(gains, behind), (back, total))
        behind, slot = slot, previous_slot(slot, slots)
    _spread_errors(cell, net, row, scratch, steps, back)
    store(head_of(cell, net, scratch, plan.NET_GRADIENT), load(table, plan.NET_PADDED), total + back)
    return losses


@inlined
def _spread_errors(cell, net, row, scratch, steps, rest):
    """The errors of so many steps, from what they heard; the gradient of the head and of ``_TAKEN`` rows.

    ``rest`` is what steps heard that say again an h from before the window.
    """
    table = int64_at(net)
    h_size, slots = load(table, plan.NET_PADDED), load(table, plan.NET_SLOTS)
    v_stride, errors_stride = load(table, plan.NET_V_STRIDE), load(table, plan.NET_ERRORS_STRIDE)
    newest = load(int64_at(row + load(table, plan.NET_COUNTERS)), plan.COUNT_SLOT)
    heard, v = heard_by(cell, net, scratch), vector_of(cell, net, row, 0)
    errors = errors_of(cell, net, scratch, 0)
    head = head_of(cell, net, row, plan.NET_WEIGHTS)
    of_head = head_of(cell, net, scratch, plan.NET_GRADIENT)
    of_seen, seen = pointer_like(scratch + load(table, plan.NET_GRADIENT), cell.one), shift(v, h_size + 1)
    of_bias = shift(of_seen, load(table, plan.NET_HEAD) - h_size)
    first = slot_before(newest, steps - 1, slots) * v_stride
    for j in range(0, h_size, lanes(v)):
        weight, total = load_vector(head, j), load_vector(v, first + j) * rest
        a, b, c = splat(v, 0.0), splat(v, 0.0), splat(v, 0.0)
        slot, behind = newest, next_slot(newest, slots)
        for n in range(steps):
            d, h = splat(v, load(heard, n)), load_vector(v, behind * v_stride + j)
            dz = fma(h * -1.0, h, 1.0) * (weight * d)
            store_vector(errors, slot * errors_stride + j, dz)
            total, x = fma(d, h, total), slot * v_stride
            a, b, c = fma(load(seen, x), dz, a), fma(load(seen, x + 1), dz, b), c + dz
            behind, slot = slot, previous_slot(slot, slots)
        store_vector(of_head, j, total)
        store_vector(of_seen, j, a)
        store_vector(of_seen, h_size + j, b)
        store_vector(of_bias, j, c)
    store_vector(of_head, h_size, splat(v, 0.0))


@inlined
def gradient_of_others(cell, net, row, scratch, first, steps):
    """The gradient of the rows that are left; the sum of squares of all."""
    gradient_of_products(cell, net, row, scratch, first, steps, FROM_X, _TAKEN, 1)
    of_all = pointer_like(scratch + load(int64_at(net), plan.NET_GRADIENT), cell.one)
    return sum_of_squares(of_all, load(int64_at(net), plan.NET_HEAD))
