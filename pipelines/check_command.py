"""``streamrnn check``: whether a pipeline could run."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from streamrnn.connectors.file import FileSource
from streamrnn.connectors.kafka import KafkaSource
from streamrnn.connectors.kafka_clients.base import open_log
from streamrnn.connectors.text import printable
from streamrnn.errors import RetriableError, SettingsError
from streamrnn.fleet import Fleet
from streamrnn.pipelines.channels import open_channels
from streamrnn.pipelines.durations import bytes_of
from streamrnn.pipelines.endpoints import LiveSource, kafka_options, open_source
from streamrnn.pipelines.exactly_once import check_mode
from streamrnn.pipelines.found import found_text
from streamrnn.pipelines.group.opening import check_group
from streamrnn.pipelines.settings import FileSinkTable, FileSourceTable, PipelineSettings, load_settings
from streamrnn.pipelines.web.serving import check_page
from streamrnn.pipelines.words import count
from streamrnn.settings import Settings
from streamrnn.spill import rows_within

__all__ = ["run"]

_ANSWER_S = 5.0
_POLLS = 25  # of 0.2 s for a first record
_CONNECT_POLLS = 150  # for brokers to let us in, and for the group to give us partitions


def run(arguments: argparse.Namespace) -> int:
    """Check everything that a pipeline file names and say what was found.

    Raises
    ------
    StreamrnnError
        At the first thing that is wrong.
    """
    settings = load_settings(arguments.file)
    check_page(settings)
    exactly_once = check_mode(settings) is not None
    if settings.checkpoint.topic is not None:
        settings = _beside_the_group(settings, settings.checkpoint.topic)
    live = open_source(settings)
    table = settings.source
    if isinstance(table, FileSourceTable) and settings.record.format == "csv":
        first = FileSource(table.path, settings.record.record_options())
        first.close()
        print(found_text([first], each=False, tz=settings.record.tz))
    _look_at(live.source)
    model = Settings.from_dict({**settings.settings(), "channels": live.channels})
    if model.prior is not None:
        model.prior.check_fits(model.structural(), len(live.channels))
        print(f"prior     of {count(model.prior.series, 'series', 'series')}")
    needed = Fleet.bytes_per_series(model)
    print(f"model     {len(live.channels)} channels, {needed:,} bytes a series")
    if settings.fleet.budget is not None:
        fit = rows_within(bytes_of(settings.fleet.budget), needed)
        print(f"fleet     {count(fit, 'series', 'series')} in memory, the others on disk")
    _check_outputs(settings)
    if exactly_once:
        print("          exactly once: in one transaction with the offsets of the records")
    _check_channels(settings)
    print("all is well")
    return 0


def _beside_the_group(settings: PipelineSettings, topic: str) -> PipelineSettings:
    """The same in a group of its own, so that no daemon loses a partition; SettingsError as they would."""
    table = check_group(settings)
    log = open_log(kafka_options(table), topic)
    try:
        found = count(log.partitions_of(topic, _ANSWER_S), "partition")
    finally:
        log.close()
    print(f"snapshots topic {printable(topic)}, {found}")
    alone = msgspec.structs.replace(table, group=f"{table.group}-check", group_instance=None)
    return msgspec.structs.replace(settings, source=alone)


def _look_at(source: LiveSource) -> None:
    """Poll until something comes, and say what; RetriableError where brokers are in the way."""
    records, letters, polls, troubled = 0, [], 0, 0
    try:
        while polls < (_CONNECT_POLLS if _is_connecting(source) else _POLLS):
            polls += 1
            read = source.poll(0.2)
            letters += source.take_dead_letters()
            records = 0 if read is None else len(read)
            trouble = source.trouble if isinstance(source, KafkaSource) else None
            troubled = troubled + 1 if trouble else 0
            if trouble and troubled > _POLLS:  # no answer that was only late
                raise RetriableError(trouble)
            if read is None or records or letters:
                break
    finally:
        source.close()
    print(f"source    {records:,} records and {len(letters):,} dead letters in a first look")
    if letters:
        print(f"          the first: {printable(letters[0].reason)}")


def _is_connecting(source: LiveSource) -> bool:
    return isinstance(source, KafkaSource) and not source.snapshot()


def _check_channels(settings: PipelineSettings) -> None:
    """Whether channels could be used; nothing is sent."""
    for name, channel in open_channels(settings.alerts).items():
        channel.close()
        print(f"alerts    channel {printable(name)}; `streamrnn alerts test` sends it a message")


def _check_outputs(settings: PipelineSettings) -> None:
    """Whether outputs could be written; they are not touched."""
    paths = [sink.path for sink in settings.sink if isinstance(sink, FileSinkTable)]
    paths += [path for path in (settings.dead_letter.path, settings.checkpoint.path) if path]
    for path in paths:
        folder = Path(path).absolute().parent
        if not folder.is_dir():
            raise SettingsError(f"{printable(path)} lies in a folder that does not exist; make it first")
        print(f"output    {printable(path)}")
    if not settings.sink:
        print("output    none: scores are computed and kept nowhere; add a [[sink]]")
