"""One driver for every cell: step a network, and train it by truncated backpropagation.

BPTT(h; h') of Williams and Peng (1990, section 4): every k1 outputs, go back
through the last k2 steps, with the losses of the newest k1 outputs only, so that
each loss counts once. The state at the window's start is a constant. Activations
are those stored when each step was made, or, with ``plan.NET_RECOMPUTE``, those that
the current weights give from the same start.

The loss of an output is Huber's (1964) with threshold ``plan.NET_HUBER``, or another of
``losses.py``; a target that is NaN has none.
"""

from __future__ import annotations

from streamrnn.kernels import plan
from streamrnn.kernels.cells.protocol import (
    cell_at_once,
    cell_backward,
    cell_forward,
    cell_gradient,
    cell_hold,
    cell_prepare,
    cell_reach,
    cell_whole_step,
    cell_whole_way,
)
from streamrnn.kernels.compiling import inlined, kernel, woven
from streamrnn.kernels.head import hear_error
from streamrnn.kernels.losses import HUBER, normaliser, slope
from streamrnn.kernels.optimizer import descend
from streamrnn.kernels.slots import count_steps, next_slot, slot_before
from streamrnn.kernels.vector import (
    float64_at,
    fma,
    int64_at,
    lanes,
    load,
    load_vector,
    never_inline,
    pointer_like,
    shift,
    splat,
    store,
    store_vector,
    vector_sum,
)


@inlined
def input_address(cell, net, row, slot):
    """Pointer to the inputs of a slot, to be written before the step."""
    table = int64_at(net)
    v = pointer_like(row + load(table, plan.NET_V), cell.one)
    return shift(v, slot * load(table, plan.NET_V_STRIDE) + load(table, plan.NET_PADDED) + 1)


@inlined
def hidden_address(cell, net, row, slot):
    """Pointer to the h that the step of a slot computed."""
    table = int64_at(net)
    v = pointer_like(row + load(table, plan.NET_TOP), cell.one)
    return shift(v, next_slot(slot, load(table, plan.NET_SLOTS)) * load(table, plan.NET_TOP_STRIDE))


@inlined
def _head(cell, net, row, slot):
    """Linear head: y = W_out h + b_out, to the slot's outputs."""
    table = int64_at(net)
    h_size, outputs = load(table, plan.NET_PADDED), load(table, plan.NET_OUTPUTS)
    head = shift(pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one), load(table, plan.NET_HEAD))
    y = shift(pointer_like(row + load(table, plan.NET_Y), cell.one), slot * outputs)
    h = hidden_address(cell, net, row, slot)
    for k in range(outputs):
        total = splat(h, 0.0)
        for j in range(0, h_size, lanes(h)):
            total = fma(load_vector(h, j), load_vector(head, k * h_size + j), total)
        store(y, k, vector_sum(total) + load(head, outputs * h_size + k))


@inlined
def _take(cell, net, row, slot, masked):
    """The step of a slot; whether its output is made, too."""
    if masked:
        cell_hold(cell, net, row, slot)
        return False
    if cell_whole_step(cell, net, row, slot):
        return True
    cell_forward(cell, net, row, slot)
    return False


@inlined
def step(cell, net, row, slot, masked):
    """Advance to ``slot``, the next, whose inputs are written, and compute h and the outputs.

    A masked step carries the state through and is passed over on the way back.
    """
    table = int64_at(net)
    count_steps(net, row, slot, 1)
    store(int64_at(row + load(table, plan.NET_MASK)), slot, masked)
    if not _take(cell, net, row, slot, masked):
        _head(cell, net, row, slot)


@inlined
def due(net, row, count):
    """Count outputs whose targets are now in the ring; whether k1 have come and it is time to train."""
    table = int64_at(net)
    counters = int64_at(row + load(table, plan.NET_COUNTERS))
    since = load(counters, plan.COUNT_SINCE) + count
    k1 = load(table, plan.NET_K1)
    train = since >= k1 and load(counters, plan.COUNT_FILLED) >= k1
    store(counters, plan.COUNT_SINCE, 0 if train else since)
    return train


@kernel
def _recompute(cell, net, row, first, steps):
    """Run the window again under the current weights, from its stored start."""
    never_inline()
    table = int64_at(net)
    mask = int64_at(row + load(table, plan.NET_MASK))
    slot = first
    for n in range(steps):
        said = _take(cell, net, row, slot, load(mask, slot))
        if not said and (n >= steps - load(table, plan.NET_K1) or load(table, plan.NET_FEEDBACK)):
            _head(cell, net, row, slot)  # older outputs have no loss
        slot = next_slot(slot, load(table, plan.NET_SLOTS))


@inlined
def clear(pointer, count):
    zero = splat(pointer, 0.0)
    for i in range(0, count, lanes(pointer)):
        store_vector(pointer, i, zero)


@inlined
def _head_backward(cell, net, row, scratch, slot):
    """Add the losses of a slot's outputs to dL/dh and to the head's gradient; how many there were."""
    table = int64_at(net)
    h_size, outputs = load(table, plan.NET_PADDED), load(table, plan.NET_OUTPUTS)
    offset = load(table, plan.NET_HEAD)
    head = shift(pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one), offset)
    gradient = shift(pointer_like(scratch + load(table, plan.NET_GRADIENT), cell.one), offset)
    dh = pointer_like(scratch + load(table, plan.NET_TOP_DH), cell.one)
    h = hidden_address(cell, net, row, slot)
    y = shift(pointer_like(row + load(table, plan.NET_Y), cell.one), slot * outputs)
    target = shift(pointer_like(row + load(table, plan.NET_TARGET), cell.one), slot * outputs)
    huber = load(float64_at(net), plan.NET_HUBER)
    kind, counted = load(table, plan.NET_LOSS), load(table, plan.NET_COUNTED)
    base = 0.0 if kind == HUBER else normaliser(kind, y, target, outputs)
    losses = 0
    for k in range(outputs):
        error = float(load(y, k)) - float(load(target, k))
        if kind != HUBER:
            error = slope(kind, y, target, (k, outputs, base))
        if error == error:
            losses += 1 if k < counted else 0
            error = min(max(error, -huber), huber)
            hear_error(head, gradient, dh, h, (k, outputs, h_size), error)
    return losses


@kernel
def open_window(cell, net, row, scratch):
    """Clear what the way back adds to; how many steps it goes back."""
    never_inline()
    table = int64_at(net)
    counters = int64_at(row + load(table, plan.NET_COUNTERS))
    if load(table, plan.NET_RECOMPUTE):
        newest, steps = load(counters, plan.COUNT_SLOT), load(counters, plan.COUNT_FILLED)
        _recompute(cell, net, row, slot_before(newest, steps - 1, load(table, plan.NET_SLOTS)), steps)
    if not cell_at_once(cell, net):
        _clear_way(cell, net, scratch)
        cell_prepare(cell, net, row, scratch)
    return cell_reach(cell, net, row)


@inlined
def _clear_way(cell, net, scratch):
    """Clear what steps back add to."""
    table = int64_at(net)
    offset = load(table, plan.NET_HEAD)
    gradient = pointer_like(scratch + load(table, plan.NET_GRADIENT), cell.one)
    clear(shift(gradient, offset), load(table, plan.NET_PARAMETERS) - offset)
    if not load(table, plan.NET_LATER):
        units = load(table, plan.NET_LAYERS) * load(table, plan.NET_PADDED)
        clear(pointer_like(scratch + load(table, plan.NET_TOP_DH), cell.one), 2 * units)
        clear(pointer_like(scratch + load(table, plan.NET_CARRY), cell.one), units)


@inlined
def step_back(cell, net, row, scratch, slot, last):
    """The errors of one slot; a masked one has none."""
    table = int64_at(net)
    if load(int64_at(row + load(table, plan.NET_MASK)), slot):
        stride = load(table, plan.NET_ERRORS_STRIDE)
        clear(shift(pointer_like(scratch + load(table, plan.NET_ERRORS), cell.one), slot * stride), stride)
    else:
        cell_backward(cell, net, row, scratch, slot, last)


@inlined
def in_one_piece(cell, net, scratch, newest, steps):
    """(first slot, slots) of the window that ends at ``newest``, as one run of memory.

    Where the window wraps, the errors of the slots outside it are silenced and the whole ring is taken.
    """
    table = int64_at(net)
    slots, stride = load(table, plan.NET_SLOTS), load(table, plan.NET_ERRORS_STRIDE)
    first = slot_before(newest, steps - 1, slots)
    if first <= newest:
        return first, steps
    errors = pointer_like(scratch + load(table, plan.NET_ERRORS), cell.one)
    for slot in range(newest + 1, first):
        clear(shift(errors, slot * stride), stride)
    return 0, slots


@kernel
def _go_at_once(cell, net, row, scratch):
    """The errors of every slot of the window, of a cell that needs no steps; the number of its losses."""
    never_inline()
    return cell_whole_way(cell, net, row, scratch)


@inlined
def _has_loss(cell, net, row, slot):
    """1 where the target of a slot's only output is known."""
    table = int64_at(net)
    error = load(pointer_like(row + load(table, plan.NET_Y), cell.one), slot) - load(
        pointer_like(row + load(table, plan.NET_TARGET), cell.one), slot
    )
    return 1 if error == error else 0


@kernel
def go_back(cell, net, row, scratch, n, steps):
    """The errors of the slot ``n`` steps before the newest; the number of its losses."""
    never_inline()
    table = int64_at(net)
    newest = load(int64_at(row + load(table, plan.NET_COUNTERS)), plan.COUNT_SLOT)
    slot = slot_before(newest, n, load(table, plan.NET_SLOTS))
    if cell_at_once(cell, net):  # beside networks that take steps
        if n == 0:
            _go_at_once(cell, net, row, scratch)
        return _has_loss(cell, net, row, slot) if n < load(table, plan.NET_K1) else 0
    losses = 0
    if n < load(table, plan.NET_K1):
        losses = _head_backward(cell, net, row, scratch, slot)
    step_back(cell, net, row, scratch, slot, n == steps - 1)
    return losses


@woven
def sum_up(cell, net, row, scratch):
    """The gradient from the errors of all slots, to the scratch; its sum of squares."""
    table = int64_at(net)
    counters = int64_at(row + load(table, plan.NET_COUNTERS))
    newest, reach = load(counters, plan.COUNT_SLOT), cell_reach(cell, net, row)
    first, steps = slot_before(newest, reach - 1, load(table, plan.NET_SLOTS)), reach
    if not cell_at_once(cell, net):  # which goes around the ring
        first, steps = in_one_piece(cell, net, scratch, newest, reach)
    gradient = pointer_like(scratch + load(table, plan.NET_GRADIENT), cell.one)
    total = splat(gradient, 0.0)
    for i in range(load(table, plan.NET_HEAD), load(table, plan.NET_PARAMETERS), lanes(gradient)):
        part = load_vector(gradient, i)
        total = fma(part, part, total)
    return float(cell_gradient(cell, net, row, scratch, first, steps)) + float(vector_sum(total))


@woven
def _go_all_the_way(cell, net, row, scratch):
    """The errors of every slot of the window; the number of its losses."""
    losses, steps = 0, open_window(cell, net, row, scratch)
    if cell_at_once(cell, net):
        losses, steps = _go_at_once(cell, net, row, scratch), 0
    for n in range(steps):
        losses += go_back(cell, net, row, scratch, n, steps)
    return losses


@woven
def gradient_of_window(cell, net, row, scratch):
    """Gradient of the newest losses, to the scratch; its sum of squares and the number of losses."""
    losses = _go_all_the_way(cell, net, row, scratch)
    return sum_up(cell, net, row, scratch), losses


@kernel
def update(cell, net, row, scratch, losses):
    """A step along the gradient of so many losses, from the errors of the window."""
    never_inline()
    descend(cell, net, row, scratch, sum_up(cell, net, row, scratch), losses)


@woven
def learn(cell, net, row, scratch, count):
    """Count outputs whose targets came; every k1, train on the window, where any loss of it is known."""
    if due(net, row, count):
        losses = _go_all_the_way(cell, net, row, scratch)
        if losses > 0:
            update(cell, net, row, scratch, losses)
