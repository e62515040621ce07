"""What the columns of a table mean: which one is the time, which are values."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from streamrnn.connectors.text import BadCellError, is_missing, is_number, is_time, shown
from streamrnn.errors import DataError, SettingsError

__all__ = ["NO_TIME_COLUMN", "Schema", "find_schema"]

NO_TIME_COLUMN = "none"
HELP_TIME = (
    "write times as 2022-03-24T08:00:00+01:00, name another column with --time, "
    f"or read the file without times with --time {NO_TIME_COLUMN}"
)
_TIME_NAMES = frozenset({"time", "timestamp", "date", "datetime", "ts"})
_MOSTLY = 0.5  # a column with fewer readable cells than this is of another kind; above, the rest are errors


@dataclass(frozen=True)
class Schema:
    """Places of a table's columns, and their names.

    Attributes
    ----------
    names : tuple of str
        Of all columns, in order.
    time : int or None
        Place of the time column.
    values : tuple of int
        Places of the value columns, in the order of the channels.
    """

    names: tuple[str, ...]
    time: int | None
    values: tuple[int, ...]

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the value columns."""
        return tuple(self.names[i] for i in self.values)

    @property
    def left_out(self) -> tuple[str, ...]:
        """Names of the columns that are neither time nor value."""
        used = {self.time, *self.values}
        return tuple(name for i, name in enumerate(self.names) if i not in used)


def find_schema(
    names: Sequence[str],
    head: Sequence[Sequence[str]],
    where: str,
    *,
    time: str | None = None,
    values: Sequence[str] | None = None,
) -> Schema:
    """Tell the columns of a table apart by their names and first rows.

    Parameters
    ----------
    names : sequence of str
        The header.
    head : sequence of rows
        The first rows; what is missing at the end of one counts for nothing.
    where : str
        What messages call the table.
    time : str, optional
        Name of the time column; ``"none"`` where there is to be none.
    values : sequence of str, optional
        Names of the value columns; without them all named columns of numbers.

    Raises
    ------
    SettingsError
        Where a column that was asked for does not exist or has two roles.
    DataError
        Where no column holds numbers.
    BadCellError
        Where a column named like a time holds none.
    """
    cells = [[row[i] for row in head if i < len(row) and not is_missing(row[i])] for i in range(len(names))]
    numeric = [_share(column, is_number) >= _MOSTLY for column in cells]
    at = _time_place(names, head, cells, numeric, (time, where))
    if values is None:
        places = tuple(i for i, name in enumerate(names) if numeric[i] and name.strip() and i != at)
    else:
        places = tuple(_place(names, name, "values", where) for name in values)
    if len(set(places)) != len(places):
        raise SettingsError(f"values names one column twice: {', '.join(map(shown, values or ()))}")
    if at in places:
        raise SettingsError(f"column {shown(names[at])} is both time and value; take it out of one of them")
    if not places:
        _refuse_no_numbers(names, numeric, where)
    return Schema(tuple(names), at, places)


def _share(cells: Sequence[str], test: Callable[[str], bool]) -> float:
    return sum(map(test, cells)) / len(cells) if cells else 0.0


def _place(names: Sequence[str], wanted: str, option: str, where: str) -> int:
    if wanted in names:
        return names.index(wanted)
    near = difflib.get_close_matches(wanted, names, 1, 0.5)
    hint = f" (did you mean {shown(near[0])}?)" if near else ""
    columns = ", ".join(map(shown, names))
    raise SettingsError(f"{option}: {where} has no column {shown(wanted)}{hint}; its columns are {columns}")


def _time_place(
    names: Sequence[str],
    head: Sequence[Sequence[str]],
    cells: list[list[str]],
    numeric: list[bool],
    wanted: tuple[str | None, str],
) -> int | None:
    """The column that was asked for; one named like a time; the first that holds times."""
    name, where = wanted
    if name is not None:
        if name == NO_TIME_COLUMN and name not in names:
            return None
        at = _place(names, name, "time", where)
        if numeric[at]:
            _refuse_time(names, head, at)
        return at
    held = [not numeric[i] and _share(column, is_time) >= _MOSTLY for i, column in enumerate(cells)]
    named = [i for i, n in enumerate(names) if re.sub(r"[\W_]", "", n.lower()) in _TIME_NAMES]
    for i in named + list(range(len(names))):
        if held[i]:
            return i
    for i in named:
        if cells[i]:
            _refuse_time(names, head, i)
    return None


def _refuse_time(names: Sequence[str], head: Sequence[Sequence[str]], at: int) -> NoReturn:
    index, cell = next(
        (i, row[at]) for i, row in enumerate(head) if at < len(row) and not is_missing(row[at])
    )
    kind = "a number" if is_number(cell) else "not a date or time of ISO 8601"
    raise BadCellError(index, f", column {shown(names[at])}: {shown(cell)} is {kind}; {HELP_TIME}")


def _refuse_no_numbers(names: Sequence[str], numeric: list[bool], where: str) -> NoReturn:
    columns = ", ".join(map(shown, names))
    if any(n and not name.strip() for n, name in zip(numeric, names, strict=True)):
        raise DataError(f"{where}: the column of numbers has no name; give it one in line 1 ({columns})")
    raise DataError(
        f"{where}: no column holds numbers (columns: {columns}); "
        "check the separator (a comma) and the decimal mark (a point), or name columns with --values"
    )
