"""A live page in a terminal: lines of text, with sparklines."""

from __future__ import annotations

import base64
import math
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from streamrnn.connectors.text import printable
from streamrnn.pipelines.words import number
from streamrnn.records import Float64Array

__all__ = ["Plain", "sparkline"]

_BARS = "▁▂▃▄▅▆▇█"
_MOST_EVENTS = 8
_MOST_CHANNELS = 4
_KEPT = 2048  # records
_CLEAR = "\x1b[H\x1b[2J"
_NAME = 18  # columns


class Plain:
    """Makes text of the news of a live page.

    Parameters
    ----------
    page : mapping
        What there is, as the page tells it.
    code : int
        Of the series that is shown.
    in_place : bool
        Each text takes the place of the last, on a terminal.
    """

    def __init__(self, page: Mapping[str, Any], code: int, *, in_place: bool) -> None:
        self._page, self._code, self._in_place = page, code, in_place
        self._columns: dict[str, Float64Array] = {}
        self._events: list[dict[str, Any]] = []
        self._last = ""

    def take(self, news: Mapping[str, Any]) -> str:
        """What to print now; empty where nothing has changed but the time."""
        if "trouble" in news:
            return printable(news["trouble"])
        self._events = news.get("events", self._events)
        if rows := news.get("rows"):
            self._add(rows)
        body = "\n".join(self._body())
        if body == self._last and not self._in_place:
            return ""
        self._last = body
        head = f"{printable(self._page['title'])}: {_head(news['tiles'])}"
        return f"{_CLEAR if self._in_place else ''}{head}\n{body}\n"

    def _add(self, rows: Mapping[str, Any]) -> None:
        new = {"surprise": _unpacked(rows["rows"]["surprise"])}
        new["threshold"] = _unpacked(rows["rows"]["threshold"])
        for d, channel in enumerate(rows["channels"][:_MOST_CHANNELS]):
            new |= {f"{name}{d}": _unpacked(channel[name]) for name in ("low", "yhat")}
        if not rows["all"] and self._columns:
            new = {name: np.append(self._columns[name], column)[-_KEPT:] for name, column in new.items()}
        self._columns = new

    def _body(self) -> list[str]:
        width = max(min(shutil.get_terminal_size().columns - _NAME - 34, 80), 10)
        lines, columns = [], self._columns
        if self._page["series"] and len(self._page["series"]) > 1:
            lines.append(printable(self._page["names"][self._code]))
        for d, name in enumerate(self._page["channels"][:_MOST_CHANNELS]):
            if len(columns.get(f"low{d}", ())):
                now, expected = _last(columns[f"low{d}"]), _last(columns[f"yhat{d}"])
                lines.append(_line(name, columns[f"low{d}"], width, f"{now}, expected {expected}"))
        if len(columns.get("surprise", ())):
            now, threshold = _last(columns["surprise"]), _last(columns["threshold"])
            lines.append(_line("surprise", columns["surprise"], width, f"{now}, threshold {threshold}"))
        return lines + [_event(event) for event in self._events[:_MOST_EVENTS]]


def sparkline(values: Sequence[float] | Float64Array, width: int) -> str:
    """Values as bars, the newest right; each stands for some of them, by what is farthest from the rest.

    Examples
    --------
    >>> sparkline([0, 0, 0, 7, 0, 0, 3.5, 0], 4)
    '▁█▁▅'
    """
    column = np.asarray(values, np.float64)
    known = column[~np.isnan(column)]
    if not len(known):
        return ""
    middle, low, high = float(np.median(known)), float(known.min()), float(known.max())
    parts = np.array_split(column, min(width, len(column)))
    farthest = [
        max(part[~np.isnan(part)], key=lambda value: abs(value - middle), default=math.nan) for part in parts
    ]
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(" " if math.isnan(value) else _BARS[round((value - low) * scale)] for value in farthest)


def _line(name: str, column: Float64Array, width: int, text: str) -> str:
    safe = printable(name)
    safe = safe if len(safe) <= _NAME else f"{safe[: _NAME - 1]}…"
    return f"{safe:<{_NAME}} {sparkline(column, width)} {text}"


def _head(tiles: Sequence[Mapping[str, str]]) -> str:
    said = {tile["name"]: tile for tile in tiles}
    status = f"{said['Status']['value']} {said['Status']['text']}"
    return printable(f"{status}; {said['Records']['value']}; {said['Series']['value']}")


def _event(event: Mapping[str, Any]) -> str:
    strength = "" if event["surprise"] is None else f", surprise {event['surprise']:.1f}"
    what = f"{event['actual']}, expected {event['expected']}"
    state = "open" if event["open"] else event["lasted"]
    said = f" [{event['said']}]" if event["said"] else ""
    alert = "!" if event["alert"] else " "
    return printable(
        f"{alert} {event['began']}  {event['key']}: {event['looks']} ({state}{strength}): {what}{said}"
    )


def _last(column: Float64Array) -> str:
    known = column[~np.isnan(column)]
    return number(float(known[-1])) if len(known) else "-"


def _unpacked(packed: Mapping[str, Any]) -> Float64Array:
    column = np.frombuffer(base64.b64decode(packed["data"]), f"<{packed['type']}")
    numbers: Float64Array = column.astype(np.float64)
    return numbers + float(packed["base"])
