"""Kafka through confluent-kafka: an optional extra, several times cheaper a message.

Facts of confluent-kafka 2 that shape this file: ``consume(n, t)`` waits all of
``t`` where fewer than ``n`` messages come; some calls (a synchronous commit,
``close``) take no time-out, so they run beside; errors of connections reach a
callback only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import confluent_kafka

from streamrnn.connectors.kafka_clients import probe
from streamrnn.connectors.kafka_clients.background import Background
from streamrnn.connectors.kafka_clients.base import FETCH_WAIT_MS, Leaving, Outgoing
from streamrnn.connectors.kafka_clients.confluent_consumer import ConfluentConsumer
from streamrnn.connectors.kafka_clients.confluent_cooperative import HEARTBEAT_S, CooperativeConsumer
from streamrnn.connectors.kafka_clients.confluent_link import State, common, translated, wait_for
from streamrnn.connectors.kafka_clients.confluent_log import ConfluentLog
from streamrnn.connectors.kafka_clients.confluent_transaction import OPEN_S, ConfluentTransaction, initialise
from streamrnn.connectors.kafka_clients.options import KafkaOptions
from streamrnn.errors import RetriableError

__all__ = ["open_consumer", "open_log", "open_producer", "open_transaction"]

_LOG_ROOM_KB = 64 * 1024  # on the way to and from a log: states are larger, and need not lie in memory twice
_LOG_FETCH_BYTES = 8 << 20  # of a partition at once; some chunks


def open_consumer(options: KafkaOptions, leaving: Leaving | None = None) -> ConfluentConsumer:
    """Connect and subscribe."""
    probe.check_certificates(options)
    state = State(options, member=True)
    with translated(options):
        consumer = confluent_kafka.Consumer(
            {
                **common(options, state),
                **_membership(options, cooperative=leaving is not None),
                "enable.auto.commit": False,
                "on_commit": state.on_commit,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",  # where a partition starts is ours to say
                "allow.auto.create.topics": False,
                "queued.max.messages.kbytes": 32 * 1024,
                "fetch.wait.max.ms": FETCH_WAIT_MS,
            }
        )
    try:
        for topic in options.topics:
            wait_for(topic, consumer, lambda: consumer.poll(0), state)
        if leaving is not None:
            return CooperativeConsumer(consumer, state, leaving)
        return ConfluentConsumer(consumer, state)
    except BaseException:
        Background(consumer.close)
        raise


def open_producer(options: KafkaOptions, topic: str) -> ConfluentProducer:
    """Connect."""
    probe.check_certificates(options)
    state = State(options)
    with translated(options):
        producer = confluent_kafka.Producer(
            {
                **common(options, state),
                "enable.idempotence": True,
                "acks": "all",
                "message.timeout.ms": 0,  # for ever: what the client has taken it must not drop
                "message.max.bytes": options.max_message_bytes,
                "queue.buffering.max.messages": 10_000_000,  # bytes are the bound
                "queue.buffering.max.kbytes": max(1, 2 * options.buffer_bytes // 1024),
                "delivery.report.only.error": True,
                "linger.ms": 5,
            }
        )
    wait_for(topic, producer, lambda: producer.poll(0), state)
    return ConfluentProducer(producer, topic, state)


def open_log(options: KafkaOptions, topic: str) -> ConfluentLog:
    """Connect, to read and to write single partitions."""
    probe.check_certificates(options)
    state = State(options)
    with translated(options):
        producer = confluent_kafka.Producer(
            {
                **common(options, state),
                "enable.idempotence": True,
                "acks": "all",
                "message.max.bytes": options.max_message_bytes,
                "queue.buffering.max.kbytes": _LOG_ROOM_KB,
                "linger.ms": 0,  # each chunk is a batch
                "compression.type": "lz4",  # states of young series are mostly zeros
            }
        )
    wait_for(topic, producer, lambda: producer.poll(0), state)
    with translated(options):
        reader = confluent_kafka.Consumer(
            {
                **common(options, state),
                "group.id": f"{options.group}-snapshots",  # never joined, nothing is committed
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "allow.auto.create.topics": False,
                "fetch.wait.max.ms": FETCH_WAIT_MS,
                "fetch.message.max.bytes": _LOG_FETCH_BYTES,
                "fetch.queue.backoff.ms": 5,  # with the client's own a full queue costs a second each time
                "queued.max.messages.kbytes": _LOG_ROOM_KB,
            }
        )
    return ConfluentLog(producer, reader, topic, state)


def open_transaction(options: KafkaOptions, name: str, topics: Sequence[str]) -> ConfluentTransaction:
    """Connect, and wait until what was open under that name is ended."""
    probe.check_certificates(options)
    state, open_ms = State(options), round(1000 * OPEN_S)
    settings = common(options, state)
    with translated(options):
        producer = confluent_kafka.Producer(
            {
                **settings,
                "socket.timeout.ms": min(settings["socket.timeout.ms"], open_ms),  # the client asks for that
                "transactional.id": name,
                "transaction.timeout.ms": open_ms,
                "message.max.bytes": options.max_message_bytes,
                "queue.buffering.max.messages": 10_000_000,  # bytes are the bound
                "queue.buffering.max.kbytes": max(1, 2 * options.buffer_bytes // 1024),
                "linger.ms": 5,
            }
        )
    for topic in topics:
        wait_for(topic, producer, lambda: producer.poll(0), state)
    initialise(producer, name, state)
    return ConfluentTransaction(producer, name, state)


def _membership(options: KafkaOptions, *, cooperative: bool) -> dict[str, Any]:
    """What the group is told of us."""
    heartbeat_s = min(options.session_timeout_s / 4, HEARTBEAT_S if cooperative else math.inf)
    settings = {
        "group.id": options.group,
        "group.instance.id": options.instance,
        "session.timeout.ms": round(options.session_timeout_s * 1000),
        "heartbeat.interval.ms": round(1000 * heartbeat_s),
        "max.poll.interval.ms": round(options.max_poll_interval_s * 1000),
        "partition.assignment.strategy": "cooperative-sticky" if cooperative else None,
    }
    return {name: value for name, value in settings.items() if value is not None}


class ConfluentProducer:
    """A ``confluent_kafka.Producer`` and what it gave up."""

    def __init__(self, producer: Any, topic: str, state: State) -> None:
        self._producer = producer
        self._topic = topic
        self._state = state
        self._failed: list[Outgoing] = []

    def send(self, message: Outgoing) -> bool:
        value, key, headers = message
        try:
            with translated(self._state.options):
                self._producer.produce(
                    self._topic, value, key, on_delivery=self._report, headers=list(headers) or None
                )
        except (BufferError, RetriableError):
            return False
        return True

    def flush(self, timeout_s: float) -> int:
        left = self._producer.flush(timeout_s)
        self._state.check()
        return int(left)

    def take_failed(self) -> list[Outgoing]:
        failed, self._failed = self._failed, []
        return failed

    def close(self, timeout_s: float) -> None:
        self._producer.purge()
        self._producer.flush(timeout_s)

    def _report(self, error: Any, message: Any) -> None:
        if error is not None:
            self._failed.append((message.value(), message.key(), message.headers() or ()))
            self._state.on_error(error)
