"""Silences as events: stored once, by the series' last record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from streamrnn.connectors.base import Read
from streamrnn.pipelines.coding import Coding
from streamrnn.pipelines.following import Follower
from streamrnn.pipelines.silence import GAP, Gap, Silence
from streamrnn.pipelines.store import EventRow

__all__ = ["GAP", "GAP_OVER", "GapEvents"]

GAP_OVER = "gap-over"


class GapEvents(Follower):
    """Has silences stored when they are noticed and when they are over.

    Parameters
    ----------
    silence : Silence
    coding : Coding
        Names of series and partitions.
    fell_silent : callable
        Called of each new silence with the series, the position and the time of its last
        record, and the id of the event.
    """

    def __init__(
        self, silence: Silence, coding: Coding, fell_silent: Callable[[int, tuple[int, int], int, str], None]
    ) -> None:
        self._silence, self._coding, self._fell_silent = silence, coding, fell_silent
        self._rows: list[EventRow] = []

    @property
    def silent(self) -> int:
        """How many series are silent."""
        return self._silence.silent

    def arrived(self, batch: Read) -> None:
        """Take in records."""
        if gaps := self._silence.add(batch):
            keys = self._coding.fleet.keys
            self._rows += [self._row(gap, keys[gap.series]) for gap in gaps]

    def take_events(self) -> list[EventRow]:
        """Silences that are new or over."""
        rows, self._rows = self._rows, []
        return rows

    def to_bytes(self) -> bytes:
        """All that it knows, to go on from."""
        return self._silence.to_bytes()

    @property
    def tunable(self) -> Mapping[str, Any]:
        """How long a series must say nothing."""
        return {"silence": self._silence.limit}

    def retune(self, changes: Mapping[str, Any]) -> None:
        """Go on with another limit."""
        self._silence.retune(changes["silence"])

    def _row(self, gap: Gap, key: str) -> EventRow:
        name = f"{GAP}:{self._coding.partition_names[gap.partition]}-{gap.offset}"
        if gap.over:
            payload = {"event": name, "series": key, "start": gap.start, "end": gap.at}
            return EventRow(f"{name}:over", GAP_OVER, gap.at, payload)
        self._fell_silent(gap.series, (gap.partition, gap.offset), gap.start, name)
        return EventRow(name, GAP, gap.start, {"series": key, "start": gap.start, "noticed": gap.at})
