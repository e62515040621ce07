"""The seam between a source or sink and the Kafka client that does the talking.

Everything a client raises is a ``RetriableError`` or a ``FatalConnectorError``
by the time it leaves here; nobody else knows a client's own errors.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Literal, Protocol, cast

import numpy as np

from streamrnn.connectors.kafka_clients.options import KafkaOptions
from streamrnn.connectors.messages import Messages
from streamrnn.errors import SettingsError
from streamrnn.kernels.plan import NO_TIME
from streamrnn.records import Int64Array

__all__ = [
    "FETCH_WAIT_MS",
    "AssignmentChange",
    "CommitResult",
    "Consumer",
    "Entry",
    "Headers",
    "Leaving",
    "Log",
    "Outgoing",
    "Partition",
    "PartitionCodes",
    "Producer",
    "Transaction",
    "offsets_of",
    "open_consumer",
    "open_log",
    "open_producer",
    "open_transaction",
    "times_of",
]

Partition = tuple[str, int]
"""Topic and number."""

Headers = Sequence[tuple[str, bytes]]
Outgoing = tuple[bytes | None, bytes | None, Headers]
"""Value, key and headers of a message to send."""

Entry = tuple[bytes, bytes | None]
"""Key and value of a message in a log; without a value the key is forgotten."""

CommitResult = tuple[dict[Partition, int], str | None]
"""Offsets, and why they are not committed; None where they are."""

FETCH_WAIT_MS = 100
"""How long a broker holds a fetch for want of messages: a question of ours waits behind it, on the
same connection, and the clients' own half second outlasts the answer that we wait for."""

_MS = 1_000_000  # nanoseconds
_MODULES = {"kafka-python": "kafka_python", "confluent": "confluent"}


@dataclass(frozen=True)
class AssignmentChange:
    """The group gave us partitions, or took them away.

    Attributes
    ----------
    kind : str
        ``"assigned"``; ``"revoked"``: another member gets them next; ``"lost"``:
        another may have them already; ``"out of range"``: still ours, but the
        broker no longer has the records at our position.
    partitions : tuple of (topic, number)
    """

    kind: Literal["assigned", "revoked", "lost", "out of range"]
    partitions: tuple[Partition, ...]


Leaving = Callable[[AssignmentChange], None]
"""Hears of partitions that leave us."""


class PartitionCodes(dict[Partition, int]):
    """A code for each partition met, and their names by code.

    Examples
    --------
    >>> codes = PartitionCodes()
    >>> codes["flow", 3], codes["flow", 0], codes["flow", 3], codes.names
    (0, 1, 0, ['flow-3', 'flow-0'])
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __missing__(self, partition: Partition) -> int:
        self.names.append(f"{partition[0]}-{partition[1]}")
        self[partition] = code = len(self)
        return code


class Consumer(Protocol):
    """A member of the group, subscribed. Time-outs bound each call; used by one thread.

    New partitions stand still until ``start`` says where they begin.
    """

    def poll(self, timeout_s: float, max_messages: int, codes: PartitionCodes) -> Messages:
        """The next messages, none where none came in time."""

    def take_changes(self) -> list[AssignmentChange]:
        """What happened to our partitions since the last call, in order."""

    def start(self, offsets: Mapping[Partition, int]) -> None:
        """Read from these offsets on; names every partition that is ours."""

    def halt(self, partitions: Collection[Partition]) -> None:
        """Read no more of these until ``start``; of a client that moves single partitions."""

    def committed(self, partitions: Sequence[Partition], timeout_s: float) -> dict[Partition, int]:
        """The group's offsets of those partitions that have one."""

    def bounds(self, partitions: Sequence[Partition], timeout_s: float) -> dict[Partition, tuple[int, int]]:
        """The first offset that the broker still has, and one after the last."""

    def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """One after the last offset, of those partitions where a fetch has told; asks no broker."""

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Send offsets to the group; never blocks."""

    def take_commits(self) -> list[CommitResult]:
        """What became of the offsets sent since the last call."""

    def commit_now(self, offsets: Mapping[Partition, int], timeout_s: float) -> None:
        """Commit offsets to the group and wait until that is done."""

    def membership(self) -> object:
        """What the group knows us by, for a ``Transaction``; of a client that has such."""

    def close(self, timeout_s: float) -> None:
        """Leave the group."""


class Producer(Protocol):
    """Sends messages to one topic and tries until they are acknowledged. Used by one thread."""

    def send(self, message: Outgoing) -> bool:
        """Take a message; False where there is no room for it now."""

    def flush(self, timeout_s: float) -> int:
        """Wait until all is acknowledged or has failed; how many messages are neither."""

    def take_failed(self) -> list[Outgoing]:
        """Messages that the client has given up; to be sent again by a new one."""

    def close(self, timeout_s: float) -> None:
        """Give back what was opened; unsent messages are gone."""


class Log(Protocol):
    """A compacted topic as a store of values by their keys. Written by any thread, read by one."""

    def write(self, partition: int, entries: Iterable[Entry], timeout_s: float) -> None:
        """Append entries and wait until all are acknowledged.

        Raises
        ------
        RetriableError
            Where they are not in time; some of them may be there.
        FatalConnectorError
            Where trying again does not help.
        """

    def follow(self, partitions: Collection[int]) -> None:
        """Keep in memory what these partitions hold, and forget others."""

    def catch_up(self, timeout_s: float, partitions: Collection[int]) -> bool:
        """Read on; whether all that these held when this began is read now. Raises as ``write``."""

    def read_on(self, timeout_s: float = 0.0) -> bool:
        """Read some of what there is; whether there was any. Raises as ``write``."""

    def entries(self, partition: int) -> Mapping[bytes, bytes]:
        """What a partition held when it was last read."""

    def let_go(self, partition: int, keys: Iterable[bytes]) -> None:
        """Hold the values of these keys no more, but that they are there."""

    def partitions_of(self, topic: str, timeout_s: float) -> int:
        """How many partitions a topic has; raises as ``write``."""

    def close(self) -> None:
        """Disconnect."""


class Transaction(Protocol):
    """Messages and a group's offsets, committed together; one transaction after the other, in one thread.

    Once another of its name is open, all raise FencedError.
    """

    @property
    def full(self) -> bool:
        """Whether it should be committed before more is written."""

    def write(self, topic: str, messages: Sequence[Outgoing]) -> None:
        """Take messages, all or none; RetriableError where the transaction before is not ended yet."""

    def commit(
        self, offsets: Mapping[Partition, int], membership: Callable[[], object], timeout_s: float
    ) -> None:
        """Commit what was written and these offsets of the group that ``membership`` is of.

        Raises
        ------
        RetriableError
            Where it is not in time, or was aborted; what was written is kept for a next call.
        FatalConnectorError
            Where trying again does not help.
        """

    def committed(self, partitions: Sequence[Partition], timeout_s: float) -> dict[Partition, int]:
        """The group's offsets of those partitions that have one; raises RetriableError."""

    def close(self, timeout_s: float) -> None:
        """Abort what is not committed, and disconnect."""


def open_consumer(options: KafkaOptions, leaving: Leaving | None = None) -> Consumer:
    """Connect and subscribe; blocks for as long as the options' patience lasts.

    Parameters
    ----------
    options : KafkaOptions
    leaving : callable, optional
        Called within a poll of what is revoked, while it is still ours, and of what is
        lost. With it the group moves single partitions and lets all others go on.

    Raises
    ------
    RetriableError
        Where no broker answers.
    FatalConnectorError
        Where they refuse us, or don't know a topic.
    SettingsError
        Where the client is not installed, or cannot do that.
    """
    return cast(Consumer, _module(options).open_consumer(options, leaving))


def open_log(options: KafkaOptions, topic: str) -> Log:
    """Connect; blocks and raises as ``open_consumer``."""
    return cast(Log, _module(options).open_log(options, topic))


def open_producer(options: KafkaOptions, topic: str) -> Producer:
    """Connect; blocks and raises as ``open_consumer``."""
    return cast(Producer, _module(options).open_producer(options, topic))


def open_transaction(options: KafkaOptions, name: str, topics: Sequence[str]) -> Transaction:
    """Connect, end what an earlier one of that name had open, and fence it; as ``open_consumer``."""
    return cast(Transaction, _module(options).open_transaction(options, name, topics))


def times_of(milliseconds: Sequence[int] | Int64Array) -> Int64Array:
    """Times in ns of times in ms; those below 0 mean that there is none."""
    times = np.array(milliseconds, np.int64)
    return np.where(times < 0, NO_TIME, times * _MS)


def offsets_of(
    firsts: Sequence[int],
    lasts: Sequence[int],
    counts: Sequence[int] | Int64Array,
    each: Callable[[], Iterator[int]],
) -> Int64Array:
    """Offsets of messages in runs of one partition, where they rise.

    A run without holes is known by its ends; ``each`` asks every message, where
    transactions or compaction have left some.

    Examples
    --------
    >>> offsets_of([7, 0], [9, 0], [3, 1], lambda: iter(())).tolist()
    [7, 8, 9, 0]
    >>> offsets_of([7], [10], [3], lambda: iter([7, 8, 10])).tolist()
    [7, 8, 10]
    """
    first, count = np.array(firsts, np.int64), np.array(counts, np.int64)
    starts = np.cumsum(count) - count
    if (np.array(lasts, np.int64) - first + 1 != count).any():
        return np.fromiter(each(), np.int64)
    offsets: Int64Array = np.arange(count.sum()) + np.repeat(first - starts, count)
    return offsets


def _module(options: KafkaOptions) -> ModuleType:
    try:
        return import_module(f"streamrnn.connectors.kafka_clients.{_MODULES[options.client]}")
    except ImportError as error:
        raise SettingsError(
            f"client {options.client!r} is not installed ({error.name}); "
            "pip install 'streamrnn[confluent]', or use client 'kafka-python'"
        ) from None
