"""A producer of confluent-kafka whose messages are committed together with a group's offsets.

Facts of the client that shape this file: a commit and an abort that time out may only
be asked for again, and nothing else until they are done; after an error that asks for
an abort all messages of the transaction are gone, so they are kept here until then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streamrnn.connectors.kafka_clients import words
from streamrnn.connectors.kafka_clients.base import Outgoing, Partition
from streamrnn.connectors.kafka_clients.confluent_consumer import listed
from streamrnn.connectors.kafka_clients.confluent_link import (
    State,
    check_all,
    common,
    raise_ours,
    translated,
)
from streamrnn.errors import FatalConnectorError, RetriableError

__all__ = ["OPEN_S", "ConfluentTransaction", "initialise"]

OPEN_S = 60.0
"""After so long the brokers give an open transaction up: readers need not wait longer for the dead."""

_INIT_S = 5.0
_ROOM_S = 0.05
_SETTLE_S = 1.0
_FENCED = {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}


def initialise(producer: Any, name: str, state: State) -> None:
    """Have the brokers end what was open under a name, and wait until they have."""
    options = state.options
    deadline = time.monotonic() + options.patience_s
    while True:
        try:
            producer.init_transactions(_INIT_S)
        except KafkaException as raised:  # what timed out goes on with a next call
            error = raised.args[0]
            if error.code() in _FENCED:
                raise words.writer_fenced(options, name, OPEN_S) from None
            state.check()
            late = error.fatal() or time.monotonic() >= deadline
            try:
                raise_ours(error, options)
            except RetriableError:
                if late:
                    raise
        else:
            return


class ConfluentTransaction:
    """One transaction after the other.

    Parameters
    ----------
    producer : confluent_kafka.Producer
        With a transactional id; its transactions are initialised.
    name : str
        The transactional id.
    state : State
    """

    def __init__(self, producer: Any, name: str, state: State) -> None:
        self._producer, self._name, self._state = producer, name, state
        self._kept: list[tuple[str, Outgoing]] = []  # all messages of the transaction
        self._bytes = self._sent = 0  # of these; the first so many the client has taken
        self._open = self._aborting = False
        self._ending: Mapping[Partition, int] | None = None  # offsets of a commit under way
        self._committed: dict[Partition, int] = {}

    @property
    def full(self) -> bool:
        """Whether it should be committed before more is written."""
        return self._bytes >= self._state.options.buffer_bytes

    def write(self, topic: str, messages: Sequence[Outgoing]) -> None:
        self._settle(_SETTLE_S)
        self._kept += [(topic, message) for message in messages]
        self._bytes += sum(len(part) for message in messages for part in message[:2] if part is not None)
        with suppress(RetriableError):  # they are taken, whatever becomes of this transaction
            self._hand_on()

    def commit(
        self, offsets: Mapping[Partition, int], membership: Callable[[], object], timeout_s: float
    ) -> None:
        deadline = time.monotonic() + timeout_s
        self._settle(timeout_s)
        if not self._kept and offsets.items() <= self._committed.items():
            return
        self._hand_on()
        while self._sent < len(self._kept):
            self._serve(_ROOM_S)
            if time.monotonic() >= deadline:
                raise RetriableError(f"{self._state.options.title} takes no messages")
            self._hand_on()
        self._begin()
        with self._judged():
            left = max(_ROOM_S, deadline - time.monotonic())
            self._producer.send_offsets_to_transaction(listed(offsets), membership(), left)
        self._ending = dict(offsets)
        self._settle(max(_ROOM_S, deadline - time.monotonic()))

    def committed(self, partitions: Sequence[Partition], timeout_s: float) -> dict[Partition, int]:
        options = self._state.options
        asked = [TopicPartition(*partition) for partition in partitions]
        if not asked:
            return {}
        with translated(options):
            # Not a member: it asks, and waits for a transaction that is still being ended.
            reader = Consumer(
                {
                    **common(options, self._state),
                    "group.id": options.group,
                    "enable.auto.commit": False,
                    "isolation.level": "read_committed",
                }
            )
            try:
                found = reader.committed(asked, timeout_s)
            finally:
                reader.close()
        check_all(found, options)
        return {(at.topic, at.partition): at.offset for at in found if at.offset >= 0}

    def close(self, timeout_s: float) -> None:
        with suppress(KafkaException):  # the next owner of the name ends it as well
            if self._open:
                self._producer.abort_transaction(timeout_s)
            self._producer.purge()
            self._producer.flush(_ROOM_S)

    def _begin(self) -> None:
        if not self._open:
            with self._judged():
                self._producer.begin_transaction()
            self._open = True

    def _hand_on(self) -> None:
        """Have the client take what it has room for."""
        if self._sent < len(self._kept):
            self._begin()
        while self._sent < len(self._kept) and self._taken(*self._kept[self._sent]):
            self._sent += 1
        self._serve(0.0)
        self._state.check()

    def _serve(self, timeout_s: float) -> None:
        """Let the client report, which may be that we are fenced."""
        with self._judged():
            self._producer.poll(timeout_s)

    def _taken(self, topic: str, message: Outgoing) -> bool:
        value, key, headers = message
        try:
            with self._judged():
                self._producer.produce(topic, value, key, headers=list(headers) or None)
        except BufferError:
            return False
        return True

    def _settle(self, timeout_s: float) -> None:
        """Finish a commit or an abort that is under way; RetriableError where it is not in time."""
        if self._ending is not None:
            with self._judged():
                self._producer.commit_transaction(timeout_s)
            self._committed |= self._ending
            self._kept, self._bytes, self._sent = [], 0, 0
            self._open, self._ending = False, None
        if self._aborting:
            try:
                self._producer.abort_transaction(timeout_s)
            except KafkaException as error:
                self._raise(error.args[0])
            self._open = self._aborting = False
            self._sent = 0  # the same messages once more

    @contextmanager
    def _judged(self) -> Iterator[None]:
        """Have the transaction aborted where an error asks for it, and raise ours."""
        try:
            yield
        except KafkaException as raised:
            error = raised.args[0]
            # Offsets that were not taken say nothing of themselves: all of it begins again.
            if error.txn_requires_abort() or (self._open and self._ending is None):
                self._aborting, self._ending = True, None
            self._raise(error)

    def _raise(self, error: Any) -> None:
        if error.code() in _FENCED:
            raise words.writer_fenced(self._state.options, self._name, OPEN_S) from None
        if error.fatal():
            raise FatalConnectorError(f"{self._state.options.title}: {error.str()}") from None
        raise_ours(error, self._state.options)
