"""A consumer of confluent-kafka whose group moves single partitions.

The client calls back from within ``poll``, in our own thread, and waits: what is
revoked may be saved and committed there before another member gets it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from confluent_kafka import KafkaException, TopicPartition

from streamrnn.connectors.kafka_clients.base import AssignmentChange, Leaving, Partition, PartitionCodes
from streamrnn.connectors.kafka_clients.confluent_consumer import ConfluentConsumer, listed, plain
from streamrnn.connectors.kafka_clients.confluent_link import State, check_all, translated
from streamrnn.connectors.messages import Messages

__all__ = ["HEARTBEAT_S", "CooperativeConsumer"]

HEARTBEAT_S = 0.1  # by the answers a member hears that partitions move
_HURRY_S = 0.5


class CooperativeConsumer(ConfluentConsumer):
    """A subscribed consumer that hands partitions over.

    Parameters
    ----------
    consumer : confluent_kafka.Consumer
    state : State
    leaving : callable
        Called of what is revoked, while it is still ours, and of what is lost.
    """

    def __init__(self, consumer: Any, state: State, leaving: Leaving) -> None:
        self._leaving: Leaving | None = leaving
        self._started: set[Partition] = set()
        self._called = False
        self._moved, self._woken = False, 0.0
        super().__init__(consumer, state)

    def poll(self, timeout_s: float, max_messages: int, codes: PartitionCodes) -> Messages:
        """What came; callbacks are called meanwhile."""
        messages = super().poll(timeout_s, max_messages, codes)
        if self._moved:
            self._moved = False
            self._hurry()
        self._wake()
        return messages

    def start(self, offsets: Mapping[Partition, int]) -> None:
        """Read new partitions from these offsets on; others go there where they are elsewhere."""
        new = {partition: offset for partition, offset in offsets.items() if partition not in self._started}
        with translated(self._options):
            known = self._consumer.position(
                [at for at in listed(offsets) if (at.topic, at.partition) in self._started]
            )
            for at in known:
                wanted = offsets[at.topic, at.partition]
                if at.offset >= 0 and at.offset != wanted:
                    at.offset = wanted
                    self._consumer.seek(at)
            self._consumer.incremental_assign(listed(new))
        self._started |= new.keys()

    def halt(self, partitions: Collection[Partition]) -> None:
        """Read no more of these until ``start``."""
        halted = self._started & set(partitions)
        with translated(self._options):
            self._consumer.incremental_unassign([TopicPartition(*partition) for partition in sorted(halted)])
        self._started -= halted

    def commit_now(self, offsets: Mapping[Partition, int], timeout_s: float) -> None:
        """Commit and wait; while it calls us back the client answers in our own thread only."""
        if not self._called:
            super().commit_now(offsets, timeout_s)
            return
        with translated(self._options):
            done = self._consumer.commit(offsets=listed(offsets), asynchronous=False)
        check_all(done, self._options)

    def close(self, timeout_s: float) -> None:
        """Leave the group; by now nobody wants to hear what is taken."""
        self._leaving = None
        super().close(timeout_s)

    def _hurry(self) -> None:
        """Have the client join again as soon as the group is to agree on who gets what was taken.

        By itself it joins once a second at most, and partitions have no owner meanwhile; any answer
        about a topic ends that wait (librdkafka, ``rd_kafka_parse_Metadata``).
        """
        with suppress(KafkaException):  # then it joins a little later
            self._consumer.list_topics(self._options.topics[0], timeout=_HURRY_S)

    def _wake(self) -> None:
        """Have the client send heartbeats that are due: unless asked something it looks twice a second."""
        now = time.monotonic()
        if now - self._woken >= HEARTBEAT_S:
            self._woken = now
            self._consumer.assignment()

    def _assigned(self, consumer: Any, partitions: list[Any]) -> None:
        self._moved = True
        consumer.incremental_assign([])  # nothing is read before ``start``
        self._changes.append(AssignmentChange("assigned", plain(partitions)))

    def _taken(self, kind: Any) -> Any:
        def note(consumer: Any, partitions: list[Any]) -> None:
            change = AssignmentChange(kind, plain(partitions))
            self._changes.append(change)
            self._moved = True
            if self._leaving is not None:
                self._called = True
                try:
                    self._leaving(change)
                finally:
                    self._called = False
            read = [tp for tp in partitions if (tp.topic, tp.partition) in self._started]
            self._started -= set(change.partitions)
            consumer.incremental_unassign(read)

        return note
