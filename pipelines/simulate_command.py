"""``streamrnn simulate``: readings of a plant that is made up, with planted faults."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from streamrnn.connectors.base import STANDARD, Sink
from streamrnn.connectors.kafka import KafkaOptions
from streamrnn.connectors.kafka_sink import KafkaSink
from streamrnn.connectors.sinks import open_sink
from streamrnn.connectors.text import printable, shown
from streamrnn.errors import SettingsError
from streamrnn.pipelines.arguments import check_written
from streamrnn.pipelines.durations import seconds
from streamrnn.pipelines.plant import Plant
from streamrnn.pipelines.planted import SHORTEST
from streamrnn.pipelines.progress import Progress
from streamrnn.pipelines.simulate import Names, Simulation, TopicRows, Written
from streamrnn.pipelines.words import count

__all__ = ["run"]

_FINE, _INTERRUPTED = 0, 130
_NS = 1_000_000_000
_DAY_S = 86_400
_USUAL = 2000  # records of a sensor from one fault to the next: time to calm down, and to be seen soon
_MOST = {"sensors": 100_000, "channels": 100, "records": 10**12}
_LATEST = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SENT_S = 30.0  # for brokers to acknowledge the last readings


def run(arguments: argparse.Namespace) -> int:
    """Make the readings and return the exit code.

    Raises
    ------
    StreamrnnError
        Where something is wrong with the arguments, or brokers do not take the readings.
    OSError
        Where a file cannot be written.
    """
    simulation = _simulation(arguments)
    _check(arguments, simulation)
    written, progress = Written(), Progress(sys.stderr)
    try:
        with _rows(arguments) as rows, _faults(arguments) as faults:
            simulation.run(rows, faults, written, progress.show)
            rows.flush(_SENT_S)
    except KeyboardInterrupt:
        progress.clear()
        print(f"streamrnn: interrupted after {_said(arguments, written)}", file=sys.stderr)
        return _INTERRUPTED
    finally:
        progress.clear()
    print(_said(arguments, written), file=sys.stderr if STANDARD in _paths(arguments) else sys.stdout)
    return _FINE


def _simulation(arguments: argparse.Namespace) -> Simulation:
    for name, most in _MOST.items():
        given = getattr(arguments, name)
        if given is not None and not 1 <= given <= most:
            raise SettingsError(f"--{name} is {given}; give a whole number from 1 to {most:,}")
    if not 0 <= arguments.seed < 2**64:
        raise SettingsError(f"--seed is {arguments.seed}; give a whole number from 0 to 2**64 - 1")
    start, step = _start(arguments.start), _step(arguments.step)
    plant = Plant(
        sensors=arguments.sensors,
        channels=arguments.channels,
        seed=arguments.seed,
        start=start,
        step=step,
        every=_every(arguments, step),
    )
    room = (_LATEST - start) // step
    if arguments.records is not None and arguments.records > room:
        raise SettingsError(f"--records is {arguments.records}; after {room:,} times would lie beyond 2262")
    return Simulation(
        plant=plant,
        names=Names.of(plant, arguments.name),
        moments=arguments.records or room,
        rate=_rate(arguments.rate),
        label=arguments.label,
    )


def _check(arguments: argparse.Namespace, simulation: Simulation) -> None:
    """Refuse what cannot be written, before anything is opened."""
    if (arguments.brokers is None) != (arguments.topic is None):
        raise SettingsError("--brokers and --topic belong together; give both")
    if (arguments.output is None) == (arguments.brokers is None):
        raise SettingsError("say where readings go: -o FILE, -o - for stdout, or --brokers with --topic")
    if _paths(arguments).count(STANDARD) > 1:
        raise SettingsError("-o - and --labels - both want stdout; give one a file")
    check_written({"-o": arguments.output, "--labels": arguments.labels}, ())
    endless = arguments.records is None and simulation.rate is None
    if endless and arguments.output not in (None, STANDARD):
        raise SettingsError("a table without end fills the disk; give --records, or --rate")


def _paths(arguments: argparse.Namespace) -> list[str | None]:
    return [arguments.output, arguments.labels]


def _start(text: str) -> int:
    """The time of the first reading, ns UTC."""
    try:
        at = datetime.now(UTC).replace(microsecond=0) if text == "now" else datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"--start is {shown(text)}; give a time such as 2026-01-01T00:00:00Z, or now"
        ) from None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    ns = (at - _EPOCH) // timedelta(microseconds=1) * 1000
    if not 0 <= ns < _LATEST:
        raise SettingsError(f"--start is {shown(text)}; give a time from 1970 to 2262")
    return ns


def _step(text: str) -> int:
    """From one reading to the next, ns."""
    try:
        step = round(seconds(text) * _NS)
    except (AttributeError, KeyError, ValueError):
        step = 0
    if not 0 < step <= _DAY_S * _NS:
        raise SettingsError(f"--step is {shown(text)}; give a duration up to 1d, such as 10s or 5m")
    return step


def _every(arguments: argparse.Namespace, step: int) -> int:
    """Records of a sensor from one fault to the next."""
    if arguments.faults is None:
        return _USUAL
    if not arguments.faults:
        return 0
    readings = arguments.sensors * _DAY_S * _NS / step  # a day
    if not 0 < arguments.faults <= readings / SHORTEST:
        raise SettingsError(
            f"--faults is {arguments.faults:g}; give 0 to {readings / SHORTEST:.4g} a day: a sensor needs "
            f"{SHORTEST} records for a fault and to be well again"
        )
    return int(min(readings / arguments.faults, _MOST["records"]))


def _rate(text: str) -> float | None:
    """Readings a second; None for as many as can be."""
    if text == "max":
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate < math.inf:
        raise SettingsError(f"--rate is {shown(text)}; give readings a second, such as 200, or max")
    return rate


@contextmanager
def _rows(arguments: argparse.Namespace) -> Iterator[Sink]:
    rows: Sink
    if arguments.output is not None:
        rows = open_sink(arguments.output)
    else:
        brokers = tuple(part.strip() for part in arguments.brokers.split(","))
        rows = TopicRows(KafkaSink(KafkaOptions(brokers=brokers, client=arguments.client), arguments.topic))
    try:
        yield rows
    finally:
        rows.close()


@contextmanager
def _faults(arguments: argparse.Namespace) -> Iterator[Sink | None]:
    if arguments.labels is None:
        yield None
        return
    faults = open_sink(arguments.labels)
    try:
        yield faults
    finally:
        faults.close()


def _said(arguments: argparse.Namespace, written: Written) -> str:
    """What was written, and where to."""
    where = "topic " + arguments.topic if arguments.output is None else Path(arguments.output).name
    to = "stdout" if arguments.output == STANDARD else where
    listed = "" if arguments.labels is None else f", listed in {arguments.labels}"
    planted = count(written.faults, "planted fault")
    return printable(f"{count(written.records, 'reading')} to {to}; {planted}{listed}")
