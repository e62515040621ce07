"""Sources, outputs and dead letters as a pipeline file names them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from streamrnn.connectors.base import STANDARD, Source
from streamrnn.connectors.csv_messages import CsvDecoder
from streamrnn.connectors.csv_sink import CsvSink
from streamrnn.connectors.dead_letters import FileDeadLetters, KafkaDeadLetters
from streamrnn.connectors.fields import FieldDecoder
from streamrnn.connectors.file import FileSource
from streamrnn.connectors.follow import FollowSource
from streamrnn.connectors.json import JsonDecoder
from streamrnn.connectors.jsonl import JsonlSink
from streamrnn.connectors.kafka import KafkaOptions, KafkaSecurity, KafkaSource
from streamrnn.connectors.kafka_sink import KafkaSink, Topic
from streamrnn.connectors.kafka_transaction import KafkaTransaction
from streamrnn.connectors.lines import LineSource
from streamrnn.connectors.messages import DeadLetter
from streamrnn.connectors.options import RecordOptions
from streamrnn.connectors.rejects import Reject, Rejects
from streamrnn.connectors.tables.opening import Opened
from streamrnn.connectors.text import FOREIGN, printable
from streamrnn.errors import SettingsError
from streamrnn.pipelines.durations import seconds
from streamrnn.pipelines.outputs import MarkedSink, Output, Selection
from streamrnn.pipelines.secrets import Secret
from streamrnn.pipelines.settings import (
    FileSinkTable,
    FileSourceTable,
    KafkaSourceTable,
    PipelineSettings,
    Record,
)
from streamrnn.pipelines.topics import MarkedLetters, TopicLetters, TopicSink

__all__ = [
    "DEAD_LETTERS",
    "Live",
    "LiveSource",
    "decoder_of",
    "kafka_options",
    "open_dead_letters",
    "open_outputs",
    "open_source",
    "topic_and_partition",
]

DEAD_LETTERS = "dead letters"  # the name by which their mark is kept
DECODERS: Mapping[str, Callable[[RecordOptions, Mapping[str, Any] | None], FieldDecoder]] = {
    "json": JsonDecoder,
    "csv": CsvDecoder,
}
"""Of each format of messages what makes records of them."""

_BATCH_ROWS = 4096  # between two looks at the clock and at signals: some 20 ms


class LiveSource(Source, Protocol):
    """A source of a daemon."""

    def take_dead_letters(self) -> list[DeadLetter]:
        """Messages polled that are no records; each is given once."""


@dataclass(frozen=True)
class Live:
    """A source and what is known of it.

    Attributes
    ----------
    source : LiveSource
    channels : tuple of str
        Names of the values.
    found : callable
        What was found out about the input so far, to find the same again; JSON knows its types.
    place : callable
        Topic and partition of a partition's name, as metrics have them. Each file that a
        followed one was before is a partition, but all are one topic.
    lag : callable
        Of each partition's name, how many records wait to be read, where that is known.
    rebalances : callable
        How often partitions were given to us since it was last asked.
    """

    source: LiveSource
    channels: tuple[str, ...]
    found: Callable[[], dict[str, Any]]
    place: Callable[[str], tuple[str, str]]
    lag: Callable[[], dict[str, int]] = dict
    rebalances: Callable[[], int] = int


def open_source(settings: PipelineSettings, found: Mapping[str, Any] | None = None) -> Live:
    """The source of a pipeline; ``found`` is what was found out about it before.

    Raises
    ------
    SettingsError
        Where there is none, or it lacks what is needed.
    DataError
        Where it cannot be read.
    """
    table = settings.source
    if table is None:
        raise SettingsError('there is no [source]; say kind = "file" and path, or kind = "kafka"')
    options = settings.record.record_options()
    if isinstance(table, FileSourceTable):
        return _file_source(table, settings.record, options, found)
    decoder = decoder_of(settings, found)
    source = KafkaSource(kafka_options(table), decoder)
    return Live(
        source,
        decoder.channels,
        decoder.pinned,
        place=topic_and_partition,
        lag=source.lag,
        rebalances=lambda: [change.kind for change in source.assignment_changes()].count("assigned"),
    )


def decoder_of(settings: PipelineSettings, found: Mapping[str, Any] | None = None) -> FieldDecoder:
    """What makes records of a topic's messages; ``found`` is what was found out about them before."""
    return DECODERS[settings.record.format](settings.record.record_options(), found)


def _file_source(
    table: FileSourceTable, record: Record, options: RecordOptions, found: Mapping[str, Any] | None
) -> Live:
    path = table.path
    place = (Path(path).name, "")
    if record.format == "json":
        decoder = JsonDecoder(options, found)
        source = FollowSource(
            path, decoder.channels, lambda opened: LineSource(path, decoder, opened), ends=not table.follow
        )
        return Live(source, decoder.channels, decoder.pinned, lambda name: place)
    if path == STANDARD:
        raise SettingsError(
            'a table on standard input is read by replay; run takes lines of record.format = "json"'
        )
    if options.columns:
        raise SettingsError(
            "record.columns is for messages of a topic; a table's own header names its columns"
        )
    if found is None:
        first = FileSource(path, options)
        first.close()
        pinned = first.pinned()
    else:
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}
        pinned = RecordOptions(**plain)
    channels = pinned.values or ()
    source = FollowSource(
        path, channels, lambda opened: _FilePart(path, pinned, opened), ends=not table.follow
    )
    return Live(source, channels, lambda: asdict(pinned), lambda name: place)


def topic_and_partition(name: str) -> tuple[str, str]:
    """What the name of a partition of a topic is made of."""
    topic, _, number = name.rpartition("-")
    return topic, number


class _DeadRejects(Rejects):
    """Rejects as dead letters."""

    def __init__(self) -> None:
        super().__init__()
        self.letters: list[DeadLetter] = []
        self.partition = ""

    def add(self, reject: Reject) -> None:
        reason = f"line {reject.line}: {reject.reason}"
        value = reject.text.encode("utf-8", FOREIGN)
        self.letters.append(DeadLetter(self.partition, reject.offset, reason, value, None))


class _FilePart(FileSource):
    """A table that is followed; what cannot be read of it are dead letters."""

    def __init__(self, path: str, options: RecordOptions, opened: Opened) -> None:
        rejects = _DeadRejects()
        super().__init__(path, options, rejects, batch_rows=_BATCH_ROWS, opened=opened)
        rejects.partition = self.name
        self.dead = rejects.letters


def open_outputs(
    settings: PipelineSettings, marks: Mapping[str, Any], transaction: KafkaTransaction | None = None
) -> list[Output]:
    """The outputs of a pipeline, each cut back to what was safe; topics in a transaction, if there is one.

    Raises
    ------
    SettingsError
        Where one cannot be opened, or two are the same.
    """
    outputs: list[Output] = []
    sink: MarkedSink
    for table in settings.sink:
        name = f"file:{table.path}" if isinstance(table, FileSinkTable) else f"topic:{table.topic}"
        if any(output.name == name for output in outputs):
            raise SettingsError(f"two sinks write {printable(name)}; give each one of its own")
        if isinstance(table, FileSinkTable):
            sink = _file_sink(table.path, int(marks.get(name) or 0))
        else:
            sink = TopicSink(_topic(settings, table.topic, transaction), table.pack)
        outputs.append(Output(name, sink, Selection(table.what)))
    return outputs


def open_dead_letters(
    settings: PipelineSettings, marks: Mapping[str, Any], transaction: KafkaTransaction | None = None
) -> MarkedLetters | None:
    """Where dead letters go; None where nobody wants them.

    Raises
    ------
    SettingsError
        Where it cannot be opened, or a file and a topic are named.
    """
    path, topic = settings.dead_letter.path, settings.dead_letter.topic
    if path is not None and topic is not None:
        raise SettingsError("dead_letter names a path and a topic; give one")
    if path is not None:
        return FileDeadLetters(path, keep=int(marks.get(DEAD_LETTERS) or 0))
    return None if topic is None else TopicLetters(KafkaDeadLetters(_topic(settings, topic, transaction)))


def _topic(settings: PipelineSettings, name: str, transaction: KafkaTransaction | None) -> Topic:
    """A topic to write to."""
    return KafkaSink(_brokers(settings), name) if transaction is None else transaction.topic(name)


def _brokers(settings: PipelineSettings) -> KafkaOptions:
    """How to reach the brokers that sinks write to: those of the source."""
    if not isinstance(settings.source, KafkaSourceTable):
        raise SettingsError('a topic to write to needs [source] kind = "kafka": its brokers are used')
    return replace(kafka_options(settings.source), topics=())


def kafka_options(table: KafkaSourceTable) -> KafkaOptions:
    """How to read as a ``[source]`` says."""
    security: dict[str, Any] = {
        name: value.reveal() if isinstance(value, Secret) else value
        for name, value in (
            (name, getattr(table.security, name)) for name in table.security.__struct_fields__
        )
    }
    return KafkaOptions(
        brokers=_listed(table.brokers),
        topics=_listed(table.topics),
        group=table.group,
        client=table.client,
        start=table.start,
        instance=table.group_instance,
        session_timeout_s=seconds(table.session_timeout),
        security=KafkaSecurity(**security),
    )


def _listed(names: str | list[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _file_sink(path: str, keep: int) -> MarkedSink:
    suffix = Path(path).suffix.lower()
    if suffix == ".csv" or path == STANDARD:
        return CsvSink(path, keep=keep)
    if suffix in {".jsonl", ".ndjson"}:
        return JsonlSink(path, keep=keep)
    raise SettingsError(f"sink.path is {printable(repr(path))}; a daemon writes .csv and .jsonl")
