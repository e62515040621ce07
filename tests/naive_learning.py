"""Plain NumPy twins of what learns: the optimisers, training through time, the readout's least squares."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from naive import Arrays, Cell, Step, Tuple, Window, complex_step, step

from streamrnn.groups import FAST_CLIP
from streamrnn.kernels import readout
from streamrnn.tables import INNOVATION_CLIP

# ---------------------------------------------------------------- training


@dataclass
class Adam:
    """Kingma and Ba (2015), algorithm 1, after clipping by the global norm (Pascanu et al. 2013)."""

    rate: float
    beta_1: float
    beta_2: float
    epsilon: float
    clip: float
    clip_value: float = np.inf
    t: int = 0
    m: Arrays = field(default_factory=dict)
    v: Arrays = field(default_factory=dict)

    def update(self, p: Arrays, gradient: Arrays) -> Arrays:
        """The parameters after one step along ``gradient``, that of the mean loss."""
        self.t += 1
        gradient = {name: np.clip(g, -self.clip_value, self.clip_value) for name, g in gradient.items()}
        norm = np.sqrt(sum(np.sum(g * g) for g in gradient.values()))
        shrink = min(1.0, self.clip / norm) if norm > 0 else 1.0
        return {name: array + self._move(name, shrink * gradient[name]) for name, array in p.items()}

    def _move(self, name: str, g: np.ndarray) -> np.ndarray:
        self.m[name] = self.beta_1 * self.m.get(name, 0.0) + (1.0 - self.beta_1) * g
        self.v[name] = self.beta_2 * self.v.get(name, 0.0) + (1.0 - self.beta_2) * g * g
        m_hat = self.m[name] / (1.0 - self.beta_1**self.t)
        v_hat = self.v[name] / (1.0 - self.beta_2**self.t)
        return -self.rate * m_hat / (np.sqrt(v_hat) + self.epsilon)


class RMSprop(Adam):
    """Tieleman and Hinton (2012), lecture 6.5: by the root of a running mean square."""

    def _move(self, name: str, g: np.ndarray) -> np.ndarray:
        self.v[name] = self.beta_2 * self.v.get(name, 0.0) + (1.0 - self.beta_2) * g * g
        return -self.rate * g / (np.sqrt(self.v[name]) + self.epsilon)


class SGD(Adam):
    """Descent with momentum (Polyak 1964), ``beta_1`` of it."""

    def _move(self, name: str, g: np.ndarray) -> np.ndarray:
        self.m[name] = self.beta_1 * self.m.get(name, 0.0) + g
        return -self.rate * self.m[name]


@dataclass
class Learner:
    """Step on every record, train on the newest k2 steps every k1 records."""

    cell: Cell
    p: Arrays
    adam: Adam
    k1: int
    k2: int
    huber: float
    recompute: bool = False
    since: int = 0
    inputs: list[np.ndarray] = field(default_factory=list)
    masks: list[bool] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    targets: list[np.ndarray] = field(default_factory=list)

    def _state(self, back: int) -> Tuple:
        """State ``back`` steps ago."""
        if back < len(self.steps):
            return self.steps[len(self.steps) - 1 - back].state
        return self.cell.zero_state(self.p)

    def _update(self) -> None:
        filled = min(len(self.steps), self.k2)
        window = Window(
            inputs=np.array(self.inputs[-filled:]),
            start=self._state(filled),
            targets=np.array(self.targets[-self.k1 :]),
            masks=np.array(self.masks[-filled:]),
            stored=None if self.recompute else self.steps[-filled:],
        )
        if self.recompute:
            self.steps[-filled:] = window.run(self.cell, self.p)
        if window.losses:
            total = complex_step(lambda p: window.loss(self.cell, p, self.huber), self.p)
            self.p = self.adam.update(self.p, {k: g / window.losses for k, g in total.items()})

    def learn(self, truth: np.ndarray) -> None:
        """Learn that ``truth`` followed the newest output."""
        if self.steps:
            self.targets[-1] = truth
        self.since += 1
        if self.since >= self.k1 and len(self.steps) >= self.k1:
            self.since = 0
            self._update()

    def advance(self, x: np.ndarray, masked: bool = False) -> Step:
        """One step, whose target is not known yet."""
        self.inputs.append(x)
        self.masks.append(masked)
        self.steps.append(step(self.cell, self.p, x, self._state(0), masked))
        self.targets.append(np.full(self.steps[-1].y.shape, np.nan))
        return self.steps[-1]

    def learn_one(self, x: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Step on x, then learn what its output should have been; the output."""
        output = self.advance(x).y
        self.learn(truth)
        return output


# ---------------------------------------------------------------- readout


@dataclass
class JointLeastSquares:
    """Recursive least squares on all regressors together, with forgetting (Haykin, table 10.1).

    One inverse correlation matrix and one gain for a record's regressors; a
    horizon's weights move by that gain once its target is known, with the error
    clipped (Huber 1964).
    """

    regressors: int
    horizons: int
    forget: float
    prior: float
    clip: float

    def __post_init__(self) -> None:
        self.inverse = self.prior * np.eye(self.regressors)
        self.weights = np.zeros((self.horizons, self.regressors))

    def gain(self, x: np.ndarray) -> np.ndarray:
        """g = P x / (lambda + x' P x); P becomes (P - g x' P) / lambda."""
        product = self.inverse @ x
        gain = product / (self.forget + x @ product)
        inverse = (self.inverse - np.outer(gain, product)) / self.forget
        self.inverse = 0.5 * (inverse + inverse.T)
        return gain

    def learn(self, horizon: int, x: np.ndarray, gain: np.ndarray, target: float) -> None:
        error = target - self.weights[horizon] @ x
        self.weights[horizon] += gain * np.clip(error, -self.clip, self.clip)


class RobustClip:
    """An error held within a multiple of the mean size of recent ones, after it entered that mean."""

    def __init__(self) -> None:
        self.scale, self.known = 0.0, 0

    def __call__(self, error: float) -> float:
        most = 5.0 * self.scale + readout._LEAST_SCALE if self.scale > 0.0 else INNOVATION_CLIP
        self.known += 1
        gain = max(readout._SCALE_GAIN, 1.0 / self.known)
        self.scale += gain * (min(abs(error), most) - self.scale)
        return float(np.clip(error, -FAST_CLIP * self.scale, FAST_CLIP * self.scale))


class TwoStageLeastSquares:
    """The same in two stages: x = [h, 1] for all channels, then what x leaves of each channel's lags.

    ``shared`` and ``own`` are inverse correlations, ``cross`` the regression of
    the lags on x. Where every channel is always known it equals the joint form.
    """

    def __init__(
        self, sizes: tuple[int, int, int, int], forget: float, prior: float, clip: float | None
    ) -> None:
        """``clip`` None: each channel's and horizon's own, ``RobustClip``."""
        terms, channels, lags, horizons = sizes
        self.clips = [[RobustClip() for _ in range(channels)] for _ in range(horizons)]
        self.forget, self.clip = forget, clip
        self.shared = prior * np.eye(terms)
        self.own = np.stack([prior * np.eye(lags)] * channels)
        self.cross = np.zeros((terms, channels, lags))
        self.a = np.zeros((horizons, terms, channels))
        self.b = np.zeros((horizons, channels, lags))

    def regressors(self, h: np.ndarray, lags: np.ndarray) -> Arrays:
        """What a record offers: x, the lags' rest, and gains of zero until it is learned from."""
        x = np.append(h, 1.0)
        rest = lags - np.einsum("i,idl->dl", x, self.cross)
        return {"x": x, "rest": rest, "gain": np.zeros_like(x), "own_gain": np.zeros_like(rest)}

    def changes(self, record: Arrays) -> np.ndarray:
        """(horizons, channels) forecasts of the change."""
        return record["x"] @ self.a + np.einsum("kdl,dl->kd", self.b, record["rest"])

    def learn_gains(self, record: Arrays, known: np.ndarray) -> None:
        """Haykin, table 10.1, twice: the first stage's conversion factor weighs the second."""
        x = record["x"]
        product = self.shared @ x
        gain = product / (self.forget + x @ product)
        factor = self.forget / (self.forget + x @ product)
        self.shared = (self.shared - np.outer(gain, product)) / self.forget
        record["gain"] = gain
        for d in np.flatnonzero(known):
            rest = record["rest"][d]
            self.cross[:, d] += np.outer(gain, rest)
            product = self.own[d] @ rest
            record["own_gain"][d] = product / (self.forget / factor + rest @ product)
            self.own[d] = (self.own[d] - np.outer(record["own_gain"][d], product)) / self.forget

    def learn_weights(self, k: int, record: Arrays, changes: np.ndarray) -> None:
        for d in np.flatnonzero(~np.isnan(changes)):
            partial = self.b[k, d] @ record["rest"][d]
            error = changes[d] - record["x"] @ self.a[k, :, d] - partial
            error = self.clips[k][d](error) if self.clip is None else np.clip(error, -self.clip, self.clip)
            self.b[k, d] += error * record["own_gain"][d]
            self.a[k, :, d] += (error + partial) * record["gain"]
