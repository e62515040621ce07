"""What could not be read, counted, and written to a file where one is given."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from streamrnn.connectors.text import FOREIGN, printable
from streamrnn.errors import SettingsError

__all__ = ["Reject", "Rejects"]

_SHOWN = 3


@dataclass(frozen=True)
class Reject:
    """A row, or a cell of one, that cannot be read.

    Attributes
    ----------
    file : str
    line : int
    column : str
        Empty where the whole row is meant; it is left out then. A row with a
        bad cell stays, the cell counts as missing.
    reason : str
    text : str
        As it was read.
    offset : int
        Number of the row in its file.
    """

    file: str
    line: int
    column: str
    reason: str
    text: str
    offset: int = -1

    def __str__(self) -> str:
        column = f", column {self.column!r}" if self.column else ""
        return f"{self.file}, line {self.line}{column}: {self.reason}"


class Rejects:
    """Counts rejects, keeps the first few, and writes all to a CSV file.

    Parameters
    ----------
    path : str or Path, optional
        Made when the first reject comes; none is made of a clean run.

    Attributes
    ----------
    rows : int
        Rows left out.
    cells : Counter of str
        Cells that count as missing, by their columns.
    first : list of Reject
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.rows = 0
        self.cells: Counter[str] = Counter()
        self.first: list[Reject] = []
        self._path = None if path is None else Path(path)
        self._file: IO[str] | None = None

    def add(self, reject: Reject) -> None:
        """Count and write one.

        Raises
        ------
        SettingsError
            Where the file cannot be opened for writing.
        OSError
            Where it cannot be written later.
        """
        if reject.column:
            self.cells[reject.column] += 1
        else:
            self.rows += 1
        if len(self.first) < _SHOWN:
            self.first.append(reject)
        if self._path is not None:
            self._write(self._path, reject)

    def close(self) -> None:
        """Close the file.

        Raises
        ------
        OSError
            Where the last of it cannot be written.
        """
        if self._file is not None:
            with self._named():
                self._file.close()

    def _write(self, path: Path, reject: Reject) -> None:
        if self._file is None:
            try:
                self._file = path.open("w", encoding="utf-8", errors=FOREIGN, newline="")
            except OSError as error:
                raise SettingsError(f"cannot write {printable(str(path))}: {error.strerror}") from None
            self._rows = csv.writer(self._file, lineterminator="\n")
            self._rows.writerow(("file", "line", "column", "reason", "text"))
        with self._named():
            self._rows.writerow((reject.file, reject.line, reject.column, reject.reason, reject.text))

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Have errors say which file they are of."""
        try:
            yield
        except OSError as error:
            error.filename = str(self._path)
            raise
