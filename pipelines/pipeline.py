"""The loop of a daemon: poll, process, write, commit; now and then a snapshot.

What makes a crash harmless: model state leaves memory only in snapshots, whole and
together with the positions that it stands for. After a crash the records between
the snapshot and the committed positions are read again and processed again, with
the same bits, and nothing of them is written a second time.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.base import Positions, Read
from streamrnn.connectors.messages import DeadLetter
from streamrnn.errors import RetriableError, StoreError
from streamrnn.fleet import Fleet
from streamrnn.pipelines.coding import Coding
from streamrnn.pipelines.endpoints import DEAD_LETTERS, LiveSource
from streamrnn.pipelines.journal import Journal
from streamrnn.pipelines.outputs import Output
from streamrnn.pipelines.store import Snapshot, Store
from streamrnn.pipelines.topics import MarkedLetters
from streamrnn.records import Results

__all__ = ["Observer", "Pace", "Pipeline"]

_LOG = logging.getLogger("streamrnn.pipeline")
_POLL_S = 0.2
# What can be in the way for a while; each is said once.
_REFUSED, _UNCOMMITTED, _UNSAVED = "reading waits for an output", "nothing is committed", "nothing is saved"


@dataclass(frozen=True)
class Pace:
    """How often what is done, seconds.

    Attributes
    ----------
    commit_s : float
        Between flushes of the outputs, after which positions are committed.
    snapshot_s : float
        Between snapshots of all state.
    """

    commit_s: float = 1.0
    snapshot_s: float = 300.0


class Observer:
    """What looks on; every hook does nothing here."""

    def records(self, batch: Read, found: Results, fresh: NDArray[np.bool_]) -> None:
        """A batch was processed; ``fresh`` are the records not seen before a restart."""

    def dead_letters(self, count: int) -> None:
        """So many messages were no records."""

    def committed(self, positions: Positions) -> None:
        """Everything before these positions is safe."""

    def saved(self, seconds: float, size: int) -> None:
        """A snapshot of so many bytes was written in so many seconds."""

    def changed(self, settings: Mapping[str, Any]) -> None:
        """Tunable settings changed; what comes next is judged by the new ones."""

    def beat(self) -> None:
        """The loop went round."""


@dataclass
class Pipeline:
    """A source, a fleet and outputs, bound together by a store.

    Attributes
    ----------
    source : LiveSource
    coding : Coding
        With the fleet.
    outputs : sequence of Output
    dead_letters : MarkedLetters or None
    store : Store
    journal : Journal
        Commands from outside that take effect at a position.
    pace : Pace
    clock : callable
        Seconds; never part of any result.
    observer : Observer
    committed : Positions
        What was written before this process began; it is not written again.
    commits : bool
        Whether the source hears what is committed.
    extra : callable
        What a snapshot holds beside the state.
    """

    source: LiveSource
    coding: Coding
    outputs: Sequence[Output]
    dead_letters: MarkedLetters | None
    store: Store
    journal: Journal
    pace: Pace
    clock: Callable[[], float]
    observer: Observer = field(default_factory=Observer)
    committed: Positions = field(default_factory=dict)
    commits: bool = True
    extra: Callable[[], Mapping[str, Any]] = dict

    def __post_init__(self) -> None:
        self._marks: dict[str, Any] = {}
        self._owed: deque[Callable[[], Any]] = deque()
        self._troubles: set[str] = set()
        self._last_commit = self._last_snapshot = self.clock()
        self._dirty = False

    @property
    def fleet(self) -> Fleet:
        """The models."""
        return self.coding.fleet

    def run(self, stopped: Callable[[], bool]) -> None:
        """Go round until the source ends or ``stopped`` says so; then leave everything safe.

        Raises
        ------
        StreamrnnError
            Where going on makes no sense; what was committed stays.
        """
        while not stopped():
            if not self._delivered():
                self.observer.beat()
                time.sleep(_POLL_S)  # nothing is read while outputs do not take what there is
                continue
            batch = self.source.poll(_POLL_S)
            if batch is None:
                break  # what outputs do not take yet is waited for below
            if len(batch):
                self._process(self.coding.placed(batch, self.source))
            if letters := self.source.take_dead_letters():
                self._bury(letters)
            self.observer.beat()
            self._keep_pace()
        self._finish(stopped)

    def _finish(self, stopped: Callable[[], bool]) -> None:
        """Commit and save, whatever the pace; who cannot take it is waited for until ``stopped``."""
        while not (self._commit() and self.snapshot()):
            if stopped() or self.journal.holding:
                _LOG.warning("what is not committed is read again at the next start")
                return
            self.observer.beat()
            time.sleep(_POLL_S)

    def retune(self, tunable: Mapping[str, Any]) -> None:
        """Have tunable settings change behind what was polled so far, if they are others."""
        current = self.journal.newest(self.fleet.settings.to_dict())
        changes = {name: value for name, value in tunable.items() if current[name] != value}
        if changes:
            self.journal.reload(changes, self.source.snapshot() or self.committed)

    def snapshot(self) -> bool:
        """Save all state together with the positions that it stands for; False where that must wait."""
        began = self.clock()
        state = self.fleet.to_bytes()
        commits = {"committed": self._written(), "marks": self._marks}
        extra = {**self.extra(), "journal": self.journal.applied, **commits}
        positions = self.source.snapshot()
        try:
            self.store.save(Snapshot(0, state, tuple(self.coding.partition_names), positions, extra))
        except StoreError as error:
            return self._hindered(_UNSAVED, error)
        self._last_snapshot = self.clock()
        self.observer.saved(self._last_snapshot - began, len(state))
        return self._goes_on(_UNSAVED)

    def _process(self, batch: Read) -> None:
        """Score a batch, cut where commands of the journal take effect within it."""
        for part in self.journal.parts(batch, self.coding.partition_names, self.source.snapshot()):
            if isinstance(part, Mapping):
                self._change(part)
            elif len(part):
                self._score(part)

    def _score(self, batch: Read) -> None:
        found = self.fleet.process(batch)
        fresh = self._fresh(batch)
        for output in self.outputs:
            self._owed.append(
                partial(output.write, batch, found, fresh, self.fleet.settings, self.coding.partition_names)
            )
        self._delivered()
        self.observer.records(batch, found, fresh)
        self._dirty = True

    def _delivered(self) -> bool:
        """Hand on what outputs are owed; False where one does not take it now."""
        while self._owed:
            try:
                self._owed[0]()
            except RetriableError as error:
                return self._hindered(_REFUSED, error)
            self._owed.popleft()
        return self._goes_on(_REFUSED)

    def _hindered(self, what: str, error: Exception) -> bool:
        """Say once what is in the way; False."""
        if what not in self._troubles:
            _LOG.warning("%s: %s", what, error)
        self._troubles.add(what)
        return False

    def _goes_on(self, what: str) -> bool:
        """Say so where something was in the way; True."""
        if what in self._troubles:
            _LOG.info("no longer so: %s", what)
        self._troubles.discard(what)
        return True

    def _bury(self, letters: list[DeadLetter]) -> None:
        """Write dead letters that were not written before a restart."""
        ends = self.committed
        letters = [letter for letter in letters if letter.offset >= ends.get(letter.partition, 0)]
        if letters and self.dead_letters is not None:
            self._owed.append(partial(self.dead_letters.write, letters))
            self._delivered()
        self.observer.dead_letters(len(letters))
        self._dirty = True

    def _fresh(self, batch: Read) -> NDArray[np.bool_]:
        """Which records lie beyond what was committed before this process began."""
        if not self.committed:
            return np.ones(len(batch), np.bool_)
        names = self.coding.partition_names
        ends = np.array([self.committed.get(name, 0) for name in names], np.int64)
        return np.asarray(batch.offsets >= ends[batch.partitions])

    def _change(self, changes: Mapping[str, Any]) -> None:
        """Apply tunable settings, as the journal has them."""
        self.coding.fleet = Fleet.from_bytes(self.fleet.to_bytes(), **changes)
        self.observer.changed(changes)
        _LOG.info("settings changed: %s", ", ".join(f"{k}={v!r}" for k, v in changes.items()))

    def _keep_pace(self) -> None:
        now = self.clock()
        if now - self._last_commit < min(self.pace.commit_s, self.pace.snapshot_s):
            return
        overdue = now - self._last_snapshot >= self.pace.snapshot_s
        if (self._dirty or overdue) and self._commit() and overdue:
            self.snapshot()

    def _written(self) -> Positions:
        """How far the outputs are: never behind what they held before a restart, while that is read again."""
        polled = self.source.snapshot()
        return {
            name: max(polled.get(name, 0), self.committed.get(name, 0))
            for name in {**self.committed, **polled}
        }

    def _commit(self) -> bool:
        """Make the outputs safe, then say so; False where that must wait."""
        if self.journal.holding or not self._delivered():
            return False
        try:
            marks = {output.name: output.sync() for output in self.outputs}
            if self.dead_letters is not None:
                marks[DEAD_LETTERS] = self.dead_letters.sync()
            positions = self._written()
            self.store.commit(positions, marks)
        except (RetriableError, StoreError) as error:
            self._last_commit = self.clock()
            return self._hindered(_UNCOMMITTED, error)
        self._marks = marks
        if self.commits:
            self.source.commit(positions)
        self._last_commit, self._dirty = self.clock(), False
        self.observer.committed(positions)
        return self._goes_on(_UNCOMMITTED)
