"""Files as sources: one table, or several that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from streamrnn.connectors.base import STANDARD, Positions, Read
from streamrnn.connectors.csv import CsvTable
from streamrnn.connectors.growing import CutOffError
from streamrnn.connectors.options import RecordOptions
from streamrnn.connectors.rejects import Rejects
from streamrnn.connectors.tables.block import Table
from streamrnn.connectors.tables.intake import Intake
from streamrnn.connectors.tables.keys import codes_of
from streamrnn.connectors.tables.opening import Opened
from streamrnn.connectors.tables.schema import Sample, Schema, find_schema
from streamrnn.errors import DataError
from streamrnn.kernels.plan import NO_TIME

__all__ = ["FileSource"]

_PARQUET = b"PAR1"
BATCH_ROWS = 16_384  # rows of a batch: a tenth of a second of work, a few megabytes of text


class FileSource:
    r"""Records of one file.

    Parameters
    ----------
    path : str or Path
        ``"-"`` is stdin.
    options : RecordOptions, optional
        What is known of it; the rest is found out.
    rejects : Rejects, optional
        Where rows and cells go that cannot be read.
    opened : Opened, optional
        The file, where it is open already because it is followed as it grows.
    batch_rows : int
        About how many records one poll returns at most; results do not depend on it.

    Attributes
    ----------
    title : str
        The file's base name, safe to show.
    schema : Schema
        What the columns mean.
    table : Table
    span : (int, int) or None
        First and last time of the sample, zones left aside; None without times.
    typical_step_ns : float
        Typical time between two records of a series, by the sample; 0 without times.

    Raises
    ------
    DataError
        Where the file cannot be opened or read, or holds no numbers.
    SettingsError
        Where the options do not fit it, or more are needed.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "flow.csv"
    >>> _ = file.write_text("time,flow\n2022-03-20T11:00:00+01:00,100.59\n")
    >>> source = FileSource(file)
    >>> batch = source.poll(0.0)
    >>> source.schema.channels, batch.values.tolist(), source.poll(0.0)
    (('flow',), [[100.59]], None)
    >>> source.close()
    """

    def __init__(
        self,
        path: str | Path,
        options: RecordOptions | None = None,
        rejects: Rejects | None = None,
        *,
        batch_rows: int = BATCH_ROWS,
        opened: Opened | None = None,
    ) -> None:
        options = options or RecordOptions()
        self._growing = opened is not None
        self.table = _opened(str(path), options, opened)
        self.title = self.table.title
        self._batch_rows = batch_rows
        self._options = options
        self._rejects = rejects or Rejects()
        try:
            sample = self.table.sample()
            self.schema = find_schema(sample, options)
            self.span, self.typical_step_ns = _pace(sample, self.schema)
            self._restart()
        except BaseException:
            self.close()
            raise

    @property
    def share_read(self) -> float | None:
        """How much of the file is read, 0 to 1; None where its size is not known."""
        return self.table.share_read

    @property
    def name(self) -> str:
        """Base name and fingerprint of the head."""
        return f"{self.title}-{self.table.fingerprint}"

    @property
    def partition_names(self) -> Sequence[str]:
        """The one partition: base name and fingerprint of the head."""
        return (self.name,)

    @property
    def keys(self) -> Sequence[str]:
        """Names of the series by their codes."""
        return self._intake.keys

    def poll(self, timeout_s: float) -> Read | None:
        """The next records; None at the end. A file never makes one wait.

        Raises
        ------
        DataError
            Where the file can be read no further, or not one row of it could be.
        """
        while (block := self.table.read(self._batch_rows)) is not None:
            read = self._intake.records(block, self._offset)
            self._offset += len(block.lines) + len(block.bad)
            self._records += len(read)
            if len(read):
                return read
        if not self._records and self._offset and not self._growing:
            first = self._rejects.first[0] if self._rejects.first else "see above"
            raise DataError(f"{self.title}: not one row could be read; the first: {first}")
        return None

    def snapshot(self) -> Positions:
        """Number of the row to go on with; the first after the header is 0."""
        return {self.name: self._offset}

    def seek(self, positions: Positions) -> None:
        """Go on at a row; DataError where stdin would have to be read twice, or there is no such row."""
        target = positions.get(self.name, 0)
        if target < self._offset:
            self.restart()
        while self._offset < target:
            block = self.table.read(min(target - self._offset, self._batch_rows))
            if block is None:
                raise CutOffError(f"{self.title} has {self._offset} rows; there is no row {target}")
            # Read, since what follows may hang on it: keys, the hour that comes twice.
            self._records += self._intake.skip(block, self._offset)
            self._offset += len(block.lines) + len(block.bad)

    def pinned(self) -> RecordOptions:
        """Options that say all that was found out, so that another look at the file finds the same."""
        schema, clock = self.schema, self.schema.clock
        text = clock is not None and clock.reading is not None and bool(clock.reading.formats)
        pinned = replace(
            self._options,
            time=("none",) if clock is None else schema.named(clock.places),
            time_format=clock.reading.option if text and clock is not None and clock.reading else None,
            values=schema.channels,
            key=schema.named(schema.key) or ("none",),
            label=schema.named(schema.label) or ("none",),
        )
        return self.table.pinned(pinned)

    def commit(self, positions: Positions) -> None:
        """Nothing: a file keeps what was read from it."""

    def close(self) -> None:
        """Close the file; stdin stays open."""
        self.table.close()

    def pause(self) -> None:
        """Close the file until ``restart``, since many files cannot all be open at once."""
        self.table.close()

    def restart(self) -> None:
        """Go to the first record again; DataError where stdin would have to be read twice."""
        self.table.rewind()
        self._restart()

    def _restart(self) -> None:
        self._offset = self._records = 0
        options = self._options
        self._intake = Intake(
            self.title,
            self.schema,
            decimal=self.table.decimal,
            tz=options.tz,
            missing=options.missing,
            rejects=self._rejects,
        )


def _pace(sample: Sample, schema: Schema) -> tuple[tuple[int, int] | None, float]:
    """First and last time of a sample, and the typical step of its series."""
    if schema.clock is None:
        return None, 0.0
    times = schema.clock.read_sample(sample.columns)
    known = times != NO_TIME
    if not known.any():
        return None, 0.0
    span = int(times[known].min()), int(times[known].max())
    codes = codes_of(sample.columns, schema.key, len(times))
    head = np.flatnonzero(known[: sample.consecutive])
    order = head[np.lexsort((times[head], codes[head]))]
    steps = np.diff(times[order])[np.diff(codes[order]) == 0]
    steps = steps[steps > 0]
    return span, float(np.median(steps)) if len(steps) else 0.0


def _opened(path: str, options: RecordOptions, opened: Opened | None) -> Table:
    """A file as the table that it is, told by its first bytes."""
    opened = opened or Opened(path)
    try:
        if opened.head.startswith(_PARQUET):
            opened.close()
            if path == STANDARD:
                raise DataError("stdin holds Parquet, which cannot be read from a pipe; save it to a file")
            from streamrnn.connectors.parquet import ParquetTable

            return ParquetTable(path, options, title=opened.title, fingerprint=opened.fingerprint)
        return CsvTable(opened, path, options)
    except BaseException:
        opened.close()
        raise
