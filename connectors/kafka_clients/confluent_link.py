"""What a consumer and a producer of confluent-kafka share: settings, errors, waiting for a topic."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streamrnn.connectors.kafka_clients import probe, words
from streamrnn.connectors.kafka_clients.base import CommitResult, Partition
from streamrnn.connectors.kafka_clients.options import KafkaOptions
from streamrnn.errors import FatalConnectorError, RetriableError

__all__ = [
    "EARLIEST",
    "LATEST",
    "State",
    "check_all",
    "common",
    "offsets_at",
    "raise_ours",
    "translated",
    "wait_for",
]

LATEST, EARLIEST = -1, -2  # as the protocol has them

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
_UNKNOWN_TOPIC = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}
_TOPIC_CHECK_S = 0.5
_LONGEST_S = 300.0  # that the client waits for an answer


class State:
    """What the client's callbacks say of its connections.

    Parameters
    ----------
    options : KafkaOptions
    member : bool
        Whether of a member of a group, which nothing brings back once its name is another's.
    """

    def __init__(self, options: KafkaOptions, *, member: bool = False) -> None:
        self.options, self._member = options, member
        self.fatal: FatalConnectorError | None = None
        self.last = "no broker answers"
        self.commits: deque[CommitResult] = deque()

    def on_error(self, error: Any) -> None:
        if self._member and error.code() == KafkaError._FATAL:
            self.fatal = words.fenced(self.options)
            return
        try:
            raise_ours(error, self.options)
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


def common(options: KafkaOptions, state: State) -> dict[str, Any]:
    """Settings of consumer and producer alike."""
    security = options.security
    settings = {
        "bootstrap.servers": ",".join(options.brokers),
        "socket.timeout.ms": round(min(max(options.session_timeout_s, 1.0), _LONGEST_S) * 1000),
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
def translated(options: KafkaOptions) -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        raise_ours(error.args[0], options)
    except RuntimeError as error:  # the client is closed
        raise RetriableError(f"{options.title}: {error}") from None


def raise_ours(error: Any, options: KafkaOptions) -> None:
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


def check_all(partitions: Sequence[Any], options: KafkaOptions) -> None:
    for partition in partitions or ():
        if partition.error is not None:
            raise_ours(partition.error, options)


def offsets_at(
    end: int, partitions: Iterable[Partition], consumer: Any, timeout_s: float, options: KafkaOptions
) -> dict[Partition, int]:
    """The offsets of one ``end`` of these partitions.

    Asked for all at once: on the same connection a question waits behind a fetch.
    """
    asked = [TopicPartition(*partition, end) for partition in partitions]
    with translated(options):
        found = consumer.offsets_for_times(asked, timeout_s)
    check_all(found, options)
    return {(tp.topic, tp.partition): tp.offset for tp in found}


def wait_for(topic: str, client: Any, serve: Callable[[], object], state: State) -> None:
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
                raise_ours(known.error, options)
            if now - unknown_since > options.patience_s:
                raise words.topic_unknown(options, topic)
        time.sleep(_TOPIC_CHECK_S / 5)


def _metadata_of(topic: str, client: Any, state: State) -> Any:
    """What a broker says of a topic; None where none answers."""
    try:
        with translated(state.options):
            return client.list_topics(topic, _TOPIC_CHECK_S).topics[topic]
    except RetriableError as error:
        state.last = str(error)
        return None
