"""Evidence from the levels of all channels together: Hotelling's T2 (Hotelling 1947).

T2 = x' C^-1 x, x the values less their running means, C their exponentially weighted
covariance with a ridge of ``_RIDGE`` of its diagonal. Evidence is log(1 + T2). Values
are learned with Student weights min(1, (4 + D) / (4 + T2)), so that what is far off
moves mean and covariance little.

The inverse is taken anew every ``_EVERY`` records, counted by the series, by
Gauss-Jordan elimination without pivots, which is stable for what is positive
definite (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., 14.4).
A channel's contribution to T2 is what T2 would lose if the channel were what the others
make of it: (C^-1 x)_d^2 / (C^-1)_dd, the reconstruction-based one of Alcala and Qin (2009).
As in ``autoregression.py`` there is a learning copy and an anchored one.
"""

from __future__ import annotations

from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.readout import dot
from streamrnn.kernels.vector import (
    fma,
    lanes,
    load,
    load_vector,
    never_inline,
    shift,
    splat,
    store,
    store_vector,
)

FIRST = 100  # records before there is evidence
_RIDGE = 1e-3
_EVERY = 10
_GAIN = 0.001
_STUDENT = 4.0
_FLOOR = 1e-9  # of the largest magnitude: the least deviation
LANES = 8


def copy_size(channels: int) -> int:
    """Float64 of one copy: count and padding, means, covariance, its inverse."""
    stride = -(-channels // LANES) * LANES
    return LANES + stride + 2 * channels * stride


@inlined
def parts_of(copy, channels, stride):
    """(means, covariance, inverse) of a copy."""
    means = shift(copy, LANES)
    covariance = shift(means, stride)
    return means, covariance, shift(covariance, channels * stride)


@kernel
def _invert(covariance, inverse, magnitudes, channels, stride):
    """``inverse`` = (covariance + ridge)^-1; a matrix that is not positive leaves its row at 0."""
    never_inline()
    for i in range(0, channels * stride, lanes(inverse)):
        store_vector(inverse, i, load_vector(covariance, i))
    for i in range(channels):
        least = _FLOOR * load(magnitudes, i)
        at = i * stride + i
        store(inverse, at, load(covariance, at) * (1.0 + _RIDGE) + least * least)
    for k in range(channels):
        pivot = load(inverse, k * stride + k)
        scale = 1.0 / pivot if pivot > 0.0 else 0.0
        store(inverse, k * stride + k, 1.0)
        row = shift(inverse, k * stride)
        for j in range(0, stride, lanes(inverse)):
            store_vector(row, j, load_vector(row, j) * scale)
        for i in range(channels):
            if i == k:
                continue
            other = shift(inverse, i * stride)
            factor = splat(inverse, -load(other, k))
            store(other, k, 0.0)
            for j in range(0, stride, lanes(inverse)):
                store_vector(other, j, fma(factor, load_vector(row, j), load_vector(other, j)))


@kernel
def assess(copy, values, magnitudes, deviations, contributions, channels):
    """T2 of a record; ``deviations`` and the channels' ``contributions`` are written.

    Both hold ``stride`` float64, a multiple of 8 of at least ``channels``.
    """
    never_inline()
    stride = (channels + LANES - 1) // LANES * LANES
    means, covariance, inverse = parts_of(copy, channels, stride)
    count = load(copy, 0)
    for d in range(stride):
        store(deviations, d, load(values, d) - load(means, d) if d < channels else 0.0)
        store(contributions, d, 0.0)
    if count < FIRST:
        return 0.0
    if count % _EVERY == 0.0:
        _invert(covariance, inverse, magnitudes, channels, stride)
    total = 0.0
    for d in range(channels):
        part, own = dot(shift(inverse, d * stride), deviations, stride), load(inverse, d * stride + d)
        store(contributions, d, part / own * part if own > 0.0 else 0.0)
        total += part * load(deviations, d)
    return max(total, 0.0)


@kernel
def learn(copy, deviations, t_squared, weight, least, channels):
    """Learn an assessed record with a weight of 0 to 1; its Student weight is at least ``least``."""
    never_inline()
    stride = (channels + LANES - 1) // LANES * LANES
    means, covariance, _ = parts_of(copy, channels, stride)
    count = load(copy, 0)
    store(copy, 0, count + 1.0)
    gain = max(_GAIN, 1.0 / (count + 1.0)) * weight
    if count >= FIRST:
        gain *= max(min(1.0, (_STUDENT + channels) / (_STUDENT + t_squared)), least)
    for d in range(channels):
        store(means, d, load(means, d) + gain * load(deviations, d))
    keep = splat(covariance, 1.0 - gain)
    for d in range(channels):
        row = shift(covariance, d * stride)
        factor = splat(covariance, gain * (1.0 - gain) * load(deviations, d))
        for j in range(0, stride, lanes(covariance)):
            moved = load_vector(row, j) * keep
            store_vector(row, j, fma(factor, load_vector(deviations, j), moved))
