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
    cell_whole_way,
    implements,
)
from streamrnn.kernels.cells.simple import (
    FROM_X,
    end_tanh,
    errors_of,
    gradient_of_products,
    hold_h,
    units_of_many,
    vector_behind,
    vector_of,
)
from streamrnn.kernels.cells.whole_step import go_in_one, goes_in_one
from streamrnn.kernels.compiling import inlined
from streamrnn.kernels.slots import next_slot, slot_before
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
    vector_sum,
)


class TDNN(NamedTuple):
    """Tag of the kernels; ``one`` carries the element type."""

    one: Any


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
    go_in_one(cell, net, row, slot, seen, vector_of(cell, net, row, slot), 0)
    _hand_on(cell, net, row, slot, 0)
    return True


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


@implements(cell_whole_way, TDNN)
def whole_way(cell, net, row, scratch):
    steps = _steps_heard(cell, net, row)
    return go_at_once(cell, net, row, scratch, steps, cell.one - cell.one, _silence)


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
