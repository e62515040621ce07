"""Kafka through confluent-kafka: an optional extra, several times cheaper a message.

Facts of confluent-kafka 2 that shape this file: ``consume(n, t)`` waits all of
``t`` where fewer than ``n`` messages come; some calls (a synchronous commit,
``close``) take no time-out, so they run beside; errors of connections reach a
callback only.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from streamrnn.connectors.kafka_clients import probe, words
from streamrnn.connectors.kafka_clients.background import Background
from streamrnn.connectors.kafka_clients.base import (
    AssignmentChange,
    CommitResult,
    Outgoing,
    Partition,
    PartitionCodes,
)
from streamrnn.connectors.kafka_clients.confluent_messages import messages_of
from streamrnn.connectors.kafka_clients.options import KafkaOptions
from streamrnn.connectors.messages import Messages
from streamrnn.errors import FatalConnectorError, RetriableError

__all__ = ["open_consumer", "open_producer"]

_LOGIN = {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED}
_RIGHTS = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
_WRONG = {
    KafkaError._INVALID_ARG,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
    KafkaError.INVALID_GROUP_ID,
    KafkaError.INVALID_SESSION_TIMEOUT,
    KafkaError.INCONSISTENT_GROUP_PROTOCOL,
    KafkaError.TOPIC_EXCEPTION,
}
_OUT_OF_RANGE = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}
_UNKNOWN_TOPIC = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}
_TOPIC_CHECK_S = 0.5


def open_consumer(options: KafkaOptions) -> ConfluentConsumer:
    """Connect and subscribe."""
    probe.check_certificates(options)
    state = _State(options)
    with _translated(options):
        consumer = confluent_kafka.Consumer(
            {
                **_common(options, state),
                "group.id": options.group,
                "enable.auto.commit": False,
                "on_commit": state.on_commit,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",  # where a partition starts is ours to say
                "allow.auto.create.topics": False,
                "session.timeout.ms": round(options.session_timeout_s * 1000),
                "heartbeat.interval.ms": round(options.session_timeout_s * 250),
                "max.poll.interval.ms": round(options.max_poll_interval_s * 1000),
                "queued.max.messages.kbytes": 32 * 1024,
            }
        )
    try:
        for topic in options.topics:
            _wait_for(topic, consumer, lambda: consumer.poll(0), state)
        return ConfluentConsumer(consumer, state)
    except BaseException:
        Background(consumer.close)
        raise


def open_producer(options: KafkaOptions, topic: str) -> ConfluentProducer:
    """Connect."""
    probe.check_certificates(options)
    state = _State(options)
    with _translated(options):
        producer = confluent_kafka.Producer(
            {
                **_common(options, state),
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
    _wait_for(topic, producer, lambda: producer.poll(0), state)
    return ConfluentProducer(producer, topic, state)


class _State:
    """What the client's callbacks say of its connections."""

    def __init__(self, options: KafkaOptions) -> None:
        self.options = options
        self.fatal: FatalConnectorError | None = None
        self.last = "no broker answers"
        self.commits: deque[CommitResult] = deque()

    def on_error(self, error: Any) -> None:
        try:
            _raise(error, self.options)
        except FatalConnectorError as fatal:
            self.fatal = fatal
        except RetriableError as retriable:
            self.last = str(retriable)

    def on_commit(self, error: Any, partitions: list[Any]) -> None:
        sent = {(tp.topic, tp.partition): tp.offset for tp in partitions}
        why = error or next((tp.error for tp in partitions if tp.error is not None), None)
        self.commits.append((sent, None if why is None else why.str()))

    def check(self) -> None:
        """Raise what a callback could not."""
        if self.fatal is not None:
            raise self.fatal


class ConfluentConsumer:
    """A subscribed ``confluent_kafka.Consumer``."""

    def __init__(self, consumer: Any, state: _State) -> None:
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
        with _translated(self._options):
            first = self._consumer.poll(max(timeout_s, 0.0))
        got = [] if first is None else [first]
        if got:
            with suppress(RetriableError), _translated(self._options):  # it must not cost the first one
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
        with _translated(self._options):
            self._consumer.assign(_listed(offsets))

    def committed(self, partitions: Sequence[Partition], timeout_s: float) -> dict[Partition, int]:
        with _translated(self._options):
            found = self._consumer.committed([TopicPartition(*tp) for tp in partitions], timeout_s)
        _check_all(found, self._options)
        return {(tp.topic, tp.partition): tp.offset for tp in found if tp.offset >= 0}

    def bounds(self, partitions: Sequence[Partition], timeout_s: float) -> dict[Partition, tuple[int, int]]:
        deadline = time.monotonic() + timeout_s
        found = {}
        with _translated(self._options):
            for partition in partitions:
                left = max(0.0, deadline - time.monotonic())
                found[partition] = self._consumer.get_watermark_offsets(TopicPartition(*partition), left)
        return found

    def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        found = {}
        with suppress(RetriableError), _translated(self._options):
            for partition in partitions:
                known = self._consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)
                if known is not None and known[1] >= 0:
                    found[partition] = known[1]
        return found

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        with _translated(self._options):
            self._consumer.commit(offsets=_listed(offsets), asynchronous=True)

    def take_commits(self) -> list[CommitResult]:
        commits = self._state.commits
        return [commits.popleft() for _ in range(len(commits))]

    def commit_now(self, offsets: Mapping[Partition, int], timeout_s: float) -> None:
        # Beside a poll this would deadlock where the group is lost; nobody polls any more.
        committing = Background(lambda: self._consumer.commit(offsets=_listed(offsets), asynchronous=False))
        if not committing.wait(timeout_s):
            raise RetriableError(f"{self._options.title}: no answer to a commit in {timeout_s:.1f} s")
        with _translated(self._options):
            _check_all(committing.result(), self._options)

    def close(self, timeout_s: float) -> None:
        closing = Background(self._consumer.close)
        if closing.wait(timeout_s):
            with _translated(self._options):
                closing.result()

    def _assigned(self, consumer: Any, partitions: list[Any]) -> None:
        consumer.assign([])  # to nothing for now, so that nothing is read before ``start``
        self._changes.append(AssignmentChange("assigned", _plain(partitions)))

    def _taken(self, kind: Any) -> Callable[[Any, list[Any]], None]:
        def note(consumer: Any, partitions: list[Any]) -> None:
            self._changes.append(AssignmentChange(kind, _plain(partitions)))

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


class ConfluentProducer:
    """A ``confluent_kafka.Producer`` and what it gave up."""

    def __init__(self, producer: Any, topic: str, state: _State) -> None:
        self._producer = producer
        self._topic = topic
        self._state = state
        self._failed: list[Outgoing] = []

    def send(self, message: Outgoing) -> bool:
        value, key, headers = message
        try:
            with _translated(self._state.options):
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


def _listed(offsets: Mapping[Partition, int]) -> list[Any]:
    return [TopicPartition(*partition, offset) for partition, offset in offsets.items()]


def _plain(partitions: list[Any]) -> tuple[Partition, ...]:
    return tuple(sorted((tp.topic, tp.partition) for tp in partitions))


def _common(options: KafkaOptions, state: _State) -> dict[str, Any]:
    """Settings of consumer and producer alike."""
    security = options.security
    settings = {
        "bootstrap.servers": ",".join(options.brokers),
        "socket.timeout.ms": round(max(options.session_timeout_s, 1.0) * 1000),
        "socket.connection.setup.timeout.ms": round(max(options.connect_timeout_s, 1.0) * 1000),
        "retry.backoff.ms": max(1, round(options.backoff_s * 1000)),
        "reconnect.backoff.ms": round(options.backoff_s * 1000),
        "reconnect.backoff.max.ms": round(options.max_backoff_s * 1000),
        "security.protocol": security.protocol,
        "ssl.ca.location": security.ca_file,
        "ssl.certificate.location": security.cert_file,
        "ssl.key.location": security.key_file,
        "ssl.key.password": security.key_password,
        "ssl.endpoint.identification.algorithm": "https" if security.check_hostname else "none",
        "sasl.mechanism": security.mechanism if security.sasl else None,
        "sasl.username": security.username,
        "sasl.password": security.password,
        "error_cb": state.on_error,
        "logger": _quiet(),
    }
    return {name: value for name, value in settings.items() if value is not None}


def _quiet() -> logging.Logger:
    """A logger for the client, which says each failed attempt; we say once that brokers are away."""
    log = logging.getLogger("streamrnn.librdkafka")
    if log.level == logging.NOTSET:
        log.setLevel(logging.CRITICAL)
    return log


@contextmanager
def _translated(options: KafkaOptions) -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        _raise(error.args[0], options)
    except RuntimeError as error:  # the client is closed
        raise RetriableError(f"{options.title}: {error}") from None


def _raise(error: Any, options: KafkaOptions) -> None:
    """Raise an error of the client as ours; what is not known to be fatal may pass."""
    code = error.code()
    if code in _LOGIN:
        raise words.login_refused(options) from None
    if code in _RIGHTS:
        raise words.not_allowed(options, error.name()) from None
    if code == KafkaError.MSG_SIZE_TOO_LARGE:
        raise words.too_large(options) from None
    if code in _WRONG:
        raise words.wrong(options, error.str()) from None
    raise RetriableError(f"{options.title}: {error.str()}") from None


def _check_all(partitions: Sequence[Any], options: KafkaOptions) -> None:
    for partition in partitions or ():
        if partition.error is not None:
            _raise(partition.error, options)


def _wait_for(topic: str, client: Any, serve: Callable[[], object], state: _State) -> None:
    """Give brokers time to answer, and a topic time to come into being."""
    options = state.options
    heard = unknown_since = time.monotonic()
    while True:
        known = _metadata_of(topic, client, state)
        serve()
        state.check()
        now = time.monotonic()
        if known is None:
            unknown_since = now  # nobody has said so yet
            if now - heard > options.connect_timeout_s:
                raise RetriableError(f"cannot connect to Kafka: {probe.unreachable(options)} ({state.last})")
        else:
            heard = now
            if known.error is None:
                return
            if known.error.code() not in _UNKNOWN_TOPIC:
                _raise(known.error, options)
            if now - unknown_since > options.patience_s:
                raise words.topic_unknown(options, topic)
        time.sleep(_TOPIC_CHECK_S / 5)


def _metadata_of(topic: str, client: Any, state: _State) -> Any:
    """What a broker says of a topic; None where none answers."""
    try:
        with _translated(state.options):
            return client.list_topics(topic, _TOPIC_CHECK_S).topics[topic]
    except RetriableError as error:
        state.last = str(error)
        return None
