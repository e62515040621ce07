"""What a daemon tells Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from streamrnn.connectors.base import Positions, Read
from streamrnn.fleet import Fleet
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.observers import Observer
from streamrnn.records import STATUSES, Results

__all__ = ["Metrics"]

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


class Metrics(Observer):
    """Counts records, detections and snapshots, and knows how old everything is.

    Parameters
    ----------
    fleet : callable
        The models, asked when somebody looks.
    clock : callable
        Seconds, never falling.
    wall : callable
        Seconds since 1970; only for how far behind event time is.

    Attributes
    ----------
    registry : CollectorRegistry
    last_beat, last_saved : float
        When the loop last went round, and when a snapshot was last written; seconds of ``clock``.
    """

    def __init__(
        self,
        fleet: Callable[[], Fleet],
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.registry = CollectorRegistry()
        self._clock, self._wall = clock, wall
        self._seen = self._found = self._buried = 0
        self.last_beat = self.last_saved = clock()
        made: dict[str, Any] = {"registry": self.registry, "namespace": "streamrnn"}
        self._records = Counter("records", "Records by what became of them", ["outcome"], **made)
        self._events = Counter("events", "Events stored, each once", **made)
        self._detections = Counter("detections", "Records with is_anomaly", **made)
        self._dead = Counter("dead_letter", "Messages that are no records", **made)
        self._saving = Histogram("checkpoint_seconds", "Writing a snapshot", buckets=_SECONDS, **made)
        self._delay = Gauge("event_time_delay_seconds", "Now less the newest event time", **made)
        Gauge("checkpoint_age_seconds", "Since the last snapshot", **made).set_function(
            lambda: clock() - self.last_saved
        )
        Gauge("keys_active", "Series with a model", **made).set_function(lambda: len(fleet().keys))
        Gauge("state_bytes", "Memory of all models", **made).set_function(lambda: fleet().state_bytes)
        self._of_status = [self._records.labels(outcome=status) for status in STATUSES]
        self._dropped = self._records.labels(outcome="dropped")
        self._again = self._records.labels(outcome="read_again")

    def records(self, batch: Read, found: Results, fresh: NDArray[np.bool_]) -> None:
        """Count the records of a batch by their status, apart from those read again."""
        counts = np.bincount(found.status[fresh], minlength=len(STATUSES)).tolist()
        for counter, count in zip(self._of_status, counts, strict=True):
            counter.inc(count)
        self._again.inc(len(batch) - int(fresh.sum()))
        detections = int((found.is_anomaly & fresh).sum())
        self._detections.inc(detections)
        self._seen += int(fresh.sum())
        self._found += detections
        newest = int(batch.times.max(initial=NO_TIME))
        if newest != NO_TIME:
            self._delay.set(self._wall() - newest / 1e9)

    def dropped(self, count: int) -> None:
        """Count late records that are written nowhere."""
        self._dropped.inc(count)
        self._seen += count

    def events(self, count: int) -> None:
        """Count events that were stored."""
        self._events.inc(count)

    def show(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Show one more value, asked for when somebody looks."""
        Gauge(name, what, registry=self.registry, namespace="streamrnn").set_function(value)

    def said(self) -> str:
        """What came so far, in words."""
        return f"{self._seen:,} records, {self._found:,} detections, {self._buried:,} dead letters"

    def dead_letters(self, count: int) -> None:
        """Count messages that are no records."""
        self._dead.inc(count)
        self._buried += count

    def committed(self, positions: Positions) -> None:
        """Nothing to count."""

    def saved(self, seconds: float, size: int) -> None:
        """A snapshot was written."""
        self.last_saved = self._clock()
        self._saving.observe(seconds)

    def beat(self) -> None:
        """The loop went round."""
        self.last_beat = self._clock()
