"""Evidence from forecast errors: how far the channels are from what was expected.

A channel's evidence is log(1 + z^2), z its error in units of its usual one: the
negative log-likelihood of a Cauchy distribution, up to a constant, so that one
wild value counts much but not without bound. A record's evidence is the mean of
the channels' and of the largest. The score adds its exponential average over
``SPAN`` records, which makes several odd records in a row more than one.
"""

from __future__ import annotations

from streamrnn.kernels.compiling import inlined
from streamrnn.kernels.scalar import log1p
from streamrnn.kernels.vector import load, store

SPAN = 8.0
STATE = 1  # float64: the average


@inlined
def channel_evidence(z_squared):
    """log(1 + z^2)."""
    return log1p(z_squared)


@inlined
def combine(state, mean, largest):
    """The record's score from its channels' mean and largest evidence; learns the average.

    Range: 0 and up, high = anomalous.
    """
    evidence = 0.5 * (mean + largest)
    average = load(state, 0)
    average += (evidence - average) * (2.0 / (SPAN + 1.0))
    store(state, 0, average)
    return evidence + average
