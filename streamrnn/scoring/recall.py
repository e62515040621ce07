"""What was learned before a fault, kept aside and put back when the fault is over.

A fault teaches the models that what it did is usual: autoregressions, T2, novelty, unrest, the
usual size of the evidence, and most of all the tail, whose top is some 60 of 2000 records.
``spell.py`` says when all that is copied, and when the copy is put back, which waits until values
are where the anchored copies expect them and errors as small as they were: what has changed for
good is not taken back. The past stays what it is, and so do the memories of the networks
(``memory.py``), which forget sooner.
"""

from __future__ import annotations

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.vector import float64_at, int64_at, lanes, load, load_vector, store_vector
from streamrnn.scoring import anchor, spell, unrest


@inlined
def _copy(source, target, size):
    for j in range(0, size, lanes(source)):
        store_vector(target, j, load_vector(source, j))


@inlined
def _is_back(model, row):
    """Whether errors are as small as when something was kept, in every channel."""
    table = int64_at(model)
    now = row + load(table, plan.MODEL_UNREST)
    before = now + load(table, plan.MODEL_KEPT) - load(table, plan.MODEL_AUTOREGRESSION)
    back = True
    for d in range(load(table, plan.MODEL_CHANNELS)):
        place = 8 * d * unrest.STATE
        back = back and unrest.is_back(float64_at(now + place), float64_at(before + place))
    return back


@kernel
def settle(model, row):
    """Keep what was learned, or put it back, where that is due; called when a record is learned.

    From ``MODEL_AUTOREGRESSION`` on ``MODEL_KEPT_SIZE`` float64 are copied to or from ``MODEL_KEPT``.
    """
    table = int64_at(model)
    gate = float64_at(row + load(table, plan.MODEL_ANCHOR))
    state = float64_at(row + load(table, plan.MODEL_SPELL))
    shut = load(gate, anchor.OPEN) > 0.0
    due = spell.settle(state, shut, spell.recovers(state) and _is_back(model, row))
    if due == spell.NOTHING:
        return
    learned = float64_at(row + load(table, plan.MODEL_AUTOREGRESSION))
    kept, size = float64_at(row + load(table, plan.MODEL_KEPT)), load(table, plan.MODEL_KEPT_SIZE)
    if due == spell.KEEP:
        _copy(learned, kept, size)
    else:
        _copy(kept, learned, size)
