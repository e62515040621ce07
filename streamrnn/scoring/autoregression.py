"""Evidence from a channel's own past: autoregression by recursive least squares.

A channel's value, in units of its own running mean and deviation, is regressed on
its last ``ORDER`` values and 1. Its evidence is log(1 + e^2 / v), e the error and v
the errors' usual square: the negative log-likelihood of a Cauchy distribution, up
to a constant, so that one wild value counts much but not without bound.

Each channel has two copies of the model. The *learning* one always learns. The
*anchored* one learns with the weight that its gate gives it (``anchor.py``): what
has changed stays evidence to it until the change is adopted. It also learns with
Student weights (4 degrees of freedom), so that what it calls odd moves it little.

The regression shares the readout's update (``kernels/readout.py``); a record's
weight w forgets 1 - (1 - lambda) w. Values further than ``FARTHEST`` deviations from
the mean are learned as if they were at that distance, since one absurd reading must
not bend what remembers thousands.
"""

from __future__ import annotations

from math import isfinite
from math import sqrt as square_root

from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.readout import dot, update_inverse
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

ORDER = 10
TERMS = ORDER + 1  # and 1
STRIDE = 16
# float64 of one copy of one channel
WEIGHTS = 0
INVERSE = WEIGHTS + STRIDE
(MEAN, VARIANCE, ERROR, COUNT) = range(INVERSE + TERMS * STRIDE, INVERSE + TERMS * STRIDE + 4)
COPY = INVERSE + TERMS * STRIDE + 8
# float64 of one copy of one channel in the scratch: the regressors, then these, a gain and a product
(SCRATCH_ERROR, SCRATCH_Y) = range(STRIDE, STRIDE + 2)
_GAIN = STRIDE + 8
_PRODUCT = _GAIN + STRIDE
SCRATCH = _PRODUCT + STRIDE

PRIOR = 10.0  # the diagonal that an inverse correlation starts from
FARTHEST = 50.0
_FIRST_WEIGHT = 0.9  # on the last value, before anything is learned
FORGETTING = 0.9995
_TRACE_BOUND = 1e4
_ERROR_GAIN = 0.001
_MEAN_GAIN = 0.0005
SMALLEST_ERROR = 1e-6
_LARGEST_ERROR = 100.0  # times the usual square
_CLIP = 30.0  # usual errors: beyond, an error moves the weights no further
_ABSURD = 1e4  # usual squares: beyond, the anchored copy's regression does not learn it
_STUDENT = 4.0
_ROBUST_FROM = 100
_FLOOR = 1e-9  # of the largest magnitude


def initial_copy() -> list[float]:
    """A copy that has seen nothing."""
    state = [0.0] * COPY
    state[WEIGHTS] = _FIRST_WEIGHT
    for k in range(TERMS):
        state[INVERSE + k * STRIDE + k] = PRIOR
    return state


@inlined
def deviation_of(copy, magnitude):
    """The unit of a channel's values and errors here, sensor units."""
    return square_root(load(copy, VARIANCE)) + _FLOOR * magnitude


@inlined
def _rests(copy, value):
    """Whether the channel has been constant, this value included."""
    return load(copy, VARIANCE) == 0.0 and load(copy, COUNT) > 0.0 and value == load(copy, MEAN)


@kernel
def assess(copy, scratch, past, value, magnitude):
    """e^2 / v of a value; keeps in the scratch what learning it needs.

    Parameters
    ----------
    copy, scratch : addresses
        ``COPY`` and ``SCRATCH`` float64.
    past : address
        The channel's last ``ORDER`` values, newest first, zeros up to ``STRIDE``.
    value, magnitude : float64
        Sensor units; the largest magnitude that the channel has shown.
    """
    never_inline()
    count = load(copy, COUNT)
    mean = load(copy, MEAN)
    if count == 0.0 or _rests(copy, value):
        store(scratch, SCRATCH_ERROR, 0.0)
        store(scratch, SCRATCH_Y, 0.0)
        return 0.0
    deviation = deviation_of(copy, magnitude)
    y = (value - mean) / deviation
    store(scratch, SCRATCH_Y, y)
    if count < ORDER:
        store(scratch, SCRATCH_ERROR, 0.0)
        return 0.0
    for j in range(ORDER):
        u = (load(past, j) - mean) / deviation
        store(scratch, j, min(max(u, -FARTHEST), FARTHEST))
    store(scratch, ORDER, 1.0)
    for j in range(TERMS, STRIDE):
        store(scratch, j, 0.0)
    forecast = dot(shift(copy, WEIGHTS), scratch, STRIDE)
    if not isfinite(forecast):
        forecast = load(scratch, 0)
    error = y - forecast
    store(scratch, SCRATCH_ERROR, error)
    return error * error / (load(copy, ERROR) + SMALLEST_ERROR)


@inlined
def _learn_mean(copy, value, weight, limited):
    """Mean and deviation learn a value; ``limited``: with Student weights."""
    count = load(copy, COUNT)
    if count == 0.0:
        store(copy, MEAN, value)
        return
    gain = max(_MEAN_GAIN, 1.0 / (count + 1.0)) * weight * limited
    distance = value - load(copy, MEAN)
    variance = load(copy, VARIANCE)
    if variance > 0.0:
        bound = FARTHEST * square_root(variance)
        distance = min(max(distance, -bound), bound)
    store(copy, MEAN, load(copy, MEAN) + gain * distance)
    store(copy, VARIANCE, variance + gain * (distance * distance - variance))


@kernel
def learn(copy, scratch, value, weight, robust):
    """Learn an assessed value with a weight of 0 to 1; ``robust``: with Student weights."""
    never_inline()
    count = load(copy, COUNT)
    if weight == 0.0 or _rests(copy, value):
        store(copy, COUNT, count + 1.0)
        return
    y, error, usual = load(scratch, SCRATCH_Y), load(scratch, SCRATCH_ERROR), load(copy, ERROR)
    of_value = 1.0
    if count >= ORDER:
        squared = error * error
        of_error = 1.0
        if robust and count > _ROBUST_FROM:
            of_error = min(1.0, (_STUDENT + 1.0) / (_STUDENT + squared / (usual + SMALLEST_ERROR)))
            of_value = min(1.0, (_STUDENT + 1.0) / (_STUDENT + y * y))
        elif not robust:
            squared = min(squared, _LARGEST_ERROR * usual + 1e-3)
        gain = max(_ERROR_GAIN, 1.0 / (count - ORDER + 1.0)) * weight
        store(copy, ERROR, usual + gain * of_error * (squared - usual))
        absurd = squared > _ABSURD * (usual + SMALLEST_ERROR)
        used = weight * of_error if absurd else weight
        forget = 1.0 - (1.0 - FORGETTING) * used
        gains = shift(scratch, _GAIN)
        update_inverse(
            shift(copy, INVERSE),
            scratch,
            gains,
            shift(scratch, _PRODUCT),
            (TERMS, STRIDE),
            used,
            (forget, _TRACE_BOUND, PRIOR),
        )
        weights = shift(copy, WEIGHTS)
        most = _CLIP * square_root(usual + SMALLEST_ERROR)
        factor = splat(weights, min(max(error, -most), most))
        for j in range(0, STRIDE, lanes(weights)):
            store_vector(weights, j, fma(factor, load_vector(gains, j), load_vector(weights, j)))
    _learn_mean(copy, value, weight, of_value)
    store(copy, COUNT, count + 1.0)
