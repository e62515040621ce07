"""Lines of a text file, and the rows of cells that they hold.

Lines are split here and not by a library, since it must be known of every row
on which line it stands, and one broken line must not take others with it: an
open quote swallows at most ``_MOST_LINES`` lines, never the rest of a file. Only
lines with quotes go through Python's ``csv`` module, one by one.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from streamrnn.connectors.text import FOREIGN, shown

__all__ = ["BadRow", "Lines", "Rows", "cells_of", "rows_of"]

_BLOCK_BYTES = 1 << 20
_LONGEST_LINE = 1 << 20  # characters; a longer line is cut and cannot be read
_MOST_LINES = 100  # of one row
_OPEN_QUOTE = "a quote is opened and not closed; close it, or double it inside of a cell"


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be read.

    Attributes
    ----------
    line : int
        Where it starts; the first line of a file is 1.
    reason : str
        What is wrong, and what to do.
    text : str
        The row, as far as it is known.
    """

    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of a file.

    Attributes
    ----------
    cells : list of list of str
    lines : sequence of int
        The line on which each starts.
    bad : list of BadRow
        Those among them that are no rows of cells.
    """

    cells: list[list[str]]
    lines: Sequence[int]
    bad: list[BadRow]


class Lines:
    """Lines of a stream of bytes, without their ends, a block at a time.

    Parameters
    ----------
    stream : BinaryIO
    encoding : str
        Bytes that it does not know come through as lone surrogates, and leave
        as the same bytes.
    """

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        wide = encoding.startswith(("utf-16", "utf-32", "utf_16", "utf_32"))
        decoder = codecs.getincrementaldecoder(encoding)
        self._decode = decoder("replace" if wide else FOREIGN).decode
        self._ending: str | None = None
        self._rest = ""
        self._lines: list[str] = []
        self._at = 0
        self._ended = False
        self.number = 1
        """Number of the next line."""

    def take(self, count: int) -> list[str]:
        """At most ``count`` lines; none at the end."""
        while self._at == len(self._lines) and not self._ended:
            self._fill()
        lines = self._lines[self._at : self._at + count]
        self._at += len(lines)
        self.number += len(lines)
        return lines

    def _fill(self) -> None:
        data = self._stream.read(_BLOCK_BYTES)
        self._ended = not data
        text = self._rest + self._decode(data, final=self._ended)
        if self._ending is None:
            # Old machines ended lines with a carriage return alone.
            self._ending = "\r" if "\r" in text and "\n" not in text else "\n"
        held = "\r" if self._ending == "\n" and text.endswith("\r") and not self._ended else ""
        text = text.removesuffix(held) if held else text
        if self._ending == "\n" and "\r" in text:
            text = text.replace("\r\n", "\n")
        self._lines, self._at = text.split(self._ending), 0
        self._rest = "" if self._ended else self._lines.pop() + held
        if self._ended and not self._lines[-1]:
            self._lines.pop()
        if len(self._rest) > _LONGEST_LINE:
            self._lines.append(self._rest)
            self._rest = ""


def cells_of(line: str, delimiter: str) -> list[str]:
    """The cells of a line without quotes; a space stands for any run of white space."""
    return line.split() if delimiter == " " else line.split(delimiter)


def rows_of(lines: Lines, delimiter: str, count: int) -> Rows | None:
    """The next rows of a file, at most ``count``, lines without a cell left out; None at the end.

    How a file is cut into calls changes no row.
    """
    while chunk := lines.take(count):
        first = lines.number - len(chunk)
        blank = f"{delimiter} \t"
        if not any('"' in line for line in chunk):
            kept = [line for line in chunk if line.strip(blank)]
            numbers: Sequence[int] = range(first, first + len(chunk))
            if len(kept) < len(chunk):
                numbers = [i for i, line in zip(numbers, chunk, strict=True) if line.strip(blank)]
            rows = Rows([cells_of(line, delimiter) for line in kept], numbers, [])
        else:
            rows = _quoted(_Numbered(chunk, first, lines), delimiter, blank)
        if rows.cells or rows.bad:
            return rows
    return None


class _Numbered:
    """Lines with their numbers; those behind the chunk only as long as ``more`` asks for them."""

    def __init__(self, chunk: list[str], first: int, lines: Lines) -> None:
        self._chunk, self._at, self._first, self._lines = chunk, 0, first, lines

    def __iter__(self) -> Iterator[tuple[int, str]]:
        while self._at < len(self._chunk):
            self._at += 1
            yield self._first + self._at - 1, self._chunk[self._at - 1]

    def more(self, count: int) -> list[str]:
        """The next lines, without taking them."""
        while len(self._chunk) - self._at < count and (line := self._lines.take(1)):
            self._chunk += line
        return self._chunk[self._at : self._at + count]

    def skip(self, count: int) -> None:
        """Take lines that ``more`` has shown."""
        self._at += count


def _quoted(lines: _Numbered, delimiter: str, blank: str) -> Rows:
    rows: list[list[str]] = []
    numbers: list[int] = []
    bad: list[BadRow] = []
    for number, line in lines:
        if not line.strip(blank):
            continue
        try:
            cells = _parsed([line], delimiter) if '"' in line else cells_of(line, delimiter)
            if cells is None:
                cells = _continued(line, lines, delimiter)
        except csv.Error as error:
            bad.append(BadRow(number, f"{error}; check the quotes there", line))
            continue
        if cells is None:
            bad.append(BadRow(number, f"{_OPEN_QUOTE} ({shown(line)})", line))
            continue
        rows.append(cells)
        numbers.append(number)
    return Rows(rows, numbers, bad)


def _continued(line: str, lines: _Numbered, delimiter: str) -> list[str] | None:
    """A row whose quoted cell holds line breaks; None where the quote never closes."""
    following = lines.more(_MOST_LINES)
    for count, last in enumerate(following, 1):
        if '"' in last:
            cells = _parsed([line, *following[:count]], delimiter)
            if cells is not None:
                lines.skip(count)
                return cells
    return None


def _parsed(lines: list[str], delimiter: str) -> list[str] | None:
    """The cells of one row; None where a quote is still open. csv.Error where quotes are wrong."""
    ended = [f"{line}\n" for line in lines[:-1]] + lines[-1:]
    reader = csv.reader(ended, delimiter=delimiter, strict=True, skipinitialspace=delimiter == " ")
    try:
        cells = next(reader)
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            return None
        raise
    return cells[:-1] if delimiter == " " and cells and not cells[-1] else cells
