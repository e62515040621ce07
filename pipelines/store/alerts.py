"""Incidents, who was told of them in which message, silences, and channels that want nothing more."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from streamrnn.pipelines.store.file import StoreFile, storable, to_json
from streamrnn.pipelines.store.formats import seal

__all__ = ["Alerts", "GroupRow", "IncidentRow", "MemberRow", "SilenceRow"]

_NEVER = 2**63 - 1


@dataclass(frozen=True)
class IncidentRow:
    """An incident as it was last told.

    Attributes
    ----------
    id : str
    time : int
        When it began, ns UTC, of the stream.
    sequence : int
        Of its last change; an older one never takes the place of a newer.
    open : bool
    news : bool
        Whether nobody has decided yet who hears of the change.
    body : dict
        Labels, annotations and whatever else.
    """

    id: str
    time: int
    sequence: int
    open: bool
    news: bool
    body: dict[str, Any]


@dataclass(frozen=True)
class GroupRow:
    """Incidents that one channel hears of in one message.

    Attributes
    ----------
    id : str
    alike : str
        The same for all groups of one channel and the same group labels.
    state : str
        "gathering", "firing" or "over".
    due : int
        Wall clock of the next message, ns UTC; ``GroupRow.NEVER``: none.
    sent : int
        Of the last one; 0: none.
    body : dict
        Channel, labels and the number of messages so far.
    """

    id: str
    alike: str
    state: str
    due: int
    sent: int
    body: dict[str, Any]

    NEVER = _NEVER


@dataclass(frozen=True)
class MemberRow:
    """An incident in a group.

    Attributes
    ----------
    incident, party : str
        Ids of both.
    about : str
        Channel and series.
    told : int
        Wall clock of the last message, ns UTC; 0: none yet.
    body : dict
        Labels as they were told.
    """

    incident: str
    party: str
    about: str
    told: int
    body: dict[str, Any]


@dataclass(frozen=True)
class SilenceRow:
    """Whom nobody wants to hear of for a while.

    Attributes
    ----------
    id : str
    until : int
        Wall clock, ns UTC.
    body : dict
        Matchers and a comment.
    """

    id: str
    until: int
    body: dict[str, Any]


class Alerts(StoreFile):
    """The part of a store that keeps who must hear what.

    Verbs that write belong into ``deciding()``: all of it is stored, or nothing.
    """

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """One transaction of any of the verbs below, and of ``outbox_put``."""
        with self._transaction():
            yield

    def incidents_put(self, rows: Iterable[IncidentRow]) -> set[str]:
        """Store incidents where they are newer than what is there; the ids of those that were."""
        newer = set()
        for row in rows:
            columns = (
                storable(row.id),
                row.time,
                row.sequence,
                int(row.open),
                int(row.news),
                to_json(row.body),
            )
            held = self._database.execute(
                "SELECT sequence FROM incidents WHERE id = ?", columns[:1]
            ).fetchone()
            if held is None or held[0] < row.sequence:
                self._put("incidents", *columns)
                newer.add(row.id)
        return newer

    def incident_known(self, row: IncidentRow) -> None:
        """It was decided who hears of this change, unless there is a newer one by now."""
        columns = (storable(row.id), row.time, row.sequence, int(row.open), 0, to_json(row.body))
        held = self._rows("SELECT sequence FROM incidents WHERE id = ?", columns[0])
        if held == [(row.sequence,)]:
            self._put("incidents", *columns)

    def incidents(
        self, *, news: bool | None = None, open: bool | None = None, limit: int = _NEVER
    ) -> list[IncidentRow]:
        """Those that are news or not, open or not; in the order of their begin."""
        return self._incidents(
            "SELECT * FROM incidents WHERE news = ifnull(?, news) AND open = ifnull(?, open)"
            " ORDER BY time, id LIMIT ?",
            None if news is None else int(news),
            None if open is None else int(open),
            limit,
        )

    def incidents_untold(self, channels: int) -> list[IncidentRow]:
        """Those that are open, no news, and in groups of fewer than so many channels."""
        return self._incidents(
            "SELECT * FROM incidents AS i WHERE news = 0 AND open = 1"
            " AND (SELECT count(*) FROM members WHERE incident = i.id) < ? ORDER BY time, id",
            channels,
        )

    def incident(self, id: str) -> IncidentRow | None:
        """The incident of that id."""
        return next(iter(self._incidents("SELECT * FROM incidents WHERE id = ?", storable(id))), None)

    def incidents_open(self) -> int:
        """How many are open."""
        return int(self._rows("SELECT count(*) FROM incidents WHERE open = 1 AND news IN (0, 1)")[0][0])

    def incidents_forget(self, keep: int) -> None:
        """Forget all but so many of those that are over and of which nobody is still to hear."""
        self._database.execute(
            "DELETE FROM incidents WHERE id IN (SELECT id FROM incidents AS i WHERE open = 0 AND news = 0"
            " AND NOT EXISTS (SELECT 1 FROM members WHERE incident = i.id)"
            " ORDER BY time DESC, id LIMIT -1 OFFSET ?)",
            (keep,),
        )

    def group_put(self, row: GroupRow) -> None:
        """Store a group in place of what it was."""
        self._put("groups", row.id, storable(row.alike), row.state, row.due, row.sent, to_json(row.body))

    def group(self, id: str) -> GroupRow | None:
        """The group of that id."""
        return next(iter(self._groups("SELECT * FROM groups WHERE id = ?", id)), None)

    def groups_alike(self, alike: str) -> list[GroupRow]:
        """Groups of one channel and the same labels, the newest first."""
        return self._groups("SELECT * FROM groups WHERE alike = ? ORDER BY sent DESC, id", storable(alike))

    def groups_due(self, now: int, *, state: str | None = None) -> list[GroupRow]:
        """Groups whose next message is due."""
        return self._groups(
            "SELECT * FROM groups WHERE state = ifnull(?, state) AND due <= ? ORDER BY due, id", state, now
        )

    def groups_next(self) -> int:
        """When the next message is due; ``GroupRow.NEVER``: none is."""
        return int(self._rows("SELECT coalesce(min(due), ?) FROM groups", _NEVER)[0][0])

    def groups_forget(self, before: int) -> None:
        """Forget groups that were over before some wall clock, and their members."""
        gone = "(SELECT id FROM groups WHERE state = 'over' AND sent < ?)"
        self._database.execute(f"DELETE FROM members WHERE party IN {gone}", (before,))
        self._database.execute(f"DELETE FROM groups WHERE id IN {gone}", (before,))

    def group_drop(self, id: str) -> None:
        """Forget a group that never said anything."""
        self._database.execute("DELETE FROM groups WHERE id = ?", (id,))

    def member_put(self, row: MemberRow) -> None:
        """Store a member in place of what it was."""
        columns = (storable(row.incident), row.party, storable(row.about), row.told, to_json(row.body))
        self._put("members", f"{row.party}/{columns[0]}", *columns)

    def member_drop(self, row: MemberRow) -> None:
        """Take an incident out of a group."""
        self._database.execute("DELETE FROM members WHERE id = ?", (f"{row.party}/{storable(row.incident)}",))

    def members(self, party: str) -> list[tuple[MemberRow, IncidentRow]]:
        """Members of a group with their incidents, in the order of their begin."""
        held = {
            row.id: row
            for row in self._incidents(
                "SELECT * FROM incidents WHERE id IN (SELECT incident FROM members WHERE party = ?)", party
            )
        }
        rows = self._members("SELECT * FROM members WHERE party = ?", party)
        pairs = [(row, held[row.incident]) for row in rows if row.incident in held]
        return sorted(pairs, key=lambda pair: (pair[1].time, pair[1].id))

    def members_open(self, party: str) -> int:
        """How many incidents of a group are open."""
        query = "SELECT count(*) FROM members AS m JOIN incidents AS i ON i.id = m.incident"
        return int(self._rows(f"{query} WHERE m.party = ? AND i.open = 1", party)[0][0])

    def memberships(self, incident: str) -> list[MemberRow]:
        """The groups that an incident is in."""
        return self._members("SELECT * FROM members WHERE incident = ? ORDER BY id", storable(incident))

    def told(self, about: str, since: int) -> list[MemberRow]:
        """What a channel heard of a series since some wall clock."""
        return self._members("SELECT * FROM members WHERE about = ? AND told >= ?", storable(about), since)

    def silence_put(self, row: SilenceRow) -> None:
        """Store a silence in place of what it was."""
        self._put("silences", storable(row.id), row.until, to_json(row.body))

    def silences(self, now: int) -> list[SilenceRow]:
        """Silences that are not over."""
        rows = self._rows("SELECT * FROM silences WHERE until > ? ORDER BY until, id", now)
        return [
            SilenceRow(id, until, json.loads(body)) for id, until, body in self._whole_rows("silences", rows)
        ]

    def silences_forget(self, before: int) -> None:
        """Forget silences that were over before some wall clock."""
        self._database.execute("DELETE FROM silences WHERE until < ?", (before,))

    def channel_disable(self, name: str, reason: str) -> None:
        """A channel wants nothing more; why."""
        self._put("channels", storable(name), to_json({"reason": reason}))

    def channel_enable(self, name: str) -> bool:
        """A channel is to be used again; whether it was not."""
        done = self._database.execute("DELETE FROM channels WHERE id = ?", (storable(name),))
        return done.rowcount > 0

    def channels_disabled(self) -> dict[str, str]:
        """Channels that want nothing more, and why."""
        rows = self._whole_rows("channels", self._rows("SELECT * FROM channels ORDER BY id"))
        return {name: str(json.loads(body)["reason"]) for name, body in rows}

    def capture_put(self, id: str, time: int, data: bytes) -> None:
        """Store what it takes to see an incident again, in place of what was there."""
        self._put("captures", storable(id), time, data)

    def capture(self, id: str) -> bytes | None:
        """What it takes to see an incident again; None where that is gone."""
        rows = self._whole_rows("captures", self._rows("SELECT * FROM captures WHERE id = ?", storable(id)))
        return bytes(rows[0][2]) if rows else None

    def captures_forget(self, keep: int, before: int) -> None:
        """Forget captures of before some time of the stream, and all but the newest so many."""
        self._database.execute(
            "DELETE FROM captures WHERE time < ? OR id IN"
            " (SELECT id FROM captures ORDER BY time DESC, id LIMIT -1 OFFSET ?)",
            (before, keep),
        )

    def _put(self, table: str, *columns: str | int | bytes) -> None:
        places = ", ".join("?" * (len(columns) + 1))
        self._database.execute(f"REPLACE INTO {table} VALUES ({places})", (*columns, seal(table, *columns)))

    def _incidents(self, query: str, *values: str | int | None) -> list[IncidentRow]:
        rows = self._whole_rows("incidents", self._rows(query, *values))
        return [
            IncidentRow(id, time, sequence, bool(is_open), bool(news), json.loads(body))
            for id, time, sequence, is_open, news, body in rows
        ]

    def _groups(self, query: str, *values: str | int | None) -> list[GroupRow]:
        rows = self._whole_rows("groups", self._rows(query, *values))
        return [
            GroupRow(id, alike, state, due, sent, json.loads(body))
            for id, alike, state, due, sent, body in rows
        ]

    def _members(self, query: str, *values: str | int | None) -> list[MemberRow]:
        rows = self._whole_rows("members", self._rows(query, *values))
        return [
            MemberRow(incident, party, about, told, json.loads(body))
            for _, incident, party, about, told, body in rows
        ]
