"""Topics as outputs: rows as JSON messages, one or many in each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from streamrnn.connectors.base import Column
from streamrnn.connectors.dead_letters import KafkaDeadLetters
from streamrnn.connectors.jsonl import objects_of
from streamrnn.connectors.kafka_sink import Topic
from streamrnn.connectors.messages import DeadLetter

__all__ = ["MarkedLetters", "TopicLetters", "TopicSink"]

_FLUSH_S = 5.0


class MarkedLetters(Protocol):
    """Where dead letters go, and how far it got."""

    def write(self, dead: Sequence[DeadLetter]) -> None:
        """Take dead letters, all or none."""

    def sync(self) -> Any:
        """Make everything safe; a mark to go on from, of types that JSON knows."""

    def close(self) -> None:
        """Give back what was opened; may be called twice."""


class TopicSink:
    """Rows as messages: each an object, or a list of ``pack`` objects.

    A row alone has the name of the partition it came from as its key, so that
    rows of one partition stay in order.

    Parameters
    ----------
    sink : KafkaSink or another Topic
    pack : int
    """

    def __init__(self, sink: Topic, pack: int) -> None:
        self._sink, self._pack = sink, pack

    def write(self, columns: dict[str, Column]) -> None:
        """Take rows, all or none; raises as ``KafkaSink.write_messages``."""
        objects = objects_of(columns)
        if self._pack == 1:
            keys = [str(name).rpartition("-")[0].encode() for name in columns["record_id"]]
            self._sink.write_messages(objects, keys)
            return
        parts = [objects[i : i + self._pack] for i in range(0, len(objects), self._pack)]
        self._sink.write_messages([b"[%b]" % b",".join(part) for part in parts], [None] * len(parts))

    def sync(self) -> None:
        """Wait until everything is acknowledged; raises as ``KafkaSink.flush``."""
        self._sink.flush(_FLUSH_S)

    def close(self) -> None:
        """Disconnect; what is not acknowledged is not committed either, and comes again."""
        self._sink.close()


class TopicLetters:
    """Dead letters to a topic.

    Parameters
    ----------
    letters : KafkaDeadLetters
    """

    def __init__(self, letters: KafkaDeadLetters) -> None:
        self._letters = letters

    def write(self, dead: Sequence[DeadLetter]) -> None:
        """Take dead letters, all or none; raises as ``KafkaSink.write_messages``."""
        self._letters.write(dead)

    def sync(self) -> None:
        """Wait until all are acknowledged; raises as ``KafkaSink.flush``."""
        self._letters.flush(_FLUSH_S)

    def close(self) -> None:
        """Disconnect."""
        self._letters.close()
