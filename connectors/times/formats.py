"""How cells write times: formats as data, and the patterns that they stand for.

A cell is compared by its shape: its text in lower case with each digit as ``0``. Where a
field stands follows from the shape alone, so cells of one shape are read at once, and no
reading depends on a locale or on the clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product

from streamrnn.connectors.text import shown
from streamrnn.errors import SettingsError

__all__ = ["Reading", "joined", "parse_format", "patterns", "shape"]

# Formats of numbers, each with its name for people.
NUMERIC = {
    "s": "epoch seconds",
    "ms": "epoch milliseconds",
    "us": "epoch microseconds",
    "ns": "epoch nanoseconds",
    "excel": "Excel's serial days",
}
TEXT_PARTS = ("date", "clock")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# Hours ahead of UTC of the names that mean one thing everywhere; EST, CST, IST and more mean several.
ZONES = {"z": 0, "utc": 0, "gmt": 0, "wet": 0, "west": 1, "cet": 1, "cest": 2, "eet": 2, "eest": 3}

MONTH = (
    r"jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
WEEKDAY = r"(?:mon|tue(?:s)?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?\.?"
HALF = r"[ap]\.?\s?m\.?"  # Spanish: "p. m."
ORDINAL = "(?:st|nd|rd|th)?"
# An offset may be followed by the zone's name once more, as Java, Go and JavaScript write it.
ZONE = (
    rf"(?:(?P<zone>{'|'.join(sorted(ZONES, key=len, reverse=True))})|"
    r"(?:utc|gmt)?(?P<sign>[-+])(?P<zone_hour>00?)(?::?(?P<zone_minute>00)(?::?(?P<zone_second>00))?)?)"
    r"(?:\s*\[[-+/\w]+\]|\s*\([-+/\w\s]+\)|\s+[a-z]{3,4})?"
)
_FRACTION = r"(?P<fraction>0{1,9})0*"  # what is finer than nanoseconds is cut off
_CLOCK = rf"(?P<hour>00?)(?::(?P<minute>00)(?::(?P<second>00)(?:[.,]{_FRACTION})?)?)?(?:\s*{ZONE})?"
_COMPACT = rf"(?P<hour>00)(?::?(?P<minute>00)(?::?(?P<second>00)(?:[.,]{_FRACTION})?)?)?(?:\s*{ZONE})?"
_ISO = (
    rf"(?P<year>0000)-(?P<month>00?)-(?P<day>00?)(?:(?:t|\s+){_CLOCK})?",
    rf"(?P<year>0000)(?P<month>00)(?P<day>00)(?:(?:t|\s+){_COMPACT})?",
    r"(?P<year>0000)-(?P<month>00)",
)
_DIRECTIVES = {
    "Y": r"(?P<year>0000)",
    "y": r"(?P<year2>00)",
    "m": r"(?P<month>00?)",
    "b": rf"(?P<name>{MONTH})\.?",
    "d": rf"(?P<day>00?){ORDINAL}",
    "j": r"(?P<yearday>0{1,3})",
    "H": r"(?P<hour>00?)",
    "I": r"(?P<hour>00?)",
    "M": r"(?P<minute>00?)",
    "S": r"(?P<second>00?)",
    "f": _FRACTION,
    "p": rf"(?P<half>{HALF})",
    "a": WEEKDAY,
    "z": ZONE,
}
_SAME = {"e": "d", "h": "b", "B": "b", "A": "a", "Z": "z", "k": "H", "l": "I"}
_SHORT = {"%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%R": "%H:%M", "%D": "%m/%d/%y"}
_NUMBERS = frozenset("YymdjHIMSf")
_HELP = (
    "give iso, s, ms, us or ns (epoch), excel, or a format of strptime such as '%d/%m/%Y %H:%M:%S'; "
    f"its directives are {' '.join('%' + name for name in sorted({*_DIRECTIVES, *_SAME}))}"
)
_SHAPE = str.maketrans("123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", "000000000abcdefghijklmnopqrstuvwxyz")


def shape(cell: str) -> str:
    """A stripped cell in lower case with each digit as 0; place by place the same length.

    Examples
    --------
    >>> shape("10-Mar-2004 18:00")
    '00-mar-0000 00:00'
    """
    return cell.translate(_SHAPE)


@dataclass(frozen=True)
class Reading:
    """One way to read time cells.

    Attributes
    ----------
    formats : tuple of str
        Tried in turn: ``"iso"``, formats of strptime, or one alone of ``"s"``,
        ``"ms"``, ``"us"``, ``"ns"`` (epoch) and ``"excel"`` (days since 1899-12-30).
    parts : tuple of str
        What each of several columns holds: ``"year"``, ``"month"``, ``"day"``, ``"yearday"``,
        ``"hour"``, ``"minute"``, ``"second"``, ``"hhmm"`` as numbers, ``"date"`` and ``"clock"`` as text
        that ``formats`` read, joined by a space where there are both. Empty for one column.
    dates_only : bool
        Whether no cell of the sample had a time of day; no part of what the reading is.

    Examples
    --------
    >>> Reading(("%d/%m/%Y %H.%M.%S",), ("date", "clock")).describe()
    '%d/%m/%Y %H.%M.%S (day first)'
    """

    formats: tuple[str, ...]
    parts: tuple[str, ...] = ()
    dates_only: bool = field(default=False, compare=False)

    @property
    def option(self) -> str:
        """The text that :func:`parse_format` makes these formats of."""
        return "|".join(self.formats)

    def describe(self) -> str:
        """The reading in words.

        Examples
        --------
        >>> Reading(("iso",)).describe(), Reading((), ("year", "month", "hour")).describe()
        ('ISO 8601', 'year, month, hour')
        """
        words = [{"iso": "ISO 8601", **NUMERIC}.get(text, text) for text in self.formats]
        said = " or ".join(words)
        order = {_order(text) for text in self.formats} - {""}
        if order:
            said += f" ({order.pop()} first)"
        numbers = [part for part in self.parts if part not in TEXT_PARTS]
        return ", ".join([said, *numbers] if said else numbers)


def _order(text: str) -> str:
    """Which of day, month and year of two digits stands first, where that needs saying."""
    places = {text.find(f"%{name}"): word for name, word in (("d", "day"), ("m", "month"), ("y", "year"))}
    places.pop(-1, None)
    return places[min(places)] if len(places) > 1 and "%Y" not in text[: min(places)] else ""


def joined(date: Reading, clock: Reading) -> Reading:
    """The reading of a column of dates beside a column of times of day.

    Examples
    --------
    >>> joined(Reading(("iso",)), Reading(("%H.%M",))).formats
    ('%Y-%m-%d %H.%M',)
    """
    dates = ["%Y-%m-%d" if text == "iso" else text for text in date.formats]
    return Reading(tuple(f"{a} {b}" for a, b in product(dates, clock.formats)), TEXT_PARTS)


def parse_format(text: str) -> Reading:
    """The reading that ``--time-format`` names; several formats are separated by ``|``.

    Raises
    ------
    SettingsError
        Where a format is unknown, has a directive that is, or does not say the year.

    Examples
    --------
    >>> parse_format("ms").describe()
    'epoch milliseconds'
    >>> parse_format("%d.%m.%Y|%d.%m.%Y %H:%M").formats
    ('%d.%m.%Y', '%d.%m.%Y %H:%M')
    """
    formats = tuple(part.strip() for part in text.split("|"))
    formats = tuple(part.lower() if part.lower() in {"iso", *NUMERIC} else part for part in formats)
    if len(formats) > 1 and not NUMERIC.keys().isdisjoint(formats):
        raise _refused(text, "mixes a format of numbers with others")
    for part in formats:
        if part not in {"iso", *NUMERIC}:
            _check(part, patterns(part)[0])
    return Reading(formats)


def _check(text: str, pattern: re.Pattern[str]) -> None:
    """Refuse a format that reads no date, or hours of which half of the day is open."""
    groups = pattern.groupindex
    if "year" not in groups and "year2" not in groups:
        raise _refused(text, "does not say the year (%Y or %y)")
    if "day" in groups and "month" not in groups and "name" not in groups:
        raise _refused(text, "says the day but not the month (%m or %b)")
    if ("half" in groups) != bool(re.search("%[Il]", text)):
        raise _refused(text, "needs %I and %p together, or %H alone")


def _refused(text: str, why: str) -> SettingsError:
    return SettingsError(f"time_format {shown(text)} {why}; {_HELP}")


@lru_cache(maxsize=256)
def patterns(text: str) -> tuple[re.Pattern[str], ...]:
    """The patterns of shapes that a text format stands for; groups are named after fields.

    Raises
    ------
    SettingsError
        Where it is neither ``"iso"`` nor a format with directives that are known, each once.

    Examples
    --------
    >>> patterns("%d %b %y")[0].fullmatch(shape("5 Mar 24")).span("name")
    (2, 5)
    """
    if text == "iso":
        return tuple(re.compile(pattern) for pattern in _ISO)
    long = text
    for short, meaning in _SHORT.items():
        long = long.replace(short, meaning)
    long = re.sub(r"(?<=%[MSf])[Zz]$", "%z", long)  # a literal Z says UTC
    # Directives are at the odd places, what stands between them at the even ones.
    pieces = re.split(r"%(.?)", long, flags=re.DOTALL)
    pieces[1::2] = [_SAME.get(name, name) for name in pieces[1::2]]
    if len(pieces) == 1 or not _DIRECTIVES.keys() >= set(pieces[1::2]) - {"%"}:
        raise _refused(text, "is not known")
    if re.search("[0-9]", "".join(pieces[::2])):
        raise _refused(text, "has a digit outside of its directives")
    try:
        return (re.compile("".join(_expression(pieces, i) for i in range(len(pieces)))),)
    except re.error:
        raise _refused(text, "says one thing twice") from None


def _expression(pieces: list[str], i: int) -> str:
    """The regular expression of a directive (odd) or of the text between two (even)."""
    piece = pieces[i]
    if i % 2:
        if piece not in _NUMBERS:
            return _DIRECTIVES.get(piece, piece)  # %% is a plain %
        touches = (i > 2 and not pieces[i - 1] and pieces[i - 2] in _NUMBERS) or (
            i + 2 < len(pieces) and not pieces[i + 1] and pieces[i + 2] in _NUMBERS
        )
        wide = _DIRECTIVES[piece].replace("00?", "00").replace("0{1,3}", "000")
        return wide if touches else _DIRECTIVES[piece]
    space = r"\\s*" if i + 1 < len(pieces) and pieces[i + 1] in ("p", "z") else r"\\s+"
    return re.sub(r"\s+", space, "".join(c if c.isspace() else re.escape(c) for c in shape(piece)))
