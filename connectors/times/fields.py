"""The numbers in time cells, and what instants they are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Context

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.text import is_missing, shown
from streamrnn.connectors.times.formats import MONTHS, NUMERIC, ZONES
from streamrnn.kernels.plan import NO_TIME
from streamrnn.records import Int64Array

__all__ = ["HELP", "epoch_times", "excel_times", "instants", "no_time", "split_times", "text_fields"]

HELP = "correct it, leave it empty where there is no time, or name its format with --time-format"
_YEARS = (1678, 2261)  # whole years that int64 nanoseconds can say
_YEARS_HELP = f" (from {_YEARS[0]} to {_YEARS[1]} can be read)"
_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND
_DAYS = int(np.datetime64(f"{_YEARS[1] + 1}-01-01").astype(np.int64))  # of 1970 to the last year
_MILLISECOND = 1_000_000
_EXCEL_1970 = 25_569  # Excel's number of 1970-01-01
_EXCEL_FIRST = 61  # 1900-03-01: before it Excel counts a day that never was
_DIGITS = {"s": 9, "ms": 6, "us": 3, "ns": 0}  # of a unit's fraction, to nanoseconds
# Exact for all that can be read; without traps what is no number becomes NaN.
_EXACT = Context(prec=60, traps=[])


def text_fields(match: re.Match[str], cells: Sequence[str]) -> dict[str, Int64Array]:
    """The fields of cells of one shape, each (n,) int64.

    Parameters
    ----------
    match : re.Match
        Of the shape with one of its patterns; it says where each field stands.
    cells : sequence of n str
        Stripped cells of that shape.

    Returns
    -------
    dict
        ``"year"``, ``"month"`` and so on as written, ``"nanosecond"`` of a fraction,
        ``"half"`` 0 or 1 of a day, and ``"offset"`` in seconds, as far as the shape has them.
    """
    letters = np.array(cells, f"U{match.end()}").view(np.uint32).reshape(len(cells), -1)
    fields: dict[str, Int64Array] = {}
    for name, text in match.groupdict().items():
        if text is not None and name not in ("name", "half", "zone", "sign"):
            digits = letters[:, slice(*match.span(name))].astype(np.int64) - ord("0")
            fields[name] = digits @ 10 ** np.arange(digits.shape[1])[::-1]
    found, one = match.groupdict(), np.ones(len(cells), np.int64)
    if "year2" in fields:  # POSIX: 69 to 99 are of the last century
        fields["year"] = fields["year2"] + np.where(fields["year2"] < 69, 2000, 1900)
    if "fraction" in fields:
        fields["nanosecond"] = fields["fraction"] * 10 ** (9 - len(found["fraction"]))
    if found.get("name"):
        fields["month"] = one * (MONTHS.index(found["name"][:3]) + 1)
    if found.get("half"):
        fields["half"] = one * (found["half"][0] == "p")
    if found.get("zone"):
        fields["offset"] = one * ZONES[found["zone"]] * 3600
    elif found.get("sign"):
        fields["offset"] = _offset(fields) * (-1 if found["sign"] == "-" else 1)
    return fields


def _offset(fields: Mapping[str, Int64Array]) -> Int64Array:
    """Seconds of an offset; a day where its parts are out of range, which none is."""
    hours, zero = fields["zone_hour"], np.zeros_like(fields["zone_hour"])
    minutes, seconds = fields.get("zone_minute", zero), fields.get("zone_second", zero)
    known = (hours < 24) & (minutes < 60) & (seconds < 60)
    return np.where(known, hours * 3600 + minutes * 60 + seconds, 86_400)


def instants(fields: Mapping[str, Int64Array]) -> tuple[Int64Array, dict[int, str]]:
    """Fields to nanoseconds, UTC where there is an offset; what is wrong with rows that have none.

    A missing year is 1970, other missing fields are at their start; 24:00 is the next midnight.

    Parameters
    ----------
    fields : mapping from names of fields to (n,) int64
        As :func:`text_fields` returns them.

    Returns
    -------
    times : (n,) int64
        ``NO_TIME`` where a field is out of its range.
    wrong : dict
        From those rows to which field that is.
    """
    zero = np.zeros_like(next(iter(fields.values())))
    hour, minute, second, nano = (fields.get(f, zero) for f in ("hour", "minute", "second", "nanosecond"))
    year, month = fields.get("year", zero + 1970), fields.get("month", zero + 1)
    offset = fields.get("offset", zero)
    unit, since = ("Y", year - 1970) if "yearday" in fields else ("M", (year - 1970) * 12 + month - 1)
    start, end = ((since + i).astype(f"M8[{unit}]").astype("M8[D]").astype(np.int64) for i in (0, 1))
    day = fields.get("yearday", fields.get("day", zero + 1))
    midnight = (hour == 24) & (minute == 0) & (second == 0) & (nano == 0) & ("half" not in fields)
    checks = {
        "year": (year, _within(year, *_YEARS)),
        "month": (month, _within(month, 1, 12)),
        "day": (day, _within(day, 1, end - start)),
        "hour": (hour, _within(hour, 0, 12 if "half" in fields else 23) | midnight),
        "minute": (minute, _within(minute, 0, 59)),
        "second": (second, _within(second, 0, 59)),
        "offset in seconds": (offset, _within(offset, -86_399, 86_399)),
    }
    wrong = {
        i: f"its {name} is {value[i]}" + _YEARS_HELP * (name == "year")
        for name, (value, right) in reversed(checks.items())  # the first field that is wrong stays
        for i in np.flatnonzero(~right).tolist()
    }
    if "half" in fields:
        hour = hour % 12 + 12 * fields["half"]
    times = (start + day - 1) * _DAY + ((hour * 60 + minute) * 60 + second - offset) * _SECOND + nano
    times[list(wrong)] = NO_TIME
    return times, wrong


def _within(value: Int64Array, low: int, high: int | Int64Array) -> NDArray[np.bool_]:
    return (value >= low) & (value <= high)


def _scaled(cells: Sequence[str], digits: int) -> tuple[Int64Array, list[int]]:
    """Decimal numbers times ``10**digits``, exact or rounded to even, and the rows that are none.

    ``NO_TIME`` where missing or no number; -1 where the number is too large.
    """
    most = np.iinfo(np.int64).max // 10**digits
    try:
        whole = np.array(list(map(int, cells)), np.int64)
        if "_" in "".join(cells):  # 1_000 is a number of Python's, not of a table's
            raise ValueError
        if not len(whole) or (-most <= whole.min() and whole.max() <= most):
            return whole * 10**digits, []
    except (ValueError, OverflowError):  # the exact way below tells what is what
        pass
    values, wrong = np.full(len(cells), NO_TIME, np.int64), []
    for i, cell in enumerate(cells):
        number = _EXACT.create_decimal(cell.strip().replace(",", "."))
        if number.is_finite():
            small = abs(number) <= most
            values[i] = int(number.scaleb(digits, _EXACT).to_integral_value(context=_EXACT)) if small else -1
        elif not is_missing(cell):
            wrong.append(i)
    return values, wrong


def epoch_times(cells: Sequence[str], unit: str) -> tuple[Int64Array, dict[int, str]]:
    """Counts of a unit since 1970 to nanoseconds UTC, and what is wrong with those that are none."""
    times, wrong = _scaled(cells, _DIGITS[unit])
    return _checked(cells, times, wrong, _within(times, 0, _DAYS * _DAY - 1), unit)


def excel_times(cells: Sequence[str]) -> tuple[Int64Array, dict[int, str]]:
    """Days since 1899-12-30 to nanoseconds of local time, rounded to the millisecond."""
    scaled, wrong = _scaled(cells, 11)
    days, rest = np.divmod(scaled, 10**11)
    rest = (rest * (_DAY // 10**11) + _MILLISECOND // 2) // _MILLISECOND * _MILLISECOND
    right = _within(days, _EXCEL_FIRST, _DAYS + _EXCEL_1970 - 1)
    times = np.where(scaled == NO_TIME, NO_TIME, (days - _EXCEL_1970) * _DAY + rest)
    return _checked(cells, times, wrong, right, "excel")


def _checked(
    cells: Sequence[str], times: Int64Array, wrong: list[int], right: NDArray[np.bool_], name: str
) -> tuple[Int64Array, dict[int, str]]:
    """Times without those out of range, and the reasons for these and for what is no number."""
    reasons = {i: f"{shown(cells[i])} is no number of {NUMERIC[name]}; {HELP}" for i in wrong}
    for i in np.flatnonzero((times != NO_TIME) & ~right).tolist():
        reasons[i] = f"{shown(cells[i])} is out of range as {NUMERIC[name]}; {HELP}"
    times[list(reasons)] = NO_TIME
    return times, reasons


def split_times(columns: Mapping[str, Sequence[str]]) -> tuple[Int64Array, dict[int, str]]:
    """Columns of one number each to nanoseconds, from 1970 without a year; and what is wrong.

    Parameters
    ----------
    columns : mapping from ``"year"``, ``"month"``, ``"day"``, ``"yearday"``, ``"hour"``,
            ``"minute"``, ``"second"`` or ``"hhmm"`` to n cells
        Whole numbers, ``"1.0"`` too; seconds may have a fraction.

    Examples
    --------
    >>> times, reasons = split_times({"year": ["2010", "2010"], "month": ["1", "13.0"], "day": ["2", "1"]})
    >>> times.view("M8[ns]").astype("M8[D]").astype(str).tolist(), reasons[1]
    (['2010-01-02', 'NaT'], "'2010 13.0 1' is no time: its month is 13; correct it, ...")
    """
    missing = np.zeros(len(next(iter(columns.values()))), bool)
    fields: dict[str, Int64Array] = {}
    why: dict[int, str] = {}
    for part, cells in columns.items():
        values, wrong = _scaled(cells, 9)
        missing |= values == NO_TIME
        values[values == NO_TIME] = _SECOND
        fields[part], rest = np.divmod(values, _SECOND)
        if part == "second":
            fields["nanosecond"] = rest
        elif part == "hhmm":  # 1830 is half past six
            fields["hour"], fields["minute"] = np.divmod(fields.pop(part), 100)
        else:
            wrong += np.flatnonzero(rest).tolist()
        why |= {i: f"{shown(cells[i])} is no {part}" for i in wrong}
    times, more = instants(fields)
    why = {i: text for i, text in more.items() if not missing[i]} | why
    times[missing] = NO_TIME
    times[list(why)] = NO_TIME
    rows = {i: " ".join(cells[i].strip() for cells in columns.values()) for i in why}
    return times, {i: no_time(rows[i], text) for i, text in why.items()}


def no_time(cell: str, why: str) -> str:
    """The message for a cell whose parts are no instant."""
    return f"{shown(cell)} is no time: {why}; {HELP}"
