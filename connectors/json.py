"""JSON messages as records: fields by their paths, decoded in batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from streamrnn.connectors.fields import BadField, FieldDecoder, Row, all_of, dead_letter, kind_of
from streamrnn.connectors.messages import DeadLetter, Messages
from streamrnn.connectors.options import RecordOptions
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
        self._decode = msgspec.json.Decoder().decode

    def _rows(self, messages: Messages, dead: list[DeadLetter]) -> tuple[list[Row], list[int]]:
        """The JSON objects among the messages and their places."""
        try:
            objects = list(map(self._decode, messages.values))  # type: ignore[arg-type]
            if all_of(objects, dict):
                return objects, list(range(len(objects)))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError):
            pass  # one by one, to find which
        objects, kept = [], []
        for place, value in enumerate(messages.values):
            found, reason = self._one(value)
            if reason:
                dead.append(dead_letter(messages, place, reason))
            else:
                objects.append(found)
                kept.append(place)
        return objects, kept

    def _one(self, value: bytes | None) -> tuple[Any, str]:
        if value is None:
            return None, "the message is empty"
        try:
            found = self._decode(value)
        except RecursionError:
            return None, "the message is nested too deeply"
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return None, f"the message is no JSON: {error}"
        return found, "" if isinstance(found, dict) else "the message is no JSON object"

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
