"""Messages of confluent-kafka as columns.

Each column is made at once, in C: a line of Python for each message would cost
as much as all the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message
from numpy.typing import NDArray

from streamrnn.connectors.kafka_clients.base import PartitionCodes, offsets_of, times_of
from streamrnn.connectors.messages import Messages

__all__ = ["messages_of"]


def messages_of(good: list[Any], topics: Sequence[str], codes: PartitionCodes) -> Messages:
    """Messages, none of them an error, of the topics that are subscribed."""
    partitions = _partitions(good, topics, codes)
    starts = np.flatnonzero(np.diff(partitions, prepend=np.int32(-1)))
    counts = np.diff(starts, append=len(good))
    return Messages(
        values=list(map(Message.value, good)),
        keys=lambda: list(map(Message.key, good)),
        times=lambda: times_of(_milliseconds(good)),
        partitions=partitions,
        offsets=offsets_of(
            [good[i].offset() for i in starts.tolist()],
            [good[i].offset() for i in (starts + counts - 1).tolist()],
            counts,
            lambda: (message.offset() for message in good),
        ),
        partition_names=codes.names,
    )


def _partitions(good: list[Any], topics: Sequence[str], codes: PartitionCodes) -> NDArray[np.int32]:
    """Each message's partition by its code; of one topic nobody need be asked for it."""
    numbers: Iterator[Any] = map(Message.partition, good)
    if len(topics) > 1:
        places: Iterator[Any] = zip(map(Message.topic, good), numbers, strict=True)
        return np.fromiter(map(codes.__getitem__, places), np.int32, len(good))
    column = np.fromiter(numbers, np.int32, len(good))
    counts = np.bincount(column)
    met = np.flatnonzero(counts)
    code_of = np.empty(len(counts), np.int32)
    code_of[met] = [codes[topics[0], number] for number in met.tolist()]
    return code_of[column]


def _milliseconds(messages: Sequence[Any]) -> NDArray[np.int64]:
    """The messages' own times; -1 where there is none."""
    stamps = chain.from_iterable(map(Message.timestamp, messages))
    kinds, milliseconds = np.fromiter(stamps, np.int64, 2 * len(messages)).reshape(-1, 2).T
    return np.where(kinds == TIMESTAMP_NOT_AVAILABLE, -1, milliseconds)
