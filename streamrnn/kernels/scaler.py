"""Robust online scaling: a value in units of its channel's own spread.

After the first 16 values give a median and a median absolute deviation (or, of a
channel that mostly rests, its smallest step), mean and variance follow with
exponential forgetting (span 4000). A value further from the mean than the reach, 20 scales at
first, counts as that far away, so that one absurd reading cannot blind the detector for
days. Each value beyond the reach makes it four times as far, and it shrinks slowly
back: a channel that bursts, or that has changed for good, is soon taken at its word.
The scaled value is asinh((v - mean) / scale).

Multiplying a channel by a power of two multiplies mean and scale exactly and
changes no bit of a scaled value: the floor of the scale is relative to the
largest magnitude that the channel has shown. While that is 0 (only zeros so
far) the scale is 0, and any other value is as far away as can be.
"""

from __future__ import annotations

from math import isfinite, isnan, nan
from math import sqrt as square_root

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.scalar import asinh, sinh
from streamrnn.kernels.vector import float64_at, int64_at, load, shift, store

WINDOW = 16  # values that start a channel's scale: enough for a median to outvote 7 bad ones
SPAN = 4000.0
# Tuned with NAB's development half: reach 4 and growth 1.05 score 75.1, no reach at all 77.4, these 78.2.
REACH = 20.0  # scales from the mean that a value may count as
REACH_GROWTH = 4.0  # with each value beyond it
REACH_KEEPS = 0.9995  # with each value within it
_FARTHEST_REACH = 1e9
FLOOR = 1e-6  # of the largest magnitude seen: below it a float32 sensor is constant
FARTHEST = 1e6  # bound of (v - mean) / scale
LARGEST = 1e100  # magnitudes beyond are no measurement: treated as missing; squares stay finite
_FEWEST_MOVES = 3
_CONSISTENT = 1.4826  # median absolute deviation of a normal distribution, inverted


@inlined
def usable(value):
    """Whether a value is a measurement: finite, and within 1e100."""
    return isfinite(value) and abs(value) <= LARGEST


@inlined
def scale_of(variance, magnitude):
    """The scale that belongs to a channel's variance and largest magnitude."""
    return max(square_root(variance), FLOOR * magnitude)


@inlined
def to_scaled(value, mean, scale):
    """asinh((v - mean) / scale); NaN where mean is NaN: the channel has no scale yet."""
    if isnan(mean):
        return nan
    distance = value - mean
    if distance == 0.0:
        return 0.0
    if scale == 0.0:
        return asinh(FARTHEST if distance > 0.0 else -FARTHEST)
    return asinh(min(max(distance / scale, -FARTHEST), FARTHEST))


@inlined
def from_scaled(u, mean, scale):
    """The sensor's value of a scaled one."""
    return mean + scale * sinh(min(max(u, -15.0), 15.0))


@inlined
def _insert(window, count, value):
    """Put a value into its place among ``count`` sorted ones."""
    i = count
    while i > 0 and load(window, i - 1) > value:
        store(window, i, load(window, i - 1))
        i -= 1
    store(window, i, value)


@inlined
def _middle(window):
    return 0.5 * load(window, WINDOW // 2 - 1) + 0.5 * load(window, WINDOW // 2)


@inlined
def _first_spread(distances):
    """Spread from the first window's sorted distances from the median.

    A channel that mostly rests has a median distance of 0: its smallest step is
    its scale then, unless fewer than three values moved, which may be errors.
    """
    if _middle(distances) > 0.0:
        return _CONSISTENT * _middle(distances)
    resting = 0
    while resting < WINDOW and load(distances, resting) == 0.0:
        resting += 1
    return load(distances, resting) if resting <= WINDOW - _FEWEST_MOVES else 0.0


@kernel
def learn_scale(model, row, d, value):
    """Let channel ``d`` learn one usable value."""
    table = int64_at(model)
    seen = int64_at(row + load(table, plan.MODEL_SEEN))
    mean, variance = (
        float64_at(row + load(table, plan.MODEL_MEAN)),
        float64_at(row + load(table, plan.MODEL_VARIANCE)),
    )
    magnitude = float64_at(row + load(table, plan.MODEL_MAGNITUDE))
    reaches = float64_at(row + load(table, plan.MODEL_REACH))
    n = load(seen, d)
    store(seen, d, n + 1)
    if n < WINDOW:
        window = shift(float64_at(row + load(table, plan.MODEL_WINDOW)), d * WINDOW)
        _insert(window, n, value)
        if n == WINDOW - 1:
            middle = _middle(window)
            # The window is of no further use: its distances from the median take its place.
            for i in range(WINDOW):
                x = abs(load(window, i) - middle)
                _insert(window, i, x)
            spread = _first_spread(window)
            store(mean, d, middle)
            store(variance, d, spread * spread)
            store(magnitude, d, abs(middle) + 3.0 * spread)
        return
    m, q = load(mean, d), load(variance, d)
    scale = scale_of(q, load(magnitude, d))
    gain = max(1.0 / (n + 1.0), 1.0 / SPAN)
    distance = value - m
    if q == 0.0 and scale > 0.0:  # constant so far: its level is the only measure there is
        distance = min(max(distance, -load(magnitude, d)), load(magnitude, d))
    elif scale > 0.0:
        reach = load(reaches, d)
        beyond = abs(distance) > reach * scale
        distance = min(max(distance, -reach * scale), reach * scale)
        grown = min(reach * REACH_GROWTH, _FARTHEST_REACH)
        store(reaches, d, grown if beyond else max(reach * REACH_KEEPS, REACH))
    store(mean, d, m + gain * distance)
    store(variance, d, (1.0 - gain) * (q + gain * distance * distance))
    store(magnitude, d, max(load(magnitude, d), abs(m + distance)))
