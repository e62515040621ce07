"""Time-delay network (Waibel et al. 1989): a window of past inputs, no recurrence.

    h' = tanh(W_0 x(t) + W_1 x(t-1) + ... + W_n x(t-n) + b)

Each slot's ``v`` holds the earlier inputs behind its own, the newest first; a step hands them
on to the next slot, moved by one, as other cells hand on h. A masked step hands on what it got.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from streamrnn.kernels import plan
from streamrnn.kernels.cells.at_once import (
    go_at_once,
    goes_at_once,
    gradient_of_others,
)
from streamrnn.kernels.cells.protocol import (
    CellSpec,
    cell_at_once,
    cell_backward,
    cell_forward,
    cell_gradient,
    cell_hold,
    cell_input_gradient,
    cell_reach,
    cell_whole_step,
    cell_whole_steps,
    cell_whole_way,
    implements,
)
from streamrnn.kernels.cells.simple import (
    FROM_X,
    end_tanh,
    errors_of,
    gradient_of_products,
    hold_h,
    put_tanh,
    units_of_many,
    vector_behind,
    vector_of,
)
from streamrnn.kernels.cells.whole_step import go_in_one, goes_in_one
from streamrnn.kernels.compiling import inlined
from streamrnn.kernels.slots import count_steps, next_slot, next_step, previous_slot, slot_before
from streamrnn.kernels.sums import copy_backwards, store_four_sums
from streamrnn.kernels.vector import (
    copy,
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


class TDNN(NamedTuple):
    """Tag of the kernels; ``one`` carries the element type."""

    one: Any


_USUAL = 7  # inputs before its own that a step of one input sees, where nothing else is asked for

SPEC = CellSpec("tdnn", TDNN, ("h",), saved=0, errors=1, state=(), bias={}, context="inputs")


@inlined
def _hand_on(cell, net, row, slot, first):
    """Give the next slot the earlier inputs: those of this one, from element ``first`` on."""
    table = int64_at(net)
    inputs = load(table, plan.NET_PADDED) + 1
    of_next = shift(vector_behind(cell, net, row, slot), inputs + load(table, plan.NET_INPUTS))
    here = shift(vector_of(cell, net, row, slot), inputs + first)
    copy(of_next, here, load(table, plan.NET_CONTEXT))


@implements(cell_whole_step, TDNN)
def whole_step(cell, net, row, slot):
    if not goes_in_one(net):
        return False
    seen = load(int64_at(net), plan.NET_INPUTS) + load(int64_at(net), plan.NET_CONTEXT)
    go_in_one(cell, net, row, slot, seen, 0, cell.one)
    _hand_on(cell, net, row, slot, 0)
    return True


@implements(cell_whole_steps, TDNN)
def whole_steps(cell, net, row, columns, t, until):
    table, two = int64_at(net), 2 * lanes(pointer_like(row, cell.one))
    usual = load(table, plan.NET_INPUTS) == 1 and load(table, plan.NET_CONTEXT) == _USUAL
    if not (goes_in_one(net) and usual and load(table, plan.NET_SLOTS) > 4):
        return t
    if load(table, plan.NET_PADDED) == two:  # as a constant: without loops
        return _by_four(cell, net, row, columns, t, until, two)
    return _by_four(cell, net, row, columns, t, until, load(table, plan.NET_PADDED))


@inlined
def _are_known(x, count):
    """Whether no number is missing."""
    total = load(x, 0)
    for k in range(1, count):
        total += load(x, k)
    return total == total


@inlined
def _by_four(cell, net, row, columns, t, until, h_size):
    """Four steps at a time, which share the weights that are read; what is left over is the driver's."""
    x = pointer_like(columns[0], cell.one)
    if t < _USUAL or t + 4 > until or not _are_known(shift(x, t - _USUAL), _USUAL):
        return t
    table = int64_at(net)
    slots, stride = load(table, plan.NET_SLOTS), load(table, plan.NET_V_STRIDE)
    v, weights = vector_of(cell, net, row, 0), pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
    y, target, mask = (
        pointer_like(row + load(table, plan.NET_Y), cell.one),
        pointer_like(row + load(table, plan.NET_TARGET), cell.one),
        int64_at(row + load(table, plan.NET_MASK)),
    )
    of_target, out = pointer_like(columns[1], cell.one), pointer_like(columns[2], cell.one)
    begin, first, head = t, next_step(net, row), shift(weights, load(table, plan.NET_HEAD))
    while t + 4 <= until and _are_known(shift(x, t), 4):
        second = next_slot(first, slots)
        third = next_slot(second, slots)
        fourth = next_slot(third, slots)
        places = (second * stride, third * stride, fourth * stride, next_slot(fourth, slots) * stride)
        _sums_of_four(shift(x, t), weights, h_size, v, places)
        _hand_on_four(shift(x, t), h_size, v, first * stride, places)
        here = first
        for n in range(t, t + min(4, slots)):  # a loop, not four times the code
            store(mask, here, 0)
            store(target, here, load(of_target, n))
            here = next_slot(here, slots)
            put_tanh(h_size, shift(v, here * stride))
        _say_four(head, h_size, v, places, shift(out, t))
        store(y, first, load(out, t))
        store(y, second, load(out, t + 1))
        store(y, third, load(out, t + 2))
        store(y, fourth, load(out, t + 3))
        first, t = here, t + 4
    count_steps(net, row, previous_slot(first, slots), t - begin)
    return t


@inlined
def _sums_of_four(x, weights, h_size, v, places):
    """W x + b of four steps, the first of which has its input at x, put where h will be.

    Added in the order of ``go_in_one``.
    """
    for j in range(0, h_size, lanes(v)):
        a = load_vector(weights, (_USUAL + 1) * h_size + j)
        b, c, d = a, a, a
        for k in range(_USUAL + 1):
            w = load_vector(weights, k * h_size + j)
            a, b = fma(load(x, -k), w, a), fma(load(x, 1 - k), w, b)
            c, d = fma(load(x, 2 - k), w, c), fma(load(x, 3 - k), w, d)
        store_vector(v, places[0] + j, a)
        store_vector(v, places[1] + j, b)
        store_vector(v, places[2] + j, c)
        store_vector(v, places[3] + j, d)


@inlined
def _hand_on_four(x, h_size, v, first, places):
    """Write the inputs of four steps, and to each step behind one of them those before its own.

    From the sequence: what was just written in parts cannot be read in one piece before it is in the cache.
    """
    store(v, first + h_size + 1, load(x, 0))
    for n in range(4):
        of_next = shift(v, places[n] + h_size + 1)
        if n < 3:
            store(of_next, 0, load(x, n + 1))
        copy_backwards(shift(of_next, 1), shift(x, n), _USUAL)


@inlined
def _say_four(head, h_size, v, places, out):
    """The outputs of four steps."""
    a, b, c, d = splat(v, 0.0), splat(v, 0.0), splat(v, 0.0), splat(v, 0.0)
    for j in range(0, h_size, lanes(v)):
        w = load_vector(head, j)
        a, b = fma(load_vector(v, places[0] + j), w, a), fma(load_vector(v, places[1] + j), w, b)
        c, d = fma(load_vector(v, places[2] + j), w, c), fma(load_vector(v, places[3] + j), w, d)
    store_four_sums(out, 0, (a, b, c, d), load(head, h_size))


@implements(cell_forward, TDNN)
def forward(cell, net, row, slot):
    units_of_many(cell, net, row, slot)
    _hand_on(cell, net, row, slot, 0)


@implements(cell_hold, TDNN)
def hold(cell, net, row, slot):
    hold_h(cell, net, row, slot)
    _hand_on(cell, net, row, slot, load(int64_at(net), plan.NET_INPUTS))


@inlined
def _steps_heard(cell, net, row):
    """No further than the newest k1 outputs: no step hears of the one before. Masked ones hand on its h."""
    table = int64_at(net)
    counters, mask = (
        int64_at(row + load(table, plan.NET_COUNTERS)),
        int64_at(row + load(table, plan.NET_MASK)),
    )
    filled, steps = load(counters, plan.COUNT_FILLED), load(table, plan.NET_K1)
    while steps < filled and load(
        mask, slot_before(load(counters, plan.COUNT_SLOT), steps - 1, load(table, plan.NET_SLOTS))
    ):
        steps += 1
    return min(steps, filled)


@implements(cell_reach, TDNN)
def reach(cell, net, row):
    return _steps_heard(cell, net, row)


@implements(cell_at_once, TDNN)
def at_once(cell, net):
    return goes_at_once(net)


@inlined
def _silence(nothing, n):
    """No step hears of the one after it."""
    return nothing


@inlined
def _sum(net, row, heard, steps, known):
    total = load(heard, 0)
    for n in range(1, steps):
        total += load(heard, n)
    return total


@inlined
def _slope(nothing, place, h):
    return fma(h * -1.0, h, 1.0)


@implements(cell_whole_way, TDNN)
def whole_way(cell, net, row, scratch):
    steps = _steps_heard(cell, net, row)
    return go_at_once(cell, net, row, scratch, steps, cell.one - cell.one, _silence, _slope, _sum)


@implements(cell_backward, TDNN)
def backward(cell, net, row, scratch, slot, last):
    end_tanh(cell, net, row, scratch, slot)


@implements(cell_gradient, TDNN)
def gradient(cell, net, row, scratch, first, steps):
    if goes_at_once(net):
        return gradient_of_others(cell, net, row, scratch, first, steps)
    return gradient_of_products(cell, net, row, scratch, first, steps, FROM_X)


@implements(cell_input_gradient, TDNN)
def input_gradient(cell, net, row, scratch, slot, out):
    """Every step saw these inputs until they left the window: sum_n W_n dz(t + n)."""
    table = int64_at(net)
    h_size, inputs, slots = (
        load(table, plan.NET_PADDED),
        load(table, plan.NET_INPUTS),
        load(table, plan.NET_SLOTS),
    )
    newest = load(int64_at(row + load(table, plan.NET_COUNTERS)), plan.COUNT_SLOT)
    mask = int64_at(row + load(table, plan.NET_MASK))
    weights = pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
    for k in range((inputs + 15) // 16 * 16):
        store(out, k, 0.0)
    at, seen = slot, 0
    for _ in range(slots):
        if not load(mask, at):
            dz = errors_of(cell, net, scratch, at)
            for k in range(inputs):
                total = splat(dz, 0.0)
                for j in range(0, h_size, lanes(dz)):
                    total = fma(load_vector(weights, (seen + k) * h_size + j), load_vector(dz, j), total)
                store(out, k, load(out, k) + vector_sum(total))
            seen += inputs
        if at == newest or seen > load(table, plan.NET_CONTEXT):
            break
        at = next_slot(at, slots)
