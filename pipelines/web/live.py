"""The data of a live page, written out when somebody asks, and once for all who ask for the same."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from streamrnn.errors import SettingsError
from streamrnn.pipelines.applied import ask_rate
from streamrnn.pipelines.feedback_command import wish
from streamrnn.pipelines.kept import CHANNELS, SeriesRows
from streamrnn.pipelines.store import SilenceRow, Store
from streamrnn.pipelines.tables import name_text
from streamrnn.pipelines.view import view_of
from streamrnn.pipelines.web.columns import SeriesColumns, columns_of, last_of
from streamrnn.pipelines.web.feed import PageFeed
from streamrnn.pipelines.web.feed_events import FeedEvents
from streamrnn.pipelines.web.header import Header
from streamrnn.pipelines.web.heat import Heat, heat_of, worst_first
from streamrnn.pipelines.web.payload import packed, series_payload
from streamrnn.pipelines.web.threshold import LOWEST, STEP, asked_of, line_of, preview_of, rate_for
from streamrnn.pipelines.words import moment
from streamrnn.records import STATUSES

__all__ = ["LiveData", "Place"]

_KEPT_ANSWERS = 32
_EVENTS_S, _HEAT_S, _THRESHOLD_S = 5.0, 10.0, 5.0  # how old an answer may be
_NS = 1_000_000_000
_MOST_SNOOZED_S = 30 * 86_400
_LONGEST_NAME = 60
_HEAT_SCALE = 30.0  # steps of surprise 1 in the cells of the strip, which are one byte each


@dataclass
class Place:
    """How far a browser is.

    Attributes
    ----------
    code : int
        The series that it shows; -1: none.
    seen : int
        Records of it that it has; -1: none, so that it needs all that are kept.
    events : str
        Which list of events it has.
    """

    code: int = -1
    seen: int = -1
    events: str = ""


class LiveData:
    """Everything that a live page asks for. Any thread may ask.

    Parameters
    ----------
    feed : PageFeed
    header : Header
    path : str or Path
        Of the store.
    title : str
    clock : callable
        Seconds, never falling.

    Attributes
    ----------
    run : str
        Another one for each process, so that a page notices a restart.
    """

    def __init__(
        self,
        feed: PageFeed,
        header: Header,
        path: str | Path,
        title: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.run = secrets.token_hex(8)
        self._feed, self._header, self._path = feed, header, path
        self._title, self._clock = title, clock
        self._events = FeedEvents(path, feed)
        self._answers = _Answers()
        self._known: dict[int, tuple[int, SeriesColumns]] = {}  # of series that are looked at, and when

    def page(self) -> bytes:
        """What there is: series, channels, and the figures that are filled with them."""
        return self._answers.get(("page", self._feed.n_series()), self._page)

    def series(self, code: int, *, whole: bool) -> bytes:
        """All kept rows of a series, of the whole run or the newest.

        Raises
        ------
        IndexError
            Where there is no such series.
        """
        if not 0 <= code < self._feed.n_series():
            raise IndexError(code)
        key = ("series", code, whole, self._feed.newest.seen(code))
        return self._answers.get(key, lambda: orjson.dumps(self._rows(code, whole=whole)))

    def news(self, place: Place) -> bytes:
        """What is new for a browser, which then has it."""
        now = int(self._clock())
        tiles = self._answers.get(("header", now), lambda: self._dumped(map(asdict, self._header.tiles())))
        parts = [f'"run":"{self.run}","n_series":{self._feed.n_series()},"tiles":'.encode() + tiles]
        parts.append(b'"asked":' + orjson.dumps(asked_of(self._feed.coding.fleet.settings)))
        version = f"{self._feed.said_version}-{int(self._clock() / _EVENTS_S)}"
        events = self._answers.get(("events", version), lambda: self._dumped(self._events.newest()))
        if place.events != (held := str(hash(events))):
            place.events = held
            parts.append(b'"events":' + events)
        seen = self._feed.newest.seen(place.code)
        if 0 <= place.code < self._feed.n_series() and seen != place.seen:
            before, place.seen = place.seen, seen
            key = ("new", place.code, before, seen)
            parts.append(
                b'"rows":' + self._answers.get(key, lambda: self._new_rows(place.code, before, seen))
            )
        return b"{" + b",".join(parts) + b"}"

    def heat(self) -> bytes:
        """The strip of the fleet, the most surprising series of late on top."""
        return self._answers.get(("heat", int(self._clock() / _HEAT_S)), self._heat)

    def heat_figure(self) -> bytes:
        """The figure of the strip; it is filled anew as long as there are as many rows."""
        return self._answers.get(("heat figure", int(self._clock() / _HEAT_S)), self._heat_figure)

    def threshold(self, code: int) -> bytes:
        """Events a day at every threshold, of a series and of all."""
        key = ("threshold", code, int(self._clock() / _THRESHOLD_S))
        return self._answers.get(key, lambda: self._threshold(code))

    def line(self, surprise: float, a_day: float | None) -> bytes:
        """What to write into the pipeline file for a threshold."""
        rate = rate_for(self._feed.coding.fleet.settings, surprise, a_day)
        return orjson.dumps({"line": line_of(rate), "false_alarms": rate})

    def apply(self, rate: str | float) -> bytes:
        """Ask the daemon to go on with another rate of false alarms, until it reads its file again.

        Raises
        ------
        SettingsError
            Where the rate is out of range.
        """
        with Store(self._path, beside=True) as store:
            return orjson.dumps({"asked": asked_of(ask_rate(store, self._feed.coding.fleet.settings, rate))})

    def alike(self, verb: str, id: str) -> bytes:
        """Which alerts of the past a word on an event is about, too."""
        with Store(self._path, readonly=True) as store:
            asked = wish(store, verb, id)
        began = [moment(row.payload["start"] or row.time) for row in asked.alerts]
        return orjson.dumps(
            {"alerts": [{"id": row.payload["event"]} for row in asked.alerts], "began": began}
        )

    def say(self, verb: str, id: str) -> bytes:
        """Ask the daemon to hear a word on an event."""
        with Store(self._path, beside=True) as store:
            asked = wish(store, verb, id)
            asked.put(store)
        self._feed.said[asked.event] = asked.mark
        self._feed.news_of_users()
        return orjson.dumps({"event": asked.event})

    def snooze(self, event: str, seconds: float) -> bytes:
        """Have nobody hear of an event's series for so long; 0 ends that.

        Raises
        ------
        SettingsError
            Where there is no such event.
        """
        now = time.time_ns()
        until = (now // _NS + round(min(max(seconds, 0.0), _MOST_SNOOZED_S))) * _NS
        with Store(self._path, beside=True) as store:
            row = next((row for row in store.events() if row.id == event), None)
            if row is None:
                raise SettingsError("there is no such event any more")
            asked = [f'series="{row.payload["series"]}"']
            over = [SilenceRow(old.id, now, old.body) for old in store.silences(now)]
            with store.deciding():
                for old in over:
                    if old.body["matchers"] == asked:
                        store.silence_put(old)
                if seconds > 0.0:
                    body = {"matchers": asked, "comment": "from the live page"}
                    store.silence_put(SilenceRow(f"{now:x}", until, body))
        self._feed.news_of_users()
        return orjson.dumps({"until": f"{moment(until)} UTC"})

    def _page(self) -> bytes:
        from streamrnn.pipelines.web.figures import charts_item

        fleet, n = self._feed.coding.fleet, self._feed.n_series()
        rows = self._feed.latest(0)[0] if n else None
        timed = not rows or view_of(rows).timed  # until there is one, records are taken to have times
        page = {
            "run": self.run,
            "title": self._title,
            "timed": timed,
            "series": list(range(n)),
            "n_series": max(len(fleet.keys), n),
            "names": self._names(range(n)),
            "channels": [name_text(name) for name in fleet.settings.channels[:CHANNELS]],
            "statuses": STATUSES,
            "first": self._worst(n)[0] if n else 0,
            "charts": charts_item(timed=timed, preview=True),
            "lowest": LOWEST,
            "step": STEP,
        }
        return self._dumped(page)

    def _worst(self, n: int) -> list[int]:
        """Series by what is most surprising in their newest rows."""
        kept = min(n, self._feed.n_kept)
        return [*worst_first(self._feed, range(kept)), *range(kept, n)]

    def _rows(self, code: int, *, whole: bool) -> dict[str, Any]:
        rows, seen = self._feed.latest(code)
        if whole and code < self._feed.n_kept:
            rows = self._feed.series(code)
        return {**series_payload(self._columns(rows)), "seen": seen, "most": len(rows)}

    def _new_rows(self, code: int, before: int, seen: int) -> bytes:
        """Rows of the records from one count to another; all, where those between are gone."""
        held, known = self._feed.newest.held(code), self._known.get(code)
        anew = not 0 <= before < seen or seen - before > held // 2
        if anew or known is None or seen - known[0] > held // 2:  # step and limits change slowly
            columns = self._columns(self._rows_between(code, 0, seen))
            self._known[code] = seen, replace(columns, rows={}, channels=())
        else:  # with one row more: there may be a gap behind it
            columns = self._columns(self._rows_between(code, before - 1, seen), known[1])
        if not anew:
            columns = last_of(columns, seen - before)
        place = {"code": code, "seen": seen, "all": anew, "most": held}
        return orjson.dumps({**series_payload(columns), **place})

    def _rows_between(self, code: int, since: int, seen: int) -> SeriesRows:
        """Rows from one count of records to another; more may have come meanwhile."""
        rows, now = self._feed.latest(code, since)
        upto = len(rows) - (now - seen)
        return SeriesRows(1, rows.whole[:upto], rows.numbers[:upto])

    def _columns(self, rows: SeriesRows, like: SeriesColumns | None = None) -> SeriesColumns:
        settings = self._feed.coding.fleet.settings
        n_channels = min(len(settings.channels), CHANNELS)
        return columns_of(rows, n_channels, learns_anomalies=settings.learn_anomalies, like=like)

    def _heat(self) -> bytes:
        heat = self._strip()
        if heat is None:
            return b"{}"
        cells = np.nan_to_num(heat.cells[::-1] * _HEAT_SCALE, nan=255.0)  # from below, as they are drawn
        return self._dumped(
            {
                "codes": heat.codes,
                "start": heat.start,
                "end": heat.end,
                "scale": _HEAT_SCALE,
                "cells": packed(np.minimum(cells, 254.0 + np.isnan(heat.cells[::-1])).astype(np.uint8)),
            }
        )

    def _heat_figure(self) -> bytes:
        from streamrnn.pipelines.web.figures import heat_item

        heat = self._strip()
        return b"{}" if heat is None else self._dumped(heat_item(heat, self._names(heat.codes)))

    def _strip(self) -> Heat | None:
        n = self._feed.n_series()
        if n < 2:
            return None
        order = self._worst(n)
        return heat_of(self._feed, order)

    def _names(self, codes: Sequence[int]) -> list[str]:
        keys = self._feed.coding.fleet.keys
        return [name_text(keys[code], _LONGEST_NAME) or "one series" for code in codes]

    def _threshold(self, code: int) -> bytes:
        previews = {one: preview_of(self._feed.series(one)) for one in range(self._feed.n_kept)}
        timed = any(preview.timed for preview in previews.values())
        rates = {
            one: preview.events / preview.lasted
            for one, preview in previews.items()
            if preview.timed == timed and preview.lasted > 0.0
        }
        mine = rates.get(code)
        said = {
            "timed": timed,
            "n": len(rates),
            "one": None if mine is None else mine.tolist(),
            "all": np.sum(list(rates.values()), axis=0).tolist() if rates else None,
        }
        return orjson.dumps(said)

    @staticmethod
    def _dumped(value: Any) -> bytes:
        return orjson.dumps(
            value if isinstance(value, dict) else list(value), default=list, option=orjson.OPT_NON_STR_KEYS
        )


class _Answers:
    """The newest answers, each made once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: OrderedDict[Hashable, bytes] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """The answer of a key; whoever asks while it is made waits for it."""
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
                while len(self._made) > _KEPT_ANSWERS:
                    self._made.popitem(last=False)
            return self._made[key]
