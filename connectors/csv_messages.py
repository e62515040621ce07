"""Messages of delimited text as records: each a row without a header."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from streamrnn.connectors.csv import wrong_width
from streamrnn.connectors.fields import MESSAGE, BadField, FieldDecoder, dead_letter
from streamrnn.connectors.messages import DeadLetter, Messages
from streamrnn.connectors.options import NO_TIME_COLUMN, RecordOptions
from streamrnn.connectors.tables.rows import GivenLines, cells_of, errors_of, rows_of
from streamrnn.connectors.text import is_missing, numbers, shown
from streamrnn.errors import SettingsError
from streamrnn.records import Float64Array

__all__ = ["CsvDecoder"]


class CsvDecoder(FieldDecoder):
    r"""Makes a record of each message that is a row of delimited text.

    A message holds one row, with the line end or without it; quoted cells may
    hold line breaks. A message of several rows is a dead letter, since a
    record is known by its message; so is one with more or fewer cells than
    columns, a value that is no number, or a time that cannot be read.

    Parameters
    ----------
    options : RecordOptions
        ``columns`` names the cells. ``time`` (several are read as one, with
        spaces between), ``key`` and ``label`` as ``FieldDecoder`` has them;
        ``values`` are all other columns where it is None. Cells are separated
        by commas, or by semicolons where the decimal mark is a comma, unless
        ``delimiter`` says it.
    pinned : mapping, optional
        What another decoder of the same messages has found out, of its ``pinned``.

    Raises
    ------
    SettingsError
        Where no columns are named, one twice, or a role names none of them.

    Examples
    --------
    >>> import numpy as np
    >>> options = RecordOptions(columns=("ts", "pump", "temp"), time=("ts",), key=("pump",))
    >>> decoder = CsvDecoder(options)
    >>> one, none = np.zeros(1, np.int64), np.zeros(1, np.int32)
    >>> read = decoder.decode(Messages([b"1700000000,p7,20.5\n"], [None], one, none, one, ["plant-0"])).read
    >>> decoder.channels, decoder.keys, read.values.tolist(), read.times.tolist()
    (('temp',), ['p7'], [[20.5]], [1700000000000000000])
    """

    def __init__(self, options: RecordOptions, pinned: Mapping[str, Any] | None = None) -> None:
        self._columns = columns = options.columns or ()
        _check(columns, options)
        roles = {*(options.time or ()), *(options.key or ()), *(options.label or ())}
        channels = options.values or tuple(name for name in columns if name not in roles)
        if not channels:
            raise SettingsError("record.columns: each is a time, a key or a label, and none a value")
        super().__init__(options, channels, pinned)
        self._decimal = options.decimal or "."
        self._delimiter = options.delimiter or (";" if self._decimal == "," else ",")
        self._encoding = options.encoding or "utf-8-sig"

    def _rows(self, messages: Messages, dead: list[DeadLetter]) -> tuple[list[Any], Sequence[int]]:
        rows, kept = [], []
        for place, value in enumerate(messages.values):
            cells, reason = self._cells(value)
            if reason:
                dead.append(dead_letter(messages, place, reason))
            else:
                rows.append(dict(zip(self._columns, cells, strict=True)))
                kept.append(place)
        return rows, kept

    def _column(self, rows: Sequence[Any], path: str) -> list[Any]:
        return [row.get(path) for row in rows]

    def _cells(self, value: bytes | None) -> tuple[list[str], str]:
        """The cells of a message, or why it is no row."""
        try:
            text = "" if value is None else value.decode(self._encoding, errors_of(self._encoding))
        except UnicodeError as error:
            return [], f"the message is not written in {self._encoding}: {error}"
        text = text.replace("\r\n", "\n").removesuffix("\n")
        if '"' not in text and "\n" not in text and text.strip():
            return self._fitted(cells_of(text, self._delimiter))
        lines = text.split("\n")
        given = GivenLines(lines)
        found = list(iter(lambda: rows_of(given, self._delimiter, len(lines)), None))
        bad = [row.reason for rows in found for row in rows.bad]
        cells = [row for rows in found for row in rows.cells]
        if bad or len(cells) != 1:
            several = f"the message holds {len(cells)} rows; send each in a message of its own"
            return [], bad[0] if bad else several if cells else "the message is empty"
        return self._fitted(cells[0])

    def _fitted(self, cells: list[str]) -> tuple[list[str], str]:
        width = len(self._columns)
        if len(cells) > width and not any(map(str.strip, cells[width:])):
            cells = cells[:width]
        if len(cells) != width:
            return [], wrong_width(len(cells), width)
        heading = tuple(map(str.strip, cells)) == self._columns
        return cells, "the message is a header" if heading else ""

    def _values(self, fields: list[Any]) -> Float64Array:
        values, bad = numbers(fields, self._decimal)
        for place, reason in bad.items():
            if fields[place].strip() not in self._missing_text:
                raise BadField(place, reason)
        return values

    def _time_fields(self, rows: list[Any]) -> list[Any]:
        parts = [self._column(rows, name) for name in self._options.time or ()]
        if len(parts) == 1:
            return parts[0]
        whole = zip(*parts, strict=True)
        return ["" if any(map(is_missing, row)) else " ".join(map(str.strip, row)) for row in whole]

    def _passed(self, rows: list[Any], columns: dict[str, Any]) -> dict[str, Any]:
        """Every cell as it came, behind the message's own time and key."""
        own = {name: cells for name, cells in columns.items() if name not in self._columns}
        own = {name: cells for name, cells in own.items() if name in {"time", "key"}}
        return {**own, **{name: self._column(rows, name) for name in self._columns}}


def _check(columns: Sequence[str], options: RecordOptions) -> None:
    if not columns:
        raise SettingsError(
            "record.columns: name the cells of messages in CSV, from left to right, such as "
            'columns = ["ts", "device", "temp"]'
        )
    if len(set(columns)) < len(columns):
        raise SettingsError(f"record.columns names {shown(max(columns, key=columns.count))} twice")
    named = {"time": options.time, "key": options.key, "values": options.values, "label": options.label}
    for role, wanted in ((role, name) for role, names in named.items() for name in names or ()):
        own = role in {"time", "key"} and wanted == MESSAGE
        if own or wanted in columns or (role != "values" and wanted == NO_TIME_COLUMN):
            continue
        near = difflib.get_close_matches(wanted, columns, 1, 0.5)
        hint = f"did you mean {shown(near[0])}?" if near else f"there are {', '.join(map(shown, columns))}"
        raise SettingsError(f"record.{role}: record.columns has no {shown(wanted)}; {hint}")
