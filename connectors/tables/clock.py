"""Which columns of a table say when a record was taken, and how they are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from streamrnn.connectors.base import Column as Cells
from streamrnn.connectors.options import NO_TIME_COLUMN, RecordOptions
from streamrnn.connectors.tables.column import Column
from streamrnn.connectors.text import shown
from streamrnn.connectors.times.formats import TEXT_PARTS, Reading, joined, parse_format
from streamrnn.connectors.times.reader import TimeReader
from streamrnn.errors import DataError, SettingsError
from streamrnn.records import Int64Array

if TYPE_CHECKING:
    from streamrnn.connectors.tables.schema import Sample

__all__ = ["Clock", "find_clock_columns"]

_NAMES = (
    "timestamp",
    "datetime",
    "time",
    "date",
    "ts",
    "utc",
    "dt",
    "zeit",
    "datum",
    "fecha",
    "heure",
    "hora",
)
# Words of times at which something ended or was written down: the other one says when it was.
_LATER = frozenset({"end", "stop", "to", "until", "updated", "modified", "changed", "processed", "received"})
_PARTS = {
    "year": ("year", "yr", "yyyy", "jahr"),
    "month": ("month", "mon", "mo", "mm", "monat"),
    "day": ("day", "dy", "dd", "dayofmonth", "tag"),
    "yearday": ("yearday", "dayofyear", "doy", "yday", "julianday", "julian", "jday", "day", "dy"),
    "hour": ("hour", "hr", "hh", "he", "hours", "hourending", "hourbeginning", "hourend", "stunde"),
    "hhmm": ("hhmm", "hrmn", "hourminute"),
    "minute": ("minute", "min", "mi", "minutes"),
    "second": ("second", "sec", "ss", "seconds"),
}
_UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1000, "ns": 1}  # nanoseconds
_EXCEL_ZERO, _DAY = -2_209_161_600_000_000_000, 86_400_000_000_000
_EPOCHS = frozenset({*_UNITS, "excel"})
_EXCEL_DAYS = (30_000, 60_000)  # 1982 to 2064
_ELAPSED = frozenset({*_NAMES, "t", "elapsed", "seconds", "secs", "sec"})
_HELP = f"--time names the column (several with commas), --time {NO_TIME_COLUMN} reads without a clock"


@dataclass(frozen=True)
class Clock:
    """The columns that make a record's time.

    Attributes
    ----------
    places : tuple of int
    reading : Reading or None
        How their text is read; None where the table holds times.
    example : str
        A cell of the first column.
    """

    places: tuple[int, ...]
    reading: Reading | None
    example: str = ""

    def describe(self) -> str:
        """How the columns are read, for people."""
        return "times" if self.reading is None else self.reading.describe()

    def read_sample(self, columns: Sequence[Column]) -> Int64Array:
        """(n,) int64: the times of a sample's rows, without their zone."""
        taken = [columns[place] for place in self.places]
        if self.reading is None:
            times = taken[0].times
            return np.empty(0, np.int64) if times is None else times
        cells = [column.cells for column in taken]
        return TimeReader(self.reading).read(cells, np.zeros(len(cells[0]), np.int32))[0]

    def write(self, times: Int64Array, tz: str | None) -> list[Cells]:
        """Columns of cells that say these times in the way the table does.

        Parameters
        ----------
        times : (n,) int64, ns UTC
        tz : str or None
            The zone of the table's times; None is UTC.
        """
        import pandas as pd

        if self.reading is None:
            return [times.view("M8[ns]")]
        local = pd.DatetimeIndex(times.view("M8[ns]")).tz_localize("UTC").tz_convert(tz or "UTC")
        first = self.reading.formats[0] if self.reading.formats else ""
        if first in _UNITS:
            return [[_counted(time, _UNITS[first]) for time in times.tolist()]]
        if first == "excel":
            naive = local.tz_localize(None).as_unit("ns").asi8.tolist()
            return [[f"{(time - _EXCEL_ZERO) / _DAY:.8f}" for time in naive]]
        columns: list[Cells] = []
        for part, text in zip(self.reading.parts or ("date",), _formats(self.reading), strict=True):
            if part in TEXT_PARTS:
                # A date beside a column of hours has none of its own.
                form = "%Y-%m-%d" if text == "iso" and len(self.reading.parts) > 1 else text
                columns.append([self._iso(t) if form == "iso" else t.strftime(form) for t in local])
            else:
                columns.append([_WRITTEN.get(part, _plainly(part))(time) for time in local])
        return columns

    def _iso(self, time: Any) -> str:
        """A time of ISO 8601, with a T and an offset where the table has them."""
        offset = re.search(r"\d(Z|[-+]\d\d(:?\d\d)?)$", self.example.strip()) is not None
        text = (time if offset else time.tz_localize(None)).isoformat(sep="T" if "T" in self.example else " ")
        return str(text.replace("+00:00", "Z") if self.example.endswith("Z") else text)


def _counted(time: int, unit: int) -> str:
    """Nanoseconds since 1970 in a unit, with as many decimals as it takes."""
    whole, rest = divmod(time, unit)
    return f"{whole}.{rest:0{len(str(unit)) - 1}}".rstrip("0") if rest else str(whole)


_WRITTEN: dict[str, Callable[[Any], str]] = {
    "yearday": lambda time: str(time.day_of_year),
    "hhmm": lambda time: str(100 * time.hour + time.minute),
}


def _plainly(part: str) -> Callable[[Any], str]:
    return lambda time: str(getattr(time, part))


def _formats(reading: Reading) -> list[str]:
    """The format of each of a reading's columns; empty for numbers."""
    if reading.parts[:2] != TEXT_PARTS:
        return [reading.formats[0] if part in TEXT_PARTS else "" for part in reading.parts or ("date",)]
    date, clock = re.split(r"\s+(?=%[HI])", reading.formats[0], maxsplit=1)
    return [date, clock, *[""] * (len(reading.parts) - 2)]


def find_clock_columns(
    sample: Sample, options: RecordOptions, taken: dict[int, str], left_out: dict[int, str]
) -> Clock | None:
    """The clock of a table; columns that look like one and are none go to ``left_out``.

    Raises
    ------
    SettingsError
        Where the columns or the format that were asked for do not fit, or times
        can be read in several ways.
    DataError
        Where a column that was asked for holds no times.
    """
    if options.time == (NO_TIME_COLUMN,):
        return None
    if options.time is not None:
        places = tuple(sample.place(name, "time") for name in options.time)
        return _asked(sample, places, options.time_format)
    free = [p for p in range(len(sample.columns)) if p not in taken]
    clock = _found(sample, free, options)
    if clock is None:
        _explain(sample, free, left_out)
    return clock


def _found(sample: Sample, free: list[int], options: RecordOptions) -> Clock | None:
    columns = sample.columns
    by_name = sorted(free, key=lambda place: (*_rank(columns[place]), place))
    for place in by_name:
        if columns[place].times is not None:
            return Clock((place,), None)
    if options.time_format is not None:
        return _of_format(sample, by_name, options.time_format)
    dated = [place for place in by_name if columns[place].readings]
    if dated:
        # A date with a clock beats one without, whatever their names.
        named = (p for p in dated if _is_named(columns[p]) and _has_clock(columns[p]))
        place = next(named, dated[0])
        return _dated(sample, place, [p for p in free if p != place])
    parts = _parts_of(columns, free)
    if parts is not None:
        return parts
    for place in by_name:
        column = columns[place]
        if column.epoch is not None and (column.name in sample.made_up or _is_named(column)):
            return Clock((place,), column.epoch)
    return None


def _rank(column: Column) -> tuple[bool, int, bool]:
    """What makes a column more likely the clock: it moves, its name says so, not that of an end."""
    words = set(column.words)
    if column.word in _NAMES:
        named = 0
    elif words & set(_NAMES):
        named = 1
    else:
        # "measdate", "timestamps", but not "updated"
        held = any(w.startswith(n) or w.endswith(n) for w in words - _LATER for n in _NAMES[:4])
        named = 2 if held else 3
    return column.is_still, named, bool(words & _LATER)


def _is_named(column: Column) -> bool:
    return _rank(column)[1] < 3


def _has_clock(column: Column) -> bool:
    return any(not reading.dates_only for reading in column.readings)


def _dated(sample: Sample, place: int, others: list[int]) -> Clock:
    """The clock of a column with dates, together with one of times of day where it has none."""
    column = sample.columns[place]
    if not _has_clock(column):
        for other in others:
            if (reading := sample.columns[other].day_time) is not None:
                return Clock((place, other), _only(_beside(column, reading), (place, other), sample))
        if hours := _hours(sample, place, others):
            parts = ("date", *hours)
            places = (place, *hours.values())
            readings = [Reading(reading.formats, parts) for reading in column.readings]
            return Clock(places, _only(readings, places, sample))
    return Clock((place,), _only(column.readings, (place,), sample))


def _hours(sample: Sample, date: int, others: list[int]) -> dict[str, int]:
    """Columns of the hour, the minute and the second beside one of dates; none where there is no hour."""
    columns = sample.columns
    found: dict[str, int] = {}
    for part, most in (("hour", 24), ("minute", 59), ("second", 59)):
        fitting = (p for p in others if _counts_to(columns[p], most))
        place = next((p for p in fitting if columns[p].word in _PARTS[part]), None)
        if place is None:
            break
        found[part] = place
    words = {*_PARTS["hhmm"], "time", "clock"}
    joint = next((p for p in others if columns[p].word in words and _is_hhmm(columns[p])), None)
    if not found and joint is not None:
        return {"hhmm": joint}
    beside = date + 1
    if not found and sample.made_up and beside in others and _counts_to(columns[beside], 24):
        steps = columns[beside].steps(sample.consecutive)
        # Without a name it is an hour where it goes from 0 to 23, or from 1 to 24, again and again.
        if len(steps) > 23 and ((steps == 1) | (steps == -23)).all():
            found["hour"] = beside
    return found


def _is_hhmm(column: Column) -> bool:
    """Whether a column has hours and minutes in one number, such as 1830."""
    return _counts_to(column, 2400) and bool((column.known % 100 < 60).all() and (column.known >= 100).any())


def _counts_to(column: Column, most: int) -> bool:
    return column.is_whole and bool((column.known >= 0).all() and (column.known <= most).all())


def _beside(dates: Column, clock: Reading) -> list[Reading]:
    return [joined(reading, clock) for reading in dates.readings]


def _only(readings: Sequence[Reading], places: tuple[int, ...], sample: Sample) -> Reading:
    """The one way to read a clock; SettingsError where there are several."""
    if len(readings) == 1:
        return readings[0]
    cells = [sample.columns[place].present[0] for place in places]
    names = " and ".join(shown(sample.columns[place].name) for place in places)
    ways = " or ".join(f"--time-format {shown(reading.option)}" for reading in readings)
    meant = ", or ".join(reading.describe() for reading in readings)
    raise SettingsError(
        f"{sample.title}: times such as {shown(' '.join(cells))} (column {names}) can be read in several "
        f"ways: {meant}; say which: {ways}"
    )


def _of_format(sample: Sample, by_name: list[int], time_format: str) -> Clock:
    """The first column that a format reads, or the date and the clock that it reads together."""
    reading = parse_format(time_format)
    columns = sample.columns
    for place in by_name:
        if _reads(reading, [columns[place]]):
            return Clock((place,), reading)
    both = Reading(reading.formats, TEXT_PARTS)
    text = [p for p in by_name if not columns[p].is_empty and columns[p].cells]
    for date in text:
        for clock in text:
            if date != clock and _reads(both, [columns[date], columns[clock]]):
                return Clock((date, clock), both)
    raise SettingsError(f"--time-format {shown(time_format)} reads no column of {sample.title}; {_HELP}")


def _reads(reading: Reading, columns: Sequence[Column]) -> bool:
    """Whether most rows of some columns can be read so."""
    if any(column.is_empty or not column.cells for column in columns):
        return False
    plausible = reading.formats[0] not in _EPOCHS or _is_named(columns[0])
    n = min(len(columns[0].cells), 1000)
    times, bad = TimeReader(reading).read([c.cells[:n] for c in columns], np.zeros(n, np.int32))
    read = int((times != np.iinfo(np.int64).min).sum())
    return plausible and read > 0 and len(bad) <= read


def _parts_of(columns: Sequence[Column], free: list[int]) -> Clock | None:
    """Year, month, day and so on in columns of their own; or year and day of the year."""
    named = {
        part: place
        for part, words in _PARTS.items()
        if (place := next((p for p in free if columns[p].word in words and columns[p].is_whole), None))
        is not None
    }
    days = ("month", "day") if "month" in named else ("yearday",)
    found: dict[str, int] = {}
    clock = ("hhmm",) if "hhmm" in named and "hour" not in named else ("hour", "minute")
    for part in ("year", *days, *clock, "second"):
        if part not in named:
            break
        found[part] = named[part]
    if len(found) < 2:  # a year alone is as likely a value
        return None
    return Clock(tuple(found.values()), Reading((), tuple(found)))


def _asked(sample: Sample, places: tuple[int, ...], time_format: str | None) -> Clock:
    """The clock of the columns that the user names."""
    columns = [sample.columns[place] for place in places]
    if len(columns) == 1 and columns[0].times is not None:
        return Clock(places, None)
    if time_format is not None:
        reading = parse_format(time_format)
        return Clock(places, reading if len(places) == 1 else Reading(reading.formats, TEXT_PARTS))
    if len(columns) > 1:
        parts = _parts_of(sample.columns, list(places))
        if parts is not None and len(parts.places) == len(places):
            return parts
    if len(columns) == 2 and columns[0].readings and columns[1].day_time is not None:
        return Clock(places, _only(_beside(columns[0], columns[1].day_time), places, sample))
    if len(columns) == 1:
        readings = columns[0].readings or ([columns[0].epoch] if columns[0].epoch else [])
        if readings:
            return Clock(places, _only(readings, places, sample))
    return _refuse(sample, places)


def _refuse(sample: Sample, places: tuple[int, ...]) -> Clock:
    columns = [sample.columns[place] for place in places]
    names = " and ".join(shown(column.name) for column in columns)
    cells = [column.present[0] for column in columns if column.present]
    held = f"{shown(' '.join(cells))} is" if cells else "its cells are"
    raise DataError(
        f"{sample.title}, column {names}: {held} no time that is known; say how to read it with "
        "--time-format (iso, s, ms, us, ns, excel, or one such as '%d/%m/%Y %H:%M'), or use "
        f"--time {NO_TIME_COLUMN}"
    )


def _explain(sample: Sample, free: list[int], left_out: dict[int, str]) -> None:
    """Say of columns that are named like a clock, or look like a part of one, why they are none.

    DataError where one holds text that can only be a time.
    """
    for place in free:
        column = sample.columns[place]
        elapsed = column.words[:1] and column.words[0] in _ELAPSED
        if column.day_time is not None and not column.is_numeric:
            left_out[place] = "a time of day without a date"
        elif column.word in _NAMES and not column.is_numeric and _is_stamped(column):
            _refuse(sample, (place,))
        elif elapsed and column.counts_rows(sample.consecutive):
            left_out[place] = "counts rows, no clock"
        elif (elapsed or _is_named(column)) and column.climbs(sample.consecutive):
            left_out[place] = _climbing(column)


def _is_stamped(column: Column) -> bool:
    """Whether most cells have the digits of a date."""
    return 2 * sum(len(re.findall(r"\d", cell)) >= 3 for cell in column.present) > len(column.present)


def _climbing(column: Column) -> str:
    """What a column that is named like a time and only goes up may be, with the options that say so."""
    name, known = shown(column.name), column.known
    if _EXCEL_DAYS[0] <= known.min() and known.max() <= _EXCEL_DAYS[1]:
        return f"no date; if it is Excel's number of a day: --time {name} --time-format excel"
    unit = next((word for word in column.words[1:] if word in _UNITS), "s")
    return f"counts up, no date; to read it as {unit}: --time {name} --time-format {unit}"
