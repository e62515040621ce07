"""A compacted topic as a store, through confluent-kafka."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, KafkaError, TopicPartition

from streamrnn.connectors.kafka_clients.base import Entry
from streamrnn.connectors.kafka_clients.confluent_link import (
    LATEST,
    State,
    offsets_at,
    raise_ours,
    translated,
)
from streamrnn.errors import RetriableError

__all__ = ["ConfluentLog"]

_AT_ONCE = 100  # messages, of up to a million bytes each
_ROOM_S, _LOOK_S = 0.05, 0.01


class _Sent:
    """What one call wrote; another thread's may be under way, and either may be told of both's."""

    def __init__(self) -> None:
        self.count = 0
        self._told: list[Any] = []  # to append is all that two threads can do at once

    @property
    def failed(self) -> list[Any]:
        """Why some of it is not there."""
        return [error for error in self._told if error is not None]

    @property
    def waiting(self) -> bool:
        """Whether some of it is not known to be there, or not to be."""
        return len(self._told) < self.count

    def told(self, error: Any, message: Any) -> None:
        """One message is delivered, or never will be."""
        self._told.append(error)


class ConfluentLog:
    """A topic that is written and followed, partition by partition.

    Parameters
    ----------
    producer, reader : confluent_kafka.Producer, confluent_kafka.Consumer
    topic : str
    state : State
    """

    def __init__(self, producer: Any, reader: Any, topic: str, state: State) -> None:
        self._producer, self._reader, self._topic, self._state = producer, reader, topic, state
        self._held: dict[int, dict[bytes, bytes]] = {}
        self._next: dict[int, int] = {}

    def write(self, partition: int, entries: Iterable[Entry], timeout_s: float) -> None:
        """Append entries and wait until all are acknowledged; raises as ``Log.write``."""
        deadline, sent = time.monotonic() + timeout_s, _Sent()
        for key, value in entries:
            while not self._taken(partition, key, value, sent):
                self._producer.poll(_ROOM_S)
                self._check_in_time(deadline)
        while sent.waiting and time.monotonic() < deadline:
            self._producer.poll(_LOOK_S)
        if sent.waiting:
            self._producer.purge()  # what comes too late must not come behind what is written later
            self._producer.poll(_ROOM_S)
        self._state.check()
        if sent.failed:
            raise_ours(sent.failed[0], self._state.options)
        if sent.waiting:
            raise RetriableError(f"{self._state.options.title} does not say that it has what was written")

    def follow(self, partitions: Collection[int]) -> None:
        """Keep in memory what these partitions hold, and forget others."""
        wanted = set(partitions)
        if wanted == self._held.keys():
            return
        self._held = {number: self._held.get(number, {}) for number in wanted}
        self._next = {number: self._next.get(number, OFFSET_BEGINNING) for number in wanted}
        places = [TopicPartition(self._topic, number, offset) for number, offset in self._next.items()]
        with translated(self._state.options):
            self._reader.assign(places)

    def catch_up(self, timeout_s: float, partitions: Collection[int]) -> bool:
        """Read on; whether all that these partitions held when this began is read now."""
        deadline = time.monotonic() + timeout_s
        asked = [(self._topic, number) for number in partitions]
        found = offsets_at(LATEST, asked, self._reader, timeout_s, self._state.options)
        ends = {number: end for (_, number), end in found.items()}
        while any(max(self._next[number], 0) < end for number, end in ends.items()):
            if time.monotonic() >= deadline:
                return False
            self.read_on(min(_ROOM_S, max(0.0, deadline - time.monotonic())))
        return True

    def read_on(self, timeout_s: float = 0.0) -> bool:
        """Read some of what there is; whether there was any."""
        with translated(self._state.options):
            first = self._reader.poll(timeout_s)  # comes as soon as there is one
            messages = [] if first is None else [first, *self._reader.consume(_AT_ONCE, 0.0)]
        for message in messages:
            self._heard(message)
        self._state.check()
        return bool(messages)

    def entries(self, partition: int) -> Mapping[bytes, bytes]:
        """What a partition held when it was last read."""
        return self._held[partition]

    def let_go(self, partition: int, keys: Iterable[bytes]) -> None:
        """Hold the values of these keys no more, but that they are there."""
        self._held[partition] |= dict.fromkeys(keys, b"")

    def partitions_of(self, topic: str, timeout_s: float) -> int:
        """How many partitions a topic has."""
        with translated(self._state.options):
            known: dict[int, Any] = self._producer.list_topics(topic, timeout_s).topics[topic].partitions
        return len(known)

    def close(self) -> None:
        """Disconnect."""
        self._producer.purge()
        self._producer.flush(_ROOM_S)
        self._reader.close()

    def _taken(self, partition: int, key: bytes, value: bytes | None, sent: _Sent) -> bool:
        """Whether the client takes a message; False where it has no room for it now."""
        with suppress(BufferError), translated(self._state.options):
            self._producer.produce(self._topic, value, key, partition=partition, on_delivery=sent.told)
            sent.count += 1
            return True
        return False

    def _check_in_time(self, deadline: float) -> None:
        self._state.check()
        if time.monotonic() > deadline:
            self._producer.purge()
            raise RetriableError(f"{self._state.options.title} takes nothing for {self._topic!r}")

    def _heard(self, message: Any) -> None:
        """A message, or that there are no more: behind the last one there may be holes."""
        error = message.error()
        if error is None:
            self._take(message)
        elif error.code() == KafkaError._PARTITION_EOF:
            self._next[message.partition()] = message.offset()
        else:
            self._state.on_error(error)

    def _take(self, message: Any) -> None:
        """Keep the newest value of a key."""
        number, key, value = message.partition(), message.key(), message.value()
        if number not in self._held:  # followed no more
            return
        self._next[number] = message.offset() + 1
        if value is None:
            self._held[number].pop(key, None)
        else:
            self._held[number][key] = value
