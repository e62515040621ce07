"""Lines of a text file, and the rows of cells that they hold.

Lines are split here and not by a library, since it must be known of every row
on which line it stands, and one broken line must not take others with it: an
open quote swallows at most ``_MOST_LINES`` lines, never the rest of a file. Only
lines with quotes go through Python's ``csv`` module, one by one.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from streamrnn.connectors.growing import GrowingFile
from streamrnn.connectors.text import FOREIGN, shown

__all__ = ["WIDE", "BadRow", "GivenLines", "Lines", "Rows", "cells_of", "errors_of", "rows_of"]

WIDE = ("utf-16", "utf-32", "utf-7")  # encodings in which a byte alone says nothing
_BLOCK_BYTES = 1 << 20
_LONGEST_LINE = 1 << 20  # characters; a longer line cannot be read, its start alone is kept
_MOST_LINES = 100  # of one row
_TOO_LONG = f"the line is longer than {_LONGEST_LINE:,} characters; what follows is cut off"
_UNFINISHED = "unexpected end of data"  # how csv says that a quote is open
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
    stream : BinaryIO or GrowingFile
    encoding : str
        Bytes that it does not know come through as lone surrogates, and leave
        as the same bytes.
    ending : str
        What ends a line: a line feed (then with a carriage return before it or
        not), or a carriage return alone.

    Attributes
    ----------
    number : int
        Number of the next line.
    too_long : set of int
        Numbers of lines that were cut.
    """

    def __init__(self, stream: BinaryIO | GrowingFile, encoding: str, ending: str = "\n") -> None:
        self._stream, self._ending = stream, ending
        self._decode = codecs.getincrementaldecoder(encoding)(errors_of(encoding)).decode
        self._rest = ""
        self._lines: list[str] = []
        self._at = 0
        self._ended = self._cutting = False
        self.number = 1
        self.too_long: set[int] = set()

    def take(self, count: int) -> list[str]:
        """At most ``count`` lines; none at the end, or where a growing file has no more yet."""
        while self._at == len(self._lines) and not self._ended:
            if not self._fill():
                break
        lines = self._lines[self._at : self._at + count]
        self._at += len(lines)
        self.number += len(lines)
        return lines

    def put_back(self, lines: list[str]) -> None:
        """Have lines that were taken last taken again."""
        self._lines, self._at = lines + self._lines[self._at :], 0
        self.number -= len(lines)

    def _fill(self) -> bool:
        """Read a block; False where a growing file has none yet."""
        data = self._stream.read(_BLOCK_BYTES)
        if not data and isinstance(self._stream, GrowingFile) and not self._stream.ended:
            return False
        self._ended = not data
        text = self._rest + self._decode(data, final=self._ended)
        held = "\r" if self._ending == "\n" and text.endswith("\r") and not self._ended else ""
        text = text.removesuffix(held) if held else text
        if self._ending == "\n" and "\r" in text:
            text = text.replace("\r\n", "\n")
        lines = text.split(self._ending)
        self._rest = "" if self._ended else lines.pop() + held
        if self._ended and not lines[-1]:
            lines.pop()
        self._lines, self._at = self._cut(lines), 0
        return True

    def _cut(self, lines: list[str]) -> list[str]:
        """The lines, those too long cut; the rest of one that goes on is not kept."""
        if self._cutting and (lines or self._ended):
            lines, self._cutting = lines[1:], False
        if max(map(len, lines), default=0) > _LONGEST_LINE:
            long = [i for i, line in enumerate(lines) if len(line) > _LONGEST_LINE]
            self.too_long |= {self.number + i for i in long}
            for i in long:
                lines[i] = lines[i][:_LONGEST_LINE]
        if self._cutting:
            self._rest = ""
        elif len(self._rest) > _LONGEST_LINE:
            self.too_long.add(self.number + len(lines))
            lines.append(self._rest[:_LONGEST_LINE])
            self._rest, self._cutting = "", True
        return lines


class GivenLines(Lines):
    """Lines that are there already."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines, self._at, self._ended, self.number = list(lines), 0, True, 1
        self.too_long = set()


def errors_of(encoding: str) -> str:
    """What to do with bytes that are not of an encoding: keep them, where it can carry them."""
    return "replace" if encoding.lower().replace("_", "-").startswith(WIDE) else FOREIGN


def cells_of(line: str, delimiter: str) -> list[str]:
    """The cells of a line without quotes; a space stands for any run of white space."""
    return line.split() if delimiter == " " else line.split(delimiter)


def rows_of(lines: Lines, delimiter: str, count: int) -> Rows | None:
    """The next rows of a file, at most ``count``, lines without a cell left out; None at the end.

    How a file is cut into calls changes no row.
    """
    while chunk := lines.take(count):
        first = lines.number - len(chunk)
        blank = None if delimiter == " " else f"{delimiter} \t"
        if lines.too_long or '"' in "\n".join(chunk):
            rows = _quoted(_Numbered(chunk, first, lines), delimiter, blank)
        else:
            kept = [line for line in chunk if line.strip(blank)]
            numbers: Sequence[int] = range(first, first + len(chunk))
            if len(kept) < len(chunk):
                numbers = [i for i, line in zip(numbers, chunk, strict=True) if line.strip(blank)]
            mark = None if delimiter == " " else delimiter
            rows = Rows([line.split(mark) for line in kept], numbers, [])
        if rows.cells or rows.bad:
            return rows
    return None


class _Numbered:
    """Some lines with their numbers; those behind them only as long as ``more`` asks for them."""

    def __init__(self, chunk: list[str], first: int, lines: Lines) -> None:
        self._chunk, self._at, self._first, self._lines = chunk, 0, first, lines
        self._end = len(chunk)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        while self._at < self._end:
            self._at += 1
            yield self._first + self._at - 1, self._chunk[self._at - 1]
        self._lines.put_back(self._chunk[self._at :])

    def is_cut(self, number: int) -> bool:
        """Whether a line that was asked for is not whole."""
        return number in self._lines.too_long

    def more(self, count: int) -> list[str]:
        """The next lines, without taking them."""
        while len(self._chunk) - self._at < count and (line := self._lines.take(1)):
            self._chunk += line
        return self._chunk[self._at : self._at + count]

    def skip(self, count: int) -> None:
        """Take lines that ``more`` has shown."""
        self._at += count


def _quoted(lines: _Numbered, delimiter: str, blank: str | None) -> Rows:
    rows: list[list[str]] = []
    numbers: list[int] = []
    bad: list[BadRow] = []
    for number, line in lines:
        if not line.strip(blank):
            continue
        if lines.is_cut(number):
            bad.append(BadRow(number, _TOO_LONG, line))
            continue
        try:
            cells = _row(number, line, lines, delimiter) if '"' in line else cells_of(line, delimiter)
        except csv.Error as error:
            bad.append(BadRow(number, f"{error}; check the quotes there", line))
            continue
        if cells is None:
            bad.append(BadRow(number, f"{_OPEN_QUOTE} ({shown(line)})", line))
            continue
        rows.append(cells)
        numbers.append(number)
    return Rows(rows, numbers, bad)


def _row(number: int, line: str, lines: _Numbered, delimiter: str) -> list[str] | None:
    """The cells of a row with quotes, which may hold line breaks; None where a quote never closes.

    csv.Error where quotes are wrong.
    """
    # Some write a space behind each delimiter, before the quote too.
    spaced = delimiter == " " or f'{delimiter} "' in line
    try:
        return _parsed([line], delimiter, spaced)
    except csv.Error as error:
        if _UNFINISHED not in str(error):
            raise
    taken: list[str] = []

    def fed() -> Iterator[str]:
        yield f"{line}\n"
        for more in lines.more(_MOST_LINES):
            taken.append(more)
            yield f"{more}\n"

    try:
        cells = _parsed(fed(), delimiter, spaced)
    except csv.Error as error:
        if _UNFINISHED in str(error):
            return None
        raise
    if any(lines.is_cut(number + i) for i in range(1, len(taken) + 1)):
        return None
    lines.skip(len(taken))
    return cells


def _parsed(lines: Iterable[str], delimiter: str, spaced: bool) -> list[str]:
    """The cells of the first row; csv.Error where quotes are wrong or a quote is still open."""
    cells = next(csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=spaced))
    return cells[:-1] if delimiter == " " and len(cells) > 1 and not cells[-1] else cells
