"""A member of a group from its settings."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from streamrnn.connectors.kafka import KafkaSource
from streamrnn.connectors.kafka_clients.base import open_log
from streamrnn.errors import RetriableError, SettingsError
from streamrnn.pipelines.alert_opening import open_service
from streamrnn.pipelines.alert_service import AlertService
from streamrnn.pipelines.endpoints import (
    Live,
    decoder_of,
    kafka_options,
    open_dead_letters,
    open_outputs,
    topic_and_partition,
)
from streamrnn.pipelines.group.archive import Archive
from streamrnn.pipelines.group.lane import Shared
from streamrnn.pipelines.group.member import Member
from streamrnn.pipelines.keeping import show_census
from streamrnn.pipelines.metrics import Metrics
from streamrnn.pipelines.outputs import close_quietly
from streamrnn.pipelines.parts import fleet_of, tunable_of
from streamrnn.pipelines.settings import FileSinkTable, KafkaSourceTable, PipelineSettings
from streamrnn.pipelines.store import Store
from streamrnn.spill import Keeping

__all__ = ["check_group", "open_member"]

_SHOWN = {
    "waiting_records": "Records that wait for earlier ones",
    "silent_series": "Series that fell silent",
    "moved_keys": "Keys that came in more than one partition, and topics that were cut anew",
    "partitions_owned": "Partitions that are ours",
}


def check_group(settings: PipelineSettings) -> KafkaSourceTable:
    """The source of a daemon that shares its group.

    Raises
    ------
    SettingsError
        Where something could not go with a partition from one daemon to another.
    """
    table = settings.source
    if not isinstance(table, KafkaSourceTable):
        raise SettingsError('checkpoint.topic is for [source] kind = "kafka"')
    if table.client != "confluent":
        raise SettingsError(
            'with checkpoint.topic give source.client = "confluent" '
            "(pip install 'streamrnn[confluent]'): kafka-python cannot hold back a partition to save it"
        )
    files = [one for one in settings.sink if isinstance(one, FileSinkTable)]
    if files or settings.dead_letter.path is not None:
        raise SettingsError(
            "with checkpoint.topic every sink and dead_letter is a topic: a file stays behind when a "
            "partition goes to another daemon"
        )
    if settings.fleet.budget is not None:
        raise SettingsError("with checkpoint.topic there is no fleet.budget: share the series among daemons")
    if settings.serve is not None and settings.serve.page:
        raise SettingsError("with checkpoint.topic there is no serve.page yet; metrics and health are served")
    return table


def open_member(
    settings: PipelineSettings, file: str, opened: ExitStack
) -> tuple[Member, Metrics, AlertService]:
    """Everything opened; nothing is read before ``Member.run``.

    Raises
    ------
    SettingsError, StoreError, FatalConnectorError
        Where it cannot start.
    """
    table, member = check_group(settings), Member()
    options, topic = kafka_options(table), settings.checkpoint.topic or ""
    store = opened.enter_context(Store(settings.checkpoint.path))
    if store.load() is not None:
        raise SettingsError(
            f"{settings.checkpoint.path} holds the state of one daemon for all its partitions; give another "
            "checkpoint.path: with checkpoint.topic the state of each partition is kept there"
        )
    store.home_drop()  # who owned partitions here before may own none now
    try:
        log = open_log(options, topic)
    except RetriableError as error:
        raise SettingsError(f"cannot start without the snapshot topic: {error}") from error
    opened.callback(log.close)
    archive = Archive(log, topic, Path(settings.checkpoint.path).parent, standby=settings.checkpoint.standby)
    source = KafkaSource(options, decoder_of(settings), member.leaving)
    names: list[str] = []
    channels = decoder_of(settings).channels
    fleet_of(settings, None, channels, Keeping())  # what is compiled must not hold up the group later
    live = Live(source, channels, dict, topic_and_partition, source.lag, member.take_given)
    metrics = Metrics(names, member.fleets, live, clock=time.monotonic, wall=time.time)
    show_census(metrics, member.fleets)
    for name, what in _SHOWN.items():
        metrics.show(name, what, partial(_figure, member, name))
    outputs = open_outputs(settings, {})
    letters = open_dead_letters(settings, {})
    for output in outputs:
        opened.callback(close_quietly, output)
    if letters is not None:
        opened.callback(close_quietly, letters)
    service = open_service(settings, metrics.registry, apart=True)
    shared = Shared(settings, file, source, outputs, letters, metrics, names, service)
    member.join(shared, archive, tunable_of(settings), table.moved)
    opened.callback(member.close)
    opened.callback(source.close)
    service.start()
    opened.callback(service.stop)
    return member, metrics, service


def _figure(member: Member, name: str) -> float:
    return member.figures()[name]
