"""JSON lines as a sink: one object per row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from streamrnn.connectors.base import Column, Columns
from streamrnn.connectors.output import OutputFile, stamps, valid_text

__all__ = ["JsonlSink", "objects_of"]


class JsonlSink:
    r"""Writes rows to a file of JSON lines: each row an object, always valid UTF-8.

    Numbers are numbers (floats read back exactly), text is a string, None and
    NaN are ``null``. So are infinities, which JSON does not know. Bytes that
    are not UTF-8 become U+FFFD. What was written stays if the run ends early.

    Parameters
    ----------
    path : str or Path
        ``"-"`` is stdout; ``.gz`` at the end compresses.
    keep : int, optional
        Go on behind so many bytes of the file that is there; without it, begin anew.

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

    def __init__(self, path: str | Path, *, keep: int | None = None) -> None:
        self._file = OutputFile(path, keep=keep)

    def write(self, columns: Columns) -> None:
        """Append rows, given as columns of equal length."""
        objects = objects_of(columns)
        if objects:
            self._file.write(b"\n".join([*objects, b""]))

    def flush(self, timeout_s: float) -> None:
        """Hand all rows to the operating system."""
        self._file.flush()

    def sync(self) -> int:
        """Have all rows on the disk; the length of the file."""
        return self._file.sync()

    def close(self) -> None:
        """Close the file; stdout stays open."""
        self._file.close()


def objects_of(columns: Columns) -> list[bytes]:
    """Each row as a JSON object, as ``JsonlSink`` writes it.

    Examples
    --------
    >>> objects_of({"site": ["north"], "flow": np.array([0.1])})
    [b'{"site":"north","flow":0.1}']
    """
    names, rows = list(columns), list(zip(*map(_cells, columns.values()), strict=True))
    try:
        return _objects(names, rows)
    except TypeError:  # a surrogate somewhere
        return _objects(list(map(valid_text, names)), ([_valid(cell) for cell in row] for row in rows))


def _objects(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[bytes]:
    from orjson import dumps

    return [dumps(dict(zip(names, row, strict=True))) for row in rows]


def _cells(column: Column) -> Sequence[Any]:
    if isinstance(column, np.ndarray) and column.dtype.kind == "M":
        return stamps(column)
    if isinstance(column, np.ndarray):
        cells: list[Any] = column.tolist()
        return cells
    return column


def _valid(cell: Any) -> Any:
    return valid_text(cell) if isinstance(cell, str) else cell
