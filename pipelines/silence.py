"""Series that fall silent, noticed by event time.

The clock of a partition is the newest event time that its series have reached. A
series is silent when that clock has gone on by more than its limit since the series
spoke last. Two rules keep one odd clock from making a whole partition silent: a
record that comes more than its series' limit after the one before it does not move
the partition's clock, the next one does; and a series is measured by how far the
partition has gone since it spoke, not by its own times, so one whose clock or network
lags is not taken for silent.

What is noticed depends on the records of a partition and their order alone: not on
how they are cut into batches, nor on any clock of ours.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.base import Read
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.packed import pack, unpack
from streamrnn.pipelines.settings import seconds
from streamrnn.pipelines.typical import TypicalSteps
from streamrnn.records import Int64Array

__all__ = ["Gap", "Silence"]

# Sensors are read and sent in bursts of seconds; nothing shorter is a silence.
_LEAST_NS = 10 * 10**9
_LONGEST = 2**62  # ns: 146 years
_NEVER = 2**63 - 1


class Gap(NamedTuple):
    """A series fell silent, or spoke again.

    Attributes
    ----------
    series : int
        Its code.
    partition, offset, start : int
        Position and time of its last record before the silence; ns UTC.
    at : int
        Of a silence that is new the partition's clock when it was noticed, of one
        that is over the time of the record that ended it; ns UTC.
    over : bool
    """

    series: int
    partition: int
    offset: int
    start: int
    at: int
    over: bool


# What is kept of a series: of its last record the partition, the offset, the time, which clock
# it moves and how far that was; and whether the series is silent.
_SERIES = np.dtype(
    [
        ("partition", np.int64),
        ("offset", np.int64),
        ("time", np.int64),
        ("clock", np.int64),
        ("heard", np.int64),
        ("silent", np.bool_),
    ]
)
_FIELDS, _STEPS = _SERIES.names or (), ("typical", "count", "recent")


class Silence:
    """Notices series that fall silent, and that they speak again.

    Memory: 180 bytes a series.

    Parameters
    ----------
    limit : str
        ``"20x"``: so many typical steps of the series, at least 10 s; a duration such as
        ``"5m"``; or ``"off"``.
    one_stream : bool
        Whether all partitions are parts of one stream, such as files one after the other.
    state : bytes, optional
        From ``to_bytes``, to go on from; with the limit of then.

    Examples
    --------
    >>> from streamrnn import Batch
    >>> second = 10**9
    >>> times = np.append(np.arange(40) // 2, np.arange(20, 50)) * second
    >>> series = np.append(np.arange(40) % 2, np.zeros(30)).astype(np.int32)  # the second one stops
    >>> batch = Batch(series, times, np.zeros((70, 1)), np.zeros(70, np.int32), np.arange(70))
    >>> gap, = Silence("20x").add(Read(**vars(batch), columns={}))
    >>> gap.series, gap.start // second, gap.at // second
    (1, 19, 40)
    """

    def __init__(self, limit: str, *, one_stream: bool = False, state: bytes = b"") -> None:
        self.limit, self._one_stream = limit, one_stream
        self._steps = TypicalSteps()
        self._series = np.zeros(0, _SERIES)
        self._clocks = np.zeros(0, np.int64)
        # Of each clock, no series falls silent before it; to look at all of them only then.
        self._soonest = np.zeros(0, np.int64)
        if state:
            self._go_on(state)

    @property
    def silent(self) -> int:
        """How many series are silent."""
        return int(self._series["silent"].sum())

    def retune(self, limit: str) -> None:
        """Go on with another limit."""
        self.limit = limit
        self._soonest[:] = NO_TIME

    def to_bytes(self) -> bytes:
        """All that it knows, to go on from."""
        steps = self._steps
        known = {name: np.ascontiguousarray(self._series[name]) for name in _FIELDS}
        typical = {name: getattr(steps, name) for name in _STEPS}
        return pack({**known, **typical, "clocks": self._clocks}, limit=self.limit)

    def _go_on(self, state: bytes) -> None:
        arrays, others = unpack(state)
        self.limit, self._clocks = others["limit"], arrays["clocks"]
        self._soonest = np.full(len(self._clocks), NO_TIME)
        self._series = np.zeros(len(arrays["time"]), _SERIES)
        for name in _FIELDS:
            self._series[name] = arrays[name]
        for name in _STEPS:
            setattr(self._steps, name, arrays[name])

    def add(self, batch: Read) -> list[Gap]:
        """Take placed records in the order of their arrival; what became of silences."""
        timed = np.flatnonzero(batch.times != NO_TIME)
        if not len(timed):
            return []
        rank = np.argsort(batch.series[timed], kind="stable")
        rows = timed[rank]
        heads = np.flatnonzero(np.diff(batch.series[rows], prepend=-1))
        codes = batch.series[rows[heads]]
        now = np.zeros(len(rows), _SERIES)
        now["partition"], now["offset"] = batch.partitions[rows], batch.offsets[rows]
        now["time"] = batch.times[rows]
        now["clock"] = 0 if self._one_stream else now["partition"]
        self._make_room(int(codes[-1]) + 1, int(now["clock"].max()) + 1)
        before = np.roll(now, 1)
        before[heads] = self._series[codes]
        run = np.repeat(np.arange(len(codes)), np.diff(heads, append=len(rows)))
        limits, moves = self._judged(codes, run, before["time"], now["time"])
        clocks = _Clocks(self._clocks, now, before, rank, moves)
        began = clocks.after != NO_TIME  # who spoke before is not measured until it speaks again
        now["heard"] = np.where(began, np.maximum(clocks.after, now["time"]), _NEVER)
        before["heard"] = np.roll(now["heard"], 1)
        before["heard"][heads] = self._series["heard"][codes]
        ends = _later(before["heard"], limits)
        new = (clocks.before > ends) & ~before["silent"]
        over, series = new | before["silent"], batch.series[rows]
        gaps = _gaps(before[new], series[new], clocks.first_beyond(before["clock"][new], ends[new]), False)
        gaps += _gaps(before[over], series[over], now["time"][over], True)
        self._series[codes] = now[np.append(heads[1:], len(rows)) - 1]
        clocks.keep(self._clocks)
        return gaps + self._fallen(codes, clocks)

    def _judged(
        self, codes: NDArray[np.int32], run: Int64Array, before: Int64Array, times: Int64Array
    ) -> tuple[Int64Array, NDArray[np.bool_]]:
        """(each series' limit before each row, whether the row moves its clock)."""
        known = before != NO_TIME
        steps = np.where(known, times - before, 0)
        limits = self._limits(self._steps.add(codes, run, np.where(times > before, steps, 0)))
        fits = (times <= before) | ((steps > 0) & (steps <= limits))  # what overflows is negative
        return limits, known & (limits > 0) & fits

    def _fallen(self, codes: NDArray[np.int32], clocks: _Clocks) -> list[Gap]:
        """Series that are silent at the end of a batch and were not before."""
        spoke = self._series[codes]
        ends = _later(spoke["heard"], self._limits(self._steps.typical[codes]))
        np.minimum.at(self._soonest, spoke["clock"], ends)
        if not (self._clocks > self._soonest).any():
            return []
        series = self._series
        ends = _later(series["heard"], self._limits(self._steps.typical))
        ends[series["silent"]] = _NEVER
        new = np.flatnonzero(self._clocks[series["clock"]] > ends)
        gaps = _gaps(series[new], new, clocks.first_beyond(series["clock"][new], ends[new]), False)
        series["silent"][new], ends[new] = True, _NEVER
        self._soonest[:] = _NEVER
        np.minimum.at(self._soonest, series["clock"], ends)
        return gaps

    def _make_room(self, series: int, clocks: int) -> None:
        more = np.zeros(max(0, series - len(self._series)), _SERIES)
        more["time"], more["heard"] = NO_TIME, _NEVER
        self._series = np.append(self._series, more)
        self._steps.make_room(len(self._series))
        self._clocks = np.append(self._clocks, np.full(max(0, clocks - len(self._clocks)), NO_TIME))
        self._soonest = np.append(self._soonest, np.full(len(self._clocks) - len(self._soonest), _NEVER))

    def _limits(self, typical: Int64Array) -> Int64Array:
        """After how long a series is silent, ns; 0: never."""
        if self.limit == "off":
            return np.zeros(len(typical), np.int64)
        if not self.limit.endswith("x"):
            return np.full(len(typical), round(1e9 * seconds(self.limit)), np.int64)
        steps = np.minimum(float(self.limit[:-1]) * typical, float(_LONGEST))
        return np.where(typical > 0, np.maximum(np.rint(steps).astype(np.int64), _LEAST_NS), 0)


class _Clocks:
    """Where the clocks of partitions are as the rows of a batch arrive.

    Attributes
    ----------
    before : (n,) int64
        At each row, before it came, the clock that the series' record before it belongs to.
    after : (n,) int64
        The clock that the row itself belongs to, with it.
    """

    def __init__(
        self,
        start: Int64Array,
        now: NDArray[Any],
        before: NDArray[Any],
        rank: Int64Array,
        moves: NDArray[np.bool_],
    ) -> None:
        self._start = start
        self._runs: dict[int, Int64Array] = {}
        self.before, self.after = np.empty(len(now), np.int64), np.empty(len(now), np.int64)
        arrived = np.argsort(rank)
        moved = np.where(moves, now["time"], NO_TIME)
        for clock in np.union1d(now["clock"], before["clock"]).tolist():
            own, of_before = now["clock"] == clock, before["clock"] == clock
            at = arrived[own[arrived]]
            times = np.append(start[clock], moved[at])
            self._runs[clock] = reached = np.maximum.accumulate(times)
            self.after[at] = reached[1:]
            self.before[of_before] = reached[np.searchsorted(rank[at], rank[of_before])]

    def first_beyond(self, clocks: Int64Array, ends: Int64Array) -> Int64Array:
        """What clocks showed when they were first beyond an end, as each of them was."""
        found = np.empty(len(clocks), np.int64)
        for clock in np.unique(clocks).tolist():
            of = clocks == clock
            reached = self._runs.get(clock, self._start[clock : clock + 1])
            found[of] = reached[np.searchsorted(reached, ends[of], "right")]
        return found

    def keep(self, clocks: Int64Array) -> None:
        """Write down where they are now."""
        for clock, reached in self._runs.items():
            clocks[clock] = reached[-1]


def _later(heard: Int64Array, limits: Int64Array) -> Int64Array:
    """When a series is silent that was heard at some time; never where it has no limit."""
    ends = np.minimum(heard, _NEVER - limits) + limits
    return np.where(limits > 0, ends, _NEVER)


def _gaps(last: NDArray[Any], series: NDArray[Any], at: Int64Array, over: bool) -> list[Gap]:
    columns = (last[name].tolist() for name in ("partition", "offset", "time"))
    return [
        Gap._make((code, *place, time, over))
        for code, *place, time in zip(series.tolist(), *columns, at.tolist(), strict=True)
    ]
