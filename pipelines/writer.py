"""Rows of a run to its output: the columns as they were read, then what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from streamrnn.columns import long_columns, output_columns, repeated
from streamrnn.connectors.base import Column, Read, Sink, joined
from streamrnn.connectors.csv_sink import CsvSink
from streamrnn.records import Results
from streamrnn.settings import Settings

__all__ = ["Writer"]

_FLUSH_S = 10.0


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
        self._closed = False

    def add(self, batch: Read, found: Results) -> None:
        """Write the next records."""
        if not self._missing:
            arrays = {n: c for n, c in batch.columns.items() if isinstance(c, np.ndarray)}
            self._missing = {name: np.array("nan", cells.dtype) for name, cells in arrays.items()}
        self._sink.write(self._columns(batch, found))

    def add_forecast(self, batch: Read, ahead: Results) -> None:
        """Write rows that say what is to come; they are no records, and their status says so."""
        n = len(batch)
        typed = {
            name: np.full(n, self._missing[name]) if name in self._missing and not any(cells) else cells
            for name, cells in batch.columns.items()
        }
        columns = self._columns(replace(batch, columns=typed), ahead)
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

    def _columns(self, batch: Read, found: Results) -> dict[str, Column]:
        settings, read = self._settings, dict(batch.columns)
        if len(self._ahead) < found.ahead.shape[2]:
            found = replace(found, ahead=found.ahead[:, :, self._ahead])
        if self._long:
            others = {name: cells for name, cells in read.items() if name not in settings.channels}
            long = long_columns(found, batch, settings, self._names)
            return joined(repeated(others, len(settings.channels)), long)
        if self._typed:
            read |= {name: batch.values[:, d] for d, name in enumerate(settings.channels)}
        return joined(read, output_columns(found, batch, settings, self._names))
