"""JSON messages as records: fields by their paths, decoded in batches."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.base import Read, together
from streamrnn.connectors.messages import DeadLetter, Decoded, Messages
from streamrnn.connectors.options import RecordOptions
from streamrnn.connectors.tables.intake import KEY_MARK
from streamrnn.connectors.text import FOREIGN, is_missing, numbers, shown
from streamrnn.connectors.times.finding import find_epoch, find_readings
from streamrnn.connectors.times.formats import Reading, parse_format
from streamrnn.connectors.times.reader import TimeReader
from streamrnn.errors import SettingsError
from streamrnn.kernels.plan import NO_TIME
from streamrnn.records import Float64Array, Int64Array

__all__ = ["MESSAGE", "JsonDecoder"]

MESSAGE = "@message"  # the path that means the message's own key or time
_EPOCHS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1000, "ns": 1}
_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_LARGEST = 2**63 - 1
_PLAIN = frozenset({float, int, bool, type(None)})


class _BadField(Exception):  # noqa: N818 - never leaves this module
    """A field that cannot be read: the message's place and why."""

    def __init__(self, place: int, reason: str) -> None:
        super().__init__(reason)
        self.place, self.reason = place, reason


class _Codes(dict[str, int]):
    """A code for each name met, and the names by code."""

    def __init__(self, *names: str) -> None:
        super().__init__((name, code) for code, name in enumerate(names))
        self.names = list(names)

    def __missing__(self, name: str) -> int:
        self.names.append(name)
        self[name] = code = len(self)
        return code


class JsonDecoder:
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

    def __init__(self, options: RecordOptions) -> None:
        if not options.values:
            raise SettingsError(
                "record.values: name the fields of JSON messages that hold values, such as "
                'values = ["temp"] or ["data.temp"]'
            )
        self._options = options
        self.channels = options.values
        self._time = options.time[0] if options.time else MESSAGE
        self._key = () if options.key in (None, ("none",)) else options.key or ()
        self._unit = options.time_format if options.time_format in _EPOCHS else None
        self._reader: TimeReader | None = None
        if options.time_format is not None and self._unit is None:
            self._reader = TimeReader(parse_format(options.time_format), options.tz)
        self._decode = msgspec.json.Decoder().decode
        self._codes = _Codes() if self._key else _Codes("")
        self._numbered = _Codes()
        self._missing_text = {cell.strip() for cell in options.missing}
        given = numbers(list(options.missing))[0]
        self._missing_numbers = given[~np.isnan(given)]

    @property
    def keys(self) -> Sequence[str]:
        """Names of the series by their codes; grows."""
        return self._codes.names

    def pinned(self) -> dict[str, str]:
        """What was found out so far, as options: another decoder then reads what comes next alike."""
        if self._unit is not None:
            return {"time_format": self._unit}
        return {} if self._reader is None else {"time_format": self._reader.reading.option}

    def decode(self, messages: Messages) -> Decoded:
        """The records of messages, in their order, and those that are none."""
        dead: list[DeadLetter] = []
        objects, kept = self._objects(messages, dead)
        # Reading times again must find what the first try found.
        reader = copy.deepcopy(self._reader) if self._options.tz else self._reader
        try:
            return Decoded(self._records(messages, objects, kept), dead)
        except _BadField:
            self._reader = reader
        reads = []
        for found, place in zip(objects, kept, strict=True):
            try:
                reads.append(self._records(messages, [found], [place]))
            except _BadField as bad:
                dead.append(_dead(messages, place, bad.reason))
        dead.sort(key=lambda letter: letter.offset)
        return Decoded(together(reads) if reads else self._records(messages, [], []), dead)

    def _objects(self, messages: Messages, dead: list[DeadLetter]) -> tuple[list[dict[str, Any]], list[int]]:
        """The JSON objects among the messages and their places."""
        try:
            objects = list(map(self._decode, messages.values))  # type: ignore[arg-type]
            if _all_of(objects, dict):
                return objects, list(range(len(objects)))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError):
            pass  # one by one, to find which
        objects, kept = [], []
        for place, value in enumerate(messages.values):
            found, reason = self._one(value)
            if reason:
                dead.append(_dead(messages, place, reason))
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

    def _records(self, messages: Messages, objects: list[dict[str, Any]], kept: list[int]) -> Read:
        whole = len(kept) == len(messages)
        columns: dict[str, Any] = {}
        values = np.empty((len(objects), len(self.channels)))
        for d, path in enumerate(self.channels):
            columns[path] = values[:, d] = self._values(_fields(objects, path))
        names = self._names(messages, objects, kept, columns)
        # A message that is none must not begin a series, so codes are given when all is read.
        times = self._times(messages, objects, kept, names, columns)
        series = self._coded(names)
        at = slice(None) if whole else np.array(kept, np.int64)
        return Read(
            series=series,
            times=times,
            values=values,
            partitions=messages.partitions[at],
            offsets=messages.offsets[at],
            columns={name: columns[name] for name in sorted(columns, key=self._order)},
        )

    def _order(self, name: str) -> int:
        """Time and key before values in what is written."""
        return 0 if name == self._time else 1 if name in self._key else 2

    def _values(self, fields: list[Any]) -> Float64Array:
        # NumPy reads text by rules of its own, which must not hang on what else is in the batch.
        try:
            values = np.array(fields, np.float64) if _PLAIN.issuperset(map(type, fields)) else None
        except OverflowError:
            values = None
        if values is None:
            values = np.array([self._value(i, field) for i, field in enumerate(fields)], np.float64)
        if len(self._missing_numbers):
            values[np.isin(values, self._missing_numbers)] = np.nan
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
        raise _BadField(place, f"a value is {_kind(field)}, no number")

    def _names(
        self, messages: Messages, objects: list[dict[str, Any]], kept: list[int], columns: dict[str, Any]
    ) -> list[str]:
        """Of each record the name of its series."""
        if not self._key:
            return [""] * len(objects)
        parts = []
        for path in self._key:
            if path == MESSAGE:
                names = [_text_of(messages.keys[place], i) for i, place in enumerate(kept)]
            else:
                names = _as_names(_fields(objects, path))
            columns["key" if path == MESSAGE else path] = names
            parts.append(names)
        return parts[0] if len(parts) == 1 else [KEY_MARK.join(names) for names in zip(*parts, strict=True)]

    def _coded(self, names: list[str]) -> NDArray[np.int32]:
        return _codes_of(names, self._codes)

    def _times(
        self,
        messages: Messages,
        objects: list[dict[str, Any]],
        kept: list[int],
        names: list[str],
        columns: dict[str, Any],
    ) -> Int64Array:
        if self._time == MESSAGE:
            times = messages.times[kept]
            columns["time"] = times.view("M8[ns]")
            return times
        fields = _fields(objects, self._time)
        columns[self._time] = fields
        told = self._reader is None or self._unit is not None  # else they are written another way
        if told and _all_of(fields, int):
            return self._whole(fields)
        return self._mixed(fields, names)

    def _whole(self, fields: list[int]) -> Int64Array:
        """Whole numbers as times, all at once."""
        if not fields:
            return np.empty(0, np.int64)
        scale = _EPOCHS[self._unit_of(0, fields[0])]
        limit = _LARGEST // scale
        try:
            times = np.array(fields, np.int64)
            if -limit <= times.min() and times.max() <= limit:
                return times * scale
        except OverflowError:
            pass  # the same is wrong with it as with others that are too large
        place = max(range(len(fields)), key=lambda i: abs(fields[i]))
        raise _BadField(place, f"the time {shown(repr(fields[place]))} is out of range")

    def _mixed(self, fields: list[Any], names: list[str]) -> Int64Array:
        """Times of any kind: text, numbers, none."""
        cells = []
        for place, field in enumerate(fields):
            if not (field is None or type(field) in {int, float, str}):
                raise _BadField(place, f"the time is {_kind(field)}")
            cells.append("" if field is None else field if isinstance(field, str) else repr(field))
        if self._reader is None:
            first = next(((i, cell) for i, cell in enumerate(cells) if not is_missing(cell)), None)
            if first is None:
                return np.full(len(fields), NO_TIME, np.int64)
            self._reader = TimeReader(self._reading(*first), self._options.tz)
        # The hour that comes twice is told by series; their numbers here are the reader's own.
        series = _codes_of(names, self._numbered)
        times, bad = self._reader.read([cells], series)
        for place, reason in bad.items():
            raise _BadField(place, reason)
        return times

    def _reading(self, place: int, cell: str) -> Reading:
        """How times are written, by the first of them."""
        if self._unit is not None:
            return Reading((self._unit,))
        if _NUMBER.fullmatch(cell):
            return Reading((self._unit_of(place, float(cell)),))
        found = find_readings([cell])
        if len(found) != 1:
            raise _BadField(place, f"the time {shown(cell)} is not understood; say record.time_format")
        return found[0]

    def _unit_of(self, place: int, number: float) -> str:
        """The unit of times that are numbers: as set, or as the first of them shows."""
        if self._unit is None:
            reading = find_epoch(np.array([number], np.float64)) if abs(number) < _LARGEST else None
            if reading is None:
                raise _BadField(
                    place, f"the time {shown(repr(number))} is no epoch time; say record.time_format"
                )
            self._unit = reading.formats[0]
        return self._unit


def _fields(objects: list[dict[str, Any]], path: str) -> list[Any]:
    """The field of each object at a path; None where it is absent."""
    try:
        return [found[path] for found in objects]
    except KeyError:
        pass
    parts = path.split(".")
    return [found[path] if path in found else _inner(found, parts) for found in objects]


def _inner(found: Any, parts: Sequence[str]) -> Any:
    for part in parts:
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


def _all_of(fields: list[Any], kind: type) -> bool:
    """Whether all are exactly of one kind."""
    return set(map(type, fields)) <= {kind}


def _codes_of(names: list[str], codes: _Codes) -> NDArray[np.int32]:
    return np.fromiter(map(codes.__getitem__, names), np.int32, len(names))


def _as_names(fields: list[Any]) -> list[str]:
    return fields if _all_of(fields, str) else [_name(i, field) for i, field in enumerate(fields)]


def _name(place: int, field: Any) -> str:
    if isinstance(field, str):
        return field
    if isinstance(field, (int, float)) and not isinstance(field, bool):
        return repr(field)
    raise _BadField(place, f"the key is {_kind(field)}; it must be text or a number")


def _text_of(key: bytes | None, place: int) -> str:
    if key is None:
        raise _BadField(place, "the message has no key")
    return key.decode("utf-8", FOREIGN)


def _kind(field: Any) -> str:
    if field is None:
        return "missing"
    kinds = {bool: "a truth value", dict: "an object", list: "a list", str: f"the text {shown(str(field))}"}
    return kinds.get(type(field), f"the number {shown(repr(field))}")


def _dead(messages: Messages, place: int, reason: str) -> DeadLetter:
    return DeadLetter(
        messages.partition_names[messages.partitions[place]],
        int(messages.offsets[place]),
        reason,
        messages.values[place],
        messages.keys[place],
    )
