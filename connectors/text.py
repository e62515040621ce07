"""Cells of text to numbers and times, and text of unknown origin to text that is safe to show."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from streamrnn.errors import DataError
from streamrnn.records import Float64Array, Int64Array

__all__ = ["BadCellError", "is_missing", "is_number", "is_time", "numbers", "printable", "shown", "times"]

# What spreadsheets, R, pandas and databases write where there is no value.
_MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "nat", "null", "none"})
_LONGEST_SHOWN = 60
_DIGITS = frozenset("0123456789")
# Enough of ISO 8601 to tell a time from other text; pandas does the reading.
_TIME = re.compile(r"\s*\d{4}-?\d\d(-?\d\d)?([T ].*)?$")


class BadCellError(DataError):
    """A cell that cannot be read; ``index`` is its place in the column, the message says why."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index


def printable(text: str) -> str:
    r"""Text with every character escaped that a terminal might act on.

    Examples
    --------
    >>> printable("pump\x1b[31m 7")
    'pump\\x1b[31m 7'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(cell: str) -> str:
    """A cell as messages quote it: escaped, and cut where it is long."""
    return repr(cell if len(cell) <= _LONGEST_SHOWN else cell[: _LONGEST_SHOWN - 3] + "...")


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no value."""
    return cell.strip().lower() in _MISSING


def is_number(cell: str) -> bool:
    """Whether a cell is a number; missing values are not."""
    try:
        float(cell)
    except ValueError:
        return False
    return not is_missing(cell)


def is_time(cell: str) -> bool:
    """Whether a cell looks like a date or a date with a time of ISO 8601; plain numbers do not."""
    return not is_number(cell) and _TIME.match(cell) is not None


def numbers(cells: Sequence[str]) -> Float64Array:
    """A column's numbers, NaN where missing; correctly rounded, so that writing them loses nothing.

    Raises
    ------
    BadCellError
        At the first cell that is neither a number nor missing.
    """
    try:
        return np.array([float(cell) for cell in cells], np.float64)
    except ValueError:
        return np.array([_number(i, cell) for i, cell in enumerate(cells)], np.float64)


def _number(index: int, cell: str) -> float:
    if is_missing(cell):
        return float("nan")
    try:
        return float(cell)
    except ValueError:
        raise BadCellError(index, f"{shown(cell)} is not a number") from None


def times(cells: Sequence[str]) -> Int64Array:
    """A column's times as int64 nanoseconds UTC, NaT where missing; without an offset they are UTC.

    Raises
    ------
    BadCellError
        At the first cell that is neither a time of ISO 8601 nor missing, or is
        outside of what nanoseconds can say (1678 to 2261).
    """
    import pandas as pd

    # pandas would read "now" and "today" by the clock.
    if not {cell[:1] for cell in cells} <= _DIGITS:
        for i, cell in enumerate(cells):
            if not is_time(cell) and not is_missing(cell):
                raise BadCellError(i, f"{shown(cell)} is not a date or time of ISO 8601")
        cells = ["NaT" if is_missing(cell) else cell for cell in cells]
    index = pd.DatetimeIndex(pd.to_datetime(list(cells), format="ISO8601", utc=True, errors="coerce"))
    for place in np.flatnonzero(index.isna()).tolist():
        if not is_missing(cells[place]):
            raise BadCellError(place, f"{shown(cells[place])} is not a date or time of ISO 8601")
    for place in np.flatnonzero((index.year < 1678) | (index.year > 2261)).tolist():
        raise BadCellError(place, f"{shown(cells[place])} is outside of the years 1678 to 2261")
    return np.ascontiguousarray(index.as_unit("ns").asi8, np.int64)
