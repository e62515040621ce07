"""Counts of a run, taken batch by batch in bounded memory; the same however it is cut."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels import tally as kernel
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.events import EventLog
from streamrnn.pipelines.kernel_columns import KernelColumns
from streamrnn.pipelines.race import RACED_CHANNELS, Race
from streamrnn.records import STATUSES, Batch, Float64Array, Int64Array, Results
from streamrnn.scoring import linear
from streamrnn.settings import Settings
from streamrnn.space import address

__all__ = ["Counts", "Moment", "Tally"]

WARMING, PROVISIONAL, CALIBRATED, MISSING, LATE, DUPLICATE = range(len(STATUSES))
SEASON_BYTES = 64 * 2**20  # memory for the values of one season
LINEAR_BYTES = 64 * 2**20  # and for autoregressions
_FIRST_ROOM = 4  # series; then twice as many, and so on


class Moment(NamedTuple):
    """Where a record stands: its offset, and its time in ns UTC (``NO_TIME``: none)."""

    record: int
    time: int


class Counts(NamedTuple):
    """The numbers of one series, or of several together; indices are those of ``kernels/tally.py``.

    Attributes
    ----------
    counters : (COUNTERS,) int64
    largest : (2,) float64
        Of alert_strength and surprise.
    steps : (BINS,) int64
    step_sums : (BINS,) float64, ns
    """

    counters: Int64Array
    largest: Float64Array
    steps: Int64Array
    step_sums: Float64Array

    @property
    def statuses(self) -> Int64Array:
        """(6,) records of each status."""
        return self.counters[kernel.STATUS : kernel.STATUS + len(STATUSES)]

    @property
    def alarms(self) -> Int64Array:
        """(6,) detections of each status."""
        return self.counters[kernel.ALARM : kernel.ALARM + len(STATUSES)]

    @property
    def records(self) -> int:
        """How many there were."""
        return int(self.statuses.sum())

    def moment(self, which: int) -> Moment | None:
        """``FIRST``, ``LAST``, ``SCORED`` or ``SURE``; None where there was none."""
        record, time = self.counters[which : which + 2].tolist()
        return None if record < 0 else Moment(record, time)


class Tally:
    """What a summary needs to know of the records of many series and of their results.

    Parameters
    ----------
    settings : Settings
    season : int
        Records of one season, for the seasonal baseline; 0: none.
    step_ns : float
        Time between two records of a season, ns; 0: none.

    Attributes
    ----------
    events : EventLog
    race : Race
    labelled : bool
        Whether there were labels.
    """

    def __init__(self, settings: Settings, *, season: int = 0, step_ns: float = 0.0) -> None:
        self._channels = len(settings.channels)
        self.season = season if step_ns > 0.0 else 0
        self.step_ns = step_ns if self.season else 0.0
        self.events = EventLog(settings.channels)
        self.race = Race(settings)
        self._room = np.zeros(linear.ROOM)
        self.labelled = False
        self.n_series = 0
        self._rows = self._empty(_FIRST_ROOM)
        self._table = self._rows.table(self._room)

    @property
    def records(self) -> int:
        """Records of all series."""
        return int(self._rows.counters[:, kernel.STATUS : kernel.STATUS + len(STATUSES)].sum())

    @property
    def seasonal_series(self) -> int:
        """Series that the seasonal baseline is kept for: as many as fit into its memory."""
        if not self.season:
            return 0
        return min(self.n_series, SEASON_BYTES // (8 * self.season * (1 + self._channels)))

    def add(self, batch: Batch, found: Results, labels: NDArray[np.bool_] | None = None) -> None:
        """Take in the next records, what was found in them, and which are known to be odd.

        Parameters
        ----------
        batch : Batch
        found : Results
        labels : (n,) bool or None
        """
        if not len(batch):
            return
        self._make_room(int(batch.series.max()) + 1)
        self.labelled = self.labelled or labels is not None
        columns = KernelColumns(batch, found, labels)
        kernel.count_records(address(self._table), columns.address, self.step_ns)
        self.race.add(columns, self.n_series)
        self.events.add(batch, found)

    def series(self, code: int) -> Counts:
        """The numbers of one series."""
        return Counts(*(getattr(self._rows, name)[code] for name in Counts._fields))

    def newest(self, code: int) -> int:
        """Time of the newest record of a series, ns UTC; ``NO_TIME``: none."""
        return int(self._rows.counters[code, kernel.NEWEST])

    def total(self) -> Counts:
        """The numbers of all series together.

        Of several, the first moments and the longest step are the earliest and the
        longest of any; those of the first score and the first calibrated record
        belong to single series and are left out.
        """
        if self.n_series < 2:
            return self.series(0)
        used = [getattr(self._rows, name)[: self.n_series] for name in Counts._fields]
        sums = [column.sum(axis=0) for column in used]
        sums[1] = used[1].max(axis=0, initial=-1.0)
        _merge_moments(used[0], sums[0])
        return Counts(*sums)

    def races(self, codes: slice) -> tuple[Int64Array, Float64Array]:
        """Counts (series, channels, COUNTS) and sums (series, channels, SUMS) of the forecasts' errors."""
        return self._rows.counts[codes], self._rows.sums[codes]

    def column(self, which: int) -> Int64Array:
        """(series,) one counter of all series."""
        return self._rows.counters[: self.n_series, which]

    def strongest(self) -> list[int]:
        """All series: by alerts, then by their largest alert_strength and surprise."""
        largest = self._rows.largest[: self.n_series]
        keys = (largest[:, kernel.SURPRISE], largest[:, kernel.STRENGTH], self.column(kernel.ALERTS))
        order: list[int] = np.lexsort([-key for key in keys]).tolist()
        return order

    def _make_room(self, n_series: int) -> None:
        self.n_series = max(self.n_series, n_series)
        if n_series <= len(self._rows.counters):
            return
        wider = self._empty(max(n_series, 2 * len(self._rows.counters)))
        for old, new in zip(self._rows, wider, strict=True):
            new[: len(old)] = old
        self._rows, self._table = wider, wider.table(self._room)

    def _empty(self, n: int) -> _Rows:
        counters = np.zeros((n, kernel.COUNTERS), np.int64)
        counters[:, [kernel.FIRST, kernel.LAST, kernel.SCORED, kernel.SURE, kernel.EVENT_OFFSET]] = -1
        counters[:, [kernel.NEWEST, kernel.START, kernel.LONGEST_START]] = NO_TIME
        channels, season = self._channels, max(self.season, 1)
        kept = min(n, SEASON_BYTES // (8 * season * (1 + channels))) if self.season else 0
        raced = min(channels, RACED_CHANNELS)
        autoregressions = np.zeros((min(n, LINEAR_BYTES // (8 * linear.STATE * raced)), raced, linear.STATE))
        autoregressions[:] = linear.initial_state()
        return _Rows(
            counters=counters,
            largest=np.full((n, 2), -1.0),
            counts=np.zeros((n, channels, kernel.COUNTS), np.int64),
            sums=np.zeros((n, channels, kernel.SUMS)),
            before=np.full((n, channels, 2), np.nan),
            steps=np.zeros((n, kernel.BINS), np.int64),
            step_sums=np.zeros((n, kernel.BINS)),
            slots=np.full((kept, season), NO_TIME, np.int64),
            slot_values=np.full((kept, season, channels), np.nan),
            linear=autoregressions,
        )


class _Rows(NamedTuple):
    """The numbers of all series, in the order of their addresses in the kernel's table."""

    counters: Int64Array
    largest: Float64Array
    counts: Int64Array
    sums: Float64Array
    before: Float64Array
    steps: Int64Array
    step_sums: Float64Array
    slots: Int64Array
    slot_values: Float64Array
    linear: Float64Array

    def table(self, room: Float64Array) -> Int64Array:
        """Sizes and addresses; valid while this object and the kernel's room live."""
        sizes = [self.counts.shape[1], self.slots.shape[1], len(self.slots), *self.linear.shape[:2]]
        return np.array([*sizes, *map(address, self), address(room)], np.int64)


def _merge_moments(all_counters: Int64Array, merged: Int64Array) -> None:
    """Put moments of all series together, in place of their sums."""
    times = all_counters[:, kernel.FIRST + 1], all_counters[:, kernel.LAST + 1]
    merged[kernel.FIRST : kernel.SURE + 2] = -1
    seen = all_counters[:, kernel.FIRST] >= 0
    if seen.any():
        first = np.where(seen & (times[0] != NO_TIME), times[0], np.iinfo(np.int64).max).argmin()
        last = np.where(seen, times[1], NO_TIME).argmax()
        merged[kernel.FIRST : kernel.FIRST + 2] = all_counters[first, kernel.FIRST : kernel.FIRST + 2]
        merged[kernel.LAST : kernel.LAST + 2] = all_counters[last, kernel.LAST : kernel.LAST + 2]
        longest = all_counters[:, kernel.LONGEST].argmax()
        merged[[kernel.LONGEST, kernel.LONGEST_START]] = all_counters[
            longest, [kernel.LONGEST, kernel.LONGEST_START]
        ]
