"""The whole way back at once, of cells whose past comes to them through one output or not at all.

In ``step_back`` dL/dh passes through memory from step to step. Where h is heard by nothing but the head's
only output y, dL/dh = w_out dL/dy: one number a step, d, is all that flows back. First those are
found, then of all steps

    dL/dz = (1 - h^2) w_out d,   dL/dw_out = sum d h

and, while dL/dz is at hand, the gradient of the first rows of weights and of the bias', which are all that a
Jordan network with one input has. w_out, the same for all steps, is multiplied last.

A masked step's output says again what the h of the step before says, and hands on what it hears.
"""

from __future__ import annotations

from streamrnn.kernels import plan
from streamrnn.kernels.cells.simple import FROM_X, errors_of, gradient_of_products, vector_of
from streamrnn.kernels.compiling import inlined
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

_SIX = 6  # rows left to a time-delay network of one input and eight steps
TAKEN = 2  # rows of weights that every such cell has beside the bias': of an input, and of something past


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
def _aim(cell, net, row, heard, steps):
    """What each step hears of its own loss, clipped, the newest first, or 0.

    Returns the number of losses and whether any step is masked.
    """
    table = int64_at(net)
    slots, k1 = load(table, plan.NET_SLOTS), min(load(table, plan.NET_K1), steps)
    y = pointer_like(row + load(table, plan.NET_Y), cell.one)
    target = pointer_like(row + load(table, plan.NET_TARGET), cell.one)
    mask, huber = int64_at(row + load(table, plan.NET_MASK)), load(float64_at(net), plan.NET_HUBER)
    slot = load(int64_at(row + load(table, plan.NET_COUNTERS)), plan.COUNT_SLOT)
    losses, masked = 0, 0
    for n in range(0, steps, lanes(heard)):
        store_vector(heard, n, splat(heard, 0.0))
    for n in range(k1):
        error = float(load(y, slot)) - float(load(target, slot))
        if error == error:
            losses += 1
            store(heard, n, min(max(error, -huber), huber))
        masked |= load(mask, slot)
        slot = previous_slot(slot, slots)
    for n in range(slots if steps > k1 else 0):
        masked |= load(mask, n)
    return losses, masked > 0


@inlined
def _oldest_heard(net, row, steps):
    """How many steps before the newest the oldest is that is not masked; -1: all ``steps`` are."""
    table = int64_at(net)
    mask = int64_at(row + load(table, plan.NET_MASK))
    newest = load(int64_at(row + load(table, plan.NET_COUNTERS)), plan.COUNT_SLOT)
    n = steps - 1
    while n >= 0 and load(mask, slot_before(newest, n, load(table, plan.NET_SLOTS))):
        n -= 1
    return n


@inlined
def _flow_past_masked(cell, net, row, heard, steps, known, gain_of):
    """``flow`` of ``go_at_once`` where some steps are masked; and what steps behind the oldest would hear."""
    table = int64_at(net)
    slots, mask = load(table, plan.NET_SLOTS), int64_at(row + load(table, plan.NET_MASK))
    slot = load(int64_at(row + load(table, plan.NET_COUNTERS)), plan.COUNT_SLOT)
    oldest, behind, nothing = _oldest_heard(net, row, steps), next_slot(slot, slots), cell.one - cell.one
    back, total = nothing, nothing
    for n in range(steps):
        back += load(heard, n)
        if load(mask, slot):
            store(heard, n, nothing)
        else:
            store(heard, n, back)
            total += back
            back = back * gain_of(known, behind) if n != oldest else nothing
        behind, slot = slot, previous_slot(slot, slots)
    return total, back


@inlined
def go_at_once(cell, net, row, scratch, steps, known, gain_of, slope_of, flow):
    """The way back of ``steps`` steps, the newest first; the number of losses.

    ``gain_of(known, n)`` is what the step before a step hears of 1 that this one hears, whose h is in slot n;
    ``slope_of(known, place, h)`` is 1 - h^2 of the part of it that is ``place`` elements behind v of slot 0;
    ``flow(net, row, heard, steps, known)`` adds what steps hear of later ones to what each hears of its own
    loss, and returns the sum of all, where none is masked.
    """
    table, heard = int64_at(net), heard_by(cell, net, scratch)
    losses, masked = _aim(cell, net, row, heard, steps)
    if masked:
        total, rest = _flow_past_masked(cell, net, row, heard, steps, known, gain_of)
    else:
        total, rest = flow(net, row, heard, steps, known), cell.one - cell.one
    _spread(cell, net, row, scratch, steps, rest, (known, slope_of))
    store(head_of(cell, net, scratch, plan.NET_GRADIENT), load(table, plan.NET_PADDED), total + rest)
    return losses


@inlined
def _spread(cell, net, row, scratch, steps, rest, slopes):
    """The gradient of the head, of ``TAKEN`` rows and of the bias, from what so many steps heard.

    ``rest`` is what steps heard that say again an h from before the window. In the place of what was
    heard are left the squares of the rows and the bias', a vector to be summed.
    """
    table = int64_at(net)
    h_size, slots, stride = (
        load(table, plan.NET_PADDED),
        load(table, plan.NET_SLOTS),
        load(table, plan.NET_V_STRIDE),
    )
    newest = load(int64_at(row + load(table, plan.NET_COUNTERS)), plan.COUNT_SLOT)
    heard, v = heard_by(cell, net, scratch), vector_of(cell, net, row, 0)
    kept, errors = load(table, plan.NET_ERRORS_KEPT), errors_of(cell, net, scratch, 0)
    errors_stride = load(table, plan.NET_ERRORS_STRIDE)
    head = head_of(cell, net, row, plan.NET_WEIGHTS)
    of_head = head_of(cell, net, scratch, plan.NET_GRADIENT)
    of_seen, seen = pointer_like(scratch + load(table, plan.NET_GRADIENT), cell.one), shift(v, h_size + 1)
    of_bias = shift(of_seen, load(table, plan.NET_HEAD) - h_size)
    before, last = slot_before(newest, steps - 1, slots) * stride, (slots - 1) * stride
    (known, slope_of), squares = slopes, splat(v, 0.0)
    for j in range(0, h_size, lanes(v)):
        weight = load_vector(head, j)
        a, b, c, total = splat(v, 0.0), splat(v, 0.0), splat(v, 0.0), load_vector(v, before + j) * rest
        at, behind, place = newest * stride, next_slot(newest, slots) * stride, newest * errors_stride
        for n in range(steps):
            d, h = splat(v, load(heard, n)), load_vector(v, behind + j)
            dz = slope_of(known, behind + j, h) * d
            total = fma(d, h, total)
            a, b, c = fma(load(seen, at), dz, a), fma(load(seen, at + 1), dz, b), c + dz
            if kept:
                store_vector(errors, place + j, dz * weight)
                place = place - errors_stride if place > 0 else (slots - 1) * errors_stride
            behind, at = at, at - stride if at > 0 else last
        a, b, c = a * weight, b * weight, c * weight
        store_vector(of_head, j, total)
        store_vector(of_seen, j, a)
        store_vector(of_seen, h_size + j, b)
        store_vector(of_bias, j, c)
        squares = fma(a, a, fma(b, b, fma(c, c, squares)))
    store_vector(of_head, h_size, splat(v, 0.0))
    store_vector(heard, 0, squares)


@inlined
def gradient_of_others(cell, net, row, scratch, first, steps):
    """The gradient of the rows that are left; the sum of squares of all."""
    squares = vector_sum(load_vector(heard_by(cell, net, scratch), 0))
    left = load(int64_at(net), plan.NET_INPUTS) + load(int64_at(net), plan.NET_CONTEXT) - TAKEN
    if left == 0:
        return squares
    if left == _SIX:
        return squares + _gradient_of_six(cell, net, row, scratch, first, steps)
    return squares + gradient_of_products(cell, net, row, scratch, first, steps, FROM_X, TAKEN, 1)


@inlined
def _gradient_of_six(cell, net, row, scratch, first, steps):
    """That of the six rows behind the first ``TAKEN``, whose sums just fit into registers."""
    table = int64_at(net)
    h_size, slots, stride, errors_stride = (
        load(table, plan.NET_PADDED),
        load(table, plan.NET_SLOTS),
        load(table, plan.NET_V_STRIDE),
        load(table, plan.NET_ERRORS_STRIDE),
    )
    seen = shift(vector_of(cell, net, row, 0), h_size + 1 + TAKEN)
    errors = errors_of(cell, net, scratch, 0)
    out = shift(pointer_like(scratch + load(table, plan.NET_GRADIENT), cell.one), TAKEN * h_size)
    nothing, last = splat(seen, 0.0), (slots - 1) * stride
    squares, more = nothing, nothing
    for j in range(0, h_size, lanes(seen)):
        a, b, c, d, e, f = nothing, nothing, nothing, nothing, nothing, nothing
        at, place = first * stride, first * errors_stride + j
        for _ in range(steps):
            dz = load_vector(errors, place)
            a, b = fma(load(seen, at), dz, a), fma(load(seen, at + 1), dz, b)
            c, d = fma(load(seen, at + 2), dz, c), fma(load(seen, at + 3), dz, d)
            e, f = fma(load(seen, at + 4), dz, e), fma(load(seen, at + 5), dz, f)
            place = place + errors_stride if at < last else j
            at = at + stride if at < last else 0
        store_vector(out, j, a)
        store_vector(out, h_size + j, b)
        store_vector(out, 2 * h_size + j, c)
        store_vector(out, 3 * h_size + j, d)
        store_vector(out, 4 * h_size + j, e)
        store_vector(out, 5 * h_size + j, f)
        squares, more = fma(a, a, fma(b, b, fma(c, c, squares))), fma(d, d, fma(e, e, fma(f, f, more)))
    return vector_sum(squares + more)
