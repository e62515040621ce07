"""The alarms of each series since a daemon began, for the line that says what was asked and what came."""

from __future__ import annotations

import numpy as np

from streamrnn.records import STATUSES, Batch, Int64Array, Results

__all__ = ["ALERTS", "CALIBRATED", "DETECTIONS", "STATUS", "Came"]

_CALIBRATED, _LATE = STATUSES.index("calibrated"), STATUSES.index("late")
CALIBRATED, DETECTIONS, ALERTS, STATUS = range(4)


class Came:
    """Counts calibrated records, and detections and alerts among them.

    An alert is an event that reached the alert level; it counts once.

    Examples
    --------
    >>> from streamrnn import Batch, Fleet, Settings
    >>> fleet, came = Fleet(Settings(false_alarms=0.1)), Came()
    >>> batch = Batch.of_one_series(np.random.default_rng(0).normal(size=(1000, 1)))
    >>> came.add(batch, fleet.process(batch))
    >>> came.counts().shape, bool(came.counts()[CALIBRATED, 0] > 800)
    ((4, 1), True)
    """

    def __init__(self) -> None:
        self._counts = np.zeros((4, 0), np.int64)
        self._alerted: dict[int, tuple[int, int]] = {}  # the newest event of a series that counts

    def counts(self) -> Int64Array:
        """(4, series) calibrated records, detections, alerts, the newest record's status."""
        return self._counts.copy()

    def add(self, batch: Batch, found: Results) -> None:
        """Take in the next records and what was found in them."""
        if not len(batch):
            return
        series, n = batch.series, max(int(batch.series.max()) + 1, self._counts.shape[1])
        if n > self._counts.shape[1]:
            self._counts = np.pad(self._counts, ((0, 0), (0, n - self._counts.shape[1])))
        sure = found.status == _CALIBRATED
        self._counts[CALIBRATED] += np.bincount(series[sure], minlength=n)
        self._counts[DETECTIONS] += np.bincount(series[sure & found.is_anomaly], minlength=n)
        judged = found.status < _LATE
        self._counts[STATUS, series[judged]] = found.status[judged]  # of one place the last counts
        for row in np.flatnonzero(sure & (found.alert_strength >= found.alert_level)).tolist():
            event = int(found.event_partition[row]), int(found.event_offset[row])
            code = int(series[row])
            if self._alerted.get(code) != event:
                self._alerted[code] = event
                self._counts[ALERTS, code] += 1
