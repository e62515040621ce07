"""A small window in which the records of a series are put in the order of their times.

A record waits until its series has seen a time that is later by the window, then
leaves. What leaves, when and after what depends on the records alone and on their
order within the series: not on how they are cut into batches, nor on any clock.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.base import Positions, Read, nothing, together
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.packed import pack, pack_read, unpack, unpack_read
from streamrnn.records import Int64Array

__all__ = ["COMMAND", "MOST_WAITING", "Leaving", "Reorder"]

MOST_WAITING = 1000
"""Records of a series that wait at most; of more, the earliest leaves."""

COMMAND = -1
"""In the place of a partition: it was a command of the journal that let a record leave."""

# After so many records in a row that come later than the window allows it is the clock
# that was wrong, as in the kernel's rule for late records: the window begins anew.
_MOST_BEHIND = 20
_ROOM = 4096  # rows that have left and are still held, beside as many as wait


@dataclass(frozen=True)
class Leaving:
    """Records whose turn has come.

    Attributes
    ----------
    read : Read
        In the order in which to process them.
    partitions, offsets : (n,) int32, int64
        Of each, the position of the record at whose arrival it leaves, its own or a later
        one of its series; or ``COMMAND`` and the number of a command. Whoever knows how
        far the source was read knows by them what had left by then.
    """

    read: Read
    partitions: NDArray[np.int32]
    offsets: Int64Array

    def __len__(self) -> int:
        return len(self.read)

    def beyond(self, positions: Positions, number: int, names: Sequence[str]) -> NDArray[np.bool_]:
        """(n,) bool: which leave at records behind some positions, or at commands behind a number."""
        if not positions:
            return np.ones(len(self), np.bool_)
        ends = np.array([positions.get(name, 0) for name in names], np.int64)
        commanded = self.partitions == COMMAND
        ends_here = np.where(commanded, number + 1, ends[np.where(commanded, 0, self.partitions)])
        return np.asarray(self.offsets >= ends_here)


@dataclass
class _Lane:
    """What is known of one series; what waits is sorted: (time, place in the order of arrival)."""

    newest: int = NO_TIME
    behind: int = 0
    waiting: list[tuple[int, int]] = field(default_factory=list)

    def take(self, time: int, place: int, window: int) -> list[tuple[int, int]]:
        """Let a record in; those that leave now, in order."""
        leaves: list[tuple[int, int]] = []
        if time <= self.newest - window:
            self.behind += 1
            if self.behind <= _MOST_BEHIND:
                return [(time, place)]
            leaves, self.waiting, self.newest = self.waiting, [], time
        self.behind = 0
        self.newest = max(self.newest, time)
        insort(self.waiting, (time, place))
        due = bisect_right(self.waiting, (self.newest - window, inf))
        due = max(due, len(self.waiting) - MOST_WAITING)
        leaves += self.waiting[:due]
        del self.waiting[:due]
        return leaves


class Reorder:
    """Lets records through in the order of time of each series.

    Records without a time pass at once. So does one that comes later than the window
    allows: the model says that it is late. Of one time, records leave as they came.

    Parameters
    ----------
    window_ns : int
        0: everything passes at once.
    state : bytes, optional
        From ``to_bytes``, to go on from.

    Raises
    ------
    StateError
        Where the bytes are something else.

    Examples
    --------
    >>> from streamrnn.connectors.base import Read
    >>> from streamrnn import Batch
    >>> batch = Batch.of_one_series(np.zeros((4, 1)), np.array([10, 30, 20, 60]))
    >>> window = Reorder(25)
    >>> window.push(Read(**vars(batch), columns={})).read.times.tolist(), window.waiting
    ([10, 20, 30], 1)
    """

    def __init__(self, window_ns: int, state: bytes = b"") -> None:
        self._window = window_ns
        self._lanes: dict[int, _Lane] = {}
        self._parts: list[Read] = []
        self._starts: list[int] = []  # the place of each part's first row
        self._next = self.waiting = 0
        if state:
            self._go_on(state)

    def push(self, batch: Read) -> Leaving:
        """Take placed records in the order of their arrival; those that leave."""
        if not self._window:
            return Leaving(batch, batch.partitions, batch.offsets)
        first, lanes, window = self._next, self._lanes, self._window
        self._hold(batch)
        places: list[int] = []
        counts = np.ones(len(batch), np.int64)
        for i, (code, time) in enumerate(zip(batch.series.tolist(), batch.times.tolist(), strict=True)):
            if time == NO_TIME:
                places.append(first + i)
                continue
            lane = lanes.get(code)
            if lane is None:
                lane = lanes[code] = _Lane()
            leaves = lane.take(time, first + i, window)
            counts[i] = len(leaves)
            places += [place for _, place in leaves]
        return self._leaving(places, batch.partitions.repeat(counts), batch.offsets.repeat(counts))

    def flush(self, number: int) -> Leaving:
        """Let everything leave, at a command of the journal."""
        lanes = self._lanes.values()
        places = [place for _, place in sorted(entry for lane in lanes for entry in lane.waiting)]
        for lane in lanes:
            lane.waiting = []
        return self._leaving(
            places, np.full(len(places), COMMAND, np.int32), np.full(len(places), number, np.int64)
        )

    def to_bytes(self) -> bytes:
        """All that it knows, to go on from."""
        codes = sorted(self._lanes)
        lanes = [self._lanes[code] for code in codes]
        known = pack(
            {
                "series": np.array(codes, np.int32),
                "newest": np.array([lane.newest for lane in lanes], np.int64),
                "behind": np.array([lane.behind for lane in lanes], np.int64),
            }
        )
        rows = pack_read(self._rows(self._places())) if self.waiting else b""
        return len(known).to_bytes(8, "little") + known + rows

    def _go_on(self, state: bytes) -> None:
        end = 8 + int.from_bytes(state[:8], "little")
        arrays, _ = unpack(state[8:end])
        columns = (arrays[name].tolist() for name in ("series", "newest", "behind"))
        for code, newest, behind in zip(*columns, strict=True):
            self._lanes[code] = _Lane(newest, behind)
        if rows := state[end:]:
            read = unpack_read(rows)
            self._hold(read)
            for place, (code, time) in enumerate(zip(read.series.tolist(), read.times.tolist(), strict=True)):
                insort(self._lanes[code].waiting, (time, place))

    def _hold(self, batch: Read) -> None:
        self._parts.append(batch)
        self._starts.append(self._next)
        self._next += len(batch)
        self.waiting += len(batch)

    def _places(self) -> Int64Array:
        """Of what waits, in the order of arrival."""
        lanes = self._lanes.values()
        return np.array(sorted(place for lane in lanes for _, place in lane.waiting), np.int64)

    def _leaving(self, places: list[int], partitions: NDArray[np.int32], offsets: Int64Array) -> Leaving:
        read = self._rows(np.array(places, np.int64))
        self.waiting -= len(places)
        if self._next > 2 * self.waiting + _ROOM:
            self._tidy()
        return Leaving(read, partitions, offsets)

    def _rows(self, places: Int64Array) -> Read:
        """Rows by their places."""
        part_of = np.searchsorted(self._starts, places, "right") - 1
        pieces, order = [], []
        for part in np.unique(part_of).tolist():
            at = np.flatnonzero(part_of == part)
            pieces.append(self._parts[part].some(places[at] - self._starts[part]))
            order.append(at)
        if not pieces:
            return nothing(0)
        read = together(pieces) if pieces[1:] else pieces[0]
        return read.some(np.argsort(np.concatenate(order))) if pieces[1:] else read

    def _tidy(self) -> None:
        """Hold nothing but what waits, under new places in the same order."""
        places = self._places()
        self._parts = [self._rows(places)]
        self._starts, self._next = [0], len(places)
        new = dict(zip(places.tolist(), range(len(places)), strict=True))
        for lane in self._lanes.values():
            lane.waiting = [(time, new[place]) for time, place in lane.waiting]
