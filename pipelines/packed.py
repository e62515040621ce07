"""Columns to versioned bytes and back: what a snapshot holds beside the models.

Format 1, little-endian: magic (8 bytes), format and length of the header (uint32
each), header (JSON: type and shape of each array, and whatever else), the arrays one
after the other. The store's checksums cover all of it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.base import Column, Read
from streamrnn.errors import StateError

__all__ = ["pack", "pack_read", "unpack", "unpack_read"]

_MAGIC, _FORMAT = b"SRNNCOLS", 1
_PREFIX = struct.Struct("<8sII")
_ARRAYS = ("series", "times", "values", "partitions", "offsets")


def pack(arrays: Mapping[str, NDArray[Any]], **others: Any) -> bytes:
    """Arrays, and values that JSON knows, as bytes.

    Examples
    --------
    >>> arrays, others = unpack(pack({"times": np.array([3, 5])}, window=7))
    >>> arrays["times"].tolist(), others
    ([3, 5], {'window': 7})
    """
    types = {name: [array.dtype.str, array.shape] for name, array in arrays.items()}
    header = json.dumps({"arrays": types, "others": others}, separators=(",", ":")).encode()
    prefix = _PREFIX.pack(_MAGIC, _FORMAT, len(header))
    return b"".join([prefix, header, *(array.tobytes() for array in arrays.values())])


def unpack(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays and the other values that bytes hold.

    Raises
    ------
    StateError
        Where they are something else, of a newer format or cut short.
    """
    magic, version, length = _PREFIX.unpack_from(data) if len(data) >= _PREFIX.size else (b"", 0, 0)
    if magic != _MAGIC or version != _FORMAT:
        raise StateError(f"a snapshot holds columns of format {version}, this streamrnn reads {_FORMAT}")
    at = _PREFIX.size + length
    header = json.loads(data[_PREFIX.size : at])
    arrays = {}
    for name, (kind, shape) in header["arrays"].items():
        dtype, count = np.dtype(kind), int(np.prod(shape, dtype=np.int64))
        if at + count * dtype.itemsize > len(data):
            raise StateError("a snapshot holds columns that are cut short")
        arrays[name] = np.frombuffer(data, dtype, count, at).reshape(shape).copy()
        at += count * dtype.itemsize
    return arrays, header["others"]


def pack_read(read: Read) -> bytes:
    """Records, and the rows that they were read from, as bytes."""
    arrays: dict[str, NDArray[Any]] = {name: getattr(read, name) for name in _ARRAYS}
    if read.labels is not None:
        arrays["labels"] = read.labels
    columns: list[tuple[str, list[Any] | None]] = []
    for place, (name, cells) in enumerate(read.columns.items()):
        whole = isinstance(cells, np.ndarray) and cells.dtype.kind != "O"
        if whole:
            arrays[f"column {place}"] = np.asarray(cells)
        columns.append((name, None if whole else list(cells)))
    return pack(arrays, columns=columns)


def unpack_read(data: bytes) -> Read:
    """The records that bytes hold; raises as ``unpack``."""
    arrays, others = unpack(data)
    columns: dict[str, Column] = {
        name: arrays[f"column {place}"] if cells is None else cells
        for place, (name, cells) in enumerate(others["columns"])
    }
    return Read(**{name: arrays[name] for name in _ARRAYS}, columns=columns, labels=arrays.get("labels"))
