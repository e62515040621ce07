"""Plain twin of what an event looks like.

Constants come from the module under test: they may be tuned, the method may not change
unnoticed.
"""

from __future__ import annotations

import numpy as np
from naive_evidence import ANCHORED, Evidence
from naive_scoring import Alerts

from streamrnn.kernels import scaler
from streamrnn.scoring import autoregression as auto
from streamrnn.scoring import fusion, kinds


class Kinds:
    """Levels and jumps of every channel; what the open event looks like."""

    def __init__(self, channels: int) -> None:
        self.level, self.slow, self.jump = np.zeros((3, channels))
        self.now = 0
        self._begin()

    def _begin(self) -> None:
        self.before = self.level.copy()
        zeros = np.zeros_like
        self.peak, self.abrupt, self.away = zeros(self.level), zeros(self.level), zeros(self.level)
        self.soon, self.way, self.far = zeros(self.level), zeros(self.level), zeros(self.level)
        self.evidence = zeros(self.level)
        self.flat_for = self.restless_for = 0

    def observe(self, evidence: Evidence, alerts: Alerts, values: np.ndarray) -> None:
        """Take in a record that was judged, before it is learned."""
        if alerts.open and alerts.age == 0:
            self._begin()
        usable = np.isfinite(values) & (np.abs(np.nan_to_num(values)) <= scaler.LARGEST)
        for d in np.flatnonzero(usable):
            model = evidence.regressions[ANCHORED][d]
            y = float(np.clip(model.y, -kinds._FARTHEST, kinds._FARTHEST))
            jump = abs(model.error) / np.sqrt(model.usual + auto.SMALLEST_ERROR)
            self.jump[d] = max(jump, kinds._JUMP_KEEP * self.jump[d])
            if alerts.open:
                self._follow(d, y, evidence.shares[d], alerts.age)
            self.level[d] += kinds._GAIN * (y - self.level[d])
            bounded = np.clip(y, -kinds._FAR_ENOUGH, kinds._FAR_ENOUGH)
            self.slow[d] += kinds._SLOW_GAIN * (bounded - self.slow[d])
        if alerts.open:
            self.now = self._kind(evidence.kinds)

    def _follow(self, d: int, y: float, share: float, age: int) -> None:
        if abs(y - self.before[d]) > abs(self.peak[d]):
            self.peak[d] = y - self.before[d]
        if age <= kinds._JUST_BEGUN:
            self.abrupt[d] = max(self.abrupt[d], self.jump[d])
        moved = self.level[d] - self.before[d]
        self.away[d] += moved * self.peak[d] >= 0.5 * self.peak[d] ** 2
        if age <= kinds._SOON:
            self.soon[d] = abs(moved)
        self.way[d] = max(self.way[d], abs(moved))
        self.far[d] = max(self.far[d], abs(self.slow[d]))
        self.evidence[d] += share

    def _kind(self, found: np.ndarray) -> int:
        self.flat_for += found[fusion.FLAT] > 0.0
        self.restless_for += found[fusion.UNREST] > 0.0
        d = int(np.argmax(self.evidence))
        far, soon = self.far[d] >= kinds._FAR, self.soon[d] >= kinds._MOST_OF_THE_WAY * self.way[d]
        stays = self.away[d] >= kinds._AWAY and soon and (far or self.abrupt[d] >= kinds._CLEAR)
        restless = self.restless_for >= kinds._FOR_A_WHILE
        signs = (
            (self.flat_for >= kinds._FOR_A_WHILE, kinds.FLAT_LINE),
            (stays, kinds.LEVEL_SHIFT),
            (far and not soon, kinds.DRIFT),
            (restless and self.abrupt[d] < kinds._HUGE, kinds.VARIANCE_CHANGE),
            (self.abrupt[d] >= kinds._ABRUPT and self.peak[d] > 0.0, kinds.SPIKE),
            (self.abrupt[d] >= kinds._ABRUPT, kinds.DIP),
            (far, kinds.DRIFT),
        )
        return next((kind for holds, kind in signs if holds), kinds.PATTERN)
