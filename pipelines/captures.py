"""What it takes to see a past alert again: a series' state at the last snapshot, and its records since.

Records are kept in memory between two snapshots, within a bound; where there were
more, nothing is captured, and ``explain`` says so.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec
import numpy as np

from streamrnn.errors import StateError
from streamrnn.fleet import Fleet
from streamrnn.pipelines.feedback import Said
from streamrnn.pipelines.incident import Peak
from streamrnn.pipelines.spill import SqliteSpill
from streamrnn.pipelines.store import Store
from streamrnn.records import Batch, Int64Array
from streamrnn.state import HERE, NOWHERE, encode, one_row, place_of

__all__ = ["Capture", "Recorder", "opened"]

_MOST_BYTES = 8 << 20  # some 290,000 records of one channel
_COLUMNS = ("times", "values", "partitions", "offsets")
Part = Batch | Mapping[str, Any] | Said


@dataclass(frozen=True)
class Capture:
    """One series from some snapshot to the peak of an incident.

    Attributes
    ----------
    fleet : bytes
        A fleet of this series alone, as it was then.
    parts : list
        What came since, in order: records, tunable settings that changed, or what was said of events.
    peak : Peak
        What was found in the last record.
    """

    fleet: bytes
    parts: list[Part]
    peak: Peak


@dataclass
class _Base:
    """The snapshot that records are kept since: its series, their lives, and what it was set to."""

    snapshot: int = 0
    series: int = 0
    lives: Int64Array = field(default_factory=lambda: np.empty(0, np.int64))
    settings: dict[str, Any] = field(default_factory=dict)


class Recorder:
    """Keeps what came since the last snapshot.

    Parameters
    ----------
    store : Store
        That holds the snapshots.
    fleet : Fleet
        As it is now: as the newest snapshot says, or new.
    most : int
        Records of one series in a capture; 0: nothing is kept.
    saved : bool
        Whether there is a snapshot.
    spill : SqliteSpill or None
        That holds the series for which there is no room in memory.
    """

    def __init__(
        self, store: Store, fleet: Fleet, most: int, *, saved: bool = False, spill: SqliteSpill | None = None
    ) -> None:
        self._store, self._most, self._spill = store, most, spill
        self.rebase(fleet, saved=saved)

    def rebase(self, fleet: Fleet, *, saved: bool = True) -> None:
        """A snapshot was saved: begin anew from there."""
        series = len(fleet.keys) if saved else 0
        self._base = _Base(
            snapshot=self._store.newest_snapshot if saved else 0,
            series=series,
            lives=fleet.lives[:series].copy(),
            settings=fleet.settings.saved(),
        )
        self._parts: list[Part] = []
        self._bytes = 0

    def records(self, batch: Batch) -> None:
        """A batch was processed."""
        if not self._most or self._bytes > _MOST_BYTES:
            return
        plain = Batch(batch.series, batch.times, batch.values, batch.partitions, batch.offsets)
        self._bytes += sum(column.nbytes for column in vars(plain).values())
        self._parts.append(plain)
        if self._bytes > _MOST_BYTES:
            self._parts = []

    def changed(self, settings: Mapping[str, Any]) -> None:
        """Tunable settings changed between two batches."""
        if self._bytes <= _MOST_BYTES:
            self._parts.append(dict(settings))

    def told(self, said: Said) -> None:
        """Something was said of an event between two batches."""
        if self._bytes <= _MOST_BYTES:
            self._parts.append(said)

    def take(self, code: int, fleet: Fleet, peak: Peak) -> bytes | None:
        """A capture of a series up to a peak, as bytes.

        None where more came than is kept, or the series was forgotten meanwhile.

        Raises
        ------
        StateError, StoreError
            Where the snapshot cannot be read.
        """
        forgotten = code < self._base.series and fleet.lives[code] != self._base.lives[code]
        if not self._most or self._bytes > _MOST_BYTES or forgotten:
            return None
        self._join()
        parts: list[dict[str, Any]] = []
        left = self._most
        for part in self._parts:
            if isinstance(part, Batch):
                columns = _of(part, code, peak)
                left -= len(columns["times"]) // 8
                parts.append(columns)
            elif isinstance(part, Said):
                parts += [{"said": part.to_dict()}] if part.key == fleet.keys[code] else []
            else:
                parts.append({"settings": dict(part)})
        if left < 0:
            return None
        capture = {
            "fleet": self._state(code, fleet),
            "channels": len(fleet.settings.channels),
            "parts": parts,
            "peak": list(peak),
        }
        return zlib.compress(msgspec.msgpack.encode(capture), 1)

    def _state(self, code: int, fleet: Fleet) -> bytes:
        """A fleet of one series, as it was in the snapshot; a series that is younger, anew."""
        key, base = fleet.keys[code], self._base
        read = partial(self._store.snapshot_part, base.snapshot)
        place, start = NOWHERE, 0
        if code < base.series:
            place, start = place_of(read, code, base.series, fleet.layout.row_bytes)
        if place == NOWHERE:
            young = Fleet(fleet.settings.from_dict(base.settings))
            young.series([key])
            return young.to_bytes()
        row = read(start, fleet.layout.row_bytes) if place == HERE else self._stored(key)
        return encode(one_row(base.settings, key, np.frombuffer(row, np.uint8)))

    def _stored(self, key: str) -> bytes:
        """A series' state in the store of the snapshot."""
        row = None if self._spill is None else self._spill.as_of(self._base.snapshot, key)
        if row is None:
            raise StateError(f"the state of series {key!r} at the snapshot is gone")
        return row

    def _join(self) -> None:
        """Make neighbouring batches one, so that many looks cost little."""
        joined: list[Part] = []
        run: list[Batch] = []
        for part in [*self._parts, None]:
            if isinstance(part, Batch):
                run.append(part)
                continue
            if run:
                joined.append(_one(run))
                run = []
            if part is not None:
                joined.append(part)
        self._parts = joined


def opened(data: bytes) -> Capture:
    """The capture that bytes hold.

    Raises
    ------
    StateError
        Where they hold none.
    """
    try:
        held = msgspec.msgpack.decode(zlib.decompress(data))
        parts = [_part(part, held["channels"]) for part in held["parts"]]
        *numbers, _parts = held["peak"]
        peak = Peak._make([*numbers, ()])
        return Capture(held["fleet"], parts, peak)
    except (zlib.error, msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        raise StateError(f"a capture is damaged: {error!r}") from None


def _of(batch: Batch, code: int, peak: Peak) -> dict[str, bytes]:
    """The records of a series, up to the peak where it is among them."""
    rows = np.flatnonzero(batch.series == code)
    at_peak = (batch.partitions[rows] == peak.partition) & (batch.offsets[rows] == peak.offset)
    if at_peak.any():
        rows = rows[: int(np.argmax(at_peak)) + 1]
    return {name: getattr(batch, name)[rows].tobytes() for name in _COLUMNS}


def _one(run: Sequence[Batch]) -> Batch:
    return (
        run[0]
        if len(run) == 1
        else Batch(*(np.concatenate([getattr(b, name) for b in run]) for name in ("series", *_COLUMNS)))
    )


def _part(part: Mapping[str, Any], channels: int) -> Part:
    """What came between a snapshot and a peak, as it was packed."""
    if "said" in part:
        return Said.from_dict(part["said"])
    settings: Mapping[str, Any] | None = part.get("settings")
    return _batch(part, channels) if settings is None else settings


def _batch(part: Mapping[str, bytes], channels: int) -> Batch:
    times = np.frombuffer(part["times"], np.int64)
    return Batch(
        series=np.zeros(len(times), np.int32),
        times=times,
        values=np.frombuffer(part["values"], np.float64).reshape(len(times), channels),
        partitions=np.frombuffer(part["partitions"], np.int32),
        offsets=np.frombuffer(part["offsets"], np.int64),
    )
