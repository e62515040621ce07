"""What must be delivered: stored once by its id, kept until it is."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
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
        with self._transaction():
            return self.outbox_put(id, kind, payload, due)

    def outbox_put(self, id: str, kind: str, payload: dict[str, Any], due: int) -> bool:
        """The same within a transaction of more."""
        row = (storable(id), storable(kind), to_json(payload), WAITING, 0, due, "")
        query = "INSERT OR IGNORE INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        return self._database.execute(query, (*row, seal("outbox", *row))).rowcount == 1

    def outbox_due(self, now: int, limit: int = 100, *, kind: str | None = None) -> list[OutboxEntry]:
        """What waits and is due, the longest due first; damaged rows are left out and logged.

        Of ids that are alike up to a full stop the lowest that waits comes first, the
        others not before it is done.

        Parameters
        ----------
        now : int
            ns UTC.
        limit : int
        kind : str, optional

        Raises
        ------
        StateError, StoreError
            Where the file cannot be read.
        """
        query = (
            "SELECT * FROM outbox AS o WHERE state = ? AND due <= ? AND kind = ifnull(?, kind)"
            # Not by the index of what is due: that would look at all that waits for each.
            " AND NOT EXISTS (SELECT 1 FROM outbox NOT INDEXED WHERE state = o.state AND id < o.id"
            " AND id > substr(o.id, 1, instr(o.id, '.')) AND instr(o.id, '.') > 0)"
            " ORDER BY due, id LIMIT ?"
        )
        return self._entries(query, WAITING, now, None if kind is None else storable(kind), limit)

    def outbox_kinds_due(self, now: int) -> list[str]:
        """Kinds of which something is due."""
        query = "SELECT DISTINCT kind FROM outbox WHERE state = ? AND due <= ? ORDER BY kind"
        return [kind for (kind,) in self._rows(query, WAITING, now)]

    def outbox_next(self) -> int | None:
        """When the first of what waits is due, ns UTC; None where nothing waits."""
        found = self._rows("SELECT min(due) FROM outbox WHERE state = ?", WAITING)
        return None if found[0][0] is None else int(found[0][0])

    def outbox_list(self, state: str | None = None, limit: int = 1000) -> list[OutboxEntry]:
        """What is there, the newest due first."""
        query = "SELECT * FROM outbox WHERE state = ifnull(?, state) ORDER BY due DESC, id LIMIT ?"
        return self._entries(query, state, limit)

    def outbox_hasten(self, kind: str, now: int) -> None:
        """Have all that waits of a kind be due."""
        query = "SELECT * FROM outbox WHERE state = ? AND kind = ? AND due > ?"
        with self._transaction():
            for entry in self._entries(query, WAITING, storable(kind), now):
                self._rewrite(replace(entry, due=now))

    def outbox_revive(self, id: str, now: int) -> bool:
        """Have something that does not wait be due once more, with all its tries; whether it is there."""
        with self._transaction():
            found = self._entries("SELECT * FROM outbox WHERE id = ?", storable(id))
            for entry in found:
                self._rewrite(replace(entry, state=WAITING, attempt=0, due=now))
        return bool(found)

    def outbox_forget(self, keep: int) -> None:
        """Forget all but the newest so many of those that do not wait."""
        with self._transaction() as database:
            database.execute(
                "DELETE FROM outbox WHERE id IN"
                " (SELECT id FROM outbox WHERE state <> ? ORDER BY due DESC, id LIMIT -1 OFFSET ?)",
                (WAITING, keep),
            )

    def _entries(self, query: str, *values: str | int | None) -> list[OutboxEntry]:
        return [
            OutboxEntry(row[0], row[1], json.loads(row[2]), *row[3:])
            for row in self._whole_rows("outbox", self._rows(query, *values))
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
        if not self._whole_rows("outbox", rows):
            raise StateError(f"{self._name} is damaged: what was to be delivered as {id!r} cannot be read")
        (entry,) = self._entries("SELECT * FROM outbox WHERE id = ?", storable(id))
        with self._transaction():
            self._rewrite(replace(entry, state=state, attempt=attempt, due=next_due, error=error))

    def _rewrite(self, entry: OutboxEntry) -> None:
        """Store an entry in place of what it was, within a transaction."""
        head = (entry.id, entry.kind, to_json(entry.payload))
        row = (*head, storable(entry.state), entry.attempt, entry.due, storable(entry.error))
        self._database.execute(
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
