"""JSON messages as records: fields by their paths, decoded in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from streamrnn.connectors.fields import MESSAGE, BadField, FieldDecoder, dead_letter, kind_of
from streamrnn.connectors.json_fields import JsonFields
from streamrnn.connectors.messages import DeadLetter, Messages
from streamrnn.connectors.options import NO_TIME_COLUMN, RecordOptions
from streamrnn.connectors.text import is_missing, numbers
from streamrnn.errors import SettingsError
from streamrnn.records import Float64Array

__all__ = ["JsonDecoder"]

_PLAIN = frozenset({float, int, bool, type(None)})


class JsonDecoder(FieldDecoder):
    r"""Makes a record of each JSON object.

    A path names a field, with points into objects in it: ``data.temp``; a field
    whose name has a point goes before. Absent fields and null are missing values.
    A value is a number, text that holds one, or a truth value; anything else
    makes the message a dead letter, as does a time that cannot be read.

    Parameters
    ----------
    options : RecordOptions
        ``values`` names the channels' fields, ``time`` the field of the event time
        (``@message``: the message's own; None: that too), ``key`` the fields that
        name the series (``@message``: the message's key; None: all are of one).
        Numbers of time are of ``time_format``, or else of the unit that the first
        of them shows.

    pinned : mapping, optional
        What another decoder of the same messages has found out, of its ``pinned``.

    Raises
    ------
    SettingsError
        Where no values are named.

    Examples
    --------
    >>> options = RecordOptions(values=("data.temp",), time=("ts",), key=("id",))
    >>> decoder = JsonDecoder(options)
    >>> message = b'{"id": "pump", "ts": 1700000000, "data": {"temp": 20.5}}'
    >>> one, none = np.zeros(1, np.int64), np.zeros(1, np.int32)
    >>> read = decoder.decode(Messages([message], [None], one, none, one, ["plant-0"])).read
    >>> decoder.keys, read.values.tolist(), read.times.tolist()
    (['pump'], [[20.5]], [1700000000000000000])
    """

    def __init__(self, options: RecordOptions, pinned: Mapping[str, Any] | None = None) -> None:
        if not options.values:
            raise SettingsError(
                "record.values: name the fields of JSON messages that hold values, such as "
                'values = ["temp"] or ["data.temp"]'
            )
        super().__init__(options, options.values, pinned)
        paths = [*self.channels, self._time, *self._key]
        self._fields = JsonFields([path for path in paths if path not in {MESSAGE, NO_TIME_COLUMN}])

    def _rows(self, messages: Messages, dead: list[DeadLetter]) -> tuple[list[Any], Sequence[int]]:
        """The JSON objects among the messages and their places."""
        try:
            return self._fields.decode_many(messages.values), range(len(messages))  # type: ignore[arg-type]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError):
            pass  # one by one, to find which
        objects, kept = [], []
        for place, value in enumerate(messages.values):
            try:
                objects.append(self._fields.decode(b"" if value is None else value))
                kept.append(place)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                dead.append(dead_letter(messages, place, _no_object(value)))
        return objects, kept

    def _column(self, rows: Sequence[Any], path: str) -> list[Any]:
        return self._fields.column(rows, path)

    def _values(self, fields: list[Any]) -> Float64Array:
        # NumPy reads text by rules of its own, which must not hang on what else is in the batch.
        try:
            values = np.array(fields, np.float64) if _PLAIN.issuperset(map(type, fields)) else None
        except OverflowError:
            values = None
        if values is None:
            values = np.array([self._value(i, field) for i, field in enumerate(fields)], np.float64)
        return values

    def _value(self, place: int, field: Any) -> float:
        if field is None:
            return float("nan")
        if isinstance(field, (int, float)):
            try:
                return float(field)
            except OverflowError:
                return float("inf") if field > 0 else float("-inf")
        if isinstance(field, str):
            if field.strip() in self._missing_text or is_missing(field):
                return float("nan")
            found, bad = numbers([field])
            if not bad:
                return float(found[0])
        raise BadField(place, f"a value is {kind_of(field)}, no number")


def _no_object(value: bytes | None) -> str:
    """Why a message that is no JSON object is none."""
    if value is None:
        return "the message is empty"
    try:
        msgspec.json.decode(value)
    except RecursionError:
        return "the message is nested too deeply"
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return f"the message is no JSON: {error}"
    return "the message is no JSON object"
