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
    cell_whole_steps,
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
from streamrnn.kernels.cells.whole_step import go_in_one, goes_in_one, output, sizes_of
from streamrnn.kernels.columns import write_inputs
from streamrnn.kernels.compiling import inlined
from streamrnn.kernels.head import hear_error
from streamrnn.kernels.slots import count_steps, next_slot, next_step, previous_slot
from streamrnn.kernels.sums import fma_of_numbers, store_four_sums
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


SPEC = CellSpec(
    "jordan", Jordan, ("h",), saved=0, errors=1, state=(), bias={}, context="outputs", slopes=True
)


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
def _heard_behind(cell, net, row, slot):
    """Pointer to what the step after a slot sees: the newest outputs of a step that was not masked."""
    table = int64_at(net)
    if _is_masked(net, row, slot):
        return _context(cell, net, row, slot)
    return shift(pointer_like(row + load(table, plan.NET_Y), cell.one), slot * load(table, plan.NET_OUTPUTS))


@inlined
def _listen(cell, net, row, slot):
    """Write what a slot's step sees of the past; pointer to where that comes from."""
    table = int64_at(net)
    heard = _heard_behind(cell, net, row, previous_slot(slot, load(table, plan.NET_SLOTS)))
    context = _context(cell, net, row, slot)
    for k in range(load(table, plan.NET_OUTPUTS)):
        store(context, k, load(heard, k))
    return heard


@implements(cell_whole_step, Jordan)
def whole_step(cell, net, row, slot):
    if not goes_in_one(net):
        return False
    heard = load(_listen(cell, net, row, slot), 0)
    go_in_one(cell, net, row, slot, load(int64_at(net), plan.NET_INPUTS), 1, heard)
    return True


@implements(cell_whole_steps, Jordan)
def whole_steps(cell, net, row, columns, t, until):
    if not goes_in_one(net):
        return t
    if load(int64_at(net), plan.NET_PADDED) == 2 * lanes(pointer_like(row, cell.one)):
        return _go_on(cell, net, row, columns, t, until, True)
    return _go_on(cell, net, row, columns, t, until, False)


@inlined
def _go_on(cell, net, row, columns, t, until, alone):
    """Step after step, what was said staying at hand."""
    table = int64_at(net)
    slots, stride, inputs = (
        load(table, plan.NET_SLOTS),
        load(table, plan.NET_V_STRIDE),
        load(table, plan.NET_INPUTS),
    )
    v, weights = vector_of(cell, net, row, 0), pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
    y, target, mask = (
        pointer_like(row + load(table, plan.NET_Y), cell.one),
        pointer_like(row + load(table, plan.NET_TARGET), cell.one),
        int64_at(row + load(table, plan.NET_MASK)),
    )
    of_x, of_target, out = (
        pointer_like(columns[0], cell.one),
        pointer_like(columns[1], cell.one),
        pointer_like(columns[2], cell.one),
    )
    begin, sizes, here = t, sizes_of(net, inputs, 1), next_step(net, row)
    slot = previous_slot(here, slots)
    heard = load(_heard_behind(cell, net, row, slot), 0)
    while t < until:
        x = shift(v, here * stride + sizes[0] + 1)
        if not write_inputs(x, of_x, t, inputs):
            break
        slot, here = here, next_slot(here, slots)
        store(x, inputs, heard)
        heard = output(x, shift(v, here * stride), weights, sizes, heard, alone)
        store(mask, slot, 0)
        store(y, slot, heard)
        store(out, t, heard)
        store(target, slot, load(of_target, t))
        t += 1
    count_steps(net, row, slot, t - begin)
    return t


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
    products = shift(heard_by(cell, net, scratch), 2 * ((slots + 15) // 16 * 16))
    weights = pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
    of_context = shift(weights, load(table, plan.NET_INPUTS) * h_size)
    head = head_of(cell, net, row, plan.NET_WEIGHTS)
    for j in range(0, h_size, lanes(products)):
        store_vector(products, j, load_vector(of_context, j) * load_vector(head, j))
    return products


@inlined
def _find_gains(cell, net, row, scratch):
    """Pointer to dy(t) / dy(t - 1) = sum over the units of w_yh w_out (1 - h(t)^2), of every slot's h."""
    table = int64_at(net)
    h_size, slots, stride = (
        load(table, plan.NET_PADDED),
        load(table, plan.NET_SLOTS),
        load(table, plan.NET_V_STRIDE),
    )
    products, slopes = _products_of_weights(cell, net, row, scratch), _slopes(cell, net, row)
    gains = shift(heard_by(cell, net, scratch), (slots + 15) // 16 * 16)
    for n in range(0, slots - 3, 4):
        a, b, c, d = splat(gains, 0.0), splat(gains, 0.0), splat(gains, 0.0), splat(gains, 0.0)
        here = shift(slopes, n * stride)
        for j in range(0, h_size, lanes(gains)):
            p = load_vector(products, j)
            a, b = fma(p, load_vector(here, j), a), fma(p, load_vector(here, stride + j), b)
            c, d = fma(p, load_vector(here, 2 * stride + j), c), fma(p, load_vector(here, 3 * stride + j), d)
        store_four_sums(gains, n, (a, b, c, d), 0.0)
    for n in range(slots // 4 * 4, slots):
        a = splat(gains, 0.0)
        for j in range(0, h_size, lanes(gains)):
            a = fma(load_vector(products, j), load_vector(slopes, n * stride + j), a)
        store(gains, n, vector_sum(a))
    return gains


@inlined
def _slopes(cell, net, row):
    """Pointer to 1 - h^2 of the h in slot 0."""
    table = int64_at(net)
    return shift(vector_of(cell, net, row, 0), load(table, plan.NET_V_STRIDE) - load(table, plan.NET_PADDED))


@inlined
def _gain(known, n):
    return load(known[0], n)


@inlined
def _flow(net, row, heard, steps, known):
    """d(t - 1) = own(t - 1) + gain(t) d(t); behind the losses, where there is no own, two steps at a time."""
    table, gains = int64_at(net), known[0]
    slots, k1 = load(table, plan.NET_SLOTS), min(load(table, plan.NET_K1), steps)
    behind = next_step(net, row)
    d, total = load(heard, 0), load(heard, 0)
    for n in range(1, k1):
        d = fma_of_numbers(load(gains, behind), d, load(heard, n))
        store(heard, n, d)
        total += d
        behind = previous_slot(behind, slots)
    for n in range(k1, steps - 1, 2):
        gain, behind = load(gains, behind), previous_slot(behind, slots)
        one, d = d * gain, d * (gain * load(gains, behind))
        behind = previous_slot(behind, slots)
        store(heard, n, one)
        store(heard, n + 1, d)
        total += one + d
    if (steps - k1) & 1:
        store(heard, steps - 1, d * load(gains, behind))
        total += load(heard, steps - 1)
    return total


@inlined
def _known_slope(known, place, h):
    return load_vector(known[1], place)


@implements(cell_whole_way, Jordan)
def whole_way(cell, net, row, scratch):
    table = int64_at(net)
    steps = load(int64_at(row + load(table, plan.NET_COUNTERS)), plan.COUNT_FILLED)
    known = _find_gains(cell, net, row, scratch), _slopes(cell, net, row)
    return go_at_once(cell, net, row, scratch, steps, known, _gain, _known_slope, _flow)


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
