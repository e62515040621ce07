"""A file that grows while it is read: only whole lines leave it."""

from __future__ import annotations

import os
from typing import BinaryIO

from streamrnn.errors import DataError

__all__ = ["CutOffError", "GrowingFile"]

_HEAD_BYTES = 4096  # that tell whether a file is still the same


class CutOffError(DataError):
    """A file has fewer rows than were read of it before: it was cut off, or written anew."""


class GrowingFile:
    """Reads a file up to its last line end, and goes on when more has come.

    Parameters
    ----------
    file : BinaryIO
        A regular file; it is read from its beginning.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._file.seek(0)
        self._finished = False
        head = os.pread(file.fileno(), _HEAD_BYTES, 0)
        self._head = head[: head.rfind(b"\n") + 1]

    @property
    def cut_off(self) -> bool:
        """Whether the file was cut off in place, and maybe written anew: what was not read is gone."""
        handle = self._file.fileno()
        if os.fstat(handle).st_size < self._file.tell():
            return True
        return os.pread(handle, len(self._head), 0) != self._head

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._finished

    def read(self, size: int) -> bytes:
        """Bytes up to a line end; none where no further line is whole yet.

        A line that is longer than ``size`` comes in parts.
        """
        data = self._file.read(size)
        if data and self.cut_off:  # asked behind the read: else it may be of another file
            return b""
        if self._finished or (len(data) == size and b"\n" not in data):
            return data
        end = data.rfind(b"\n") + 1
        self._file.seek(end - len(data), os.SEEK_CUR)
        return data[:end]

    def finish(self) -> None:
        """Give out a last line without its end, too: nothing more will come."""
        self._finished = True

    def is_replaced(self, path: str) -> bool:
        """Whether the path names another file by now, or this one was cut off before this place."""
        here = os.fstat(self._file.fileno())
        try:
            there = os.stat(path)  # noqa: PTH116 (both sides alike)
        except FileNotFoundError:
            return False  # moved away; what comes in its place is not there yet
        return (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino) or self.cut_off
