"""What every source and sink offers, and how rows travel between them.

A source yields batches of records together with the rows as they were read, so
that a sink can repeat them unchanged before the columns that were found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streamrnn.records import Batch

__all__ = ["STANDARD", "Positions", "Read", "Sink", "Source", "joined", "nothing", "together"]

STANDARD = "-"
"""The path that means stdin or stdout."""

Positions = dict[str, int]
"""Of each partition, by its name, the offset to go on from: one after the last record polled."""

Column = Sequence[Any] | NDArray[Any]
Columns = Mapping[str, Column]


@dataclass(frozen=True)
class Read(Batch):
    """A batch and the rows that it was read from.

    Attributes
    ----------
    columns : mapping of str to sequence
        Every column as it was read, text unchanged; as long as the batch.
    labels : (n,) bool or None
        Which records are known anomalies; None where nobody says.
    """

    columns: Columns
    labels: NDArray[np.bool_] | None = None

    def some(self, rows: slice | NDArray[np.bool_] | NDArray[np.int64]) -> Read:
        """Some of the records: a slice of them, those where a mask is true, or by their places."""
        places = np.arange(len(self))[rows]
        return Read(
            series=self.series[rows],
            times=self.times[rows],
            values=self.values[rows],
            partitions=self.partitions[rows],
            offsets=self.offsets[rows],
            columns={
                name: cells[rows] if isinstance(cells, np.ndarray) else [cells[i] for i in places.tolist()]
                for name, cells in self.columns.items()
            },
            labels=None if self.labels is None else self.labels[rows],
        )


class Source(Protocol):
    """Where records come from."""

    @property
    def partition_names(self) -> Sequence[str]:
        """What the ids of a partition's records start with, by its code; never a path."""

    @property
    def keys(self) -> Sequence[str]:
        """Names of the series by their codes; grows as records of new ones are polled."""

    def poll(self, timeout_s: float) -> Read | None:
        """The next records, an empty batch where none came in time, None at the end for good.

        Raises
        ------
        DataError
            Where nothing more can be read; all before it have been returned.
        """

    def snapshot(self) -> Positions:
        """Where to go on after what was polled."""

    def seek(self, positions: Positions) -> None:
        """Go on from a snapshot."""

    def commit(self, positions: Positions) -> None:
        """Say that everything before these positions is dealt with."""

    def close(self) -> None:
        """Give back what was opened; may be called twice."""


class Sink(Protocol):
    """Where rows go."""

    def write(self, columns: Columns) -> None:
        """Take rows, as columns of equal length in the order in which to write them."""

    def flush(self, timeout_s: float) -> None:
        """Hand on all that was written."""

    def close(self) -> None:
        """Flush and give back what was opened; may be called twice."""


def nothing(channels: int) -> Read:
    """A read without records, where none came in time."""
    whole, small = np.empty(0, np.int64), np.empty(0, np.int32)
    return Read(
        series=small,
        times=whole,
        values=np.empty((0, channels)),
        partitions=small,
        offsets=whole,
        columns={},
    )


def together(reads: Sequence[Read]) -> Read:
    """Reads of one source, at least one, as one; columns that some of them lack are None there."""
    names = dict.fromkeys(name for read in reads for name in read.columns)
    marks = [np.zeros(len(read), np.bool_) if read.labels is None else read.labels for read in reads]
    return Read(
        series=np.concatenate([read.series for read in reads]),
        times=np.concatenate([read.times for read in reads]),
        values=np.concatenate([read.values for read in reads]),
        partitions=np.concatenate([read.partitions for read in reads]),
        offsets=np.concatenate([read.offsets for read in reads]),
        columns={
            name: _one_column([read.columns.get(name, [None] * len(read)) for read in reads])
            for name in names
        },
        labels=np.concatenate(marks) if any(read.labels is not None for read in reads) else None,
    )


def _one_column(parts: list[Column]) -> Column:
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    return np.concatenate(arrays) if len(arrays) == len(parts) else [cell for part in parts for cell in part]


def joined(read: Columns, found: Columns) -> dict[str, Column]:
    """The columns as read, then those found; a read column of a found one's name moves aside.

    Examples
    --------
    >>> joined({"time": ["8:00"], "status": ["ok"]}, {"status": ["warming"]})
    {'time': ['8:00'], 'input.status': ['ok'], 'status': ['warming']}
    """
    rows: dict[str, Column] = {}
    for name, column in read.items():
        free = name
        while free in found or (free != name and free in read):
            free = f"input.{free}"
        rows[free] = column
    return {**rows, **found}
