"""A plain twin of a whole model: one record through it, as ``docs/how-it-works.md`` tells."""

from __future__ import annotations

import copy
from math import exp, isnan, log, nan

import naive
import naive_learning
import numpy as np
from naive_evidence import Evidence
from naive_feedback import Feedback
from naive_kinds import Kinds
from naive_scoring import Alerts, Scaler, Spell, Tail, surprise_of
from support import Network

from streamrnn.feedback import Signature
from streamrnn.groups import FAST_FORGETTING
from streamrnn.initial import initial_parameters
from streamrnn.kernels import clock, features, plan, residuals, scaler, step
from streamrnn.layout import ModelLayout
from streamrnn.presets import PRESETS
from streamrnn.scoring import alert, evidence, flatline, fusion, spell, tail, unrest
from streamrnn.settings import Settings
from streamrnn.tables import FORGETTING, INNOVATION_CLIP, PRIOR, Training

Arrays = dict[str, np.ndarray]
KEPT = ("regressions", "levels", "unrest", "fusion")  # of the evidence


class Clock:
    """The typical step: a running median of its logarithm."""

    def __init__(self) -> None:
        self.last: int | None = None
        self.typical, self.steps = 0.0, 0

    def observe(self, time: int) -> float:
        """log(step / typical step); NaN where that is not known."""
        if time == plan.NO_TIME:
            return nan
        last, self.last = self.last, time
        if last is None or time <= last or (last < 0 and time - last > 2**62):
            return nan
        step = float(time - last)
        if self.typical == 0.0:
            self.typical = step
            return 0.0
        odd = log(step / self.typical)
        self.steps += 1
        move = max(1.0 / self.steps, clock._SLOWEST)
        self.typical *= exp(np.clip(odd, -move, move))
        return odd


class Errors:
    """Usual size of the errors and quantile of the intervals: (horizons, channels)."""

    def __init__(self, horizons: int, channels: int, quantile: float, coverage: float) -> None:
        self.spread = np.ones((horizons, channels))
        self.quantile = np.full((horizons, channels), quantile)
        self.seen = np.zeros(channels, np.int64)
        self.miss = 1.0 - coverage

    @property
    def variance(self) -> np.ndarray:
        return np.maximum(self.spread, residuals._SMALLEST_SPREAD)

    def learn(self, errors: np.ndarray) -> None:
        for k, d in np.ndindex(errors.shape):
            error, n = errors[k, d], self.seen[d]
            if np.isnan(error):
                continue
            relative, weight = error**2 / self.variance[k, d], 1.0
            if n >= residuals.READY:
                weight = min(1.0, (residuals._STUDENT + 1.0) / (residuals._STUDENT + relative))
                outside = relative > self.quantile[k, d] ** 2
                moved = self.quantile[k, d] + residuals._QUANTILE_STEP * (outside - self.miss)
                self.quantile[k, d] = np.clip(moved, *residuals._QUANTILE_BOUNDS)
            gain = max(residuals._SPREAD_GAIN, 1.0 / (n + 1.0)) * weight
            self.spread[k, d] += gain * (error**2 - self.spread[k, d])
            self.seen[d] += k == 0


class Model:
    """All of one series. Constants come from the modules under test, the method from here."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        layout = ModelLayout(settings)
        channels, self.horizons = len(settings.channels), np.array(settings.horizons)
        training = Training(rate=settings.learning_rate)
        self.networks, self.readouts = [], []
        for i, shape in enumerate(layout.networks):
            weights = Network(shape).named(initial_parameters(shape, settings.seed + i).astype(shape.dtype))
            adam = naive_learning.Adam(
                training.rate, training.beta_1, training.beta_2, training.epsilon, training.clip
            )
            self.networks.append(
                naive_learning.Learner(
                    naive.CELLS[shape.cell], weights, adam, settings.k1, settings.k2, training.huber,
                    settings.recompute,
                )
            )  # fmt: skip
            sizes = (shape.hidden + 1, channels, settings.lags, len(self.horizons))
            # With several channels nothing that detects listens: then the readouts are fast.
            pace = (FORGETTING, INNOVATION_CLIP) if channels == 1 else (FAST_FORGETTING[1], None)
            self.readouts.append(naive_learning.TwoStageLeastSquares(sizes, pace[0], PRIOR, pace[1]))
        self.scalers = [Scaler() for _ in settings.channels]
        quantile = 1.959964  # of a normal distribution at .975; the tests use a coverage of .95
        self.errors = Errors(len(self.horizons), channels, quantile, settings.coverage)
        self.clock, self.tail = Clock(), Tail()
        self.evidence = Evidence(channels, len(layout.networks), PRESETS[settings.preset])
        self.kinds, self.spell = Kinds(channels), Spell()
        self.kept, self.puts_back = None, 0
        self.late = 0  # records in a row
        self.level, self.budget = settings.alarm_rate()
        self.alerts, self.feedback = Alerts(0.0), Feedback()
        self.value, self.slow = np.zeros(channels), np.zeros((3, channels))
        self.lags = np.zeros((channels, settings.lags))
        self.past: list[dict] = []  # what was forecast at each record, and how the channels stood
        self.raw = np.full(channels, nan)
        self.records = 0
        self._mean = np.zeros((len(self.horizons), channels))  # scaled; the forecast without networks

    def process(self, time: int, values: np.ndarray) -> dict:
        """What is said of a record; learns it."""
        self.records += 1
        disorder = self._disorder(time, values)
        if disorder:
            return {"status": disorder}
        usable = np.isfinite(values) & (np.abs(np.nan_to_num(values)) <= scaler.LARGEST)
        out = {"status": "warming" if usable.any() else "missing", "yhat": self._interval(0)}
        odd = self.clock.observe(time)
        actual, changes, errors = self._compare(values, usable)
        detection = usable.any() and self._judge(out, values, actual[0], odd)
        shown = self.feedback.shown(self.alerts)
        out["event"] = shown.position[1] if shown.open else -1
        out["kind"] = self.kinds.now if shown.open else 0
        if not detection or self.settings.learn_anomalies:
            self._learn(values, usable, changes, errors)
        inputs = self._take_in(values, usable, time, odd)
        self._forecast(inputs, masked=not usable.any())
        out["ahead"] = [self._interval(k) for k in range(1, len(self.horizons))]
        return out

    def _disorder(self, time: int, values: np.ndarray) -> str | None:
        if time == plan.NO_TIME:
            return None
        if self.clock.last is not None and time < self.clock.last:
            self.late += 1
            if self.late <= step._MOST_LATE:
                return "late"
            self.clock.last = None
        self.late = 0
        if self.clock.last is None or time > self.clock.last:
            return None
        return "duplicate" if np.array_equal(values, self.raw, equal_nan=True) else None

    def _made_for_now(self, k: int) -> dict | None:
        """What was kept at the record ``horizons[k]`` before this one."""
        back = self.horizons[k]
        return self.past[-back] if back <= len(self.past) else None

    def _interval(self, k: int) -> np.ndarray:
        """(channels, 3) forecast, lower and upper made at the newest record."""
        if not self.past:
            return np.full((len(self.scalers), 3), nan)
        made = self.past[-1]
        half = self.errors.quantile[k] * np.sqrt(self.errors.variance[k])
        u = made["forecast"][k][:, None] + half[:, None] * [0.0, -1.0, 1.0]
        return made["mean"][:, None] + made["scale"][:, None] * np.sinh(np.clip(u, -15.0, 15.0))

    def _compare(self, values: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(actual, change, error) of every horizon and channel, scaled as when forecast."""
        actual, changes, errors = np.full((3, len(self.horizons), len(values)), nan)
        for k in range(len(self.horizons)):
            made = self._made_for_now(k)
            for d in np.flatnonzero(usable):
                if made is None or np.isnan(made["mean"][d]):
                    continue
                stood = Scaler(mean=made["mean"][d], variance=made["scale"][d] ** 2)
                actual[k, d] = stood.scaled(values[d])
                changes[k, d] = actual[k, d] - made["value"][d]
                errors[k, d] = actual[k, d] - made["forecast"][k, d]
        return actual, changes, errors

    def _judge(self, out: dict, values: np.ndarray, actual: np.ndarray, odd: float) -> bool:
        """Assess a record, score it, and let the evidence learn it; whether it is a detection."""
        self.alerts.end_if_calm()
        self.spell.end_if_calm()
        inflation = min(1.0 + 4.0 * odd * odd, residuals._MOST_INFLATION) if odd > 0.0 else 1.0
        before, of_value = self.evidence.assess(values, self.scalers, inflation)
        asked = 0.0
        if len(values) == 1:
            forecasts = self.past[-1]["forecasts"] if self.past else np.zeros(len(self.networks))
            asked = self.evidence.strength(actual[0], forecasts, before, of_value)
        scored = before >= evidence.FIRST
        detection = False
        if scored:
            score = self.evidence.fusion.combine(self.evidence.kinds)
            momentary = self.evidence.kinds.sum()
            scored = self.evidence.fusion.count > tail.FIRST
            if scored:
                detection = self._say(out, values, (score, momentary), asked)
            else:
                self.tail.learn(score, momentary)
        self.evidence.learn(values, scored, not detection or self.settings.learn_anomalies)
        if scored:
            self._settle()
        return detection

    def _settle(self) -> None:
        """Keep what was learned, or put it back."""
        back = (
            self.spell.recovers
            and self.kept is not None
            and all(
                one.fast <= unrest._AS_BEFORE * before.slow
                for one, before in zip(self.evidence.unrest, self.kept[1][KEPT.index("unrest")], strict=True)
            )
        )
        due = self.spell.settle(self.evidence.gate.open, back)
        if due == spell.KEEP:
            self.kept = copy.deepcopy((self.tail, [getattr(self.evidence, name) for name in KEPT]))
        elif due == spell.PUT_BACK:
            self.puts_back += 1
            self.tail, parts = copy.deepcopy(self.kept)
            for name, part in zip(KEPT, parts, strict=True):
                setattr(self.evidence, name, part)

    def _say(self, out: dict, values: np.ndarray, scores: tuple[float, float], asked: float) -> bool:
        surprise = self.tail.judge(*scores)
        one = len(self.scalers) == 1
        asked = max(asked, surprise / (step._SURPRISE_OF_ONE if one else alert.SURPRISE))
        asked = max(asked, step._OF_FLAT * (self.evidence.kinds[fusion.FLAT] >= flatline.MOST))
        self.alerts.allowed = self.budget * self.clock.typical
        level = self.alerts.level(self.level)
        odd = bool((self.evidence.kinds[fusion.UNREST :] > 0.0).any())
        may_learn = self.spell.may_be_normal(self.tail.is_usual(scores[1]))
        if may_learn and self.alerts.is_normal(surprise, surprise_of(level), odd):
            self.tail.learn(*scores)
        expected = self.level if self.alerts.allowed == 0.0 else min(self.alerts.allowed, alert.LARGEST_LEVEL)
        sure = self.alerts.normal >= alert.CALIBRATED_AFTER / expected
        detection = surprise >= surprise_of(level)
        alert_level = self.alerts.alert_level
        position = (0, self.records - 1)
        lasts = self.evidence.lasts
        strength = self.alerts.judge(detection, asked, position, lasts)
        if self.spell.go_on(detection, lasts, surprise):
            self._adopt()
        self.kinds.observe(self.evidence, self.alerts, values)
        shares = self.evidence.shares / self.evidence.shares.sum()
        value = np.where(np.isfinite(values), values, nan)
        deviation = value - out["yhat"][:, 0]
        strength, told_level = self.feedback.weigh(
            self.alerts, Signature(value, deviation, deviation, shares), (strength, surprise),
            (detection, asked, position, lasts),
        )  # fmt: skip
        alert_level = alert_level if isnan(told_level) else told_level
        out |= {
            "status": "calibrated" if sure else "provisional", "score": scores[0], "surprise": surprise,
            "level": level, "alert_level": alert_level, "detection": detection, "strength": strength,
            "share": shares,
        }  # fmt: skip
        return detection

    def _adopt(self) -> None:
        """What lasts is normal."""
        self.tail.doubt()
        self.alerts.withheld = alert.MOST_WITHHELD
        for line in self.evidence.flat:
            line.accept()
        for one in self.evidence.unrest:
            one.slow = one.fast
            one.excursion.accept()

    def _learn(self, values: np.ndarray, usable: np.ndarray, changes: np.ndarray, errors: np.ndarray) -> None:
        self.errors.learn(errors)
        known = ~np.isnan(changes[0])
        for network, readout, i in zip(self.networks, self.readouts, range(9), strict=False):
            if known.any():
                readout.learn_gains(self.past[-1]["regressors"][i], known)
            for k in range(len(self.horizons)):
                made = self._made_for_now(k)
                if made is not None:
                    readout.learn_weights(k, made["regressors"][i], changes[k])
            network.learn(changes[0])
        for d in np.flatnonzero(usable):
            self.scalers[d].learn(values[d])

    def _take_in(self, values: np.ndarray, usable: np.ndarray, time: int, odd: float) -> np.ndarray:
        """The networks' inputs; forecasts take the place of missing values."""
        inputs = []
        forecast = self.past[-1]["forecast"][0] if self.past else np.zeros(len(values))
        for d, channel in enumerate(self.scalers):
            missing = not usable[d] or np.isnan(channel.mean)
            u = forecast[d] if missing else channel.scaled(values[d])
            gains = np.maximum(features.SLOW_GAINS, 1.0 / (channel.seen + 1.0))
            self.slow[:, d] += gains * (u - self.slow[:, d])
            inputs += [u, u - self.value[d], *(u - self.slow[:, d]), float(missing)]
            self.value[d] = u
            self.lags[d] = [u, *self.lags[d, :-1]]
        angle = 2.0 * np.pi * (time % features._DAY) / features._DAY
        day = [0.0, 0.0] if time == plan.NO_TIME else [np.sin(angle), np.cos(angle)]
        farthest = features._FARTHEST_STEP
        self.raw = values.copy()
        return np.array([*inputs, *day, 0.0 if np.isnan(odd) else np.clip(odd, -farthest, farthest)])

    def _forecast(self, inputs: np.ndarray, masked: bool) -> None:
        """Step every network; keep its mean forecast and all that learning will need."""
        records, changes = [], []
        for network, readout in zip(self.networks, self.readouts, strict=True):
            h = network.advance(inputs, masked).state[0]
            records.append(readout.regressors(h, self.lags))
            changes.append(readout.changes(records[-1]))
        self.past.append(
            {
                "mean": np.array([channel.mean for channel in self.scalers]),
                "scale": np.array([channel.scale for channel in self.scalers]),
                "value": self.value.copy(),
                "forecast": self.value + np.mean(changes, axis=0) if changes else self._mean,
                "forecasts": np.array([self.value[0] + change[0, 0] for change in changes]),
                "regressors": records,
            }
        )
