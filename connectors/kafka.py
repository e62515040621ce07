"""Topics of Kafka as a source."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.base import Read
from streamrnn.connectors.kafka_clients.background import Background
from streamrnn.connectors.kafka_clients.base import (
    AssignmentChange,
    Consumer,
    Leaving,
    Partition,
    PartitionCodes,
    open_consumer,
)
from streamrnn.connectors.kafka_clients.link import Link
from streamrnn.connectors.kafka_clients.options import KafkaOptions, KafkaSecurity
from streamrnn.connectors.messages import DeadLetter, Decoder, Messages
from streamrnn.errors import FatalConnectorError, RetriableError, SettingsError

__all__ = ["AssignmentChange", "KafkaOptions", "KafkaSecurity", "KafkaSource"]

_log = logging.getLogger("streamrnn.kafka")
_MIN_ANSWER_S = 0.25  # a round trip over a slow line; shorter time-outs would never get an answer
_PROBE_S = 1.0  # after so long without a message the brokers are asked whether they are there
_COMMIT_S = 2.0
_COMMIT_PAUSE_S = 1.0  # after a commit that failed
_CLOSE_S = 5.0


class KafkaSource:
    """Records of topics, read as a member of a consumer group.

    A poll survives brokers that are slow, frozen, away or back: it tries again,
    with growing pauses, and says once that they are lost and once that they are
    back. Within one source each record comes once, in the order of its
    partition, whatever the brokers or the group do.

    Where a partition goes on: at its position (from ``seek``, or after the last
    record polled), else at the group's committed offset, else where
    ``options.start`` says. A position holds for the life of this object, also
    where the group gives the partition away and back.

    Groups of several members: where a partition is revoked or lost, its records
    stop and ``commit`` leaves it alone. ``assignment_changes`` tells of it after
    the poll in which it happened; ``leaving`` hears of it before the next owner
    starts, and may hand over.

    Parameters
    ----------
    options : KafkaOptions
    decoder : Decoder
        Makes records of messages.
    leaving : callable, optional
        Called within a poll of what is revoked, while it is still ours: what was
        committed by ``commit_now`` is where the next owner starts. Also of what is lost.
        With it the group moves single partitions, and what it gives us stands still until
        ``begin``; client ``"confluent"`` only.

    Raises
    ------
    SettingsError
        Where the options name no topic.

    Examples
    --------
    >>> source = KafkaSource(KafkaOptions(brokers=("localhost:9092",), topics=("flow",)), decoder=None)
    >>> source.seek({"flow-0": 41})
    >>> source.snapshot()
    {'flow-0': 41}
    >>> source.close()
    """

    def __init__(self, options: KafkaOptions, decoder: Decoder, leaving: Leaving | None = None) -> None:
        if not options.topics:
            raise SettingsError("topics is empty; give the topics to read")
        self._options = options
        self._decoder, self._leaving = decoder, leaving
        self._codes = PartitionCodes()
        self._next: dict[str, int] = {}
        self._ends: dict[str, int] = {}
        self._owned: set[Partition] = set()
        self._waiting: set[Partition] = set()
        self._held: set[Partition] = set()
        self._uncommitted: dict[str, int] = {}
        self._commit_at = 0.0
        self._dead: list[DeadLetter] = []
        self._changes: list[AssignmentChange] = []
        self._link = Link(options, "source")
        self._beyond_since: float | None = None
        self._opening: Background[Consumer] | None = None
        self._client: Consumer | None = None

    @property
    def partition_names(self) -> Sequence[str]:
        """Names such as ``"flow-3"`` by code; grows as partitions are met."""
        return self._codes.names

    @property
    def keys(self) -> Sequence[str]:
        """Names of the series by their codes; grows as records of new ones are polled."""
        return self._decoder.keys

    @property
    def trouble(self) -> str | None:
        """What keeps the records away at this moment, in words; None where nothing does."""
        return self._link.trouble

    def poll(self, timeout_s: float) -> Read:
        """The next records; an empty batch where none came in time, or brokers are away.

        Messages that are no records are kept for ``take_dead_letters``. While
        partitions are taken up, or nothing is heard of the brokers, a poll may
        take half a second longer.

        Raises
        ------
        FatalConnectorError
            Where trying again does not help: the login is refused, a right is
            missing, a topic stays unknown, a position lies beyond its end.
        """
        decoded = self._decoder.decode(self.poll_messages(timeout_s))
        self._dead += decoded.dead
        return decoded.read

    def poll_messages(self, timeout_s: float) -> Messages:
        """The next messages as they came, for a caller that decodes them; raises as ``poll``."""
        deadline = time.monotonic() + timeout_s
        if self._link.wait(timeout_s):
            try:
                return self._attempt(deadline)
            except RetriableError as error:
                self._link.failed(error)
        time.sleep(max(0.0, min(deadline - time.monotonic(), self._options.backoff_s)))
        return _no_messages(self._codes)

    def take_dead_letters(self) -> list[DeadLetter]:
        """Messages polled that are no records; each is given once.

        They count as polled: write them before their positions are committed.
        """
        dead, self._dead = self._dead, []
        return dead

    def assignment_changes(self) -> list[AssignmentChange]:
        """What the group gave or took since the last call, in order."""
        changes, self._changes = self._changes, []
        return changes

    def snapshot(self) -> dict[str, int]:
        """Where to go on after what was polled, of every partition read or sought so far."""
        return dict(self._next)

    def lag(self) -> dict[str, int]:
        """How many records lie before us in the partitions that are ours, as far as is known; asks nobody."""
        ours = sorted(self._owned - self._waiting)
        if self._client is not None:
            self._ends |= {_name(partition): end for partition, end in self._client.ends(ours).items()}
        names = map(_name, ours)
        return {name: max(0, self._ends.get(name, 0) - self._next[name]) for name in names}

    def seek(self, positions: Mapping[str, int]) -> None:
        """Go on from these positions, now or when the group gives us the partitions."""
        self._next.update(positions)
        self._waiting |= {partition for partition in self._owned if _name(partition) in positions}

    def begin(self, names: Collection[str]) -> None:
        """Read partitions that stood still since the group gave us them."""
        self._held = {partition for partition in self._held if _name(partition) not in names}

    def commit(self, positions: Mapping[str, int]) -> None:
        """Commit offsets to the group; never blocks, goes on in polls and is finished by ``close``.

        Where brokers are away, the newest are kept and committed when they are
        back: offsets are for those who start without positions, and for lag.
        """
        self._uncommitted.update(positions)
        if self._client is not None:
            self._commit_what_waits(self._client)

    def commit_now(self, names: Collection[str]) -> None:
        """Commit what waits of these partitions, and wait until that is done.

        Raises
        ------
        RetriableError
            Where it is not in some seconds, or they are not ours any more.
        """
        offsets = {place: at for place, at in self._ours_to_commit().items() if _name(place) in names}
        if self._client is not None and offsets:
            self._client.commit_now(offsets, _COMMIT_S)
            for partition in offsets:
                del self._uncommitted[_name(partition)]

    def committed(self, names: Collection[str], timeout_s: float) -> dict[str, int]:
        """The group's offsets of those of our partitions that have one; raises RetriableError."""
        asked = sorted(partition for partition in self._owned if _name(partition) in names)
        found = self._client.committed(asked, timeout_s) if self._client is not None and asked else {}
        return {_name(partition): offset for partition, offset in found.items()}

    def membership(self) -> object:
        """What the group knows us by, for a transaction; RetriableError where it does not yet."""
        if self._client is None:
            raise RetriableError(f"{self._options.title} has not let us into the group yet")
        return self._client.membership()

    def forget(self, names: Collection[str]) -> None:
        """Have partitions that left us begin elsewhere, should they come again."""
        for name in names:
            self._next.pop(name, None)
            self._uncommitted.pop(name, None)

    def restart(self, names: Collection[str]) -> list[str]:
        """Have those of these partitions that are ours be as if they had just come; which they are."""
        ours = {partition for partition in self._owned if _name(partition) in names}
        found = sorted(map(_name, ours))
        self.forget(found)
        self._waiting |= ours
        if self._leaving is not None and self._client is not None:
            self._held |= ours
            self._client.halt(ours)
        return found

    def close(self) -> None:
        """Leave the group; what is not committed by now stays so."""
        if self._opening is not None:
            self._opening.abandon()
            self._opening = None
        client, self._client = self._client, None
        if client is None:
            return
        try:
            if (offsets := self._ours_to_commit()) and self._link.trouble is None:
                client.commit_now(offsets, _COMMIT_S)
            client.close(_CLOSE_S)
        except RetriableError as error:
            _log.warning("Kafka source: closed without an answer: %s", error)

    def _attempt(self, deadline: float) -> Messages:
        client = self._connected(deadline)
        if client is None:
            return _no_messages(self._codes)
        if self._take_up(client, deadline):
            return _no_messages(self._codes)  # so that where they begin can be kept before anything is read
        messages = client.poll(max(0.0, deadline - time.monotonic()), self._options.max_messages, self._codes)
        if len(messages):
            self._advance(messages)
            self._link.alive()
        self._note_changes(client)
        self._commit_what_waits(client)
        if not len(messages) and self._link.quiet_s > _PROBE_S:
            client.bounds([(self._options.topics[0], 0)], _left(deadline))
            self._link.alive()
        return messages

    def _connected(self, deadline: float) -> Consumer | None:
        """The client, once it is open; opening goes on between polls."""
        if self._client is None:
            if self._opening is None:
                options, leaving = self._options, self._leaving
                self._opening = Background(
                    lambda: open_consumer(options, leaving), discard=lambda late: late.close(_CLOSE_S)
                )
            if self._opening.wait(max(0.0, deadline - time.monotonic())):
                opening, self._opening = self._opening, None
                self._client = opening.result()
                self._link.alive()
        return self._client

    def _take_up(self, client: Consumer, deadline: float) -> bool:
        """Start partitions that are new to us, or were sought, where they go on; whether there were any."""
        waiting = sorted(self._waiting - self._held)
        if not waiting:
            return False
        unknown = [partition for partition in waiting if _name(partition) not in self._next]
        committed = client.committed(unknown, _left(deadline)) if unknown else {}
        bounds = client.bounds(waiting, _left(deadline))
        starts = {}
        for partition in waiting:
            first, end = bounds[partition]
            self._ends[_name(partition)] = end
            otherwise = first if self._options.start == "earliest" else end
            position = self._next.get(_name(partition), committed.get(partition, otherwise))
            starts[partition] = self._within(partition, position, first, end)
        going_on = {partition: self._next[_name(partition)] for partition in self._owned - self._waiting}
        client.start({**going_on, **starts})
        self._beyond_since = None
        self._waiting &= self._held
        self._next.update({_name(partition): offset for partition, offset in starts.items()})
        return True

    def _within(self, partition: Partition, position: int, first: int, end: int) -> int:
        """The position, or the first offset where the broker has deleted what lies before it."""
        name = _name(partition)
        if position > end:
            self._be_patient(f"the position {position} of {name} lies beyond its end {end}")
        if position < first:
            _log.error(
                "Kafka source: %s has lost the offsets %d to %d to its retention before they were read; "
                "going on at %d",
                name,
                position,
                first - 1,
                first,
            )
            self._next[name] = first  # said once
        return max(position, first)

    def _be_patient(self, what: str) -> None:
        """An end may lag for a moment after brokers came back; if it stays, the topic is another."""
        self._beyond_since = self._beyond_since or time.monotonic()
        if time.monotonic() - self._beyond_since < self._options.patience_s:
            raise RetriableError(what)
        raise FatalConnectorError(
            f"{what}: the topic was made anew or has lost records; start with a fresh state, "
            "or give positions that exist"
        )

    def _advance(self, messages: Messages) -> None:
        partitions = messages.partitions
        last = np.append(np.flatnonzero(np.diff(partitions)), len(partitions) - 1)
        for i in last.tolist():
            self._next[self._codes.names[partitions[i]]] = int(messages.offsets[i]) + 1

    def _note_changes(self, client: Consumer) -> None:
        for change in client.take_changes():
            if not change.partitions:
                continue
            partitions = set(change.partitions)
            if change.kind in ("revoked", "lost"):
                self._owned -= partitions
                self._waiting -= partitions
                self._held -= partitions
            else:
                self._owned |= partitions
                self._waiting |= partitions
            if change.kind == "assigned" and self._leaving is not None:
                self._held |= partitions
            _log.info("Kafka source: partitions %s: %s", change.kind, ", ".join(map(_name, partitions)))
            self._changes.append(change)

    def _commit_what_waits(self, client: Consumer) -> None:
        """Send what is ours to commit, one request at a time; never keeps from polling."""
        for sent, why in client.take_commits():
            self._commit_at = 0.0
            if why is not None:
                self._not_committed(why)
                continue
            for partition, offset in sent.items():
                if self._uncommitted.get(_name(partition)) == offset:
                    del self._uncommitted[_name(partition)]
        offsets = self._ours_to_commit()
        if offsets and time.monotonic() >= self._commit_at:
            self._commit_at = time.monotonic() + self._options.session_timeout_s  # or the answer
            try:
                client.commit(offsets)
            except RetriableError as error:
                self._not_committed(error)

    def _not_committed(self, why: object) -> None:
        self._commit_at = time.monotonic() + _COMMIT_PAUSE_S
        _log.info("Kafka source: offsets are not committed yet: %s", why)

    def _ours_to_commit(self) -> dict[Partition, int]:
        """Without partitions that are not ours now: another member may be ahead of us."""
        ours = {_name(partition): partition for partition in self._owned - self._waiting}
        return {ours[name]: offset for name, offset in self._uncommitted.items() if name in ours}


def _name(partition: Partition) -> str:
    return f"{partition[0]}-{partition[1]}"


def _left(deadline: float) -> float:
    """Time for an answer: what is left, and never too little for any."""
    return max(_MIN_ANSWER_S, deadline - time.monotonic())


def _no_messages(codes: PartitionCodes) -> Messages:
    none: NDArray[np.int64] = np.empty(0, np.int64)
    return Messages([], [], none, np.empty(0, np.int32), none, codes.names)
