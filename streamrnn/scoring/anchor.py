"""How much the anchored copies may learn: much while all is normal, nothing during an event.

The gate watches the anchored copies' own evidence, averaged over 25 records, in units
of its usual deviation: z. Weight is 1 up to z = .5, falls linearly to .01 at z = 2, and
is 0 from z > 4 until ten records in a row are below 2. So the anchored copies stay at
the normal that was before. What lasts becomes the new normal: after ``ADOPTED`` records
that were not learned they take over what the learning copies know.
"""

from __future__ import annotations

from math import sqrt as square_root

from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.vector import load, store

# float64
(WEIGHT, MEAN, VARIANCE, COUNT, OPEN, CALM, SUPPRESSED, OTHER_MEAN, OTHER_VARIANCE, RECORDS) = range(10)
(SHUT_FOR, OFF) = (10, 11)  # records since the gate shut; z of the newest record
STATE = 12

ADOPTED = 10_000.0
_FULL, _LEAST, _LEAST_WEIGHT = 0.5, 2.0, 0.01
_SHUT, _OPENS_BELOW, _IN_A_ROW = 4.0, 2.0, 10
_OFF = 3.0  # between both: a gate may stay shut a little over the one
_FLOOR = 0.05
_FIRST = 50  # scored records before the gate moves
_GAIN = 0.0005
_OTHER_GAIN = 0.002
_COUNT_AFTER = 500.0


def initial_state() -> list[float]:
    """An open gate."""
    state = [0.0] * STATE
    state[WEIGHT] = 1.0
    return state


@inlined
def _learn(state, mean, variance, gain, value):
    """Move a mean and a variance."""
    distance = value - load(state, mean)
    store(state, mean, load(state, mean) + gain * distance)
    store(state, variance, (1.0 - gain) * (load(state, variance) + gain * distance * distance))


@kernel
def move(state, anchored, learning):
    """Set the weight for the next record from both copies' averaged evidence; whether to adopt now."""
    count = load(state, COUNT)
    weight, adopts, z = 1.0, False, 0.0
    if count > _FIRST:
        z = (anchored - load(state, MEAN)) / (square_root(load(state, VARIANCE)) + _FLOOR)
        weight = min(1.0, max(_LEAST_WEIGHT, (_LEAST - z) / (_LEAST - _FULL)))
        if load(state, OPEN) == 0.0:
            if z > _SHUT:
                store(state, OPEN, 1.0)
                store(state, CALM, 0.0)
                store(state, SHUT_FOR, 0.0)
        else:
            store(state, SHUT_FOR, load(state, SHUT_FOR) + 1.0)
            store(state, CALM, load(state, CALM) + 1.0 if z < _OPENS_BELOW else 0.0)
            if load(state, CALM) >= _IN_A_ROW:
                store(state, OPEN, 0.0)
        if load(state, OPEN) > 0.0:
            weight = 0.0
        suppressed = load(state, SUPPRESSED)
        suppressed = suppressed + 1.0 - weight if weight < 0.5 else max(0.0, suppressed - 1.0)
        adopts = suppressed > ADOPTED
        if adopts:
            store(state, MEAN, load(state, OTHER_MEAN))
            store(state, VARIANCE, load(state, OTHER_VARIANCE))
            count = min(count, _COUNT_AFTER)
            store(state, OPEN, 0.0)
            suppressed, weight = 0.0, 1.0
        store(state, SUPPRESSED, suppressed)
    count += 1.0
    store(state, COUNT, count)
    if weight > 0.0:
        _learn(state, MEAN, VARIANCE, max(_GAIN, 1.0 / count) * weight, anchored)
    store(state, RECORDS, load(state, RECORDS) + 1.0)
    _learn(state, OTHER_MEAN, OTHER_VARIANCE, max(_OTHER_GAIN, 1.0 / load(state, RECORDS)), learning)
    store(state, WEIGHT, weight)
    store(state, OFF, z)
    return adopts


@inlined
def is_off(state, longest):
    """Whether the stream is off the anchored normal, and has not been for so many records."""
    return load(state, OPEN) > 0.0 and load(state, OFF) > _OFF and load(state, SHUT_FOR) < longest
