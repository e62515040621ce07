"""Numbers, durations and times as people read them."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from streamrnn.kernels.plan import NO_TIME

__all__ = ["count", "duration", "iso", "moment", "number", "percent", "table"]

_UNITS = (
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1000),
    ("ns", 1),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def count(n: int, one: str, many: str | None = None) -> str:
    """A number of things.

    Examples
    --------
    >>> count(1, "event"), count(1268, "record")
    ('1 event', '1,268 records')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def number(x: float) -> str:
    """Five significant digits; a dash where there is no number."""
    return "-" if math.isnan(x) else f"{x:.5g}"


def percent(share: float) -> str:
    """A share with three significant digits."""
    return "-" if math.isnan(share) else f"{100 * share:.3g}%"


def duration(ns: float) -> str:
    """A duration in its two largest units.

    Examples
    --------
    >>> duration(3.6e12), duration(93_600e9), duration(1.5e6), duration(0)
    ('1 h', '1 d 2 h', '1 ms 500 us', '0 s')
    """
    if ns <= 0:
        return "0 s"
    place = next(i for i, (_, size) in enumerate(_UNITS) if ns >= size or size == 1)
    smallest = _UNITS[min(place + 1, len(_UNITS) - 1)][1]
    left, parts = round(ns / smallest) * smallest, []
    for unit, size in _UNITS[max(place - 1, 0) : place + 2]:
        whole, left = divmod(left, size)
        if whole:
            parts.append(f"{whole} {unit}")
    return " ".join(parts[:2])


def moment(ns: int) -> str:
    """A time in UTC as short as it can be said; empty where there is none."""
    if ns == NO_TIME:
        return ""
    return iso(ns).removesuffix("Z").replace("T", " ").removesuffix(":00")


def iso(ns: int) -> str:
    """A time of ISO 8601 in UTC, as many decimals as it has."""
    seconds, fraction = divmod(ns, 1_000_000_000)
    text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    decimals = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{text}{decimals}Z"


def table(
    rows: Sequence[Sequence[str]], *, indent: str = "  ", numeric: frozenset[str] = frozenset()
) -> list[str]:
    """Lines of an aligned table; the first row is its header, ``numeric`` columns stand right."""
    right = [name in numeric for name in rows[0]]
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = zip(row, widths, right, strict=True)
        padded = (_padded(cell, width, to_right) for cell, width, to_right in cells)
        lines.append(indent + "  ".join(padded).rstrip())
    return lines


def _width(text: str) -> int:
    """Columns of a terminal that a text takes: East Asian letters take two."""
    return len(text) + sum(unicodedata.east_asian_width(c) in "WF" for c in text if not c.isascii())


def _padded(cell: str, width: int, to_right: bool) -> str:
    room = " " * (width - _width(cell))
    return room + cell if to_right else cell + room
