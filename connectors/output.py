"""A file or stdout to write bytes to, whose errors carry its name."""

from __future__ import annotations

import gzip
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.appending import AppendingFile
from streamrnn.connectors.base import STANDARD
from streamrnn.connectors.text import printable
from streamrnn.errors import RetriableError, SettingsError

__all__ = ["OutputFile", "stamps", "valid_text"]

_COMPRESSED = ".gz"
_LEVEL = 1  # of gzip: a fourth of the time of the usual 6 for a file 8 % larger
_SURROGATES = re.compile("[\ud800-\udfff]")


class OutputFile:
    """Bytes to a file; what was written stays if the run ends early.

    Parameters
    ----------
    path : str or Path
        ``"-"`` is stdout; a name that ends in ``.gz`` is compressed.
    keep : int, optional
        Go on behind so many bytes of the file that is there, and cut off the rest;
        without it the file begins anew. Each write is then whole or not at all.

    Raises
    ------
    SettingsError
        Where the file cannot be opened for writing.
    RetriableError
        Where a write to a file that is continued finds no room.
    OSError
        Where it cannot be written later: the disk is full, the reader of a pipe has gone.
    """

    def __init__(self, path: str | Path, *, keep: int | None = None) -> None:
        self._path = str(path)
        try:
            if self.standard:
                self._file: BinaryIO | AppendingFile = sys.stdout.buffer
            else:
                self._file = _opened(Path(path)) if keep is None else _reopened(Path(path), keep)
        except OSError as error:
            raise SettingsError(f"cannot write {printable(self._path)}: {error.strerror}") from None

    @property
    def standard(self) -> bool:
        """Whether this is stdout."""
        return self._path == STANDARD

    @property
    def terminal(self) -> bool:
        """Whether a person looks on."""
        return self.standard and sys.stdout.buffer.isatty()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._file.closed

    def write(self, data: bytes) -> int:
        """Append bytes."""
        with self._named():
            return self._file.write(data)

    def tell(self) -> int:
        """How many bytes were written."""
        with self._named():
            return self._file.tell()

    def flush(self) -> None:
        """Hand all bytes to the operating system."""
        with self._named():
            if not isinstance(self._file, AppendingFile):
                self._file.flush()

    def sync(self) -> int:
        """Have all bytes on the disk; how many there are."""
        with self._named():
            if isinstance(self._file, AppendingFile):
                return self._file.sync()
            self._file.flush()
            if self.standard:
                return 0
            os.fsync(self._file.fileno())
            return self._file.tell()

    def close(self) -> None:
        """Close the file; stdout is only flushed. May be called twice, also after an error."""
        with self._named():
            if self.standard:
                sys.stdout.buffer.flush()
            else:
                self._file.close()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Errors of the operating system with the file's name."""
        try:
            yield
        except RetriableError:
            raise  # it says so itself
        except OSError as error:
            error.filename = self._path
            raise


def valid_text(text: str) -> str:
    r"""Text that has a UTF-8 form: U+FFFD for each surrogate, among them bytes that are not UTF-8.

    Examples
    --------
    >>> valid_text(b"Z\xe4hler".decode(errors="surrogateescape"))
    'Z\ufffdhler'
    """
    return _SURROGATES.sub("\ufffd", text)


def stamps(column: NDArray[Any]) -> list[str | None]:
    """Times (datetime64, UTC) as text of ISO 8601, without the zeros at the end; None for NaT.

    Examples
    --------
    >>> stamps(np.array(["2024-03-01T12:00", "2024-03-01T12:00:00.25", "NaT"], "M8[ns]"))
    ['2024-03-01T12:00:00Z', '2024-03-01T12:00:00.25Z', None]
    """
    text: list[str] = np.datetime_as_string(column.astype("M8[ns]")).tolist()
    return [None if cell == "NaT" else f"{cell.rstrip('0').rstrip('.')}Z" for cell in text]


def _reopened(path: Path, keep: int) -> AppendingFile:
    if path.suffix.lower() == _COMPRESSED:
        raise SettingsError(f"{printable(str(path))}: a compressed file cannot be continued; write it plain")
    return AppendingFile(path, keep)


def _opened(path: Path) -> BinaryIO:
    if path.suffix.lower() == _COMPRESSED:
        # Without the time of day, so that equal rows give equal bytes.
        return cast(BinaryIO, gzip.GzipFile(path, "wb", compresslevel=_LEVEL, mtime=0))
    return path.open("wb")
