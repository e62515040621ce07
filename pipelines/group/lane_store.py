"""A lane's own view of the daemon's store; what is of the lane alone goes to the snapshot topic."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from streamrnn.errors import RetriableError, StoreError
from streamrnn.pipelines.group.blobs import Blob
from streamrnn.pipelines.group.copies import Copy
from streamrnn.pipelines.group.flight import Flight
from streamrnn.pipelines.group.parcels import Ledger, pack_snapshot
from streamrnn.pipelines.group.shelf import Shelf
from streamrnn.pipelines.pipeline import COMMANDS
from streamrnn.pipelines.store import JournalEntry, Request, Snapshot, Store
from streamrnn.pipelines.store.moving import Rows

__all__ = ["LEDGER", "STATE", "Found", "LaneStore"]

STATE, LEDGER = "state", "ledger"  # kinds of blobs


class Found(NamedTuple):
    """A snapshot's models as they were found on the shelf: part of a blob, from ``at`` on."""

    blob: Blob
    at: int

    def read(self, start: int, length: int) -> bytes:
        """Some of their bytes."""
        return self.blob.read(self.at + start, length)


class Fresh(NamedTuple):
    """A snapshot's models as they were just written, still in memory."""

    fleet: bytes | memoryview

    def read(self, start: int, length: int) -> bytes:
        """Some of their bytes."""
        return bytes(self.fleet[start : start + length])


class LaneStore(Store):
    """Keeps snapshots and the journal of one partition on its shelf, all else in the daemon's file.

    Parameters
    ----------
    path : str or Path
        Of the daemon's store, which holds the lock.
    home : str
        Name of the partition.
    shelf : Shelf
    ledger : Ledger
        As it was found there; its rows are put into the file.
    found : Found or None
        The models as they were found there.

    Attributes
    ----------
    safe : (int, float)
        Number of the snapshot that the next owner would find, 0 for none, and the seconds that writing took.
    """

    def __init__(
        self, path: str | Path, home: str, shelf: Shelf, ledger: Ledger, found: Found | None
    ) -> None:
        super().__init__(path, beside=True)
        self.safe, self._safe_command = (0 if found is None else 1, 0.0), 0
        self._flight: Flight | None = None
        self._home, self._shelf = home, shelf
        self._commands, self._commanded = list(ledger.journal), ledger.commanded
        self._partitions = ledger.partitions
        self._newest_command = ledger.journal[-1].number if ledger.journal else ledger.commanded
        self._said, self._seen = b"", (0, 0)
        self._of_file: Rows = {}
        self._models: Copy | Found | Fresh | None = found  # of the newest snapshot, for captures
        self._saved = self.safe[0]
        if ledger.rows:
            self.home_put(ledger.rows)

    def close(self) -> None:
        """Let go of the file."""
        self._let_go()
        super().close()

    @property
    def saving(self) -> bool:
        """Whether a snapshot is on its way."""
        return self._flight is not None

    def settle(self, timeout_s: float = 0.0) -> bool:
        """Whether the next owner would find the newest snapshot."""
        if self._flight is not None and (took := self._flight.landed(timeout_s)) is not None:
            self._safe_command, self._flight = self._flight.journal, None
            self.safe = self._saved, took
        return not self.saving

    def save(self, snapshot: Snapshot) -> int:
        """Have a snapshot written to the topic, behind the ledger that it needs; its number.

        The first is there when this returns: offsets wait for it. Later ones are written beside the
        loop, and the one before counts until ``settle`` says that they are there.

        Raises
        ------
        StoreError
            Where the first is not acknowledged in time, or the one before is still on its way.
        """
        if not self.settle():
            raise StoreError("the snapshot before is still on its way to the snapshot topic")
        self._tell()
        command, parts = int(snapshot.extra["journal"]), pack_snapshot(snapshot)
        if self._saved:
            self._flight = Flight(partial(self._shelf.put, STATE, *parts), command)
        else:
            began = time.monotonic()
            self._shelve(STATE, *parts)
            self.safe, self._safe_command = (1, time.monotonic() - began), command
        self._let_go()
        self._models = Fresh(snapshot.fleet)
        self._saved += 1
        return self._saved

    @property
    def newest_snapshot(self) -> int:
        """How many snapshots this lane has had; 0 where there is none."""
        return self._saved

    def snapshot_part(self, number: int, start: int, length: int) -> bytes:
        """Some bytes of the newest snapshot's fleet; raises StoreError where they are not there."""
        if self._models is None:
            raise StoreError("there is no snapshot yet")
        return self._models.read(start, length)

    def commit(self, positions: dict[str, int], marks: dict[str, Any]) -> None:
        """Have the topic hold all that the records before these positions brought about.

        Positions themselves are the group's offsets, and outputs to topics have no marks.

        Raises
        ------
        StoreError
            Where it is not acknowledged in time.
        """
        self.settle()
        self._commanded = int(marks[COMMANDS])
        self._tell()
        if isinstance(self._models, Fresh):  # not earlier: a lane that is handed over needs none
            self._models = Copy(self._path.parent, self._models.fleet)
        self._trim_log()  # of all connections this one writes most

    def journal_add(self, kind: str, payload: dict[str, Any], positions: dict[str, int]) -> int:
        """Keep a command in the topic before it acts; its number. Raises as ``commit``."""
        number = self._newest_command + 1
        self._commands.append(JournalEntry(number, kind, payload, positions))
        try:
            self._tell()
        except StoreError:
            del self._commands[-1]
            raise
        self._newest_command = number
        return number

    def journal_forget(self, below: int) -> None:
        """Forget commands that no snapshot needs any more; the newest stays, it holds the number."""
        below = min(below, self._safe_command, self._newest_command)
        self._commands = [entry for entry in self._commands if entry.number >= below]

    def journal(self, after: int = 0) -> list[JournalEntry]:
        """The commands whose numbers are above ``after``, in order."""
        return [entry for entry in self._commands if entry.number > after]

    def requests(self) -> list[Request]:
        """What waits of what was asked of this partition's events."""
        return [request for request in super().requests() if request.body["partition"] == self._home]

    def _tell(self) -> None:
        """Write the ledger, where it has changed."""
        seen = (self._rows("PRAGMA data_version")[0][0], self._database.total_changes)
        if seen != self._seen:  # else nobody has written to the file
            self._of_file, self._seen = self.home_rows(self._home), seen
        said = Ledger(tuple(self._commands), self._commanded, self._partitions, self._of_file).to_bytes()
        if said != self._said:
            self._shelve(LEDGER, said)
            self._said = said

    def _shelve(self, kind: str, *parts: bytes | memoryview) -> None:
        try:
            self._shelf.put(kind, *parts)
        except RetriableError as error:
            raise StoreError(f"the snapshot topic does not take it: {error}") from error

    def _let_go(self) -> None:
        if isinstance(self._models, Copy):
            self._models.close()
        self._models = None
