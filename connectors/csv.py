"""CSV files, and all tables of text with delimiters, as people have them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from streamrnn.connectors.options import RecordOptions
from streamrnn.connectors.tables.block import Block
from streamrnn.connectors.tables.column import Column
from streamrnn.connectors.tables.dialect import Dialect, find_dialect, find_encoding
from streamrnn.connectors.tables.opening import Opened, reading
from streamrnn.connectors.tables.rows import WIDE, BadRow, GivenLines, Lines, Rows, errors_of, rows_of
from streamrnn.connectors.tables.schema import Sample
from streamrnn.connectors.text import FOREIGN
from streamrnn.errors import DataError

__all__ = ["CsvTable", "wrong_width"]

_FOREIGN = {
    re.compile(rb"\s*<(\?xml|!doctype|html)", re.IGNORECASE): "XML or a web page; was it saved as a table?",
    re.compile(rb'\s*(\[\s*)?\{\s*"'): "JSON; save it as CSV or Parquet",
    re.compile(rb"\s*@relation\b", re.IGNORECASE): "an ARFF file; save it as CSV",
}
_SAMPLE_ROWS = 3000  # of the head
_AGAIN = "the header once more; files were put one behind the other"


class CsvTable:
    """A text file of rows and columns, its way of writing found out.

    Parameters
    ----------
    opened : Opened
    path : str
        To read it again.
    options : RecordOptions

    Raises
    ------
    DataError
        Where it is no text or has no records.
    """

    def __init__(self, opened: Opened, path: str, options: RecordOptions) -> None:
        self.title, self.fingerprint, self.options = opened.title, opened.fingerprint, options
        self._opened, self._path = opened, path
        kind = next((what for like, what in _FOREIGN.items() if like.match(opened.head)), None)
        if kind is not None:
            raise DataError(f"{self.title} is {kind}")
        encoding = find_encoding(opened.head, self.title, options.encoding)
        with reading(path):
            text = opened.head.decode(encoding, errors_of(encoding))
        self._line_end = _ending(text)
        head = _whole_lines(text, self._line_end, cut=opened.goes_on)
        if not head and text:
            raise DataError(
                f"{self.title}: line 1 has no end within {len(text):,} characters; is it a table?"
            )
        self.dialect: Dialect = find_dialect(head, encoding, self.title, options)
        self.decimal = self.dialect.decimal
        self._head = head[self.dialect.first - 1 :]
        self._start()

    @property
    def share_read(self) -> float | None:
        """How much of the file is read, 0 to 1; None where its size is not known."""
        return self._opened.share_read

    def sample(self) -> Sample:
        """Rows of the head, then rows from further in where the file can be read anywhere; asked once."""
        dialect = self.dialect
        rows = _rows_in(self._head, dialect, _SAMPLE_ROWS)
        self._head = []
        consecutive = len(rows)
        for part in self._opened.samples:
            if not dialect.encoding.startswith(WIDE):
                text = part.decode(dialect.encoding, FOREIGN)
                rows += _rows_in(_whole_lines(text, self._line_end, cut=True)[1:], dialect, _SAMPLE_ROWS)
        if not rows:
            raise DataError(f"{self.title} has a header but no records")
        cells = zip(*rows, strict=True)
        columns = [
            Column(name, column, decimal=dialect.decimal)
            for name, column in zip(dialect.names, cells, strict=True)
        ]
        made_up = frozenset(dialect.names if not dialect.header else ())
        return Sample(self.title, columns, consecutive, made_up)

    def describe(self) -> str:
        """How it is written, for people."""
        return self.dialect.describe()

    def read(self, count: int) -> Block | None:
        """The next rows, about ``count``; None at the end."""
        with reading(self._path):
            rows = rows_of(self._lines, self.dialect.delimiter, count)
        return None if rows is None else _block(rows, self.dialect)

    def pinned(self, options: RecordOptions) -> RecordOptions:
        """The options together with encoding, delimiter and decimal mark."""
        found = self.dialect
        return replace(options, encoding=found.encoding, delimiter=found.delimiter, decimal=found.decimal)

    def rewind(self) -> None:
        """Start again; DataError where it can be read but once."""
        if not self._opened.repeatable:
            raise DataError(f"{self.title} cannot be read twice; save it to a file first")
        self._opened.close()
        self._opened = Opened(self._path)
        self._start()

    def close(self) -> None:
        """Close the file; stdin stays open."""
        self._opened.close()

    def _start(self) -> None:
        self._lines = Lines(self._opened.stream, self.dialect.encoding, self._line_end)
        skipped = self.dialect.first - 1
        with reading(self._path):
            while skipped > 0 and (lines := self._lines.take(skipped)):
                skipped -= len(lines)


def _ending(text: str) -> str:
    """What ends a line; old machines wrote a carriage return alone."""
    return "\r" if "\r" in text and "\n" not in text else "\n"


def _whole_lines(text: str, ending: str, *, cut: bool) -> list[str]:
    """The lines of a text; without the last, where it may be cut off."""
    lines = text.replace("\r\n", "\n").split(ending)
    return lines[:-1] if cut or not lines[-1] else lines


def _rows_in(lines: Sequence[str], dialect: Dialect, most: int) -> list[list[str]]:
    """Rows of a part of the file; lines that are none are left out."""
    rows = rows_of(GivenLines(lines), dialect.delimiter, len(lines)) if lines else None
    block = Block([], []) if rows is None else _block(rows, dialect)
    return [list(row) for row in islice(zip(*block.columns, strict=True), most)]


def _fitted(row: list[str], dialect: Dialect) -> list[str] | None:
    """A row with as many cells as there are columns; None where that needs a guess."""
    width = len(dialect.names)
    if len(row) == width:
        return row
    if dialect.narrowest <= len(row) < width:
        return row + [""] * (width - len(row))
    if len(row) > width and not any(cell.strip() for cell in row[width:]):
        return row[:width]
    return None


def _block(rows: Rows, dialect: Dialect) -> Block:
    """The columns of some rows, comments left out; rows that do not fit are bad."""
    cells, lines, bad = rows.cells, rows.lines, rows.bad
    width, heading, comments = len(dialect.names), list(dialect.heading), dialect.comments
    plain = set(map(len, cells)) <= {width} and heading not in cells
    if not plain or (comments and any(row[0].startswith(comments) for row in cells)):
        kept, numbers, bad = [], [], list(bad)
        for row, line in zip(cells, lines, strict=True):
            if comments and row[0].startswith(comments):
                continue
            fitted = None if row == heading else _fitted(row, dialect)
            if fitted is None:
                reason = _AGAIN if row == heading else wrong_width(len(row), width)
                bad.append(BadRow(line, reason, dialect.delimiter.join(row)))
            else:
                kept.append(fitted)
                numbers.append(line)
        cells, lines = kept, numbers
    columns = list(zip(*cells, strict=True)) if cells else [()] * width
    return Block(list(columns), lines, sorted(bad, key=lambda row: row.line))


def wrong_width(count: int, width: int) -> str:
    """Why a row with so many cells is none."""
    help_ = "quote cells that hold the delimiter" if count > width else "it may have been cut off"
    return f"the row has {count} of {width} cells; {help_}"
