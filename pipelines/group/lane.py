"""One partition of a group as a pipeline: opened from its shelf, handed over, or dropped."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.base import Positions, Read
from streamrnn.connectors.kafka import KafkaSource
from streamrnn.connectors.kafka_transaction import KafkaTransaction
from streamrnn.errors import FencedError
from streamrnn.pipelines.alert_opening import open_intake
from streamrnn.pipelines.alert_service import AlertService
from streamrnn.pipelines.coding import Coding
from streamrnn.pipelines.durations import seconds
from streamrnn.pipelines.endpoints import (
    Live,
    decoder_of,
    open_dead_letters,
    open_outputs,
    topic_and_partition,
)
from streamrnn.pipelines.exactly_once import leave
from streamrnn.pipelines.group.lane_source import LaneSource
from streamrnn.pipelines.group.lane_store import LEDGER, STATE, Found, LaneStore
from streamrnn.pipelines.group.parcels import Ledger, unpack_snapshot
from streamrnn.pipelines.group.shelf import Shelf
from streamrnn.pipelines.journal import Journal
from streamrnn.pipelines.keeping import keeping_of, ttl_ns
from streamrnn.pipelines.metrics import Metrics
from streamrnn.pipelines.observers import Observer, Observers
from streamrnn.pipelines.outputs import Output
from streamrnn.pipelines.pace import Pace
from streamrnn.pipelines.parts import LIFETIME, check_record, extra_of, fleet_of, followers_of, part_of
from streamrnn.pipelines.pipeline import WAITING, Pipeline
from streamrnn.pipelines.reorder import Reorder
from streamrnn.pipelines.settings import PipelineSettings
from streamrnn.pipelines.store import Snapshot
from streamrnn.pipelines.topics import MarkedLetters
from streamrnn.records import Batch, Results

__all__ = ["Lane", "Shared", "open_lane"]

_AGAIN = 2.0  # to read and decode a record costs about as much as to score it


@dataclass(frozen=True)
class Shared:
    """What the lanes of a daemon have in common.

    Attributes
    ----------
    settings : PipelineSettings
    file : str
        The pipeline file.
    source : KafkaSource
    outputs : sequence of Output
    letters : MarkedLetters or None
        Both where rows come at least once; else each lane has its own.
    metrics : Metrics
    names : list of str
        Of partitions, by the codes that metrics know; grows.
    service : AlertService
    """

    settings: PipelineSettings
    file: str
    source: KafkaSource
    outputs: Sequence[Output]
    letters: MarkedLetters | None
    metrics: Metrics
    names: list[str]
    service: AlertService

    def pace(self) -> Pace:
        """How often a lane commits and saves."""
        checkpoint = self.settings.checkpoint
        return Pace(*map(seconds, (checkpoint.commit, checkpoint.every, checkpoint.keep)))

    def code(self, name: str) -> int:
        """The code by which metrics know a partition."""
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)


@dataclass
class Lane:
    """A partition that is ours.

    Attributes
    ----------
    home : str
        Its name.
    source : LaneSource
    pipeline : Pipeline
    store : LaneStore
    partitions : int
        How many its topic had when its state was saved; 0: there was none.
    eye : Observer
        Knows when a snapshot was last written, and what it cost.
    opened : ExitStack
    """

    home: str
    source: LaneSource
    pipeline: Pipeline
    store: LaneStore
    partitions: int
    eye: _Eye
    opened: ExitStack

    def save(self, timeout_s: float) -> bool:
        """Commit, and save where that spares the next owner time; False where it cannot be done in time."""
        if not self.source.snapshot():
            return True  # not even where it begins is known: it is as it was found
        end, pays = time.monotonic() + timeout_s, self.eye.saving_pays
        try:
            done = self.pipeline.finish(lambda: time.monotonic() >= end, save=pays and not self.store.saving)
        except FencedError:  # it has its next owner already
            return False
        if pays:
            self.store.settle(max(end - time.monotonic(), 0.0))
        return done

    def drop(self) -> None:
        """Forget it, with all that is to be said of its incidents: another daemon does, or will."""
        try:
            self.store.home_drop(self.home)
        finally:
            self.opened.close()


def open_lane(
    shared: Shared,
    home: str,
    shelf: Shelf,
    group_offset: int | None,
    partitions: int,
    *,
    transaction: KafkaTransaction | None = None,
) -> Lane:
    """A partition as its last owner left it, or a new one; its source is sought to where it goes on.

    Parameters
    ----------
    shared : Shared
    home : str
    shelf : Shelf
    group_offset : int or None
        Up to where outputs were written.
    partitions : int
        How many the topic has.
    transaction : KafkaTransaction or None
        Commits its outputs together with its offset; left with the lane.

    Raises
    ------
    SettingsError
        Where a structural setting is not what the state was made with.
    StateError, StoreError
        Where what was found cannot be used, or the store not be written.
    """
    blobs, settings = shelf.take(), shared.settings
    ledger = Ledger.from_bytes(bytes(blobs[LEDGER].take())) if LEDGER in blobs else Ledger()
    saved, found = None, None
    if STATE in blobs:
        saved, start = unpack_snapshot(blobs[STATE].take())
        found = Found(blobs[STATE], start)
    check_record(settings, saved)
    with ExitStack() as opened:
        known = replace(ledger, partitions=partitions)
        store = LaneStore(settings.checkpoint.path, home, shelf, known, found)
        opened.callback(store.close)
        eye = _Eye(shared.metrics, shared.code(home), store)
        if transaction is not None:
            opened.callback(leave, transaction)
        source = LaneSource(
            home, decoder_of(settings, None if saved is None else saved.extra["source"]), shared.source.commit
        )
        pipeline = _pipeline(shared, source, store, saved, opened, eye)
        if transaction is not None:
            pipeline.transaction, pipeline.commits = transaction, False
            pipeline.outputs = open_outputs(settings, {}, transaction)
            pipeline.dead_letters = open_dead_letters(settings, {}, transaction)
        if saved is not None:
            shared.source.seek(saved.positions)
            pipeline.committed = {} if group_offset is None else {home: group_offset}
        pipeline.commanded = ledger.commanded
        return Lane(home, source, pipeline, store, ledger.partitions, eye, opened.pop_all())


def _pipeline(
    shared: Shared,
    source: LaneSource,
    store: LaneStore,
    saved: Snapshot | None,
    opened: ExitStack,
    eye: _Eye,
) -> Pipeline:
    settings, channels = shared.settings, source.decoder.channels
    keeping = keeping_of(settings.fleet, opened, None, one_stream=False)
    if saved is not None:
        source.seek(saved.positions)
        keeping = replace(keeping, ttl_ns=ttl_ns(part_of(saved, LIFETIME).decode()))
    fleet = fleet_of(settings, saved, channels, keeping)
    coding = Coding(fleet, saved.partition_names if saved else ())
    intake = open_intake(settings, shared.file, store, coding, saved, shared.service.wake)
    live = Live(source, channels, source.decoder.pinned, topic_and_partition)
    return Pipeline(
        source=source,
        coding=coding,
        outputs=shared.outputs,
        dead_letters=shared.letters,
        store=store,
        journal=Journal(store, 0 if saved is None else int(saved.extra["journal"])),
        pace=shared.pace(),
        clock=time.monotonic,
        observer=Observers(eye, intake),
        reorder=Reorder(round(1e9 * seconds(settings.record.reorder)), part_of(saved, WAITING)),
        late=settings.record.late,
        followers=followers_of(settings, saved, coding, intake),
        extra=partial(extra_of, live, settings, intake),
    )


class _Eye(Observer):
    """Has the daemon's metrics see a lane, whose only partition they know by a code of theirs.

    What a record costs is taken from the batch where it cost least: read again, they come in large ones.
    """

    def __init__(self, metrics: Metrics, code: int, store: LaneStore) -> None:
        self._metrics, self._code, self._store = metrics, code, store
        self.saved_at, self._safe = time.monotonic(), store.safe
        self._unsaved = self._since = 0  # records since the newest that is safe, and the newest of all
        self._batch_s, self._record_s, self._size = 0.0, 1.0, 0

    @property
    def saving_pays(self) -> bool:
        """Whether a snapshot takes less time than to read again what came since the last one, if any."""
        number, seconds = self._safe
        return not number or seconds < _AGAIN * self._unsaved * self._record_s

    def scored(self, batch: Batch) -> None:
        self._unsaved += len(batch)
        self._since += len(batch)
        self._record_s = min(self._record_s, self._batch_s / len(batch))

    def records(self, batch: Read, found: Results, fresh: NDArray[np.bool_]) -> None:
        self._metrics.records(self._renumbered(batch), found, fresh)

    def dropped(self, batch: Read) -> None:
        self._metrics.dropped(self._renumbered(batch))

    def dead_letters(self, count: int) -> None:
        self._metrics.dead_letters(count)

    def events(self, count: int) -> None:
        self._metrics.events(count)

    def saved(self, seconds: float, size: int) -> None:
        self._since, self._size = 0, size
        self._look()

    def committed(self, positions: Positions) -> None:
        self._look()

    def took(self, stage: str, seconds: float) -> None:
        if stage == "process":
            self._batch_s = seconds
        if stage != "poll":  # of the daemon's own source, not of a lane's
            self._metrics.took(stage, seconds)

    def _look(self) -> None:
        """See whether the newest snapshot is where the next owner finds it."""
        if self._safe != self._store.safe:
            self.saved_at, self._safe, self._unsaved = time.monotonic(), self._store.safe, self._since
            self._metrics.saved(self._safe[1], self._size)

    def _renumbered(self, batch: Read) -> Read:
        return replace(batch, partitions=np.full(len(batch), self._code, np.int32))
