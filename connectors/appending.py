"""A file that grows at its end, by whole writes or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from streamrnn.connectors.text import printable
from streamrnn.errors import RetriableError

__all__ = ["AppendingFile"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class AppendingFile:
    """Bytes behind those of a file that are kept; a write that finds no room leaves nothing behind.

    Parameters
    ----------
    path : Path
        Made where there is none.
    keep : int
        So many bytes stay, if there are as many; the rest is cut off.

    Attributes
    ----------
    closed : bool

    Raises
    ------
    OSError
        Where it cannot be opened for writing.
    """

    def __init__(self, path: Path, keep: int) -> None:
        self._path = path
        path.touch()
        self._file = path.open(
            "r+b", buffering=0
        )  # what a buffer holds when the disk is full is nobody's guess
        self._size = min(keep, path.stat().st_size)
        self._cut()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._file.closed

    def write(self, data: bytes) -> int:
        """Append bytes, all or none; how many.

        Raises
        ------
        RetriableError
            Where there is no room for them now.
        OSError
            Where the disk fails otherwise.
        """
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            if error.errno not in _FULL:
                raise
            self._cut()
            name = printable(str(self._path))
            raise RetriableError(f"no room to write {name}: {error.strerror}; make some") from error
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        """How long the file is, bytes."""
        return self._size

    def sync(self) -> int:
        """Have all bytes on the disk; how long the file is.

        Raises
        ------
        OSError
            Where the disk fails; what was written since the last call may be lost then.
        """
        os.fsync(self._file.fileno())
        return self._size

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()

    def _cut(self) -> None:
        self._file.truncate(self._size)
        self._file.seek(self._size)
