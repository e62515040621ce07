"""Jordan's network (1986): context = the head's outputs of the step before.

    h' = tanh(W_ih x + W_yh y + b_ih),  y' = W_out h' + b_out

What a step fed back is part of the network's function: on the way back, the context's
gradient goes through the head to the h of the step before. A masked step keeps the context
that it got, in its slot of ``v``, for the one after it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from streamrnn.kernels import plan
from streamrnn.kernels.cells.at_once import (
    go_at_once,
    goes_at_once,
    gradient_of_others,
    head_of,
    heard_by,
)
from streamrnn.kernels.cells.protocol import (
    CellSpec,
    cell_at_once,
    cell_backward,
    cell_forward,
    cell_gradient,
    cell_hold,
    cell_input_gradient,
    cell_whole_step,
    cell_whole_way,
    implements,
)
from streamrnn.kernels.cells.simple import (
    FROM_X,
    end_tanh,
    errors_of,
    gradient_of_inputs,
    gradient_of_products,
    hold_h,
    units_of_many,
    vector_of,
)
from streamrnn.kernels.cells.whole_step import go_in_one, goes_in_one
from streamrnn.kernels.compiling import inlined
from streamrnn.kernels.head import hear_error
from streamrnn.kernels.slots import next_slot, previous_slot, slot_before
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
    vector_sum,
)


class Jordan(NamedTuple):
    """Tag of the kernels; ``one`` carries the element type."""

    one: Any


SPEC = CellSpec("jordan", Jordan, ("h",), saved=0, errors=1, state=(), bias={}, context="outputs")


@inlined
def _context(cell, net, row, slot):
    """Pointer to the outputs that a slot's step sees."""
    table = int64_at(net)
    inputs = load(table, plan.NET_PADDED) + 1
    return shift(vector_of(cell, net, row, slot), inputs + load(table, plan.NET_INPUTS))


@inlined
def _is_masked(net, row, slot):
    return load(int64_at(row + load(int64_at(net), plan.NET_MASK)), slot)


@inlined
def _listen(cell, net, row, slot):
    """Write the newest outputs of a step that was not masked; pointer to where they come from."""
    table = int64_at(net)
    outputs, before = load(table, plan.NET_OUTPUTS), previous_slot(slot, load(table, plan.NET_SLOTS))
    heard = shift(pointer_like(row + load(table, plan.NET_Y), cell.one), before * outputs)
    if _is_masked(net, row, before):
        heard = _context(cell, net, row, before)
    context = _context(cell, net, row, slot)
    for k in range(outputs):
        store(context, k, load(heard, k))
    return heard


@implements(cell_whole_step, Jordan)
def whole_step(cell, net, row, slot):
    if not goes_in_one(net):
        return False
    heard = _listen(cell, net, row, slot)
    go_in_one(cell, net, row, slot, load(int64_at(net), plan.NET_INPUTS), heard, 1)
    return True


@implements(cell_forward, Jordan)
def forward(cell, net, row, slot):
    _listen(cell, net, row, slot)
    units_of_many(cell, net, row, slot)


@implements(cell_hold, Jordan)
def hold(cell, net, row, slot):
    hold_h(cell, net, row, slot)
    _listen(cell, net, row, slot)


@inlined
def _said_within(net, row, slot):
    """Whether the outputs that a slot's step saw were made within the window."""
    table = int64_at(net)
    slots, counters = load(table, plan.NET_SLOTS), int64_at(row + load(table, plan.NET_COUNTERS))
    gone = load(counters, plan.COUNT_SLOT) - slot
    gone = gone if gone >= 0 else gone + slots
    for _ in range(load(counters, plan.COUNT_FILLED) - 1 - gone):
        slot = previous_slot(slot, slots)
        if not _is_masked(net, row, slot):
            return True
    return False


@inlined
def _through_head(cell, net, row, scratch, slot, k, by_output):
    """Take dL/dy of an output of the step before to its h and to the head's gradient.

    Behind masked steps, which carry h and the way back of it, that is the h of the slot, too.
    """
    table = int64_at(net)
    h_size, outputs = load(table, plan.NET_PADDED), load(table, plan.NET_OUTPUTS)
    offset = load(table, plan.NET_HEAD)
    head = shift(pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one), offset)
    gradient_ = shift(pointer_like(scratch + load(table, plan.NET_GRADIENT), cell.one), offset)
    top = pointer_like(row + load(table, plan.NET_TOP), cell.one)
    h = shift(top, slot * load(table, plan.NET_TOP_STRIDE))
    dh = pointer_like(scratch + load(table, plan.NET_TOP_DH), cell.one)
    hear_error(head, gradient_, dh, h, (k, outputs, h_size), by_output)


@implements(cell_at_once, Jordan)
def at_once(cell, net):
    return goes_at_once(net)


@inlined
def _products_of_weights(cell, net, row, scratch):
    """Pointer to w_yh w_out of every unit, made here."""
    table = int64_at(net)
    h_size, slots = load(table, plan.NET_PADDED), load(table, plan.NET_SLOTS)
    products = shift(heard_by(cell, net, scratch), (slots + 15) // 16 * 16)
    weights = pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
    of_context = shift(weights, load(table, plan.NET_INPUTS) * h_size)
    head = head_of(cell, net, row, plan.NET_WEIGHTS)
    for j in range(0, h_size, lanes(products)):
        store_vector(products, j, load_vector(of_context, j) * load_vector(head, j))
    return products


@inlined
def _behind_oldest(net, row, steps):
    """The slot of the h of the oldest step that is not masked, or of the newest."""
    table = int64_at(net)
    slots, mask = load(table, plan.NET_SLOTS), int64_at(row + load(table, plan.NET_MASK))
    newest = load(int64_at(row + load(table, plan.NET_COUNTERS)), plan.COUNT_SLOT)
    slot = slot_before(newest, steps - 1, slots)
    while slot != newest and load(mask, slot):
        slot = next_slot(slot, slots)
    return next_slot(slot, slots)


@inlined
def _gains(cell, net, row, scratch, steps):
    """Pointer to dy(t) / dy(t - 1) = sum over the units of w_yh w_out (1 - h(t)^2), of every slot's h.

    Made here; 0 where the window of ``steps`` begins.
    """
    table = int64_at(net)
    h_size, slots = load(table, plan.NET_PADDED), load(table, plan.NET_SLOTS)
    products = _products_of_weights(cell, net, row, scratch)
    gains = shift(products, h_size)
    v, stride = vector_of(cell, net, row, 0), load(table, plan.NET_V_STRIDE)
    for n in range(slots):
        total, h = splat(v, 0.0), shift(v, n * stride)
        for j in range(0, h_size, lanes(v)):
            h_j = load_vector(h, j)
            total = fma(load_vector(products, j), fma(h_j * -1.0, h_j, 1.0), total)
        store(gains, n, vector_sum(total))
    store(gains, _behind_oldest(net, row, steps), 0.0)
    return gains


@implements(cell_whole_way, Jordan)
def whole_way(cell, net, row, scratch):
    table = int64_at(net)
    steps = load(int64_at(row + load(table, plan.NET_COUNTERS)), plan.COUNT_FILLED)
    return go_at_once(cell, net, row, scratch, steps, _gains(cell, net, row, scratch, steps), load)


@implements(cell_backward, Jordan)
def backward(cell, net, row, scratch, slot, last):
    table = int64_at(net)
    h_size, dz = load(table, plan.NET_PADDED), errors_of(cell, net, scratch, slot)
    end_tanh(cell, net, row, scratch, slot)
    if _said_within(net, row, slot):
        weights = pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
        of_context = shift(weights, load(table, plan.NET_INPUTS) * h_size)
        for k in range(load(table, plan.NET_OUTPUTS)):
            total = splat(dz, 0.0)
            for j in range(0, h_size, lanes(dz)):
                total = fma(load_vector(of_context, k * h_size + j), load_vector(dz, j), total)
            _through_head(cell, net, row, scratch, slot, k, vector_sum(total))


@implements(cell_gradient, Jordan)
def gradient(cell, net, row, scratch, first, steps):
    if goes_at_once(net):
        return gradient_of_others(cell, net, row, scratch, first, steps)
    return gradient_of_products(cell, net, row, scratch, first, steps, FROM_X)


@implements(cell_input_gradient, Jordan)
def input_gradient(cell, net, row, scratch, slot, out):
    gradient_of_inputs(cell, net, row, scratch, slot, out, 0)
