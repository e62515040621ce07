"""A topic of Kafka as a sink of messages."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from streamrnn.connectors.kafka_clients.background import Background
from streamrnn.connectors.kafka_clients.base import Headers, Outgoing, Producer, open_producer
from streamrnn.connectors.kafka_clients.link import Link
from streamrnn.connectors.kafka_clients.options import KafkaOptions
from streamrnn.errors import RetriableError

__all__ = ["KafkaSink", "Topic"]

_ROOM_S = 1.0  # how long a full sink waits for room before it says so
_CLOSE_S = 5.0


class Topic(Protocol):
    """A topic to write to: a ``KafkaSink``, or one of a transaction."""

    def write_messages(
        self,
        values: Sequence[bytes],
        keys: Sequence[bytes | None],
        headers: Sequence[Headers] | None = None,
    ) -> None:
        """Take messages, all or none; raises as ``KafkaSink.write_messages``."""

    def flush(self, timeout_s: float) -> None:
        """Wait until all is acknowledged; raises as ``KafkaSink.flush``."""

    def close(self) -> None:
        """Give back what was opened; may be called twice."""


class KafkaSink:
    """Sends messages to one topic, each at least once, in bounded memory.

    Every message is acknowledged by all replicas in sync (``acks=all``,
    idempotent). What was taken is kept and tried until it is acknowledged.

    Parameters
    ----------
    options : KafkaOptions
    topic : str
        Must exist.

    Examples
    --------
    >>> sink = KafkaSink(KafkaOptions(brokers=("localhost:9092",)), "scores")
    >>> sink.write_messages([], [])
    >>> sink.close()
    """

    def __init__(self, options: KafkaOptions, topic: str) -> None:
        self.topic = topic
        self._options = options
        self._queue: deque[Outgoing] = deque()
        self._unacknowledged = 0  # bytes taken since all was last acknowledged
        self._link = Link(options, f"sink {topic!r}")
        self._opening: Background[Producer] | None = None
        self._client: Producer | None = None

    @property
    def trouble(self) -> str | None:
        """What keeps the messages back at this moment, in words; None where nothing does."""
        return self._link.trouble

    def write_messages(
        self,
        values: Sequence[bytes],
        keys: Sequence[bytes | None],
        headers: Sequence[Headers] | None = None,
    ) -> None:
        """Take messages, all or none.

        Parameters
        ----------
        values, keys : sequence of bytes
            A message without a key goes to any partition.
        headers : sequence of headers, optional
            Names and values, one sequence a message.

        Raises
        ------
        RetriableError
            Where the buffer is full and the brokers take nothing: none of these
            messages was taken; write them again later.
        FatalConnectorError
            Where trying again does not help.
        """
        size = sum(map(len, values)) + sum(len(key) for key in keys if key is not None)
        if self._unacknowledged and self._unacknowledged + size > self._options.buffer_bytes:
            self.flush(_ROOM_S)
        self._queue.extend(zip(values, keys, headers or [()] * len(values), strict=True))
        self._unacknowledged += size
        if self._queue and self._link.wait(0.0):
            self._tried(0.0)

    def flush(self, timeout_s: float) -> None:
        """Wait until all that was written is acknowledged.

        Raises
        ------
        RetriableError
            Where it is not in time; it is kept, and tried further at the next
            flush or write.
        FatalConnectorError
            Where trying again does not help.
        """
        if not self._unacknowledged:
            return
        deadline = time.monotonic() + timeout_s
        while True:
            left = max(0.0, deadline - time.monotonic())
            unsent = self._tried(left) if self._link.wait(left) else max(1, len(self._queue))
            if not unsent:
                self._unacknowledged = 0
                return
            if time.monotonic() >= deadline:
                why = self._link.trouble or f"no acknowledgement from {self._options.title}"
                raise RetriableError(f"messages to {self.topic!r} are not sent yet: {why}")

    def close(self) -> None:
        """Flush and disconnect; may be called twice.

        Raises
        ------
        RetriableError
            Where messages are not acknowledged after some seconds; they are gone.
        """
        try:
            self.flush(_CLOSE_S)
        finally:
            self._unacknowledged = 0
            if self._opening is not None:
                self._opening.abandon()
                self._opening = None
            client, self._client = self._client, None
            if client is not None:
                client.close(_CLOSE_S)

    def _tried(self, timeout_s: float) -> int:
        """Hand on what can be handed on; how many messages are not known to be acknowledged."""
        try:
            return self._attempt(timeout_s)
        except RetriableError as error:
            self._link.failed(error)
            return max(1, len(self._queue))

    def _attempt(self, timeout_s: float) -> int:
        client = self._connected(timeout_s)
        if client is None:
            return len(self._queue)
        while self._queue and client.send(self._queue[0]):
            self._queue.popleft()
        if not timeout_s:
            return 1  # not waited for
        unsent = client.flush(timeout_s) + len(self._queue)
        failed = client.take_failed()
        if failed:
            self._queue.extendleft(reversed(failed))
            if not unsent:  # all that it was trusted with is back: a client that fails is replaced
                self._client = None
                client.close(0.0)
            raise RetriableError(f"{self._options.title} refused {len(failed)} messages for now")
        if unsent:
            raise RetriableError(f"{self._options.title} has not acknowledged {unsent} messages")
        self._link.alive()
        return 0

    def _connected(self, timeout_s: float) -> Producer | None:
        """The client, once it is open; opening goes on between calls."""
        if self._client is None:
            if self._opening is None:
                options, topic = self._options, self.topic
                self._opening = Background(
                    lambda: open_producer(options, topic), discard=lambda late: late.close(0.0)
                )
            if self._opening.wait(timeout_s):
                opening, self._opening = self._opening, None
                self._client = opening.result()
                self._link.alive()
        return self._client
