"""Errors of several forecasters on the same records, and the simple forecasts to set them beside."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels.tally import SMOOTHING
from streamrnn.pipelines.tally import CALIBRATED, LATE, PROVISIONAL
from streamrnn.records import Batch, Float64Array, Int64Array, Results

__all__ = ["SIMPLE", "Errors"]

SIMPLE = ("last_value", "seasonal", "ewma")
_LARGEST = 1e100  # values beyond it count as missing for a fleet too


class Errors:
    """Sums of absolute errors, by series, forecaster, horizon and channel.

    A value counts only where it is there and scored, and every forecaster has a forecast for it:
    so all are judged by the same values. Memory does not grow with the records; of each series
    a season of values is kept, and forecasts until they are due.

    Parameters
    ----------
    fleets : int
        How many fleets forecast beside the simple ones.
    horizons : sequence of int
        Records ahead, rising from 1.
    season : int
        Records that the seasonal forecast looks back; 0: there is none.
    """

    def __init__(self, fleets: int, horizons: Sequence[int], season: int) -> None:
        self._fleets, self._horizons, self._season = fleets, tuple(horizons), season
        self._series: list[_Series] = []

    def add(self, batch: Batch, found: Sequence[Results]) -> None:
        """Take in records, and what each fleet found in them; late ones and duplicates are left out."""
        kept = np.flatnonzero(found[0].status < LATE)
        if not len(kept):
            return
        rows = kept[np.argsort(batch.series[kept], kind="stable")]
        codes = batch.series[rows]
        while len(self._series) <= codes[-1]:
            self._series.append(_Series(self._fleets, self._horizons, self._season, batch.values.shape[1]))
        scored = np.logical_and.reduce([np.isin(one.status, (PROVISIONAL, CALIBRATED)) for one in found])
        for part in np.split(rows, np.flatnonzero(np.diff(codes)) + 1):
            forecasts = [(one.yhat[part], one.ahead[part, :, :, 0]) for one in found]
            self._series[batch.series[part[0]]].add(batch.values[part], scored[part], forecasts)

    @property
    def sums(self) -> Float64Array:
        """(series, forecasters, horizons, channels) sensor units; the simple ones first, then the fleets."""
        return np.array([series.sums for series in self._series])

    @property
    def counts(self) -> Int64Array:
        """(series, horizons, channels) how many values were compared."""
        return np.array([series.counts for series in self._series])


class _Series:
    """The errors of one series."""

    def __init__(self, fleets: int, horizons: tuple[int, ...], season: int, channels: int) -> None:
        self.sums = np.zeros((len(SIMPLE) + fleets, len(horizons), channels))
        self.counts = np.zeros((len(horizons), channels), np.int64)
        self._horizons, self._season = horizons, season
        self._newest = np.full(channels, np.nan)
        self._level = np.full(channels, np.nan)
        longest = horizons[-1]
        self._values = _Past(max(longest, _seasons_back(longest, season)), channels)
        self._levels = _Past(longest, channels)
        self._ahead = [[_Past(h, channels) for h in horizons[1:]] for _ in range(fleets)]

    def add(
        self,
        values: Float64Array,
        scored: NDArray[np.bool_],
        forecasts: Sequence[tuple[Float64Array, Float64Array]],
    ) -> None:
        """Take in (n, channels) values; of each fleet yhat, and ahead (n, channels, later horizons)."""
        values = np.where(np.abs(values) <= _LARGEST, values, np.nan)
        self._learn(values)
        for made, (_, ahead) in zip(self._ahead, forecasts, strict=True):
            for k, past in enumerate(made):
                past.extend(ahead[:, :, k])
        known = scored[:, None] & ~np.isnan(values)
        for k, horizon in enumerate(self._horizons):
            due = self._simple(horizon)
            due += (
                [yhat for yhat, _ in forecasts]
                if k == 0
                else [made[k - 1].before(horizon) for made in self._ahead]
            )
            compared = np.logical_and.reduce([known, *(~np.isnan(one) for one in due)])
            self.counts[k] += compared.sum(axis=0)
            for j, one in enumerate(due):
                self.sums[j, k] += np.where(compared, np.abs(one - values), 0.0).sum(axis=0)

    def _learn(self, values: Float64Array) -> None:
        """Carry on what the simple forecasts go by; a missing value changes nothing of it."""
        newest, levels = np.empty_like(values), np.empty_like(values)
        for d, column in enumerate(values.T):
            places = np.maximum.accumulate(np.where(np.isnan(column), 0, np.arange(1, len(column) + 1)))
            newest[:, d] = np.append(self._newest[d], column)[places]
            # A tenth of a microsecond a value, beside some microseconds of every network.
            levels[:, d] = list(accumulate(column.tolist(), _smoothed, initial=float(self._level[d])))[1:]
        self._newest, self._level = newest[-1], levels[-1]
        self._values.extend(newest)
        self._levels.extend(levels)

    def _simple(self, horizon: int) -> list[Float64Array]:
        """Last value, seasonal (the last value before it has seen a season) and EWMA, for each record."""
        last = self._values.before(horizon)
        seasonal = last
        if self._season:
            ago = self._values.before(_seasons_back(horizon, self._season))
            seasonal = np.where(np.isnan(ago), last, ago)
        return [last, seasonal, self._levels.before(horizon)]


class _Past:
    """The newest rows of a column, with so many before them; NaN before the first."""

    def __init__(self, before: int, channels: int) -> None:
        self._before = before
        self._rows = np.full((before, channels), np.nan)

    def extend(self, rows: Float64Array) -> None:
        """Take in the next rows."""
        self._rows = np.concatenate([self._rows[len(self._rows) - self._before :], rows])

    def before(self, records: int) -> Float64Array:
        """For each row of the newest, that so many before it."""
        return self._rows[self._before - records : len(self._rows) - records]


def _seasons_back(horizon: int, season: int) -> int:
    """The fewest whole seasons that reach back over the horizon, in records; 0: there is no season."""
    return -(-horizon // season) * season if season else 0


def _smoothed(level: float, value: float) -> float:
    """The EWMA behind one more value; either may be missing."""
    if level != level:
        return value
    return level if value != value else level + SMOOTHING * (value - level)
