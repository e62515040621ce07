"""What was asked for beside a daemon and waits until it takes it in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from streamrnn.pipelines.store.file import StoreFile, to_json
from streamrnn.pipelines.store.formats import seal

__all__ = ["Request", "Requests"]


@dataclass(frozen=True)
class Request:
    """What somebody wants of a daemon.

    Attributes
    ----------
    id : int
        In the order of asking.
    body : dict
    """

    id: int
    body: dict[str, Any]


class Requests(StoreFile):
    """The part of a store where others ask."""

    def request_put(self, body: dict[str, Any]) -> None:
        """Ask for something.

        Raises
        ------
        StoreError
            Where it cannot be written.
        """
        text = to_json(body)
        with self._transaction() as database:
            newest = database.execute("SELECT coalesce(max(id), 0) FROM requests").fetchone()[0]
            row = (newest + 1, text)
            database.execute("INSERT INTO requests VALUES (?, ?, ?)", (*row, seal("requests", *row)))

    def requests(self) -> list[Request]:
        """What waits, in the order of asking.

        Raises
        ------
        StoreError
            Where it cannot be read.
        """
        rows = self._whole_rows("requests", self._rows("SELECT * FROM requests ORDER BY id"))
        return [Request(id, json.loads(body)) for id, body in rows]

    def request_drop(self, id: int) -> None:
        """It waits no more.

        Raises
        ------
        StoreError
            Where it cannot be written.
        """
        with self._transaction() as database:
            database.execute("DELETE FROM requests WHERE id = ?", (id,))
