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
from collections.abc import Mapping
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
        self._found = _by_version(log.entries(number), home)
        versions = [version for kind in self._found.values() for version in kind]
        self._epoch = 1 + max((version.epoch for version in versions), default=0)
        self._owner, self._written = secrets.token_hex(4), 0
        self._old = {
            kind: [self._key(kind, version, part) for version, parts in found.items() for part in parts]
            for kind, found in self._found.items()
        }

    def take(self) -> dict[str, bytes]:
        """The newest whole blob of each kind; the memory of all is given back."""
        found, self._found = self._found, {}
        blobs = {}
        for kind, versions in found.items():
            newest = (_blob(versions[version]) for version in sorted(versions, reverse=True))
            blob = next((blob for blob in newest if blob is not None), None)
            if blob is not None:
                blobs[kind] = blob
        return blobs

    def put(self, kind: str, blob: bytes) -> None:
        """Write a blob; when this returns it is safe, and older ones but the last may be gone.

        Raises
        ------
        RetriableError
            Where it is not in time; what was there before still counts.
        FatalConnectorError
            Where trying again does not help.
        """
        self._written += 1
        version = _Version(self._epoch, self._written, self._owner)
        chunks = [blob[start : start + CHUNK_BYTES] for start in range(0, len(blob), CHUNK_BYTES)]
        about = {"format": _FORMAT, "chunks": len(chunks), "bytes": len(blob), "crc32": zlib.crc32(blob)}
        parts = {**{str(i): chunk for i, chunk in enumerate(chunks)}, _WHOLE: json.dumps(about).encode()}
        old = self._old.get(kind, [])
        entries: list[Entry] = [(self._key(kind, version, part), value) for part, value in parts.items()]
        newest = [key for key, _ in entries]
        self._old[kind] = old + newest  # whatever comes of it
        self._log.write(self._number, entries, self._timeout_s)
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


def _blob(parts: Mapping[str, bytes]) -> bytes | None:
    """A blob of its parts; None where it is not whole."""
    if _WHOLE not in parts:
        return None
    about = json.loads(parts[_WHOLE])
    blob = b"".join(parts.get(str(i), b"") for i in range(about["chunks"]))
    return blob if (len(blob), zlib.crc32(blob)) == (about["bytes"], about["crc32"]) else None
