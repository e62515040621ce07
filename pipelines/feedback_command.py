"""``streamrnn alerts not-an-anomaly``, ``confirm`` and ``forget``: what a user says of an event."""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote
from typing import Any

from streamrnn.connectors.text import shown
from streamrnn.errors import SettingsError
from streamrnn.feedback import CONFIRMED, DISMISSED, FORGOTTEN, Signature, alike
from streamrnn.pipelines.event_rows import EVENT, EVENT_OVER
from streamrnn.pipelines.grouping import fingerprint
from streamrnn.pipelines.incident import GAP
from streamrnn.pipelines.store import EventRow, Store
from streamrnn.pipelines.words import count, moment

__all__ = ["Wish", "say", "signature_of", "wish"]

_MARKS = {"not-an-anomaly": DISMISSED, "confirm": CONFIRMED, "forget": FORGOTTEN}
_MOST_NAMED = 10


@dataclass(frozen=True)
class Wish:
    """What a user would have a daemon know of an event.

    Attributes
    ----------
    event : str
        Its id.
    series : str
    mark : int
        ``DISMISSED``, ``CONFIRMED`` or ``FORGOTTEN``.
    seen : Signature
        What the event looked like.
    alerts : list of EventRow
        Other alerts of the series' past that look the same.
    """

    event: str
    series: str
    mark: int
    seen: Signature
    alerts: list[EventRow]

    def put(self, store: Store) -> None:
        """Ask a daemon for it, whether it runs or not.

        Raises
        ------
        StoreError
            Where it cannot be written.
        """
        partition, _, offset = self.event.rpartition("-")
        body = {"series": self.series, "partition": partition, "offset": int(offset), "mark": self.mark}
        store.request_put({**body, "seen": [list(part) for part in self.seen]})


def wish(store: Store, verb: str, id: str) -> Wish:
    """What a verb says of an event, an incident or a fingerprint of either.

    Raises
    ------
    SettingsError
        Where there is no such event, or it is a silence.
    """
    events = {row.id: row for row in store.events(kind=EVENT)}
    over = {str(row.payload["event"]): row for row in store.events(kind=EVENT_OVER)}
    event = _named(store, events, id)
    latest = over.get(event, events[event])
    series, seen = latest.payload["series"], signature_of(latest)
    others = [row for name, row in over.items() if name != event and row.payload["series"] == series]
    same = zip(others, alike(seen, [signature_of(row) for row in others]), strict=True)
    alerts = [row for row, looks_alike in same if looks_alike and row.payload["alert"]]
    return Wish(event, series, _MARKS[verb], seen, alerts)


def say(store: Store, verb: str, id: str, file: str) -> list[str]:
    """Ask a daemon for it, whether it runs or not; what to tell the user.

    Parameters
    ----------
    store : Store
        Opened beside the daemon.
    verb : str
    id : str
        Of an incident, its fingerprint, or of an event.
    file : str
        The pipeline file.

    Raises
    ------
    SettingsError
        Where there is no such event, or it is a silence.
    StoreError
        Where it cannot be written.
    """
    asked = wish(store, verb, id)
    asked.put(store)
    which = f"event {asked.event}" + (f" of {asked.series}" if asked.series else "")
    if asked.mark == FORGOTTEN:
        return [f"{which}: what was said of it is taken back; `streamrnn run` takes that in at its next beat"]
    treated = "stay loud" if asked.mark == CONFIRMED else "raise no alert"
    return [
        f"{which}: what looks like it will {treated}; `streamrnn run` takes that in at its next beat",
        *_past(store, asked.mark, asked.alerts),
        f"take it back: streamrnn alerts forget {fingerprint(asked.event)} --file {quote(file)}",
    ]


def _named(store: Store, events: dict[str, EventRow], id: str) -> str:
    """Id of the event that a user means."""
    names = {id} | {name for name in events if fingerprint(name) == id}
    incident = store.incident(id)
    rows = [incident] if incident else [row for row in store.incidents() if fingerprint(row.id) == id]
    if rows and rows[0].body["labels"].get("kind") == GAP:
        raise SettingsError(f"{shown(id)} is a silence; what says nothing looks like nothing")
    name = next(iter(names & events.keys()), None)
    if name is None:
        raise SettingsError(
            f"there is no event {shown(id)}, or it is forgotten, or a second old; "
            "`streamrnn alerts list --all` shows incidents"
        )
    return name


def signature_of(row: EventRow) -> Signature:
    """What an event looked like, as the store has it."""
    signature: dict[str, Any] = row.payload["signature"]
    return Signature(**signature)


def _past(store: Store, mark: int, rows: list[EventRow]) -> list[str]:
    """Which alerts of the past look the same."""
    would = "would have hidden" if mark == DISMISSED else "looks like"
    if not rows:
        return [f"it {would} no other alert of the past"]
    lines = [f"it {would} {count(len(rows), 'other alert')} of the past:"]
    for row in rows[-_MOST_NAMED:]:
        name = str(row.payload["event"])
        what = "incident" if store.incident(name) else "event"
        lines.append(f"  {what} {fingerprint(name)}  {moment(row.payload['start'] or row.time)}  {name}")
    more = len(rows) - _MOST_NAMED
    return [*lines, f"  and {count(more, 'older one')}"] if more > 0 else lines
