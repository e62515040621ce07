"""What was committed, and the journal of commands from outside."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from streamrnn.errors import StateError
from streamrnn.pipelines.store.file import StoreFile, to_json
from streamrnn.pipelines.store.formats import seal

__all__ = ["Journal", "JournalEntry"]


@dataclass(frozen=True)
class JournalEntry:
    """A command from outside.

    Attributes
    ----------
    number : int
        1, 2, ... without gaps.
    kind : str
        Such as reload, feedback or silence.
    payload : dict
    positions : dict of str to int
        Of each partition, the offset of the first record that it holds for.
    """

    number: int
    kind: str
    payload: dict[str, Any]
    positions: dict[str, int]


class Journal(StoreFile):
    """The part of a store that keeps positions and commands."""

    def commit(self, positions: dict[str, int], marks: dict[str, Any]) -> None:
        """Store how far outputs have left, and the sinks' own marks, in place of what was there.

        Raises
        ------
        StoreError
            Where it cannot be written; what was committed before stays.
        """
        with self._advancing(positions=positions, marks=marks):
            pass

    def committed(self) -> tuple[dict[str, int], dict[str, Any]]:
        """Positions and marks of the last commit; both empty where there was none.

        Raises
        ------
        StateError
            Where they are damaged. A snapshot's own positions are then the place to
            go on from: outputs since then leave again, with the same ids.
        StoreError
            Where the file cannot be read.
        """
        facts = self._facts()
        return facts.positions, facts.marks

    def journal_add(self, kind: str, payload: dict[str, Any], positions: dict[str, int]) -> int:
        """Store a command with the positions at which it takes effect; its number.

        Raises
        ------
        StoreError
            Where it cannot be written.
        """
        number = self._known_facts().journal + 1
        body = to_json({"kind": kind, "payload": payload, "positions": positions})
        with self._advancing(journal=number) as database:
            row = (number, body, seal("journal", number, body))
            database.execute("INSERT INTO journal VALUES (?, ?, ?)", row)
        self._empty_log(self._database)  # no record brings a command back
        return number

    def journal_forget(self, below: int) -> None:
        """Forget commands that no snapshot needs any more; the newest must stay, it holds the number.

        Raises
        ------
        StoreError
            Where it cannot be written.
        """
        with self._transaction() as database:
            database.execute("DELETE FROM journal WHERE id < ?", (below,))

    def journal(self, after: int = 0) -> list[JournalEntry]:
        """The commands whose numbers are above ``after``, in order.

        Raises
        ------
        StateError
            Where one of them is damaged or missing: without it a run would go another way.
        StoreError
            Where the file cannot be read.
        """
        with self._reading():
            last = self._facts().journal
            rows = self._rows("SELECT id, body, seal FROM journal WHERE id > ? ORDER BY id", after)
        whole = {number: body for number, body, mark in rows if mark == seal("journal", number, body)}
        for number in range(after + 1, last + 1):
            if number not in whole:
                raise StateError(
                    f"{self._name} is damaged: command {number} of {last} in its journal is lost; "
                    "restore a copy, or delete it to begin anew"
                )
        return [JournalEntry(number, **json.loads(body)) for number, body in whole.items()]
