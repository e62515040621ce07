"""The fields of JSON objects that somebody wants, without making the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import msgspec

__all__ = ["JsonFields"]

_ABSENT = msgspec.UNSET
_anything = msgspec.json.Decoder().decode


class JsonFields:
    """Decodes JSON objects; of each it keeps what its paths name.

    A path names a field, with points into objects in it: ``data.temp``; a field
    whose own name has a point goes before. Of a name that comes twice the last
    counts. Fields that no path names must be JSON too, but their numbers may be
    of any size.

    Parameters
    ----------
    paths : sequence of str

    Examples
    --------
    >>> fields = JsonFields(["data.temp", "id"])
    >>> objects = fields.decode_many([b'{"id": 7, "data": {"temp": 20.5}, "note": "x"}', b"{}"])
    >>> fields.column(objects, "data.temp"), fields.column(objects, "id")
    ([20.5, None], [7, None])
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._parts = {path: path.split(".") for path in paths}
        heads = [parts[0] for parts in self._parts.values()]
        self._places = {name: f"field{i}" for i, name in enumerate(dict.fromkeys([*paths, *heads]))}
        fields: list[tuple[str, Any, Any]] = [
            (place, Any, _ABSENT if "." in name else None) for name, place in self._places.items()
        ]
        self._kind = msgspec.defstruct("Fields", fields, gc=False)
        renamed = {place: name for name, place in self._places.items()}
        try:
            kind = msgspec.defstruct("Fields", fields, gc=False, rename=renamed)
            self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(kind).decode
        except ValueError:  # a name has a character that JSON escapes
            self._decode = self._from_dict

    def decode(self, message: bytes) -> Any:
        """What one message holds, for ``column``.

        Raises
        ------
        msgspec.MsgspecError, UnicodeDecodeError, RecursionError
            Where it is no JSON object.
        """
        return self.decode_many([message])[0]

    def decode_many(self, messages: Sequence[bytes]) -> list[Any]:
        """The same of many; raises where one of them is no JSON object, TypeError where it is None."""
        if not all(map(bytes.isascii, messages)):
            for message in messages:
                bytes.decode(message)  # text that is passed over would not be looked at else
        return list(map(self._decode, messages))

    def column(self, objects: Sequence[Any], path: str) -> list[Any]:
        """The field of each object at a path; None where it is absent."""
        found = list(map(attrgetter(self._places[path]), objects))
        head, *rest = self._parts[path]
        if not rest:
            return found
        heads = map(attrgetter(self._places[head]), objects)
        return [
            _inner(around, rest) if whole is _ABSENT else whole
            for whole, around in zip(found, heads, strict=True)
        ]

    def _from_dict(self, message: bytes) -> Any:
        found = _anything(message)
        if not isinstance(found, dict):
            raise msgspec.ValidationError("Expected `object`")
        return self._kind(**{place: found[name] for name, place in self._places.items() if name in found})


def _inner(found: Any, parts: Sequence[str]) -> Any:
    for part in parts:
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found
