"""From kinds of evidence to one score.

Seven kinds, all logarithms: autoregression and T2 of the learning copies, of the
anchored copies, the novelty of the values, unrest, and flat lines. Each is averaged over
two spans. The score is, summed over the spans, the first four averages and the largest
of the seven in units of its own running mean and deviation (at most 20): a sum ranks what
many kinds see a little, a maximum what one of them sees clearly.

The averages start as if ``_HELD`` records without any evidence had come before: what
the models say first, they say of little knowledge.
"""

from __future__ import annotations

from math import sqrt as square_root

from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.vector import load, shift, store

KINDS = 7
(RESIDUAL, LEVEL, ANCHORED_RESIDUAL, ANCHORED_LEVEL, NOVELTY, UNREST, FLAT) = range(KINDS)
SPANS = (25.0, 100.0)
# float64: how many records, the averages' own weights, then for each span averages, means, variances
(COUNT, WEIGHT) = (0, 1)
AVERAGES = 8
_SPAN_STATE = 3 * KINDS
STATE = AVERAGES + len(SPANS) * _SPAN_STATE

_LARGEST = 20.0
_GAIN = 0.0002
_FLOOR = 0.03
_RARE_FLOOR = 2.0  # of evidence that is 0 or some 3 to 20
_HELD = 100
_FIRST = 21.0  # records before a deviation says something


def initial_state() -> list[float]:
    """Averages of no evidence."""
    state = [0.0] * STATE
    for c, span in enumerate(SPANS):
        keep = 1.0 - 2.0 / (span + 1.0)
        # Rounded, since libm's last bit differs between systems.
        state[WEIGHT + c] = round((1.0 - keep**_HELD) / (1.0 - keep), 9)
    return state


@inlined
def momentary(evidence):
    """The sum of a record's own kinds of evidence."""
    total = 0.0
    for i in range(KINDS):
        total += load(evidence, i)
    return total


@inlined
def is_of_itself(evidence):
    """Whether a record has evidence that a normal one never has."""
    return load(evidence, UNREST) > 0.0 or load(evidence, FLAT) > 0.0


@kernel
def combine(state, evidence):
    """The score of a record, 0 and up, from its ``KINDS`` kinds of evidence; learns the averages."""
    count = load(state, COUNT) + 1.0
    store(state, COUNT, count)
    gain = max(_GAIN, 1.0 / count)
    score = 0.0
    for c in range(2):
        part = shift(state, AVERAGES + c * _SPAN_STATE)
        share = 2.0 / (SPANS[c] + 1.0)
        weight = load(state, WEIGHT + c) * (1.0 - share) + 1.0
        store(state, WEIGHT + c, weight)
        largest = 0.0
        for i in range(KINDS):
            average = load(part, i) + (load(evidence, i) - load(part, i)) / weight
            store(part, i, average)
            if i < NOVELTY:
                score += average
            mean, variance = load(part, KINDS + i), load(part, 2 * KINDS + i)
            distance = average - mean
            if count > _FIRST:
                floor = _FLOOR if i < UNREST else _RARE_FLOOR
                largest = max(largest, distance / (square_root(variance) + floor))
            store(part, KINDS + i, mean + gain * distance)
            store(part, 2 * KINDS + i, (1.0 - gain) * (variance + gain * distance * distance))
        score += min(largest, _LARGEST)
    return score
