"""Events of series as rows of the store: one when it opens, one when it is over."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.base import Read
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.coding import Coding
from streamrnn.pipelines.events import Event, OpenEvent, OpenEvents, Part, part_of
from streamrnn.pipelines.following import Follower
from streamrnn.pipelines.signatures import Look
from streamrnn.pipelines.store import EventRow
from streamrnn.records import Batch, Results

__all__ = ["EVENT", "EVENT_OVER", "EventRows"]

EVENT, EVENT_OVER = "event", "event-over"


class EventRows(OpenEvents, Follower):
    """Has the events of all series stored, by the id of the record that opened them.

    Parameters
    ----------
    coding : Coding
        Names of series, channels and partitions.
    state : bytes, optional
        From ``to_bytes``, to go on from.
    """

    def __init__(self, coding: Coding, state: bytes = b"") -> None:
        super().__init__()
        self._coding = coding
        self._rows: list[EventRow] = []
        self._looks: dict[int, Look] = {}
        for event, seen, shares, look in json.loads(state) if state else ():
            parts = tuple(Part(*part) for part in event.pop("parts"))
            known = Event(**event, parts=parts)
            self._open[known.series] = OpenEvent(known, seen, np.array(shares))
            self._looks[known.series] = Look.from_dict(look)

    def scored(self, batch: Read, found: Results) -> None:
        """Take in records and what was found in them."""
        self.add(batch, found)

    def take_events(self) -> list[EventRow]:
        """Events that opened or are over."""
        rows, self._rows = self._rows, []
        return rows

    def to_bytes(self) -> bytes:
        """The open events, to go on from."""
        kept = (
            (asdict(one.event), one.seen, one.shares.tolist(), self._looks[code].to_dict())
            for code, one in self._open.items()
        )
        return json.dumps(list(kept)).encode()

    def _walk(self, batch: Batch, found: Results, rows: NDArray[np.int64]) -> None:
        super()._walk(batch, found, rows)
        if found.event_offset[rows[0]] >= 0:
            series = int(batch.series[rows[0]])
            self._looks[series] = self._looks[series].after(batch, found, rows)

    def _begin(self, batch: Batch, found: Results, rows: NDArray[np.int64]) -> None:
        event = part_of(batch, found, rows[:1]).event  # all else depends on how far the batch goes
        self._looks[event.series] = look = Look.first(batch, found, int(rows[0]))
        body = {**self._body(event), "signature": look.seen._asdict()}
        self._rows.append(EventRow(self._id(event, event.first), EVENT, event.start, body))

    def _end(self, ended: OpenEvent) -> None:
        event = ended.event
        name = self._id(event, event.first)
        time = event.start if event.end == NO_TIME else event.end
        seen = self._looks.pop(event.series).seen._asdict()
        body = {"event": name, **self._body(event), "end": _plain(event.end), "records": event.records}
        body["signature"] = seen
        self._rows.append(EventRow(f"{name}:over", EVENT_OVER, time, body))

    def _id(self, event: Event, offset: int) -> str:
        return f"{self._coding.partition_names[event.partition]}-{offset}"

    def _body(self, event: Event) -> dict[str, Any]:
        channels = self._coding.fleet.settings.channels
        return {
            "series": self._coding.fleet.keys[event.series],
            "start": _plain(event.start),
            "strength": event.strength,
            "alert": event.alert,
            "calibrated": event.calibrated,
            "kind": event.kind,
            "surprise": event.surprise,
            "p_value": 10.0**-event.surprise,
            "peak": event.peak,
            "parts": [{**part._asdict(), "channel": channels[part.channel]} for part in event.parts],
        }


def _plain(time: int) -> int | None:
    """A time as JSON has it; None where there is none."""
    return None if time == NO_TIME else time
