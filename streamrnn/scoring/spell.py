"""Spells of detections, what the tail makes of them, and what is left of them when they are over.

A spell begins at a detection and ends after ``alert.QUIET`` records without one in which
nothing of it lasts (``evidence.lasts``). From its ``_LONG``-th record on the tail
learns only records that look usual by themselves: a long fault must not become what is
normal. A spell of ``alert.LASTING`` records is the new normal, and is adopted.

One that ends before may be a fault: a clear one, of ``_BRIEF`` records or more whose surprises over
``_ODD`` add up to ``_CLEARLY`` or more, one for each ``_CLEAR_RARE`` records, ``_AT_ONCE`` saved up; or a
weak one, of ``_LONG`` records or more, ``_OFTEN`` of them with a surprise of ``_ODD`` or more, and no other
spell that long within ``anchor.ADOPTED``. A fault says nothing of what is normal. When it is over, a record
is no odder than most, the anchored copies' gate is open and errors are as small as they were, what was
learned is put back as it was before (``recall.py``), so that the next fault is as odd as the first; where
that takes more than ``_PATIENCE`` quiet records, it stays. Spells that are seldom odd and frequent ones are
how the stream is; and what is taken back is not paid for by fewer detections later, so it must stay rare
for p-values to keep their rate.

What was learned is kept every ``_EVERY`` records, where there was no spell for ``_CALM`` and the gate is
open: a fault is learned from before it is a detection, and at its first record.

Unlike events (``alert.py``) spells hear no network, and so neither do p-values.
"""

from __future__ import annotations

from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.vector import load, store
from streamrnn.scoring import alert, anchor

# float64; AGE: 0 where there is no spell, 1 at its first record; ODD: how many of its records had a surprise
# of ``_ODD`` or more; EXCESS: what they had over it, added up; NEWEST: surprise of the newest record;
# CLEAR_WAIT: until all clear ones are saved up again; LONG_WAIT: until a long one is rare again; RECOVERS: a
# fault is over that is to be taken back; records since the last spell, and since something was kept
(AGE, CALM, ODD, EXCESS, NEWEST, CLEAR_WAIT, LONG_WAIT, RECOVERS, QUIET_FOR, KEPT_FOR) = range(10)
STATE = 10
(NOTHING, KEEP, PUT_BACK) = range(3)  # what is due

_LONG = 100.0
_ODD = 3.0  # surprise: once in a thousand normal records
_OFTEN = 8.0  # records
_BRIEF = 40.0
_CLEARLY = 12.0
_CLEAR_RARE = 3000.0
_AT_ONCE = 3.0
_PATIENCE = 500.0
_USUAL = 1.0  # surprise of a record that may look so odd
_EVERY = 200.0
_CALM = 100.0
_OLD = 1000.0  # records: what was kept so long ago is not put back


def initial_state() -> list[float]:
    """No spell, and nothing kept that could be put back."""
    state = [0.0] * STATE
    state[KEPT_FOR] = _OLD
    return state


@inlined
def _wait(state, name):
    """A record less to wait; the records left."""
    left = max(load(state, name) - 1.0, 0.0)
    store(state, name, left)
    return left


@inlined
def end_if_calm(state):
    """End the spell after enough quiet; called before a record is judged."""
    clear_wait = _wait(state, CLEAR_WAIT)
    clear_is_rare = clear_wait <= (_AT_ONCE - 1.0) * _CLEAR_RARE
    long_is_rare = _wait(state, LONG_WAIT) == 0.0
    age = load(state, AGE)
    if age == 0.0 or load(state, CALM) < alert.QUIET:
        return
    clear, long = age >= _BRIEF and load(state, EXCESS) >= _CLEARLY, age >= _LONG
    if clear:
        store(state, CLEAR_WAIT, min(clear_wait + _CLEAR_RARE, _AT_ONCE * _CLEAR_RARE))
    if long:
        store(state, LONG_WAIT, anchor.ADOPTED)
    if age >= alert.LASTING:
        store(state, RECOVERS, 0.0)
        store(state, KEPT_FOR, _OLD)
    elif (clear and clear_is_rare) or (long and long_is_rare and load(state, ODD) >= _OFTEN):
        store(state, RECOVERS, 1.0)
    store(state, AGE, 0.0)
    store(state, ODD, 0.0)
    store(state, EXCESS, 0.0)
    store(state, QUIET_FOR, 0.0)


@inlined
def may_be_normal(state, usual):
    """Whether the tail may learn a record; ``usual``: it looks so by itself."""
    age = load(state, AGE)
    return usual or age < _LONG or age >= alert.LASTING


@kernel
def go_on(state, detection, lasts, surprise):
    """Begin a spell or go on with it; whether it is to be adopted now."""
    store(state, NEWEST, surprise)
    age = load(state, AGE)
    if age == 0.0 and not detection:
        return False
    store(state, AGE, age + 1.0)
    store(state, ODD, load(state, ODD) + (1.0 if surprise >= _ODD else 0.0))
    store(state, EXCESS, load(state, EXCESS) + max(surprise - _ODD, 0.0))
    held = detection or (lasts and age < alert.LASTING)
    store(state, CALM, 0.0 if held else load(state, CALM) + 1.0)
    return age + 1.0 == alert.LASTING


@inlined
def recovers(state):
    """Whether a fault is over that is to be taken back."""
    return load(state, RECOVERS) > 0.0


@kernel
def settle(state, shut, back):
    """What is due with what was learned, after a record: ``NOTHING``, ``KEEP`` or ``PUT_BACK``.

    ``shut``: whether the gate of the anchored copies is; ``back``: whether errors are as small as
    when something was kept.
    """
    store(state, KEPT_FOR, load(state, KEPT_FOR) + 1.0)
    if load(state, AGE) > 0.0:
        return NOTHING
    store(state, QUIET_FOR, load(state, QUIET_FOR) + 1.0)
    if shut:
        return NOTHING
    if recovers(state) and back and load(state, NEWEST) < _USUAL:
        store(state, RECOVERS, 0.0)
        return PUT_BACK if load(state, KEPT_FOR) < _OLD else NOTHING
    calm = _PATIENCE if recovers(state) else _CALM
    if load(state, QUIET_FOR) < calm or load(state, KEPT_FOR) < _EVERY:
        return NOTHING
    store(state, RECOVERS, 0.0)
    store(state, KEPT_FOR, 0.0)
    return KEEP
