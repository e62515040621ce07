"""The events of a run: what each was, and the strongest of them, in bounded memory."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels.plan import NO_TIME
from streamrnn.records import STATUSES, Batch, Results

__all__ = ["ALERT", "Event", "EventLog"]

ALERT = 0.5  # the alert_strength that is worth an alert
KEPT = 100  # strongest events of a run
_CALIBRATED = STATUSES.index("calibrated")


@dataclass(frozen=True)
class Event:
    """Detections that belong together.

    Attributes
    ----------
    first, last : int
        Offsets of the record that opened it and of its last detection (-1: none yet).
    start, end : int
        Their times, ns UTC; ``NO_TIME`` where there are none.
    strength : float
        Largest alert_strength, 0 to 1.
    alert : bool
        Whether it reached the alert level: a detection with that alert_strength.
    calibrated : bool
        Whether it did so on a calibrated record.
    surprise : float
        Largest -log10 p; what follows is of that record.
    peak : int
        Its offset.
    channel : str
        The channel with the largest share in it.
    actual, yhat, yhat_lower, yhat_upper : float
        That channel's value and forecast.
    """

    first: int
    last: int
    start: int
    end: int
    strength: float
    alert: bool
    calibrated: bool
    surprise: float
    peak: int
    channel: str
    actual: float
    yhat: float
    yhat_lower: float
    yhat_upper: float

    @property
    def rank(self) -> tuple[float, float, int]:
        """Sorts events: the strongest is the largest."""
        return self.strength, self.surprise, -self.first


class EventLog:
    """Collects the events of one series, batch by batch.

    Attributes
    ----------
    count, alerts, calibrated_alerts : int
        Events that ended; those that reached the alert level; those that did so
        on a calibrated record.
    """

    def __init__(self, channels: tuple[str, ...]) -> None:
        self._channels = channels
        self._open: Event | None = None
        self._strongest: list[tuple[tuple[float, float, int], Event]] = []
        self.count = self.alerts = self.calibrated_alerts = 0

    def add(self, batch: Batch, found: Results) -> None:
        """Take in the next records and what was found in them."""
        ids = found.event_offset
        inside = np.flatnonzero(ids >= 0)
        if not len(inside):
            return
        for rows in np.split(inside, np.flatnonzero(np.diff(ids[inside])) + 1):
            event = self._event(batch, found, rows)
            if self._open is not None and self._open.first == event.first:
                self._open = _merged(self._open, event)
            else:
                self.finish()
                self._open = event

    def finish(self) -> None:
        """End the open event, if there is one."""
        event, self._open = self._open, None
        if event is None:
            return
        self.count += 1
        self.alerts += event.alert
        self.calibrated_alerts += event.calibrated
        put = heapq.heappush if len(self._strongest) < KEPT else heapq.heappushpop
        put(self._strongest, (event.rank, event))

    def strongest(self) -> list[Event]:
        """At most ``KEPT`` events, the strongest first."""
        return [event for _, event in sorted(self._strongest, reverse=True)]

    def _event(self, batch: Batch, found: Results, rows: NDArray[np.int64]) -> Event:
        """What consecutive rows of one event say of it."""
        strength = found.alert_strength[rows]
        reaches = found.is_anomaly[rows] & (strength >= ALERT)
        loud = rows[found.is_anomaly[rows] | (strength > 0.0)]
        last = loud[-1] if len(loud) else None
        peak = rows[int(np.argmax(np.nan_to_num(found.surprise[rows], nan=-1.0)))]
        d = int(np.argmax(np.nan_to_num(found.share[peak], nan=-1.0)))
        return Event(
            first=int(found.event_offset[rows[0]]),
            last=-1 if last is None else int(batch.offsets[last]),
            start=int(batch.times[rows[0]]),
            end=NO_TIME if last is None else int(batch.times[last]),
            strength=float(strength.max()),
            alert=bool(reaches.any()),
            calibrated=bool(reaches[found.status[rows] == _CALIBRATED].any()),
            surprise=float(found.surprise[peak]),
            peak=int(batch.offsets[peak]),
            channel=self._channels[d],
            actual=float(batch.values[peak, d]),
            yhat=float(found.yhat[peak, d]),
            yhat_lower=float(found.yhat_lower[peak, d]),
            yhat_upper=float(found.yhat_upper[peak, d]),
        )


def _merged(event: Event, more: Event) -> Event:
    """One event of two consecutive parts of it."""
    peak = more if more.surprise > event.surprise else event
    end = more if more.last >= 0 else event
    return replace(
        peak,
        first=event.first,
        last=end.last,
        start=event.start,
        end=end.end,
        strength=max(event.strength, more.strength),
        alert=event.alert or more.alert,
        calibrated=event.calibrated or more.calibrated,
    )
