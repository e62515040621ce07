"""Plain NumPy twins of the cells that a Kalman filter trains, and of its filters.

One of a cell whose units see themselves only, with exact derivatives; one of any cell, with
derivatives through a window of stored activations.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import naive
import naive_learning
import numpy as np

from streamrnn.groups import WINDOW
from streamrnn.kernels import kalman
from streamrnn.kernels.trainers import kalman as trainer
from streamrnn.tables import Training

_OF_ADAM = ("rate", "beta_1", "beta_2", "epsilon", "clip")
_STEP = 1e-30  # of a complex step

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
        self.state = self.twin.run(p, x, self.state)[1]


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
        self.states = [self.twin.zero_state(self.p)]  # one more than steps
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


class Descent:
    """Adam along the gradient of what all horizons missed, each in units of its usual error."""

    def __init__(self, cell: DenseCell, horizons: np.ndarray) -> None:
        self.cell, self.horizons, self.noise = cell, horizons, Noise(horizons)
        self.adam = naive_learning.Adam(**{name: getattr(Training(), name) for name in _OF_ADAM})

    def learn(self, observations: list[Observation]) -> None:
        gradient = np.zeros(self.cell.theta.shape)
        for seen in observations:
            error, _ = self.noise.learn(seen)
            share = error / sqrt(self.noise.powers[seen.k]) / self.horizons[seen.k]
            gradient -= share * self.cell.derivative(self.horizons[seen.k], seen.weights)
        if observations:
            self.cell.theta = self.adam.update({"theta": self.cell.theta}, {"theta": gradient})["theta"]

    def follow(self) -> dict:
        return {}


class DenseFilter:
    """The extended Kalman filter of such a cell: a block for each gate of each unit."""

    def __init__(self, cell: DenseCell, horizons: np.ndarray) -> None:
        self.cell, self.horizons, self.noise = cell, horizons, Noise(horizons)
        blocks, size = cell.theta.shape
        self.covariance = np.tile(kalman.PRIOR * np.eye(size), (blocks, 1, 1))  # before the last observations
        self.after = self.covariance

    def learn(self, observations: list[Observation]) -> None:
        """From the nearest horizon and from the one whose turn it is, one after the other.

        All derivatives are those by the weights before.
        """
        others = len(self.horizons) - 1
        turn = 1 + len(self.cell.steps) % self.horizons[-1] % others if others else 0
        observations = [seen for seen in observations if seen.k in (0, turn)]
        if not observations:
            return
        derivatives = [self.cell.derivative(self.horizons[seen.k], seen.weights) for seen in observations]
        nothing = np.zeros(self.cell.theta.shape[1])
        self.covariance = np.array(
            [lowered(block, nothing, 0.0, kalman.NOISE, kalman.CAP) for block in self.after]
        )
        self.after = self.covariance
        for seen, g in zip(observations, derivatives, strict=True):
            error, variance = self.noise.learn(seen)
            if seen.k > 0:
                variance *= max(1.0 / others, 1.0 / self.horizons[seen.k])
            product = np.einsum("bij,bj->bi", self.after, g)
            variance += np.sum(g * product)
            self.cell.theta = self.cell.theta + error / variance * product
            self.after = self.after - np.einsum("bi,bj->bij", product, product) / variance

    def follow(self) -> dict:
        return {}
