"""What must be delivered: stored once by its id, kept until it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from streamrnn.errors import StateError
from streamrnn.pipelines.store.file import StoreFile, storable, to_json
from streamrnn.pipelines.store.formats import seal

__all__ = ["WAITING", "Outbox", "OutboxEntry"]

WAITING = "waiting"  # the one state that is tried again; all others are final


@dataclass(frozen=True)
class OutboxEntry:
    """Something to deliver.

    Attributes
    ----------
    id : str
        Made from positions; whoever receives it twice can tell by it.
    kind : str
    payload : dict
    state : str
        "waiting", or a final state such as "delivered".
    attempt : int
        Tries so far.
    due : int
        Not to be tried before; ns UTC.
    error : str
        Of the last try; empty where there was none.
    """

    id: str
    kind: str
    payload: dict[str, Any]
    state: str
    attempt: int
    due: int
    error: str


class Outbox(StoreFile):
    """The part of a store that keeps what must be delivered."""

    def outbox_add(self, id: str, kind: str, payload: dict[str, Any], due: int) -> bool:
        """Store something to deliver; whether its id is new.

        Raises
        ------
        StoreError
            Where it cannot be written.
        """
        row = (storable(id), storable(kind), to_json(payload), WAITING, 0, due, "")
        with self._transaction() as database:
            query = "INSERT OR IGNORE INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            return database.execute(query, (*row, seal("outbox", *row))).rowcount == 1

    def outbox_due(self, now: int, limit: int = 100) -> list[OutboxEntry]:
        """What waits and is due, the longest due first; damaged rows are left out and logged.

        Parameters
        ----------
        now : int
            ns UTC.
        limit : int

        Raises
        ------
        StateError, StoreError
            Where the file cannot be read.
        """
        query = "SELECT * FROM outbox WHERE state = ? AND due <= ? ORDER BY due, id LIMIT ?"
        return [
            OutboxEntry(row[0], row[1], json.loads(row[2]), *row[3:])
            for row in self._whole_rows("outbox", self._rows(query, WAITING, now, limit))
        ]

    def outbox_mark(self, id: str, state: str, attempt: int, next_due: int, error: str = "") -> None:
        """Note how a try went.

        Raises
        ------
        KeyError
            Where nothing has that id.
        StateError
            Where it is damaged.
        StoreError
            Where it cannot be written.
        """
        rows = self._rows("SELECT * FROM outbox WHERE id = ?", storable(id))
        if not rows:
            raise KeyError(id)
        if not (whole := self._whole_rows("outbox", rows)):
            raise StateError(f"{self._name} is damaged: what was to be delivered as {id!r} cannot be read")
        row = (*whole[0][:3], storable(state), attempt, next_due, storable(error))
        with self._transaction() as database:
            database.execute(
                "REPLACE INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, seal("outbox", *row))
            )

    def outbox_counts(self) -> dict[str, int]:
        """How many there are of each state.

        Raises
        ------
        StateError, StoreError
            Where the file cannot be read.
        """
        return dict(self._rows("SELECT state, count(*) FROM outbox GROUP BY state ORDER BY state"))
