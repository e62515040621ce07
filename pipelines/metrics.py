"""What a daemon tells Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from streamrnn.connectors.base import Positions, Read
from streamrnn.fleet import Fleet
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.endpoints import Live
from streamrnn.pipelines.observers import Observer
from streamrnn.records import STATUSES, Results

__all__ = ["Metrics"]

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_LAG_S = 2.0  # between two looks at the lag
_MOST_PLACES = 1000  # topics and partitions with a line of their own; the rest share one
_OTHERS = ("others", "")
_DROPPED, _AGAIN = "dropped", "read_again"
_OUTCOMES = (*STATUSES, _DROPPED, _AGAIN)
_PLACE = ("topic", "partition")


class _Asked(Collector):
    """A count that somebody else keeps."""

    def __init__(self, name: str, what: str, value: Callable[[], float]) -> None:
        self._name, self._what, self._value = name, what, value

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(self._name, self._what, value=self._value())


class Metrics(Observer):
    """Counts records, detections and snapshots, and knows how old everything is.

    Parameters
    ----------
    names : sequence of str
        Of partitions, by the codes that batches have; may grow.
    fleets : callable
        All models, asked for when somebody looks.
    live : Live
        The source, asked for its lag in beats of the loop: clients are of one thread.
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
        names: Sequence[str],
        fleets: Callable[[], Sequence[Fleet]],
        live: Live,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.registry = CollectorRegistry()
        self._names, self._live, self._clock, self._wall = names, live, clock, wall
        self._seen = self._found = self._buried = 0
        self.last_beat = self.last_saved = clock()
        self._lag_at = clock()
        self._places: set[tuple[str, str]] = set()
        self._lags: set[tuple[str, str]] = set()
        made: dict[str, Any] = {"registry": self.registry, "namespace": "streamrnn"}
        what = [*_PLACE, "outcome"]
        self._records = Counter("records", "Records by what became of them", what, **made)
        self._events = Counter("events", "Events stored, each once", **made)
        self._detections = Counter("detections", "Records with is_anomaly", **made)
        self._dead = Counter("dead_letter", "Messages that are no records", **made)
        self._rebalances = Counter("rebalances", "How often the group gave us partitions", **made)
        self._lag = Gauge("consumer_lag_records", "Records that wait to be read", _PLACE, **made)
        self._stages = Histogram(
            "stage_seconds", "Stages of the loop, once a batch", ["stage"], buckets=_SECONDS, **made
        )
        self._saving = Histogram("checkpoint_seconds", "Writing a snapshot", buckets=_SECONDS, **made)
        self._delay = Gauge("event_time_delay_seconds", "Now less the newest event time", **made)
        Gauge("checkpoint_age_seconds", "Since the last snapshot", **made).set_function(
            lambda: clock() - self.last_saved
        )
        Gauge("keys_active", "Series with a model", **made).set_function(
            lambda: sum(len(fleet.keys) for fleet in fleets())
        )
        Gauge("state_bytes", "Memory of all models", **made).set_function(
            lambda: sum(fleet.state_bytes for fleet in fleets())
        )

    def records(self, batch: Read, found: Results, fresh: NDArray[np.bool_]) -> None:
        """Count the records of a batch by their status, apart from those read again."""
        self._count(batch, np.where(fresh, found.status, _OUTCOMES.index(_AGAIN)))
        detections = int((found.is_anomaly & fresh).sum())
        self._detections.inc(detections)
        self._seen += int(fresh.sum())
        self._found += detections
        newest = int(batch.times.max(initial=NO_TIME))
        if newest != NO_TIME:
            self._delay.set(self._wall() - newest / 1e9)

    def dropped(self, batch: Read) -> None:
        """Count late records that are written nowhere."""
        self._count(batch, np.full(len(batch), _OUTCOMES.index(_DROPPED)))
        self._seen += len(batch)

    def _count(self, batch: Read, outcomes: NDArray[Any]) -> None:
        kinds = len(_OUTCOMES)
        counts = np.bincount(batch.partitions.astype(np.int64) * kinds + outcomes)
        for place in np.flatnonzero(counts).tolist():
            partition, kind = divmod(place, kinds)
            topic, number = self._place(self._names[partition])
            self._records.labels(topic, number, _OUTCOMES[kind]).inc(int(counts[place]))

    def events(self, count: int) -> None:
        """Count events that were stored."""
        self._events.inc(count)

    def show(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Show one more value, asked for when somebody looks."""
        Gauge(name, what, registry=self.registry, namespace="streamrnn").set_function(value)

    def count(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Show one more count, asked for when somebody looks."""
        self.registry.register(_Asked(f"streamrnn_{name}", what, value))

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

    def took(self, stage: str, seconds: float) -> None:
        """A stage of the loop took so long."""
        self._stages.labels(stage).observe(seconds)

    def beat(self) -> None:
        """The loop went round."""
        self.last_beat = self._clock()
        if self.last_beat - self._lag_at >= _LAG_S:
            self._lag_at = self.last_beat
            self._look_at_source()

    def _look_at_source(self) -> None:
        """Lag of the partitions that are ours now, and what happened to them."""
        self._rebalances.inc(self._live.rebalances())
        lags: dict[tuple[str, str], int] = {}
        for name, lag in self._live.lag().items():
            place = self._place(name)
            lags[place] = lags.get(place, 0) + lag
        for place in self._lags - set(lags):
            self._lag.remove(*place)
        self._lags = set(lags)
        for place, lag in lags.items():
            self._lag.labels(*place).set(lag)

    def _place(self, name: str) -> tuple[str, str]:
        """Topic and partition as labels; without end where names are, they would fill the memory."""
        place = self._live.place(name)
        if place not in self._places:
            if len(self._places) >= _MOST_PLACES:
                return _OTHERS
            self._places.add(place)
        return place
