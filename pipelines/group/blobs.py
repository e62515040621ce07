"""Blobs as they are put together from the chunks of the snapshot topic."""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Mapping, Sequence
from mmap import ACCESS_COPY, ACCESS_READ, mmap
from pathlib import Path
from tempfile import TemporaryFile

from streamrnn.connectors.kafka_clients.base import Log

__all__ = ["WHOLE", "Blob", "Blobs"]

WHOLE = "whole"  # the part of a blob that says what the others are


class Blob:
    """Bytes, large ones in a file that has no name, mapped into memory: who takes them copies nothing.

    Parameters
    ----------
    folder : Path
        For the file; where it takes none they are held in memory.
    chunks : sequence of bytes
        That follow each other.

    Examples
    --------
    >>> blob = Blob(Path("."), [b"some ", b"bytes"])
    >>> mine = blob.take()
    >>> mine[:4] = b"SOME"
    >>> bytes(mine), blob.read(0, 4), bytes(blob.take())
    (b'SOME bytes', b'some', b'some bytes')
    """

    def __init__(self, folder: Path, chunks: Sequence[bytes]) -> None:
        kept, self._own = _mapped(folder, chunks) if len(chunks) > 1 else (None, None)
        self._kept = b"".join(chunks) if kept is None else kept

    def read(self, start: int, length: int) -> bytes:
        """Some of them."""
        return self._kept[start : start + length]

    def take(self) -> memoryview:
        """All of them; who asks first may change what he gets, and is alone with it."""
        own, self._own = self._own, None
        return memoryview(self._kept if own is None else own)


def _mapped(folder: Path, chunks: Sequence[bytes]) -> tuple[mmap | None, mmap | None]:
    """A file of its own twice: as it is, and to be changed in memory. None where there is no room for it."""
    try:
        with TemporaryFile(dir=folder) as file:
            file.writelines(chunks)
            file.flush()
            return mmap(file.fileno(), 0, access=ACCESS_READ), mmap(file.fileno(), 0, access=ACCESS_COPY)
    except OSError:
        return None, None


class Blobs:
    """The whole blobs of a log, put together as soon as they are read, and chunks held no more.

    Parameters
    ----------
    log : Log
    folder : Path
    """

    def __init__(self, log: Log, folder: Path) -> None:
        self._log, self._folder = log, folder
        self._held: dict[int, dict[bytes, Blob | None]] = {}

    def look(self, numbers: Collection[int], but: Collection[str] = ()) -> None:
        """Hold what the log holds of these of its partitions, and nothing else; nothing new of some homes."""
        others = tuple(f"{home}/".encode() for home in but)
        self._held = {number: self._of(number, self._held.get(number, {}), others) for number in numbers}

    def get(self, number: int, key: bytes) -> Blob | None:
        """The blob whose last part has this key; None where it is not whole."""
        return self._held[number].get(key)

    def _of(
        self, number: int, known: Mapping[bytes, Blob | None], others: tuple[bytes, ...]
    ) -> dict[bytes, Blob | None]:
        there = [key for key in self._log.entries(number) if key.endswith(f"/{WHOLE}".encode())]
        return {
            key: known[key] if key in known else self._joined(number, key)
            for key in there
            if key in known or not key.startswith(others)
        }

    def _joined(self, number: int, key: bytes) -> Blob | None:
        entries = self._log.entries(number)
        about = json.loads(entries[key])
        keys = [key.removesuffix(WHOLE.encode()) + b"%d" % i for i in range(about["chunks"])]
        chunks = [entries.get(key, b"") for key in keys]
        checksum = 0
        for chunk in chunks:
            checksum = zlib.crc32(chunk, checksum)
        if (sum(map(len, chunks)), checksum) != (about["bytes"], about["crc32"]):
            return None
        self._log.let_go(number, keys)
        return Blob(self._folder, chunks)
