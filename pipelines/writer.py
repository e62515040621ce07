"""Rows of a run to its output: the columns as they were read, then what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.columns import long_columns, output_columns, repeated
from streamrnn.connectors.base import Column, Read, Sink, joined
from streamrnn.connectors.csv_sink import CsvSink
from streamrnn.records import Results
from streamrnn.settings import Settings

__all__ = ["Beside", "Writer"]

Beside = Mapping[str, NDArray[Any]]

_FLUSH_S = 10.0
_NOTHING = {"f": "nan", "m": "NaT", "M": "NaT"}  # of kinds of columns


class Writer:
    """Writes every record with its results; a watcher of a replay.

    Parameters
    ----------
    sink : Sink
    settings : Settings
    shown : Settings
        The same with those of its horizons that are to be written.
    partition_names : sequence of str
        What the ids of a partition's records start with.
    long : bool
        One row for each channel of a record.
    """

    def __init__(
        self, sink: Sink, settings: Settings, shown: Settings, partition_names: Sequence[str], *, long: bool
    ) -> None:
        self._sink, self._settings, self._names = sink, shown, partition_names
        self._long, self._typed = long, not isinstance(sink, CsvSink)
        self._ahead = [settings.horizons.index(horizon) - 1 for horizon in shown.horizons[1:]]
        self._missing: dict[str, Any] = {}
        self._beside: Beside = {}
        self._closed = False

    def add(self, batch: Read, found: Results, beside: Beside | None = None) -> None:
        """Write the next records; ``beside`` are more columns, (n,) or of every channel (n, channels)."""
        self._beside = {name: column[:0] for name, column in (beside or {}).items()}
        if not self._missing:
            self._missing = {
                name: np.array(_NOTHING[cells.dtype.kind], cells.dtype)
                for name, cells in batch.columns.items()
                if isinstance(cells, np.ndarray) and cells.dtype.kind in _NOTHING
            }
        self._sink.write(self._columns(batch, found, beside or {}))

    def add_forecast(self, batch: Read, ahead: Results) -> None:
        """Write rows that say what is to come; they are no records, and their status says so."""
        n = len(batch)
        typed = {
            name: np.full(n, self._missing[name]) if name in self._missing and not any(cells) else cells
            for name, cells in batch.columns.items()
        }
        nothing = {name: _nothing(n, column) for name, column in self._beside.items()}
        columns = self._columns(replace(batch, columns=typed), ahead, nothing)
        rows = len(columns["status"])
        said = {"status": "forecast", "record_id": None}
        self._sink.write(columns | {name: np.full(rows, text, object) for name, text in said.items()})

    def close(self) -> None:
        """Hand everything on and close the output; may be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            self._sink.flush(_FLUSH_S)
        finally:
            self._sink.close()

    def _named(self, beside: Beside) -> dict[str, NDArray[Any]]:
        """More columns as rows have them: of every channel with its name in front, or one below the other."""
        channels, found = self._settings.channels, dict[str, NDArray[Any]]()
        for name, column in beside.items():
            if self._long:
                found[name] = column.ravel() if column.ndim == 2 else column.repeat(len(channels))
            elif column.ndim == 2:
                several = len(channels) > 1
                found |= {f"{c}.{name}" if several else name: column[:, d] for d, c in enumerate(channels)}
            else:
                found[name] = column
        return found

    def _columns(self, batch: Read, found: Results, beside: Beside) -> dict[str, Column]:
        settings, read = self._settings, dict(batch.columns)
        if len(self._ahead) < found.ahead.shape[2]:
            found = replace(found, ahead=found.ahead[:, :, self._ahead])
        if self._long:
            others = {name: cells for name, cells in read.items() if name not in settings.channels}
            long = long_columns(found, batch, settings, self._names)
            return joined(repeated(others, len(settings.channels)), long | self._named(beside))
        if self._typed:
            read |= {name: batch.values[:, d] for d, name in enumerate(settings.channels)}
        return joined(read, output_columns(found, batch, settings, self._names) | self._named(beside))


def _nothing(n: int, like: NDArray[Any]) -> NDArray[Any]:
    """So many rows of a column in which nothing is said."""
    shape = (n, *like.shape[1:])
    return np.zeros(shape, np.bool_) if like.dtype == np.bool_ else np.full(shape, np.nan)
