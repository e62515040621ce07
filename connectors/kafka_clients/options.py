"""What a Kafka source or sink can be told."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from streamrnn.errors import SettingsError

__all__ = ["KafkaOptions", "KafkaSecurity"]

Protocols = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanisms = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
Clients = Literal["kafka-python", "confluent"]
Starts = Literal["earliest", "latest"]


def _is_address(broker: str) -> bool:
    host, _, port = broker.rpartition(":")
    return bool(host) and port.isdecimal()


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise SettingsError(f"{name} is {value!r}; give one of {', '.join(known)}")


@dataclass(frozen=True, kw_only=True)
class KafkaSecurity:
    """How to reach the brokers: TLS and SASL. No representation shows a password.

    Attributes
    ----------
    protocol : str
        ``"PLAINTEXT"``, ``"SSL"``, ``"SASL_PLAINTEXT"`` or ``"SASL_SSL"``.
    ca_file, cert_file, key_file : str or None
        PEM files: who signed the brokers' certificates (the system's own where
        None), and a certificate and key of ours where the brokers want one.
    key_password : str or None
    check_hostname : bool
        Whether the broker's certificate must carry its name.
    mechanism : str
        ``"PLAIN"``, ``"SCRAM-SHA-256"`` or ``"SCRAM-SHA-512"``.
    username, password : str or None

    Raises
    ------
    SettingsError

    Examples
    --------
    >>> security = KafkaSecurity(protocol="SASL_SSL", username="sensor", password="secret")
    >>> security.sasl, security.tls, "secret" in repr(security)
    (True, True, False)
    """

    protocol: Protocols = "PLAINTEXT"
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    key_password: str | None = field(default=None, repr=False)
    check_hostname: bool = True
    mechanism: Mechanisms = "PLAIN"
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        _one_of("security protocol", self.protocol, get_args(Protocols))
        _one_of("security mechanism", self.mechanism, get_args(Mechanisms))
        if self.sasl and (self.username is None or self.password is None):
            raise SettingsError(f"security protocol {self.protocol} needs a username and a password")

    @property
    def sasl(self) -> bool:
        """Whether a name and a password are asked for."""
        return self.protocol.startswith("SASL")

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.protocol.endswith("SSL")


@dataclass(frozen=True, kw_only=True)
class KafkaOptions:
    """How to reach Kafka, what to read, and how patient to be.

    Attributes
    ----------
    brokers : tuple of str
        ``host:port`` of one or more.
    topics : tuple of str
        What a source reads; a sink needs none.
    group : str
        The consumer group that offsets are committed to.
    instance : str or None
        The name of this member, where the group is to know it again after a restart:
        until the session time-out its partitions wait for it.
    client : str
        ``"kafka-python"``, or ``"confluent"`` where that extra is installed.
    security : KafkaSecurity
    start : str
        Where a partition begins that has neither a position nor a committed
        offset: ``"earliest"`` or ``"latest"``.
    session_timeout_s : float
        After so long without a heartbeat the group gives our partitions away.
    max_poll_interval_s : float
        The same after so long without a poll.
    connect_timeout_s : float
        How long one attempt to connect may take.
    patience_s : float
        How long a topic may be unknown, or a position lie beyond the end,
        before that counts as an error for good.
    lost_after_s : float
        After so long without an answer the brokers are said to be lost.
    backoff_s, max_backoff_s : float
        First and longest pause between attempts; doubles, with jitter.
    max_messages : int
        How many messages one poll returns at most.
    buffer_bytes : int
        How much a sink holds that is not yet acknowledged.
    max_message_bytes : int
        The largest message that a sink may send; brokers have a bound too.

    Raises
    ------
    SettingsError

    Examples
    --------
    >>> options = KafkaOptions(brokers=("localhost:9092",), topics=("flow",))
    >>> options.group, options.start
    ('streamrnn', 'earliest')
    """

    brokers: tuple[str, ...]
    topics: tuple[str, ...] = ()
    group: str = "streamrnn"
    instance: str | None = None
    client: Clients = "kafka-python"
    security: KafkaSecurity = KafkaSecurity()
    start: Starts = "earliest"
    session_timeout_s: float = 10.0
    max_poll_interval_s: float = 300.0
    connect_timeout_s: float = 10.0
    patience_s: float = 30.0
    lost_after_s: float = 3.0
    backoff_s: float = 0.1
    max_backoff_s: float = 5.0
    max_messages: int = 5000
    buffer_bytes: int = 32 * 2**20
    max_message_bytes: int = 1_000_000

    def __post_init__(self) -> None:
        _one_of("client", self.client, get_args(Clients))
        _one_of("start", self.start, get_args(Starts))
        if not self.brokers or not all(_is_address(broker) for broker in self.brokers):
            raise SettingsError(f"brokers is {list(self.brokers)}; give at least one host:port")
        if not self.group:
            raise SettingsError("group is empty; give the consumer group a name")
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, (int, float)) and not value > 0:
                raise SettingsError(f"{item.name} is {value}; give a number above 0")

    @property
    def title(self) -> str:
        """The brokers, as messages name them."""
        return ", ".join(self.brokers)
