"""Records that come too late for their series: what may become of them, by name."""

from __future__ import annotations

from collections.abc import Sequence

from streamrnn.connectors.base import Read
from streamrnn.connectors.jsonl import objects_of
from streamrnn.connectors.messages import DeadLetter

__all__ = ["DEAD_LETTER", "DROP", "KEEP", "late_letters"]

KEEP, DROP, DEAD_LETTER = "keep", "drop", "dead-letter"


def late_letters(batch: Read, names: Sequence[str], keys: Sequence[str]) -> list[DeadLetter]:
    """Late records as dead letters; their value is the row as it was read, as JSON."""
    reason = "the record came later than its series' window allows"
    codes = (column.tolist() for column in (batch.partitions, batch.offsets, batch.series))
    return [
        DeadLetter(names[partition], offset, reason, value, keys[code].encode("utf-8", "replace"))
        for partition, offset, code, value in zip(*codes, objects_of(batch.columns), strict=True)
    ]
