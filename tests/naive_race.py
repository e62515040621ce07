"""A plain twin of the race of alarms: one baseline's errors to alerts, record by record."""

from __future__ import annotations

from math import log1p, nan

import numpy as np
from naive_model import Clock
from naive_scoring import Alerts, Tail, surprise_of

from streamrnn.kernels import race
from streamrnn.kernels.plan import CALIBRATED, LATE, PROVISIONAL
from streamrnn.kernels.residuals import _MOST_INFLATION
from streamrnn.scoring import alert, fusion, tail


class Racer:
    """One side of one series; without errors of its own where it is told the detector's surprise."""

    def __init__(self, channels, level, budget):
        self.level, self.budget, self.clock = level, budget, Clock()
        self.usual, self.count = np.zeros(channels), np.zeros(channels)
        self.magnitude = np.zeros(channels)
        self.averages, self.seen = np.zeros(len(fusion.SPANS)), 0
        self.tail, self.alerts = Tail(), Alerts(0.0)

    def add(self, values, errors, time, status, surprise=None, lasts=False):
        """(score, strength, alert level, whether a detection, whether an event is open)."""
        assert status < LATE
        odd = self.clock.observe(time)
        self.alerts.allowed = self.budget * self.clock.typical
        scored = status in (PROVISIONAL, CALIBRATED)
        inflation = min(1.0 + 4.0 * odd**2, _MOST_INFLATION) if odd > 0.0 else 1.0
        score = evidence = nan
        if surprise is None:
            evidence = self._evidence(values, errors, inflation)
            score, surprise = (nan, nan) if np.isnan(evidence) else self._surprise(evidence, scored)
        elif not scored:
            surprise = nan
        if np.isnan(surprise):
            return score, 0.0, nan, False, self.alerts.open
        self.alerts.end_if_calm()
        level = surprise_of(self.alerts.level(self.level))
        normal = self.alerts.is_normal(surprise, level)
        alert_level, hit = self.alerts.alert_level, surprise >= level
        strength = self.alerts.judge(hit, surprise / alert.SURPRISE, (0, len(self.alerts.before)), lasts)
        if normal and not np.isnan(score):
            self.tail.learn(score, evidence)
        return score, strength, alert_level, hit, self.alerts.open

    def _evidence(self, values, errors, inflation):
        parts = []
        for d in np.flatnonzero(~np.isnan(errors)):
            self.magnitude[d] = max(self.magnitude[d], abs(values[d]))
            squared, size = errors[d] ** 2, self.usual[d] + (race._FLOOR * self.magnitude[d]) ** 2
            parts.append(log1p(squared / size / inflation) if self.count[d] and size else 0.0)
            if self.usual[d] > 0.0:
                squared = min(squared, race._LARGEST_ERROR * self.usual[d])
            self.count[d] += 1
            self.usual[d] += max(race._ERROR_GAIN, 1.0 / self.count[d]) * (squared - self.usual[d])
        return sum(parts) / len(parts) if parts else nan

    def _surprise(self, evidence, scored):
        self.averages += 2.0 / (np.array(fusion.SPANS) + 1.0) * (evidence - self.averages)
        self.seen += 1
        score = float(self.averages.sum())
        if scored and self.seen > tail.FIRST:
            return score, self.tail.judge(score, evidence)
        self.tail.learn(score, evidence)
        return nan, nan
