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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.base import Positions, Read, nothing
from streamrnn.connectors.kafka_transaction import KafkaTransaction
from streamrnn.connectors.messages import DeadLetter
from streamrnn.errors import RetriableError, StoreError
from streamrnn.fleet import Fleet
from streamrnn.kernels.plan import LATE
from streamrnn.pipelines.coding import Coding
from streamrnn.pipelines.endpoints import DEAD_LETTERS, LiveSource
from streamrnn.pipelines.feedback import hear, obeyed
from streamrnn.pipelines.following import Follower
from streamrnn.pipelines.journal import FEEDBACK, FLUSH, Journal, behind
from streamrnn.pipelines.late import DROP, KEEP, late_letters
from streamrnn.pipelines.observers import Observer
from streamrnn.pipelines.outputs import Output, some_results
from streamrnn.pipelines.pace import Pace
from streamrnn.pipelines.reorder import Leaving, Reorder
from streamrnn.pipelines.spill import SqliteSpill, save_beside
from streamrnn.pipelines.store import EventRow, JournalEntry, Snapshot, Store
from streamrnn.pipelines.topics import MarkedLetters
from streamrnn.pipelines.troubles import Troubles

__all__ = ["COMMANDS", "WAITING", "Pipeline"]

COMMANDS = "commands"  # the mark that says which of the journal's commands had acted
WAITING = "waiting"  # what a snapshot calls the records that wait for earlier ones

_LOG = logging.getLogger("streamrnn.pipeline")
_POLL_S = 0.2
_KEPT_EVENTS = 1000  # the newest, however old
_KEPT_MESSAGES = 10_000  # of those that are delivered or given up
# What can be in the way for a while; each is said once.
_REFUSED, _UNCOMMITTED, _UNSAVED = "reading waits for an output", "nothing is committed", "nothing is saved"
_UNHEARD = "what was said of events waits"


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
    commanded : int
        Number of the last command whose records were written by then.
    reorder : Reorder
        Where records wait for earlier ones of their series.
    late : str
        What becomes of those that come later still.
    followers : mapping of str to Follower
        Who tells of events, by the names under which a snapshot holds what they know.
    commits : bool
        Whether the source hears what is committed.
    transaction : KafkaTransaction or None
        Commits what was written together with the positions.
    extra : callable
        What a snapshot holds beside the state.
    spill : SqliteSpill or None
        Holds the series for which there is no room in memory.
    may_save : bool
        Whether a snapshot is written as soon as it is due; one that a partition needs is, anyway.
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
    commanded: int = 0
    reorder: Reorder = field(default_factory=partial(Reorder, 0))
    late: str = KEEP
    followers: Mapping[str, Follower] = field(default_factory=dict)
    commits: bool = True
    transaction: KafkaTransaction | None = None
    extra: Callable[[], Mapping[str, Any]] = dict
    spill: SqliteSpill | None = None
    may_save: bool = True

    def __post_init__(self) -> None:
        self._marks: dict[str, Any] = {}
        self._owed: deque[Callable[[], Any]] = deque()
        self._troubles, self._events = Troubles(_LOG), list[EventRow]()
        self._last_commit = self._last_snapshot = self.clock()
        self._known = frozenset(self.source.snapshot())  # partitions of which a snapshot says the position
        self._polled = self._known
        self._dirty = self._ended = False
        # Letters of late records, each with the offset at which it was found to be late.
        self._too_late: list[tuple[int, DeadLetter]] = []
        self._applied_before = self.journal.applied  # as the snapshot before the next one has it

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
        while not stopped() and not self._ended:  # what outputs do not take yet is waited for below
            if not self.turn():
                time.sleep(_POLL_S)
        self.finish(stopped)

    def turn(self) -> bool:
        """Go round once; False where nothing was read, since outputs do not take what there is."""
        if not (self._delivered() and self._may_begin()):
            self.observer.beat()
            return False
        with self._stage("poll"):
            batch = self.source.poll(_POLL_S)
        if batch is None:
            self._ended = True
            return True
        if len(batch):
            self._process(self.coding.placed(batch, self.source))
        self._bury(self.source.take_dead_letters())
        self.observer.beat()
        self._keep_pace()
        return True

    def finish(self, stopped: Callable[[], bool], *, save: bool = True) -> bool:
        """Commit and, if asked, save, whatever the pace, waiting until ``stopped``; whether all is safe."""
        while not (self._emptied() and self._commit() and (not save or self.snapshot())):
            if stopped() or self.journal.holding:
                _LOG.warning("what is not committed is read again at the next start")
                return False
            self.observer.beat()
            time.sleep(_POLL_S)
        return True

    def _emptied(self) -> bool:
        """Have nothing wait for earlier records where none can come any more; False where that must wait.

        A command of the journal does it: should more come after all at a later start,
        records that are read again leave at the same place once more.
        """
        if not self._ended:
            return True
        end = nothing(len(self.fleet.settings.channels))
        self._process(end)
        if self.reorder.waiting and not self.journal.holding:
            try:
                self.journal.flush(self.source.snapshot())
            except StoreError as error:
                return self._troubles.hindered(_UNSAVED, error)
            self._process(end)
        self._bury([])
        return True

    def hear(self) -> None:
        """Take in what users said of events; where it cannot be written, it waits."""
        try:
            hear(self.store, self.journal, self.coding, self.source.snapshot(), self.committed)
        except StoreError as error:
            self._troubles.hindered(_UNHEARD, error)
            return
        self._troubles.over(_UNHEARD)

    def retune(self, tunable: Mapping[str, Any]) -> None:
        """Have tunable settings change behind what was polled and written so far, if they are others."""
        known = self.fleet.settings.to_dict()
        for follower in self.followers.values():
            known |= follower.tunable
        current = self.journal.newest(known)
        changes = {name: value for name, value in tunable.items() if current[name] != value}
        if changes:
            self.journal.reload(changes, behind(self.source.snapshot(), self.committed))

    def snapshot(self) -> bool:
        """Save all state together with the positions that it stands for; False where that must wait."""
        began, state = self.clock(), self.fleet.to_bytes(whole=False)
        own = {"journal": self.journal.applied, "committed": self._written(), "marks": self._marks}
        positions = self.source.snapshot()
        try:
            names, others = tuple(self.coding.partition_names), {WAITING: self.reorder.to_bytes()}
            others |= {name: follower.to_bytes() for name, follower in self.followers.items()}
            snapshot = Snapshot(0, state, names, positions, {**self.extra(), **own}, others)
            save_beside(self.spill, self.store, snapshot)
            self._forget()
        except StoreError as error:
            return self._troubles.hindered(_UNSAVED, error)
        self._known = frozenset(positions)
        self._last_snapshot = self.clock()
        self.observer.saved(self._last_snapshot - began, len(state))
        return self._troubles.over(_UNSAVED)

    def _forget(self) -> None:
        """Have the store hold no more than what somebody may still want."""
        self.store.events_forget(round(1e9 * self.pace.keep_s), _KEPT_EVENTS)
        self.store.outbox_forget(_KEPT_MESSAGES)
        if self._applied_before < self.journal.applied:  # else that was done
            self.store.journal_forget(self._applied_before)
        self._applied_before = self.journal.applied

    def _process(self, batch: Read) -> None:
        """Score a batch, cut where commands of the journal take effect within it."""
        for part in self.journal.parts(batch, self.coding.partition_names, self.source.snapshot()):
            if isinstance(part, JournalEntry):
                self._obey(part)
            elif len(part):
                for follower in self.followers.values():
                    follower.arrived(part)
                self._score(self.reorder.push(part))

    def _obey(self, command: JournalEntry) -> None:
        if command.kind == FEEDBACK:
            if said := obeyed(command.payload, self.coding):
                self.observer.told(said)
        elif command.kind != FLUSH:
            self._change(command.payload)
        elif self.reorder.waiting:
            self._score(self.reorder.flush(command.number))

    def _score(self, leaving: Leaving) -> None:
        self._dirty = True
        if not len(leaving):
            return
        batch, fresh = leaving.read, self._fresh(leaving)
        with self._stage("process"):
            found = self.fleet.process(batch)
            for follower in self.followers.values():
                follower.scored(batch, found)
        self.observer.scored(batch)
        late = found.status == LATE
        if self.late != KEEP and late.any():
            self._turn_away(leaving, late & fresh)
            batch, found, fresh = batch.some(~late), some_results(found, ~late), fresh[~late]
        for output in self.outputs:
            self._owed.append(
                partial(output.write, batch, found, fresh, self.fleet.settings, self.coding.partition_names)
            )
        self._delivered()
        self.observer.records(batch, found, fresh)

    def _turn_away(self, leaving: Leaving, late: NDArray[np.bool_]) -> None:
        """Have late records written nowhere, or as dead letters."""
        if self.late == DROP:
            self.observer.dropped(leaving.read.some(late))
            return
        letters = late_letters(leaving.read.some(late), self.coding.partition_names, self.fleet.keys)
        self._too_late += zip(leaving.offsets[late].tolist(), letters, strict=True)

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        """Tell the observer how long something took, also where it fails."""
        began = self.clock()
        try:
            yield
        finally:
            self.observer.took(name, self.clock() - began)

    def _delivered(self) -> bool:
        """Hand on what outputs are owed; False where one does not take it now."""
        while self._owed:
            try:
                with self._stage("write"):
                    self._owed[0]()
            except RetriableError as error:
                return self._troubles.hindered(_REFUSED, error)
            self._owed.popleft()
        return self._troubles.over(_REFUSED)

    def _bury(self, letters: list[DeadLetter]) -> None:
        """Write letters not written before a restart, and late records; as found, whatever the batches."""
        found = [(one.offset, one) for one in letters if one.offset >= self.committed.get(one.partition, 0)]
        letters = [letter for _, letter in sorted([*found, *self._too_late], key=itemgetter(0))]
        self._too_late = []
        if not letters:
            return
        if self.dead_letters is not None:
            self._owed.append(partial(self.dead_letters.write, letters))
            self._delivered()
        self.observer.dead_letters(len(letters))
        self._dirty = True

    def _fresh(self, leaving: Leaving) -> NDArray[np.bool_]:
        """Which records left beyond what was committed before this process began."""
        return leaving.beyond(self.committed, self.commanded, self.coding.partition_names)

    def _change(self, changes: Mapping[str, Any]) -> None:
        """Apply tunable settings, as the journal has them."""
        of_fleet = dict(changes)
        for follower in self.followers.values():
            if theirs := {name: of_fleet.pop(name) for name in follower.tunable if name in of_fleet}:
                follower.retune(theirs)
        if of_fleet:
            self.fleet.retune(**of_fleet)
            self.observer.changed(of_fleet)
        _LOG.info("settings changed: %s", ", ".join(f"{k}={v!r}" for k, v in changes.items()))

    def _keep_pace(self) -> None:
        now = self.clock()
        # A partition that no snapshot knows would begin elsewhere after a crash, without what was learned.
        unknown = not self._known.issuperset(self.source.snapshot())
        due = now - self._last_commit >= min(self.pace.commit_s, self.pace.snapshot_s)
        if not due and (self._troubles.any or not unknown):
            return
        overdue = unknown or (self.may_save and now - self._last_snapshot >= self.pace.snapshot_s)
        if (self._dirty or overdue) and self._commit() and overdue:
            self.snapshot()

    def _store_events(self) -> None:
        """Store what followers tell of: before any snapshot that has passed it."""
        for follower in self.followers.values():
            self._events += follower.take_events()
        if self._events:
            self.observer.events(self.store.events_add(self._events))
            self._events = []

    def _written(self) -> Positions:
        """How far the outputs are: never behind what they held before a restart, while that is read again."""
        polled = self.source.snapshot()
        for name in self._polled - polled.keys():  # files that are finished, and whose names come no more
            self.committed.pop(name, None)
        self._polled = frozenset(polled)
        return {
            name: max(polled.get(name, 0), self.committed.get(name, 0))
            for name in {**self.committed, **polled}
        }

    def _known_of(self, positions: Positions) -> Positions:
        """What others are told: they start there; we must not, where no snapshot says better."""
        return {name: positions[name] for name in positions if name in self._known}

    def _may_begin(self) -> bool:
        """Have no transaction grow too large, nor hold rows of a partition that no snapshot knows."""
        if self.transaction is None:
            return True
        known = self._known.issuperset(self.source.snapshot())
        return (known and not self.transaction.full) or (self._commit() and (known or self.snapshot()))

    def _commit(self) -> bool:
        """Make the outputs safe, then say so; False where that must wait."""
        if self.journal.holding or not self._delivered():
            return False
        try:
            with self._stage("commit"):
                marks = {output.name: output.sync() for output in self.outputs}
                if self.dead_letters is not None:
                    marks[DEAD_LETTERS] = self.dead_letters.sync()
                marks[COMMANDS] = max(self.journal.applied, self.commanded)
                positions = self._written()
                self._store_events()
                if self.transaction is not None:
                    self.transaction.commit(self._known_of(positions))
                self.store.commit(positions, marks)
        except (RetriableError, StoreError) as error:
            self._last_commit = self.clock()
            return self._troubles.hindered(_UNCOMMITTED, error)
        self._marks = marks
        if self.commits:
            self.source.commit(self._known_of(positions))
        self._last_commit, self._dirty = self.clock(), False
        self.observer.committed(positions)
        return self._troubles.over(_UNCOMMITTED)
