"""Which mark stands before decimals, where a table's own numbers prove it or leave it open."""

from __future__ import annotations

import re
from collections.abc import Sequence

from streamrnn.connectors.text import shown
from streamrnn.errors import DataError

__all__ = ["decimal_of"]

_OPEN = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")  # 5,123: five and a bit, or five thousand
_AS_OPEN = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
_COMMA = re.compile(r"[+-]?(\d*,\d+|\d{1,3}(\.\d{3})+,\d+|\d{1,3}(\.\d{3}){2,})")
_POINT = re.compile(r"[+-]?(\d*\.\d+|\d{1,3}(,\d{3})+\.\d+|\d{1,3}(,\d{3}){2,})")
_TIME_OF_DAY = re.compile(r"([01]?\d|2[0-3])\.[0-5]\d")
_BELOW_A_THOUSAND = re.compile(r"[+-]?[1-9]\d\d")


def decimal_of(columns: Sequence[Sequence[str]], delimiter: str, likely: str, title: str) -> str:
    """The decimal mark of a table's columns of text.

    Parameters
    ----------
    columns : sequence of sequences of str
        Cells; no times with colons, no dates.
    delimiter : str
        Semicolons between cells leave the comma to decimals.
    likely : str
        The mark under which more cells are numbers; holds where they prove nothing.
    title : str

    Returns
    -------
    decimal : str
        ``"."`` or ``","``.

    Raises
    ------
    DataError
        Where every number may be read either way, and they differ a thousandfold.

    Examples
    --------
    >>> decimal_of([["5,123", "0,987"]], ",", ".", "data.csv")
    ','
    """
    points = commas = grouped = False
    unsettled = ""
    for cells in columns:
        column = [cell.strip() for cell in cells]
        commas |= any(_COMMA.fullmatch(cell) and not _OPEN.fullmatch(cell) for cell in column)
        points |= _has_points([cell for cell in column if _POINT.fullmatch(cell)])
        if is_open := next(filter(_OPEN.fullmatch, column), ""):
            # Three decimals everywhere leave no room for 987.
            grouped |= any(map(_BELOW_A_THOUSAND.fullmatch, column))
            unsettled = unsettled or is_open
    if points != commas:
        return "," if commas else "."
    if points or not unsettled:
        return likely
    if grouped or delimiter == ";":
        return "." if grouped else ","
    raise DataError(
        f"{title}: {shown(unsettled)} may be {unsettled.replace(',', '.')} or {unsettled.replace(',', '')}, "
        "and no other number tells; say which mark stands before decimals (--decimal , or --decimal .)"
    )


def _has_points(column: Sequence[str]) -> bool:
    """Whether the points of a column are decimal ones: not of 5.123 alone, nor of times such as 07.30."""
    times = all(map(_TIME_OF_DAY.fullmatch, column)) and any(
        cell[:2].isdigit() and cell[0] == "0" for cell in column
    )
    return not times and not all(map(_AS_OPEN.fullmatch, column))
