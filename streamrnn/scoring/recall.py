"""What was learned before a fault, kept aside and put back when the fault is over.

A fault teaches the models that what it did is usual: autoregressions, T2, unrest, the
usual size of the evidence, and most of all the tail, whose top is some 60 of 2000 records.
``spell.py`` says when all that is copied, and when the copy is put back, which waits until values
are where the anchored copies expect them and errors as small as they were: what has changed for
good is not taken back. The past stays what it is, and so do the memories of novelty: a value
that the fault showed was seen, and to call it new again would alert of what came before.
"""

from __future__ import annotations

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.vector import float64_at, int64_at, load, shift, store
from streamrnn.scoring import anchor, autoregression, fusion, hotelling, spell, tail, unrest


def kept_size(channels: int) -> int:
    """Float64 of what is kept."""
    of_channel = unrest.STATE + 2 * autoregression.COPY
    return channels * of_channel + 2 * hotelling.copy_size(channels) + fusion.STATE + tail.STATE


@inlined
def _parts(model):
    """(place in the row, float64) of all that is kept, unrest first."""
    table = int64_at(model)
    channels = load(table, plan.MODEL_CHANNELS)
    return (
        (load(table, plan.MODEL_UNREST), channels * unrest.STATE),
        (load(table, plan.MODEL_AUTOREGRESSION), 2 * channels * autoregression.COPY),
        (load(table, plan.MODEL_LEVELS), 2 * load(table, plan.MODEL_LEVELS_SIZE)),
        (load(table, plan.MODEL_FUSION), fusion.STATE),
        (load(table, plan.MODEL_TAIL), tail.STATE),
    )


@kernel
def _is_back(model, row):
    """Whether errors are as small as when something was kept, in every channel."""
    table = int64_at(model)
    now = float64_at(row + load(table, plan.MODEL_UNREST))
    before = float64_at(row + load(table, plan.MODEL_KEPT))
    back = True
    for d in range(load(table, plan.MODEL_CHANNELS)):
        place = d * unrest.STATE
        back = back and unrest.is_back(shift(now, place), shift(before, place))
    return back


@kernel
def settle(model, row):
    """Keep what was learned, or put it back, where that is due; called when a record is learned."""
    table = int64_at(model)
    gate = float64_at(row + load(table, plan.MODEL_ANCHOR))
    state = float64_at(row + load(table, plan.MODEL_SPELL))
    shut = load(gate, anchor.OPEN) > 0.0
    due = spell.settle(state, shut, spell.recovers(state) and _is_back(model, row))
    if due == spell.NOTHING:
        return
    kept = float64_at(row + load(table, plan.MODEL_KEPT))
    for place, size in _parts(model):
        learned = float64_at(row + place)
        to, source = (kept, learned) if due == spell.KEEP else (learned, kept)
        for j in range(size):
            store(to, j, load(source, j))
        kept = shift(kept, size)
