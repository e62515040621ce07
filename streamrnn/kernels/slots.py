"""Walking a network's ring of slots."""

from __future__ import annotations

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import inlined
from streamrnn.kernels.vector import int64_at, load, store

# Weights beyond this many units x rows do not stay in a 48 KB first-level cache.
_CACHED = 2048


@inlined
def next_slot(slot, slots):
    """The slot after this one."""
    return slot + 1 if slot < slots - 1 else 0


@inlined
def previous_slot(slot, slots):
    """The slot before this one."""
    return slot - 1 if slot > 0 else slots - 1


@inlined
def slot_before(newest, steps, slots):
    """The slot so many steps before the newest."""
    slot = newest - steps
    return slot if slot >= 0 else slot + slots


@inlined
def next_step(net, row):
    """The slot of the step to come."""
    counters = int64_at(row + load(int64_at(net), plan.NET_COUNTERS))
    return next_slot(load(counters, plan.COUNT_SLOT), load(int64_at(net), plan.NET_SLOTS))


@inlined
def count_steps(net, row, newest, count):
    """Note that so many steps were taken, the newest in that slot."""
    table = int64_at(net)
    counters = int64_at(row + load(table, plan.NET_COUNTERS))
    store(counters, plan.COUNT_SLOT, newest)
    filled = load(counters, plan.COUNT_FILLED) + count
    store(counters, plan.COUNT_FILLED, min(filled, load(table, plan.NET_K2)))


@inlined
def alternate(slot, units_by_rows):
    """Direction in which to walk the weights at this slot: 1 is backwards (see ``matvec``)."""
    return slot & 1 if units_by_rows > _CACHED else 0
