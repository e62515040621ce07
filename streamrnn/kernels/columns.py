"""Between the arrays of a sequence and a network's ring of slots."""

from __future__ import annotations

from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.vector import load, never_inline, store


@kernel
def _write_several(place, x, t, count):
    """Write the inputs of step ``t``; those of a step without all of them are 0. Whether it has them."""
    never_inline()
    known = True
    for k in range(count):
        value = load(x, t * count + k)
        known = known and value == value
    for k in range(count):
        store(place, k, load(x, t * count + k) if known else 0.0)
    return known


@inlined
def write_inputs(place, x, t, count):
    """The same, where one input is most common."""
    if count != 1:
        return _write_several(place, x, t, count)
    value = load(x, t)
    store(place, 0, value if value == value else 0.0)
    return value == value
