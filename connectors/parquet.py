"""Parquet files, to read and to write; needs pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from streamrnn.connectors.base import Column, Columns
from streamrnn.connectors.options import RecordOptions
from streamrnn.connectors.output import OutputFile, valid_text
from streamrnn.connectors.tables.block import Block, Cells, as_text
from streamrnn.connectors.tables.column import Column as ColumnSample
from streamrnn.connectors.tables.schema import Sample
from streamrnn.connectors.text import shown
from streamrnn.errors import DataError, SettingsError
from streamrnn.kernels.plan import NO_TIME
from streamrnn.records import Int64Array

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["ParquetSink", "ParquetTable"]

_SAMPLE_ROWS = 3000
_READ_ROWS = 16_384  # decoded at once
_EXACT = 2.0**53  # whole numbers from here on are not all float64; they are kept as text
_UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1000, "ns": 1}  # nanoseconds
# Rows of a group: readers skip and decode by groups, and one is held in memory (8 channels: 30 MB).
_GROUP_ROWS = 65_536


class ParquetSink:
    """Writes rows to a Parquet file, compressed with Zstandard.

    The first rows fix the columns' types: arrays of numbers or truth values
    keep theirs, all else is text, also where there is none yet. None and NaN
    in text are null; NaN and infinities in numbers stay. Bytes that are not
    UTF-8 become U+FFFD. The file can be read once it is closed, also where the
    run ended early; without any rows it has no columns.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    SettingsError
        Where the file cannot be opened for writing, or pyarrow is not installed.
    OSError
        Where it cannot be written later.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> file = Path(tempfile.mkdtemp()) / "scored.parquet"
    >>> sink = ParquetSink(file)
    >>> sink.write({"site": ["north", None], "flow": np.array([100.59, 0.1])})
    >>> sink.close()
    >>> pd.read_parquet(file)["flow"].tolist()
    [100.59, 0.1]
    """

    def __init__(self, path: str | Path) -> None:
        _need_pyarrow(path)
        self._file = OutputFile(path)
        self._writer: pq.ParquetWriter | None = None
        self._schema: pa.Schema | None = None
        self._held: list[pa.RecordBatch] = []
        self._held_rows = 0

    def write(self, columns: Columns) -> None:
        """Append rows, given as columns of equal length."""
        import pyarrow as pa

        if self._schema is None:
            self._schema = pa.schema([(valid_text(name), _type(c)) for name, c in columns.items()])
            self._names = tuple(columns)
        types = self._schema.types
        arrays = [_array(columns[name], kind) for name, kind in zip(self._names, types, strict=True)]
        self._held.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._held_rows += self._held[-1].num_rows
        if self._held_rows >= _GROUP_ROWS:
            self.flush(0.0)

    def flush(self, timeout_s: float) -> None:
        """End a group of rows and hand it to the operating system; the file ends with ``close``."""
        import pyarrow as pa

        if self._held_rows:
            held, self._held, self._held_rows = self._held, [], 0
            self._opened().write_table(pa.Table.from_batches(held))
        self._file.flush()

    def close(self) -> None:
        """Write what is held and the end of the file; may be called twice, also after an error."""
        if self._file.closed:
            return
        try:
            self.flush(0.0)
            self._opened().close()
        finally:
            if self._writer is not None:
                self._writer.is_open = False  # or it tries again when it is collected
            self._file.close()

    def _opened(self) -> pq.ParquetWriter:
        """The writer, made when there is something to write."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._writer is None:
            schema = pa.schema([]) if self._schema is None else self._schema
            self._writer = pq.ParquetWriter(self._file, schema, compression="zstd")
        return self._writer


class ParquetTable:
    """A Parquet file as a table: numbers, times and text as they are stored.

    Parameters
    ----------
    path : str
    options : RecordOptions

    Attributes
    ----------
    title, fingerprint : str
        Base name, safe to show, and eight digits that depend on the first 64 KiB.
    decimal : str

    Raises
    ------
    DataError
        Where it cannot be read.
    SettingsError
        Where pyarrow is not installed.
    """

    def __init__(self, path: str, options: RecordOptions, *, title: str, fingerprint: str) -> None:
        _need_pyarrow(path)
        self.title, self.fingerprint, self.options = title, fingerprint, options
        self.decimal = "."
        self._path = path
        self._rows = 0
        self._batches: Iterator[pa.RecordBatch] | None = None
        self._held: pa.RecordBatch | None = None  # rows that were decoded and not read yet
        self._open()
        names = self._file.schema_arrow.names
        self._names = [name or f"column_{place}" for place, name in enumerate(names, 1)]
        if len(set(self._names)) < len(self._names):
            raise DataError(f"{title} has two columns of one name: {', '.join(map(shown, self._names))}")

    @property
    def share_read(self) -> float | None:
        """How much of the file is read, 0 to 1."""
        rows = self._file.metadata.num_rows
        return self._rows / rows if rows else None

    def sample(self) -> Sample:
        """Rows of the head, then rows of the middle and of the end."""
        groups = self._file.num_row_groups
        with _readable(self.title):
            head = next(self._file.iter_batches(_SAMPLE_ROWS), None)
            if head is None or not head.num_rows:
                raise DataError(f"{self.title} has columns but no records")
            places = sorted({groups // 2, groups - 1} - {0})
            parts = [next(self._file.iter_batches(_SAMPLE_ROWS, row_groups=[i]), None) for i in places]
            batches = [head, *(part for part in parts if part is not None)]
            cells = [[self._cells(batch.column(i)) for batch in batches] for i in range(len(self._names))]
        columns = [_sampled(name, parts) for name, parts in zip(self._names, cells, strict=True)]
        return Sample(self.title, columns, head.num_rows)

    def describe(self) -> str:
        """How it is written, for people."""
        return f"Parquet, {self._file.metadata.num_rows:,} rows"

    def read(self, count: int) -> Block | None:
        """The next rows, at most ``count``; None at the end."""
        with _readable(self.title):
            if self._batches is None:
                self._batches = self._file.iter_batches(_READ_ROWS)
            while self._held is None or not self._held.num_rows:
                self._held = next(self._batches, None)
                if self._held is None:
                    return None
            batch, self._held = self._held.slice(0, count), self._held.slice(count)
            columns = [self._cells(batch.column(i)) for i in range(batch.num_columns)]
        self._rows += batch.num_rows
        return Block(columns, range(self._rows - batch.num_rows + 1, self._rows + 1))

    def pinned(self, options: RecordOptions) -> RecordOptions:
        """The options: Parquet says itself how it is written."""
        return options

    def rewind(self) -> None:
        """Start again."""
        self.close()
        self._open()
        self._rows, self._batches, self._held = 0, None, None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _open(self) -> None:
        import pyarrow.parquet as pq

        with _readable(self.title):
            self._file = pq.ParquetFile(self._path)

    def _cells(self, column: pa.Array) -> Cells:
        """A column as float64 numbers, int64 times or text."""
        import pyarrow as pa

        kind = column.type
        if pa.types.is_dictionary(kind):
            column, kind = column.dictionary_decode(), kind.value_type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            values = np.asarray(
                column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64
            )
            if not pa.types.is_integer(kind) or np.nanmax(np.abs(values), initial=0.0) < _EXACT:
                return values
        elif pa.types.is_timestamp(kind) and (self.options.tz is None or kind.tz is not None):
            return _instants(column)
        # Local times and dates as text, so that they are read like all others; decimals since
        # Arrow's way to float64 does not round to the nearest.
        return ["" if cell is None else str(cell) for cell in column.to_pylist()]


def _instants(column: pa.Array) -> Int64Array:
    """(n,) int64 ns UTC; ``NO_TIME`` where there is none, or none that nanoseconds can say."""
    import pyarrow as pa

    unit = _UNITS[column.type.unit]
    times = np.asarray(column.cast(pa.int64()).fill_null(NO_TIME), np.int64)
    known = np.abs(times) <= np.iinfo(np.int64).max // unit
    return np.where(known & (times != NO_TIME), times * unit, NO_TIME)


def _sampled(name: str, parts: list[Cells]) -> ColumnSample:
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    text = [cell for part in parts for cell in as_text(part)]
    if len(arrays) < len(parts):
        return ColumnSample(name, text)
    values = np.concatenate(arrays)
    if values.dtype == np.int64:
        return ColumnSample(name, text, times=values)
    return ColumnSample(name, text, values=values)


@contextmanager
def _readable(title: str) -> Iterator[None]:
    """Errors of reading as errors of the data, with the file's name."""
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{title} cannot be read as Parquet: {str(error).splitlines()[0]}") from None


def _need_pyarrow(path: str | Path) -> None:
    try:
        import pyarrow.parquet  # noqa: F401 (only whether it is there)
    except ImportError:
        raise SettingsError(
            f"{Path(path).name} needs pyarrow; run: pip install 'streamrnn[parquet]', or write .csv or .jsonl"
        ) from None


def _type(column: Column) -> pa.DataType:
    import pyarrow as pa

    if isinstance(column, np.ndarray) and column.dtype.kind in "fbiu":
        return pa.from_numpy_dtype(column.dtype)
    if isinstance(column, np.ndarray) and column.dtype.kind == "M":
        return pa.timestamp("ns", "UTC")
    return pa.string()


def _array(column: Column, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    if kind != pa.string():
        return pa.array(column, kind)
    cells = column.tolist() if isinstance(column, np.ndarray) else column
    try:
        return pa.array(cells, kind)
    except (UnicodeEncodeError, pa.ArrowTypeError):  # a surrogate, or not only text
        return pa.array([_text(cell) for cell in cells], kind)


def _text(cell: Any) -> str | None:
    return None if cell is None or cell != cell else valid_text(str(cell))
