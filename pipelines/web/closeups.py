"""Every record around the strongest events of a long run, of which all else is thinned; in bounded memory."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels import thinning
from streamrnn.kernels.plan import LATE
from streamrnn.pipelines.events import Event
from streamrnn.pipelines.kept import CHANNELS, SeriesRows, row_size, single_rows
from streamrnn.records import Batch, Results

__all__ = ["AFTER", "BEFORE", "Closeups"]

BEFORE, AFTER = 150, 350  # records, the one that opens the event among the second
_MOST = 50  # events
_ROOM = 4_000_000  # numbers of all of them, and of what is kept to go before the next ones

_Id = tuple[int, int, int]  # of an event: series, partition and offset of the record that opened it


@dataclass
class _Open:
    """A close-up that grows."""

    id: _Id
    parts: list[SeriesRows] = field(default_factory=list)
    wanted: int = AFTER

    def add(self, rows: SeriesRows) -> None:
        some = _some(rows, slice(0, self.wanted))
        self.wanted -= len(some)
        self.parts.append(some)


class Closeups:
    """Collects close-ups: up to 150 records before an event, and 350 from its first on.

    Those of the 50 strongest events are kept, fewer of many channels: 22 of 30. Of very
    many series the first are looked at, 2,000 of one channel.

    Parameters
    ----------
    channels : tuple of str
    """

    def __init__(self, channels: tuple[str, ...]) -> None:
        self._channels = min(len(channels), CHANNELS)
        width = row_size(self._channels)
        self._most = max(1, min(_MOST, _ROOM // ((BEFORE + AFTER) * width)))
        self._series = max(1, _ROOM // (BEFORE * width))
        self._recent: dict[int, SeriesRows] = {}
        self._open: dict[int, list[_Open]] = {}
        self._strongest: list[tuple[tuple[float, float, _Id], SeriesRows]] = []

    def add(self, batch: Batch, found: Results) -> None:
        """Take in the next records and what was found in them."""
        places = np.flatnonzero((found.status < LATE) & (batch.series < self._series))
        if not len(places):
            return
        places = places[np.argsort(batch.series[places], kind="stable")]
        codes = batch.series[places]
        opens = (found.event_offset == batch.offsets) & (found.event_partition == batch.partitions)
        rows = single_rows(batch, found, places, self._channels)
        for part in np.split(np.arange(len(places)), np.flatnonzero(np.diff(codes)) + 1):
            mine = places[part]
            first = np.flatnonzero(opens[mine])
            ids = list(zip(first.tolist(), batch.partitions[mine[first]].tolist(), strict=True))
            self._take(int(codes[part[0]]), _some(rows, part), ids)

    def of(self, event: Event) -> SeriesRows | None:
        """The close-up of an event; None where there is none."""
        wanted = (event.series, event.partition, event.first)
        for (_, _, found), rows in self._strongest:
            if found == wanted:
                return rows
        growing = self._open.get(event.series, [])
        return next((_joined(*one.parts) for one in growing if one.id == wanted), None)

    def _take(self, code: int, rows: SeriesRows, opened: list[tuple[int, int]]) -> None:
        """Consecutive records of a series; events open at some of them, given with their partitions."""
        growing = self._open.pop(code, [])
        for one in growing:
            one.add(rows)
        before = self._recent.get(code, _some(rows, slice(0, 0)))
        for place, partition in opened:
            offset = int(rows.whole[place, thinning.OFFSET])
            start = max(place - BEFORE, 0)
            earlier = _some(before, slice(max(len(before) - BEFORE + place, 0), None))
            new = _Open((code, partition, offset), [earlier, _some(rows, slice(start, place))])
            new.add(_some(rows, slice(place, None)))
            growing.append(new)
        self._recent[code] = _some(_joined(before, rows), slice(-BEFORE, None))
        for one in growing:
            if one.wanted:
                self._open.setdefault(code, []).append(one)
            else:
                self._keep(one)

    def _keep(self, one: _Open) -> None:
        rows = _joined(*one.parts)
        strength = float(rows.column("strength").max())
        surprise = float(np.nan_to_num(rows.column("surprise"), nan=-1.0).max())
        put = heapq.heappush if len(self._strongest) < self._most else heapq.heappushpop
        put(self._strongest, ((strength, surprise, one.id), rows))


def _some(rows: SeriesRows, which: slice | NDArray[np.int64]) -> SeriesRows:
    """A copy of some rows, so that it keeps no larger memory alive."""
    return SeriesRows(1, rows.whole[which].copy(), rows.numbers[which].copy())


def _joined(*parts: SeriesRows) -> SeriesRows:
    whole = np.concatenate([part.whole for part in parts])
    return SeriesRows(1, whole, np.concatenate([part.numbers for part in parts]))
