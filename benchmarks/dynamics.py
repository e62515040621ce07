"""Seeded streams of known dynamics, for forecasters: chaos, memory, regimes, a multiplied season."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SEASON = 24  # records
_SETTLED = 500  # records left out, until the start is forgotten


@dataclass(frozen=True)
class Dynamics:
    """A stream whose first channel is to be forecast.

    Attributes
    ----------
    values : (n, channels) float64
    changes : tuple of int
        Rows that another regime begins at.
    """

    values: Array
    changes: tuple[int, ...] = ()


def simulated(kind: str, n: int, seed: int = 0) -> Dynamics:
    """So many records of one of ``KINDS``."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    found = KINDS[kind](rng, n)
    return found if isinstance(found, Dynamics) else Dynamics(found[:, None])


def _mackey_glass(rng: np.random.Generator, n: int) -> Array:
    """Of x' = .2 x(t - 17) / (1 + x(t - 17)^10) - .1 x, a record a unit of time; Mackey and Glass (1977)."""
    steps, delay = 10, 17  # Euler steps a record; the delay in records
    past = (1.2 + 0.2 * rng.normal(size=steps * delay)).tolist()
    for _ in range(steps * (n + _SETTLED)):
        x, late = past[-1], past[-steps * delay]
        past.append(x + (0.2 * late / (1.0 + late**10) - 0.1 * x) / steps)
    return np.array(past[-steps * n :: steps])


def _lorenz(rng: np.random.Generator, n: int) -> Array:
    """The first coordinate of Lorenz' system (1963), every .05 units of time, by Runge and Kutta's method."""

    def slope(state: Array) -> Array:
        x, y, z = state.tolist()
        return np.array([10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z])

    step, state, values = 0.025, rng.normal(size=3) + 1.0, []
    for i in range(2 * (n + _SETTLED)):
        k1 = slope(state)
        k2 = slope(state + 0.5 * step * k1)
        k3 = slope(state + 0.5 * step * k2)
        k4 = slope(state + step * k3)
        state = state + step / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        if i % 2:
            values.append(float(state[0]))
    return np.array(values[_SETTLED:])


def _narma_10(rng: np.random.Generator, n: int) -> Dynamics:
    """A nonlinear moving average of order 10, and what drives it, known too; Atiya and Parlos (2000)."""
    drive = rng.uniform(0.0, 0.5, n + _SETTLED)
    y = np.zeros(n + _SETTLED)
    for t in range(9, n + _SETTLED - 1):
        memory = 0.05 * y[t] * y[t - 9 : t + 1].sum()
        y[t + 1] = 0.3 * y[t] + memory + 1.5 * drive[t - 9] * drive[t] + 0.1
    return Dynamics(np.column_stack([y, drive])[_SETTLED:])


def _switching(rng: np.random.Generator, n: int) -> Dynamics:
    """AR(2) whose frequency, damping and level change every 400 to 800 records."""
    values, changes = [0.0, 0.0], []
    while len(values) < n + 2:
        changes.append(len(values) - 2)
        modulus, angle, level = rng.uniform(0.8, 0.97), rng.uniform(0.1, 1.2), rng.normal(scale=4.0)
        for shock in rng.normal(size=rng.integers(400, 801)).tolist():
            x, before = values[-1] - level, values[-2] - level
            values.append(level + 2.0 * modulus * np.cos(angle) * x - modulus**2 * before + shock)
    return Dynamics(np.array(values[2 : n + 2])[:, None], tuple(changes[1:]))


def _multiplicative(rng: np.random.Generator, n: int) -> Array:
    """A level that wanders, times a season of 24 records with a harmonic, times noise."""
    t = np.arange(n) * 2.0 * np.pi / SEASON
    season = 1.0 + 0.5 * np.sin(t + rng.uniform(0.0, 6.0)) + 0.2 * np.sin(2.0 * t + rng.uniform(0.0, 6.0))
    level = 100.0 * np.exp(np.cumsum(rng.normal(scale=0.01, size=n)))
    return level * season * np.exp(rng.normal(scale=0.03, size=n))


KINDS: dict[str, Callable[[np.random.Generator, int], Array | Dynamics]] = {
    "mackey_glass": _mackey_glass,
    "lorenz": _lorenz,
    "narma_10": _narma_10,
    "switching": _switching,
    "multiplicative": _multiplicative,
}
