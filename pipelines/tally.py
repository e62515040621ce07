"""Counts of a run, taken batch by batch in bounded memory; the same however it is cut."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels.scaler import LARGEST
from streamrnn.pipelines.events import EventLog
from streamrnn.records import STATUSES, Batch, Float64Array, Results
from streamrnn.settings import Settings

__all__ = ["Moment", "Tally"]

WARMING, PROVISIONAL, CALIBRATED, MISSING, LATE, DUPLICATE = range(len(STATUSES))


class Moment(NamedTuple):
    """Where a record stands: its offset, and its time in ns UTC (``NO_TIME``: none)."""

    record: int
    time: int


class Tally:
    """What a summary needs to know of the records of one series and of their results.

    Attributes
    ----------
    records : int
    statuses : (6,) int64
        Records of each status.
    normal : int
        Scored records that were no detections: they calibrate.
    alarms : (6,) int64
        Detections of each status.
    first, last : Moment or None
        First record, and the last that was not late.
    first_scored, first_calibrated : Moment or None
    compared : (channels,) int64
        Scored values that have a forecast and a value before them.
    error, naive_error : (channels,) float64
        Sums of their absolute errors: of the forecast, and of the last value as forecast.
    within : (channels,) int64
        How many of them were inside of the interval.
    events : EventLog
    """

    def __init__(self, settings: Settings) -> None:
        channels = len(settings.channels)
        self.records = 0
        self.statuses = np.zeros(len(STATUSES), np.int64)
        self.alarms = np.zeros(len(STATUSES), np.int64)
        self.normal = 0
        self.first: Moment | None = None
        self.last: Moment | None = None
        self.first_scored: Moment | None = None
        self.first_calibrated: Moment | None = None
        self.compared = np.zeros(channels, np.int64)
        self.within = np.zeros(channels, np.int64)
        self.error = np.zeros(channels)
        self.naive_error = np.zeros(channels)
        self.events = EventLog(settings.channels)
        self._newest = np.full(channels, np.nan)

    def add(self, batch: Batch, found: Results) -> None:
        """Take in the next records and what was found in them."""
        scored = (found.status == PROVISIONAL) | (found.status == CALIBRATED)
        in_order = found.status < LATE
        self.records += len(batch)
        self.statuses += np.bincount(found.status, minlength=len(STATUSES))
        self.alarms += np.bincount(found.status[found.is_anomaly], minlength=len(STATUSES))
        self.normal += int((scored & ~found.is_anomaly).sum())
        self.first = self.first or _moment(batch, np.ones(len(batch), np.bool_), 0)
        self.last = _moment(batch, in_order, -1) or self.last
        self.first_scored = self.first_scored or _moment(batch, scored, 0)
        self.first_calibrated = self.first_calibrated or _moment(batch, found.status == CALIBRATED, 0)
        self._compare(batch, found, scored, in_order)
        self.events.add(batch, found)

    def _compare(
        self, batch: Batch, found: Results, scored: NDArray[np.bool_], in_order: NDArray[np.bool_]
    ) -> None:
        """Forecasts and last values against what came."""
        usable = in_order[:, None] & (np.abs(batch.values) <= LARGEST)  # False where NaN
        for d in range(batch.values.shape[1]):
            actual = np.where(usable[:, d], batch.values[:, d], np.nan)
            before = _last_values(self._newest[d], actual)
            self._newest[d], before = before[-1], before[:-1]
            both = scored & ~np.isnan(found.yhat[:, d] + actual + before)
            self.compared[d] += both.sum()
            low, high = found.yhat_lower[both, d], found.yhat_upper[both, d]
            self.within[d] += ((low <= actual[both]) & (actual[both] <= high)).sum()
            self.error[d] = _added(self.error[d], np.abs(found.yhat[both, d] - actual[both]))
            self.naive_error[d] = _added(self.naive_error[d], np.abs(before[both] - actual[both]))


def _moment(batch: Batch, which: NDArray[np.bool_], at: int) -> Moment | None:
    rows = np.flatnonzero(which)
    if not len(rows):
        return None
    return Moment(int(batch.offsets[rows[at]]), int(batch.times[rows[at]]))


def _last_values(newest: float, values: Float64Array) -> Float64Array:
    """The last value known before each record, and, behind them, after the last: (n + 1,)."""
    held = np.concatenate([[newest], values])
    known = np.where(np.isnan(held), 0, np.arange(len(held)))
    return held[np.maximum.accumulate(known)]


def _added(total: float, more: Float64Array) -> float:
    """The sum in order of arrival, so that it does not depend on how a stream is cut."""
    return float(np.add.accumulate(np.concatenate([[total], more]))[-1])
