"""What is said of Kafka errors that trying again does not mend, the same for either client."""

from __future__ import annotations

from streamrnn.connectors.kafka_clients.options import KafkaOptions
from streamrnn.errors import FatalConnectorError, FencedError, SettingsError

__all__ = [
    "fenced",
    "login_refused",
    "no_groups",
    "not_allowed",
    "too_large",
    "topic_unknown",
    "writer_fenced",
    "wrong",
]


def login_refused(options: KafkaOptions) -> FatalConnectorError:
    """The name or the password is wrong."""
    security = options.security
    return FatalConnectorError(
        f"{options.title} refuses the login of {security.username!r} ({security.mechanism}, "
        f"{security.protocol}); check username, password, mechanism and protocol"
    )


def not_allowed(options: KafkaOptions, what: object) -> FatalConnectorError:
    """Rights are missing."""
    return FatalConnectorError(
        f"{options.title} does not allow it ({what}); a source needs the right to read its topics "
        f"and its group {options.group!r}, a sink the right to write to its topic"
    )


def topic_unknown(options: KafkaOptions, topic: str) -> FatalConnectorError:
    """A topic is not there."""
    return FatalConnectorError(
        f"topic {topic!r} is unknown at {options.title} after {options.patience_s:g} s; "
        "create it, or correct its name"
    )


def too_large(options: KafkaOptions) -> FatalConnectorError:
    """A message is over a bound."""
    return FatalConnectorError(
        f"a message is too large (max_message_bytes is {options.max_message_bytes}); "
        "pack fewer scores into one, or raise the bound here and max.message.bytes of the topic"
    )


def wrong(options: KafkaOptions, what: object) -> FatalConnectorError:
    """The settings and the brokers don't go together."""
    return FatalConnectorError(
        f"{options.title} cannot be used so: {what}; check the settings of the source and the sinks"
    )


def fenced(options: KafkaOptions) -> FatalConnectorError:
    """Another member has our name."""
    return FatalConnectorError(
        f"another member of group {options.group!r} calls itself {options.instance!r} and has taken this "
        "one's place; give each daemon a group_instance of its own"
    )


def writer_fenced(options: KafkaOptions, name: str, open_s: float) -> FencedError:
    """Another writes under our name, or we stood still for too long."""
    return FencedError(
        f"{options.title} takes no more from {name!r}: another daemon of group {options.group!r} has begun, "
        f"or this one stood still for longer than {open_s:.0f} s with a transaction open. What it had not "
        "committed is undone, and scored again by whoever goes on; run one daemon for each group, or several "
        "with checkpoint.topic"
    )


def no_groups() -> SettingsError:
    """The client cannot hold a partition until it is handed over."""
    return SettingsError(
        "daemons that share a group hand partitions over with client 'confluent' only "
        "(pip install 'streamrnn[confluent]')"
    )
