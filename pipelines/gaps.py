"""The typical step of a series, and where it was much longer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from streamrnn.kernels import tally as kernel
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.tally import Counts, Tally

__all__ = ["Steps", "steps_of", "total_steps"]

_GAP = 3.0  # typical steps


@dataclass(frozen=True)
class Steps:
    """Steps of time from record to record.

    Steps are counted in bins, eight to an octave; the typical step is the mean of the
    bin that holds their median (exact where a stream is regular), and all steps of a
    bin whose mean exceeds three typical steps are gaps.

    Attributes
    ----------
    typical_ns : float
        0: not known.
    range_ns : (float, float)
        Of several series the least and the largest typical step, of one twice the same.
    gaps : int
    longest_ns : int
        The longest gap; 0: there is none.
    longest_start : int
        Time of the record before it, ns UTC; ``NO_TIME``: there is none.
    repeated, backwards : int
        Records with the time of the one before them, and with an earlier one.
    """

    typical_ns: float
    range_ns: tuple[float, float]
    gaps: int
    longest_ns: int
    longest_start: int
    repeated: int
    backwards: int


def steps_of(counts: Counts) -> Steps:
    """What a tally holds of a series' steps."""
    counters = counts.counters
    typical, gaps = _typical_and_gaps(counts)
    longest = int(counters[kernel.LONGEST]) if gaps else 0
    return Steps(
        typical_ns=typical,
        range_ns=(typical, typical),
        gaps=gaps,
        longest_ns=longest,
        longest_start=int(counters[kernel.LONGEST_START]) if gaps else NO_TIME,
        repeated=int(counters[kernel.REPEATED]),
        backwards=int(counters[kernel.BACKWARDS]),
    )


def total_steps(tally: Tally) -> Steps:
    """The steps of all series: what is a gap depends on the typical step of each."""
    if tally.n_series < 2:
        return steps_of(tally.total())
    each = [steps_of(tally.series(code)) for code in range(tally.n_series)]
    known = [steps.typical_ns for steps in each if steps.typical_ns] or [0.0]
    longest = max(each, key=lambda steps: steps.longest_ns)
    return Steps(
        typical_ns=_typical_and_gaps(tally.total())[0],
        range_ns=(min(known), max(known)),
        gaps=sum(steps.gaps for steps in each),
        longest_ns=longest.longest_ns,
        longest_start=longest.longest_start,
        repeated=sum(steps.repeated for steps in each),
        backwards=sum(steps.backwards for steps in each),
    )


def _typical_and_gaps(counts: Counts) -> tuple[float, int]:
    used = np.flatnonzero(counts.steps)
    if not len(used):
        return 0.0, 0
    n = counts.steps[used]
    means = counts.step_sums[used] / n
    middle = np.searchsorted(np.cumsum(n), math.ceil(int(n.sum()) / 2))
    typical = float(means[middle])
    return typical, int(n[means > _GAP * typical].sum())
