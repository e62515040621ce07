"""Snapshots: what a run has learned, in chunks with checksums; the newest two are kept."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from typing import Any

from streamrnn.errors import StateError
from streamrnn.pipelines.store.file import StoreFile, logger, to_json
from streamrnn.pipelines.store.formats import seal

__all__ = ["Snapshot", "Snapshots"]

CHUNK_BYTES = 1 << 20
_MOST_CHUNKS = 1 << 20  # of a snapshot: 1 TiB


@dataclass(frozen=True)
class Snapshot:
    """All that a run needs to go on from one place.

    Attributes
    ----------
    number : int
        1, 2, ... as the store gives them; ``Store.save`` does not read it.
    fleet : bytes or memoryview
        Of ``Fleet.to_bytes``.
    partition_names : tuple of str
        By the codes that the fleet's state uses.
    positions : dict of str to int
        Of each partition, the offset to go on from.
    extra : dict
        Whatever else; what JSON can hold.
    others : dict of str to bytes
        Whatever else is large.
    """

    number: int
    fleet: bytes | memoryview
    partition_names: tuple[str, ...]
    positions: dict[str, int]
    extra: dict[str, Any]
    others: dict[str, bytes] = field(default_factory=dict)


class Snapshots(StoreFile):
    """The part of a store that keeps snapshots."""

    _whole = 0  # the newest snapshot that is known to be whole; 0 where none is

    def save(self, snapshot: Snapshot) -> int:
        """Store a snapshot and forget all but the one before it, in one transaction; its number.

        Commit the snapshot's positions first: what lies before them is never read
        again, so outputs must have left by then.

        Raises
        ------
        StoreError
            Where it cannot be written; the snapshots so far stay.
        """
        number = self._known_facts().snapshots + 1
        blobs = [memoryview(blob) for blob in (snapshot.fleet, *snapshot.others.values())]
        chunks = [
            blob[start : start + CHUNK_BYTES] for blob in blobs for start in range(0, len(blob), CHUNK_BYTES)
        ]
        body = to_json(
            {
                "bytes": len(snapshot.fleet),
                "others": {name: len(blob) for name, blob in snapshot.others.items()},
                "chunks": [zlib.crc32(chunk) for chunk in chunks],
                "partition_names": snapshot.partition_names,
                "positions": snapshot.positions,
                "extra": snapshot.extra,
            }
        )
        kept = self._whole or number - 1
        with self._advancing(snapshots=number) as database:
            database.execute("DELETE FROM snapshots WHERE id <> ?", (kept,))
            database.execute("DELETE FROM chunks WHERE id / ? <> ?", (_MOST_CHUNKS, kept))
            rows = ((number * _MOST_CHUNKS + part, chunk) for part, chunk in enumerate(chunks))
            database.executemany("INSERT INTO chunks VALUES (?, ?)", rows)
            row = (number, body, seal("snapshots", number, body))
            database.execute("INSERT INTO snapshots VALUES (?, ?, ?)", row)
        self._whole = number
        self._empty_log(self._database)
        return number

    @property
    def newest_snapshot(self) -> int:
        """Number of the newest snapshot that is known to be whole; 0 where none is."""
        return self._whole

    def snapshot_part(self, number: int, start: int, length: int) -> bytes:
        """Some bytes of a snapshot's fleet.

        Its checksums, which are of larger parts, are not looked at.

        Raises
        ------
        StateError
            Where they are not there.
        StoreError
            Where the file cannot be read.
        """
        found = b""
        while len(found) < length:
            chunk, at = divmod(start + len(found), CHUNK_BYTES)
            rows = self._rows(
                "SELECT substr(data, ?, ?) FROM chunks WHERE id = ?",
                *(at + 1, length - len(found), number * _MOST_CHUNKS + chunk),
            )
            if not rows or not rows[0][0]:
                raise StateError(f"snapshot {number} in {self._name} has no byte {start + len(found)}")
            found += rows[0][0]
        return found

    def load(self) -> Snapshot | None:
        """The newest snapshot that is whole; None where there never was one.

        Raises
        ------
        StateError
            Where there were some and none is whole.
        StoreError
            Where the file cannot be read.
        """
        with self._reading():
            newest, numbers = self._numbers()
            whole = (snapshot for number in numbers if (snapshot := self._snapshot(number)))
            snapshot = next(whole, None)
        if snapshot is None:
            if not newest:
                return None
            raise StateError(
                f"{self._name} is damaged: no snapshot in it is whole; "
                "restore a copy, or delete it to begin anew"
            )
        if snapshot.number != newest:
            logger.error("%s: snapshot %d is damaged; going on from %d", self._name, newest, snapshot.number)
        self._whole = snapshot.number
        return snapshot

    def _numbers(self) -> tuple[int, list[int]]:
        """The newest number that was given, and those that are there, newest first."""
        numbers = [number for (number,) in self._rows("SELECT id FROM snapshots ORDER BY id DESC")]
        try:
            return self._facts().snapshots, numbers
        except StateError:
            if not numbers:
                raise  # there may have been some
            return numbers[0], numbers

    def _snapshot(self, number: int) -> Snapshot | None:
        """A snapshot; None where any part of it is missing or damaged."""
        try:
            rows = self._rows("SELECT body, seal FROM snapshots WHERE id = ?", number)
            if not rows or rows[0][1] != seal("snapshots", number, rows[0][0]):
                return None
            manifest = json.loads(rows[0][0])
            chunks = [
                self._chunk(number * _MOST_CHUNKS + part, checksum)
                for part, checksum in enumerate(manifest["chunks"])
            ]
        except StateError:
            return None
        whole = memoryview(b"".join(chunks))
        sizes = manifest.get("others", {})  # the first snapshots had none
        if len(whole) != manifest["bytes"] + sum(sizes.values()):
            return None
        fleet, at, others = bytes(whole[: manifest["bytes"]]), manifest["bytes"], {}
        for name, size in sizes.items():
            others[name], at = bytes(whole[at : at + size]), at + size
        names = tuple(manifest["partition_names"])
        return Snapshot(number, fleet, names, manifest["positions"], manifest["extra"], others)

    def _chunk(self, place: int, checksum: int) -> bytes:
        for (data,) in self._rows("SELECT data FROM chunks WHERE id = ?", place):
            if isinstance(data, bytes) and zlib.crc32(data) == checksum:
                return data
        raise StateError(f"{self._name} is damaged: chunk {place} is missing or changed")
