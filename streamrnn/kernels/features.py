"""What a network and its readout see of a record."""

from __future__ import annotations

from math import isnan

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.scalar import turn
from streamrnn.kernels.vector import float64_at, int64_at, load, shift, store

PER_CHANNEL = 6  # value, difference, three deviations from slow means, missing
SHARED = 3  # sine and cosine of the time of day, log of the time step
SLOW_GAINS = (0.2, 0.05, 0.01)
_DAY = 86_400_000_000_000  # ns
_FARTHEST_STEP = 3.0  # |log(step / typical step)|: 20 steps missed look like 200


@kernel
def remember(model, row, d, u, missing, inputs):
    """Take channel ``d``'s scaled value as its newest and write its network inputs.

    ``u`` is the forecast where the value is missing. Reads and writes the newest
    value, the slow means and the lags.
    """
    table = int64_at(model)
    channels, lags = load(table, plan.MODEL_CHANNELS), load(table, plan.MODEL_LAGS)
    value = float64_at(row + load(table, plan.MODEL_VALUE))
    slow = float64_at(row + load(table, plan.MODEL_SLOW))
    past = shift(float64_at(row + load(table, plan.MODEL_LAG_VALUES)), d * lags)
    n = load(int64_at(row + load(table, plan.MODEL_SEEN)), d)
    at = d * PER_CHANNEL
    store(inputs, at, u)
    store(inputs, at + 1, u - load(value, d))
    for i in range(3):
        mean = load(slow, i * channels + d)
        mean += max(SLOW_GAINS[i], 1.0 / (n + 1.0)) * (u - mean)
        store(slow, i * channels + d, mean)
        store(inputs, at + 2 + i, u - mean)
    store(inputs, at + 5, 1.0 if missing else 0.0)
    store(value, d, u)
    for i in range(lags - 1, 0, -1):
        store(past, i, load(past, i - 1))
    store(past, 0, u)


@inlined
def write_shared(channels, time, log_step, inputs):
    """Write the inputs that all channels share; zeros where there are no times."""
    at = channels * PER_CHANNEL
    sine, cosine = 0.0, 0.0
    if time != plan.NO_TIME:
        sine, cosine = turn(float(time % _DAY) / float(_DAY))
    store(inputs, at, sine)
    store(inputs, at + 1, cosine)
    store(inputs, at + 2, 0.0 if isnan(log_step) else min(max(log_step, -_FARTHEST_STEP), _FARTHEST_STEP))
