"""Which column of a long table names the series that each record belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.tables.clock import Clock
from streamrnn.connectors.tables.column import Column
from streamrnn.records import Int64Array

if TYPE_CHECKING:
    from streamrnn.connectors.tables.schema import Sample

__all__ = ["codes_of", "find_key"]

_NAMES = (
    *("key", "sensor", "device", "machine", "host", "instance", "station", "series", "unit", "asset", "node"),
    *("meter", "tag", "metric", "site", "turbine", "pump", "item", "server", "location", "signal", "channel"),
)
_SHORT_NAMES = frozenset({"id", "name", "field", "variable", "parameter", "point"})
# Words of columns that say how a machine is, or when, and not which one it is.
_NO_NAMES = frozenset(
    {"status", "state", "mode", "quality", "flag", "type", "kind", "condition", "note", "comment", "message"}
    | {
        "hour",
        "hr",
        "he",
        "minute",
        "hhmm",
        "period",
        "interval",
        "slot",
        "quarter",
        "weekday",
        "month",
        "day",
    }
    | {"step", "cycle", "phase", "alarm", "event", "error", "label", "class", "value", "reading"}
)
_STATES = frozenset(
    {
        "on",
        "off",
        "open",
        "opened",
        "closed",
        "shut",
        "true",
        "false",
        "yes",
        "no",
        "ok",
        "good",
        "bad",
        "auto",
    }
    | {
        "run",
        "running",
        "stop",
        "stopped",
        "idle",
        "active",
        "inactive",
        "normal",
        "high",
        "low",
        "up",
        "down",
    }
)
_TOO_MANY = 0.5  # a key has fewer values than this share of the rows
_DISORDER = 0.02  # share of steps that do not go on, above which a table is several series
_FAR = 10  # usual steps that times go back where another series begins
_ORDER = 0.005  # and at or under which it is one


def find_key(sample: Sample, clock: Clock | None, taken: dict[int, str]) -> tuple[int, ...]:
    """Places of the columns that name a record's series; none where all records are of one.

    A key sorts the times: each of its series goes on in time where the table as
    a whole repeats itself or turns back. Where the whole goes on too, or there
    are no times, only a column that is named like a key is one.
    """
    columns = sample.columns
    able = [p for p, column in enumerate(columns) if p not in taken and _may_name(column)]
    named = [place for place in able if _is_named(columns[place])]
    usual = tuple(place for place in named[:1] if _repeats(columns[place]))
    if clock is None:
        return usual or _counted(sample, named)
    times = clock.read_sample(columns)[: sample.consecutive]
    whole = np.zeros(len(times), np.int64)
    if _disorder(times, whole) <= _DISORDER and not _starts_again(times):
        return usual
    candidates: list[tuple[int, ...]] = [(place,) for place in named]
    others = [place for place in able if place not in named]
    candidates += [(place,) for place in sorted(others, key=lambda p: columns[p].is_numeric)]
    candidates += combinations(able[:8], 2)
    for places in candidates:
        if _disorder(times, codes_of(columns, places, len(times))) <= _ORDER:
            return places
    return usual


def _counted(sample: Sample, named: list[int]) -> tuple[int, ...]:
    """A column that is named like a key and whose series another column counts: unit and cycle."""
    for place in named:
        codes = codes_of(sample.columns, (place,), sample.consecutive)
        others = (column for i, column in enumerate(sample.columns) if i != place)
        if any(c.counts_rows(len(codes), codes) and not c.counts_rows(len(codes)) for c in others):
            return (place,)
    return ()


def _may_name(column: Column) -> bool:
    if column.is_empty or column.readings or column.times is not None or not column.cells:
        return False
    if _NO_NAMES & set(column.words):
        return False
    names = set(column.present)
    if {name.strip().lower() for name in names} <= _STATES:
        return False
    few = 2 <= len(names) <= _TOO_MANY * len(column.present)
    return few and (not column.is_numeric or column.is_whole)


def _is_named(column: Column) -> bool:
    return column.word in _SHORT_NAMES or any(name in column.word for name in _NAMES)


def _repeats(column: Column) -> bool:
    """Whether names come again: text, or few numbers."""
    return not column.is_numeric and len(set(column.present)) < len(column.present)


def codes_of(columns: Sequence[Column], places: Sequence[int], n: int) -> NDArray[np.int64]:
    """(n,) int64: numbers of the first n rows' series."""
    if not places:
        return np.zeros(n, np.int64)
    rows = zip(*(columns[place].cells[:n] for place in places), strict=True)
    codes: dict[tuple[str, ...], int] = {}
    return np.array([codes.setdefault(row, len(codes)) for row in rows], np.int64)


def _starts_again(times: Int64Array) -> bool:
    """Whether times go far back at once, as where series stand one behind the other."""
    steps = np.diff(times)
    on = np.sign(np.median(steps)) * steps if len(steps) else steps
    return bool((on < -_FAR * np.median(np.abs(steps))).any()) if len(steps) else False


def _disorder(times: Int64Array, codes: NDArray[np.int64]) -> float:
    """Share of a series' steps that repeat a time or turn back, in the more usual direction."""
    order = np.argsort(codes, kind="stable")
    same = np.diff(codes[order]) == 0
    steps = np.diff(times[order])[same]
    if not len(steps):
        # Every record is another series: nothing goes on.
        return 1.0 if len(times) > 1 else 0.0
    on = max(int((steps > 0).sum()), int((steps < 0).sum()))
    return 1.0 - on / len(steps)
