"""When a measure that always moves has moved out of its rut.

A measure counts as raised when it is over a least value and over ``_MORE`` times the
highest excursion remembered, and until it is back under half of that. An excursion is
remembered when it is over, and fades with tau 2000. One that was raised is remembered as
no higher than what would not have been, or than the one before it that was raised: one
fault does not hide the next, but what comes twice is a habit.
"""

from __future__ import annotations

from streamrnn.kernels.compiling import kernel
from streamrnn.kernels.vector import load, store

(RAISED, HIGHEST, REMEMBERED, FORMER) = range(4)  # float64; RAISED: for so many records
STATE = 4
_MORE = 1.5
_BACK = 0.5  # of what raises it
_OVER = 0.25  # of its height: what rose so high is over
_KEEP = 0.9995001249791693  # exp(-1 / 2000)


@kernel
def observe(state, value, least):
    """For how many records the measure has been raised, this one included; learns it."""
    remembered, former = load(state, REMEMBERED) * _KEEP, load(state, FORMER) * _KEEP
    silent_up_to = max(least, _MORE * remembered)
    highest = max(load(state, HIGHEST), value)
    if value < _OVER * highest:
        remembered = max(remembered, min(highest, max(silent_up_to, former)))
        former = highest if highest > silent_up_to else former
        highest = value
    raised = load(state, RAISED)
    bound = silent_up_to if raised == 0.0 else _BACK * silent_up_to
    raised = raised + 1.0 if value > bound else 0.0
    store(state, RAISED, raised)
    store(state, HIGHEST, highest)
    store(state, REMEMBERED, remembered)
    store(state, FORMER, former)
    return raised


@kernel
def accept(state):
    """What is so high is normal from now on."""
    store(state, REMEMBERED, max(load(state, REMEMBERED), load(state, HIGHEST)))
    store(state, RAISED, 0.0)
