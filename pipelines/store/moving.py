"""What a store keeps of the alerts of one partition, to hand over to another store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from streamrnn.pipelines.store.file import StoreFile, storable
from streamrnn.pipelines.store.formats import seal

__all__ = ["Moving", "Rows", "home_of"]

Rows = Mapping[str, Sequence[Sequence[Any]]]
"""Rows of tables, without their seals."""

_MOST_GROUPS, _MOST_OVER = 500, 200  # groups of incidents, and incidents that are over; the newest
_COLUMNS = {"incidents": 7, "members": 7, "groups": 7, "outbox": 8, "silences": 4, "events": 5}
_PLACES = {table: ", ".join("?" * columns) for table, columns in _COLUMNS.items()}
_OF_ONE_HOME = ("incidents", "members", "groups", "outbox")


def home_of(id: str) -> str:
    """The partition that an incident or an event is of; its id is made of positions.

    Examples
    --------
    >>> home_of("flow-3-500"), home_of("gap:flow-3-500"), home_of("flow-3-500:over")
    ('flow-3', 'flow-3', 'flow-3')
    """
    return id.removeprefix("gap:").removesuffix(":over").rpartition("-")[0]


class Moving(StoreFile):
    """The part of a store whose rows go where a partition goes.

    Incidents of several partitions must not share a group (``Desk``).
    """

    def home_rows(self, home: str) -> Rows:
        """What another store needs to tell of a partition's incidents what is still to be told.

        Raises
        ------
        StoreError
            Where it cannot be read.
        """
        home = storable(home)
        with self._reading():
            incidents = self._incidents_of(home)
            ids = [row[0] for row in incidents]
            members = list(self._each("members", "incident = ?", ids))
            parties = dict.fromkeys(row[2] for row in members)
            groups = sorted(self._each("groups", "id = ?", parties), key=lambda row: (-row[4], row[0]))
            groups = groups[:_MOST_GROUPS]
            kept = {row[0] for row in groups}
            outbox = [row for group in kept for row in self._messages(group)]
            silences = self._whole_rows("silences", self._rows("SELECT * FROM silences ORDER BY id"))
            events = list(self._each("events", "id = ?", [*ids, *(f"{id}:over" for id in ids)]))
        return {
            "incidents": incidents,
            "members": [row for row in members if row[2] in kept],
            "groups": groups,
            "outbox": sorted(outbox),
            "silences": silences,
            "events": events,
        }

    def home_put(self, rows: Rows) -> None:
        """Go on with what another store had; silences that are known stay as they are here.

        Raises
        ------
        StoreError
            Where it cannot be written.
        """
        with self._transaction() as database:
            for table, places in _PLACES.items():
                verb = "IGNORE" if table == "silences" else "REPLACE"
                sealed = [(*row, seal(table, *row)) for row in rows[table]]
                database.executemany(f"INSERT OR {verb} INTO {table} VALUES ({places})", sealed)

    def home_drop(self, home: str | None = None) -> None:
        """Forget the alerts of a partition, or of all: nobody is told of them from here.

        Raises
        ------
        StoreError
            Where it cannot be written.
        """
        with self._transaction() as database:
            if home is None:
                for table in _OF_ONE_HOME:
                    database.execute(f"DELETE FROM {table}")
                return
            for (id,) in self._ids(storable(home)):
                parties = [row[2] for row in self._each("members", "incident = ?", [id])]
                for party in parties:
                    database.execute(
                        "DELETE FROM outbox WHERE id >= ? AND id < ?", (f"{party}.", f"{party}/")
                    )
                    database.execute("DELETE FROM groups WHERE id = ?", (party,))
                database.execute("DELETE FROM members WHERE incident = ?", (id,))
                database.execute("DELETE FROM incidents WHERE id = ?", (id,))

    def _incidents_of(self, home: str) -> list[Any]:
        """Those that are open, of which somebody is still to hear, and the newest of the others."""
        rows = [row for (id,) in self._ids(home) for row in self._each("incidents", "id = ?", [id])]
        lasting = [row for row in rows if row[3] or row[4]]
        over = sorted((row for row in rows if not (row[3] or row[4])), key=lambda row: (-row[1], row[0]))
        return lasting + over[:_MOST_OVER]

    def _ids(self, home: str) -> list[tuple[str]]:
        """Of a partition's incidents, found by the ends of their ids."""
        found = []
        for start in (home, f"gap:{home}"):
            query = "SELECT id FROM incidents WHERE id >= ? AND id < ? ORDER BY id"
            found += [row for row in self._rows(query, f"{start}-", f"{start}.") if home_of(row[0]) == home]
        return found

    def _messages(self, group: str) -> list[Any]:
        """Of a group, those that wait or were given up."""
        query = "SELECT * FROM outbox WHERE id >= ? AND id < ? AND state <> 'delivered'"
        return self._whole_rows("outbox", self._rows(query, f"{group}.", f"{group}/"))

    def _each(self, table: str, which: str, values: Any) -> Iterator[Any]:
        for value in values:
            yield from self._whole_rows(table, self._rows(f"SELECT * FROM {table} WHERE {which}", value))
