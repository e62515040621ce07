"""Plain twins of evidence of what lasts: flat lines and unrest.

Constants come from the modules under test: they may be tuned, the methods may not
change unnoticed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from streamrnn.scoring import excursion, flatline, unrest


@dataclass
class FlatLine:
    """A value that repeats, against the longest run remembered."""

    run: int = 0
    longest: float = 0.0
    former: float = 0.0
    share: float = 0.0
    count: int = 0
    repeats: float = 0.0
    followed: float = 0.0

    def observe(self, value: float, last: float) -> float:
        same = self.count > 0 and value == last
        self.longest *= np.exp(-1.0 / 2000.0)
        self.former *= np.exp(-1.0 / 2000.0)
        self.repeats *= np.exp(-1.0 / 2000.0)
        self.followed *= np.exp(-1.0 / 2000.0)
        silent_up_to, found = 2.0 * self.longest + 2.0, 0.0
        if same:
            self.run += 1
            found = self._evidence(silent_up_to) if self.count >= flatline._FIRST else 0.0
        else:
            ended = float(self.run)
            if self._evidence(silent_up_to):
                ended = min(ended, max(silent_up_to, self.former))
                self.former = self.run
            self.longest, self.run = max(self.longest, ended), 0
            self.repeats += ended
            self.followed += max(ended - 1.0, 0.0)
        self.share += max(flatline._GAIN, 1.0 / (self.count + 1)) * (same - self.share)
        self.count += 1
        return found

    def accept(self) -> None:
        self.longest = max(self.longest, float(self.run))

    def _evidence(self, silent_up_to: float) -> float:
        share = max(self.share, flatline._LEAST_SHARE)
        found = -self.run * np.log(max(share, (self.followed + share) / (self.repeats + 1.0)))
        return min(found, flatline.MOST) if self.run > silent_up_to and found >= flatline._LEAST else 0.0


@dataclass
class Excursion:
    """A measure out of its rut."""

    raised: int = 0
    highest: float = 0.0
    remembered: float = 0.0
    former: float = 0.0

    def observe(self, value: float, least: float) -> int:
        self.remembered *= np.exp(-1.0 / 2000.0)
        self.former *= np.exp(-1.0 / 2000.0)
        silent_up_to = max(least, excursion._MORE * self.remembered)
        self.highest = max(self.highest, value)
        if value < excursion._OVER * self.highest:
            self.remembered = max(self.remembered, min(self.highest, max(silent_up_to, self.former)))
            if self.highest > silent_up_to:
                self.former = self.highest
            self.highest = value
        bound = silent_up_to * (excursion._BACK if self.raised else 1.0)
        self.raised = self.raised + 1 if value > bound else 0
        return self.raised

    def accept(self) -> None:
        self.remembered, self.raised = max(self.remembered, self.highest), 0


@dataclass
class Unrest:
    """Squared errors over a short and a long span, where their ratio is out of its rut."""

    fast: float = 0.0
    slow: float = 0.0
    count: int = 0
    excursion: Excursion = field(default_factory=Excursion)

    def observe(self, error: float, deviation: float, channels: int) -> float:
        self.count += 1
        seen = self.count - unrest._FIRST
        if seen <= 0:
            return 0.0
        least = (unrest._SMALLEST * deviation) ** 2
        squared = error**2
        if 1.0 / seen <= unrest._FAST_GAIN:
            squared = min(squared, unrest._LARGEST * self.slow + least)
        self.fast += max(unrest._FAST_GAIN, 1.0 / seen) * (squared - self.fast)
        self.slow += max(unrest._SLOW_GAIN, 1.0 / seen) * (squared - self.slow)
        if self.count <= unrest._HEARD:
            return 0.0
        floor = unrest._FLOOR * self.slow + least
        found = 0.0
        if floor > 0.0:
            found = unrest._FACTOR * max(np.log((self.fast + floor) / (self.slow + floor)), 0.0) ** 2
        raised = self.excursion.observe(found, unrest._LEAST + np.log(channels))
        return min(found, unrest.MOST) if raised >= unrest._IN_A_ROW else 0.0
