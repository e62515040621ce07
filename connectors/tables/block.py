"""Tables as blocks of columns: what a file format has to offer so that records can be made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.options import RecordOptions
from streamrnn.connectors.tables.rows import BadRow
from streamrnn.connectors.tables.schema import Sample

__all__ = ["Block", "Cells", "Table", "as_text"]

Cells = Sequence[str] | NDArray[Any]
"""A column: text as it was written, or float64 numbers, or int64 times (ns UTC)."""


@dataclass(frozen=True)
class Block:
    """Consecutive rows of a table.

    Attributes
    ----------
    columns : list of Cells
        In the order of the names, equally long.
    lines : sequence of int
        Where each row stands in its file, counted from 1.
    bad : list of BadRow
        Rows that are none, between those that are.
    """

    columns: list[Cells]
    lines: Sequence[int]
    bad: list[BadRow] = field(default_factory=list)


def as_text(cells: Cells) -> Sequence[str]:
    """A column as text that says its numbers exactly; empty where there is none.

    Examples
    --------
    >>> as_text(np.array([1706565600.0, 0.1, np.nan]))
    ['1706565600', '0.1', '']
    """
    if not isinstance(cells, np.ndarray):
        return cells
    return [
        "" if cell != cell else str(int(cell)) if cell % 1 == 0 else repr(cell) for cell in cells.tolist()
    ]


class Table(Protocol):
    """A file of rows and columns."""

    title: str
    fingerprint: str
    options: RecordOptions
    decimal: str

    @property
    def share_read(self) -> float | None:
        """How much of the file is read, 0 to 1; None where its size is not known."""

    def sample(self) -> Sample:
        """Rows that stand for all of it."""

    def describe(self) -> str:
        """How it is written, for people."""

    def read(self, count: int) -> Block | None:
        """The next rows, about ``count``; None at the end."""

    def pinned(self, options: RecordOptions) -> RecordOptions:
        """The options together with how the table is written."""

    def rewind(self) -> None:
        """Start again; DataError where it can be read but once."""

    def close(self) -> None:
        """Give back what was opened; may be called twice."""
