"""How a sample of cells writes times: every way that reads it, so that nothing is guessed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.text import is_missing
from streamrnn.connectors.times.formats import (
    HALF,
    MONTH,
    ORDINAL,
    WEEKDAY,
    ZONE,
    Reading,
    joined,
    patterns,
    shape,
)
from streamrnn.connectors.times.reader import TimeReader
from streamrnn.records import Float64Array

__all__ = ["find_clock", "find_epoch", "find_readings"]

_MOST_FORMATS = 8  # of one reading; rarer ones are bad rows
_NEARLY_ALL = 0.99
_EPOCHS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
# 1973 to 2100: counts of one unit are below those of the next finer one.
_EPOCH_S = (94_694_400.0, 4_102_444_800.0)
_IN_ORDER = 0.75  # share of steps in one direction: logs have nearly all, measured values half
_ALWAYS = ""  # the order of formats in which day and month cannot be mistaken
# Plain digits of these lengths may be dates; plain clocks need a leading zero as well.
_BARE = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_BARE_CLOCKS = {"0000": "%H%M", "000000": "%H%M%S", "00.00": "%H.%M"}

_CLOCK = (
    rf"(?P<H>00?)(?:(?P<mark>[-:.])(?P<M>00)(?:(?P=mark)(?P<S>00)(?:[.,:](?P<f>0+))?)?)?(?:\s*(?P<p>{HALF}))?"
)
_ZONE = "(?:\\s*(?P<z>" + re.sub(r"\?P<\w+>", "?:", ZONE) + "))?"
_DATES = (
    r"(?P<A>0{1,4})(?P<between>[-/.])(?P<B>00?)(?P=between)(?P<C>0{1,4})",
    rf"(?P<d>00?{ORDINAL})[-/.\s]*(?P<b>{MONTH})\.?,?[-/.\s]*(?P<Y>0000|00)",
    rf"(?P<b>{MONTH})\.?[-/.\s]*(?P<d>00?{ORDINAL}),?[-/.\s]+(?P<Y>0000)",
    rf"(?P<Y>0000)[-/.\s]*(?P<b>{MONTH})\.?[-/.\s]*(?P<d>00?)",
    r"(?P<Y>0000)(?P<m>00)(?P<d>00)",
)
_GAP = r"(?:,?\s+|\s*[-_,;]\s*|[t:])"


@lru_cache(maxsize=1)
def _forms() -> tuple[re.Pattern[str], ...]:
    """Patterns of whole shapes; groups are named after directives."""
    weekday = rf"(?:(?P<a>{WEEKDAY}),?\s+)?"
    forms = [
        *(rf"{weekday}{date}(?:{_GAP}{_CLOCK}{_ZONE})?" for date in _DATES),
        *(rf"{_CLOCK}\s+{date}{_ZONE}" for date in _DATES),
        # Stamps of file names and directories, which are digits throughout.
        rf"(?P<Y>0000)(?P<m>00)(?P<d>00)(?:[-_]|\s*)(?P<H>00)(?P<M>00)(?:(?P<S>00)(?:[.,](?P<f>0+))?)?{_ZONE}",
        rf"{weekday}(?P<b>{MONTH})\s+(?P<d>00?)\s+{_CLOCK}{_ZONE}\s+(?P<Y>0000)",  # C's asctime, date(1)
    ]
    return tuple(re.compile(form) for form in forms)


def find_readings(cells: Sequence[str]) -> list[Reading]:
    """All ways to read a sample of one column as dates, or dates with times of day.

    Two or more say that the sample leaves open whether day or month is first: an order
    stays if no other reads more cells, or if none reads 99 % of what any reads.
    Dotted dates are day first; nobody writes them otherwise.

    Parameters
    ----------
    cells : sequence of str
        Missing ones are left out.

    Returns
    -------
    list of Reading
        Empty where fewer than half of the cells are times. Bare digits (8, 12 or 14
        of them) are times only if all are; counts of an epoch are never.

    Examples
    --------
    >>> [reading.describe() for reading in find_readings(["1/2/2011", "1/2/2011 0:15"])]
    ['%d/%m/%Y or %d/%m/%Y %H:%M (day first)', '%m/%d/%Y or %m/%d/%Y %H:%M (month first)']
    >>> [reading.describe() for reading in find_readings(["1/2/2011", "1/31/2011"])]
    ['%m/%d/%Y (month first)']
    """
    cells = [cell.strip() for cell in cells if not is_missing(cell)]
    shapes = Counter(map(shape, cells))
    found = {form: _formats(form) for form in shapes}
    orders = {order for formats in found.values() for order in formats}
    candidates = [
        reading
        for order in sorted(orders - {_ALWAYS}) or sorted(orders)
        if (reading := _reading(order, found, shapes)) is not None
    ]
    read = [_is_read(reading, (cells,)) for reading in candidates]
    counts = [int(rows.sum()) for rows in read]
    if not counts or 2 * max(counts) < len(cells):
        return []
    bare = not set(_BARE.values()).isdisjoint(candidates[0].formats)
    if bare and max(counts) < len(cells):
        return []
    decided = max(counts) >= _NEARLY_ALL * np.logical_or.reduce(read).sum()
    least = max(counts) if decided else len(cells) / 2
    return [reading for reading, n in zip(candidates, counts, strict=True) if n >= least]


def find_clock(cells: Sequence[str]) -> Reading | None:
    """The reading of a column that holds a time of day alone; None where it does not.

    Digits that could be a number ("1800", "18.00") are times of day only if all cells
    are and some begin with a zero; "10.11.12" only where the column is not one of dates.

    Examples
    --------
    >>> find_clock(["18.00.00", "19.00.00"]).describe()
    '%H.%M.%S'
    """
    cells = [cell.strip() for cell in cells if not is_missing(cell)]
    shapes = Counter(map(shape, cells))
    if len(shapes) == 1 and (bare := _BARE_CLOCKS.get(*shapes)):
        reading = Reading((bare,), ("clock",))
        least = len(cells) if any(cell[0] == "0" for cell in cells) else len(cells) + 1
    else:
        clock = re.compile(_CLOCK + _ZONE)
        spelled = Counter[str]()
        for form, n in shapes.items():
            match = clock.fullmatch(form)
            if match and (match["p"] or match["mark"] == ":" or (match["S"] and match["mark"] == ".")):
                spelled[_spelled(match, {})] += n
        reading = Reading(tuple(text for text, _ in spelled.most_common(_MOST_FORMATS)), ("clock",))
        least = (len(cells) + 1) // 2
    if not reading.formats or find_readings(cells):
        return None
    days = ["2000-01-01"] * len(cells)
    n_read = int(_is_read(joined(Reading(("iso",)), reading), (days, cells)).sum())
    return reading if n_read >= least else None


def find_epoch(values: Float64Array) -> Reading | None:
    """The unit in which numbers count from 1970, if 99 % are of 1973 to 2100, mostly in order.

    Parameters
    ----------
    values : (n,) float64
        A sample of one column, NaN = missing.

    Examples
    --------
    >>> find_epoch(np.array([1469376000.0, 1469376300.0])).describe()
    'epoch seconds'
    """
    values = values[~np.isnan(values)]
    if not len(values) or np.isinf(values).any():
        return None
    steps = np.diff(values)
    if len(steps) and max((steps >= 0).mean(), (steps <= 0).mean()) < _IN_ORDER:
        return None
    for unit, scale in _EPOCHS.items():
        inside = (values >= _EPOCH_S[0] * scale) & (values <= _EPOCH_S[1] * scale)
        if inside.mean() >= _NEARLY_ALL:
            return Reading((unit,))
    return None


def _reading(order: str, found: dict[str, dict[str, str]], shapes: Counter[str]) -> Reading | None:
    """The formats of one order, the most frequent first."""
    weights = Counter[str]()
    dates_only = True
    for form, formats in found.items():
        text = formats.get(order, formats.get(_ALWAYS))
        if text:
            weights[text] += shapes[form]
            dates_only &= "%H" not in text and "%I" not in text and (text != "iso" or not form.strip("0-"))
    chosen = tuple(text for text, _ in weights.most_common(_MOST_FORMATS))
    return Reading(chosen, dates_only=dates_only) if chosen else None


def _is_read(reading: Reading, columns: Sequence[Sequence[str]]) -> NDArray[np.bool_]:
    n = len(columns[0])
    is_read = np.ones(n, bool)
    is_read[list(TimeReader(reading).read(columns, np.zeros(n, np.int32))[1])] = False
    return is_read


def _formats(form: str) -> dict[str, str]:
    """The formats of a shape by the order of day, month and year; none where it is no time."""
    if not form.strip("0"):
        return {_ALWAYS: _BARE[len(form)]} if len(form) in _BARE else {}
    if any(pattern.fullmatch(form) for pattern in patterns("iso")):
        return {_ALWAYS: "iso"}
    for pattern in _forms():
        match = pattern.fullmatch(form)
        if match and (match["H"] is None or match["M"] or match["p"]):
            return {order: _spelled(match, named) for order, named in _orders(match)}
    return {}


def _orders(match: re.Match[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Each order in which the numbers of a date may stand, with the directives of its groups."""
    parts = match.groupdict()
    if "A" not in parts:
        yield _ALWAYS, {"Y": "Y" if len(parts["Y"]) == 4 else "y"}
        return
    widths, between = (len(parts["A"]), len(parts["B"]), len(parts["C"])), parts["between"]
    short = widths[2] == 2
    if widths[0] == 4 and widths[2] <= 2:
        yield _ALWAYS, {"A": "Y", "B": "m", "C": "d"}
    # Two digits for a year with single digits beside it are dates only where people write slashes.
    elif widths[0] <= 2 and (widths[2] == 4 or (short and (between == "/" or widths == (2, 2, 2)))):
        year = "y" if short else "Y"
        yield (_ALWAYS if between == "." else "dmy"), {"A": "d", "B": "m", "C": year}
        if between != ".":
            yield "mdy", {"A": "m", "B": "d", "C": year}
        if between != "." and short and widths[0] == 2:
            yield "ymd", {"A": "y", "B": "m", "C": "d"}


def _spelled(match: re.Match[str], named: dict[str, str]) -> str:
    """The format of a shape: its groups as directives, what is between them as it stands."""
    own = {group: group for group in "abdmYHMSfpz"}
    if match.groupdict().get("p"):
        own["H"] = "I"
    own |= named
    spans = sorted((*match.span(group), own[group]) for group in match.re.groupindex if group in own)
    text, end = "", 0
    for start, stop, directive in spans:
        if start >= 0:
            text += f"{match.string[end:start].upper()}%{directive}"
            end = stop
    return re.sub(r"\s+", " ", text + match.string[end:].upper())
