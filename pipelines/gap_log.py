"""The silences of a run as events without a row: the longest of them, in bounded memory."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from streamrnn.connectors.base import Read
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.silence import GAP, Silence

__all__ = ["GapEvent", "GapLog"]

_LIMIT = "20x"  # typical steps, as a daemon has it where nothing else is said
_KEPT = 100  # longest ones of a run
_ENDLESS = 2**63


@dataclass(frozen=True)
class GapEvent:
    """A series said nothing for more than 20 of its typical steps.

    Attributes
    ----------
    series : int
        Code of its series.
    partition, offset : int
        Position of its last record before.
    start, end : int
        Times of that record and of the one that ended it, ns UTC; an end of ``NO_TIME``:
        others went on, and it was silent to the end of the run.
    """

    series: int
    partition: int
    offset: int
    start: int
    end: int

    kind = GAP

    @property
    def rank(self) -> tuple[int, int, int, int]:
        """Sorts gaps: the longest is the largest; no two are equal."""
        length = _ENDLESS if self.end == NO_TIME else self.end - self.start
        return length, -self.start, -self.offset, -self.series


class GapLog:
    """Collects the silences of a run.

    Parameters
    ----------
    one_stream : bool
        Whether all partitions are parts of one stream, such as files one after the other.

    Examples
    --------
    >>> import numpy as np
    >>> from streamrnn import Batch
    >>> minutes = np.append(np.arange(50), np.arange(1490, 1500))
    >>> batch = Batch.of_one_series(np.zeros((60, 1)), minutes * 60 * 10**9)
    >>> log = GapLog()
    >>> log.add(Read(**vars(batch), columns={}))
    >>> [(gap.offset, (gap.end - gap.start) / 3600e9) for gap in log.longest()]
    [(49, 24.016666666666666)]
    """

    def __init__(self, *, one_stream: bool = False) -> None:
        self._silence = Silence(_LIMIT, one_stream=one_stream, looks_back=True)
        self._silent: dict[int, GapEvent] = {}
        self._longest: list[tuple[tuple[int, int, int, int], GapEvent]] = []
        self._over = 0

    @property
    def n_gaps(self) -> int:
        """How many there were so far."""
        return self._over + len(self._silent)

    def add(self, batch: Read) -> None:
        """Take in the next records, placed, in the order of their arrival."""
        for gap in self._silence.add(batch):
            if not gap.over:
                self._silent[gap.series] = GapEvent(*gap[:4], NO_TIME)
                continue
            self._silent.pop(gap.series, None)
            self._keep(GapEvent(*gap[:4], gap.at))

    def _keep(self, gap: GapEvent) -> None:
        self._over += 1
        put = heapq.heappush if len(self._longest) < _KEPT else heapq.heappushpop
        put(self._longest, (gap.rank, gap))

    def longest(self) -> list[GapEvent]:
        """At most 100 gaps, the longest first; those that never ended are the longest."""
        open_ones = [(gap.rank, gap) for gap in self._silent.values()]
        return [gap for _, gap in sorted([*open_ones, *self._longest], reverse=True)[:_KEPT]]
