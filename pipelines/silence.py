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

Who looks back at a recording may ask for more: a series' own next record shows that
it was silent, with no other series to measure it by.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.base import Read
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.durations import seconds
from streamrnn.pipelines.packed import pack, unpack
from streamrnn.pipelines.typical import TypicalSteps
from streamrnn.records import Int64Array

__all__ = ["GAP", "Gap", "Silence"]

GAP = "gap"  # the kind of event that a silence makes

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
    looks_back : bool
        Whether a series was also silent where its own next record comes later than its limit;
        such a silence is noticed and over at that record.
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

    def __init__(
        self, limit: str, *, one_stream: bool = False, looks_back: bool = False, state: bytes = b""
    ) -> None:
        self.limit, self._one_stream, self._looks_back = limit, one_stream, looks_back
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
        rank = _sorting(batch.series[timed])
        rows = timed[rank]
        series = batch.series[rows]
        heads = np.append(0, np.flatnonzero(series[1:] != series[:-1]) + 1)
        codes, times = series[heads], batch.times[rows]
        clock = np.zeros(len(rows), np.int64) if self._one_stream else batch.partitions[rows].astype(np.int64)
        self._make_room(int(codes[-1]) + 1, int(clock.max()) + 1)
        known = self._series[codes]
        before = _before(times, heads, known["time"])
        limits, moves = self._judged(codes, heads, before, times)
        clocks = _Clocks(self._clocks, clock, rank, np.where(moves, times, NO_TIME))
        began = clocks.after != NO_TIME  # who spoke before is not measured until it speaks again
        heard = np.where(began, np.maximum(clocks.after, times), _NEVER)
        ends = _later(_before(heard, heads, known["heard"]), limits)
        clock_before = _before(clock, heads, known["clock"])
        by_clock = clocks.before(clock_before) > ends
        new = by_clock.copy()
        if self._looks_back:
            new |= ~moves & (limits > 0) & (before != NO_TIME)
        new[heads[known["silent"]]] = False
        over = new.copy()
        over[heads[known["silent"]]] = True
        last = self._last(batch, rows, np.append(heads[1:], len(rows)) - 1, clock, heard)
        gaps: list[Gap] = []
        if over.any():
            each = self._last(batch, rows, np.arange(len(rows)), clock, heard)
            last_before = _before(each, heads, known)
            at, passed = times.copy(), new & by_clock
            at[passed] = clocks.first_beyond(clock_before[passed], ends[passed])
            gaps = _gaps(last_before[new], series[new], at[new], False) + _gaps(
                last_before[over], series[over], times[over], True
            )
        self._series[codes] = last
        clocks.keep(self._clocks)
        return gaps + self._fallen(codes, clocks)

    def _judged(
        self, codes: NDArray[np.int32], heads: Int64Array, before: Int64Array, times: Int64Array
    ) -> tuple[Int64Array, NDArray[np.bool_]]:
        """(each series' limit before each row, whether the row moves its clock)."""
        steps = times - before
        steps[before == NO_TIME] = 0
        forward = times > before
        typical, which = self._steps.add(codes, heads, np.where(forward, steps, 0))
        limits = self._limits(typical)[which]
        fits = ~forward | ((steps > 0) & (steps <= limits))  # what overflows is negative
        return limits, fits & (limits > 0) & (before != NO_TIME)

    def _last(
        self, batch: Read, rows: Int64Array, which: Int64Array, clock: Int64Array, heard: Int64Array
    ) -> NDArray[Any]:
        """What would be kept of the series of some rows, were each its last."""
        last = np.zeros(len(which), _SERIES)
        last["partition"], last["offset"] = batch.partitions[rows[which]], batch.offsets[rows[which]]
        last["time"], last["clock"], last["heard"] = batch.times[rows[which]], clock[which], heard[which]
        return last

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

    Parameters
    ----------
    start : (clocks,) int64
        Where they are before.
    clock : (n,) int64
        The clock that each row belongs to.
    rank : (n,) int64
        Each row's place in the order of arrival.
    moved : (n,) int64
        To where each row moves its clock.

    Attributes
    ----------
    after : (n,) int64
        The clock of each row, with it.
    """

    def __init__(self, start: Int64Array, clock: Int64Array, rank: Int64Array, moved: Int64Array) -> None:
        self._start, self._clock, self._rank = start, clock, rank
        self._runs: dict[int, Int64Array] = {}
        self._places: dict[int, Int64Array] = {}
        self.after, self._before = np.empty_like(moved), np.empty_like(moved)
        arrived = np.empty_like(rank)
        arrived[rank] = np.arange(len(rank))
        present = np.flatnonzero(np.bincount(clock)).tolist()
        for one in present:
            at = arrived[clock[arrived] == one] if present[1:] else arrived
            reached = np.maximum.accumulate(np.append(start[one], moved[at]))
            self.after[at], self._before[at] = reached[1:], reached[:-1]
            self._runs[one], self._places[one] = reached, rank[at]

    def before(self, clock: Int64Array) -> Int64Array:
        """(n,) where some clock was at each row, before it came."""
        other = np.flatnonzero(clock != self._clock)
        if not len(other):
            return self._before
        found = self._before.copy()
        for one in np.unique(clock[other]).tolist():
            rows = other[clock[other] == one]
            reached = self._runs.get(one, self._start[one : one + 1])
            found[rows] = reached[np.searchsorted(self._places.get(one, rows[:0]), self._rank[rows])]
        return found

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


def _sorting(codes: NDArray[np.int32]) -> Int64Array:
    """(n,) the order that sorts codes and keeps rows of one as they are."""
    small = codes.max() < 2**16  # NumPy sorts those in a tenth of the time
    return np.asarray(np.argsort(codes.astype(np.uint16) if small else codes, kind="stable"))


def _before(column: NDArray[Any], heads: Int64Array, known: NDArray[Any]) -> NDArray[Any]:
    """(n,) of each row the value of its series' row before it; of the first what was known of the series."""
    shifted = np.empty_like(column)
    shifted[1:] = column[:-1]
    shifted[heads] = known
    return shifted


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
