"""CSV files as a sink that loses no bit of a number, a block of rows at a time.

A row costs little: orjson turns a block of floats to text in one call, each to
the shortest text that reads back to the same bits, and whether the text of a
column needs care is asked once for the column, not for every cell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.base import Column, Columns
from streamrnn.connectors.output import OutputFile, stamps
from streamrnn.connectors.text import FOREIGN, printable

__all__ = ["CsvSink"]

_BOOLEANS = np.array(["False", "True"], object)
_QUOTED = ',"\r\n'  # what RFC 4180 wants between quotes
# Between the cells of a joined column. One that is part of a cell only sends
# its column along the careful way.
_BETWEEN = "\x1f"
_NUMBER = "(?:[0-9.,]+(?:e[+-]?[0-9]+)?|inf(?:inity)?|nan)"
# The first characters at which spreadsheets take text for a formula; numbers may have a sign.
_FORMULA = re.compile(rf"[=@\t\r]|[+-](?!{_NUMBER}\Z)", re.IGNORECASE)
_FORMULA_IN_COLUMN = re.compile(rf"{_BETWEEN}(?:[=@\t\r]|[+-](?!{_NUMBER}(?:{_BETWEEN}|\Z)))", re.IGNORECASE)
# Surrogates that do not stand for a foreign byte have no bytes at all.
_NO_BYTES = re.compile("[\ud800-\udc7f\udd00-\udfff]")


class CsvSink:
    r"""Writes rows to a CSV file with a header: floats so that they read back exactly.

    Missing numbers and None become empty cells, infinities ``inf`` and
    ``-inf``. Text is quoted where it must be. Text that a spreadsheet would
    take for a formula (it starts with ``= + - @``, a tab or a carriage return,
    and is no number) gets an apostrophe in front, also in the header. Bytes
    that are not UTF-8 leave as they came. On a terminal, control characters
    are shown escaped. What was written stays if the run ends early.

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
    >>> file = Path(tempfile.mkdtemp()) / "scored.csv"
    >>> sink = CsvSink(file)
    >>> sink.write({"site": ["north", "=cmd()"], "flow": np.array([100.59, np.nan])})
    >>> sink.close()
    >>> file.read_text()
    "site,flow\nnorth,100.59\n'=cmd(),\n"
    """

    def __init__(self, path: str | Path, *, keep: int | None = None) -> None:
        self._file = OutputFile(path, keep=keep)
        self._columns: tuple[str, ...] | None = None
        self._begun = bool(keep) and self._file.tell() > 0

    def write(self, columns: Columns) -> None:
        """Append rows, given as columns of equal length; the first call writes the header."""
        names = self._columns or tuple(columns)
        lines = [] if self._begun else [",".join(map(_safe, names))]
        lines += _rows([columns[name] for name in names])
        if self._file.terminal:
            lines = ["\n".join(map(printable, line.split("\n"))) for line in lines]
        if len(names) == 1:
            lines = [line or '""' for line in lines]  # an empty line would be no row
        if lines:
            self._file.write(_encoded("\n".join([*lines, ""])))
        self._columns, self._begun = names, True  # only now: a write without room is tried again

    def flush(self, timeout_s: float) -> None:
        """Hand all rows to the operating system."""
        self._file.flush()

    def sync(self) -> int:
        """Have all rows on the disk; the length of the file."""
        return self._file.sync()

    def close(self) -> None:
        """Close the file; stdout stays open."""
        self._file.close()


def _rows(columns: Sequence[Column]) -> Iterator[str]:
    """The lines of a block; floats that stand side by side become text together."""
    pieces: list[Sequence[str]] = []
    for floats, group in groupby(columns, _is_floats):
        side_by_side = list(group)
        pieces += [_float_pieces(side_by_side)] if floats else map(_pieces, side_by_side)
    return map(",".join, zip(*pieces, strict=True))


def _is_floats(column: Column) -> bool:
    return isinstance(column, np.ndarray) and column.dtype.kind == "f"


def _float_pieces(columns: Sequence[Column]) -> list[str]:
    """Of each row the cells of these columns, commas between."""
    import orjson

    block: NDArray[np.float64] = np.column_stack(columns).astype(np.float64, copy=False)
    if not len(block):
        return []
    text = orjson.dumps(block, option=orjson.OPT_SERIALIZE_NUMPY).replace(b"null", b"").decode()
    pieces = text[2:-2].split("],[")
    for row in np.flatnonzero(np.isinf(block).any(axis=1)).tolist():
        pieces[row] = ",".join(map(_float_text, block[row].tolist()))
    return pieces


def _float_text(value: float) -> str:
    """A number as a block of them shows it, and infinities, which JSON does not know."""
    import orjson

    if abs(value) == float("inf"):
        return str(value)
    return orjson.dumps(value).decode() if value == value else ""


def _pieces(column: Column) -> Sequence[str]:
    """The cells of one column as they stand in the file."""
    if isinstance(column, np.ndarray):
        if column.dtype.kind == "b":
            cells: list[str] = _BOOLEANS[column.astype(np.intp)].tolist()
            return cells
        if column.dtype.kind == "M":
            return _text_pieces(stamps(column))
        if column.dtype.kind in "iu":
            return list(map(str, column.tolist()))
        return _text_pieces(column.tolist())
    return _text_pieces(column)


def _text_pieces(cells: Sequence[Any]) -> Sequence[str]:
    try:
        joined = _BETWEEN.join(cells)
    except TypeError:  # not only text
        cells = [cell if type(cell) is str else _cell_text(cell) for cell in cells]
        joined = _BETWEEN.join(cells)
    if any(mark in joined for mark in _QUOTED) or _FORMULA_IN_COLUMN.search(_BETWEEN + joined):
        return list(map(_safe, cells))
    return cells


def _cell_text(cell: Any) -> str:
    if cell is None:
        return ""
    return _float_text(float(cell)) if isinstance(cell, float) else str(cell)


def _safe(cell: str) -> str:
    """Text that comes back from a CSV reader, and that no spreadsheet executes."""
    if _FORMULA.match(cell):
        cell = f"'{cell}"
    if any(mark in cell for mark in _QUOTED):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", FOREIGN)
    except UnicodeEncodeError:
        return _NO_BYTES.sub("\ufffd", text).encode("utf-8", FOREIGN)
