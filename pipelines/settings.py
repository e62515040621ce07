"""The pipeline file: TOML to types, each wrong name answered with the nearest right one.

Values come from the file, then from the environment: ``STREAMRNN__SOURCE__GROUP``
stands over ``group`` of ``[source]``. A secret is text, or ``{env = "NAME"}`` or
``{file = "/run/secrets/name"}``; it is masked wherever settings are shown.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from streamrnn.connectors.options import RecordOptions
from streamrnn.connectors.text import printable
from streamrnn.errors import SettingsError
from streamrnn.pipelines.alert_settings import (
    AlertTables,
    Channel,
    InhibitTable,
    RouteTable,
    SeverityTable,
    check_alerts,
)
from streamrnn.pipelines.durations import Duration, seconds
from streamrnn.pipelines.fleet_settings import FleetTable
from streamrnn.pipelines.kafka_settings import KafkaSecurityTable, KafkaSourceTable, Names
from streamrnn.pipelines.priors import with_prior
from streamrnn.pipelines.secrets import Secret
from streamrnn.pipelines.table import Table
from streamrnn.settings import Settings

__all__ = [
    "TABLES",
    "Checkpoint",
    "DeadLetter",
    "Detect",
    "FileSinkTable",
    "FileSourceTable",
    "FleetTable",
    "KafkaSecurityTable",
    "KafkaSinkTable",
    "KafkaSourceTable",
    "Log",
    "Model",
    "PipelineSettings",
    "Record",
    "Serve",
    "checkpoint_of",
    "load_settings",
    "schema",
    "seconds",
]

ENVIRONMENT = "STREAMRNN__"
_What = Annotated[
    str,
    Meta(
        pattern=r"^(all|anomalies|every:[1-9]\d*)$",
        description='which records: "all", "anomalies" (detections and records of events) or "every:10"',
    ),
]
_Positive = Annotated[int, Meta(ge=1)]
_MISSPELT = re.compile(r"Object contains unknown field `(.*?)`(?: - at `\$\.?(.*?)`)?$", re.DOTALL)


class FileSourceTable(Table, tag_field="kind", tag="file", frozen=True):
    """``[source] kind = "file"``: a table of text that is read, and followed as it grows."""

    path: Annotated[str, Meta(description="a file; - is standard input")]
    follow: Annotated[bool, Meta(description="go on as the file grows; false ends at its end")] = True


class Record(Table, frozen=True):
    """``[record]``: what a record is; what is left out of a table of text is found out."""

    format: Annotated[Literal["json", "csv"], Meta(description="of messages, and of lines of a file")] = "csv"
    time: Annotated[Names | None, Meta(description="column or field; @message: the message's own")] = None
    time_format: str | None = None
    tz: str | None = None
    values: Annotated[Names | None, Meta(description="columns, or paths of fields such as data.temp")] = None
    key: Annotated[Names | None, Meta(description="columns or fields; @message: the message's key")] = None
    columns: Annotated[
        Names | None, Meta(description="names of the cells of messages in CSV, which have no header")
    ] = None
    label: Names | None = None
    missing: str | float | list[str | float] = []  # noqa: RUF012 - msgspec copies it
    delimiter: str | None = None
    decimal: Literal[".", ","] | None = None
    encoding: str | None = None
    sort: Annotated[bool, Meta(description="replay only: by time, in memory")] = False
    reorder: Annotated[
        Duration,
        Meta(
            description="run only: how long, in event time, a record waits for earlier ones of its series, "
            "at most 1000 records of each; 0s: not at all"
        ),
    ] = "0s"
    late: Annotated[
        Literal["keep", "drop", "dead-letter"],
        Meta(description="run only: what becomes of records that come later still"),
    ] = "keep"

    def options(self) -> dict[str, Any]:
        """What ``RecordOptions`` takes, by name."""
        given: dict[str, Any] = msgspec.to_builtins(self)
        for name in ("format", "reorder", "late"):
            given.pop(name, None)
        for name in ("time", "values", "key", "columns", "label", "missing"):
            if name in given:
                parts = given[name] if isinstance(given[name], list) else [given[name]]
                given[name] = tuple(part if isinstance(part, str) else f"{part!r}" for part in parts)
        return given

    def record_options(self) -> RecordOptions:
        """The same as readers take it."""
        return RecordOptions(**self.options())


class Model(Table, frozen=True):
    """``[model]``: structural settings; a change needs a new state."""

    preset: str | None = None
    networks: Names | None = None
    hidden: int | None = None
    k1: int | None = None
    k2: int | None = None
    recompute: bool | None = None
    horizons: int | list[int] | None = None
    lags: int | None = None
    season: int | str | None = None
    seed: int | None = None
    prior: Annotated[str | None, Meta(description="a file of streamrnn prior fit")] = None


class Detect(Table, frozen=True):
    """``[detect]``: tunable settings; SIGHUP reads them again."""

    false_alarms: str | float | None = None
    coverage: float | None = None
    learn_anomalies: bool | None = None
    learning_rate: float | None = None
    silence: Annotated[
        str,
        Meta(
            pattern=r"^(\d+(\.\d+)?(x|ms|s|m|h|d)|off)$",
            description="run only: after how long, in event time, a series that says nothing is silent: "
            'typical steps such as "20x" (at least 10 s), a duration such as "5m", or "off"',
        ),
    ] = "20x"

    def options(self) -> dict[str, Any]:
        """What the detector's ``Settings`` takes, by name."""
        given: dict[str, Any] = msgspec.to_builtins(self)
        given.pop("silence", None)
        return given


class FileSinkTable(Table, tag_field="kind", tag="file", frozen=True):
    """``[[sink]] kind = "file"``: .csv or .jsonl by the name."""

    path: Annotated[str, Meta(description="a file; - is standard output")]
    what: _What = "all"


class KafkaSinkTable(Table, tag_field="kind", tag="kafka", frozen=True):
    """``[[sink]] kind = "kafka"``: JSON messages to a topic of the source's brokers."""

    topic: Annotated[str, Meta(description="must exist")]
    what: _What = "all"
    pack: Annotated[_Positive, Meta(description="records in one message")] = 1


class Checkpoint(Table, frozen=True):
    """``[checkpoint]``: the file that holds everything, and how often it is written."""

    path: Annotated[str, Meta(description="one SQLite file; on a disk that survives")] = "streamrnn.db"
    topic: Annotated[
        str | None,
        Meta(
            description="a compacted topic for the state of each partition: daemons of one group hand "
            "partitions over by it; must exist"
        ),
    ] = None
    standby: Annotated[bool, Meta(description="whether to follow that topic, to take over sooner")] = False
    mode: Annotated[
        Literal["at-least-once", "exactly-once"],
        Meta(
            description="from topic to topic: whether scores may come again after a crash, or are committed "
            "with the offsets of their records in one transaction"
        ),
    ] = "at-least-once"
    every: Annotated[Duration, Meta(description="between snapshots of all state")] = "5m"
    commit: Annotated[Duration, Meta(description="between flushes of the outputs")] = "1s"
    keep: Annotated[
        Duration,
        Meta(description="events older than the newest by more than this are forgotten; the last 1000 stay"),
    ] = "30d"


class DeadLetter(Table, frozen=True):
    """``[dead_letter]``: where messages go that are no records: a file or a topic."""

    path: Annotated[str | None, Meta(description="a file of JSON lines")] = None
    topic: Annotated[str | None, Meta(description="a topic of the source's brokers")] = None


class Serve(Table, frozen=True):
    """``[serve]``: /livez, /readyz and /metrics, and the live page."""

    listen: Annotated[str, Meta(pattern=r"^.*:\d+$", description="host:port")] = "127.0.0.1:9464"
    page: Annotated[bool, Meta(description="whether / is a page to look at, live (extra: web)")] = False
    token: Annotated[Secret | None, Meta(description="a secret that the page asks for; a must elsewhere")] = (
        None
    )
    hosts: Annotated[list[str], Meta(description="further names under which the page is reached")] = []  # noqa: RUF012 - msgspec copies it


class Log(Table, frozen=True):
    """``[log]``: what it says on standard error."""

    format: Literal["text", "json"] = "text"
    level: Literal["debug", "info", "warning", "error"] = "info"


class PipelineSettings(Table, frozen=True):
    """A pipeline file. ``replay`` reads its ``[record]``, ``[model]``, ``[detect]`` and ``[fleet]``."""

    source: FileSourceTable | KafkaSourceTable | None = None
    record: Record = Record()
    model: Model = Model()
    detect: Detect = Detect()
    sink: list[FileSinkTable | KafkaSinkTable] = []  # noqa: RUF012 - msgspec copies it
    checkpoint: Checkpoint = Checkpoint()
    dead_letter: DeadLetter = DeadLetter()
    fleet: FleetTable = FleetTable()
    alerts: AlertTables = AlertTables()
    serve: Serve | None = None
    log: Log = Log()

    def settings(self) -> dict[str, Any]:
        """What the detector's ``Settings`` takes, by name; SettingsError where the prior cannot be read."""
        return with_prior({**msgspec.to_builtins(self.model), **self.detect.options()})


TABLES = {"record": Record, "model": Model, "detect": Detect, "fleet": FleetTable}
"""The tables that replay reads, too."""


def schema() -> dict[str, Any]:
    """The JSON Schema of a pipeline file, for editors."""
    return msgspec.json.schema(PipelineSettings, schema_hook=_schema)


def load_settings(path: str | Path, environment: Mapping[str, str] = os.environ) -> PipelineSettings:
    """Read a pipeline file and what the environment says over it.

    Raises
    ------
    SettingsError
        Where it cannot be read, or holds a name or a value that cannot be.
    """
    settings = convert(_tables(path, environment), printable(str(path)))
    RecordOptions(**settings.record.options())
    Settings.from_dict(settings.settings())
    check_alerts(settings.alerts)
    return settings


def checkpoint_of(path: str | Path, environment: Mapping[str, str] = os.environ) -> Checkpoint:
    """The ``[checkpoint]`` of a pipeline file alone: no secret is needed to look at what is kept.

    Raises
    ------
    SettingsError
        Where the file cannot be read, or the table holds what cannot be.
    """
    tables = _tables(path, environment)
    return convert({"checkpoint": tables.get("checkpoint", {})}, printable(str(path))).checkpoint


def _tables(path: str | Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """What the file and the environment say."""
    name = printable(str(path))
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise SettingsError(f"cannot read {name}: {reason}") from None
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{name} is no TOML: {error}") from None
    for variable, value in environment.items():
        if variable.startswith(ENVIRONMENT):
            _put(tables, variable, value)
    return tables


def convert(tables: Mapping[str, Any], name: str) -> PipelineSettings:
    """Tables of values as settings; SettingsError where one does not fit."""
    try:
        return msgspec.convert(tables, PipelineSettings, dec_hook=_decoded)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{name}: {_explained(str(error), tables)}") from None


def _decoded(kind: type, value: Any) -> Any:
    return Channel.decode(value) if kind is Channel else Secret.decode(kind, value)


def _schema(kind: type) -> dict[str, Any]:
    return Channel.schema() if kind is Channel else Secret.schema(kind)


def _put(tables: dict[str, Any], variable: str, value: str) -> None:
    """Set what a variable of the environment names."""
    *parents, last = variable.removeprefix(ENVIRONMENT).lower().split("__")
    table = tables
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise SettingsError(f"{variable}: {parent} is no table of the pipeline file")
    try:
        table[last] = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        table[last] = value


def _explained(message: str, tables: Mapping[str, Any]) -> str:
    """A validation error in words, with the nearest name where one is not known."""
    misspelt = _MISSPELT.match(message)
    if misspelt is None:
        return message.replace("`$.", "`").replace("Object missing", "the table lacks the")
    wrong, where = misspelt.groups()
    known = _fields(where or "", tables)
    near = difflib.get_close_matches(wrong, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
    kind = f"key of [{where.split('[')[0]}]" if where else "table"
    return f"{printable(repr(wrong))} is no {kind}; {hint}"


def _fields(where: str, tables: Mapping[str, Any]) -> list[str]:
    """Names that a table may hold."""
    kinds: dict[str, type[Struct]] = {
        "": PipelineSettings,
        "record": Record,
        "model": Model,
        "detect": Detect,
        "checkpoint": Checkpoint,
        "dead_letter": DeadLetter,
        "fleet": FleetTable,
        "serve": Serve,
        "log": Log,
        "source.security": KafkaSecurityTable,
        "alerts": AlertTables,
        "alerts.severity": SeverityTable,
        "alerts.route": RouteTable,
        "alerts.inhibit": InhibitTable,
    }
    plain = re.sub(r"\[\d+\]", "", where)
    if plain in kinds:
        return list(kinds[plain].__struct_fields__)
    place = tables.get(where.split("[", maxsplit=1)[0], {})
    if "[" in where:
        place = place[int(where.split("[")[1].rstrip("]"))]
    source = where == "source"
    of_file, of_kafka = (FileSourceTable, KafkaSourceTable) if source else (FileSinkTable, KafkaSinkTable)
    chosen = of_kafka if place.get("kind") == "kafka" else of_file
    return ["kind", *chosen.__struct_fields__]
