"""CSV files: a source that says where a bad cell is, and a sink that loses no bit of a number."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from streamrnn.connectors.base import Column, Columns, Positions, Read
from streamrnn.connectors.rows import FOREIGN, STANDARD, RowFile
from streamrnn.connectors.schema import HELP_TIME, find_schema
from streamrnn.connectors.text import BadCellError, numbers, printable, shown, times
from streamrnn.errors import DataError, SettingsError
from streamrnn.kernels.plan import NO_TIME
from streamrnn.records import Float64Array, Int64Array

__all__ = ["CsvSink", "CsvSource"]

BATCH_ROWS = 16_384  # rows of a batch: a tenth of a second of work, a few megabytes of text
_HELP_VALUE = "correct it, leave it empty where there is no value, or choose the columns with --values"


class CsvSource:
    r"""Records of one CSV file with a header: one series, each value column a channel.

    Parameters
    ----------
    path : str or Path
        ``"-"`` is stdin.
    time : str, optional
        Name of the time column; without it a column named like one, or the
        first that holds times; ``"none"`` where there is to be none.
    values : sequence of str, optional
        Names of the value columns; without it all named columns of numbers.
    batch_rows : int
        Most records of one poll; results do not depend on it.

    Attributes
    ----------
    title : str
        The file's base name, safe to show.
    schema : Schema
        What the columns mean.

    Raises
    ------
    DataError
        Where the file cannot be opened or read as CSV, or holds no numbers.
    SettingsError
        Where ``time`` or ``values`` name a column that it does not have.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "flow.csv"
    >>> _ = file.write_text("time,flow\n2022-03-20T11:00:00+01:00,100.59\n")
    >>> source = CsvSource(file)
    >>> batch = source.poll(0.0)
    >>> source.schema.channels, batch.values.tolist(), source.poll(0.0)
    (('flow',), [[100.59]], None)
    >>> source.close()
    """

    def __init__(
        self,
        path: str | Path,
        *,
        time: str | None = None,
        values: Sequence[str] | None = None,
        batch_rows: int = BATCH_ROWS,
    ) -> None:
        self._rows = RowFile(path)
        self._batch_rows = batch_rows
        self._offset = 0
        self._error: DataError | None = None
        self.title, header = self._rows.title, self._rows.header
        try:
            head = self._rows.head()
            if not head:
                raise self._rows.error or DataError(f"{self.title} has a header but no records")
            self._check_widths(head[:1])
            self.schema = find_schema(header, head, self.title, time=time, values=values)
        except BadCellError as bad:
            self.close()
            raise self._located(bad) from None
        except (DataError, SettingsError):
            self.close()
            raise

    @property
    def name(self) -> str:
        """Base name and fingerprint of the head, the first part of the records' ids."""
        return f"{self.title}-{self._rows.fingerprint}"

    def poll(self, timeout_s: float) -> Read | None:
        """The next records; None at the end. A file never makes one wait.

        Raises
        ------
        DataError
            Where a row cannot be read; all rows before it have been returned.
        """
        while self._error is None:
            rows = self._rows.take(self._batch_rows)
            if rows is None:
                self._error = self._rows.error
                break
            read = self._readable(rows)
            if len(read):
                self._offset += len(read)
                return read
        if self._error is not None:
            raise self._error
        return None

    def snapshot(self) -> Positions:
        """Number of the row to go on with; the first after the header is 0."""
        return {0: self._offset}

    def seek(self, positions: Positions) -> None:
        """Go on at a row; DataError where stdin would have to be read twice."""
        target = positions.get(0, 0)
        if target < self._offset:
            self._rows.rewind()
            self._offset, self._error = 0, None
        while self._offset < target:
            rows = self._rows.take(min(target - self._offset, self._batch_rows))
            if rows is None:
                raise DataError(f"{self.title} has {self._offset} rows; there is no row {target}")
            self._offset += len(rows)

    def commit(self, positions: Positions) -> None:
        """Nothing: a file keeps what was read from it."""

    def close(self) -> None:
        """Close the file; stdin stays open."""
        self._rows.close()

    def _located(self, bad: BadCellError) -> DataError:
        return DataError(f"{self.title}, line {self._rows.line(bad.index)}{bad}")

    def _readable(self, rows: list[list[str]]) -> Read:
        """Records of the rows before the first that cannot be read, whose error is kept."""
        while True:
            try:
                return self._records(rows)
            except BadCellError as bad:
                self._error = self._located(bad)
                rows = rows[: bad.index]

    def _records(self, rows: list[list[str]]) -> Read:
        self._check_widths(rows)
        n, schema = len(rows), self.schema
        cells = list(zip(*rows, strict=True)) if rows else [()] * len(schema.names)
        values = np.empty((n, len(schema.values)))
        for d, place in enumerate(schema.values):
            values[:, d] = self._column(place, cells[place])
        stamps = np.full(n, NO_TIME, np.int64)
        if schema.time is not None:
            stamps[:] = self._column(schema.time, cells[schema.time])
        return Read(
            series=np.zeros(n, np.int32),
            times=stamps,
            values=values,
            partitions=np.zeros(n, np.int32),
            offsets=np.arange(self._offset, self._offset + n, dtype=np.int64),
            columns=dict(zip(schema.names, cells, strict=True)),
        )

    def _check_widths(self, rows: list[list[str]]) -> None:
        width = len(self._rows.header)
        for i, row in enumerate(rows):
            if len(row) != width:
                more = len(row) > width
                help_ = "quote cells that hold commas" if more else "give missing cells their commas"
                raise BadCellError(i, f": the row has {len(row)} of {width} cells; {help_}")

    def _column(self, place: int, cells: Sequence[str]) -> Float64Array | Int64Array:
        read, help_ = (times, HELP_TIME) if place == self.schema.time else (numbers, _HELP_VALUE)
        try:
            return read(cells)
        except BadCellError as bad:
            column = shown(self.schema.names[place])
            raise BadCellError(bad.index, f", column {column}: {bad}; {help_}") from None


class CsvSink:
    """Writes rows to a CSV file with a header: floats so that they read back exactly.

    Missing numbers and None become empty cells. What was written stays if the
    run ends early.

    Parameters
    ----------
    path : str or Path
        ``"-"`` is stdout.

    Raises
    ------
    SettingsError
        Where the file cannot be opened for writing.
    OSError
        Where it cannot be written later: the disk is full, the reader of a pipe has gone.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        try:
            self._file = _standard_output() if self._path == STANDARD else _writable(path)
        except OSError as error:
            raise SettingsError(f"cannot write {printable(self._path)}: {error.strerror}") from None
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._columns: tuple[str, ...] | None = None

    def write(self, columns: Columns) -> None:
        """Append rows, given as columns of equal length; the first call writes the header."""
        with self._named():
            if self._columns is None:
                self._columns = tuple(columns)
                self._writer.writerow(self._columns)
            self._writer.writerows(zip(*(_cells(columns[name]) for name in self._columns), strict=True))

    def flush(self, timeout_s: float) -> None:
        """Hand all rows to the operating system."""
        with self._named():
            self._file.flush()

    def close(self) -> None:
        """Close the file; stdout stays open."""
        with self._named():
            self._file.close()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Errors of the operating system with the file's name."""
        try:
            yield
        except OSError as error:
            error.filename = self._path
            raise


class _Standard(io.TextIOWrapper):
    """Text over the bytes of stdout that leaves them open when it is closed."""

    def close(self) -> None:
        self.flush()


def _standard_output() -> IO[str]:
    return _Standard(sys.stdout.buffer, encoding="utf-8", errors=FOREIGN, newline="")


def _writable(path: str | Path) -> IO[str]:
    return Path(path).open("w", encoding="utf-8", errors=FOREIGN, newline="")


def _cells(column: Column) -> Sequence[Any]:
    """A column as the csv module writes it: Python floats (shortest exact form), None for NaN."""
    if not isinstance(column, np.ndarray):
        return column
    cells: list[Any] = column.tolist()
    if column.dtype.kind == "f" and np.isnan(column).any():
        return [None if cell != cell else cell for cell in cells]
    return cells
