"""Rows to versioned bytes and back.

Format 1, little-endian: magic (8 bytes), format (uint32), length of the header
(uint32), header (JSON: settings, keys, bytes of a row), rows, CRC-32 of all that
comes before it (uint32).

A state is read with sizes computed from its settings, and every number of a row
that kernels use as an index is checked, so bytes from elsewhere can be wrong but
never reach memory that is not theirs.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import SettingsError, StateError
from streamrnn.kernels import plan
from streamrnn.layout import ModelLayout
from streamrnn.scoring import alert, feedback, novelty
from streamrnn.settings import Settings

MAGIC = b"strmrnn\n"
FORMAT = 1
_PREFIX = struct.Struct("<8sII")
_CRC = struct.Struct("<I")


@dataclass(frozen=True)
class SavedState:
    """What a saved state holds.

    Attributes
    ----------
    settings : dict
        As ``Settings.to_dict`` gave them; ``channels`` is None where no record came.
    keys : list of str
        Keys of the series, in the order of their rows.
    rows : (series, row bytes) uint8
    """

    settings: dict[str, Any]
    keys: list[str]
    rows: NDArray[np.uint8]


def encode(state: SavedState) -> bytes:
    """A state as bytes; the same state gives the same bytes."""
    header = {"settings": state.settings, "keys": state.keys, "row_bytes": int(state.rows.shape[1])}
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    body = _PREFIX.pack(MAGIC, FORMAT, len(text)) + text + state.rows.tobytes()
    return body + _CRC.pack(zlib.crc32(body))


def decode(data: bytes) -> SavedState:
    """The state that bytes hold.

    Raises
    ------
    StateError
        Where they are not a state, of a newer format, cut short or changed.
    """
    if len(data) < _PREFIX.size + _CRC.size or not data.startswith(MAGIC):
        raise StateError("this is not a saved streamrnn state (it does not start with its mark)")
    _, version, length = _PREFIX.unpack_from(data)
    if version != FORMAT:
        raise StateError(
            f"the state has format {version}, this streamrnn reads format {FORMAT}; "
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
        ok = isinstance(settings, dict) and all(isinstance(key, str) for key in keys)
        ok = ok and isinstance(row_bytes, int) and row_bytes >= 0 and len(set(keys)) == len(keys)
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(f"the state's header cannot be read: {error!r}") from None
    rows = np.frombuffer(body, np.uint8, offset=_PREFIX.size + length) if ok else np.zeros(0, np.uint8)
    if not ok or rows.size != len(keys) * row_bytes:
        raise StateError("the state's header does not fit what follows it")
    return SavedState(settings, keys, rows.reshape(len(keys), row_bytes))


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
    """Refuse rows whose size or indices do not belong to the layout."""
    if rows.shape[0] and rows.shape[1] != layout.row_bytes:
        raise StateError(
            f"a series' state has {rows.shape[1]} bytes, its settings need {layout.row_bytes}; "
            "the state comes from another version or other settings"
        )
    for code, row in enumerate(rows):
        for name, index, largest, dtype in _indices(layout):
            value = layout.segment(row, name, dtype)[index]
            if not np.all((value >= 0) & (value <= largest)):
                raise StateError(
                    f"the state is damaged: series {code} has {name} = {value}, not from 0 to {largest}"
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
    for i in range(len(layout.networks)):
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
