"""Plain twins of the kinds of evidence: autoregression, T2, novelty, runs, unrest, the gate, fusion.

Constants come from the modules under test: they may be tuned, the methods may not
change unnoticed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from naive_lasting import FlatLine, Unrest

from streamrnn.kernels import scaler
from streamrnn.presets import PRESETS, Preset
from streamrnn.scoring import (
    alert,
    anchor,
    evidence,
    fusion,
    hotelling,
    memory,
    novelty,
)
from streamrnn.scoring import autoregression as auto

LEARNING, ANCHORED = 0, 1


class Autoregression:
    """A channel's value on its last values and 1, by recursive least squares."""

    def __init__(self, robust: bool) -> None:
        self.robust = robust
        self.weights = np.zeros(auto.TERMS)
        self.weights[0] = auto._FIRST_WEIGHT
        self.inverse = np.eye(auto.TERMS) * auto.PRIOR
        self.mean = self.variance = self.usual = 0.0
        self.count = 0
        self.y = self.error = 0.0
        self.x = np.zeros(auto.TERMS)

    def rests(self, value: float) -> bool:
        return self.count > 0 and self.variance == 0.0 and value == self.mean

    def deviation(self, magnitude: float) -> float:
        return float(np.sqrt(self.variance) + auto._FLOOR * magnitude)

    def assess(self, past: np.ndarray, value: float, magnitude: float) -> float:
        """e^2 / v."""
        self.y = self.error = 0.0
        if self.count == 0 or self.rests(value):
            return 0.0
        deviation = self.deviation(magnitude)
        self.y = (value - self.mean) / deviation
        if self.count < auto.ORDER:
            return 0.0
        lags = np.clip((past - self.mean) / deviation, -auto.FARTHEST, auto.FARTHEST)
        self.x = np.append(lags, 1.0)
        self.error = self.y - self.weights @ self.x
        return self.error**2 / (self.usual + auto.SMALLEST_ERROR)

    def learn(self, value: float, weight: float) -> None:
        self.count += 1
        if weight == 0.0 or (self.count > 1 and self.variance == 0.0 and value == self.mean):
            return
        of_value = 1.0
        if self.count > auto.ORDER:
            of_value = self._learn_error(weight)
        if self.count == 1:
            self.mean = value
            return
        gain = max(auto._MEAN_GAIN, 1.0 / self.count) * weight * of_value
        distance = value - self.mean
        if self.variance > 0.0:
            distance = np.clip(distance, *(np.sqrt(self.variance) * auto.FARTHEST * np.array([-1, 1])))
        self.mean += gain * distance
        self.variance += gain * (distance**2 - self.variance)

    def _learn_error(self, weight: float) -> float:
        """Usual error and regression learn; the Student weight of the value."""
        squared, of_error, of_value = self.error**2, 1.0, 1.0
        before = self.usual
        if self.robust and self.count - 1 > auto._ROBUST_FROM:
            student = auto._STUDENT
            of_error = min(1.0, (student + 1) / (student + squared / (self.usual + auto.SMALLEST_ERROR)))
            of_value = min(1.0, (student + 1) / (student + self.y**2))
        elif not self.robust:
            squared = min(squared, auto._LARGEST_ERROR * self.usual + 1e-3)
        gain = max(auto._ERROR_GAIN, 1.0 / (self.count - auto.ORDER)) * weight
        self.usual += gain * of_error * (squared - self.usual)
        bound = auto._CLIP * np.sqrt(before + auto.SMALLEST_ERROR)
        if squared > auto._ABSURD * (before + auto.SMALLEST_ERROR):
            weight *= of_error
        forget = 1.0 - (1.0 - auto.FORGETTING) * weight
        product = self.inverse @ self.x
        gains = product / (forget / weight + self.x @ product)
        grows = np.trace(self.inverse) <= auto._TRACE_BOUND * auto.TERMS
        self.inverse = (self.inverse - np.outer(gains, product)) / (forget if grows else 1.0)
        self.weights = self.weights + gains * np.clip(self.error, -bound, bound)
        return of_value


class Levels:
    """Hotelling's T2 with Student weights."""

    def __init__(self, channels: int, least: float) -> None:
        self.least, self.count = least, 0
        self.mean, self.covariance = np.zeros(channels), np.zeros((channels, channels))
        self.inverse = np.zeros((channels, channels))
        self.deviations, self.contributions = np.zeros(channels), np.zeros(channels)
        self.t_squared = 0.0

    def assess(self, values: np.ndarray, magnitudes: np.ndarray) -> float:
        self.deviations, self.t_squared = values - self.mean, 0.0
        self.contributions = np.zeros(len(values))
        if self.count >= hotelling.FIRST:
            if self.count % hotelling._EVERY == 0:
                ridge = np.diag(hotelling._RIDGE * np.diag(self.covariance))
                floor = np.diag((hotelling._FLOOR * magnitudes) ** 2)
                self.inverse = np.linalg.inv(self.covariance + ridge + floor)
            product = self.inverse @ self.deviations
            self.contributions = product**2 / np.diag(self.inverse)
            self.t_squared = max(product @ self.deviations, 0.0)
        return self.t_squared

    def learn(self, weight: float) -> None:
        channels = len(self.mean)
        gain = max(hotelling._GAIN, 1.0 / (self.count + 1.0)) * weight
        if self.count >= hotelling.FIRST:
            student = (hotelling._STUDENT + channels) / (hotelling._STUDENT + self.t_squared)
            gain *= max(min(1.0, student), self.least)
        self.count += 1
        x = self.deviations
        self.mean = self.mean + gain * x
        self.covariance = (1.0 - gain) * (self.covariance + gain * np.outer(x, x))


class Memory:
    """Codes of vectors: the distance to the nearest, in units of the ranges."""

    def __init__(self, room: int, keep: float) -> None:
        self.room, self.keep = room, keep
        self.codes: list[np.ndarray] = []
        self.low = self.high = np.zeros(0)
        self.recent = 0.0

    def observe(self, value: np.ndarray, magnitude: np.ndarray) -> float:
        if not self.codes:
            self.low = self.high = value
        self.low, self.high = np.minimum(self.low, value), np.maximum(self.high, value)
        distance, nearest = 0.0, 0
        if self.codes:
            width = self.high - self.low + novelty._FLOOR * magnitude
            away = np.abs(np.array(self.codes) - value)
            scaled = np.divide(away, width, out=np.zeros_like(away), where=away > 0.0)
            distances = np.sqrt(np.mean(scaled**2, axis=1))
            nearest = int(np.argmin(distances))
            distance = min(float(distances[nearest]), novelty.FARTHEST)
        if not self.codes or distance > novelty.NEW:
            if len(self.codes) == self.room and len(value) == 1:
                self._thin()
                away = np.abs(np.array(self.codes) - value)[:, 0]
                nearest = int(np.argmin(away))
            if len(self.codes) < self.room:
                self.codes.append(value)
            else:
                self.codes[nearest] = value
        return distance

    def _thin(self) -> None:
        """Leave out values that another covers at the present range."""
        values = sorted(float(code[0]) for code in self.codes)
        kept = values[:1]
        for value in values[1:]:
            if value - kept[-1] > novelty.NEW * (self.high - self.low)[0]:
                kept.append(value)
        self.codes = [np.array([value]) for value in kept]

    def discounted(self, distance: float) -> float:
        """Novelty where so much of it was seen of late; counts this one."""
        found = distance / (1.0 + novelty._DISCOUNT * self.recent)
        self.recent = self.recent * self.keep + (distance > novelty.NEW)
        return found


@dataclass
class Gate:
    """How much the anchored copies may learn."""

    weight: float = 1.0
    mean: float = 0.0
    variance: float = 0.0
    count: float = 0.0
    open: bool = False
    calm: int = 0
    suppressed: float = 0.0
    shut_for: int = 0
    off: float = 0.0
    other: list[float] = field(default_factory=lambda: [0.0, 0.0])
    records: int = 0

    def move(self, anchored: float, learning: float) -> bool:
        """Set the weight; whether to adopt."""
        weight, adopts, z = 1.0, False, 0.0
        if self.count > anchor._FIRST:
            z = (anchored - self.mean) / (np.sqrt(self.variance) + anchor._FLOOR)
            weight = np.clip((anchor._LEAST - z) / (anchor._LEAST - anchor._FULL), anchor._LEAST_WEIGHT, 1.0)
            if not self.open and z > anchor._SHUT:
                self.open, self.calm, self.shut_for = True, 0, 0
            elif self.open:
                self.shut_for += 1
                self.calm = self.calm + 1 if z < anchor._OPENS_BELOW else 0
                self.open = self.calm < anchor._IN_A_ROW
            weight = 0.0 if self.open else weight
            self.suppressed = (
                self.suppressed + 1.0 - weight if weight < 0.5 else max(0.0, self.suppressed - 1.0)
            )
            adopts = self.suppressed > anchor.ADOPTED
            if adopts:
                self.mean, self.variance = self.other
                self.count = min(self.count, anchor._COUNT_AFTER)
                self.open, self.suppressed, weight = False, 0.0, 1.0
        self.count += 1.0
        if weight > 0.0:
            gain = max(anchor._GAIN, 1.0 / self.count) * weight
            distance = anchored - self.mean
            self.mean += gain * distance
            self.variance = (1.0 - gain) * (self.variance + gain * distance**2)
        self.records += 1
        gain = max(anchor._OTHER_GAIN, 1.0 / self.records)
        distance = learning - self.other[0]
        self.other = [
            self.other[0] + gain * distance,
            (1.0 - gain) * (self.other[1] + gain * distance**2),
        ]
        self.weight, self.off = float(weight), float(z)
        return bool(adopts)


class Fusion:
    """Averages over two spans; their sum, and the largest in units of its deviation."""

    def __init__(self) -> None:
        self.shares = 2.0 / (np.array(fusion.SPANS) + 1.0)
        self.weights = (1.0 - (1.0 - self.shares) ** fusion._HELD) / self.shares
        self.averages, self.means, self.variances = np.zeros((3, len(self.shares), fusion.KINDS))
        self.count = 0
        self.floors = np.full(fusion.KINDS, fusion._FLOOR)
        self.floors[fusion.UNREST :] = fusion._RARE_FLOOR

    def combine(self, kinds: np.ndarray) -> float:
        self.count += 1
        self.weights = self.weights * (1.0 - self.shares) + 1.0
        self.averages += (kinds - self.averages) / self.weights[:, None]
        distance = self.averages - self.means
        z = distance / (np.sqrt(self.variances) + self.floors) if self.count > fusion._FIRST else distance * 0
        gain = max(fusion._GAIN, 1.0 / self.count)
        self.means = self.means + gain * distance
        self.variances = (1.0 - gain) * (self.variances + gain * distance**2)
        return float(
            self.averages[:, : fusion.NOVELTY].sum() + np.clip(z.max(axis=1), 0.0, fusion._LARGEST).sum()
        )


class Evidence:
    """All of one series: assessed, then learned."""

    def __init__(self, channels: int, networks: int, preset: Preset = PRESETS["default"]) -> None:
        self.regressions = [
            [Autoregression(copy == ANCHORED) for _ in range(channels)] for copy in (LEARNING, ANCHORED)
        ]
        self.levels = [Levels(channels, evidence._LEAST_WEIGHT), Levels(channels, 0.0)]
        self.values = [Memory(novelty.VALUE_CODES, novelty.KEEP) for _ in range(channels)]
        self.late = 0.0  # the recent novelties of the first channel that alerts count
        self.pairs = [Memory(preset.pairs, memory._KEEP) for _ in range(networks)]
        self.last = np.zeros((networks, 3))
        self.context, self.error = Memory(novelty.VALUE_CODES, memory._KEEP), 0.0
        self.flat = [FlatLine() for _ in range(channels)]
        self.unrest = [Unrest() for _ in range(channels)]
        self.gate, self.fusion = Gate(), Fusion()
        self.past = np.zeros((channels, auto.ORDER))
        self.clean = self.magnitudes = self.shares = self.kinds = np.zeros(channels)

    def assess(self, values: np.ndarray, scalers: list, inflation: float) -> tuple[int, float]:
        """(records before, novelty of the first channel's value for alerts)."""
        usable = np.isfinite(values) & (np.abs(np.nan_to_num(values)) <= scaler.LARGEST)
        self.clean = np.where(usable, values, self.past[:, 0])
        for d, channel in enumerate(scalers):
            if channel.scale > 0.0:
                bound = channel.reach * channel.scale
                if channel.variance == 0.0:
                    bound = max(bound, channel.magnitude)
                self.clean[d] = np.clip(self.clean[d], channel.mean - bound, channel.mean + bound)
        self.magnitudes = np.maximum([channel.magnitude for channel in scalers], np.abs(self.clean))
        before, self.shares, kinds = self.levels[0].count, evidence._LEAST_PART * usable, []
        for copy in (LEARNING, ANCHORED):
            parts = {}
            for d in np.flatnonzero(usable):
                relative = self.regressions[copy][d].assess(self.past[d], self.clean[d], self.magnitudes[d])
                parts[d] = min(np.log1p(relative / inflation), evidence._MOST)
            self.shares[list(parts)] += np.maximum(np.array(list(parts.values())) - np.log(2.0), 0.0)
            t_squared = self.levels[copy].assess(self.clean, self.magnitudes)
            kinds += [np.mean(list(parts.values())), min(np.log1p(t_squared), evidence._MOST)]
            contributions = np.where(usable, self.levels[copy].contributions, 0.0)
            if contributions.any():
                more = max(kinds[-1] - np.log1p(len(values)), 0.0)
                self.shares += more * contributions / contributions.sum()
        largest, first = 0.0, 0.0
        for d in np.flatnonzero(usable):
            distance = self.values[d].observe(self.clean[d : d + 1], self.magnitudes[d : d + 1])
            largest = max(largest, self.values[d].discounted(distance))
            if d == 0 and before >= evidence.FIRST:
                first = distance / (1.0 + novelty._DISCOUNT * self.late)
                self.late = self.late * novelty.KEEP + (distance > novelty.NEW)
        kinds += [
            np.log(largest + evidence._LEAST_NOVELTY),
            *self._lasting(np.flatnonzero(usable), inflation),
        ]
        self.kinds = np.array(kinds)
        return before, first

    def _lasting(self, usable: np.ndarray, inflation: float) -> tuple[float, float]:
        """Largest unrest and flat line over the channels."""
        restless, flat = 0.0, 0.0
        for d in usable:
            model = self.regressions[LEARNING][d]
            deviation = model.deviation(self.magnitudes[d])
            error = model.error * deviation / np.sqrt(inflation)
            unrest = self.unrest[d].observe(error, deviation, len(self.flat))
            stuck = self.flat[d].observe(self.clean[d], self.past[d, 0])
            self.shares[d] += unrest + stuck
            restless, flat = max(restless, unrest), max(flat, stuck)
        return restless, flat

    @property
    def lasts(self) -> bool:
        """Whether what began goes on."""
        gate = self.gate
        off = gate.open and gate.off > anchor._OFF and gate.shut_for < alert.LASTING
        raised = any(one.excursion.raised for one in self.unrest)
        return bool(off or self.kinds[fusion.FLAT] > 0.0 or raised)

    def strength(self, actual: float, forecasts: np.ndarray, before: int, of_value: float) -> float:
        """What the networks' memories make of a record."""
        if np.isnan(actual):
            return 0.0
        if not len(forecasts):
            return float(of_value * np.sqrt(memory._LEAST_PAIR) / memory._OF_PAIR)
        heard = before >= memory._HEARD
        if before >= memory.FIRST:
            for i, forecast in enumerate(forecasts):
                pair = np.array([actual, forecast])
                distance = self.pairs[i].observe(pair, 1.0 + np.abs(pair))
                newest = self.pairs[i].discounted(distance) if heard else 0.0
                self.last[i] = [newest, *self.last[i, :-1]]
        error = float(np.mean(actual - forecasts))
        self.error += max(memory._ERROR_GAIN, 1.0 / (before + 1.0)) * (error - self.error)
        if before < memory.FIRST:
            return 0.0
        mean = np.array([self.error])
        distance = self.context.observe(mean, 1.0 + np.abs(mean))
        of_error = self.context.discounted(distance) if heard else 0.0
        pairs = np.exp(np.mean(np.log(np.maximum(self.last.max(axis=1), memory._LEAST_PAIR))))
        return float(max(of_value * np.sqrt(pairs) / memory._OF_PAIR, of_error / memory._OF_ERROR))

    def learn(self, values: np.ndarray, scored: bool, may_learn: bool) -> None:
        usable = np.isfinite(values) & (np.abs(np.nan_to_num(values)) <= scaler.LARGEST)
        for copy, weight in ((LEARNING, float(may_learn)), (ANCHORED, self.gate.weight)):
            for d in np.flatnonzero(usable):
                self.regressions[copy][d].learn(self.clean[d], weight)
            self.levels[copy].learn(weight)
        if scored:
            kinds = self.fusion.averages[0]
            anchored = kinds[fusion.ANCHORED_RESIDUAL] + kinds[fusion.ANCHORED_LEVEL]
            assert not self.gate.move(anchored, kinds[fusion.RESIDUAL] + kinds[fusion.LEVEL])
        self.past = np.column_stack([self.clean, self.past[:, :-1]])
