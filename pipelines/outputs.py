"""Outputs of a daemon: which rows leave, and how far each output got."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streamrnn.columns import output_columns
from streamrnn.connectors.base import Column, Read, joined
from streamrnn.errors import RetriableError
from streamrnn.records import Results
from streamrnn.settings import Settings

__all__ = ["MarkedSink", "Output", "Selection", "close_quietly"]

_LOG = logging.getLogger("streamrnn.daemon")


class MarkedSink(Protocol):
    """A sink that knows how far it is."""

    def write(self, columns: dict[str, Column]) -> None:
        """Take rows."""

    def sync(self) -> Any:
        """Make everything safe that was written; a mark to go on from, of types that JSON knows."""

    def close(self) -> None:
        """Give back what was opened; may be called twice."""


class Selection:
    """Which records an output wants.

    Parameters
    ----------
    what : str
        ``"all"``, ``"anomalies"`` (detections and records of events) or
        ``"every:n"``: those whose offset is a multiple of n.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._every = int(what.removeprefix("every:")) if what.startswith("every:") else 0

    def rows(self, batch: Read, found: Results) -> NDArray[np.bool_]:
        """(n,) bool."""
        if self._every:
            return np.asarray(batch.offsets % self._every == 0)
        if self._what == "anomalies":
            return found.is_anomaly | (found.event_offset >= 0)
        return np.ones(len(batch), np.bool_)


class Output:
    """One output of a pipeline.

    Parameters
    ----------
    name : str
        By which its mark is kept.
    sink : MarkedSink
    selection : Selection
    """

    def __init__(self, name: str, sink: MarkedSink, selection: Selection) -> None:
        self.name, self._sink, self._selection = name, sink, selection

    def write(
        self,
        batch: Read,
        found: Results,
        fresh: NDArray[np.bool_],
        settings: Settings,
        partition_names: list[str],
    ) -> int:
        """Write those records that are wanted and were not written before a restart; how many."""
        rows = self._selection.rows(batch, found) & fresh
        n = int(rows.sum())
        if not n:
            return 0
        if n < len(batch):
            batch, found = batch.some(rows), some_results(found, rows)
        self._sink.write(joined(batch.columns, output_columns(found, batch, settings, partition_names)))
        return n

    def sync(self) -> Any:
        """Make everything safe; the sink's mark."""
        return self._sink.sync()

    def close(self) -> None:
        """Close the sink."""
        self._sink.close()


def some_results(found: Results, rows: NDArray[np.bool_]) -> Results:
    """The results where ``rows`` is true."""
    return replace(found, **{name: column[rows] for name, column in vars(found).items()})


class _Closing(Protocol):
    def close(self) -> None: ...


def close_quietly(output: _Closing) -> None:
    """Close an output; what it could not hand on is not committed, and comes again."""
    try:
        output.close()
    except RetriableError as error:
        _LOG.warning("%s", error)
