"""The typical step of a series, and where it was much longer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from streamrnn.kernels import tally as kernel
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.tally import Counts

__all__ = ["Steps", "steps_of"]

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
    gaps : int
    longest_ns : int
        The longest gap; 0: there is none.
    longest_start : int
        Time of the record before it, ns UTC; ``NO_TIME``: there is none.
    repeated, backwards : int
        Records with the time of the one before them, and with an earlier one.
    """

    typical_ns: float
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
        gaps=gaps,
        longest_ns=longest,
        longest_start=int(counters[kernel.LONGEST_START]) if gaps else NO_TIME,
        repeated=int(counters[kernel.REPEATED]),
        backwards=int(counters[kernel.BACKWARDS]),
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
