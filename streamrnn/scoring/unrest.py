"""Evidence from how restless a channel is: a variance that changes.

The squared error of the learning autoregression, a spike counting no more than
``_LARGEST`` times the usual, is averaged over some 100 records and over some 1000:
V = log(fast / slow). Where errors are normal V has a variance of about 1.4 / n with n = 200
records in the fast mean, so V^2 n / 2.8 is the log-likelihood of a change. It fades as the slow
mean learns. A channel that becomes quieter is none: models learn, and errors shrink.

Many streams change their variance all the time, and that is no evidence: it counts where
it is out of its rut (``excursion.py``), over ``_LEAST`` and the logarithm of the channels,
since each is a try, for ``_IN_A_ROW`` records.
"""

from __future__ import annotations

from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.scalar import log
from streamrnn.kernels.vector import load, shift, store
from streamrnn.scoring import excursion

(FAST, SLOW, COUNT) = range(3)  # float64
EXCURSION = 3
STATE = EXCURSION + excursion.STATE
MOST = 20.0
_FIRST = 150.0  # errors before the means begin: those of a model that knows nothing
_HEARD = 350.0  # and before there is evidence
_LARGEST = 4.0
_FAST_GAIN, _SLOW_GAIN = 0.01, 0.001
_SMALLEST, _FLOOR = 0.005, 0.05  # of the channel's deviation, and of the slow mean
_FACTOR = 70.0  # n / 2.8
_LEAST = 6.0
_AS_BEFORE = 1.5  # times the slow mean: between what chance does and a doubled variance
_IN_A_ROW = 40.0  # records: what a spike leaves in the lags of a regression is over by then


@inlined
def _change(fast, slow, least):
    floor = _FLOOR * slow + least
    if floor == 0.0:
        return 0.0
    return log((fast + floor) / (slow + floor))


@kernel
def observe(state, error, deviation, channels):
    """Evidence of an error, 0 to ``MOST``; learns it.

    ``error`` and the channel's ``deviation``: float64, sensor units; ``channels``: how many.
    """
    count = load(state, COUNT) + 1.0
    store(state, COUNT, count)
    if count <= _FIRST:
        return 0.0
    squared, least = error * error, _SMALLEST * deviation * _SMALLEST * deviation
    fast, slow = load(state, FAST), load(state, SLOW)
    gain = 1.0 / (count - _FIRST)
    if gain <= _FAST_GAIN:  # before, slow is not known
        squared = min(squared, _LARGEST * slow + least)
    fast += max(_FAST_GAIN, gain) * (squared - fast)
    slow += max(_SLOW_GAIN, gain) * (squared - slow)
    store(state, FAST, fast)
    store(state, SLOW, slow)
    if count <= _HEARD:
        return 0.0
    change = max(_change(fast, slow, least), 0.0)
    found = _FACTOR * change * change
    raised = excursion.observe(shift(state, EXCURSION), found, _LEAST + log(float(channels)))
    return min(found, MOST) if raised >= _IN_A_ROW else 0.0


@inlined
def is_raised(state):
    """Whether the channel is out of its rut, be it evidence yet or not."""
    return load(state, EXCURSION + excursion.RAISED) > 0.0


@inlined
def is_back(state, before):
    """Whether errors are no larger than they were ``before``, a state that was kept."""
    return load(state, FAST) <= _AS_BEFORE * load(before, SLOW)


@inlined
def adopt(state):
    """The channel is as restless as it always was."""
    store(state, SLOW, load(state, FAST))
    excursion.accept(shift(state, EXCURSION))
