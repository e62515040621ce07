"""The events of a live page: what the store has, and what users said of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from streamrnn.connectors.text import printable
from streamrnn.feedback import CONFIRMED, DISMISSED, FORGOTTEN, alike
from streamrnn.pipelines.applied import is_rate
from streamrnn.pipelines.coding import Coding
from streamrnn.pipelines.event_rows import EVENT, EVENT_OVER
from streamrnn.pipelines.feedback_command import signature_of
from streamrnn.pipelines.gap_events import GAP, GAP_OVER
from streamrnn.pipelines.journal import FEEDBACK
from streamrnn.pipelines.matchers import Matcher, matcher
from streamrnn.pipelines.store import EventRow, SilenceRow, Store
from streamrnn.pipelines.tables import name_text
from streamrnn.pipelines.web.feed import PageFeed
from streamrnn.pipelines.web.kinds import slug
from streamrnn.pipelines.words import count, duration, moment, number

__all__ = ["MARKS", "FeedEvents", "said_before"]

MARKS = {FORGOTTEN: "", DISMISSED: "not an anomaly", CONFIRMED: "confirmed"}
_SHOWN = 100  # the newest
_ROWS = 2 * _SHOWN + 50  # most events have two rows in the store


def said_before(store: Store, coding: Coding, applied: int) -> dict[str, int]:
    """What was said of the newest events so far, by their ids: known to models, journalled, asked for."""
    names, codes = coding.partition_names, set(coding.fleet.keys)
    said: dict[str, int] = {}
    for key in {row.payload["series"] for row in store.events(newest=_ROWS)} & codes:
        marks = coding.fleet.spoken_of(key)
        said |= {f"{names[event.partition]}-{event.offset}": mark for event, mark in marks.items()}
    later = [entry.payload for entry in store.journal(applied) if entry.kind == FEEDBACK]
    waiting = [request.body for request in store.requests() if not is_rate(request.body)]
    for body in [*later, *waiting]:
        said[f"{body['partition']}-{body['offset']}"] = body["mark"]
    return said


class FeedEvents:
    """The newest 100 events as a page lists and draws them; read anew when there is news.

    Parameters
    ----------
    path : str or Path
        Of the store.
    feed : PageFeed
    """

    def __init__(self, path: str | Path, feed: PageFeed) -> None:
        self._path, self._feed = path, feed
        self._rows: list[EventRow] = []
        self._version = -1  # of the rows
        self._made: list[dict[str, Any]] = []
        self._seen: tuple[Any, ...] = ()  # what was made of

    def newest(self) -> list[dict[str, Any]]:
        """Events, the newest first.

        Raises
        ------
        StateError, StoreError
            Where the store cannot be read.
        """
        version = self._feed.version
        with Store(self._path, readonly=True) as store:
            if version != self._version:
                self._rows = store.events(newest=_ROWS)
            silences = store.silences(time.time_ns())
        seen = (version, self._feed.n_series(), *silences)
        if seen != self._seen:
            self._seen, self._made = seen, self._listed(silences)
        self._version = version
        return self._made

    def _listed(self, silences: Sequence[SilenceRow]) -> list[dict[str, Any]]:
        fleet, n_series = self._feed.coding.fleet, self._feed.n_series()
        codes = {key: code for code, key in enumerate(fleet.keys[:n_series])}
        begun, over = _paired(self._rows)
        listed = list(reversed(begun.items()))[:_SHOWN]
        quiet = _quiet(over.values(), self._feed.said)
        made = []
        for place, (id, row) in enumerate(listed):
            one = _described(id, row, over.get(id), fleet.settings.channels)
            one |= {"number": place + 1, "series": codes.get(row.payload["series"])}
            one |= {"said": MARKS[self._feed.said.get(id, FORGOTTEN)], "quiet": quiet.get(id)}
            made.append({**one, "snoozed": _snoozed(row.payload["series"], silences)})
        return made


def _paired(rows: Sequence[EventRow]) -> tuple[dict[str, EventRow], dict[str, EventRow]]:
    """Events in order, and those of them that are over as they were then, by their ids."""
    over = {str(row.payload["event"]): row for row in rows if row.kind in (EVENT_OVER, GAP_OVER)}
    return {row.id: row for row in rows if row.kind in (EVENT, GAP)}, over


def _described(id: str, row: EventRow, over: EventRow | None, channels: Sequence[str]) -> dict[str, Any]:
    """An event as the page's script knows it; times in ms."""
    body = (over or row).payload
    start, end = body["start"], body.get("end") if over else None
    offset = int(id.rpartition("-")[2])
    last = max(offset + body.get("records", 1) - 1, offset)
    timed, gap = start is not None, row.kind == GAP
    part = body["parts"][0] if body.get("parts") else {}
    low, high = part.get("yhat_lower"), part.get("yhat_upper")
    expected = f"{_number(part.get('yhat'))} ({_number(low)} to {_number(high)})" if part else "records"
    return {
        "place": id,
        "key": name_text(body["series"], 60) or "one series",
        "start": start / 1e6 if timed else offset,
        "end": None if over is None else (_ms(end, start) if timed else last),
        "open": over is None,
        "began": f"{moment(start)} UTC" if timed else f"record {offset:,}",
        "lasted": _lasted(body, start, end) if over else "",
        "gap": gap,
        "kind": "gap" if gap else slug(body["kind"]),
        "looks": "gap" if gap else body["kind"] or "other event",
        "alert": gap or body["alert"],
        "surprise": None if gap else body["surprise"],
        "channel": channels.index(part["channel"]) if part.get("channel") in channels else 0,
        "name": printable(str(part.get("channel", ""))),
        "actual": "none" if gap else _number(part.get("actual")),
        "expected": expected,
    }


def _ms(end: int | None, start: int) -> float:
    return (start if end is None else end) / 1e6


def _lasted(body: dict[str, Any], start: int | None, end: int | None) -> str:
    if start is None or end is None or end <= start:
        return count(body.get("records", 1), "record")
    return duration(end - start)


def _number(value: float | None) -> str:
    return "-" if value is None else number(value)


def _quiet(over: Iterable[EventRow], said: dict[str, int]) -> dict[str, str]:
    """Events of which nothing was said that look like one that is no anomaly, and which one."""
    known = [row for row in over if row.kind == EVENT_OVER]
    found: dict[str, str] = {}
    for one in known:
        if said.get(name := str(one.payload["event"])) != DISMISSED:
            continue
        others = [row for row in known if row.payload["series"] == one.payload["series"]]
        same = alike(signature_of(one), [signature_of(row) for row in others])
        ids = [str(row.payload["event"]) for row, looks in zip(others, same, strict=True) if looks]
        found |= {id: name for id in ids if not said.get(id)}
    return found


def _snoozed(series: str, silences: Sequence[SilenceRow]) -> str:
    """Until what time of day nobody hears of a series, where a silence names it alone."""
    for row in silences:
        asked = [matcher(text) for text in row.body["matchers"]]
        if asked == [Matcher("series", "=", series)]:
            return f"{moment(row.until)[11:16]} UTC"
    return ""
