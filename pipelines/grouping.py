"""From incidents to messages: who is told what, and when, by the wall clock.

Incidents that start together are a group: each channel hears of it in one message
when it fires and in one when all of it is over. Everything that is decided stands in
the store, in the transaction that also stores the messages made of it, so that no
crash loses a message or makes one twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from streamrnn.connectors.notifications import Alert, Notification, Status, to_json
from streamrnn.pipelines.matchers import Matcher, matchers, matches
from streamrnn.pipelines.routing import Routing
from streamrnn.pipelines.rules import SEVERITIES
from streamrnn.pipelines.store import GroupRow, IncidentRow, MemberRow, Store
from streamrnn.pipelines.store.moving import home_of

__all__ = ["MOST_ALERTS", "Desk", "fingerprint"]

MOST_ALERTS = 100  # in one message; how many more there are is said
_AT_ONCE = 500  # news decided in one transaction: the intake waits for it
_HELD_NS = 30_000_000_000  # how often to look again at incidents that nobody was told of
_KEEP_NS = 7 * 86_400_000_000_000  # groups that are over
_KEPT = 10_000  # incidents that are over
_GATHERING, _FIRING, _OVER = "gathering", "firing", "over"

Member = tuple[MemberRow, IncidentRow]


class Desk:
    """Decides who is told what.

    Parameters
    ----------
    store : Store
        A connection of its own.
    routing : Routing
    apart : bool
        Whether incidents of different partitions never share a group, so that each
        partition can go to another daemon with all that is to be said of it.
    """

    def __init__(self, store: Store, routing: Routing, *, apart: bool = False) -> None:
        self._store, self.routing, self._apart = store, routing, apart
        self._looked_again = 0
        self._silences: list[tuple[Matcher, ...]] = []
        self._open: list[tuple[str, Mapping[str, str]]] = []

    def step(self, now: int) -> None:
        """Decide on all that is new or due.

        Parameters
        ----------
        now : int
            Wall clock, ns UTC.

        Raises
        ------
        StateError, StoreError
            Where the store cannot be read or written; nothing is decided then.
        """
        store = self._store
        news = store.incidents(news=True, limit=_AT_ONCE)
        held: list[IncidentRow] = []
        if now - self._looked_again >= _HELD_NS:
            self._looked_again = now
            untold = store.incidents_untold(len(self.routing.everyone))
            held = [row for row in untold if self._untold(row, now)]
        if not news and not held and store.groups_next() > now:
            return
        with store.deciding():
            self._look_around(now)
            for incident in news:
                self._route(incident, now)
                store.incident_known(incident)
            for incident in held:
                self._route(incident, now)
            for group in store.groups_due(now):
                self._due(group, now)
            for party in dict.fromkeys(
                m.party for row in news if not row.open for m in store.memberships(row.id)
            ):
                self._see_whether_over(party, now)
        if len(news) == _AT_ONCE:
            self.step(now)

    def next_due(self) -> int:
        """When to step again at the latest, ns UTC."""
        return min(self._store.groups_next(), self._looked_again + _HELD_NS)

    def leave(self, now: int) -> None:
        """Have groups that wait for company go now."""
        self.step(now)
        with self._store.deciding():
            self._look_around(now)
            for group in self._store.groups_due(GroupRow.NEVER, state=_GATHERING):
                self._due(group, now)

    def tidy(self, now: int) -> None:
        """Forget what is long over."""
        with self._store.deciding():
            self._store.groups_forget(now - max(_KEEP_NS, self.routing.cooldown_ns))
            self._store.incidents_forget(_KEPT)
            self._store.silences_forget(now - _KEEP_NS)

    def _look_around(self, now: int) -> None:
        """Silences, and open incidents where they may inhibit others."""
        self._silences = [matchers(row.body["matchers"]) for row in self._store.silences(now)]
        self._open = []
        if self.routing.inhibitions:
            self._open = [(row.id, _labels(row)) for row in self._store.incidents(open=True)]

    def _is_muted(self, incident: IncidentRow) -> bool:
        labels = _labels(incident)
        if any(matches(silence, labels) for silence in self._silences):
            return True
        return self.routing.inhibited(labels, incident.id, self._open)

    def _route(self, incident: IncidentRow, now: int) -> None:
        """Put an incident into a group of every channel that is to hear of it and has not."""
        untold = self._untold(incident, now)
        if not untold or self._is_muted(incident):
            return
        for channel in untold:
            about = json.dumps([channel, incident.body["labels"].get("series", "")])
            if not self._is_cooling(incident, about, now):
                group = self._group_for(channel, incident, now)
                self._store.member_put(MemberRow(incident.id, group.id, about, 0, {}))

    def _untold(self, incident: IncidentRow, now: int) -> list[str]:
        """Channels that are to hear of an incident and are in no group that does."""
        told = [json.loads(row.about)[0] for row in self._store.memberships(incident.id)]
        return [name for name in self.routing.channels(_labels(incident), now) if name not in told]

    def _is_cooling(self, incident: IncidentRow, about: str, now: int) -> bool:
        """Whether the channel heard of the series lately, and nothing worse has come."""
        severity = SEVERITIES.index(incident.body["severity"])
        lately = self._store.told(about, max(now - self.routing.cooldown_ns, 0) + 1)
        return any(SEVERITIES.index(row.body["labels"]["severity"]) >= severity for row in lately)

    def _group_for(self, channel: str, incident: IncidentRow, now: int) -> GroupRow:
        """The group of its channel and labels that still gathers, or a new one."""
        labels = self.routing.group_labels(_labels(incident))
        home = [home_of(incident.id)] if self._apart else []
        alike = json.dumps([channel, labels, *home], sort_keys=True)
        groups = self._store.groups_alike(alike)
        for group in groups:
            if group.state == _GATHERING:
                return group
        earlier = max((int(group.body["fired"]) for group in groups), default=-self.routing.interval_ns)
        due = max(now + self.routing.wait_ns, earlier + self.routing.interval_ns)
        name = hashlib.sha256(f"{alike}\n{incident.id}".encode("utf-8", "backslashreplace")).hexdigest()[:16]
        body = {"channel": channel, "labels": labels, "messages": 0, "fired": 0}
        group = GroupRow(name, alike, _GATHERING, due, 0, body)
        self._store.group_put(group)
        return group

    def _due(self, group: GroupRow, now: int) -> None:
        """A group has gathered, or is said again."""
        members = self._store.members(group.id)
        if group.state == _GATHERING:
            for row, incident in members:
                if self._is_muted(incident):
                    self._store.member_drop(row)  # looked at again while it is open
            members = self._store.members(group.id)
            if not members:
                self._store.group_drop(group.id)
                return
            group = replace(group, body={**group.body, "fired": now})
        said = [m for m in members if group.state == _GATHERING or (m[1].open and not self._is_muted(m[1]))]
        next_due = now + self.routing.repeat_ns if self.routing.repeat_ns else GroupRow.NEVER
        group = replace(group, state=_FIRING, due=next_due)
        self._say(group, said, "firing", now)
        self._see_whether_over(group.id, now)

    def _see_whether_over(self, party: str, now: int) -> None:
        """Say so when no incident of a group is open any more."""
        group = self._store.group(party)
        if group is None or group.state != _FIRING or self._store.members_open(party):
            return
        over = replace(group, state=_OVER, due=GroupRow.NEVER)
        self._say(over, self._store.members(party), "resolved", now)

    def _say(self, group: GroupRow, members: Sequence[Member], status: Status, now: int) -> None:
        """Store a message and that it was made."""
        number = int(group.body["messages"]) + bool(members)
        self._store.group_put(replace(group, sent=now, body={**group.body, "messages": number}))
        if not members:
            return
        alerts = []
        for row, incident in members:
            labels = row.body.get("labels") or _labels(incident)  # the same while it lasts
            self._store.member_put(replace(row, told=now, body={"labels": dict(labels)}))
            alerts.append(_alert(incident, labels, status))
        alerts.sort(key=lambda alert: -SEVERITIES.index(alert.labels["severity"]))
        channel = str(group.body["channel"])
        notification = Notification(
            id=f"{group.id}-{number}",
            group_key=group.id,
            status=status,
            receiver=channel,
            alerts=tuple(alerts[:MOST_ALERTS]),
            truncated=max(len(alerts) - MOST_ALERTS, 0),
            group_labels=group.body["labels"],
            sent_at=now,
        )
        # Numbers of as many digits sort as they count: a resolve never overtakes its firing.
        self._store.outbox_put(f"{group.id}.{number:06d}", channel, to_json(notification), now)


def fingerprint(id: str) -> str:
    """An incident's id as text that any receiver takes."""
    return hashlib.sha256(id.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _labels(incident: IncidentRow) -> dict[str, str]:
    return {**incident.body["labels"], "severity": incident.body["severity"]}


def _alert(incident: IncidentRow, labels: Mapping[str, str], status: Status) -> Alert:
    body: dict[str, Any] = incident.body
    return Alert(
        fingerprint=fingerprint(incident.id),
        status=status,
        labels=labels,
        annotations=body["annotations"],
        starts_at=int(body["starts_at"]),
        ends_at=int(body["ends_at"]) if status == "resolved" else None,
        values=body["values"],
    )
