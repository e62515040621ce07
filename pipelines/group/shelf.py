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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from streamrnn.connectors.kafka_clients.base import Entry, Log

__all__ = ["CHUNK_BYTES", "Shelf"]

CHUNK_BYTES = 900_000  # brokers take messages of a million bytes, with key and header
_WHOLE = "whole"  # the part that says what the others are
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
    number : int
    home : str
        Name of the partition whose blobs these are.
    timeout_s : float
        For each blob to be acknowledged.
    """

    def __init__(self, log: Log, number: int, home: str, *, timeout_s: float) -> None:
        self._log, self._number, self._home, self._timeout_s = log, number, home, timeout_s
        found = _by_version(log.entries(number), home)
        versions = [version for kind in found.values() for version in kind]
        self._epoch = 1 + max((version.epoch for version in versions), default=0)
        self._owner, self._written = secrets.token_hex(4), 0
        self._old = {
            kind: [self._key(kind, version, part) for version, parts in of_kind.items() for part in parts]
            for kind, of_kind in found.items()
        }
        self._blobs = {kind: blob for kind in found if (blob := _newest(found[kind])) is not None}

    def take(self) -> dict[str, bytes]:
        """The newest whole blob of each kind as it was found; their memory is given back."""
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
        newest = [self._key(kind, version, part) for part in (*map(str, range(count)), _WHOLE)]
        old = self._old.get(kind, [])
        self._old[kind] = old + newest  # whatever comes of it
        self._log.write(self._number, _entries(newest, parts), self._timeout_s)
        self._log.write(self._number, [(key, None) for key in old], self._timeout_s)
        self._old[kind] = newest

    def _key(self, kind: str, version: _Version, part: str) -> bytes:
        return f"{self._home}/{kind}/{version}/{part}".encode()


def _by_version(entries: Mapping[bytes, bytes], home: str) -> dict[str, dict[_Version, dict[str, bytes]]]:
    """A partition's blobs by kind and version, each with its parts."""
    found: dict[str, dict[_Version, dict[str, bytes]]] = {}
    for key, value in entries.items():
        owner, _, rest = key.decode().partition("/")
        if owner == home:
            kind, text, part = rest.split("/")
            epoch, number, token = text.split(".")
            version = _Version(int(epoch, 16), int(number, 16), token)
            found.setdefault(kind, {}).setdefault(version, {})[part] = value
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


def _newest(versions: Mapping[_Version, Mapping[str, bytes]]) -> bytes | None:
    """The newest blob that is whole."""
    blobs = (_blob(versions[version]) for version in sorted(versions, reverse=True))
    return next((blob for blob in blobs if blob is not None), None)


def _blob(parts: Mapping[str, bytes]) -> bytes | None:
    """A blob of its parts; None where it is not whole."""
    if _WHOLE not in parts:
        return None
    about = json.loads(parts[_WHOLE])
    blob = b"".join(parts.get(str(i), b"") for i in range(about["chunks"]))
    return blob if (len(blob), zlib.crc32(blob)) == (about["bytes"], about["crc32"]) else None
