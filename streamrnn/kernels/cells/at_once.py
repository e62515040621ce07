"""The whole way back at once, of cells whose past comes to them through one output or not at all.

In ``step_back`` dL/dh passes through memory from step to step. Where h is heard by nothing but the head's
only output y, dL/dh = w_out dL/dy: one number a step, d, is all that flows back. First those are
found, then of all steps

    dL/dz = (1 - h^2) w_out d,   dL/dw_out = sum d h

and, while dL/dz is at hand, the gradient of the first rows of weights, which are all of a Jordan network's.

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
    vector_sum,
)

_TAKEN = 3  # rows of weights that every such cell has: of an input, of something past, and of the bias


@inlined
def goes_at_once(net):
    """Whether there is room for what the slots hear."""
    return load(int64_at(net), plan.NET_HEARD) > 0


@inlined
def heard_by(cell, net, scratch):
    """Pointer to the d of every slot."""
    return pointer_like(scratch + load(int64_at(net), plan.NET_HEARD), cell.one)


@inlined
def head_of(cell, net, memory, segment):
    """Pointer to the head's part of the weights, or of the gradient."""
    table = int64_at(net)
    return shift(pointer_like(memory + load(table, segment), cell.one), load(table, plan.NET_HEAD))


@inlined
def hear_targets(cell, net, row, scratch):
    """Each slot's own dL/dy, 0 where it has no loss; the number of losses."""
    table = int64_at(net)
    slots, counters = load(table, plan.NET_SLOTS), int64_at(row + load(table, plan.NET_COUNTERS))
    heard = heard_by(cell, net, scratch)
    for i in range(0, slots, lanes(heard)):
        store_vector(heard, i, splat(heard, 0.0))
    y = pointer_like(row + load(table, plan.NET_Y), cell.one)
    target = pointer_like(row + load(table, plan.NET_TARGET), cell.one)
    huber = load(float64_at(net), plan.NET_HUBER)
    slot, losses = load(counters, plan.COUNT_SLOT), 0
    for _ in range(min(load(table, plan.NET_K1), load(counters, plan.COUNT_FILLED))):
        error = float(load(y, slot)) - float(load(target, slot))
        if error == error:
            losses += 1
            store(heard, slot, min(max(error, -huber), huber))
        slot = previous_slot(slot, slots)
    return losses


@inlined
def oldest_heard(net, row, steps):
    """How many steps before the newest the oldest is that is not masked; -1: all ``steps`` are."""
    table = int64_at(net)
    mask = int64_at(row + load(table, plan.NET_MASK))
    newest = load(int64_at(row + load(table, plan.NET_COUNTERS)), plan.COUNT_SLOT)
    n = steps - 1
    while n >= 0 and load(mask, slot_before(newest, n, load(table, plan.NET_SLOTS))):
        n -= 1
    return n


@inlined
def spread_errors(cell, net, row, scratch, steps, rest):
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
    first = slot_before(newest, steps - 1, slots) * v_stride
    for j in range(0, h_size, lanes(v)):
        weight, total = load_vector(head, j), load_vector(v, first + j) * rest
        a, b, c = splat(v, 0.0), splat(v, 0.0), splat(v, 0.0)
        slot, behind = newest, next_slot(newest, slots)
        for _ in range(steps):
            d, h = splat(v, load(heard, slot)), load_vector(v, behind * v_stride + j)
            dz = fma(h * -1.0, h, 1.0) * (weight * d)
            store_vector(errors, slot * errors_stride + j, dz)
            total, x = fma(d, h, total), slot * v_stride
            a, b, c = fma(load(seen, x), dz, a), fma(load(seen, x + 1), dz, b), fma(load(seen, x + 2), dz, c)
            behind, slot = slot, previous_slot(slot, slots)
        store_vector(of_head, j, total)
        store_vector(of_seen, j, a)
        store_vector(of_seen, h_size + j, b)
        store_vector(of_seen, 2 * h_size + j, c)
    total = splat(v, 0.0)
    for i in range(0, slots, lanes(heard)):
        total = total + load_vector(heard, i)
    store(of_head, h_size, vector_sum(total) + rest)


@inlined
def gradient_of_others(cell, net, row, scratch, first, steps):
    """The gradient of the rows that ``spread_errors`` left; the sum of squares of all."""
    table = int64_at(net)
    taken = _TAKEN * load(table, plan.NET_PADDED)
    of_taken = pointer_like(scratch + load(table, plan.NET_GRADIENT), cell.one)
    squares = float(gradient_of_products(cell, net, row, scratch, first, steps, FROM_X, _TAKEN))
    return squares + float(sum_of_squares(of_taken, taken))
