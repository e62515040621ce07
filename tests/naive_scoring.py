"""Plain twins of what turns values into surprise: scaler, evidence, tail, alerts.

Constants come from the modules under test: they may be tuned, the methods may not
change unnoticed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import asinh, exp, log10, sqrt

import numpy as np

from streamrnn.kernels import scaler
from streamrnn.scoring import alert, anchor, novelty, spell, tail

# ---------------------------------------------------------------- scaler


@dataclass
class Scaler:
    """Median and median absolute deviation first, then exponentially weighted mean and variance."""

    seen: int = 0
    first: list[float] = field(default_factory=list)
    mean: float = float("nan")
    variance: float = 0.0
    magnitude: float = 0.0
    reach: float = scaler.REACH

    @property
    def scale(self) -> float:
        return max(sqrt(self.variance), scaler.FLOOR * self.magnitude)

    def learn(self, value: float) -> None:
        self.seen += 1
        if self.seen <= scaler.WINDOW:
            self.first.append(value)
            if self.seen == scaler.WINDOW:
                self.mean = float(np.median(self.first))
                distances = np.abs(np.array(self.first) - self.mean)
                spread = 1.4826 * float(np.median(distances))
                moved = distances[distances > 0.0]
                if spread == 0.0 and len(moved) >= 3:
                    spread = float(moved.min())
                self.variance = spread**2
                self.magnitude = abs(self.mean) + 3.0 * spread
            return
        distance = self._within_reach(value - self.mean)
        self.magnitude = max(self.magnitude, abs(self.mean + distance))
        gain = max(1.0 / self.seen, 1.0 / scaler.SPAN)
        self.mean += gain * distance
        # West (1979): the same gain for the mean and the squares.
        self.variance = (1.0 - gain) * (self.variance + gain * distance**2)

    def _within_reach(self, distance: float) -> float:
        """At most ``reach`` scales; the reach grows beyond it, and shrinks within."""
        farthest = self.reach * self.scale
        if farthest == 0.0:
            return distance
        if self.variance == 0.0:
            return float(np.clip(distance, -self.magnitude, self.magnitude))
        if abs(distance) <= farthest:
            self.reach = max(self.reach * scaler.REACH_KEEPS, scaler.REACH)
            return distance
        self.reach = min(self.reach * scaler.REACH_GROWTH, scaler._FARTHEST_REACH)
        return float(np.copysign(farthest, distance))

    def scaled(self, value: float) -> float:
        if np.isnan(self.mean):
            return float("nan")
        distance, far = value - self.mean, scaler.FARTHEST
        if distance == 0.0:
            return 0.0
        if self.scale == 0.0:
            return asinh(np.copysign(far, distance))
        return asinh(np.clip(distance / self.scale, -far, far))


# ---------------------------------------------------------------- tail


class Tail:
    """-log10 p of a record: both measures' tails, then three level trackers."""

    def __init__(self) -> None:
        self.measures = [Measure(), Measure()]
        self.levels = np.array([1.0, 2.0, 3.0])

    def judge(self, *values: float) -> float:
        """Surprise of a record, before it is learned; moves the trackers."""
        pairs = zip(self.measures, values, strict=True)
        p = 10.0 ** -max(measure.raw(measure.standardised(value)) for measure, value in pairs)
        return max(self._track(-log10(p * (2.0 - p))), 0.0)

    def learn(self, *values: float) -> None:
        """Take a record for a normal one."""
        for measure, value in zip(self.measures, values, strict=True):
            measure.learn(value)

    def doubt(self) -> None:
        """Let the next records move mean and deviation fast."""
        for measure in self.measures:
            measure.count = min(measure.count, tail._PRIOR_COUNT)

    def is_usual(self, evidence: float) -> bool:
        """Whether a record looks usual by itself."""
        return self.measures[1].standardised(evidence) < 1.0

    def _track(self, raw: float) -> float:
        """Map the levels where the stream realises .1, .01 and .001 onto 1, 2 and 3."""
        first, second, third = self.levels
        if raw < first:
            surprise = raw / first
        elif raw < second:
            surprise = 1.0 + (raw - first) / (second - first)
        else:
            surprise = 2.0 + (raw - second) / (third - second)
        if self.measures[0].counts.sum() < tail._PRIOR + alert.YOUTH:
            return float(surprise)
        for i in range(3):
            self.levels[i] += tail._RATES[i] * ((raw > self.levels[i]) - tail._PROBABILITIES[i])
            self.levels[i] = np.clip(self.levels[i], 0.5 * (i + 1), 3.0 * (i + 1))
        self.levels[1] = max(self.levels[1], self.levels[0] + 0.3)
        self.levels[2] = max(self.levels[2], self.levels[1] + 0.3)
        return float(surprise)


class Measure:
    """Tail of one measure by a decaying histogram and a Lomax distribution."""

    def __init__(self) -> None:
        self.mean, self.variance, self.count = tail._PRIOR_SCORE, tail._PRIOR_VARIANCE, tail._PRIOR_COUNT
        self.edges = tail._LOW + tail._WIDTH * np.arange(tail.BINS + 1)
        self.middles = 0.5 * (self.edges[:-1] + self.edges[1:])
        density = np.exp(-0.5 * self.middles**2) / np.sqrt(2.0 * np.pi)
        self.counts = tail._PRIOR * tail._WIDTH * density

    def _bin(self, z: float) -> int:
        return int(np.clip(np.floor((z - tail._LOW) / tail._WIDTH), 0, tail.BINS - 1))

    def _tail(self) -> tuple[float, float, float]:
        """(start of the tail, excesses, their mean): the top ``_TAIL`` of the histogram."""
        wanted = tail._TAIL * self.counts.sum()
        above = np.concatenate([np.cumsum(self.counts[::-1])[::-1][1:], [0.0]])  # counts over each bin
        j = max(int(np.flatnonzero(above + self.counts >= wanted).max(initial=0)), 0)
        part = wanted - above[j]
        start = self.edges[j + 1] - part / max(self.counts[j], 1e-9) * tail._WIDTH
        sums = self.counts[j + 1 :] @ self.middles[j + 1 :] + part * 0.5 * (start + self.edges[j + 1])
        excesses = wanted + tail._PRIOR_EXCESSES
        mean = (sums - wanted * start + tail._PRIOR_EXCESSES * tail._PRIOR_MEAN) / excesses
        return start, excesses, mean

    def raw(self, z: float) -> float:
        """-log10 of the tail probability: histogram below the tail's start, Lomax above it."""
        start, excesses, mean = self._tail()
        if z > start:
            return -log10(tail._TAIL) + excesses * log10(1.0 + (z - start) / (excesses * mean))
        b = self._bin(z)
        share = np.clip((self.edges[b + 1] - z) / tail._WIDTH, 0.0, 1.0)
        count = share * self.counts[b] + self.counts[b + 1 :].sum() + 0.5
        return -log10(max(count / (self.counts.sum() + 1.0), tail._SMALLEST))

    @property
    def deviation(self) -> float:
        return sqrt(self.variance) + tail._FLOOR

    def standardised(self, value: float) -> float:
        return (value - self.mean) / self.deviation

    def learn(self, score: float) -> None:
        """Take a score for a normal one."""
        if self.counts.sum() > tail.MEMORY:
            self.counts *= 1.0 - 1.0 / tail.MEMORY
        self.counts[self._bin((score - self.mean) / self.deviation)] += 1.0
        distance = min(score - self.mean, tail._WINSOR * self.deviation)
        self.count += 1.0
        gain = 1.0 / min(self.count, tail.MEMORY)
        self.mean += gain * distance
        self.variance = (1.0 - gain) * (self.variance + gain * distance**2)


# ---------------------------------------------------------------- alerts


@dataclass
class Alerts:
    """Detections to events, and the strength with which an event speaks."""

    allowed: float  # events a record, or 0: a fixed level
    recent: float = 0.0
    steer: float = 0.0
    raised: float = 0.0
    normal: float = 0.0
    withheld: float = 0.0
    open: bool = False
    reached: bool = False
    calm: int = 0
    age: int = 0
    since: int = alert.PAUSE
    position: tuple[int, int] = (0, 0)
    before: list[float] = field(default_factory=list)

    def level(self, fixed: float) -> float:
        if self.allowed > 0.0:
            return min(self.allowed * exp(self.steer), alert.LARGEST_LEVEL)
        return fixed

    @property
    def alert_level(self) -> float:
        young = max(1.0 - len(self.before) / alert.YOUTH, 0.0)
        u = exp(self.raised) * (1.0 + alert._YOUNG * young)
        return u / (1.0 + u)

    def end_if_calm(self) -> None:
        self.open = self.open and self.calm < alert.QUIET

    def is_normal(self, surprise: float, level_surprise: float, odd: bool = False) -> bool:
        """Whether the tail learns a record: not what is clearly odd, unless much is."""
        self.withheld *= exp(-1.0 / 1000.0)
        clearly_odd = odd or surprise >= max(level_surprise, 3.0) + alert.CLEARLY
        if clearly_odd and self.withheld < alert.MOST_WITHHELD:
            self.withheld += 1.0
            return False
        return True

    def judge(self, detection: bool, asked: float, position: tuple[int, int], lasts: bool = False) -> float:
        """Alert strength of a record; call ``end_if_calm`` before."""
        self.age += 1
        alert_level = self.alert_level
        self.recent *= novelty.KEEP
        self._steer(alert.STEP * self.allowed)
        u = asked / (1.0 + novelty._DISCOUNT * self.recent)
        window = int(min(max(alert.SHORTEST, alert._GROWTH * (len(self.before) + 1)), alert.LONGEST))
        peak = asked > max(self.before[-window:], default=-1.0)
        self.before.append(asked)
        self.since += 1
        strength = u / (1.0 + u) if peak and self.since > alert.PAUSE and u >= alert._FAINT else 0.0
        if strength >= 0.5:
            self.since = 0
            self.recent += 1.0
        loud = detection or strength >= 0.5
        if loud and not self.open:
            self.open, self.reached, self.position, self.age = True, False, position, 0
            if detection:
                self._steer(-alert.STEP)
        if strength >= alert_level and not self.reached:
            self.reached = True
            if self.allowed > 0.0:
                self.raised = min(self.raised + alert.STEP, alert._MOST_RAISED)
        self.calm = 0 if loud or (lasts and self.age < alert.LASTING) else self.calm + 1
        self.normal += not detection
        return strength

    def _steer(self, by: float) -> None:
        """Robbins and Monro (1951): up by each record, down by each event; the alert level the other way."""
        if self.allowed > 0.0:
            self.steer = float(np.clip(self.steer + by, *alert._STEER_BOUNDS))
            if by > 0.0:
                self.raised = max(self.raised - by, 0.0)


@dataclass
class Spell:
    """Detections that belong together, for the tail."""

    age: int = 0
    calm: int = 0
    odd: int = 0
    excess: float = 0.0
    newest: float = 0.0
    clear_wait: int = 0  # until as many as may be are saved up
    long_wait: int = 0
    recovers: bool = False
    quiet_for: int = 0
    kept_for: float = spell._OLD

    def end_if_calm(self) -> None:
        self.clear_wait, self.long_wait = max(self.clear_wait - 1, 0), max(self.long_wait - 1, 0)
        if not self.age or self.calm < alert.QUIET:
            return
        clear = self.age >= spell._BRIEF and self.excess >= spell._CLEARLY
        long = self.age >= spell._LONG
        weak = long and self.odd >= spell._OFTEN
        most = int(spell._AT_ONCE * spell._CLEAR_RARE)
        waited = min(self.clear_wait + int(spell._CLEAR_RARE), most)
        fault = (clear and self.clear_wait + spell._CLEAR_RARE <= most) or (weak and not self.long_wait)
        self.clear_wait = waited if clear else self.clear_wait
        self.long_wait = int(anchor.ADOPTED) if long else self.long_wait
        self.recovers = (self.recovers or fault) and self.age < alert.LASTING
        if self.age >= alert.LASTING:
            self.kept_for = spell._OLD
        self.age, self.odd, self.excess, self.quiet_for = 0, 0, 0.0, 0

    def may_be_normal(self, usual: bool) -> bool:
        return usual or self.age < spell._LONG or self.age >= alert.LASTING

    def go_on(self, detection: bool, lasts: bool, surprise: float) -> bool:
        """Whether the spell is to be adopted."""
        self.newest = surprise
        if not self.age and not detection:
            return False
        held = detection or (lasts and self.age < alert.LASTING)
        self.age, self.odd = self.age + 1, self.odd + (surprise >= spell._ODD)
        self.excess += max(surprise - spell._ODD, 0.0)
        self.calm = 0 if held else self.calm + 1
        return self.age == alert.LASTING

    def settle(self, shut: bool, back: bool = True) -> int:
        """What is due with what was learned."""
        self.kept_for += 1
        if self.age:
            return spell.NOTHING
        self.quiet_for += 1
        if shut:
            return spell.NOTHING
        if self.recovers and back and self.newest < spell._USUAL:
            self.recovers = False
            return spell.PUT_BACK if self.kept_for < spell._OLD else spell.NOTHING
        if (
            self.quiet_for < (spell._PATIENCE if self.recovers else spell._CALM)
            or self.kept_for < spell._EVERY
        ):
            return spell.NOTHING
        self.recovers, self.kept_for = False, 0
        return spell.KEEP


def surprise_of(p: float) -> float:
    return -log10(p)
