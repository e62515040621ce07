"""Linear readout by recursive least squares with forgetting, in float64.

Channel d's change over k records is regressed on [h, 1] and on its own lags:

    y[t + k] - u[t] = a[k, d] . x[t] + b[k, d] . (l[d, t] - G[d] x[t]),   x = [h, 1]

with u the scaled value, l[d] the last lags of channel d, and G[d] the regression
of the lags on x. That is least squares on [x, l[d]] in the order of the
Frisch-Waugh-Lovell theorem: the inverse correlation of x is one matrix for all
channels and horizons, and each channel adds only a small one for what x leaves
of its lags. Updated with the conversion factor of the first stage as the weight
of the second (Haykin, Adaptive Filter Theory, 5th ed., section 16.5) it equals
recursive least squares on all regressors together, whose cost grows with
(H + lags)^2 a channel, to rounding.

Updates per record, in multiply-adds: 2 (H+1)^2 + D (2 L (H+1) + 2 L^2) and
D (2 (H+1) + 2 L) for each horizon. Errors are clipped (Huber 1964): those of a slow
readout at ``plan.READ_CLIP``; those of a fast one, which follows what changes, at
``plan.READ_ROBUST`` times their own mean magnitude. float64, since the recursion loses
positive definiteness in float32 within 60,000 records; P stays symmetric to the bit,
because element (i, j) and (j, i) see the same operations.
"""

from __future__ import annotations

from math import isfinite, isnan, nan

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.matrix import matvec
from streamrnn.kernels.residuals import forecast_slot
from streamrnn.kernels.vector import (
    copy_eight,
    float64_at,
    fma,
    int64_at,
    lanes,
    load,
    load_vector,
    never_inline,
    shift,
    splat,
    store,
    store_vector,
    vector_sum,
)

_SCALE_GAIN = 0.01  # of a fast readout's mean error
_LEAST_SCALE = 1e-6  # what a mean of 0 may grow by


@inlined
def dot(a, b, n):
    """A . b over n elements, a multiple of the lanes."""
    total = splat(a, 0.0)
    for j in range(0, n, lanes(a)):
        total = fma(load_vector(a, j), load_vector(b, j), total)
    return vector_sum(total)


@inlined
def _add_scaled(out, factor, vector, n):
    """Out += factor vector over n elements, a multiple of the lanes."""
    for j in range(0, n, lanes(out)):
        store_vector(out, j, fma(splat(out, factor), load_vector(vector, j), load_vector(out, j)))


@kernel
def _product(matrix, stride, v, rows, out):
    """``matvec`` forwards over whole rows, compiled once for the many places that need it."""
    never_inline()
    matvec(matrix, stride, v, rows, out, stride, 0)


@inlined
def _fill(pointer, value, n):
    for j in range(0, n, lanes(pointer)):
        store_vector(pointer, j, splat(pointer, value))


@kernel
def reset_inverse(inverse, terms, stride, prior):
    """Set an inverse correlation matrix to ``prior`` times the identity."""
    _fill(inverse, 0.0, terms * stride)
    for k in range(terms):
        store(inverse, k * stride + k, prior)


@inlined
def update_inverse(inverse, x, gain, product, shape, weight, constants):
    """One step of recursive least squares on an inverse correlation matrix P.

    g = P x / (lambda / weight + x' P x) goes to ``gain``; P becomes
    (P - g x' P) / lambda (Haykin, table 10.1), shrunk where its trace says that
    an input no longer excites it. Returns the conversion factor: how much of the
    error remains after the update. A matrix that is no longer positive starts anew.
    """
    terms, stride = shape
    forget, bound, prior = constants
    _product(inverse, stride, x, terms, product)
    power = dot(x, product, stride)
    if not (0.0 <= power < 1e300):
        reset_inverse(inverse, terms, stride, prior)
        _product(inverse, stride, x, terms, product)
        power = dot(x, product, stride)
    floor = forget / weight
    scale = 1.0 / (floor + power)
    trace = 0.0
    for k in range(terms):
        trace += load(inverse, k * stride + k)
    grow = 1.0 / forget if trace <= bound * terms else 1.0
    for j in range(0, stride, lanes(gain)):
        store_vector(gain, j, load_vector(product, j) * scale)
    for k in range(terms):
        # product[k] * product[j] * scale in this order is symmetric in k and j.
        factor = splat(inverse, -load(product, k))
        for j in range(0, stride, lanes(inverse)):
            at = k * stride + j
            outer = factor * load_vector(product, j)
            store_vector(inverse, at, fma(outer, splat(inverse, scale), load_vector(inverse, at)) * grow)
    return floor * scale


@kernel
def update_gains(read, row, scratch, slot, targets):
    """Learn from the regressors of ``slot``: both inverse correlations and the gains.

    Also keeps each channel's leverage z' P z there, z all its regressors, P as it was before.
    ``targets`` (channels): channels whose value is NaN are left as they are.
    """
    table, numbers = int64_at(read), float64_at(read)
    terms, stride = load(table, plan.READ_TERMS), load(table, plan.READ_STRIDE)
    lags, width = load(table, plan.READ_LAGS), load(table, plan.READ_WIDTH)
    constants = (
        load(numbers, plan.READ_FORGET),
        load(numbers, plan.READ_TRACE),
        load(numbers, plan.READ_PRIOR),
    )
    x = shift(float64_at(row + load(table, plan.READ_X)), slot * stride)
    gain = shift(float64_at(row + load(table, plan.READ_SHARED_GAIN)), slot * stride)
    rest = shift(float64_at(row + load(table, plan.READ_REST)), slot * width)
    own_gain = shift(float64_at(row + load(table, plan.READ_OWN_GAIN)), slot * width)
    cross = float64_at(row + load(table, plan.READ_CROSS))
    own = float64_at(row + load(table, plan.READ_OWN))
    product = float64_at(scratch + load(table, plan.READ_PRODUCT))
    shared = float64_at(row + load(table, plan.READ_SHARED))
    leverage = float64_at(row + load(table, plan.READ_LEVERAGE))
    remains = update_inverse(shared, x, gain, product, (terms, stride), 1.0, constants)
    for d in range(load(table, plan.READ_CHANNELS)):
        at = d * lags
        if isnan(load(targets, d)):
            continue
        for k in range(terms):
            _add_scaled(shift(cross, k * width + at), load(gain, k), shift(rest, at), lags)
        left = update_inverse(
            shift(own, at * lags),
            shift(rest, at),
            shift(own_gain, at),
            product,
            (lags, lags),
            remains,
            constants,
        )
        power = constants[0] * (1.0 / (remains * left) - 1.0)
        store(leverage, slot * load(table, plan.READ_CHANNELS) + d, power)


@inlined
def _robust_clip(scales, known, at, error, most, robust):
    """The clip of a fast readout's error ``at`` (horizon x channels + channel), whose scale learns it.

    The scale is the mean magnitude of recent errors; no error counts as more than five times it,
    the first as no more than ``most``. The clip is ``robust`` times it.
    """
    now, size = load(scales, at), abs(error)
    size = min(size, 5.0 * now + _LEAST_SCALE) if now > 0.0 else min(size, most)
    count = load(known, at) + 1.0
    store(known, at, count)
    gain = _SCALE_GAIN if count * _SCALE_GAIN >= 1.0 else 1.0 / count
    now += gain * (size - now)
    store(scales, at, now)
    return robust * now


@kernel
def switch_extra(read, row, on):
    """Let the extra regressors count from here on, or no longer: they start with nothing learned.

    Without variance they have no gain, and what does not vary cannot make the others forget less.
    """
    table = int64_at(read)
    terms, stride, hidden = (
        load(table, plan.READ_TERMS),
        load(table, plan.READ_STRIDE),
        load(table, plan.READ_HIDDEN),
    )
    width, shared = load(table, plan.READ_WIDTH), float64_at(row + load(table, plan.READ_SHARED))
    cross = float64_at(row + load(table, plan.READ_CROSS))
    weights = float64_at(row + load(table, plan.READ_SHARED_WEIGHTS))
    for j in range(hidden + 1, terms):
        for i in range(terms):
            store(shared, i * stride + j, 0.0)
            store(shared, j * stride + i, 0.0)
        store(shared, j * stride + j, load(float64_at(read), plan.READ_PRIOR) if on else 0.0)
        for i in range(width):
            store(cross, j * width + i, 0.0)
        for k in range(load(table, plan.READ_HORIZONS) * load(table, plan.READ_CHANNELS)):
            store(weights, k * stride + j, 0.0)


@kernel
def find_errors(read, row, scratch, newest, horizons, came):
    """What each horizon's present weights would have missed of the changes that came true.

    ``newest`` is the slot of the newest regressors, ``horizons`` how many records ahead each
    looks; ``came`` = (the changes that came true (horizons, channels), NaN where none is known,
    elements from one horizon's to the next one's). Writes clipped errors, NaN where unknown,
    and the lags' parts of the forecasts to the scratch.
    """
    targets, apart = came
    table, numbers = int64_at(read), float64_at(read)
    stride, channels = load(table, plan.READ_STRIDE), load(table, plan.READ_CHANNELS)
    lags, width, slots = (
        load(table, plan.READ_LAGS),
        load(table, plan.READ_WIDTH),
        load(table, plan.READ_SLOTS),
    )
    most, robust = load(numbers, plan.READ_CLIP), load(numbers, plan.READ_ROBUST)
    xs = float64_at(row + load(table, plan.READ_X))
    rests = float64_at(row + load(table, plan.READ_REST))
    scales = float64_at(row + load(table, plan.READ_SCALE))
    known = float64_at(row + load(table, plan.READ_KNOWN))
    shared_weights = float64_at(row + load(table, plan.READ_SHARED_WEIGHTS))
    own_weights = float64_at(row + load(table, plan.READ_OWN_WEIGHTS))
    errors = float64_at(scratch + load(table, plan.READ_ERRORS))
    parts = float64_at(scratch + load(table, plan.READ_PARTS))
    for k in range(load(table, plan.READ_HORIZONS)):
        slot = forecast_slot(newest, load(horizons, k), slots)
        x, rest = shift(xs, slot * stride), shift(rests, slot * width)
        for d in range(channels):
            at, target = k * channels + d, load(targets, k * apart + d)
            if isnan(target):
                store(errors, at, nan)
                continue
            part = dot(shift(own_weights, at * lags), shift(rest, d * lags), lags)
            error = target - dot(shift(shared_weights, at * stride), x, stride) - part
            clip = most
            if robust > 0.0:
                clip = _robust_clip(scales, known, at, error, most, robust)
            store(errors, at, min(max(error, -clip), clip))
            store(parts, at, part)


@kernel
def update_weights(read, row, scratch, newest, horizons):
    """Move the weights of each horizon by the errors that ``find_errors`` left."""
    table = int64_at(read)
    stride, channels = load(table, plan.READ_STRIDE), load(table, plan.READ_CHANNELS)
    lags, width, slots = (
        load(table, plan.READ_LAGS),
        load(table, plan.READ_WIDTH),
        load(table, plan.READ_SLOTS),
    )
    gains = float64_at(row + load(table, plan.READ_SHARED_GAIN))
    own_gains = float64_at(row + load(table, plan.READ_OWN_GAIN))
    shared_weights = float64_at(row + load(table, plan.READ_SHARED_WEIGHTS))
    own_weights = float64_at(row + load(table, plan.READ_OWN_WEIGHTS))
    errors = float64_at(scratch + load(table, plan.READ_ERRORS))
    parts = float64_at(scratch + load(table, plan.READ_PARTS))
    for k in range(load(table, plan.READ_HORIZONS)):
        slot = forecast_slot(newest, load(horizons, k), slots)
        gain, own_gain = shift(gains, slot * stride), shift(own_gains, slot * width)
        for d in range(channels):
            at = k * channels + d
            error = load(errors, at)
            if not isnan(error):
                # As if the target had been the forecast plus the clipped error.
                _add_scaled(shift(shared_weights, at * stride), error + load(parts, at), gain, stride)
                _add_scaled(shift(own_weights, at * lags), error, shift(own_gain, d * lags), lags)


@kernel
def predict(read, row, slot, h, regressors, values):
    """Forecasts of every horizon from the newest h and lags; keeps the regressors in ``slot``.

    ``regressors`` = (the channels' lags (width), the extra ones), ``values`` (channels) the
    channels' newest scaled values.
    """
    lag_values, extra = regressors
    table = int64_at(read)
    terms, stride, hidden = (
        load(table, plan.READ_TERMS),
        load(table, plan.READ_STRIDE),
        load(table, plan.READ_HIDDEN),
    )
    lags, width, channels = (
        load(table, plan.READ_LAGS),
        load(table, plan.READ_WIDTH),
        load(table, plan.READ_CHANNELS),
    )
    x = shift(float64_at(row + load(table, plan.READ_X)), slot * stride)
    rest = shift(float64_at(row + load(table, plan.READ_REST)), slot * width)
    # No gain yet: a record that is never learned from must not move later horizons either.
    _fill(shift(float64_at(row + load(table, plan.READ_SHARED_GAIN)), slot * stride), 0.0, stride)
    _fill(shift(float64_at(row + load(table, plan.READ_OWN_GAIN)), slot * width), 0.0, width)
    # Nor is its leverage that of the record which had the slot before.
    leverage = float64_at(row + load(table, plan.READ_LEVERAGE))
    for d in range(channels):
        store(leverage, slot * channels + d, 0.0)
    for j in range(0, hidden, 8):
        copy_eight(x, j, h, j)
    store(x, hidden, 1.0)
    for j in range(terms, stride):
        store(x, j, 0.0)
    for j in range(load(table, plan.READ_EXTRA)):
        store(x, hidden + 1 + j, load(extra, j))
    _product(float64_at(row + load(table, plan.READ_CROSS)), width, x, terms, rest)
    for j in range(0, width, lanes(rest)):
        store_vector(rest, j, load_vector(lag_values, j) - load_vector(rest, j))
    forecast = float64_at(row + load(table, plan.READ_FORECAST))
    shared_weights = float64_at(row + load(table, plan.READ_SHARED_WEIGHTS))
    own_weights = float64_at(row + load(table, plan.READ_OWN_WEIGHTS))
    for k in range(load(table, plan.READ_HORIZONS)):
        for d in range(channels):
            at = k * channels + d
            change = dot(shift(shared_weights, at * stride), x, stride)
            change += dot(shift(own_weights, at * lags), shift(rest, d * lags), lags)
            store(forecast, at, (change if isfinite(change) else 0.0) + load(values, d))
