"""Plain twins of what forecasts a channel: cells that a Kalman filter trains, fast heads, their mixture.

Constants come from the modules under test, the method from the papers and docstrings that
these cite: all covariances as whole matrices, derivatives by the complex step.
"""

from __future__ import annotations

from math import sqrt

import naive
import naive_learning
import naive_model
import numpy as np
from naive_filters import Cell, DenseCell, DenseFilter, Descent, Filter, Observation
from support import Network

from streamrnn.groups import FAST_FORGETTING, GroupShape
from streamrnn.initial import initial_row
from streamrnn.kernels import forecaster, heads, mixture
from streamrnn.kernels.features import PER_CHANNEL
from streamrnn.layout import ModelLayout
from streamrnn.settings import Settings
from streamrnn.tables import PRIOR

# ---------------------------------------------------------------- mixture


class Mixture:
    """Exponentiated gradient (Kivinen and Warmuth 1997) with a fixed share (Herbster and Warmuth 1998)."""

    def __init__(self, experts: int, horizon: int) -> None:
        self.shares = np.full(experts, 1.0 / experts)
        self.root = sqrt(horizon)
        self.back = 1.0 / (mixture._SPAN * self.root)
        self.spread, self.known = 0.0, 0

    def mixed(self, said: np.ndarray) -> float:
        return float(self.shares @ said)

    def learn(self, said: np.ndarray, truth: float) -> None:
        mean = self.mixed(said)
        self.known += 1
        self.spread += max(self.back, 1.0 / self.known) * (np.mean(np.abs(said - mean)) - self.spread)
        eta = mixture._RATE / self.root / (self.spread + mixture._LEAST_SPREAD)
        side = 1.0 if truth > mean else -1.0  # at 0 any slope between is a subgradient of |y - p|
        grown = self.shares * np.exp(np.clip(eta * side * (said - mean), -1.0, 1.0))
        self.shares = (1.0 - self.back) * grown / grown.sum() + self.back / len(said)


# ---------------------------------------------------------------- heads


class Head(naive_learning.TwoStageLeastSquares):
    """A fast head of one channel: errors first, weights later, for the network learns in between."""

    def __init__(self, hidden: int, lags: int, horizons: int, forget: float) -> None:
        super().__init__((hidden + 1, 1, lags, horizons), forget, PRIOR, np.inf)
        self.clips = [naive_learning.RobustClip() for _ in range(horizons)]

    def error(self, k: int, record: naive.Arrays, change: float) -> float:
        return self.clips[k](change - self.changes(record)[k, 0])

    def move(self, k: int, record: naive.Arrays, error: float) -> None:
        """As if the change had been what was forecast and the clipped error."""
        partial = self.b[k, 0] @ record["rest"][0]
        self.b[k, 0] += error * record["own_gain"][0]
        self.a[k, :, 0] += (error + partial) * record["gain"]

    def by_h(self, k: int) -> np.ndarray:
        """How its forecast a x + b (l - G x) moves with each h."""
        return (self.a[k, :, 0] - self.cross[:, 0] @ self.b[k, 0])[:-1]


# ---------------------------------------------------------------- groups


class Group:
    """A network, trained or frozen, or none; three heads that see its state and their lags."""

    def __init__(self, shape: GroupShape, weights: naive.Arrays, horizons: np.ndarray) -> None:
        self.shape, self.horizons = shape, horizons
        hidden = shape.network.hidden
        self.cell = self._cell(weights) if hidden else None
        self.trainer = self._trainer() if shape.training != "frozen" else None
        self.heads = [Head(hidden, shape.regressors, len(horizons), forget) for forget in FAST_FORGETTING]
        # The same regressors in one piece: the leverage is z' P z.
        terms = hidden + 1 + shape.regressors
        self.joint = naive_learning.JointLeastSquares(terms, 1, FAST_FORGETTING[-1], PRIOR, np.inf)
        self.errors = np.zeros((len(horizons), len(self.heads)))
        self.records: list[dict] = []

    def _cell(self, weights: naive.Arrays) -> Cell | DenseCell:
        network = self.shape.network
        return Cell(weights) if network.spec.diagonal else DenseCell(network.cell, weights)

    def _trainer(self) -> Filter | DenseFilter | Descent:
        if self.shape.training == "adam_heads":
            return Descent(self.cell, self.horizons)
        if isinstance(self.cell, Cell):
            return Filter(self.cell, self.horizons, self.shape.blocks)
        return DenseFilter(self.cell, self.horizons)

    def find_errors(self, changes: np.ndarray) -> None:
        if not np.isnan(changes[0]):
            record = self.records[-1]
            record["leverage"] = record["z"] @ self.joint.inverse @ record["z"]
            self.joint.gain(record["z"])
            for head, kept in zip(self.heads, record["heads"], strict=True):
                head.learn_gains(kept, np.array([True]))
        for k in np.flatnonzero(~np.isnan(changes)):
            record = self.records[-self.horizons[k]]
            self.errors[k] = [
                head.error(k, kept, changes[k])
                for head, kept in zip(self.heads, record["heads"], strict=True)
            ]

    def learn(self, changes: np.ndarray, shares: np.ndarray) -> None:
        """The network, then the heads; ``shares`` (horizons, heads) in the mixture of all groups."""
        known = np.flatnonzero(~np.isnan(changes))
        if self.trainer:
            self.trainer.learn([self._observe(k, shares[k]) for k in known])
        for k in known:
            record = self.records[-self.horizons[k]]
            for head, kept, error in zip(self.heads, record["heads"], self.errors[k], strict=True):
                head.move(k, kept, error)

    def _observe(self, k: int, shares: np.ndarray) -> Observation:
        portion = shares / (shares.sum() + heads._LEAST_SHARE)
        weights = sum(part * head.by_h(k) for part, head in zip(portion, self.heads, strict=True))
        known, record = self.heads[0].clips[k].known, self.records[-self.horizons[k]]
        return Observation(k, portion @ self.errors[k], known, weights, record)

    def step(self, x: np.ndarray, lags: np.ndarray, masked: bool) -> np.ndarray:
        """(heads, horizons) changes that the heads forecast."""
        if self.cell:
            self.cell.step(x, masked)
        padded = np.zeros(self.shape.regressors)
        padded[: len(lags)] = lags
        h = self.cell.h if self.cell else np.zeros(0)
        kept = [head.regressors(h, padded[None]) for head in self.heads]
        record = {"heads": kept, "z": np.concatenate([h, [1.0], padded]), "leverage": 0.0}
        self.records.append(record | (self.trainer.follow() if self.trainer else {}))
        return np.array([head.changes(own)[:, 0] for head, own in zip(self.heads, kept, strict=True)])


class Forecaster:
    """One channel's groups and the mixture of what they and the last value say."""

    def __init__(self, layout: ModelLayout, row: np.ndarray, d: int) -> None:
        horizons = np.array(layout.settings.horizons)
        self.groups = []
        for i, shape in enumerate(layout.groups):
            flat = layout.segment(row, f"channel{d}.group{i}.weights", shape.network.dtype)
            self.groups.append(Group(shape, Network(shape.network).named(flat), horizons))
        self.horizons = horizons
        experts = len(FAST_FORGETTING) * len(self.groups) + 1
        self.mixtures = [Mixture(experts, horizon) for horizon in horizons]
        self.past = np.zeros(max(shape.lags for shape in layout.groups))
        self.farthest = 0.0
        self.said: list[np.ndarray] = []  # (experts, horizons) a record

    def learn(self, actual: np.ndarray, changes: np.ndarray) -> None:
        """What came true, of each horizon, NaN where nothing did."""
        for group in self.groups:
            group.find_errors(changes)
        for k in np.flatnonzero(~np.isnan(actual)):
            self.mixtures[k].learn(self.said[-self.horizons[k]][:, k], actual[k])
        shares = np.array([each.shares for each in self.mixtures])
        for i, group in enumerate(self.groups):
            group.learn(changes, shares[:, 3 * i : 3 * i + 3])

    def forecast(self, x: np.ndarray, u: float, others: np.ndarray, masked: bool) -> np.ndarray:
        """(horizons,) forecasts after the newest value ``u``; ``others``: lags of other channels."""
        self.past = np.append(u, self.past[:-1])
        self.farthest = max(self.farthest, abs(u))
        said = [
            u + group.step(x, np.append(self.past[: group.shape.lags], others), masked)
            for group in self.groups
        ]
        most = self.farthest + forecaster._BEYOND
        self.said.append(np.clip(np.vstack([*said, np.full(len(self.horizons), u)]), -most, most))
        return np.array([each.mixed(self.said[-1][:, k]) for k, each in enumerate(self.mixtures)])


class Model(naive_model.Model):
    """A whole model whose forecasts come from forecasters."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        layout = ModelLayout(settings)
        row = initial_row(layout)
        self.other_lags = layout.groups[0].other_lags
        self.forecasters = [Forecaster(layout, row, d) for d in range(len(settings.channels))]

    def _compare(self, values: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found = super()._compare(values, usable)
        self.actual = found[0]
        return found

    def _learn(self, values: np.ndarray, usable: np.ndarray, changes: np.ndarray, errors: np.ndarray) -> None:
        for d, each in enumerate(self.forecasters):
            each.learn(self.actual[:, d], changes[:, d])
        super()._learn(values, usable, changes, errors)

    def _forecast(self, inputs: np.ndarray, masked: bool) -> None:
        super()._forecast(inputs, masked)
        channels, made = len(self.forecasters), []
        day = inputs[PER_CHANNEL * channels :][: forecaster.OF_TIME]
        for d, each in enumerate(self.forecasters):
            own = inputs[PER_CHANNEL * d :][: forecaster.OF_CHANNEL]
            x = np.concatenate([own, day, np.delete(self.value, d)])
            others = np.delete(self.lags, d, axis=0)[:, : self.other_lags].ravel()
            made.append(each.forecast(x, self.value[d], others, masked))
        self.past[-1]["forecast"] = np.array(made).T
