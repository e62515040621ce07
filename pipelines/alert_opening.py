"""The alerts of a daemon, opened from its settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from streamrnn.pipelines.alert_service import AlertService, Figures
from streamrnn.pipelines.alerting import Alerting, Identity
from streamrnn.pipelines.captures import Recorder
from streamrnn.pipelines.channels import open_channels
from streamrnn.pipelines.coding import Coding
from streamrnn.pipelines.routing import routing_of
from streamrnn.pipelines.settings import PipelineSettings
from streamrnn.pipelines.spill import SqliteSpill
from streamrnn.pipelines.store import Snapshot, Store

__all__ = ["OpenAlerts", "open_alerts", "open_intake", "open_service"]


class OpenAlerts(NamedTuple):
    """Both halves of a daemon's alerts.

    Attributes
    ----------
    intake : Alerting
        Looks on while records are scored.
    service : AlertService
        Tells people; to be started and stopped.
    """

    intake: Alerting
    service: AlertService


class _Collector(Collector):
    """Figures of the service for Prometheus."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        figures, counts = self._figures, self._figures.counts
        yield GaugeMetricFamily("streamrnn_incidents_open", "Incidents that are open", figures.open)
        yield GaugeMetricFamily("streamrnn_alerts_pending", "Messages that wait", figures.pending)
        yield CounterMetricFamily("streamrnn_alerts_sent", "Messages delivered", value=counts.sent)
        yield CounterMetricFamily("streamrnn_alerts_failed", "Tries that failed", value=counts.failed)
        yield CounterMetricFamily("streamrnn_alerts_dead", "Messages given up", value=counts.dead)


def open_alerts(
    settings: PipelineSettings,
    file: str,
    store: Store,
    coding: Coding,
    saved: Snapshot | None,
    registry: CollectorRegistry,
    spill: SqliteSpill | None,
) -> OpenAlerts:
    """What follows incidents and what tells of them; a dry run tells nobody.

    Raises
    ------
    SettingsError
        Where a channel cannot be opened.
    """
    service = open_service(settings, registry)
    return OpenAlerts(open_intake(settings, file, store, coding, saved, service.wake, spill), service)


def open_service(
    settings: PipelineSettings, registry: CollectorRegistry, *, apart: bool = False
) -> AlertService:
    """What tells of incidents; ``apart`` as ``Desk`` has it. Raises as ``open_alerts``."""
    tables = settings.alerts
    service = AlertService(settings.checkpoint.path, routing_of(tables), open_channels(tables), apart=apart)
    registry.register(_Collector(service.figures))
    return service


def open_intake(
    settings: PipelineSettings,
    file: str,
    store: Store,
    coding: Coding,
    saved: Snapshot | None,
    wake: Callable[[], None],
    spill: SqliteSpill | None = None,
) -> Alerting:
    """What follows incidents."""
    tables = settings.alerts
    return Alerting(
        store,
        coding,
        rules=tables.rules(),
        identity=Identity(Path(file).stem, file, tables.labels),
        wall=time.time_ns,
        wake=wake,
        recorder=Recorder(store, coding.fleet, tables.capture, saved=saved is not None, spill=spill),
        state=None if saved is None else saved.extra.get("alerts"),  # the first snapshots had none
    )
