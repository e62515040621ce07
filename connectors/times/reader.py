"""Columns of text to times: int64 nanoseconds UTC, and a reason for each row that has none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.text import is_missing, shown
from streamrnn.connectors.times.fields import (
    HELP,
    epoch_times,
    excel_times,
    instants,
    no_time,
    split_times,
    text_fields,
)
from streamrnn.connectors.times.formats import NUMERIC, TEXT_PARTS, Reading, patterns, shape
from streamrnn.connectors.times.zones import Zone
from streamrnn.kernels.plan import NO_TIME
from streamrnn.records import Int64Array

__all__ = ["TimeReader"]

BoolArray = NDArray[np.bool_]


class TimeReader:
    """Reads columns of cells as times; how rows are cut into calls changes nothing.

    Where clocks go back, a local time occurs twice: it is read as the first of both
    unless that is not after the newest time of its series, and then as the second.

    Parameters
    ----------
    reading : Reading
        How the cells write times. Epoch counts are exact to the nanosecond; Excel's
        days are rounded to its own resolution, the millisecond.
    tz : str, optional
        Zone of times that carry no offset, as :class:`Zone` takes it; UTC without it.
        Epoch counts are UTC by definition.

    Attributes
    ----------
    newest : (n,) int64
        Of each series the newest time, where clocks may go back: what the second of
        two equal local times is told by.

    Raises
    ------
    SettingsError
        Where the zone is unknown, or a format is.

    Examples
    --------
    >>> reader = TimeReader(Reading(("%d/%m/%Y %H:%M",)), tz="Europe/Rome")
    >>> cells = ["10/03/2004 18:00", "", "31/02/2004 18:00"]
    >>> times, reasons = reader.read([cells], np.zeros(3, np.int32))
    >>> times.view("M8[ns]").astype("M8[m]").astype(str).tolist()
    ['2004-03-10T17:00', 'NaT', 'NaT']
    >>> reasons[2]
    "'31/02/2004 18:00' is no time: its day is 31; correct it, leave it empty where ..."
    """

    def __init__(self, reading: Reading, tz: str | None = None) -> None:
        self._reading = reading
        self._zone = Zone(tz or "UTC")
        self.newest = np.full(1, NO_TIME, np.int64)
        self._patterns = [p for text in reading.formats if text not in NUMERIC for p in patterns(text)]

    @property
    def reading(self) -> Reading:
        """How the cells write times."""
        return self._reading

    def read(
        self, columns: Sequence[Sequence[str]], series: NDArray[np.int32]
    ) -> tuple[Int64Array, dict[int, str]]:
        """The times of some rows, and why those that have a cell but no time have none.

        Parameters
        ----------
        columns : sequence of columns of n cells
            One for each of the reading's parts, or one alone.
        series : (n,) int32
            Which series each row belongs to.

        Returns
        -------
        times : (n,) int64
            Nanoseconds UTC; ``NO_TIME`` where a cell is missing or cannot be read.
        reasons : dict
            From rows that cannot be read to what is wrong and what to do.
        """
        parts = self._reading.parts or TEXT_PARTS[:1]
        named = dict(zip(parts, columns, strict=True))
        text = [named.pop(part) for part in TEXT_PARTS if part in named]
        times, is_utc = np.zeros(len(series), np.int64), np.zeros(len(series), bool)
        reasons: dict[int, str] = {}
        if text:
            cells = text[0] if len(text) == 1 else _beside(text[0], text[1])
            times, is_utc, reasons = self._text(cells)
        if named:
            more, wrong = split_times(named)
            times = np.where((times == NO_TIME) | (more == NO_TIME), NO_TIME, times + more)
            reasons = {**wrong, **reasons}
            times[list(reasons)] = NO_TIME
        return self._placed(times, is_utc, series, reasons, columns), reasons

    def _text(self, cells: Sequence[str]) -> tuple[Int64Array, BoolArray, dict[int, str]]:
        """Times of one column, which of them are UTC (the others are local), and reasons."""
        first = self._reading.formats[0]
        if first in NUMERIC:
            times, reasons = excel_times(cells) if first == "excel" else epoch_times(cells, first)
            return times, np.full(len(cells), first != "excel"), reasons
        times, is_utc = np.full(len(cells), NO_TIME, np.int64), np.zeros(len(cells), bool)
        reasons = {}
        cells = [cell.strip() for cell in cells]
        for form, rows in _by_shape(cells):
            match = next(filter(None, (pattern.fullmatch(form) for pattern in self._patterns)), None)
            if match:
                chosen = [cells[i] for i in rows]
                fields = text_fields(match, chosen)
                times[rows], wrong = instants(fields)
                is_utc[rows] = "offset" in fields
                reasons |= {int(rows[i]): no_time(chosen[i], why) for i, why in wrong.items()}
            elif not is_missing(form):
                expected = self._reading.describe()
                for i in rows.tolist():
                    reasons[i] = f"{shown(cells[i])} is not a time written as {expected}; {HELP}"
        return times, is_utc, reasons

    def _placed(
        self,
        times: Int64Array,
        is_utc: BoolArray,
        series: NDArray[np.int32],
        reasons: dict[int, str],
        columns: Sequence[Sequence[str]],
    ) -> Int64Array:
        """Local times as UTC; a reason is added for each that clocks never showed."""
        local = np.flatnonzero((times != NO_TIME) & ~is_utc)
        first, second = self._zone.utc(times[local])
        for i in local[first == NO_TIME].tolist():
            reasons[i] = (
                f"{shown(_beside_at(columns, i))} never was in {self._zone.name}: clocks went forward over "
                f"it; if this device keeps standard time, give --tz {self._zone.standard(int(times[i]))}"
            )
        placed, later = times.copy(), times.copy()
        placed[local], later[local] = first, second
        return placed if self._zone.is_fixed else self._settled(placed, later, series)

    def _settled(self, first: Int64Array, second: Int64Array, series: NDArray[np.int32]) -> Int64Array:
        """Which of two instants each time is, by the newest time of its series."""
        n_more = int(series.max(initial=-1)) + 1 - len(self.newest)
        if n_more > 0:
            self.newest = np.append(self.newest, np.full(n_more, NO_TIME, np.int64))
        if (first != second).any():
            newest = self.newest
            for i, code in enumerate(series.tolist()):
                if first[i] <= newest[code]:
                    first[i] = second[i]
                newest[code] = max(newest[code], first[i])
        else:
            np.maximum.at(self.newest, series, first)
        return first


def _beside_at(columns: Sequence[Sequence[str]], i: int) -> str:
    return " ".join(column[i].strip() for column in columns)


def _beside(dates: Sequence[str], clocks: Sequence[str]) -> list[str]:
    """Dates with their times of day; missing where either is."""
    pairs = zip(dates, clocks, strict=True)
    return ["" if is_missing(a) or is_missing(b) else f"{a.strip()} {b.strip()}" for a, b in pairs]


def _by_shape(cells: Sequence[str]) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """The shapes of some cells, each with its rows."""
    ids: defaultdict[str, int] = defaultdict(count().__next__)
    shapes = shape("\n".join(cells)).split("\n")  # all at once, which takes a third of the time
    if len(shapes) != len(cells):
        shapes = list(map(shape, cells))
    codes = np.array([ids[form] for form in shapes], np.int64)
    rows = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(ids)))
    return zip(ids, np.split(rows, ends[:-1]), strict=True) if ids else iter(())
