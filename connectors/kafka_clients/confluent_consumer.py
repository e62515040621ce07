"""A consumer of confluent-kafka."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from confluent_kafka import KafkaError, Message, TopicPartition

from streamrnn.connectors.kafka_clients.background import Background
from streamrnn.connectors.kafka_clients.base import (
    AssignmentChange,
    CommitResult,
    Partition,
    PartitionCodes,
)
from streamrnn.connectors.kafka_clients.confluent_link import State, check_all, translated
from streamrnn.connectors.kafka_clients.confluent_messages import messages_of
from streamrnn.connectors.messages import Messages
from streamrnn.errors import RetriableError

__all__ = ["ConfluentConsumer", "listed", "plain"]

_ASKED_AT_ONCE = 16  # threads
_OUT_OF_RANGE = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}


class ConfluentConsumer:
    """A subscribed ``confluent_kafka.Consumer``."""

    def __init__(self, consumer: Any, state: State) -> None:
        self._consumer = consumer
        self._state = state
        self._options = state.options
        self._changes: deque[AssignmentChange] = deque()
        consumer.subscribe(
            list(self._options.topics),
            on_assign=self._assigned,
            on_revoke=self._taken("revoked"),
            on_lost=self._taken("lost"),
        )

    def poll(self, timeout_s: float, max_messages: int, codes: PartitionCodes) -> Messages:
        with translated(self._options):
            first = self._consumer.poll(max(timeout_s, 0.0))
        got = [] if first is None else [first]
        if got:
            with suppress(RetriableError), translated(self._options):  # it must not cost the first one
                got += self._consumer.consume(max_messages, 0.0)
        self._state.check()
        good = got
        if any(map(Message.error, got)):
            good = [message for message in got if message.error() is None]
            self._judge([message for message in got if message.error() is not None])
        return messages_of(good, self._options.topics, codes)

    def take_changes(self) -> list[AssignmentChange]:
        changes = self._changes
        return [changes.popleft() for _ in range(len(changes))]

    def start(self, offsets: Mapping[Partition, int]) -> None:
        with translated(self._options):
            self._consumer.assign(listed(offsets))

    def committed(self, partitions: Sequence[Partition], timeout_s: float) -> dict[Partition, int]:
        with translated(self._options):
            found = self._consumer.committed([TopicPartition(*tp) for tp in partitions], timeout_s)
        check_all(found, self._options)
        return {(tp.topic, tp.partition): tp.offset for tp in found if tp.offset >= 0}

    def bounds(self, partitions: Sequence[Partition], timeout_s: float) -> dict[Partition, tuple[int, int]]:
        # Side by side: each answer waits for a fetch to come back, where others of our partitions are idle.
        with translated(self._options), ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
            asked = [
                pool.submit(self._consumer.get_watermark_offsets, TopicPartition(*partition), timeout_s)
                for partition in partitions
            ]
            return {partition: one.result() for partition, one in zip(partitions, asked, strict=True)}

    def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        found = {}
        with suppress(RetriableError), translated(self._options):
            for partition in partitions:
                known = self._consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)
                if known is not None and known[1] >= 0:
                    found[partition] = known[1]
        return found

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        with translated(self._options):
            self._consumer.commit(offsets=listed(offsets), asynchronous=True)

    def take_commits(self) -> list[CommitResult]:
        commits = self._state.commits
        return [commits.popleft() for _ in range(len(commits))]

    def commit_now(self, offsets: Mapping[Partition, int], timeout_s: float) -> None:
        # Beside a poll this would deadlock where the group is lost; nobody polls any more.
        committing = Background(lambda: self._consumer.commit(offsets=listed(offsets), asynchronous=False))
        if not committing.wait(timeout_s):
            raise RetriableError(f"{self._options.title}: no answer to a commit in {timeout_s:.1f} s")
        with translated(self._options):
            check_all(committing.result(), self._options)

    def membership(self) -> object:
        """What the group knows us by, for a transaction."""
        return self._consumer.consumer_group_metadata()

    def close(self, timeout_s: float) -> None:
        closing = Background(self._consumer.close)
        if closing.wait(timeout_s):
            with translated(self._options):
                closing.result()

    def _assigned(self, consumer: Any, partitions: list[Any]) -> None:
        consumer.assign([])  # to nothing for now, so that nothing is read before ``start``
        self._changes.append(AssignmentChange("assigned", plain(partitions)))

    def _taken(self, kind: Any) -> Callable[[Any, list[Any]], None]:
        def note(consumer: Any, partitions: list[Any]) -> None:
            self._changes.append(AssignmentChange(kind, plain(partitions)))

        return note

    def _judge(self, bad: list[Any]) -> None:
        """Messages that are errors: note partitions out of range, pass by what mends itself."""
        gone = [message for message in bad if message.error().code() in _OUT_OF_RANGE]
        if gone:
            partitions = tuple((message.topic(), message.partition()) for message in gone)
            self._changes.append(AssignmentChange("out of range", partitions))
        for message in bad:
            self._state.on_error(message.error())
        self._state.check()


def listed(offsets: Mapping[Partition, int]) -> list[Any]:
    return [TopicPartition(*partition, offset) for partition, offset in offsets.items()]


def plain(partitions: list[Any]) -> tuple[Partition, ...]:
    return tuple(sorted((tp.topic, tp.partition) for tp in partitions))
