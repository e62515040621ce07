"""Plain twins of what forecasts a channel: cells that a Kalman filter trains, fast heads, their mixture.

Constants come from the modules under test, the method from the papers and docstrings that
these cite: all covariances as whole matrices, derivatives by the complex step.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import naive
import naive_model
import numpy as np
from support import Network

from streamrnn.groups import FAST_FORGETTING, WINDOW, GroupShape
from streamrnn.initial import initial_row
from streamrnn.kernels import forecaster, heads, kalman, mixture
from streamrnn.kernels.features import PER_CHANNEL
from streamrnn.kernels.trainers import kalman as trainer
from streamrnn.kernels.trainers import window
from streamrnn.layout import ModelLayout
from streamrnn.settings import Settings
from streamrnn.tables import PRIOR

_STEP = 1e-30  # of a complex step

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


class Head(naive.TwoStageLeastSquares):
    """A fast head of one channel: errors first, weights later, for the network learns in between."""

    def __init__(self, hidden: int, lags: int, horizons: int, forget: float) -> None:
        super().__init__((hidden + 1, 1, lags, horizons), forget, PRIOR, np.inf)
        self.clips = [naive.RobustClip() for _ in range(horizons)]

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


# ---------------------------------------------------------------- trained cells


class Observation(NamedTuple):
    """What came true of one horizon, as the network hears of it."""

    k: int
    error: float  # the heads' mixed one
    known: int  # targets so far
    weights: np.ndarray  # (units,) how the heads' mixture moves with each h
    record: dict  # what the forecast's own record kept


class Noise:
    """Mean square error of each horizon's forecasts."""

    def __init__(self, horizons: np.ndarray) -> None:
        self.horizons, self.powers = horizons, np.ones(len(horizons))

    def learn(self, seen: Observation) -> tuple[float, float]:
        """The error, clipped, and the variance that is no fault of the network."""
        k = seen.k
        self.powers[k] += max(trainer._GAIN, 1.0 / seen.known) * (seen.error**2 - self.powers[k])
        v = max(self.powers[k], trainer._LEAST_NOISE)
        most = trainer.CLIP * sqrt(v)
        variance = v * self.horizons[k] * (1.0 + seen.record["leverage"])
        return float(np.clip(seen.error, -most, most)), variance


def lowered(covariance: np.ndarray, b: np.ndarray, f: float, noise: float, cap: float) -> np.ndarray:
    """P - f b b' + Q I, with no variance above the cap."""
    result = covariance - f * np.outer(b, b) + noise * np.eye(len(b))
    np.fill_diagonal(result, np.minimum(result.diagonal(), cap))
    return result


class Block:
    """Covariance of weights of one unit that belong together (Puskorius and Feldkamp 1991)."""

    def __init__(self, size: int) -> None:
        self.covariance = kalman.PRIOR * np.eye(size)
        self.product, self.factor = np.zeros(size), 0.0

    def follow(self, derivative: np.ndarray) -> float:
        """Take off what the step before left, then P S; returns q = S' P S."""
        self.covariance = lowered(self.covariance, self.product, self.factor, kalman.NOISE, kalman.CAP)
        self.product = self.covariance @ derivative
        return float(derivative @ self.product)


class Cell:
    """A diagonal LSTM with its exact derivatives by each unit's own weights.

    ``theta`` (gates, units, weights): of own h, inputs, 1. Since no unit sees another, one
    complex step moves weight (q, m) of all units at once; the derivatives of the state before
    are the imaginary part of the state that the step starts from.
    """

    def __init__(self, weights: naive.Arrays) -> None:
        own = weights["weight_hh_l0"]
        columns = np.hstack([own, weights["weight_ih_l0"], weights["bias_ih_l0"][:, None]])
        self.theta = columns.reshape(4, len(own) // 4, -1)
        self.directions = self.theta.shape[0] * self.theta.shape[2]
        self.twin = naive.CELLS["diagonal_lstm"]
        self.state = tuple(np.zeros((self.directions, self.units), complex) for _ in range(2))

    @property
    def units(self) -> int:
        return self.theta.shape[1]

    @property
    def h(self) -> np.ndarray:
        return self.state[0][0].real

    @property
    def of_h(self) -> np.ndarray:
        """(gates, units, weights) dh of each unit by its own weights."""
        gates, _, weights = self.theta.shape
        return self.state[0].imag.reshape(gates, weights, self.units).transpose(0, 2, 1) / _STEP

    def step(self, x: np.ndarray, masked: bool) -> None:
        if masked:
            return
        gates, units, weights = self.theta.shape
        moved = np.tile(self.theta.astype(complex), (self.directions, 1, 1, 1))
        for n, (q, m) in enumerate(np.ndindex(gates, weights)):
            moved[n, q, :, m] += 1j * _STEP
        flat = moved.reshape(self.directions, gates * units, weights)
        p = {
            "weight_hh_l0": flat[:, :, :1], "weight_ih_l0": flat[:, :, 1:-1], "bias_ih_l0": flat[:, :, -1],
        }  # fmt: skip
        self.state = self.twin.activate(self.twin.products(p, x, self.state[0]), self.state)


class Filter:
    """The extended Kalman filter of a cell: ``blocks`` a unit, one for each gate or one for all."""

    def __init__(self, cell: Cell, horizons: np.ndarray, blocks: int) -> None:
        self.cell, self.horizons = cell, horizons
        gates, units, weights = cell.theta.shape
        self.shape = (weights, gates // blocks)  # of what a block holds
        self.blocks = [[Block(weights * gates // blocks) for _ in range(units)] for _ in range(blocks)]
        self.noise = Noise(horizons)
        self.variances = np.zeros(len(horizons))
        self.weights = np.zeros((len(horizons), units))

    def learn(self, observations: list[Observation]) -> None:
        """Move the weights by the errors of forecasts whose derivatives their records kept."""
        for seen in observations:
            error, variance = self.noise.learn(seen)
            self.weights[seen.k] = seen.weights
            self.variances[seen.k] = variance + np.sum(seen.weights**2 * seen.record["q"])
            step = error / self.variances[seen.k]
            self.cell.theta = self.cell.theta + step * seen.weights[:, None] * seen.record["product"]

    def follow(self) -> dict:
        """P S and q of every block; the downdate is left to the next record."""
        product, of_h = np.zeros(self.cell.theta.shape), self.cell.of_h
        q = np.zeros((len(self.blocks), of_h.shape[1]))
        for b, j in np.ndindex(q.shape):
            block, gates = self.blocks[b][j], slice(b * self.shape[1], (b + 1) * self.shape[1])
            q[b, j] = block.follow(of_h[gates, j].T.ravel())
            product[gates, j] = block.product.reshape(self.shape).T
            block.factor = self._factor(self.weights[:, j] ** 2, q[b, j])
        return {"product": product, "q": q}

    def _factor(self, squares: np.ndarray, q: float) -> float:
        known = self.variances > 0.0
        left = np.maximum(self.variances - squares * q, 0.1 * self.variances)
        gain = np.sum(squares[known] / left[known])
        return float(gain / (1.0 + gain * q))


# ---------------------------------------------------------------- cells whose units see each other


class DenseCell:
    """A cell with its steps as they were made.

    ``theta`` (gates x units, weights): of all h and their bias, of the inputs and theirs.
    """

    def __init__(self, name: str, weights: naive.Arrays) -> None:
        self.twin = naive.CELLS[name]
        self.theta = self._rows(weights)
        self.units = weights["weight_hh_l0"].shape[1]
        self.states = [naive.zero_state(self.twin, self.units)]  # one more than steps
        self.inputs: list[np.ndarray] = []
        self.masks: list[bool] = []
        self.steps: list[naive.Step] = []

    @staticmethod
    def _rows(p: naive.Arrays) -> np.ndarray:
        names = ("weight_hh_l0", "bias_hh_l0", "weight_ih_l0", "bias_ih_l0")
        return np.column_stack([p[name] for name in names])

    @property
    def p(self) -> naive.Arrays:
        """The weights by PyTorch's names, and a head without outputs."""
        units, last = self.units, self.theta.shape[1] - 1
        return {
            "weight_hh_l0": self.theta[:, :units],
            "bias_hh_l0": self.theta[:, units],
            "weight_ih_l0": self.theta[:, units + 1 : last],
            "bias_ih_l0": self.theta[:, last],
            "head_weight": np.zeros((0, units)),
            "head_bias": np.zeros(0),
        }

    @property
    def h(self) -> np.ndarray:
        return self.states[-1][0]

    def step(self, x: np.ndarray, masked: bool) -> None:
        self.inputs.append(x)
        self.masks.append(masked)
        self.steps.append(naive.step(self.twin, self.p, x, self.states[-1], masked))
        self.states.append(self.steps[-1].state)

    def derivative(self, back: int, weights: np.ndarray) -> np.ndarray:
        """D(weights' h) / dtheta of the ``back``-th newest step, through stored activations."""
        end = len(self.steps) - back + 1
        part = slice(max(end - WINDOW, 0), end)
        past = naive.Window(
            inputs=np.array(self.inputs[part]),
            start=self.states[part.start],
            targets=np.zeros((0, 0)),
            masks=np.array(self.masks[part]),
            stored=self.steps[part],
        )
        return self._rows(naive.complex_step(lambda p: past.run(self.twin, p)[-1].state[0] @ weights, self.p))


class DenseFilter:
    """The extended Kalman filter of such a cell: a block for each gate of each unit."""

    def __init__(self, cell: DenseCell, horizons: np.ndarray) -> None:
        self.cell, self.horizons, self.noise = cell, horizons, Noise(horizons)
        blocks, size = cell.theta.shape
        self.covariance = np.tile(kalman.PRIOR * np.eye(size), (blocks, 1, 1))  # before the last observations
        self.after = self.covariance

    def learn(self, observations: list[Observation]) -> None:
        for first in range(0, len(self.horizons), window.TOGETHER):
            together = [seen for seen in observations if first <= seen.k < first + window.TOGETHER]
            if together:
                self._learn(together)

    def _learn(self, observations: list[Observation]) -> None:
        """One after the other; all derivatives are those by the weights before."""
        derivatives = [self.cell.derivative(self.horizons[seen.k], seen.weights) for seen in observations]
        nothing = np.zeros(self.cell.theta.shape[1])
        self.covariance = np.array(
            [lowered(block, nothing, 0.0, kalman.NOISE, kalman.CAP) for block in self.after]
        )
        self.after = self.covariance
        for seen, g in zip(observations, derivatives, strict=True):
            error, variance = self.noise.learn(seen)
            product = np.einsum("bij,bj->bi", self.after, g)
            variance += np.sum(g * product)
            self.cell.theta = self.cell.theta + error / variance * product
            self.after = self.after - np.einsum("bi,bj->bij", product, product) / variance

    def follow(self) -> dict:
        return {}


# ---------------------------------------------------------------- groups


class Group:
    """A network, trained or frozen, or none; three heads that see its state and their lags."""

    def __init__(self, shape: GroupShape, weights: naive.Arrays, horizons: np.ndarray) -> None:
        self.shape, self.horizons = shape, horizons
        hidden = shape.network.hidden
        self.cell = self._cell(weights) if hidden else None
        self.filter = self._filter() if shape.training != "frozen" else None
        self.heads = [Head(hidden, shape.regressors, len(horizons), forget) for forget in FAST_FORGETTING]
        # The same regressors in one piece: the leverage is z' P z.
        terms = hidden + 1 + shape.regressors
        self.joint = naive.JointLeastSquares(terms, 1, FAST_FORGETTING[-1], PRIOR, np.inf)
        self.errors = np.zeros((len(horizons), len(self.heads)))
        self.records: list[dict] = []

    def _cell(self, weights: naive.Arrays) -> Cell | DenseCell:
        network = self.shape.network
        return Cell(weights) if network.spec.diagonal else DenseCell(network.cell, weights)

    def _filter(self) -> Filter | DenseFilter:
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
        if self.filter:
            self.filter.learn([self._observe(k, shares[k]) for k in known])
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
        self.records.append(record | (self.filter.follow() if self.filter else {}))
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
