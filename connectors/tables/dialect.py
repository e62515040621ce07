"""How a text file writes its table: encoding, delimiter, decimal mark, and where the header stands."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamrnn.connectors.options import RecordOptions
from streamrnn.connectors.tables.marks import decimal_of
from streamrnn.connectors.tables.rows import GivenLines, cells_of, rows_of
from streamrnn.connectors.text import is_missing, is_number, shown
from streamrnn.errors import DataError

__all__ = ["Dialect", "find_dialect", "find_encoding"]

_MARKS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces"}
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LOOKED_AT = 2000  # lines that decide where the header is
_WEIGHED, _FEWEST_WEIGHED, _WEIGHED_CHARACTERS = 200, 10, 65_536  # lines that decide the marks
_SAID = re.compile("sep=(.)$")  # Excel's first line
_COMMENTS = ("#", "%", "//")
_DATE = (
    r"(\d{4}[-/]\d{1,2}|\d{1,4}(?P<mark>[-/.])\d{1,2}(?P=mark)\d{1,4}|\d{8}|"
    r"\d{1,2}[-/. ]*[a-z]{3,9}[-/., ]*\d{2,4}|[a-z]{3,9}\.? \d{1,2},? \d{4})"
)
_CLOCK = r"\d{1,2}(:\d{2}(:\d{2}([.,:]\d+)?)?|\.\d{2}\.\d{2})"
_ZONE = r"(\s*([ap]\.?\s?m\.?|z|[a-z]{3,5}|(utc|gmt)?[-+]\d{1,2}(:?\d{2})?)){0,3}(\[[\w/]+\])?"
_BEHIND = rf"[t ,;_-]+({_CLOCK}|\d{{1,2}}\.\d{{2}}|\d{{4,6}}){_ZONE}"  # a date
_LIKE_A_TIME = re.compile(
    rf"\s*(([a-z]{{3,9}},? )?{_DATE}({_BEHIND})?|{_CLOCK}{_ZONE})\s*", re.IGNORECASE | re.ASCII
)
# What stands below names: units, what a logger did with values, types, or a ruler.
_UNITS = re.compile(
    r"[\[(].*[\])]|\S{0,4}[°%µ²³/]\S{0,5}|deg.{0,3}|"
    r"[numkcdhg]{0,1}(m|g|s|a|v|w|hz|pa|bar|va|var|wh|l|j|n|ohm|t|b)|[cfkh]|min|sec|rpm|psi|ppm|ppb|inhg|"
    r"volts?|amps?|watts?|hours?|seconds?|minutes?|met(er|re)s?|celsius|kelvin|fahrenheit|percent|"
    r"ts|rn|smp|avg|max|std|tot|wvc|mean|raw|"
    r"str(ing)?|text|int(eger|\d*)?|float\d*|double|real|num(ber|eric)?|long|bool(ean)?|object",
    re.IGNORECASE,
)
_LONGEST_UNIT = 14
_NAMES_A_TIME = re.compile(r"time|date|zeit|datum|fecha|hora|heure", re.IGNORECASE)
_MOSTLY_UNITS = 0.5  # share of cells
_CONTROL = re.compile(r"[\x01-\x08\x0e-\x1a\x1c-\x1f]")
_MOST_CONTROL = 0.05  # share of control characters above which a file is no text


@dataclass(frozen=True)
class Dialect:
    """How a text file writes its table.

    Attributes
    ----------
    encoding, delimiter, decimal : str
        A space as delimiter stands for any run of white space.
    names : tuple of str
        Of the columns, each another; made up where the file has none.
    header : int
        Line of the header; 0: there is none.
    first : int
        Line of the first record.
    narrowest : int
        Fewest cells of a row that is whole.
    heading : tuple of str
        The cells of the header as they stand there; none where there is none.
    comments : tuple of str
        What rows that are comments start with; empty where there are none.
    """

    encoding: str
    delimiter: str
    decimal: str
    names: tuple[str, ...]
    header: int
    first: int
    narrowest: int
    heading: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()

    def describe(self) -> str:
        """In words, for people."""
        encoding = "UTF-8" if self.encoding in {"utf-8", "utf-8-sig"} else self.encoding
        marks = _MARKS.get(self.delimiter, shown(self.delimiter))
        decimal = ", decimal comma" if self.decimal == "," else ""
        header = f"header in line {self.header}" if self.header else "no header"
        return f"{encoding}, {marks}{decimal}, {header}"


def find_encoding(head: bytes, title: str, given: str | None = None) -> str:
    """The encoding of a file's first bytes; of a given one the order of its bytes.

    Raises
    ------
    DataError
        Where they are no text.
    """
    if given is not None and codecs.lookup(given).name not in {"utf-16", "utf-32"}:
        return given
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark) and (given is None or codecs.lookup(given).name == encoding):
            return encoding
    even, odd = head[0:2000:2].count(0), head[1:2000:2].count(0)
    if given is not None:
        return f"{codecs.lookup(given).name}-{'be' if even > odd else 'le'}"
    often = 0.4 * len(head[:2000]) / 2
    if max(even, odd) > often > 2 * min(even, odd):
        encoding = "utf-16-be" if even > odd else "utf-16-le"
        text = head[:20_000].decode(encoding, "replace")
    else:
        encoding = "utf-8"
        text = head[:20_000].decode("latin-1")
        try:
            codecs.getincrementaldecoder("utf-8")().decode(head)
        except UnicodeDecodeError:
            encoding = "cp1252"
    if len(_CONTROL.findall(text)) > _MOST_CONTROL * len(text) or (text and not text.strip("\0")):
        raise DataError(f"{title} is not text; give a table of text (CSV) or a Parquet file")
    return encoding


def find_dialect(lines: Sequence[str], encoding: str, title: str, options: RecordOptions) -> Dialect:
    """How a table is written, by its first lines.

    The delimiter and decimal mark are those under which rows have equally many
    cells and most cells are numbers or times. The header is the last line before
    the first record that has as many cells, units left aside.

    Parameters
    ----------
    lines : sequence of str
        The first lines, each whole, without their ends.
    encoding, title : str
    options : RecordOptions
        Its delimiter and decimal mark hold, where given.

    Raises
    ------
    DataError
        Where there is no record, or every number may be read two ways.
    """
    lines = lines[:_LOOKED_AT]
    if not any(line.strip() for line in lines):
        raise DataError(f"{title} is empty; it should hold a table such as time,value")
    said = _SAID.match(lines[0])
    if said is not None:
        lines = ["", *lines[1:]]
    given = options.delimiter or (said and said[1])
    delimiters = [given] if given else _present(lines)
    decimals = [options.decimal] if options.decimal else [".", ","]
    # A decimal comma between commas needs quotes.
    quoted = any('"' in line for line in lines[:_WEIGHED])
    pairs = [(d, mark) for d in delimiters for mark in decimals if d != mark or quoted]
    pairs = pairs or [(delimiters[0], decimals[0])]
    weighed = _weighed(lines)
    delimiter, decimal = max(pairs, key=lambda pair: _merit(weighed, *pair))
    if not options.decimal:
        decimal = decimal_of(_columns(weighed, delimiter), delimiter, decimal, title)
    return _placed(lines, encoding, delimiter, decimal, title)


def _weighed(lines: Sequence[str]) -> Sequence[str]:
    """The lines that decide the marks: enough of them, fewer where they are long."""
    ends = np.cumsum([len(line) for line in lines[:_WEIGHED]])
    return lines[: max(_FEWEST_WEIGHED, int((ends <= _WEIGHED_CHARACTERS).sum()))]


def _present(lines: Sequence[str]) -> list[str]:
    """The marks that stand in half of the lines and may separate cells."""
    held = [line for line in lines[:_WEIGHED] if line.strip()]
    found = [mark for mark in _MARKS if 2 * sum(mark in line for line in held) >= len(held)]
    if found == [" "] and 2 * sum(map(_is_time, held)) >= len(held):
        found = []  # the one between a date and its time of day
    return found or [","]


def _table(lines: Sequence[str], delimiter: str) -> list[tuple[int, list[str]]]:
    """The rows that hold anything, with their lines; those that are none as one cell."""
    rows = rows_of(GivenLines(lines), delimiter, len(lines)) if lines else None
    if rows is None:
        return []
    table = [
        (line, row) for line, row in zip(rows.lines, rows.cells, strict=True) if any(map(str.strip, row))
    ]
    return sorted(table + [(bad.line, [bad.text]) for bad in rows.bad], key=lambda row: row[0])


def _merit(lines: Sequence[str], delimiter: str, decimal: str) -> tuple[float, float, int]:
    """How well a table reads so: share of rows alike and of readable cells; plainness; columns."""
    rows = [row for _, row in _table(lines, delimiter) if not row[0].startswith(_COMMENTS)]
    if not rows:
        return 0.0, 0.0, 0
    width, alike = Counter(map(len, rows)).most_common(1)[0]
    cells = [cell for row in rows if len(row) == width for cell in row if not is_missing(cell)]
    worth = sum(_worth(cell, decimal) for cell in cells)
    plain = sum(_is_plain(cell, decimal) for cell in cells)
    # Columns of text are no fault of a delimiter; one column that should be many is, and
    # spaces stand in texts and times too.
    share = worth / max(len(cells), 1)
    merit = (alike / len(rows)) * (0.2 + share) * (1.0 if width > 1 else 0.5)
    merit *= 0.9 if delimiter == " " else 1.0
    return round(merit, 3), round(plain / max(len(cells), 1), 3), width


def _columns(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """The cells of the rows that are as wide as most, times left out, by column."""
    rows = [row for _, row in _table(lines, delimiter)]
    width = Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
    whole = zip(*(row for row in rows if len(row) == width), strict=True)
    return [[cell for cell in column if not _is_time(cell)] for column in whole]


def _worth(cell: str, decimal: str) -> float:
    """1 for a number or a time, half for text, nothing for text that may be several cells."""
    if _is_data(cell, decimal):
        return 1.0
    return 0.0 if any(mark in cell for mark in _MARKS if mark != " ") else 0.5


def _is_plain(cell: str, decimal: str) -> bool:
    """Whether a cell is a number without groups of digits."""
    try:
        float(cell.replace(",", ".") if decimal == "," and "." not in cell else cell)
    except ValueError:
        return False
    return True


def _is_data(cell: str, decimal: str) -> bool:
    """Whether a cell looks like a number or a time."""
    return is_number(cell, decimal) or _is_time(cell)


def _is_time(cell: str) -> bool:
    return _LIKE_A_TIME.fullmatch(cell) is not None


def _placed(lines: Sequence[str], encoding: str, delimiter: str, decimal: str, title: str) -> Dialect:
    """Header and first record of a table whose marks are known."""
    table = _table(lines, delimiter)
    marked = [row[0].startswith(_COMMENTS) for _, row in table]
    # Where most rows have the mark, it is a part of names, not the mark of a comment.
    has_comments = any(marked) and (all(marked) or 2 * sum(marked) < len(table))
    rows = [row for row, is_comment in zip(table, marked, strict=True) if not (has_comments and is_comment)]
    if not rows:
        raise DataError(f"{title} has comments but no records")
    width = Counter(len(row) for _, row in rows[-_LOOKED_AT // 2 :]).most_common(1)[0][0]
    kinds = _kinds([row for _, row in rows if len(row) == width], decimal)
    start = next((k for k, (_, row) in enumerate(rows) if _is_record(row, kinds, width, decimal)), None)
    if start is None:
        if len(rows) == 1:
            raise DataError(f"{title} has a header but no records")
        start = 1  # all text: whoever reads on will say so
    line, header = _header(rows[:start], [row for _, row in rows[start:]], width, title)
    if not header and has_comments:
        line, header = _commented(table, rows[start][0], width, delimiter)
    header = header[:width] if not any(map(str.strip, header[width:])) else header
    width = max(width, len(header))
    return Dialect(
        encoding=encoding,
        delimiter=delimiter,
        decimal=decimal,
        names=_names(header, width),
        header=line,
        first=rows[start][0],
        narrowest=min(width, Counter(len(row) for _, row in rows[start:]).most_common(1)[0][0]),
        heading=tuple(next((row for i, row in table if i == line), ())),
        comments=_COMMENTS if has_comments else (),
    )


def _kinds(rows: Sequence[Sequence[str]], decimal: str) -> list[str]:
    """Of each column: ``time`` where most cells look like one, ``number``, or ``text``."""
    kinds = []
    for column in zip(*rows[len(rows) // 4 :], strict=True):
        cells = [cell for cell in column if not is_missing(cell)]
        numeric = sum(is_number(cell, decimal) for cell in cells)
        timed = sum(map(_is_time, cells))
        kind = "number" if 2 * numeric >= len(cells) > 0 else "text"
        kinds.append("time" if 2 * timed >= len(cells) > 0 and kind == "text" else kind)
    return kinds


def _is_record(row: Sequence[str], kinds: Sequence[str], width: int, decimal: str) -> bool:
    """Whether a row holds data and no names: its cells are what their columns mostly hold."""
    if len(row) < width - 1:
        return False
    against = 0
    for cell, kind in zip(row, kinds, strict=False):
        if is_missing(cell) or kind == "text":
            continue
        if kind == "time":
            return _is_time(cell)
        against += 1 if not _is_data(cell, decimal) else -1
    whole = [cell.strip() for cell in row]
    counted = whole == [str(i) for i in range(len(row))]  # pandas names columns so that have no name
    return against < 0 and not (counted and len(row) > 1)


def _commented(
    table: Sequence[tuple[int, list[str]]], first: int, width: int, delimiter: str
) -> tuple[int, list[str]]:
    """The comment right above the first record, where it has the names: ``# time value``."""
    above = [(i, row) for i, row in table if i < first and row[0].startswith(_COMMENTS)]
    if not above:
        return 0, []
    line, row = above[-1]
    cells = cells_of(delimiter.join(row).lstrip("#%/ "), delimiter)
    return (line, cells) if len(cells) == width else (0, [])


def _header(
    above: Sequence[tuple[int, list[str]]], records: Sequence[Sequence[str]], width: int, title: str
) -> tuple[int, list[str]]:
    """The line of the names among the rows above the first record; (0, []) where there is none.

    It is the last row as wide as the records, rows of units left aside; what has
    no name there has that of the row above. A row that is shorter is one where
    all that it lacks is empty in every record, or where it lacks the name of the
    first column only, as R writes tables with names of rows.
    """
    wide = [i for i, (_, row) in enumerate(above) if len(row) >= width]
    if wide:
        begin = next((i + 1 for i in reversed(range(wide[-1])) if len(above[i][1]) < width), 0)
        return _named(list(above[begin : wide[-1] + 1]))
    line, row = above[-1] if above else (0, [])
    lacking = [cell for record in records for cell in record[len(row) :]]
    if row and len(row) < width and not any(map(str.strip, lacking)):
        return line, row
    if not row or len(row) != width - 1:
        return 0, []
    if not _are_names(records) or any(_NAMES_A_TIME.search(cell) for cell in row if _is_time(records[0][0])):
        raise DataError(
            f"{title}: its header (line {line}) names {len(row)} of {width} columns; "
            "cells that hold the delimiter need quotes, or give another one (--delimiter)"
        )
    return line, ["", *row]


def _named(block: list[tuple[int, list[str]]]) -> tuple[int, list[str]]:
    """The row of names among rows above each other that are as wide as the records."""
    while len(block) > 1 and _share_of_units(block[-1][1]) >= _MOSTLY_UNITS:
        if all(_share_of_units(row) >= _share_of_units(block[-1][1]) for _, row in block[:-1]):
            break
        block.pop()
    line, names = block[-1][0], list(block[-1][1])
    for _, row in reversed(block[:-1]):
        above = [*row, *names[len(row) :]]
        names = [name if name.strip() else other for name, other in zip(names, above, strict=False)]
    return line, names


def _are_names(records: Sequence[Sequence[str]]) -> bool:
    """Whether the first cells are names of rows: no two alike, and text or numbers of rows."""
    first = [record[0].strip() for record in records if record]
    counted = [str(int(first[0]) + i) for i in range(len(first))] if first[0].isdecimal() else None
    return len(set(first)) == len(first) and (first == counted or not is_number(first[0]))


def _share_of_units(row: Sequence[str]) -> float:
    """Share of a row's cells that look like what stands below names."""
    cells = [cell.strip() for cell in row if cell.strip()]
    fitting = sum(_is_below_names(cell) for cell in cells)
    return fitting / max(len(cells), 1)


def _is_below_names(cell: str) -> bool:
    return not cell.strip("-:=+*") or (len(cell) <= _LONGEST_UNIT and _UNITS.fullmatch(cell) is not None)


def _names(header: Sequence[str], width: int) -> tuple[str, ...]:
    """Names of all columns: cleaned, made up where empty, numbered where repeated."""
    given = [" ".join(cell.split()).lstrip("\ufeff") for cell in header]
    given += [""] * (width - len(given))
    names: dict[str, None] = {}
    for place, cell in enumerate(given, 1):
        name = free = cell or f"column_{place}"
        again = 2
        while free in names:
            free, again = f"{name}.{again}", again + 1
        names[free] = None
    return tuple(names)
