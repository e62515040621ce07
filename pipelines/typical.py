"""The typical step of many series: the same at each record, however the batches are cut.

The models know a typical step too, but only as it is at the end of a batch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamrnn.records import Int64Array

__all__ = ["BLOCK", "TypicalSteps"]

BLOCK = 16
"""Steps after which the typical one is taken anew: the lower median of the last so many."""


class TypicalSteps:
    """Of each series the median of the last whole block of its steps.

    Attributes
    ----------
    typical : (series,) int64
        ns; 0 before the first block is whole.
    count : (series,) int64
        Steps of the block that is not whole yet.
    recent : (series, BLOCK) int64
        Those steps.

    Examples
    --------
    >>> steps = TypicalSteps()
    >>> steps.make_room(1)
    >>> minutes = np.full(20, 60)
    >>> typical, which = steps.add(np.array([0]), np.array([0]), minutes)
    >>> typical[which][[0, 15, 16]].tolist()
    [0, 0, 60]
    """

    def __init__(self) -> None:
        self.typical, self.count = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self.recent = np.zeros((0, BLOCK), np.int64)

    def make_room(self, series: int) -> None:
        """Have at least so many series."""
        more = series - len(self.typical)
        if more <= 0:
            return
        self.typical, self.count = np.pad(self.typical, (0, more)), np.pad(self.count, (0, more))
        self.recent = np.pad(self.recent, ((0, more), (0, 0)))

    def add(
        self, codes: NDArray[np.int32], heads: Int64Array, steps: Int64Array
    ) -> tuple[Int64Array, Int64Array]:
        """Take in the next steps, sorted by series; what was typical before each of them.

        Parameters
        ----------
        codes : (runs,) int32
            The series, each once.
        heads : (runs,) int64
            The first row of each.
        steps : (n,) int64
            ns; 0 and less: none.

        Returns
        -------
        typical : (m,) int64
            ns; 0: not known yet.
        which : (n,) int64
            Index into it, of each row.
        """
        run = np.repeat(np.arange(len(codes)), np.diff(heads, append=len(steps)))
        valid = steps > 0
        before: Int64Array = np.cumsum(valid) - valid
        index = before + (self.count[codes] - before[heads])[run]
        ends = np.append(heads[1:], len(steps)) - 1
        more = index[ends] + valid[ends]  # steps with those of the block that was not whole
        blocks = more // BLOCK + 1
        first = np.cumsum(blocks) - blocks
        table = np.zeros((int(blocks.sum()), BLOCK), np.int64)
        table[first] = self.recent[codes]
        table.ravel()[(first[run] * BLOCK + index)[valid]] = steps[valid]
        medians = np.sort(table, axis=1)[:, (BLOCK - 1) // 2]
        typical = np.roll(medians, 1)  # of each block that of the one before it
        typical[first] = self.typical[codes]
        last = first + blocks - 1
        self.recent[codes], self.count[codes], self.typical[codes] = table[last], more % BLOCK, typical[last]
        return typical, first[run] + index // BLOCK
