"""Kafka through kafka-python: the default client.

Facts of kafka-python 3.0 that shape this file: its constructors block; its
rebalance listeners run on its own IO thread, where nothing may block or commit;
an answer that arrives together with the end of the connection is dropped, so
that a refused login looks like a broker that hangs up; a constructor that fails
leaves its network client open.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any

import numpy as np
from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka import errors as kafka_errors

from streamrnn.connectors.kafka_clients import probe, words
from streamrnn.connectors.kafka_clients.base import (
    FETCH_WAIT_MS,
    AssignmentChange,
    CommitResult,
    Leaving,
    Outgoing,
    Partition,
    PartitionCodes,
    offsets_of,
    times_of,
)
from streamrnn.connectors.kafka_clients.options import KafkaOptions
from streamrnn.connectors.messages import Messages
from streamrnn.errors import RetriableError

__all__ = ["open_consumer", "open_producer"]

_LOGIN = (kafka_errors.SaslAuthenticationFailedError, kafka_errors.UnsupportedSaslMechanismError)
_RIGHTS = (
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.GroupAuthorizationFailedError,
    kafka_errors.ClusterAuthorizationFailedError,
)
_WRONG = (
    kafka_errors.KafkaConfigurationError,
    kafka_errors.IncompatibleBrokerVersion,
    kafka_errors.InvalidGroupIdError,
    kafka_errors.InvalidSessionTimeoutError,
    kafka_errors.InconsistentGroupProtocolError,
    kafka_errors.InvalidTopicError,
)
_FOR_EVER_MS = 2**31 - 1  # 24 days
_TOPIC_CHECK_S = 0.5
_FORCED_CLOSE_S = 1.0


def open_consumer(options: KafkaOptions, leaving: Leaving | None = None) -> KafkaPythonConsumer:
    """Connect and subscribe."""
    if leaving is not None:
        raise words.no_groups()
    probe.check_certificates(options)
    with _opening(options) as client:
        consumer = KafkaConsumer(
            **_common(options),
            kafka_client=client,
            group_id=options.group,
            enable_auto_commit=False,
            auto_offset_reset="none",  # where a partition starts is ours to say
            allow_auto_create_topics=False,
            session_timeout_ms=round(options.session_timeout_s * 1000),
            heartbeat_interval_ms=round(options.session_timeout_s * 250),
            max_poll_interval_ms=round(options.max_poll_interval_s * 1000),
            max_poll_records=options.max_messages,
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )
    try:
        with _translated(options):
            for topic in options.topics:
                _wait_for(topic, consumer.partitions_for_topic, options)
        return KafkaPythonConsumer(consumer, options)
    except BaseException:
        consumer.close(autocommit=False, timeout_ms=1000)
        raise


def open_producer(options: KafkaOptions, topic: str) -> KafkaPythonProducer:
    """Connect."""
    probe.check_certificates(options)
    with _opening(options) as client:
        producer = KafkaProducer(
            **_common(options),
            kafka_client=client,
            acks="all",
            enable_idempotence=True,
            # The client tries for ever: what it has taken it must not drop.
            delivery_timeout_ms=_FOR_EVER_MS,
            max_block_ms=round(_TOPIC_CHECK_S * 1000),
            max_request_size=options.max_message_bytes,
            allow_auto_create_topics=False,
            linger_ms=5,
            batch_size=64 * 1024,
        )
    try:
        with _translated(options):
            _wait_for(topic, producer.partitions_for, options)
        return KafkaPythonProducer(producer, topic, options)
    except BaseException:
        _close_producer(producer, 0.1)
        raise


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Holds new partitions and notes what happens; runs on the client's IO thread."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self.changes: deque[AssignmentChange] = deque()
        self.between = False  # two assignments

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self.between = False
        for partition in assigned:
            # Any position keeps the client from looking for one; paused, nothing is read from it.
            self._consumer.seek(partition, 0)
        self._consumer.pause(*assigned)
        self.changes.append(AssignmentChange("assigned", _plain(assigned)))

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self.between = True
        self.changes.append(AssignmentChange("revoked", _plain(revoked)))

    def on_partitions_lost(self, lost: set[TopicPartition]) -> None:
        self.between = True
        self.changes.append(AssignmentChange("lost", _plain(lost)))


class KafkaPythonConsumer:
    """A subscribed ``KafkaConsumer``."""

    def __init__(self, consumer: Any, options: KafkaOptions) -> None:
        self._consumer = consumer
        self._options = options
        self._commits: deque[CommitResult] = deque()
        self._listener = _Listener(consumer)
        consumer.subscribe(list(options.topics), listener=self._listener)

    def poll(self, timeout_s: float, max_messages: int, codes: PartitionCodes) -> Messages:
        if self._listener.between:
            # A join that outlasts a poll is forgotten where new metadata had begun it, and nothing would be
            # read ever again (kafka-python 3.0.12); there is no public way to ask for it.
            self._consumer._coordinator.request_rejoin()
        try:
            with _translated(self._options):
                polled = self._consumer.poll(max(timeout_s, 0.0) * 1000, max_records=max_messages)
        except _OutOfRangeError as gone:
            self._listener.changes.append(AssignmentChange("out of range", gone.partitions))
            polled = {}
        return _messages(polled, codes)

    def take_changes(self) -> list[AssignmentChange]:
        changes = self._listener.changes
        return [changes.popleft() for _ in range(len(changes))]

    def start(self, offsets: Mapping[Partition, int]) -> None:
        try:
            for partition, offset in offsets.items():
                self._consumer.seek(TopicPartition(*partition), offset)
            self._consumer.resume(*(TopicPartition(*partition) for partition in offsets))
        except (ValueError, KeyError) as error:  # taken from us at this moment
            raise RetriableError(f"the group is changing: {error}") from None

    def committed(self, partitions: Sequence[Partition], timeout_s: float) -> dict[Partition, int]:
        deadline = time.monotonic() + timeout_s
        found = {}
        with _translated(self._options):
            for partition in partitions:
                left_ms = max(0.0, deadline - time.monotonic()) * 1000
                offset = self._consumer.committed(TopicPartition(*partition), timeout_ms=left_ms)
                if offset is not None:
                    found[partition] = offset
        return found

    def bounds(self, partitions: Sequence[Partition], timeout_s: float) -> dict[Partition, tuple[int, int]]:
        wanted = [TopicPartition(*partition) for partition in partitions]
        deadline = time.monotonic() + timeout_s
        with _translated(self._options):
            first = self._consumer.beginning_offsets(wanted, timeout_ms=timeout_s * 1000)
            left_ms = max(0.0, deadline - time.monotonic()) * 1000
            end = self._consumer.end_offsets(wanted, timeout_ms=left_ms)
        return {partition: (first[tp], end[tp]) for partition, tp in zip(partitions, wanted, strict=True)}

    def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        found = {}
        for partition in partitions:
            with suppress(AssertionError, AttributeError):  # taken from us at this moment
                found[partition] = self._consumer.highwater(TopicPartition(*partition))
        return {partition: end for partition, end in found.items() if end is not None}

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        sent = dict(offsets)

        def note(_: object, answer: object) -> None:  # runs in a later poll
            self._commits.append((sent, str(answer) if isinstance(answer, Exception) else None))

        with _translated(self._options):
            self._consumer.commit_async(_with_metadata(offsets), callback=note)

    def take_commits(self) -> list[CommitResult]:
        return [self._commits.popleft() for _ in range(len(self._commits))]

    def commit_now(self, offsets: Mapping[Partition, int], timeout_s: float) -> None:
        with _translated(self._options):
            self._consumer.commit(_with_metadata(offsets), timeout_ms=timeout_s * 1000)

    def close(self, timeout_s: float) -> None:
        with _translated(self._options):
            self._consumer.close(autocommit=False, timeout_ms=timeout_s * 1000)


class KafkaPythonProducer:
    """A ``KafkaProducer`` and what of its futures is open."""

    def __init__(self, producer: Any, topic: str, options: KafkaOptions) -> None:
        self._producer = producer
        self._topic = topic
        self._options = options
        self._open: list[tuple[Any, Outgoing]] = []
        self._failed: list[Outgoing] = []

    def send(self, message: Outgoing) -> bool:
        value, key, headers = message
        try:
            with _translated(self._options):
                future = self._producer.send(self._topic, value, key, list(headers))
        except RetriableError:  # no metadata of the topic for the moment
            return False
        self._open.append((future, message))
        return True

    def flush(self, timeout_s: float) -> int:
        with suppress(kafka_errors.KafkaTimeoutError):
            self._producer.flush(timeout_s)
        still_open = []
        for future, message in self._open:
            if not future.is_done:
                still_open.append((future, message))
            elif future.failed():
                self._failed.append(message)
                self._judge(future.exception)
        self._open = still_open
        return len(still_open)

    def take_failed(self) -> list[Outgoing]:
        failed, self._failed = self._failed, []
        return failed

    def close(self, timeout_s: float) -> None:
        _close_producer(self._producer, timeout_s)

    def _judge(self, error: Exception) -> None:
        """Raise what sending again can't mend."""
        with suppress(RetriableError), _translated(self._options):
            raise error


class _OutOfRangeError(Exception):
    """The broker no longer has what lies at our position."""

    def __init__(self, partitions: tuple[Partition, ...]) -> None:
        self.partitions = partitions


def _messages(polled: Mapping[TopicPartition, list[Any]], codes: PartitionCodes) -> Messages:
    chunks = list(polled.values())
    records = list(chain.from_iterable(chunks))
    counts = list(map(len, chunks))
    return Messages(
        values=[record.value for record in records],
        keys=lambda: [record.key for record in records],
        times=lambda: times_of([record.timestamp for record in records]),
        partitions=np.repeat(np.array([codes[tuple(tp)] for tp in polled], np.int32), counts),
        offsets=offsets_of(
            [chunk[0].offset for chunk in chunks],
            [chunk[-1].offset for chunk in chunks],
            counts,
            lambda: (record.offset for record in records),
        ),
        partition_names=codes.names,
    )


def _with_metadata(offsets: Mapping[Partition, int]) -> dict[TopicPartition, OffsetAndMetadata]:
    return {TopicPartition(*partition): OffsetAndMetadata(offset) for partition, offset in offsets.items()}


def _plain(partitions: set[TopicPartition]) -> tuple[Partition, ...]:
    return tuple((tp.topic, tp.partition) for tp in sorted(partitions))


def _common(options: KafkaOptions) -> dict[str, Any]:
    """Settings of consumer and producer alike."""
    security = options.security
    return {
        "bootstrap_servers": list(options.brokers),
        "bootstrap_timeout_ms": round(options.connect_timeout_s * 1000),
        "request_timeout_ms": round(max(options.session_timeout_s, 1.0) * 1000),
        "retry_backoff_ms": round(options.backoff_s * 1000),
        "reconnect_backoff_ms": round(options.backoff_s * 1000),
        "reconnect_backoff_max_ms": round(options.max_backoff_s * 1000),
        "security_protocol": security.protocol,
        "ssl_cafile": security.ca_file,
        "ssl_certfile": security.cert_file,
        "ssl_keyfile": security.key_file,
        "ssl_password": security.key_password,
        "ssl_check_hostname": security.check_hostname,
        "sasl_mechanism": security.mechanism if security.sasl else None,
        "sasl_plain_username": security.username,
        "sasl_plain_password": security.password,
    }


@contextmanager
def _translated(options: KafkaOptions) -> Iterator[None]:
    """The client's errors as ours; what is not known to be fatal may pass."""
    try:
        yield
    except kafka_errors.OffsetOutOfRangeError as error:
        raise _OutOfRangeError(_plain(set(error.args[0]))) from None
    except kafka_errors.LogTruncationError as error:
        raise _OutOfRangeError(_plain(set(error.divergent_offsets))) from None
    except _LOGIN:
        raise words.login_refused(options) from None
    except _RIGHTS as error:
        raise words.not_allowed(options, error) from None
    except kafka_errors.MessageSizeTooLargeError:
        raise words.too_large(options) from None
    except _WRONG as error:
        raise words.wrong(options, error) from None
    except (kafka_errors.KafkaError, OSError) as error:
        raise RetriableError(f"{options.title}: {error}") from None


@contextmanager
def _opening(options: KafkaOptions) -> Iterator[Callable[..., Any]]:
    """A constructor's errors as ours, with a refused login told from brokers that are away.

    Gives what makes the constructor's network client, which is closed where the constructor fails.
    """
    clients: list[Any] = []

    def client(**settings: Any) -> Any:
        clients.append(KafkaConsumer.DEFAULT_CONFIG["kafka_client"](**settings))
        return clients[-1]

    log = logging.getLogger("kafka")
    # It says each failed attempt, for hours, and at DEBUG passwords; we say once that brokers are away.
    log.setLevel(logging.CRITICAL if log.level == logging.NOTSET else max(log.level, logging.INFO))
    try:
        with _translated(options):
            yield client
    except BaseException as error:
        for made in clients:
            made.close()
        if not isinstance(error, RetriableError):
            raise
        states = [probe.state_of(broker, options) for broker in options.brokers]
        if options.security.sasl and probe.ANSWERS in states:
            raise words.login_refused(options) from None
        raise RetriableError(f"cannot connect to Kafka: {probe.unreachable(options)}") from error


def _wait_for(topic: str, partitions: Callable[[str], Any], options: KafkaOptions) -> None:
    """Give a topic time to come into being, for as long as a broker is there to know it."""
    deadline = time.monotonic() + options.patience_s
    while True:
        with suppress(kafka_errors.KafkaTimeoutError, kafka_errors.UnknownTopicOrPartitionError):
            if partitions(topic):
                return
        if all(probe.state_of(broker, options) != probe.ANSWERS for broker in options.brokers):
            raise RetriableError(f"{options.title} does not answer")
        if time.monotonic() >= deadline:
            raise words.topic_unknown(options, topic)
        time.sleep(_TOPIC_CHECK_S)


def _close_producer(producer: Any, timeout_s: float) -> None:
    with suppress(kafka_errors.KafkaError):
        try:
            producer.flush(timeout_s)
        except kafka_errors.KafkaTimeoutError:
            # Public ways to close would try on, and raise when the producer is collected.
            producer._sender.force_close()
        producer.close(_FORCED_CLOSE_S)
