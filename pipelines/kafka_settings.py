"""``[source] kind = "kafka"`` of a pipeline file."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from streamrnn.pipelines.durations import Duration
from streamrnn.pipelines.secrets import Secret
from streamrnn.pipelines.table import Table

__all__ = ["KafkaSecurityTable", "KafkaSourceTable", "Names"]

Names = str | list[str]


class KafkaSecurityTable(Table, frozen=True):
    """``[source.security]``: how to reach brokers that ask who is there."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    ca_file: Annotated[str | None, Meta(description="PEM; the system's own where left out")] = None
    cert_file: Annotated[str | None, Meta(description="PEM, where brokers want a certificate of ours")] = None
    key_file: Annotated[str | None, Meta(description="PEM, its key")] = None
    key_password: Annotated[Secret | None, Meta(description="a secret")] = None
    check_hostname: Annotated[bool, Meta(description="whether certificates must carry the broker's name")] = (
        True
    )
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    username: str | None = None
    password: Annotated[Secret | None, Meta(description="a secret")] = None


class KafkaSourceTable(Table, tag_field="kind", tag="kafka", frozen=True):
    """``[source] kind = "kafka"``: topics, read as a member of a consumer group."""

    brokers: Annotated[Names, Meta(description="host:port, one or several")]
    topics: Annotated[Names, Meta(description="one or several")]
    group: Annotated[str, Meta(min_length=1, description="the consumer group that offsets are committed to")]
    client: Annotated[Literal["kafka-python", "confluent"], Meta(description="the library that reads")] = (
        "kafka-python"
    )
    start: Annotated[
        Literal["earliest", "latest"], Meta(description="where to begin what was never read")
    ] = "earliest"
    group_instance: Annotated[
        str | None,
        Meta(
            description="a name of this daemon in the group: after a restart within session_timeout its "
            "partitions are still its own",
        ),
    ] = None
    session_timeout: Annotated[
        Duration, Meta(description="after so long without a sign of it the group gives its partitions away")
    ] = "10s"
    moved: Annotated[
        Literal["anew", "stop"],
        Meta(
            description="with checkpoint.topic: what becomes of a key that comes in another partition than "
            "before, or of a topic that has another number of partitions: the key begins anew there, "
            "or the daemon stops"
        ),
    ] = "anew"
    security: KafkaSecurityTable = KafkaSecurityTable()
