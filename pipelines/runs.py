"""Rows of a batch sorted by series: sums and places within each series' rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamrnn.records import Int64Array

__all__ = ["Runs"]


class Runs:
    """Rows sorted into runs, one for each series.

    Parameters
    ----------
    starts : (runs,) int64
        First row of each.
    n : int
        Rows.

    Attributes
    ----------
    ends : (runs,) int64
        Last row of each.

    Examples
    --------
    >>> runs = Runs(np.array([0, 3]), 5)  # three rows of a series, two of another
    >>> runs.counted(np.array([True, True, False, False, True])).tolist()
    [1, 2, 2, 0, 1]
    """

    def __init__(self, starts: Int64Array, n: int) -> None:
        self._starts = starts
        self.ends = np.append(starts[1:], n) - 1
        self._first = np.repeat(starts, np.diff(starts, append=n))
        self._places = np.arange(n)

    def counted(self, what: NDArray[np.bool_], since: Int64Array | None = None) -> Int64Array:
        """(n,) how often it was true in the run up to each row; behind row ``since`` if >= 0."""
        total = np.cumsum(what)
        before: Int64Array = total[self._first] - what[self._first]
        if since is not None:
            before = np.where(since < 0, before, total[since])
        return np.asarray(total - before)

    def newest(self, what: NDArray[np.bool_]) -> Int64Array:
        """(n,) the newest row in the run at which it was true; -1: none."""
        places = np.maximum.accumulate(np.where(what, self._places, -1))
        return np.where(places >= self._first, places, -1)

    def first(self, what: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(n,) rows at which it becomes true."""
        before = np.roll(what, 1)
        before[self._starts] = False
        return np.asarray(what & ~before)
