"""Bytes put aside in a file, while the loop goes on."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from streamrnn.connectors.kafka_clients.background import Background
from streamrnn.errors import StoreError

__all__ = ["Copy"]

_AT_ONCE = 4 << 20  # bytes between looks whether anybody wants it still


class Copy:
    """A file of its own that nobody else can open, and that goes when this is closed.

    Parameters
    ----------
    folder : Path
    data : bytes or memoryview
        Held in memory until they are written.

    Examples
    --------
    >>> copy = Copy(Path("."), b"some bytes")
    >>> copy.read(5, 5)
    b'bytes'
    >>> copy.close()
    """

    def __init__(self, folder: Path, data: bytes | memoryview) -> None:
        self._closed = False
        self._writing = Background(partial(self._written, folder, data), discard=_closed)

    def read(self, start: int, length: int) -> bytes:
        """Some of them, once all are written; StoreError where they could not be."""
        try:
            file = self._writing.result()
            file.seek(start)
            return file.read(length)
        except OSError as error:
            raise StoreError(f"the snapshot was not put aside: {error}") from error

    def close(self) -> None:
        """Have the file go, also where it is not written yet."""
        self._closed = True
        self._writing.abandon()

    def _written(self, folder: Path, data: bytes | memoryview) -> IO[bytes]:
        file = TemporaryFile(dir=folder)  # noqa: SIM115 - closed with this
        whole = memoryview(data)
        for start in range(0, len(whole), _AT_ONCE):
            if self._closed:
                break
            file.write(whole[start : start + _AT_ONCE])
        return file


def _closed(file: IO[bytes]) -> None:
    file.close()
