"""A daemon as a member of a consumer group: a lane for each partition that the group gives it.

Revoked: the lane stops, saves, commits and is handed over, before the group gives the
partition to another. Lost: another may have it already, so what it holds is dropped.
Fenced: another has begun to write it, which we hear from its transaction before the group
says so, or brokers gave a transaction up that stood still; dropped, and begun anew where it stays ours.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from streamrnn.connectors.kafka_clients.base import AssignmentChange
from streamrnn.connectors.kafka_transaction import KafkaTransaction
from streamrnn.connectors.messages import Messages, of_partitions
from streamrnn.errors import FencedError, RetriableError
from streamrnn.fleet import Fleet
from streamrnn.pipelines.endpoints import topic_and_partition
from streamrnn.pipelines.exactly_once import leave, open_transactions
from streamrnn.pipelines.group.archive import Archive
from streamrnn.pipelines.group.arrivals import Arrivals
from streamrnn.pipelines.group.homes import Homes
from streamrnn.pipelines.group.lane import Lane, Shared, open_lane
from streamrnn.pipelines.group.shelf import Shelf
from streamrnn.pipelines.pace import Pace
from streamrnn.pipelines.parts import silent_of

__all__ = ["Member"]

_LOG = logging.getLogger("streamrnn.group")
_POLL_S, _SOON_S = 0.1, 0.02
_SAVE_S = 10.0  # for what is handed over; what takes longer is read again by the next owner
_PREPARE_S = 60.0
_ANSWER_S = 5.0
_SETTLE_S = 2.0  # some heartbeats: by then the group has told us whether what was fenced is ours no more


class Member:
    """Runs the lanes that are ours.

    Attributes
    ----------
    lanes : dict of str to Lane
        By the names of their partitions.
    """

    def __init__(self) -> None:
        self.lanes: dict[str, Lane] = {}
        self._tunable: dict[str, Any] = {}
        self._given = self._rounds = 0
        self._fenced: dict[str, float] = {}  # partitions, and when to begin them anew
        self._transactions: dict[str, KafkaTransaction] = {}  # of partitions that are to be opened

    def join(self, shared: Shared, archive: Archive, tunable: Mapping[str, Any], moved: str) -> None:
        """Take what lanes need; before ``run``.

        Parameters
        ----------
        shared : Shared
            Whose source tells ``leaving`` of what leaves.
        archive : Archive
        tunable : mapping
            Settings that lanes go on with.
        moved : str
            Policy for keys that move, as ``Homes`` has it.
        """
        self._shared, self._archive, self._tunable = shared, archive, dict(tunable)
        archive.ours = lambda: list(self.lanes)
        self._arrivals = Arrivals(archive, self._begin)
        self._opened: dict[str, float] = {}  # lanes whose records do not come yet, and since when we wait
        self._homes = Homes(moved)

    @property
    def pace(self) -> Pace:
        """How often lanes commit and save."""
        return self._shared.pace()

    def fleets(self) -> list[Fleet]:
        """The models of all lanes."""
        return [lane.pipeline.fleet for lane in list(self.lanes.values())]

    def figures(self) -> Mapping[str, float]:
        """How many records wait for earlier ones, series are silent, and keys have moved."""
        pipelines = [lane.pipeline for lane in list(self.lanes.values())]
        return {
            "waiting_records": sum(pipeline.reorder.waiting for pipeline in pipelines),
            "silent_series": sum(silent_of(pipeline.followers) for pipeline in pipelines),
            "moved_keys": self._homes.moved,
            "partitions_owned": len(pipelines),
        }

    def take_given(self) -> int:
        """How often the group gave us partitions since this was last asked."""
        given, self._given = self._given, 0
        return given

    def run(self, stopped: Callable[[], bool]) -> None:
        """Go round until ``stopped`` says so; then hand over everything.

        Raises
        ------
        StreamrnnError
            Where going on makes no sense; what was committed stays.
        """
        source = self._shared.source
        self._prepare(stopped)
        while not stopped():
            if not any(lane.source.waits for lane in self.lanes.values()):  # else outputs refuse more
                messages = source.poll_messages(self._patience_s())
                self._follow(source.assignment_changes())
                self._feed(messages)
            self._open_next()
            if not all(self._turn_all()):
                time.sleep(_POLL_S)
            self._look_around()
        self._shared.service.stop()  # what can be told at once is told; the rest is handed over
        self._hand_over(self.lanes)
        source.close()  # the next owners wait for that

    def close(self) -> None:
        """End what goes on beside; before what ``join`` took is closed."""
        self._arrivals.close()

    def retune(self, tunable: Mapping[str, Any]) -> None:
        """Have tunable settings change in every lane, and in those to come."""
        self._tunable = dict(tunable)
        for lane in self.lanes.values():
            lane.pipeline.retune(tunable)

    def hear(self) -> None:
        """Take in what users said of events of our partitions."""
        for lane in self.lanes.values():
            lane.pipeline.hear()

    def leaving(self, change: AssignmentChange) -> None:
        """Partitions leave us: called by the source, within a poll."""
        names = [f"{topic}-{number}" for topic, number in change.partitions]
        if change.kind == "lost":
            with self._shared.service.held():
                self._drop(names)
            _LOG.warning("dropped, another daemon may have them: %s", ", ".join(names))
            return
        self._hand_over(names)

    def _hand_over(self, names: Iterable[str]) -> None:
        """Save lanes, commit, and forget them: from here on they are somebody else's."""
        ours = [self.lanes[name] for name in names if name in self.lanes]
        began = time.monotonic()
        end = began + _SAVE_S
        with self._shared.service.held():
            saved = [lane.home for lane in ours if lane.save(max(end - time.monotonic(), 0.0))]
            try:
                self._shared.source.commit_now(saved)
            except RetriableError as error:
                _LOG.warning("offsets are not committed, outputs since will come twice: %s", error)
            self._drop([lane.home for lane in ours])
        took, gone = time.monotonic() - began, ", ".join(lane.home for lane in ours)
        _LOG.info("handed over in %.2f s: %s", took, gone)

    def _drop(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self.lanes:
                self.lanes.pop(name).drop()
                self._homes.leave(name)

    def _follow(self, changes: Iterable[AssignmentChange]) -> None:
        """Read of what was given, and have what was taken begin elsewhere should it come again."""
        for change in changes:
            names = [f"{topic}-{number}" for topic, number in change.partitions]
            if change.kind == "assigned":
                self._given += 1
                self._arrivals.expect(names)
            elif change.kind in ("revoked", "lost"):
                self._shared.source.forget(names)
                self._arrivals.leave(names)
                for name in names:
                    self._fenced.pop(name, None)
                    self._leave_transaction(name)

    def _turn_all(self) -> list[bool]:
        """Have each lane go round once, and one of them, in turn, save: all would wait for all that save."""
        lanes = list(self.lanes.values())
        self._rounds += 1
        for i, lane in enumerate(lanes):
            lane.pipeline.may_save = i == self._rounds % len(lanes)
        return [self._turn(lane) for lane in lanes]

    def _turn(self, lane: Lane) -> bool:
        """Have a lane go round once, as ``Pipeline.turn``; one that is fenced is dropped and stands still."""
        try:
            return lane.pipeline.turn()
        except FencedError:
            _LOG.warning(
                "fenced and dropped, another daemon writes it or this one stood still with a transaction "
                "open; begun anew should the group leave it to us: %s",
                lane.home,
            )
            with self._shared.service.held():
                self._drop([lane.home])
            self._shared.source.restart([lane.home])
            self._fenced[lane.home] = time.monotonic() + _SETTLE_S
            return True

    def _expect_fenced(self) -> None:
        """Begin anew what was fenced and is still ours."""
        now = time.monotonic()
        due = [name for name, at in self._fenced.items() if now >= at]
        for name in due:
            del self._fenced[name]
        if due:
            self._arrivals.expect(due)

    def _begin(self, names: Iterable[str]) -> None:
        """First of all: what an owner before may still do until then is not to be missed.

        Called beside the loop, before what is known of these partitions is read.
        """
        for name, transaction in open_transactions(self._shared.settings, self._shared.source, names).items():
            self._leave_transaction(name)
            self._transactions[name] = transaction

    def _leave_transaction(self, name: str) -> None:
        """Close one that no lane has taken."""
        if (transaction := self._transactions.pop(name, None)) is not None:
            leave(transaction)

    def _prepare(self, stopped: Callable[[], bool]) -> None:
        """As a standby, read before the first poll joins the group: partitions would wait for it."""
        end = time.monotonic() + _PREPARE_S
        while not (stopped() or time.monotonic() >= end or self._arrivals.ready.wait(_POLL_S)):
            self._shared.metrics.beat()

    def _patience_s(self) -> float:
        """How long to wait for records."""
        if self._opened:
            return 0.0
        return _SOON_S if self._arrivals.expected else _POLL_S

    def _open_next(self) -> None:
        """Open a lane of which all has been read: one in a round, so that others go on meanwhile.

        Records come when all that can be are open: to begin halts the reading of others.
        """
        self._expect_fenced()
        shelves = self._arrivals.shelves()
        if shelves:
            name = next(iter(shelves))
            try:
                self._open(name, shelves[name])
            except RetriableError as error:
                _LOG.debug("not taken over yet: %s", error)
                time.sleep(_POLL_S)
                return
            self._opened[name] = self._arrivals.expected[name]
            self._arrivals.leave([name])
        self._opened = {name: since for name, since in self._opened.items() if name in self.lanes}
        if self._opened and len(shelves) < 2:
            self._shared.source.begin(self._opened)
            took = time.monotonic() - min(self._opened.values())
            _LOG.info("taken over in %.2f s: %s", took, ", ".join(self._opened))
            self._opened = {}

    def _open(self, name: str, shelf: Shelf) -> None:
        topic = topic_and_partition(name)[0]
        count = self._archive.partitions_of(topic)
        offset = self._shared.source.committed([name], _ANSWER_S).get(name)
        transaction = self._transactions.pop(name, None)
        lane = open_lane(self._shared, name, shelf, offset, count, transaction=transaction)
        self.lanes[name] = lane
        self._homes.count(topic, lane.partitions, count)
        self._homes.meet(name, lane.pipeline.fleet.keys)
        lane.pipeline.retune(self._tunable)

    def _feed(self, messages: Messages) -> None:
        """Give each lane its messages; those of partitions that left meanwhile are not ours."""
        positions = self._shared.source.snapshot()
        for name, some in of_partitions(messages):
            if name in self.lanes:
                self.lanes[name].source.feed(some, positions[name])
        for name in self.lanes.keys() & positions.keys():
            self.lanes[name].source.feed(None, positions[name])

    def _look_around(self) -> None:
        """What is to be done now and then, whatever comes."""
        for lane in self.lanes.values():
            self._homes.meet(lane.home, lane.pipeline.fleet.keys)
        metrics = self._shared.metrics
        metrics.beat()
        metrics.last_saved = min(
            (lane.eye.saved_at for lane in self.lanes.values()), default=time.monotonic()
        )
