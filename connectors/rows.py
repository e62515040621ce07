"""The rows of a CSV file as text, and the line on which each starts.

Python's ``csv`` module reads them, not pandas: it tells the line of a row even
where cells hold line breaks, tells a row that is too short from one whose last
values are missing, and leaves the text of every cell alone.
"""

from __future__ import annotations

import csv
import hashlib
import io
import sys
from itertools import islice
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from streamrnn.connectors.text import is_number, is_time, printable, shown
from streamrnn.errors import DataError

__all__ = ["FOREIGN", "STANDARD", "RowFile"]

STANDARD = "-"  # the path that means stdin or stdout
# Bytes that are not UTF-8 come through unchanged: columns of text are only repeated.
FOREIGN = "surrogateescape"
_HEAD_BYTES = 65_536  # what the fingerprint covers
_BLOCK_ROWS = 1000  # fewest rows read at a time


class RowFile:
    """An open CSV file with a header.

    Attributes
    ----------
    title : str
        Base name of the file, safe to show; never a path.
    fingerprint : str
        Eight hexadecimal digits that depend on the first 64 KiB.
    header : list of str
    error : DataError or None
        What ended the rows before the end of the file.

    Raises
    ------
    DataError
        Where the file cannot be opened, is empty, or has no header.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        self.title = "stdin" if self._path == STANDARD else printable(Path(self._path).name)
        self._read_from_start()

    def rewind(self) -> None:
        """Start again; DataError where that is impossible."""
        if not self._stream.seekable():
            raise DataError(f"{self.title} cannot be read twice; save it to a file first")
        self.close()
        self._read_from_start()

    def _read_from_start(self) -> None:
        head = self._open()
        self.fingerprint = hashlib.sha256(head).hexdigest()[:8]
        try:
            self._start_reader(head)
        except DataError:
            self.close()
            raise

    def _start_reader(self, head: bytes) -> None:
        if b"\0" in head:
            raise DataError(f"{self.title} is not text (it holds zero bytes); unpack it, or save it as UTF-8")
        text = io.TextIOWrapper(
            _rewound(self._stream, head), encoding="utf-8-sig", errors=FOREIGN, newline=""
        )
        self._reader = csv.reader(text, strict=True)
        self.error: DataError | None = None
        self._block: list[list[str]] = []
        self._block_line = self._start = self._at = 0
        self.header = self._read_header()

    def close(self) -> None:
        """Close the file; stdin stays open."""
        if self._path != STANDARD:
            self._stream.close()

    def head(self) -> list[list[str]]:
        """The first rows; they stay to be taken."""
        if self._at == len(self._block):
            self._fill(_BLOCK_ROWS)
        return [row for row in self._block if row]

    def take(self, count: int) -> list[list[str]] | None:
        """At most ``count`` rows, blank lines left out; None at the end or at ``error``."""
        if self._at == len(self._block):
            if self.error is None:
                self._fill(max(count, _BLOCK_ROWS))
            if self._at == len(self._block):
                return None
        self._start, self._at = self._at, min(self._at + count, len(self._block))
        return [row for row in self._block[self._start : self._at] if row]

    def line(self, index: int) -> int:
        """Line on which row ``index`` of those last taken, or of the head, starts."""
        rows = enumerate(self._block[self._start :], self._start)
        place = next(i for i, row in rows if row and (index := index - 1) < 0)
        return self._block_line + sum(
            1 + sum(cell.count("\n") for cell in row) for row in self._block[:place]
        )

    def _open(self) -> bytes:
        try:
            self._stream = _open(self._path)
            return self._stream.read(_HEAD_BYTES)
        except OSError as error:
            raise DataError(f"cannot read {printable(self._path)}: {error.strerror}") from None

    def _fill(self, count: int) -> None:
        """Read the next block of rows; an error waits until the rows before it are taken."""
        self._block, self._start, self._at = [], 0, 0
        self._block_line = self._reader.line_num + 1
        try:
            self._block.extend(islice(self._reader, count))
        except csv.Error as error:
            self.error = self._syntax(error)

    def _syntax(self, error: csv.Error) -> DataError:
        return DataError(f"{self.title}, line {self._reader.line_num}: {error}; check the quotes there")

    def _read_header(self) -> list[str]:
        try:
            names = next(row for row in self._reader if row)
        except StopIteration:
            raise DataError(
                f"{self.title} is empty; it should start with a header such as time,value"
            ) from None
        except csv.Error as error:
            raise self._syntax(error) from None
        where = f"{self.title}, line {self._reader.line_num}"
        for name in names:
            if names.count(name) > 1:
                raise DataError(f"{where}: two columns are called {shown(name)}; rename one")
            # Whole numbers are names: pandas writes them for columns that have none.
            if is_time(name) or (is_number(name) and not name.strip().isdigit()):
                raise DataError(
                    f"{where}: {shown(name)} is data, not a name; add a header such as time,value"
                )
        if len(names) == 1 and any(mark in names[0] for mark in ";\t|"):
            raise DataError(f"{where}: {shown(names[0])} is one column; separate columns with commas")
        return names


class _Rewound(io.RawIOBase):
    """A stream that cannot seek, with the bytes that were read from it put back."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head, self._rest = memoryview(head), rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head[: len(buffer)] if self._head else self._rest.read(len(buffer))
        self._head = self._head[len(data) :]
        buffer[: len(data)] = data
        return len(data)


def _rewound(stream: BinaryIO, head: bytes) -> IO[bytes]:
    if stream.seekable():
        stream.seek(0)
        return stream
    return io.BufferedReader(cast(Any, _Rewound(head, stream)))


def _open(path: str) -> BinaryIO:
    return sys.stdin.buffer if path == STANDARD else Path(path).open("rb")
