"""Forecasts against what came true: errors, their usual size, and intervals.

Scaled units throughout: a forecast made at record s for k records later is in
the mean and scale that the channel had at s, and so is the truth when it comes.
"""

from __future__ import annotations

from math import isnan, nan
from math import sqrt as square_root

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.scaler import from_scaled, scale_of, to_scaled, usable
from streamrnn.kernels.vector import float64_at, int64_at, load, shift, store

READY = 32  # errors of a channel before they are evidence
_SPREAD_GAIN = 0.002
_STUDENT = 4.0  # degrees of freedom: large errors weigh less in the spread
_SMALLEST_SPREAD = 1e-6  # variance: an error of a thousandth of the channel's scale is none
_QUANTILE_STEP = 0.02
_QUANTILE_BOUNDS = (0.05, 30.0)
_MOST_INFLATION = 16.0


@inlined
def forecast_slot(newest, horizon, slots):
    """Where the forecast for now lies that was made ``horizon`` records ago."""
    slot = newest - horizon + 1
    return slot if slot >= 0 else slot + slots


@kernel
def compare(model, row, scratch, values):
    """Scale a record's values as each forecast for it was; whether a one-step change is known.

    Writes ``MODEL_ACTUAL`` and ``MODEL_CHANGES``: NaN where a value is missing
    or its channel had no scale when the forecast was made.
    """
    table = int64_at(model)
    channels, slots = load(table, plan.MODEL_CHANNELS), load(table, plan.MODEL_SLOTS)
    newest = load(int64_at(row + load(table, plan.MODEL_COUNTERS)), plan.STEP_SLOT)
    horizons = int64_at(model + load(table, plan.MODEL_HORIZON_LIST))
    means = float64_at(row + load(table, plan.MODEL_PAST_MEAN))
    scales = float64_at(row + load(table, plan.MODEL_PAST_SCALE))
    before = float64_at(row + load(table, plan.MODEL_PAST_VALUE))
    actual = float64_at(scratch + load(table, plan.MODEL_ACTUAL))
    changes = float64_at(scratch + load(table, plan.MODEL_CHANGES))
    known = False
    for k in range(load(table, plan.MODEL_HORIZONS)):
        at = forecast_slot(newest, load(horizons, k), slots) * channels
        for d in range(channels):
            value, u = load(values, d), nan
            if usable(value):
                u = to_scaled(value, load(means, at + d), load(scales, at + d))
            store(actual, k * channels + d, u)
            store(changes, k * channels + d, u - load(before, at + d))
            known = known or (k == 0 and not isnan(u))
    return known


@inlined
def _spread_at(model, row, k, d):
    table = int64_at(model)
    spread = float64_at(row + load(table, plan.MODEL_SPREAD))
    return max(load(spread, k * load(table, plan.MODEL_CHANNELS) + d), _SMALLEST_SPREAD)


@inlined
def _error(model, row, scratch, k, d):
    """Actual minus forecast of horizon ``k``, channel ``d``."""
    table = int64_at(model)
    channels, horizons = load(table, plan.MODEL_CHANNELS), load(table, plan.MODEL_HORIZONS)
    newest = load(int64_at(row + load(table, plan.MODEL_COUNTERS)), plan.STEP_SLOT)
    horizon = load(int64_at(model + load(table, plan.MODEL_HORIZON_LIST)), k)
    slot = forecast_slot(newest, horizon, load(table, plan.MODEL_SLOTS))
    ring = float64_at(row + load(table, plan.MODEL_PAST_FORECAST))
    actual = float64_at(scratch + load(table, plan.MODEL_ACTUAL))
    return load(actual, k * channels + d) - load(ring, (slot * horizons + k) * channels + d)


@inlined
def gap_inflation(odd_step):
    """By how much squared errors may be larger after a step of exp(odd_step) times the typical one.

    As those of a random walk would be, within bounds.
    """
    if odd_step > 0.0:
        return min(1.0 + odd_step * odd_step * 4.0, _MOST_INFLATION)
    return 1.0


@kernel
def learn_errors(model, row, scratch):
    """Let the usual size of the errors and the intervals' quantiles learn the newest errors."""
    table, numbers = int64_at(model), float64_at(model)
    channels = load(table, plan.MODEL_CHANNELS)
    residuals = int64_at(row + load(table, plan.MODEL_RESIDUALS))
    spread = float64_at(row + load(table, plan.MODEL_SPREAD))
    quantile = float64_at(row + load(table, plan.MODEL_QUANTILE))
    miss = load(numbers, plan.MODEL_MISS)
    for k in range(load(table, plan.MODEL_HORIZONS)):
        for d in range(channels):
            at = k * channels + d
            error = _error(model, row, scratch, k, d)
            if isnan(error):
                continue
            n = load(residuals, d)
            squared = error * error
            relative = squared / _spread_at(model, row, k, d)
            weight = 1.0
            if n >= READY:
                weight = min(1.0, (_STUDENT + 1.0) / (_STUDENT + relative))
                q = load(quantile, at)
                hit = 1.0 if relative > q * q else 0.0
                q += _QUANTILE_STEP * (hit - miss)
                store(quantile, at, min(max(q, _QUANTILE_BOUNDS[0]), _QUANTILE_BOUNDS[1]))
            gain = max(_SPREAD_GAIN, 1.0 / (n + 1.0)) * weight
            store(spread, at, load(spread, at) + gain * (squared - load(spread, at)))
            if k == 0:
                store(residuals, d, n + 1)


@kernel
def write_interval(model, row, k, d, slot, out):
    """(forecast, lower, upper) of horizon ``k``, channel ``d`` made in ``slot``, in sensor units."""
    table = int64_at(model)
    channels, horizons = load(table, plan.MODEL_CHANNELS), load(table, plan.MODEL_HORIZONS)
    mean = load(float64_at(row + load(table, plan.MODEL_PAST_MEAN)), slot * channels + d)
    scale = load(float64_at(row + load(table, plan.MODEL_PAST_SCALE)), slot * channels + d)
    if isnan(mean):
        for j in range(3):
            store(out, j, nan)
        return
    u = load(float64_at(row + load(table, plan.MODEL_PAST_FORECAST)), (slot * horizons + k) * channels + d)
    quantile = load(float64_at(row + load(table, plan.MODEL_QUANTILE)), k * channels + d)
    half = quantile * square_root(_spread_at(model, row, k, d))
    store(out, 0, from_scaled(u, mean, scale))
    store(out, 1, from_scaled(u - half, mean, scale))
    store(out, 2, from_scaled(u + half, mean, scale))


@kernel
def usual_error(model, row, k, d, slot):
    """Half the width of one spread to either side of a forecast, in sensor units."""
    table = int64_at(model)
    channels, horizons = load(table, plan.MODEL_CHANNELS), load(table, plan.MODEL_HORIZONS)
    scale = load(float64_at(row + load(table, plan.MODEL_PAST_SCALE)), slot * channels + d)
    u = load(float64_at(row + load(table, plan.MODEL_PAST_FORECAST)), (slot * horizons + k) * channels + d)
    spread = square_root(_spread_at(model, row, k, d))
    return 0.5 * (from_scaled(u + spread, 0.0, scale) - from_scaled(u - spread, 0.0, scale))


@kernel
def open_slot(model, row):
    """Take the ring's next slot for the forecasts of this record; keeps mean and scale there."""
    table = int64_at(model)
    channels = load(table, plan.MODEL_CHANNELS)
    counters = int64_at(row + load(table, plan.MODEL_COUNTERS))
    slot = load(counters, plan.STEP_SLOT) + 1
    slot = 0 if slot >= load(table, plan.MODEL_SLOTS) else slot
    store(counters, plan.STEP_SLOT, slot)
    mean, variance = (
        float64_at(row + load(table, plan.MODEL_MEAN)),
        float64_at(row + load(table, plan.MODEL_VARIANCE)),
    )
    magnitude = float64_at(row + load(table, plan.MODEL_MAGNITUDE))
    value = float64_at(row + load(table, plan.MODEL_VALUE))
    means = shift(float64_at(row + load(table, plan.MODEL_PAST_MEAN)), slot * channels)
    scales = shift(float64_at(row + load(table, plan.MODEL_PAST_SCALE)), slot * channels)
    values = shift(float64_at(row + load(table, plan.MODEL_PAST_VALUE)), slot * channels)
    for d in range(channels):
        store(means, d, load(mean, d))
        store(scales, d, scale_of(load(variance, d), load(magnitude, d)))
        store(values, d, load(value, d))
    return slot
