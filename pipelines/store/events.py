"""Events and incidents, each stored once by its id."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.store.file import StoreFile, storable, to_json
from streamrnn.pipelines.store.formats import seal

__all__ = ["EventRow", "Events"]


@dataclass(frozen=True)
class EventRow:
    """An event, an incident, or what became of one.

    Attributes
    ----------
    id : str
        Made from positions, so that reading the same records again gives the same.
    kind : str
    time : int
        ns UTC, of the stream.
    payload : dict
        Whatever else; what JSON can hold.
    """

    id: str
    kind: str
    time: int
    payload: dict[str, Any]


class Events(StoreFile):
    """The part of a store that keeps events."""

    def events_add(self, rows: Iterable[EventRow]) -> int:
        """Store those whose ids are new, in one transaction; how many that were.

        Raises
        ------
        StoreError
            Where they cannot be written; none is stored then.
        """
        columns = [(storable(row.id), storable(row.kind), row.time, to_json(row.payload)) for row in rows]
        with self._transaction() as database:
            return database.executemany(
                "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)",
                [(*row, seal("events", *row)) for row in columns],
            ).rowcount

    def events_forget(self, age_ns: int, keep: int) -> int:
        """Forget events that are older than the newest by more than an age; how many that were.

        Of those, and of events without a time, the newest so many stay.

        Raises
        ------
        StoreError
            Where it cannot be written.
        """
        ((count, newest),) = self._rows("SELECT count(*), max(time) FROM events")
        if count <= keep:
            return 0
        newer = "SELECT id FROM events ORDER BY time DESC, length(id) DESC, id DESC LIMIT ?"
        with self._transaction() as database:
            return database.execute(
                f"DELETE FROM events WHERE (time < ? OR time = ?) AND id NOT IN ({newer})",
                (max(newest - age_ns, NO_TIME), NO_TIME, keep),
            ).rowcount

    def events(
        self, *, kind: str | None = None, since: int | None = None, newest: int | None = None
    ) -> list[EventRow]:
        """What is stored, by time and id; damaged rows are left out and logged.

        Parameters
        ----------
        kind : str, optional
        since : int, optional
            ns UTC.
        newest : int, optional
            Only the last so many.

        Raises
        ------
        StateError, StoreError
            Where the file cannot be read.
        """
        rows = self._rows(
            "SELECT * FROM events WHERE kind = ifnull(?, kind) AND time >= ifnull(?, time) "
            "ORDER BY time DESC, id DESC LIMIT ifnull(?, -1)",
            kind,
            since,
            newest,
        )[::-1]
        return [
            EventRow(name, what, time, _read(payload))
            for name, what, time, payload in self._whole_rows("events", rows)
        ]


def _read(payload: str) -> dict[str, Any]:
    """By Python, five times as slowly, only where JSON itself has no word for something, such as NaN."""
    try:
        return orjson.loads(payload)  # type: ignore[no-any-return]
    except orjson.JSONDecodeError:
        return json.loads(payload)  # type: ignore[no-any-return]
