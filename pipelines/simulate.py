"""Readings of a simulated plant to a table or a topic, as fast as possible or in step with a clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from streamrnn.connectors.base import Columns, Sink
from streamrnn.connectors.jsonl import objects_of
from streamrnn.connectors.kafka_sink import KafkaSink
from streamrnn.errors import RetriableError
from streamrnn.pipelines.plant import Block, Plant
from streamrnn.pipelines.planted import Fault

__all__ = ["KEY", "LABEL", "Clock", "Names", "Simulation", "TopicRows", "Written"]

KEY, LABEL = "sensor", "label"  # columns
_ROWS = 8192  # in a block, at most, where there are not more sensors
_BEAT_S = 0.1  # between two blocks of a plant that keeps step
_FLUSH_S = 1.0


class Clock(Protocol):
    """What the time module is."""

    def monotonic(self) -> float:
        """Seconds, never falling."""

    def sleep(self, seconds: float, /) -> None:
        """Wait."""


@dataclass(frozen=True)
class Names:
    """What sensors and channels are called.

    Attributes
    ----------
    sensors, channels : list of str
    """

    sensors: list[str]
    channels: list[str]

    @classmethod
    def of(cls, plant: Plant, prefix: str) -> Names:
        """Those of a plant: ``pump-01`` and so on for the prefix ``pump``."""
        width = len(str(plant.sensors))
        sensors = [f"{prefix}-{number:0{width}}" for number in range(1, plant.sensors + 1)]
        return cls(sensors, list(plant.channel_names))


@dataclass
class Written:
    """How far a simulation got: readings, and faults that have begun."""

    records: int = 0
    faults: int = 0


class TopicRows:
    """Rows as JSON messages to a topic, each under its sensor's name, so that a sensor keeps its order.

    Brokers that are away are waited for, without end: nothing that was made is lost.

    Parameters
    ----------
    sink : KafkaSink
    """

    def __init__(self, sink: KafkaSink) -> None:
        self._sink = sink

    def write(self, columns: Columns) -> None:
        """Take rows; FatalConnectorError where trying again does not help."""
        values, keys = objects_of(columns), [name.encode() for name in columns[KEY]]
        while True:
            with suppress(RetriableError):  # a second has passed meanwhile, and the sink says what is wrong
                return self._sink.write_messages(values, keys)

    def flush(self, timeout_s: float) -> None:
        """Wait until all are acknowledged; raises as ``KafkaSink.flush``."""
        self._sink.flush(timeout_s)

    def close(self) -> None:
        """Disconnect."""
        self._sink.close()


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """A plant and how its readings are written.

    Attributes
    ----------
    plant : Plant
    names : Names
    moments : int
        How many, each with a reading of every sensor.
    rate : float or None
        Readings a second; None: as many as can be.
    label : bool
        Whether rows say, as 0 or 1, if a fault was planted in them.
    """

    plant: Plant
    names: Names
    moments: int
    rate: float | None = None
    label: bool = False

    def run(
        self,
        rows: Sink,
        faults: Sink | None,
        written: Written,
        show: Callable[[int], None] = lambda records: None,
        clock: Clock = time,
    ) -> None:
        """Write all readings, and faults as they begin; ``written`` says how far it got, whatever ends it.

        Raises
        ------
        OSError, StreamrnnError
            Where something cannot be written.
        """
        began, made = clock.monotonic(), 0
        for first in range(0, self.moments, self._at_once):
            n = min(self._at_once, self.moments - first)
            if self.rate is not None:
                clock.sleep(max(0.0, began + made / self.rate - clock.monotonic()))
            block = self.plant.block(first, n)
            rows.write(self._rows(block))
            made += n * self.plant.sensors
            written.records += int(block.present.sum())
            begun = self.plant.faults(first, first + n)
            written.faults += len(begun)
            if faults is not None and (begun or not first):
                faults.write(self._faults(begun))
            if self.rate is not None:
                _hand_on(rows, faults)
            show(written.records)

    @property
    def _at_once(self) -> int:
        """Moments in a block."""
        most = _ROWS if self.rate is None else min(_ROWS, int(self.rate * _BEAT_S))
        return max(1, most // self.plant.sensors)

    def _rows(self, block: Block) -> dict[str, Any]:
        moments, sensors = np.nonzero(block.present)
        names = self.names
        columns: dict[str, Any] = {
            "time": block.times[moments].view("M8[ns]"),
            KEY: [names.sensors[i] for i in sensors.tolist()],
        }
        values = block.values[moments, sensors]
        columns |= {name: values[:, i] for i, name in enumerate(names.channels)}
        if self.label:
            columns[LABEL] = block.faulty[moments, sensors].astype(np.int64)
        return columns

    def _faults(self, faults: list[Fault]) -> dict[str, Any]:
        ends = np.array([(fault.first, fault.last) for fault in faults], np.int64).reshape(-1, 2)
        times = (self.plant.start + ends * self.plant.step).view("M8[ns]")
        channels = ["" if fault.kind == "gap" else self.names.channels[fault.channel] for fault in faults]
        return {
            KEY: [self.names.sensors[fault.sensor] for fault in faults],
            "channel": channels,
            "kind": [fault.kind for fault in faults],
            "first": times[:, 0],
            "last": times[:, 1],
        }


def _hand_on(*sinks: Sink | None) -> None:
    """Let those who follow see what was written; brokers that are away get it later."""
    for sink in sinks:
        if sink is not None:
            with suppress(RetriableError):
                sink.flush(_FLUSH_S)
