"""Commands from outside, each with the positions at which it takes effect.

They are kept before they act, so that records that are read again after a crash
meet them at the same place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.base import Positions, Read
from streamrnn.pipelines.store import JournalEntry, Store

__all__ = ["FEEDBACK", "FLUSH", "RELOAD", "Journal", "behind"]

RELOAD = "reload"
FEEDBACK = "feedback"
FLUSH = "flush"  # nothing more comes: what waits for earlier records goes on


class Journal:
    """The commands of a pipeline that are still to act.

    Parameters
    ----------
    store : Store
    applied : int
        Number of the last command that the state already knows.

    Attributes
    ----------
    applied : int
        Number of the last command that acted.
    """

    def __init__(self, store: Store, applied: int = 0) -> None:
        self._store, self.applied = store, applied
        self._waiting: list[JournalEntry] = store.journal(applied)
        self._held: list[Read] = []

    def reload(self, changes: Mapping[str, Any], positions: Positions) -> None:
        """Have tunable settings change behind what was polled so far."""
        self._add(RELOAD, changes, positions)

    def flush(self, positions: Positions) -> None:
        """Have all leave that waits behind what was polled so far."""
        self._add(FLUSH, {}, positions)

    def feedback(self, said: Mapping[str, Any], positions: Positions) -> None:
        """Have what was said of an event hold from these positions on."""
        self._add(FEEDBACK, said, positions)

    def _add(self, kind: str, payload: Mapping[str, Any], positions: Positions) -> None:
        self._store.journal_add(kind, dict(payload), dict(positions))
        self._waiting = self._store.journal(self.applied)

    def newest(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings as they are when all that waits has acted."""
        changed = dict(settings)
        for entry in self._waiting:
            changed |= entry.payload if entry.kind == RELOAD else {}
        return changed

    @property
    def holding(self) -> bool:
        """Whether records wait for a command to act; then nothing may be committed."""
        return bool(self._held)

    def parts(
        self, batch: Read, partition_names: Sequence[str], polled: Positions
    ) -> Iterator[Read | JournalEntry]:
        """What to process next, in order: records, and between them the commands.

        A command acts when all that lay before it is processed, and before
        anything behind it. When records are read again, partitions come in another
        order than at first, so those behind a command wait for those before it.

        Parameters
        ----------
        batch : Read
        partition_names : sequence of str
            By the batch's codes.
        polled : Positions
            How far the source is, this batch included.
        """
        if not self._waiting:
            yield batch
            return
        pending = [*self._held, batch]
        self._held = []
        while self._waiting:
            entry = self._waiting[0]
            behind = []
            for part in pending:
                before = _before(part, entry.positions, partition_names)
                yield part.some(before)
                behind.append(part.some(~before))
            pending = [part for part in behind if len(part)]
            if any(polled.get(name, 0) < position for name, position in entry.positions.items()):
                self._held = pending
                return
            self.applied = entry.number
            del self._waiting[0]
            yield entry
        yield from pending


def behind(polled: Positions, committed: Positions) -> Positions:
    """Where a command takes effect: behind all that was polled, and all that was written.

    What was written before a crash and is read again is not to become something else.
    """
    return {name: max(position, committed.get(name, 0)) for name, position in polled.items()} or committed


def _before(batch: Read, positions: Positions, partition_names: Sequence[str]) -> NDArray[np.bool_]:
    """Which records lie before some positions."""
    ends = np.array([positions.get(name, 0) for name in partition_names], np.int64)
    return np.asarray(batch.offsets < ends[batch.partitions])
