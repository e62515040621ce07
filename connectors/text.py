"""Cells of text to numbers, and text of unknown origin to text that is safe to show."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from streamrnn.records import Float64Array

__all__ = [
    "FOREIGN",
    "LONGEST_KEY",
    "MISSING",
    "is_missing",
    "is_number",
    "key_faults",
    "numbers",
    "printable",
    "shown",
    "unit_of",
    "without_unit",
]

# Bytes that are not of the encoding come through unchanged: columns of text are only repeated.
FOREIGN = "surrogateescape"
# What spreadsheets, R, pandas, Weka and databases write where there is no value.
_WORDS = (
    *(
        "",
        "na",
        "n/a",
        "n.a.",
        "#n/a",
        "<na>",
        "nan",
        "nat",
        "null",
        "(null)",
        "\\n",
        "none",
        "nil",
        "missing",
    ),
    *("no data", "nodata", "#value!", "#ref!", "#div/0!", "#num!", "#name?", "-", "--", "---", "?"),
)
MISSING = frozenset(spelled for word in _WORDS for spelled in (word, word.upper(), word.capitalize(), "NaN"))
# A number, then a unit such as "°C"; no month, no half of a day, no ordinal.
_UNIT = re.compile(
    r".*[\d.,]\s*(?!(?:[ap]\.?m|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|st|nd|rd|th)\b)"
    r"(?P<unit>[^\W\d_]|[°%‰µΩ$€£])(?P<rest>[^\d\s;,:\"']{0,11})$",
    re.IGNORECASE,
)
LONGEST_KEY = 1000  # characters; what is longer is a message that stands in the wrong field
_LONGEST_SHOWN = 60
_OF_NUMBERS = b"0123456789.-+eE \t;"
_SWAPPED = str.maketrans(",.", ".,")  # a decimal comma's spelling to a decimal point's
# Digits in groups of three, a point before decimals; the mark between groups is one and the same,
# and no number of groups begins with 0.
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:([,'\s\u00a0\u202f])\d{3})(?:\1\d{3})*(?:\.\d+)?$")


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
    return cell in MISSING or cell.strip().lower() in MISSING


def is_number(cell: str, decimal: str = ".") -> bool:
    """Whether a cell is a number; missing values are not."""
    value = _number(cell, decimal)
    return value is not None and not is_missing(cell)


def numbers(cells: Sequence[str], decimal: str = ".") -> tuple[Float64Array, dict[int, str]]:
    """A column's numbers, correctly rounded, so that writing them loses nothing.

    Digits may stand in groups of three, with the other mark, an apostrophe or a
    space between them; a per cent sign behind a number is left away.

    Parameters
    ----------
    cells : sequence of str
    decimal : str
        ``"."`` or ``","``.

    Returns
    -------
    values : (n,) float64
        NaN where a cell is missing or cannot be read.
    bad : dict of int to str
        Place and reason of each cell that cannot be read.

    Examples
    --------
    >>> numbers(["2,6", "1.360", "", "off"], decimal=",")
    (array([   2.6, 1360. ,    nan,    nan]), {3: "'off' is not a number"})
    """
    text = ";".join(cells)
    # Python reads "1_000" too; a point in a column of decimal commas is a group's.
    if "_" not in text and (decimal == "." or "." not in text):
        if (plain := _plain(text if decimal == "." else text.replace(",", "."), len(cells))) is not None:
            return plain, {}
        pointed = cells if decimal == "." else [cell.replace(",", ".") for cell in cells]
        try:
            return np.array([float("nan") if c in MISSING else float(c) for c in pointed], np.float64), {}
        except ValueError:
            pass
    found = [_number(cell, decimal) for cell in cells]
    bad = {i: f"{shown(cells[i])} is not a number" for i, value in enumerate(found) if value is None}
    return np.array([float("nan") if value is None else value for value in found], np.float64), bad


def _plain(text: str, n: int) -> Float64Array | None:
    """Numbers between semicolons as JSON writes them, to the bit; None where any is of another kind.

    Most columns hold nothing else, and orjson reads them three times as fast as Python.
    """
    import orjson  # writers of other formats do without

    if not text.isascii():
        return None
    data = text.encode()
    if data.translate(None, _OF_NUMBERS):  # words, or more than one number in a cell
        return None
    try:
        values = np.array(orjson.loads(b"[%b]" % data.replace(b";", b",")), np.float64)
    except ValueError:
        return None
    # -0 is no float to JSON, and would lose its sign.
    return values if len(values) == n and (b"-0" not in data or values.all()) else None


def unit_of(cells: Sequence[str], decimal: str = ".") -> str:
    """The unit that stands behind the number in every cell that is not missing; empty where none does.

    Examples
    --------
    >>> unit_of(["20.1 °C", "", "19.5 °C"]), unit_of(["1 kB", "1 MB"])
    ('°C', '')
    """
    present = [cell.strip() for cell in cells if not is_missing(cell)]
    match = _UNIT.match(present[0]) if present else None
    if match is None:
        return ""
    unit = match["unit"] + match["rest"]
    with_unit = all(cell.endswith(unit) and is_number(cell.removesuffix(unit), decimal) for cell in present)
    return unit if with_unit else ""


def without_unit(cells: Sequence[str], unit: str) -> list[str]:
    """Cells without the unit behind their numbers."""
    return [cell.strip().removesuffix(unit) for cell in cells]


def _number(cell: str, decimal: str) -> float | None:
    """NaN where there is no value, None where the cell cannot be read."""
    if is_missing(cell):
        return float("nan")
    plain = cell.strip().removesuffix("%").rstrip().replace("\u2212", "-")
    if decimal == ",":
        plain = plain.translate(_SWAPPED)
    if (grouped := _GROUPED.match(plain)) is not None:
        plain = plain.replace(grouped[1], "")
    if "_" in plain:
        return None
    try:
        return float(plain)
    except ValueError:
        return None


def key_faults(names: Sequence[str], empty: str = "") -> dict[int, str]:
    """Places of names that cannot name a series, and why.

    Parameters
    ----------
    names : sequence of str
    empty : str
        What a name is whose parts are all empty.

    Examples
    --------
    >>> key_faults(["pump-1", ""])
    {1: 'the key is empty'}
    """
    if empty not in names and max(map(len, names), default=0) <= LONGEST_KEY:
        return {}
    faults = {i: "the key is empty" for i, name in enumerate(names) if name == empty}
    long = {i: len(name) for i, name in enumerate(names) if len(name) > LONGEST_KEY}
    return faults | {i: f"the key has {n:,} characters, more than {LONGEST_KEY:,}" for i, n in long.items()}
