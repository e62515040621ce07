"""The series' own time: the typical step between records, and how odd this one is."""

from __future__ import annotations

from math import nan

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.scalar import exp, log
from streamrnn.kernels.vector import float64_at, int64_at, load, store

_CENTURY = 2**62  # ns: 146 years
_SLOWEST = 0.01  # the tracker's smallest move, in logarithms


@kernel
def observe_time(model, row, time):
    """log(step / typical step) of a record in order; NaN where that is not known.

    The typical step is the running median of the logarithms (a stochastic
    approximation whose moves shrink as 1/n), so gaps do not move it.
    """
    table = int64_at(model)
    counters = int64_at(row + load(table, plan.MODEL_COUNTERS))
    clock = float64_at(row + load(table, plan.MODEL_CLOCK))
    if time == plan.NO_TIME:
        return nan
    last = load(counters, plan.STEP_TIME)
    store(counters, plan.STEP_TIME, time)
    if last == plan.NO_TIME or time <= last:
        return nan
    if last < 0 and time > last + _CENTURY:  # the difference might not fit
        return nan
    step = float(time - last)
    typical = load(clock, plan.CLOCK_STEP)
    if typical == 0.0:
        store(clock, plan.CLOCK_STEP, step)
        return 0.0
    odd = log(step / typical)
    n = load(counters, plan.STEP_STEPS) + 1
    store(counters, plan.STEP_STEPS, n)
    move = max(1.0 / n, _SLOWEST)
    if abs(odd) <= move:
        store(clock, plan.CLOCK_STEP, step)
    else:
        store(clock, plan.CLOCK_STEP, typical * exp(move if odd > 0.0 else -move))
    return odd


@inlined
def typical_step(model, row):
    """Typical time between records, ns; 0 before it is known."""
    return load(float64_at(row + load(int64_at(model), plan.MODEL_CLOCK)), plan.CLOCK_STEP)
