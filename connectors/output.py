"""A file or stdout to write bytes to, whose errors carry its name."""

from __future__ import annotations

import gzip
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from streamrnn.connectors.base import STANDARD
from streamrnn.connectors.text import printable
from streamrnn.errors import SettingsError

__all__ = ["OutputFile", "valid_text"]

_COMPRESSED = ".gz"
_LEVEL = 1  # of gzip: a fourth of the time of the usual 6 for a file 8 % larger
_SURROGATES = re.compile("[\ud800-\udfff]")


class OutputFile:
    """Bytes to a file; what was written stays if the run ends early.

    Parameters
    ----------
    path : str or Path
        ``"-"`` is stdout; a name that ends in ``.gz`` is compressed.

    Raises
    ------
    SettingsError
        Where the file cannot be opened for writing.
    OSError
        Where it cannot be written later: the disk is full, the reader of a pipe has gone.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        try:
            self._file = sys.stdout.buffer if self.standard else _opened(Path(path))
        except OSError as error:
            raise SettingsError(f"cannot write {printable(self._path)}: {error.strerror}") from None

    @property
    def standard(self) -> bool:
        """Whether this is stdout."""
        return self._path == STANDARD

    @property
    def terminal(self) -> bool:
        """Whether a person looks on."""
        return self.standard and self._file.isatty()

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
            self._file.flush()

    def close(self) -> None:
        """Close the file; stdout is only flushed. May be called twice, also after an error."""
        with self._named():
            if self.standard:
                self._file.flush()
            else:
                self._file.close()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Errors of the operating system with the file's name."""
        try:
            yield
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


def _opened(path: Path) -> BinaryIO:
    if path.suffix.lower() == _COMPRESSED:
        # Without the time of day, so that equal rows give equal bytes.
        return cast(BinaryIO, gzip.GzipFile(path, "wb", compresslevel=_LEVEL, mtime=0))
    return path.open("wb")
