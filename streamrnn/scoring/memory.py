"""What the networks add for one channel: novelty of what came beside what was expected.

Three kinds of novelty, of which the alert is made (``alert.py``):

- B, of the value, discounted with tau 2000;
- P, of the pair (scaled value, a network's forecast of it), the largest of the last three
  records, at least ``_LEAST_PAIR``; the geometric mean over the networks;
- C, of the networks' mean error averaged with gain .02, which notices what is wrong
  a little for long.

Strength is max(B sqrt(P) / ``_OF_PAIR``, C / ``_OF_ERROR``): a value that was never seen
counts as far as it also was unexpected. Without networks there is no C and P is at its least.
"""

from __future__ import annotations

from math import isnan
from math import sqrt as square_root

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import inlined, kernel, woven
from streamrnn.kernels.scalar import exp, log
from streamrnn.kernels.vector import float32_at, float64_at, int64_at, load, store
from streamrnn.scoring import novelty

FIRST = 150  # records with values before the memories begin
_HEARD = 170  # and before they are heard
_KEEP = 0.9990004998333750  # exp(-1 / 1000): of the counts of recent novelties
_LEAST_PAIR = 0.002
_ERROR_GAIN = 0.02
_OF_PAIR = 0.00065
_OF_ERROR = 0.0167


@inlined
def _forecast_of(model, row, i):
    """The forecast of network ``i`` for this record, scaled."""
    table = int64_at(model)
    read = model + load(table, plan.MODEL_READ_TABLES) + 8 * i * plan.READ_SIZE
    return load(float64_at(row + load(int64_at(read), plan.READ_FORECAST)), 0)


@kernel
def _pair_novelty(model, row, i, actual, forecast, heard):
    """Log of the largest of network ``i``'s last three novelties."""
    table = int64_at(model)
    room = load(table, plan.MODEL_PAIR_ROOM)
    at = row + load(table, plan.MODEL_PAIRS) + 8 * i * novelty.size_of_pairs(room)
    memory = float64_at(at)
    distance = novelty.observe_pair(memory, float32_at(at), room, actual, forecast)
    newest = 0.0
    if heard:
        recent = load(memory, novelty.PAIR_RECENT)
        newest = novelty.discounted(distance, recent)
        store(memory, novelty.PAIR_RECENT, novelty.counted(distance, recent, _KEEP))
    largest = max(newest, load(memory, novelty.LAST), load(memory, novelty.BEFORE_LAST))
    store(memory, novelty.BEFORE_LAST, load(memory, novelty.LAST))
    store(memory, novelty.LAST, newest)
    return log(max(largest, _LEAST_PAIR))


@woven
def strength(model, row, scratch, before, of_value):
    """How strongly the record asks for an alert, 0 up; 1 is the usual threshold. The memories learn it.

    ``before``: records with values before this one; ``of_value``: B.
    """
    table = int64_at(model)
    actual = load(float64_at(scratch + load(table, plan.MODEL_ACTUAL)), 0)
    networks = load(table, plan.MODEL_NETWORKS)
    if isnan(actual):
        return 0.0
    if networks == 0:
        return of_value * square_root(_LEAST_PAIR) / _OF_PAIR
    context = float64_at(row + load(table, plan.MODEL_CONTEXT))
    heard = before >= _HEARD
    logs, error = 0.0, 0.0
    for i in range(networks):
        forecast = _forecast_of(model, row, i)
        error += actual - forecast
        if before >= FIRST:
            logs += _pair_novelty(model, row, i, actual, forecast, heard)
    mean = load(context, novelty.MEAN)
    mean += max(_ERROR_GAIN, 1.0 / (before + 1.0)) * (error / networks - mean)
    store(context, novelty.MEAN, mean)
    if before < FIRST:
        return 0.0
    distance = novelty.observe_value(context, mean, 1.0 + abs(mean))
    if not heard:
        return of_value * square_root(_LEAST_PAIR) / _OF_PAIR
    recent = load(context, novelty.RECENT)
    of_error = novelty.discounted(distance, recent)
    store(context, novelty.RECENT, novelty.counted(distance, recent, _KEEP))
    return max(of_value * square_root(exp(logs / networks)) / _OF_PAIR, of_error / _OF_ERROR)
