"""Losses of a network's outputs beside Huber's, as their derivatives by the outputs.

- Cross-entropy -sum_k t_k log p_k of p = softmax(y), where the targets t sum to 1:
  p_k - t_k. Together the targets make one loss; with one of them unknown there is none.
- Gaussian likelihood: the first half of the outputs are means m, the second half
  logarithms l of scales. l + (m - t)^2 / (2 e^2l): by m (m - t) / e^2l, by l 1 - (m - t)^2 / e^2l.

The likelihood has no lower bound: where the error is exactly 0 the scale shrinks for ever. So
its logarithm counts as at least ``LEAST_LOG_SCALE``, beyond which nothing makes it smaller.
"""

from __future__ import annotations

from math import nan

from streamrnn.kernels.compiling import kernel
from streamrnn.kernels.scalar import exp, log
from streamrnn.kernels.vector import load, never_inline

HUBER, CROSS_ENTROPY, GAUSSIAN = range(3)
LEAST_LOG_SCALE = -12.0


@kernel
def normaliser(kind, y, target, outputs):
    """Of cross-entropy: log sum e^y_k, NaN with an unknown target; of others 0."""
    never_inline()
    if kind != CROSS_ENTROPY:
        return 0.0
    largest = float(load(y, 0)) * 1.0
    for k in range(outputs):
        if load(target, k) != load(target, k):
            return nan
        largest = max(largest, float(load(y, k)) * 1.0)
    total = 0.0
    for k in range(outputs):
        total += exp(float(load(y, k)) - largest)
    return largest + log(total)


@kernel
def slope(kind, y, target, place):
    """dL/dy of output ``k``, NaN where it has no loss; ``place`` = (k, outputs, the normaliser)."""
    never_inline()
    k, outputs, base = place
    if kind == CROSS_ENTROPY:
        return exp(float(load(y, k)) - base) - float(load(target, k)) if base == base else nan
    half = outputs // 2
    of = k if k < half else k - half
    log_scale = float(load(y, half + of)) * 1.0
    power = exp(-2.0 * max(log_scale, LEAST_LOG_SCALE))
    error = float(load(y, of)) - float(load(target, of))
    if k < half or error != error:
        return error * power
    return 1.0 - error * error * power if log_scale >= LEAST_LOG_SCALE else 0.0
