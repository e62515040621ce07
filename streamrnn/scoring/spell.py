"""Spells of detections, and what the tail makes of them.

A spell begins at a detection and ends after ``alert.QUIET`` records without one in which
nothing of it lasts (``evidence.lasts``). From its ``_LONG``-th record on the tail
learns only records that look usual by themselves: a long fault must not become what is
normal. A spell of ``alert.LASTING`` records is the new normal, and is adopted.

A long spell, of ``_LONG`` records or more, says nothing of what is normal where it is rare, the
only long one in ``anchor.ADOPTED`` records: when it is over and a record is no odder than most,
the tail's trackers are as they were before it. Short ones and frequent ones are how the stream
is; and what is taken back is not paid for by fewer detections later, so it must stay rare for
p-values to keep their rate.

Unlike events (``alert.py``) spells hear no network, and so neither do p-values.
"""

from __future__ import annotations

from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.vector import load, store
from streamrnn.scoring import alert, anchor

# float64; AGE: 0 where there is none, 1 at its first record; WAIT: until a long one is rare again
(AGE, CALM, WAIT, RECOVERS) = range(4)
STATE = 4

_LONG = 100.0
_USUAL = 1.0  # surprise of a record that may look so odd


@inlined
def end_if_calm(state):
    """End the spell after enough quiet; called before a record is judged."""
    age, wait = load(state, AGE), max(load(state, WAIT) - 1.0, 0.0)
    store(state, WAIT, wait)
    if age == 0.0 or load(state, CALM) < alert.QUIET:
        return
    is_fault = _LONG <= age < alert.LASTING and wait == 0.0
    store(state, RECOVERS, 1.0 if is_fault else 0.0)
    if age >= _LONG:
        store(state, WAIT, anchor.ADOPTED)
    store(state, AGE, 0.0)


@inlined
def recovers(state, surprise):
    """Whether the trackers go back at this record to where they were before the spell."""
    if load(state, RECOVERS) == 0.0 or load(state, AGE) > 0.0 or surprise >= _USUAL:
        return False
    store(state, RECOVERS, 0.0)
    return True


@inlined
def may_be_normal(state, usual):
    """Whether the tail may learn a record; ``usual``: it looks so by itself."""
    age = load(state, AGE)
    return usual or age < _LONG or age >= alert.LASTING


@kernel
def go_on(state, detection, lasts):
    """(whether a spell begins from which the trackers are to go back, whether it is to be adopted)."""
    age = load(state, AGE)
    if age == 0.0 and not detection:
        return False, False
    begins = age == 0.0 and load(state, RECOVERS) == 0.0
    if age == 0.0:
        store(state, RECOVERS, 0.0)
    store(state, AGE, age + 1.0)
    held = detection or (lasts and age < alert.LASTING)
    store(state, CALM, 0.0 if held else load(state, CALM) + 1.0)
    return begins, age + 1.0 == alert.LASTING
