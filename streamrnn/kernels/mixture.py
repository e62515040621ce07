"""Forecasts of several experts mixed by exponentiated gradient (Kivinen and Warmuth 1997).

Per horizon k, on absolute loss, with a share that goes back to all experts (Herbster and
Warmuth 1998):

    pi_e <- pi_e exp(clip(eta sign(y - p) (p_e - p) / spread, +-1)),   eta = .03 / sqrt(k)
    pi   <- (1 - a) pi / sum + a / experts,                            a = 1 / (300 sqrt(k))

with p the mixture of what the experts said before, and the spread their mean distance from
it, averaged over 1/a records. Experts fill whole vectors; those beyond the last have weight 0.
"""

from __future__ import annotations

from math import sqrt as square_root

from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.vector import (
    fma,
    lanes,
    load,
    load_vector,
    smaller,
    splat,
    store,
    store_vector,
    vector_sum,
)

_RATE = 0.03
_SPAN = 300.0
_LEAST_SPREAD = 1e-9


@inlined
def _exp_of_small(x):
    """Exponential of a vector within [-1, 1] to 1e-9: the series of exp(x / 4), to the 4th power."""
    x = x * 0.25
    y = x * (1.0 / 5040.0) + 1.0 / 720.0
    y = fma(fma(fma(fma(y, x, 1.0 / 120.0), x, 1.0 / 24.0), x, 1.0 / 6.0), x, 0.5)
    y = fma(fma(y, x, 1.0), x, 1.0)
    y = y * y
    return y * y


@inlined
def _within_one(x):
    """Each lane held within -1 and 1."""
    above = smaller(x, x * 0.0 + 1.0)
    return smaller(above * -1.0, x * 0.0 + 1.0) * -1.0


@inlined
def mixed(shares, said, width):
    """The mixture's forecast: sum of pi_e p_e."""
    total = splat(shares, 0.0)
    for e in range(0, width, lanes(shares)):
        total = fma(load_vector(shares, e), load_vector(said, e), total)
    return vector_sum(total)


@inlined
def _mean_distance(said, mean, experts):
    total = 0.0
    for e in range(experts):
        total += abs(load(said, e) - mean)
    return total / experts


@kernel
def learn_shares(shares, state, said, truth, horizon, sizes):
    """Let the shares of one horizon learn what came true.

    ``shares`` (width) and ``state`` (spread, targets so far) are read and written, ``said``
    (width) is what the experts forecast for it; ``sizes`` = (experts, width).
    """
    experts, width = sizes
    root = square_root(float(horizon))
    back = 1.0 / (_SPAN * root)
    known = load(state, 1) + 1.0
    store(state, 1, known)
    mean = mixed(shares, said, width)
    spread = load(state, 0)
    gain = back if known * back >= 1.0 else 1.0 / known
    spread += gain * (_mean_distance(said, mean, experts) - spread)
    store(state, 0, spread)
    step = _RATE / (root * (spread + _LEAST_SPREAD))
    step = step if truth > mean else -step
    total = splat(shares, 0.0)
    for e in range(0, width, lanes(shares)):
        moved = load_vector(shares, e) * _exp_of_small(_within_one((load_vector(said, e) - mean) * step))
        store_vector(shares, e, moved)
        total = total + moved
    keep = (1.0 - back) / vector_sum(total)
    for e in range(experts):
        store(shares, e, load(shares, e) * keep + back / experts)
