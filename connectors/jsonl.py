"""JSON lines as a sink: one object per row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from streamrnn.connectors.base import Column, Columns
from streamrnn.connectors.output import OutputFile, valid_text

__all__ = ["JsonlSink"]


class JsonlSink:
    r"""Writes rows to a file of JSON lines: each row an object, always valid UTF-8.

    Numbers are numbers (floats read back exactly), text is a string, None and
    NaN are ``null``. So are infinities, which JSON does not know. Bytes that
    are not UTF-8 become U+FFFD. What was written stays if the run ends early.

    Parameters
    ----------
    path : str or Path
        ``"-"`` is stdout; ``.gz`` at the end compresses.

    Raises
    ------
    SettingsError
        Where the file cannot be opened for writing.
    OSError
        Where it cannot be written later: the disk is full, the reader of a pipe has gone.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "scored.jsonl"
    >>> sink = JsonlSink(file)
    >>> sink.write({"site": ["north", "\x1b[31m"], "flow": np.array([100.59, np.nan])})
    >>> sink.close()
    >>> print(file.read_text(), end="")
    {"site":"north","flow":100.59}
    {"site":"\u001b[31m","flow":null}
    """

    def __init__(self, path: str | Path) -> None:
        self._file = OutputFile(path)

    def write(self, columns: Columns) -> None:
        """Append rows, given as columns of equal length."""
        names, rows = list(columns), list(zip(*map(_cells, columns.values()), strict=True))
        try:
            data = _lines(names, rows)
        except TypeError:  # a surrogate somewhere
            data = _lines(list(map(valid_text, names)), ([_valid(cell) for cell in row] for row in rows))
        self._file.write(data)

    def flush(self, timeout_s: float) -> None:
        """Hand all rows to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Close the file; stdout stays open."""
        self._file.close()


def _lines(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    from orjson import OPT_APPEND_NEWLINE, dumps

    return b"".join([dumps(dict(zip(names, row, strict=True)), option=OPT_APPEND_NEWLINE) for row in rows])


def _cells(column: Column) -> Sequence[Any]:
    if isinstance(column, np.ndarray):
        cells: list[Any] = column.tolist()
        return cells
    return column


def _valid(cell: Any) -> Any:
    return valid_text(cell) if isinstance(cell, str) else cell
