"""A consumer of confluent-kafka whose group moves single partitions.

The client calls back from within ``poll``, in our own thread, and waits: what is
revoked may be saved and committed there before another member gets it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from confluent_kafka import TopicPartition

from streamrnn.connectors.kafka_clients.base import AssignmentChange, Leaving, Partition
from streamrnn.connectors.kafka_clients.confluent_consumer import ConfluentConsumer, listed, plain
from streamrnn.connectors.kafka_clients.confluent_link import State, check_all, translated

__all__ = ["CooperativeConsumer"]


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
        super().__init__(consumer, state)

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

    def _assigned(self, consumer: Any, partitions: list[Any]) -> None:
        consumer.incremental_assign([])  # nothing is read before ``start``
        self._changes.append(AssignmentChange("assigned", plain(partitions)))

    def _taken(self, kind: Any) -> Any:
        def note(consumer: Any, partitions: list[Any]) -> None:
            change = AssignmentChange(kind, plain(partitions))
            self._changes.append(change)
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
