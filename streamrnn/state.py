"""Rows to versioned bytes and back.

Format 2, little-endian: magic (8 bytes), format (uint32), length of the header
(uint32), header (JSON: settings, keys, bytes of a row, lengths of the columns), where
each series' row is (uint8: ``NOWHERE``, ``HERE``, ``STORED``), the rows that are here, columns
of int64, CRC-32 of all that comes before it (uint32). Format 1, written where every row
is here and there are no columns, has neither lengths nor places. The prior that series
begin from is a column, so that a state needs no other file. The header is filled up with
spaces, so that rows begin at a multiple of 64, as in memory.

A state is read with sizes computed from its settings, and every number of a row
that kernels use as an index is checked, so bytes from elsewhere can be wrong but
never reach memory that is not theirs.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import SettingsError, StateError
from streamrnn.kernels import plan
from streamrnn.layout import ModelLayout
from streamrnn.prior import Prior
from streamrnn.scoring import alert, feedback, novelty
from streamrnn.settings import Settings
from streamrnn.space import ALIGNMENT

MAGIC = b"strmrnn\n"
FORMAT = 2
NOWHERE, HERE, STORED = range(3)
_PREFIX = struct.Struct("<8sII")
_CRC = struct.Struct("<I")
_PRIOR = "prior"  # name of its column


@dataclass(frozen=True)
class SavedState:
    """What a saved state holds.

    Attributes
    ----------
    settings : dict
        As ``Settings.saved`` gave them; ``channels`` is None where no record came.
    keys : list of str
        Keys of the series, in the order of their rows.
    rows : sequence of (row bytes,) uint8, or (rows, row bytes) uint8
        Of the series whose rows are here, in their order.
    places : (series,) uint8
        Where each row is: ``HERE``, ``STORED`` elsewhere, or ``NOWHERE``, since its series begins anew.
    columns : dict of str to (n,) int64
        What else there is.
    """

    settings: dict[str, Any]
    keys: Sequence[str]
    rows: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]
    places: NDArray[np.uint8]
    columns: dict[str, NDArray[np.int64]] = field(default_factory=dict)


def encode(state: SavedState) -> bytes:
    """A state as bytes, and no memory beside theirs; the same state gives the same bytes."""
    size = state.rows[0].size if len(state.rows) else 0
    settings, columns = dict(state.settings), dict(state.columns)
    if isinstance(prior := settings.get("prior"), Prior):
        settings["prior"] = prior.digest
        if prior.data:
            columns[_PRIOR] = _as_column(prior.data)
    header: dict[str, Any] = {"settings": settings, "keys": list(state.keys), "row_bytes": size}
    places, version = b"", 1
    if columns or (state.places != HERE).any():
        header["columns"] = {name: len(column) for name, column in columns.items()}
        places, version = state.places.tobytes(), FORMAT
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-(_PREFIX.size + len(text) + len(places)) % ALIGNMENT)
    parts: list[Any] = [_PREFIX.pack(MAGIC, version, len(text)), text, places]
    parts += [np.ascontiguousarray(row).data for row in state.rows if row.size]
    parts += [column.tobytes() for _, column in sorted(columns.items())]
    checksum = 0
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return b"".join([*parts, _CRC.pack(checksum)])


def decode(data: bytes | memoryview) -> SavedState:
    """The state that bytes hold, whose rows share their memory.

    Raises
    ------
    StateError
        Where they are not a state, of a newer format, cut short or changed.
    """
    if len(data) < _PREFIX.size + _CRC.size or data[: len(MAGIC)] != MAGIC:
        raise StateError("this is not a saved streamrnn state (it does not start with its mark)")
    _, version, length = _PREFIX.unpack_from(data)
    if not 0 < version <= FORMAT:
        raise StateError(
            f"the state has format {version}, this streamrnn reads formats up to {FORMAT}; "
            "use the version of streamrnn that wrote it"
        )
    body = memoryview(data)[: -_CRC.size]
    if zlib.crc32(body) != _CRC.unpack(data[-_CRC.size :])[0]:
        raise StateError(
            f"the state is damaged: its checksum does not match its {len(data)} bytes; use an earlier copy"
        )
    try:
        header = json.loads(bytes(body[_PREFIX.size : _PREFIX.size + length]))
        settings, keys, row_bytes = header["settings"], header["keys"], header["row_bytes"]
        sizes = header.get("columns", {})
        ok = isinstance(settings, dict) and all(isinstance(key, str) for key in keys)
        ok = ok and len(set(keys)) == len(keys)
        ok = ok and all(isinstance(size, int) and size >= 0 for size in (row_bytes, *sizes.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateError(f"the state's header cannot be read: {error!r}") from None
    if not ok:
        raise StateError("the state's header does not fit what follows it")
    return _unpacked(header, sizes, body[_PREFIX.size + length :], version)


def _unpacked(header: dict[str, Any], sizes: dict[str, int], body: memoryview, version: int) -> SavedState:
    """The state that a header tells of, from what follows the header."""
    keys, size = header["keys"], header["row_bytes"]
    n = len(keys) if version > 1 else 0
    places = np.full(len(keys), HERE, np.uint8)
    if n and len(body) >= n:
        places = np.frombuffer(body, np.uint8, count=n)
    here = int((places == HERE).sum())
    if len(body) != n + here * size + 8 * sum(sizes.values()) or (places > STORED).any():
        raise StateError("the state's header does not fit what follows it")
    rows = np.frombuffer(body, np.uint8, here * size, n) if here * size else np.zeros(0, np.uint8)
    columns, at = {}, n + here * size
    for name, length in sorted(sizes.items()):
        columns[name] = np.frombuffer(body[at : at + 8 * length], np.int64)
        at += 8 * length
    settings = header["settings"]
    if (column := columns.pop(_PRIOR, None)) is not None:
        settings = {**settings, "prior": _prior_of(column, settings.get("prior"))}
    return SavedState(settings, keys, rows.reshape(here, size), places, columns)


def _as_column(data: bytes) -> NDArray[np.int64]:
    """Bytes as int64: how many, then they, filled up."""
    filled = struct.pack("<q", len(data)) + data + bytes(-len(data) % 8)
    return np.frombuffer(filled, np.int64)


def _prior_of(column: NDArray[np.int64], digest: object) -> Prior:
    """The prior that a state brings along."""
    if not len(column) or not 0 <= column[0] <= column[1:].nbytes:
        raise StateError("the state's header does not fit what follows it")
    prior = Prior.from_bytes(column[1:].tobytes()[: column[0]])
    if prior.digest != digest:
        raise StateError("the prior in the state is not the one that its settings name")
    return prior


def place_of(read: Callable[[int, int], bytes], code: int, series: int, row_bytes: int) -> tuple[int, int]:
    """Where a series' row is by a saved state that is read in parts.

    Parameters
    ----------
    read : callable
        Of a start and a length, the bytes there.
    code : int
    series : int
        How many the state has.
    row_bytes : int

    Returns
    -------
    place : int
        ``HERE``, ``STORED`` or ``NOWHERE``.
    start : int
        Of a row that is here.
    """
    _, version, length = _PREFIX.unpack(read(0, _PREFIX.size))
    start = _PREFIX.size + length
    if version == 1:
        return HERE, start + code * row_bytes
    places = np.frombuffer(read(start, series), np.uint8)
    return int(places[code]), start + series + int((places[:code] == HERE).sum()) * row_bytes


def stored_series(data: bytes | memoryview) -> int:
    """How many series' rows lie elsewhere.

    Raises
    ------
    StateError
        Where the bytes are damaged, foreign or of another version.
    """
    return int((decode(data).places == STORED).sum())


def one_row(settings: dict[str, Any], key: str, row: NDArray[np.uint8]) -> SavedState:
    """A saved state of one series."""
    return SavedState(settings, [key], [row], np.array([HERE], np.uint8))


def merge_settings(saved: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Saved settings with tunable ones changed.

    Raises
    ------
    SettingsError
        Where a structural setting would change: the state's numbers would lose their meaning.
    """
    known = {**saved, "channels": saved.get("channels") or ("value",)}
    before = Settings.from_dict(known).structural()
    after = Settings.from_dict({**known, **changes}).structural()
    for name, value in after.items():
        if name in changes and value != before[name]:
            raise SettingsError(
                f"{name} is {changes[name]!r}, the saved state has {before[name]!r}; "
                "it shapes the state, so start anew or leave it as it was"
            )
    return {**saved, **{k: v for k, v in changes.items() if k != "channels"}}


def check_rows(layout: ModelLayout, rows: NDArray[np.uint8]) -> None:
    """Refuse rows, (rows, row bytes) uint8, whose size or indices do not belong to the layout."""
    if not len(rows):
        return
    if rows.shape[1] != layout.row_bytes:
        raise StateError(
            f"a series' state has {rows.shape[1]} bytes, its settings need {layout.row_bytes}; "
            "the state comes from another version or other settings"
        )
    for name, index, largest, dtype in _indices(layout):
        values = layout.segment(rows, name, dtype)[:, index].reshape(len(rows), -1)
        wrong = np.argwhere(~((values >= 0) & (values <= largest)))
        if len(wrong):
            code, at = wrong[0].tolist()
            raise StateError(
                f"the state is damaged: series {code} has {name} = {values[code, at]}, "
                f"not from 0 to {largest}"
            )


def _indices(layout: ModelLayout) -> list[tuple[str, Any, int, type[np.generic]]]:
    """(segment, index, largest value, type) of every number that kernels count or index with."""
    settings, preset, most = layout.settings, layout.preset, 2**62
    everywhere = slice(None)
    whole: list[tuple[str, Any, int]] = [
        ("counters", plan.STEP_RECORDS, most),
        ("counters", plan.STEP_SLOT, settings.horizons[-1] - 1),
        ("counters", plan.STEP_STEPS, most),
        ("counters", plan.STEP_LATE, most),
        ("seen", everywhere, most),
        ("residuals", everywhere, most),
        ("event", alert.RECORDS, most),
        ("event", alert.ROOM, preset.longest),
        ("event", alert.HEAD, preset.longest),
        ("event", alert.HELD, preset.longest + 1),
        ("told_event", alert.RECORDS, most),
        ("told_event", alert.ROOM, preset.longest),
        ("told_event", alert.HEAD, preset.longest),
        ("told_event", alert.HELD, preset.longest + 1),
        ("feedback", feedback.TEMPLATES, preset.templates),
        ("feedback", feedback.EVENTS, most),
    ]
    for i in (i for i, shape in enumerate(layout.networks) if not shape.shared):
        whole += [
            (f"network{i}.counters", plan.COUNT_SLOT, settings.k2),
            (f"network{i}.counters", plan.COUNT_FILLED, settings.k2),
            (f"network{i}.counters", plan.COUNT_SINCE, settings.k1),
            (f"network{i}.mask", everywhere, 1),
        ]
    for d in range(len(settings.channels) if layout.groups else 0):
        for i, group in enumerate(layout.groups):
            last = group.network.slots - 1
            whole += [
                (f"channel{d}.group{i}.counters", plan.COUNT_SLOT, last),
                (f"channel{d}.group{i}.counters", plan.COUNT_FILLED, last),
                (f"channel{d}.group{i}.counters", plan.COUNT_SINCE, 1),
                (f"channel{d}.group{i}.mask", everywhere, 1),
            ]
    of_values = slice(novelty.COUNT, None, novelty.VALUES)
    memories = [("novelty", of_values, novelty.VALUE_CODES)]
    if len(settings.channels) == 1:
        memories += [
            ("pairs", slice(novelty.PAIR_COUNT, None, novelty.pairs_size(preset.pairs)), preset.pairs),
            ("context", of_values, novelty.VALUE_CODES),
        ]
    return [*((*check, np.int64) for check in whole), *((*check, np.float64) for check in memories)]
