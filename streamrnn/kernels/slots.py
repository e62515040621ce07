"""Walking a network's ring of slots."""

from __future__ import annotations

from streamrnn.kernels.compiling import inlined

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
def alternate(slot, units_by_rows):
    """Direction in which to walk the weights at this slot: 1 is backwards (see ``matvec``)."""
    return slot & 1 if units_by_rows > _CACHED else 0
