"""Messages with named fields as records, whatever their format; decoded in batches."""

from __future__ import annotations

import copy
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.base import Read, together
from streamrnn.connectors.messages import DeadLetter, Decoded, Messages
from streamrnn.connectors.options import NO_TIME_COLUMN, RecordOptions
from streamrnn.connectors.tables.intake import KEY_MARK
from streamrnn.connectors.text import FOREIGN, is_missing, key_faults, numbers, shown
from streamrnn.connectors.times.finding import find_epoch, find_readings
from streamrnn.connectors.times.formats import Reading, parse_format
from streamrnn.connectors.times.reader import TimeReader
from streamrnn.kernels.plan import NO_TIME
from streamrnn.records import Float64Array, Int64Array

__all__ = ["MESSAGE", "BadField", "FieldDecoder", "dead_letter", "kind_of"]

MESSAGE = "@message"  # the path that means the message's own key or time

_EPOCHS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1000, "ns": 1}
_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_LARGEST = 2**63 - 1
_NEWEST = "newest"


class BadField(Exception):  # noqa: N818 - no error that leaves a decoder
    """A field that cannot be read: the place of its row and why."""

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


class FieldDecoder(ABC):
    """What decoders share whose messages have named fields: key, time, values, dead letters.

    A format is a class that says what rows messages hold, of whatever kind serves it, what
    field a row has at a path, and how values are read.

    Parameters
    ----------
    options : RecordOptions
        ``time`` names the field of the event time (``@message``: the message's
        own; None: that too; ``none``: there is none), ``key`` the fields that name
        the series (``@message``: the message's key; None: all are of one).
        Numbers of time are of ``time_format``, or else of the unit that the first
        of them shows.
    channels : tuple of str
        Names of the values' fields.
    pinned : mapping, optional
        What another decoder of the same messages has found out, of its ``pinned``.
    """

    def __init__(
        self, options: RecordOptions, channels: tuple[str, ...], pinned: Mapping[str, Any] | None = None
    ) -> None:
        known = dict(pinned or {})
        newest: Mapping[str, int] = known.pop(_NEWEST, {})
        self._options = options = replace(options, **known)
        self.channels = channels
        self._time = options.time[0] if options.time else MESSAGE
        self._key = () if options.key in (None, ("none",)) else options.key or ()
        self._unit = options.time_format if options.time_format in _EPOCHS else None
        self._reader: TimeReader | None = None
        self._numbered = _Codes(*newest)
        if options.time_format is not None and self._unit is None:
            self._reader = TimeReader(parse_format(options.time_format), options.tz)
            self._reader.newest = np.array(list(newest.values()), np.int64)
        self._codes = _Codes() if self._key else _Codes("")
        self._missing_text = {cell.strip() for cell in options.missing}
        given = numbers(list(options.missing))[0]
        self._missing_numbers = given[~np.isnan(given)]

    @property
    def keys(self) -> Sequence[str]:
        """Names of the series by their codes; grows."""
        return self._codes.names

    def pinned(self) -> dict[str, Any]:
        """What was found out so far: another decoder that has it then reads what comes next alike."""
        if self._unit is not None:
            return {"time_format": self._unit}
        if self._reader is None:
            return {}
        times = self._reader.newest.tolist()
        newest = {name: time for name, time in zip(self._numbered, times, strict=False) if time != NO_TIME}
        return {"time_format": self._reader.reading.option, **({_NEWEST: newest} if newest else {})}

    @abstractmethod
    def _rows(self, messages: Messages, dead: list[DeadLetter]) -> tuple[list[Any], Sequence[int]]:
        """The rows that messages hold and the messages' places; the others go to ``dead``."""

    @abstractmethod
    def _column(self, rows: Sequence[Any], path: str) -> list[Any]:
        """The field of each row at a path; None where it is absent."""

    @abstractmethod
    def _values(self, fields: list[Any]) -> Float64Array:
        """A channel's values; BadField where one is none."""

    def _passed(self, rows: list[Any], columns: dict[str, Any]) -> dict[str, Any]:
        """What is repeated before what was found: time and key before values."""
        return {name: columns[name] for name in sorted(columns, key=self._order)}

    def _order(self, name: str) -> int:
        return 0 if name == self._time else 1 if name in self._key else 2

    def _time_fields(self, rows: list[Any]) -> list[Any]:
        """The time of each row as it was written."""
        return self._column(rows, self._time)

    def decode(self, messages: Messages) -> Decoded:
        """The records of messages, in their order, and those that are none."""
        dead: list[DeadLetter] = []
        rows, kept = self._rows(messages, dead)
        # Reading times again must find what the first try found.
        reader = copy.deepcopy(self._reader) if self._options.tz else self._reader
        try:
            return Decoded(self._records(messages, rows, kept), dead)
        except BadField:
            self._reader = reader
        reads = []
        for row, place in zip(rows, kept, strict=True):
            try:
                reads.append(self._records(messages, [row], [place]))
            except BadField as bad:
                dead.append(dead_letter(messages, place, bad.reason))
        dead.sort(key=lambda letter: letter.offset)
        return Decoded(together(reads) if reads else self._records(messages, [], []), dead)

    def _records(self, messages: Messages, rows: list[Any], kept: Sequence[int]) -> Read:
        columns: dict[str, Any] = {}
        values = np.empty((len(rows), len(self.channels)))
        for d, path in enumerate(self.channels):
            columns[path] = values[:, d] = self._channel(self._column(rows, path))
        names = self._names(messages, rows, kept, columns)
        # A message that is none must not begin a series, so codes are given when all is read.
        at = slice(None) if len(kept) == len(messages) else np.array(kept, np.int64)
        times = self._times(messages, rows, at, names, columns)
        series = _codes_of(names, self._codes)
        return Read(
            series=series,
            times=times,
            values=values,
            partitions=messages.partitions[at],
            offsets=messages.offsets[at],
            columns=self._passed(rows, columns),
        )

    def _channel(self, fields: list[Any]) -> Float64Array:
        values = self._values(fields)
        if len(self._missing_numbers):
            values[np.isin(values, self._missing_numbers)] = np.nan
        return values

    def _names(
        self, messages: Messages, rows: list[Any], kept: Sequence[int], columns: dict[str, Any]
    ) -> list[str]:
        """Of each record the name of its series."""
        if not self._key:
            return [""] * len(rows)
        parts = []
        for path in self._key:
            if path == MESSAGE:
                names = [_text_of(messages.keys[place], i) for i, place in enumerate(kept)]
            else:
                names = _as_names(self._column(rows, path))
            columns["key" if path == MESSAGE else path] = names
            parts.append(names)
        whole = parts[0] if len(parts) == 1 else [KEY_MARK.join(names) for names in zip(*parts, strict=True)]
        for place, reason in key_faults(whole, KEY_MARK * (len(parts) - 1)).items():
            raise BadField(place, reason)
        return whole

    def _times(
        self,
        messages: Messages,
        rows: list[Any],
        at: slice | Int64Array,
        names: list[str],
        columns: dict[str, Any],
    ) -> Int64Array:
        if self._time == MESSAGE:
            times = messages.times[at]
            columns["time"] = times.view("M8[ns]")
            return times
        if self._time == NO_TIME_COLUMN:
            return np.full(len(rows), NO_TIME, np.int64)
        fields = self._time_fields(rows)
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
        raise BadField(place, f"the time {shown(repr(fields[place]))} is out of range")

    def _mixed(self, fields: list[Any], names: list[str]) -> Int64Array:
        """Times of any kind: text, numbers, none."""
        cells = []
        for place, field in enumerate(fields):
            if not (field is None or type(field) in {int, float, str}):
                raise BadField(place, f"the time is {kind_of(field)}")
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
            raise BadField(place, reason)
        return times

    def _reading(self, place: int, cell: str) -> Reading:
        """How times are written, by the first of them."""
        if self._unit is not None:
            return Reading((self._unit,))
        if _NUMBER.fullmatch(cell):
            return Reading((self._unit_of(place, float(cell)),))
        found = find_readings([cell])
        if len(found) != 1:
            raise BadField(place, f"the time {shown(cell)} is not understood; say record.time_format")
        return found[0]

    def _unit_of(self, place: int, number: float) -> str:
        """The unit of times that are numbers: as set, or as the first of them shows."""
        if self._unit is None:
            reading = find_epoch(np.array([number], np.float64)) if abs(number) < _LARGEST else None
            if reading is None:
                raise BadField(
                    place, f"the time {shown(repr(number))} is no epoch time; say record.time_format"
                )
            self._unit = reading.formats[0]
        return self._unit


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
    raise BadField(place, f"the key is {kind_of(field)}; it must be text or a number")


def _text_of(key: bytes | None, place: int) -> str:
    if key is None:
        raise BadField(place, "the message has no key")
    return key.decode("utf-8", FOREIGN)


def kind_of(field: Any) -> str:
    """What a field holds, in words."""
    if field is None:
        return "missing"
    kinds = {bool: "a truth value", dict: "an object", list: "a list", str: f"the text {shown(str(field))}"}
    return kinds.get(type(field), f"the number {shown(repr(field))}")


def dead_letter(messages: Messages, place: int, reason: str) -> DeadLetter:
    """A message as one that is no record."""
    return DeadLetter(
        messages.partition_names[messages.partitions[place]],
        int(messages.offsets[place]),
        reason,
        messages.values[place],
        messages.keys[place],
    )
