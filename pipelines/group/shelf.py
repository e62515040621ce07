"""What a partition owns in the snapshot topic: blobs in chunks, the newest whole one of each kind counts.

Key: ``PARTITION/KIND/EPOCH.NUMBER.OWNER/PART``. Each owner has an epoch above those that
it found, and keys that nobody else writes: one that lost the partition without knowing it
may write on, and spoils nothing. A blob's last part says of how many chunks it is; one
without it was cut short by a crash. The one before is deleted when a next one comes, so
that one whole is always there.
"""

from __future__ import annotations

import json
import secrets
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from streamrnn.connectors.kafka_clients.base import Entry, Log
from streamrnn.pipelines.group.blobs import WHOLE, Blob, Blobs

__all__ = ["CHUNK_BYTES", "Shelf"]

CHUNK_BYTES = 900_000  # brokers take messages of a million bytes, with key and header
_FORMAT = 1


class _Version(NamedTuple):
    epoch: int
    number: int
    owner: str

    def __str__(self) -> str:
        return f"{self.epoch:08x}.{self.number:08x}.{self.owner}"


class Shelf:
    """The blobs of one partition.

    Parameters
    ----------
    log : Log
        Follows the topic's partition ``number`` and has caught up with it.
    blobs : Blobs
        Has looked at it since.
    number : int
    home : str
        Name of the partition whose blobs these are.
    timeout_s : float
        For each blob to be acknowledged.
    """

    def __init__(self, log: Log, blobs: Blobs, number: int, home: str, *, timeout_s: float) -> None:
        self._log, self._number, self._home, self._timeout_s = log, number, home, timeout_s
        found = _by_version(log.entries(number), home)
        versions = [version for kind in found.values() for version in kind]
        self._epoch = 1 + max((version.epoch for version in versions), default=0)
        self._owner, self._written = secrets.token_hex(4), 0
        self._old = {
            kind: [self._key(kind, version, part) for version, parts in of_kind.items() for part in parts]
            for kind, of_kind in found.items()
        }
        whole = (
            (kind, blobs.get(number, self._key(kind, version, WHOLE)))
            for kind, of_kind in found.items()
            for version in sorted(of_kind)
        )
        self._blobs = {kind: blob for kind, blob in whole if blob is not None}

    def take(self) -> dict[str, Blob]:
        """The newest whole blob of each kind as it was found."""
        blobs, self._blobs = self._blobs, {}
        return blobs

    def put(self, kind: str, *parts: bytes | memoryview) -> None:
        """Write a blob in parts that follow each other; when this returns it is safe, older ones may be gone.

        Raises
        ------
        RetriableError
            Where it is not in time; what was there before still counts.
        FatalConnectorError
            Where trying again does not help.
        """
        self._written += 1
        version = _Version(self._epoch, self._written, self._owner)
        count = -(-sum(map(len, parts)) // CHUNK_BYTES)
        newest = [self._key(kind, version, part) for part in (*map(str, range(count)), WHOLE)]
        old = self._old.get(kind, [])
        self._old[kind] = old + newest  # whatever comes of it
        self._log.write(self._number, _entries(newest, parts), self._timeout_s)
        self._log.write(self._number, [(key, None) for key in old], self._timeout_s)
        self._old[kind] = newest

    def _key(self, kind: str, version: _Version, part: str) -> bytes:
        return f"{self._home}/{kind}/{version}/{part}".encode()


def _by_version(keys: Iterable[bytes], home: str) -> dict[str, dict[_Version, list[str]]]:
    """A partition's blobs by kind and version, each with the names of its parts."""
    found: dict[str, dict[_Version, list[str]]] = {}
    for key in keys:
        owner, _, rest = key.decode().partition("/")
        if owner == home:
            kind, text, part = rest.split("/")
            epoch, number, token = text.split(".")
            version = _Version(int(epoch, 16), int(number, 16), token)
            found.setdefault(kind, {}).setdefault(version, []).append(part)
    return found


def _entries(keys: Sequence[bytes], parts: Iterable[bytes | memoryview]) -> Iterator[Entry]:
    """Chunks under their keys, and under the last one what says of how many there are.

    Each is made when it is asked for, so that the client sends while others are cut.
    """
    length = checksum = 0
    for key, chunk in zip(keys, _chunks(parts), strict=False):
        length, checksum = length + len(chunk), zlib.crc32(chunk, checksum)
        yield key, chunk
    about = {"format": _FORMAT, "chunks": len(keys) - 1, "bytes": length, "crc32": checksum}
    yield keys[-1], json.dumps(about).encode()


def _chunks(parts: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """Bytes that follow each other, cut into chunks wherever parts end."""
    held: list[memoryview] = []
    room = CHUNK_BYTES
    for part in parts:
        left = memoryview(part)
        while left:
            held.append(left[:room])
            left, room = left[room:], room - len(held[-1])
            if not room:
                yield b"".join(held)
                held, room = [], CHUNK_BYTES
    if held:
        yield b"".join(held)
