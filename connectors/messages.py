"""Messages as a broker hands them over, and what a decoder makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.base import Read
from streamrnn.records import Int64Array

__all__ = ["DeadLetter", "DeadLetters", "Decoded", "Decoder", "Messages", "of_partitions"]


Keys = list[bytes | None]


class Messages:
    """Messages of any partitions, those of each in its order.

    Parameters
    ----------
    values, keys : list of bytes or None
        None where the message has none.
    times : (n,) int64
        The message's own time, ns UTC; ``NO_TIME`` where the broker has none. Like
        ``keys`` also a callable that finds them, where few will ask: each costs as
        much as decoding a message.
    partitions : (n,) int32
        Codes into ``partition_names``.
    offsets : (n,) int64
    partition_names : sequence of str
        Names by code, as in ``"flow-3"``; it may grow later.

    Examples
    --------
    >>> code, offset = np.array([0], np.int32), np.array([41])
    >>> messages = Messages([b"2.6"], [None], np.array([0]), code, offset, ["flow-3"])
    >>> len(messages), messages.partition_names[messages.partitions[0]]
    (1, 'flow-3')
    """

    def __init__(
        self,
        values: list[bytes | None],
        keys: Keys | Callable[[], Keys],
        times: Int64Array | Callable[[], Int64Array],
        partitions: NDArray[np.int32],
        offsets: Int64Array,
        partition_names: Sequence[str] = (),
    ) -> None:
        self.values, self._keys, self._times = values, keys, times
        self.partitions, self.offsets, self.partition_names = partitions, offsets, partition_names

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def keys(self) -> Keys:
        """The messages' keys."""
        return self._keys() if callable(self._keys) else self._keys

    @cached_property
    def times(self) -> Int64Array:
        """The messages' own times."""
        return self._times() if callable(self._times) else self._times


def of_partitions(messages: Messages) -> Iterator[tuple[str, Messages]]:
    """The messages of each partition by its name; those of one have the only code 0.

    Examples
    --------
    >>> codes = np.array([0, 1, 0], np.int32)
    >>> offsets, names = np.array([7, 4, 8]), ["a-0", "a-1"]
    >>> messages = Messages([b"1", b"2", b"3"], [None] * 3, np.zeros(3), codes, offsets, names)
    >>> [(name, some.values, some.offsets.tolist()) for name, some in of_partitions(messages)]
    [('a-0', [b'1', b'3'], [7, 8]), ('a-1', [b'2'], [4])]
    """
    for code in np.unique(messages.partitions).tolist():
        rows = np.flatnonzero(messages.partitions == code)
        yield messages.partition_names[code], _some(messages, rows, messages.partition_names[code])


def _some(messages: Messages, rows: Int64Array, name: str) -> Messages:
    places = rows.tolist()
    return Messages(
        [messages.values[place] for place in places],
        lambda: [messages.keys[place] for place in places],
        lambda: messages.times[rows],
        np.zeros(len(rows), np.int32),
        messages.offsets[rows],
        [name],
    )


@dataclass(frozen=True)
class DeadLetter:
    """A message that is no record.

    Attributes
    ----------
    partition : str
        Name of the partition it came from.
    offset : int
    reason : str
    value, key : bytes or None
        As they came.
    """

    partition: str
    offset: int
    reason: str
    value: bytes | None
    key: bytes | None


@dataclass(frozen=True)
class Decoded:
    """What messages hold: each is either a record or a dead letter."""

    read: Read
    dead: list[DeadLetter]


class Decoder(Protocol):
    """Makes records of messages."""

    @property
    def keys(self) -> Sequence[str]:
        """Names of the series by their codes; grows."""

    def decode(self, messages: Messages) -> Decoded:
        """Records and dead letters of messages, of none at all too."""


class DeadLetters(Protocol):
    """Where messages go that are no records."""

    def write(self, dead: Sequence[DeadLetter]) -> None:
        """Take dead letters."""

    def flush(self, timeout_s: float) -> None:
        """Hand on all that was written."""

    def close(self) -> None:
        """Flush and give back what was opened; may be called twice."""
