"""Evidence from a value that does not change: a sensor that is stuck.

A run of n repeats of a value has the evidence n log(1 / p), at most ``MOST``, where a record
repeats the one before with probability p. Repeats seldom are independent (a valve stays shut,
a night is dark), so p is the larger of two shares: of the records that are repeats, and of
the repeats in runs remembered that another one followed, with one more of the first share.
It is evidence only from ``_LEAST`` on and where the run is clearly longer than the longest one
remembered: more than ``2 longest + 2``. What was remembered fades with tau 2000, and a run that
was evidence is remembered as no longer than what would not have been, or than the one before
it that was evidence: one fault does not hide the next, but what comes twice is a habit.
"""

from __future__ import annotations

from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.scalar import log
from streamrnn.kernels.vector import load, store

(RUN, LONGEST, FORMER, SHARE, COUNT, REPEATS, FOLLOWED) = range(7)  # float64
STATE = 7
MOST = 20.0
_LEAST = 3.0
_FIRST = 100.0  # records before a run says something
_KEEP = 0.9995001249791693  # exp(-1 / 2000)
_GAIN = 0.0005
_LEAST_SHARE = 0.0005


@inlined
def _evidence(state, run):
    """Of a run of so many repeats."""
    if run <= 2.0 * load(state, LONGEST) + 2.0:
        return 0.0
    share = max(load(state, SHARE), _LEAST_SHARE)
    again = (load(state, FOLLOWED) + share) / (load(state, REPEATS) + 1.0)
    found = run * -log(max(share, again))
    return min(found, MOST) if found >= _LEAST else 0.0


@inlined
def accept(state):
    """A run as long as the one that goes on is normal."""
    store(state, LONGEST, max(load(state, LONGEST), load(state, RUN)))


@inlined
def _end(state):
    """Remember a run that is over."""
    run, longest, former = load(state, RUN), load(state, LONGEST), load(state, FORMER)
    if _evidence(state, run) > 0.0:
        store(state, FORMER, run)
        run = min(run, max(2.0 * longest + 2.0, former))
    store(state, LONGEST, max(longest, run))
    store(state, REPEATS, load(state, REPEATS) + run)
    store(state, FOLLOWED, load(state, FOLLOWED) + max(run - 1.0, 0.0))
    store(state, RUN, 0.0)


@kernel
def observe(state, value, last):
    """Evidence of a channel's value behind ``last``, 0 to ``MOST``; learns it."""
    count = load(state, COUNT)
    same = value == last and count > 0.0
    for remembered in (LONGEST, FORMER, REPEATS, FOLLOWED):
        store(state, remembered, load(state, remembered) * _KEEP)
    found = 0.0
    if same:
        store(state, RUN, load(state, RUN) + 1.0)
        if count >= _FIRST:
            found = _evidence(state, load(state, RUN))
    else:
        _end(state)
    hit = 1.0 if same else 0.0
    store(state, SHARE, load(state, SHARE) + max(_GAIN, 1.0 / (count + 1.0)) * (hit - load(state, SHARE)))
    store(state, COUNT, count + 1.0)
    return found
