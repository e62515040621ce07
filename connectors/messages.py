"""Messages as a broker hands them over, and what a decoder makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.base import Read
from streamrnn.records import Int64Array

__all__ = ["DeadLetter", "DeadLetters", "Decoded", "Decoder", "Messages"]


@dataclass(frozen=True)
class Messages:
    """Messages of any partitions, those of each in its order.

    Attributes
    ----------
    values, keys : list of bytes or None
        None where the message has none.
    times : (n,) int64
        The message's own time, ns UTC; ``NO_TIME`` where the broker has none.
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

    values: list[bytes | None]
    keys: list[bytes | None]
    times: Int64Array
    partitions: NDArray[np.int32]
    offsets: Int64Array
    partition_names: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.values)


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
