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
from streamrnn.connectors.messages import Messages, of_partitions
from streamrnn.errors import FencedError, RetriableError, StateError
from streamrnn.fleet import Fleet
from streamrnn.pipelines.endpoints import topic_and_partition
from streamrnn.pipelines.exactly_once import leave, open_transactions
from streamrnn.pipelines.group.archive import Archive
from streamrnn.pipelines.group.homes import Homes
from streamrnn.pipelines.group.lane import Lane, Shared, open_lane
from streamrnn.pipelines.pace import Pace
from streamrnn.pipelines.parts import silent_of

__all__ = ["Member"]

_LOG = logging.getLogger("streamrnn.group")
_POLL_S = 0.2
_SAVE_S = 10.0  # for what is handed over; what takes longer is read again by the next owner
_RESTORE_S = 120.0  # for what is taken over; the group waits 300 s for a poll
_AGAIN_S, _ANSWER_S = 0.5, 5.0
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
        self._given = 0
        self._fenced: dict[str, float] = {}  # partitions, and when to begin them anew

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
        while not stopped():
            if not any(lane.source.waits for lane in self.lanes.values()):  # else outputs refuse more
                self._take_over(source.restart(self._take_fenced()), stopped)
                messages = source.poll_messages(_POLL_S)
                self._follow(source.assignment_changes(), stopped)
                self._feed(messages)
            turned = [self._turn(lane) for lane in list(self.lanes.values())]
            if not all(turned):
                time.sleep(_POLL_S)
            self._look_around()
        self._shared.service.stop()  # what can be told at once is told; the rest is handed over
        self._save(self.lanes)

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
        began = time.monotonic()
        self._save(names)
        _LOG.info("handed over in %.2f s: %s", time.monotonic() - began, ", ".join(names))

    def _save(self, names: Iterable[str]) -> None:
        """Save lanes, commit, and forget them: from here on they are somebody else's."""
        ours = [self.lanes[name] for name in names if name in self.lanes]
        end = time.monotonic() + _SAVE_S
        with self._shared.service.held():
            saved = [lane.home for lane in ours if lane.save(max(end - time.monotonic(), 0.0))]
            try:
                self._shared.source.commit_now(saved)
            except RetriableError as error:
                _LOG.warning("offsets are not committed, outputs since will come twice: %s", error)
            self._drop([lane.home for lane in ours])

    def _drop(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self.lanes:
                self.lanes.pop(name).drop()
                self._homes.leave(name)

    def _follow(self, changes: Iterable[AssignmentChange], stopped: Callable[[], bool]) -> None:
        """Open lanes of what was given, and have what was taken begin elsewhere should it come again."""
        new: dict[str, None] = {}
        for change in changes:
            names = [f"{topic}-{number}" for topic, number in change.partitions]
            if change.kind == "assigned":
                self._given += 1
                new |= dict.fromkeys(names)
            elif change.kind in ("revoked", "lost"):
                self._shared.source.forget(names)
                new = {name: None for name in new if name not in names}
                self._fenced = {name: at for name, at in self._fenced.items() if name not in names}
        self._take_over(list(new), stopped)

    def _take_over(self, names: list[str], stopped: Callable[[], bool]) -> None:
        """Open lanes, as soon as that can be done."""
        end = time.monotonic() + _RESTORE_S
        while names and not stopped():
            try:
                self._open(names)
                return
            except FencedError:
                self._begin_anew(names)
                return
            except RetriableError as error:
                if time.monotonic() >= end:
                    raise StateError(
                        f"what is known of {', '.join(names)} cannot be read for {_RESTORE_S:.0f} s: {error}"
                    ) from error
                self._shared.metrics.beat()
                time.sleep(_AGAIN_S)

    def _turn(self, lane: Lane) -> bool:
        """Have a lane go round once, as ``Pipeline.turn``; one that is fenced is dropped."""
        try:
            return lane.pipeline.turn()
        except FencedError:
            with self._shared.service.held():
                self._drop([lane.home])
            self._begin_anew([lane.home])
            return True

    def _begin_anew(self, names: list[str]) -> None:
        """Partitions that somebody else has begun, or whose transaction was given up."""
        _LOG.warning(
            "fenced and dropped, another daemon writes them or this one stood still with a transaction open; "
            "begun anew should the group leave them to us: %s",
            ", ".join(names),
        )
        self._fenced |= dict.fromkeys(names, time.monotonic() + _SETTLE_S)

    def _take_fenced(self) -> list[str]:
        """Those that are to be begun anew now."""
        now = time.monotonic()
        due = [name for name, at in self._fenced.items() if now >= at]
        for name in due:
            del self._fenced[name]
        return due

    def _open(self, names: list[str]) -> None:
        began, shared, archive = time.monotonic(), self._shared, self._archive
        topics = {name: topic_and_partition(name)[0] for name in names}
        counts = {topic: archive.partitions_of(topic) for topic in set(topics.values())}
        # First of all: what an owner before may still do until then is not to be missed.
        transactions = open_transactions(shared.settings, shared.source, names)
        try:
            offsets = shared.source.committed(names, _ANSWER_S)
            shelves = archive.shelves(names)
        except RetriableError:
            for opened in transactions.values():
                leave(opened)
            raise
        for name, shelf in shelves.items():
            topic = topics[name]
            transaction = transactions.get(name)
            lane = open_lane(shared, name, shelf, offsets.get(name), counts[topic], transaction=transaction)
            self.lanes[name] = lane
            self._homes.count(topic, lane.partitions, counts[topic])
            self._homes.meet(name, lane.pipeline.fleet.keys)
            lane.pipeline.retune(self._tunable)
        _LOG.info("taken over in %.2f s: %s", time.monotonic() - began, ", ".join(names))

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
        try:
            self._archive.keep_up()
        except RetriableError as error:
            _LOG.info("the snapshot topic is not followed now: %s", error)
