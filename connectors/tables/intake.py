"""Blocks of a table to batches of records, whatever the table's format."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.base import Column, Read
from streamrnn.connectors.rejects import Reject, Rejects
from streamrnn.connectors.tables.block import Block, as_text
from streamrnn.connectors.tables.column import label_word
from streamrnn.connectors.tables.schema import Schema
from streamrnn.connectors.text import is_missing, key_faults, numbers, shown, without_unit
from streamrnn.connectors.times.reader import TimeReader
from streamrnn.kernels.plan import NO_TIME
from streamrnn.records import Float64Array, Int64Array

__all__ = ["Intake"]

KEY_MARK = "/"  # between the parts of a key


class Intake:
    """Makes records of one table's blocks.

    Parameters
    ----------
    title : str
        What messages call the table.
    schema : Schema
    decimal : str
        Decimal mark of the table's text.
    tz : str or None
        Zone of times without an offset; None is UTC.
    missing : sequence of str
        Cells that mean "no value", beside the usual ones; numbers by their value.
    rejects : Rejects

    Attributes
    ----------
    keys : list of str
        Names of the series by their codes; the only series of a table without
        keys is called "".
    """

    def __init__(
        self,
        title: str,
        schema: Schema,
        *,
        decimal: str,
        tz: str | None,
        missing: Sequence[str],
        rejects: Rejects,
    ) -> None:
        self._title, self._schema, self._decimal, self._rejects = title, schema, decimal, rejects
        clock = schema.clock
        self._times = None if clock is None or clock.reading is None else TimeReader(clock.reading, tz)
        self._found: list[Reject] = []  # in the block at hand
        self._codes: dict[Any, int] = {}
        self._public = np.empty(0, np.int32)  # of each of those codes the one in ``keys``, -1: none yet
        self.keys: list[str] = [] if schema.key else [""]
        self._missing = {cell.strip() for cell in missing}
        # Options have a decimal point, whatever the table has; as in the table they may be written too.
        given = np.concatenate([numbers(list(missing), mark)[0] for mark in {".", decimal}])
        self._missing_numbers = given[~np.isnan(given)]

    def records(self, block: Block, first: int) -> Read:
        """The records of a block whose first row is row ``first`` of the table.

        Rows whose time cannot be read are rejected; a value that cannot be read
        is missing and reported.
        """
        n, schema = len(block.lines), self._schema
        self._found = [Reject(self._title, bad.line, "", bad.reason, bad.text) for bad in block.bad]
        series, nameless = self._series(block, n)
        times, timeless = self._read_times(block, series, n)
        rejected = {**nameless, **timeless}
        for row in nameless.keys() - timeless.keys():
            self._found.append(Reject(self._title, block.lines[row], "", *nameless[row]))
        values = np.empty((n, len(schema.values)))
        for d, place in enumerate(schema.values):
            values[:, d] = self._numbers(block, place, rejected)
        offsets = _offsets(block, first)
        if self._found:
            self._reject(block, first)
        labels = self._labels(block, n) if schema.label else None
        columns: dict[str, Column] = {
            name: cells.view("M8[ns]") if isinstance(cells, np.ndarray) and cells.dtype == np.int64 else cells
            for name, cells in zip(schema.names, block.columns, strict=True)
        }
        if rejected:
            kept = np.ones(n, np.bool_)
            kept[list(rejected)] = False
            columns = {name: _some(cells, kept) for name, cells in columns.items()}
            series, times, values, offsets = series[kept], times[kept], values[kept], offsets[kept]
            labels = None if labels is None else labels[kept]
        return Read(
            series=self._numbered(series),
            times=times,
            values=values,
            partitions=np.zeros(len(series), np.int32),
            offsets=offsets,
            columns=columns,
            labels=labels,
        )

    def skip(self, block: Block, first: int) -> int:
        """Take note of a block that was read before, its keys and times; the number of its records.

        Nothing is rejected again.
        """
        told, self._rejects = self._rejects, Rejects()
        try:
            return len(self.records(block, first))
        finally:
            self._rejects = told

    def _reject(self, block: Block, first: int) -> None:
        """Hand over what could not be read, in the order of the rows."""
        lines = np.sort([*block.lines, *(row.line for row in block.bad)])
        for reject in sorted(self._found, key=lambda reject: reject.line):
            self._rejects.add(replace(reject, offset=first + int(np.searchsorted(lines, reject.line))))

    def _series(self, block: Block, n: int) -> tuple[NDArray[np.int32], dict[int, tuple[str, str]]]:
        """(codes of the names that rows have, of those to be rejected too; why rows have none, and what)."""
        key = self._schema.key
        if not key:
            return np.zeros(n, np.int32), {}
        parts = [as_text(block.columns[place]) for place in key]
        names = parts[0] if len(parts) == 1 else [KEY_MARK.join(row) for row in zip(*parts, strict=True)]
        faults = key_faults(names, KEY_MARK * (len(parts) - 1))
        nameless = {row: (reason, shown(names[row])) for row, reason in faults.items()}
        if faults:  # what is no name takes no memory
            names = ["" if row in faults else name for row, name in enumerate(names)]
        codes = self._codes
        return np.array([codes.setdefault(name, len(codes)) for name in names], np.int32), nameless

    def _numbered(self, series: NDArray[np.int32]) -> NDArray[np.int32]:
        """The codes of ``keys``, which has only names of records."""
        if not self._schema.key:
            return series
        unseen = np.full(len(self._codes) - len(self._public), -1, np.int32)
        self._public = np.append(self._public, unseen)
        new, places = np.unique(series[self._public[series] < 0], return_index=True)
        if len(new):
            names = list(self._codes)
            for code in new[np.argsort(places)].tolist():
                self._public[code] = len(self.keys)
                self.keys.append(names[code])
        return self._public[series]

    def _read_times(
        self, block: Block, series: NDArray[np.int32], n: int
    ) -> tuple[Int64Array, dict[int, str]]:
        clock = self._schema.clock
        if clock is None:
            return np.full(n, NO_TIME, np.int64), {}
        cells = [block.columns[place] for place in clock.places]
        if self._times is None:
            return np.asarray(cells[0], np.int64), {}
        text = [as_text(column) for column in cells]
        times, bad = self._times.read(text, series)
        name = ", ".join(map(repr, self._schema.named(clock.places)))
        for place, reason in bad.items():
            row = " ".join(column[place] for column in text)
            self._found.append(Reject(self._title, block.lines[place], "", f"column {name}: {reason}", row))
        return times, bad

    def _numbers(self, block: Block, place: int, rejected: Container[int]) -> Float64Array:
        cells = block.columns[place]
        if isinstance(cells, np.ndarray):
            values = np.asarray(cells, np.float64)
        else:
            unit = self._schema.units.get(place)
            values, bad = numbers(without_unit(cells, unit) if unit else cells, self._decimal)
            for row, reason in bad.items():
                if row not in rejected and cells[row].strip() not in self._missing:
                    name = self._schema.names[place]
                    self._found.append(
                        Reject(
                            self._title, block.lines[row], name, f"{reason}; it counts as missing", cells[row]
                        )
                    )
        if len(self._missing_numbers):
            values = np.where(np.isin(values, self._missing_numbers), np.nan, values)
        return values

    def _labels(self, block: Block, n: int) -> NDArray[np.bool_]:
        cells = block.columns[self._schema.label[0]]
        meanings = self._schema.meanings
        if isinstance(cells, np.ndarray) or not meanings:
            found = cells if isinstance(cells, np.ndarray) else numbers(cells, self._decimal)[0]
            marks: NDArray[np.bool_] = ~np.isnan(found) & (found != self._schema.normal)
            return marks
        # What is not known as normal is a kind of anomaly that the sample did not have.
        said = (meanings.get(label_word(cell), True) and not is_missing(cell) for cell in cells)
        return np.fromiter(said, np.bool_, n)


def _some(cells: Column, kept: NDArray[np.bool_]) -> Column:
    if isinstance(cells, np.ndarray):
        return cells[kept]
    return [cell for cell, keep in zip(cells, kept.tolist(), strict=True) if keep]


def _offsets(block: Block, first: int) -> Int64Array:
    """Numbers of a block's rows, those that are none counted too."""
    offsets = np.arange(first, first + len(block.lines), dtype=np.int64)
    if block.bad:
        offsets += np.searchsorted([row.line for row in block.bad], np.asarray(block.lines))
    return offsets
