"""A linear autoregression as a forecaster by itself: what the networks' forecasts are raced against.

The learning copy of ``autoregression.py``, with the past of one channel: a state of
its own, which always learns.
"""

from __future__ import annotations

from math import nan
from math import sqrt as square_root

from streamrnn.kernels.compiling import kernel
from streamrnn.kernels.vector import load, shift, store
from streamrnn.scoring import autoregression

# float64 of one channel: its last values, newest first; the copy; the largest magnitude
_COPY = autoregression.STRIDE
_MAGNITUDE = _COPY + autoregression.COPY
STATE = _MAGNITUDE + 8
ROOM = autoregression.SCRATCH
_FLOOR = 1e-9  # of the largest magnitude, as in ``autoregression.py``


def initial_state() -> list[float]:
    """A channel that has shown nothing."""
    return [0.0] * _COPY + autoregression.initial_copy() + [0.0] * 8


@kernel
def error_of(state, room, value):
    """The value less its forecast, sensor units, before the value is learned; NaN before there is one.

    ``state`` (STATE) is written, ``room`` (ROOM) holds nothing between calls.
    """
    copy = shift(state, _COPY)
    magnitude = max(load(state, _MAGNITUDE), abs(value))
    store(state, _MAGNITUDE, magnitude)
    known = load(copy, autoregression.COUNT) >= autoregression.ORDER
    deviation = square_root(load(copy, autoregression.VARIANCE)) + _FLOOR * magnitude
    autoregression.assess(copy, room, state, value, magnitude)
    error = load(room, autoregression.SCRATCH_ERROR) * deviation
    autoregression.learn(copy, room, value, 1.0, False)
    for j in range(autoregression.ORDER - 1, 0, -1):
        store(state, j, load(state, j - 1))
    store(state, 0, value)
    return error if known else nan
