"""What travels with a partition, as versioned bytes: its snapshot, and its ledger."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from streamrnn.errors import StateError
from streamrnn.pipelines.store import JournalEntry, Snapshot
from streamrnn.pipelines.store.moving import Rows
from streamrnn.space import ALIGNMENT

__all__ = ["Ledger", "pack_snapshot", "unpack_snapshot"]

_FORMAT = 1
_LENGTH = struct.Struct("<I")
_FLEET, _OTHER = "fleet", "other "


@dataclass(frozen=True)
class Ledger:
    """What changes between snapshots and must not be lost.

    Attributes
    ----------
    journal : tuple of JournalEntry
        Commands that the snapshot may not know yet; without gaps.
    commanded : int
        Number of the last command whose records were written.
    partitions : int
        How many the topic has.
    rows : mapping
        Of alerts, as ``Store.home_rows`` has them.
    """

    journal: tuple[JournalEntry, ...] = ()
    commanded: int = 0
    partitions: int = 0
    rows: Rows = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The same for the same."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, separators=(",", ":"), sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Ledger:
        """From ``to_bytes``; StateError where it is something else."""
        held = _of_format(json.loads(data))
        return cls(**{**held, "journal": tuple(JournalEntry(**entry) for entry in held["journal"])})


def pack_snapshot(snapshot: Snapshot) -> list[bytes | memoryview]:
    """A snapshot as bytes, in parts that follow each other; its number is not among them.

    Length of the header (uint32, little-endian), header (JSON, filled up with spaces to a multiple
    of 64), and all blobs one after the other, the fleet first: large, and copied on neither way.
    """
    blobs = {_FLEET: snapshot.fleet, **{_OTHER + name: blob for name, blob in snapshot.others.items()}}
    header = {
        "format": _FORMAT,
        "blobs": {name: len(blob) for name, blob in blobs.items()},
        "partition_names": snapshot.partition_names,
        "positions": snapshot.positions,
        "extra": snapshot.extra,
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(_LENGTH.size + len(text)) % ALIGNMENT)
    return [_LENGTH.pack(len(text)) + text, *blobs.values()]


def unpack_snapshot(whole: memoryview) -> tuple[Snapshot, int]:
    """From ``pack_snapshot``, joined; the fleet shares its memory, and begins at the number behind.

    Raises
    ------
    StateError
        Where it is something else.
    """
    start = at = _LENGTH.size + _LENGTH.unpack_from(whole)[0]
    held = _of_format(json.loads(bytes(whole[_LENGTH.size : at])))
    blobs = {}
    for name, length in held["blobs"].items():
        blobs[name] = whole[at : at + length]
        at += length
    found = Snapshot(
        number=1,
        fleet=blobs.pop(_FLEET),
        partition_names=tuple(held["partition_names"]),
        positions=held["positions"],
        extra=held["extra"],
        others={name.removeprefix(_OTHER): bytes(blob) for name, blob in blobs.items()},
    )
    return found, start


def _of_format(held: Mapping[str, Any]) -> dict[str, Any]:
    if held["format"] != _FORMAT:
        raise StateError(
            f"the snapshot topic holds format {held['format']}, this streamrnn reads {_FORMAT}; "
            "use the version of streamrnn that wrote it"
        )
    return {name: value for name, value in held.items() if name != "format"}
