"""The events of a run: what each was, and the strongest of them, in bounded memory."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels.plan import NO_TIME
from streamrnn.kernels.tally import LOUD
from streamrnn.records import KINDS, STATUSES, Batch, Float64Array, Int64Array, Results

__all__ = ["Event", "EventLog", "OpenEvent", "OpenEvents", "Part", "part_of", "parts_of"]

KEPT = 100  # strongest events of a run
PARTS = 3  # channels of an event
_CALIBRATED = STATUSES.index("calibrated")
_NOT_JUDGED = (STATUSES.index("late"), STATUSES.index("duplicate"))  # they end no event


class Part(NamedTuple):
    """One channel's part in an event, at its peak.

    Attributes
    ----------
    channel : int
        Its place among the channels.
    share : float
        Of the evidence, 0 to 1.
    actual, yhat, yhat_lower, yhat_upper : float
        Value and forecast, sensor units.
    """

    channel: int
    share: float
    actual: float
    yhat: float
    yhat_lower: float
    yhat_upper: float


@dataclass(frozen=True)
class Event:
    """Detections that belong together.

    Attributes
    ----------
    series : int
        Code of its series.
    partition : int
        Of the record that opened it.
    first, last : int
        Offsets of the record that opened it and of its last detection (-1: none yet).
    start, end : int
        Their times, ns UTC; ``NO_TIME`` where there are none.
    records : int
        The series' records from the first to the last.
    strength : float
        Largest alert_strength, 0 to 1.
    alert : bool
        Whether its alert_strength reached the alert level.
    calibrated : bool
        Whether it did so on a calibrated record.
    kind : str
        What it looks like, one of ``KINDS``: known at its end, before then so far.
    surprise : float
        Largest -log10 p; what follows is of that record.
    peak : int
        Its offset.
    parts : tuple of Part
        The channels with the largest shares in it, at most ``PARTS``.
    """

    series: int
    partition: int
    first: int
    last: int
    start: int
    end: int
    records: int
    strength: float
    alert: bool
    calibrated: bool
    kind: str
    surprise: float
    peak: int
    parts: tuple[Part, ...]

    @property
    def rank(self) -> tuple[float, float, int, int, int]:
        """Sorts events: the strongest is the largest; no two are equal."""
        return self.strength, self.surprise, -self.first, -self.partition, -self.series


class OpenEvent(NamedTuple):
    """An event that may go on: what is known of it, its records so far, the shares at its peak."""

    event: Event
    seen: int
    shares: Float64Array


class OpenEvents:
    """Follows the events of many series, batch by batch; at most one of each is open.

    An event is over at the first record that is judged and does not belong to it. What
    becomes of events is for those who derive from this class to say.
    """

    def __init__(self) -> None:
        self._open: dict[int, OpenEvent] = {}

    def add(self, batch: Batch, found: Results) -> None:
        """Take in the next records and what was found in them."""
        inside = found.event_offset >= 0
        if not self._open and not inside.any():
            return
        concerned = np.zeros(max(int(batch.series.max(initial=0)), *self._open, 0) + 1, np.bool_)
        concerned[batch.series[inside]] = concerned[list(self._open)] = True
        rows = np.flatnonzero(concerned[batch.series] & ~np.isin(found.status, _NOT_JUDGED))
        if not len(rows):
            return
        rows = rows[np.argsort(batch.series[rows], kind="stable")]
        names = np.stack([column[rows] for column in _names(batch, found)])
        for part in np.split(rows, np.flatnonzero((np.diff(names) != 0).any(axis=0)) + 1):
            self._walk(batch, found, part)

    def _walk(self, batch: Batch, found: Results, rows: NDArray[np.int64]) -> None:
        """Consecutive records of a series that belong to one event, or to none."""
        before = self._open.get(int(batch.series[rows[0]]))
        if found.event_offset[rows[0]] < 0:
            if before is not None:
                del self._open[before.event.series]
                self._end(before)
            return
        more = part_of(batch, found, rows)
        if before is not None and _is_same(before.event, more.event):
            more = _merged(before, more)
        else:
            if before is not None:
                self._end(before)
            self._begin(batch, found, rows)
        self._open[more.event.series] = more

    def _begin(self, batch: Batch, found: Results, rows: NDArray[np.int64]) -> None:
        """An event began at the first of these rows."""

    def _end(self, ended: OpenEvent) -> None:
        """An event is over."""


class EventLog(OpenEvents):
    """Collects the events of a run.

    Attributes
    ----------
    alert_shares : (channels,) int64
        Sums of the channels' shares at the peaks of all ended alerts, in millionths:
        whole numbers, so that the order in which series' events end changes no bit.
    """

    def __init__(self, channels: tuple[str, ...]) -> None:
        super().__init__()
        self._strongest: list[tuple[tuple[float, float, int, int, int], Event]] = []
        self.alert_shares = np.zeros(len(channels), np.int64)

    def finish(self) -> None:
        """End the open events."""
        for code in sorted(self._open):
            self._end(self._open.pop(code))

    def strongest(self) -> list[Event]:
        """At most ``KEPT`` events, the strongest first."""
        return [event for _, event in sorted(self._strongest, reverse=True)]

    def _end(self, ended: OpenEvent) -> None:
        event = ended.event
        if event.alert:
            self.alert_shares += np.rint(1e6 * np.nan_to_num(ended.shares)).astype(np.int64)
        put = heapq.heappush if len(self._strongest) < KEPT else heapq.heappushpop
        put(self._strongest, (event.rank, event))


def _names(batch: Batch, found: Results) -> tuple[Int64Array, ...]:
    """What tells one event from another."""
    columns = (batch.series, found.event_partition, found.event_offset)
    return tuple(column.astype(np.int64) for column in columns)


def _is_same(event: Event, more: Event) -> bool:
    return (event.partition, event.first) == (more.partition, more.first)


def part_of(batch: Batch, found: Results, rows: NDArray[np.int64]) -> OpenEvent:
    """What rows of one event, with no other of their series between them, say of it."""
    strength = found.alert_strength[rows]
    reaches = strength >= found.alert_level[rows]
    loud = np.flatnonzero(found.is_anomaly[rows] | (strength >= LOUD))
    last = rows[loud[-1]] if len(loud) else None
    peak = rows[int(np.argmax(np.nan_to_num(found.surprise[rows], nan=-1.0)))]
    event = Event(
        series=int(batch.series[rows[0]]),
        partition=int(found.event_partition[rows[0]]),
        first=int(found.event_offset[rows[0]]),
        last=-1 if last is None else int(batch.offsets[last]),
        start=int(batch.times[rows[0]]),
        end=NO_TIME if last is None else int(batch.times[last]),
        records=0 if last is None else int(loud[-1]) + 1,
        strength=float(strength.max()),
        alert=bool(reaches.any()),
        calibrated=bool(reaches[found.status[rows] == _CALIBRATED].any()),
        kind=KINDS[found.event_kind[rows[-1]]],
        surprise=float(np.nan_to_num(found.surprise[peak], nan=-1.0)),
        peak=int(batch.offsets[peak]),
        parts=parts_of(batch, found, int(peak)),
    )
    return OpenEvent(event, len(rows), found.share[peak].copy())


def parts_of(batch: Batch, found: Results, i: int) -> tuple[Part, ...]:
    """The channels with the largest shares in one record."""
    shares = np.nan_to_num(found.share[i], nan=-1.0)
    columns = (found.share, batch.values, found.yhat, found.yhat_lower, found.yhat_upper)
    order = np.argsort(-shares, kind="stable")[:PARTS].tolist()
    return tuple(Part(d, *(float(column[i, d]) for column in columns)) for d in order)


def _merged(before: OpenEvent, more: OpenEvent) -> OpenEvent:
    """One event of two consecutive parts of it."""
    event, later = before.event, more.event
    grows = later.surprise > event.surprise
    goes_on = later.last >= 0
    merged = replace(
        later if grows else event,
        first=event.first,
        start=event.start,
        last=later.last if goes_on else event.last,
        end=later.end if goes_on else event.end,
        records=before.seen + later.records if goes_on else event.records,
        strength=max(event.strength, later.strength),
        alert=event.alert or later.alert,
        calibrated=event.calibrated or later.calibrated,
        kind=later.kind,
    )
    return OpenEvent(merged, before.seen + more.seen, more.shares if grows else before.shares)
