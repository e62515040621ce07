"""Linear forecasters of one channel, compiled: autoregression by least squares, and a robust mixture.

The mixture is what a trained network has to beat: five autoregressions by recursive least squares
with forgetting, each with its error clipped at a multiple of its usual size (Huber), and last value;
their weights follow their errors by exponentiated gradient, for each horizon.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from mase import HORIZONS
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]

SPAN = 4000.0  # records of the running mean and scale
PLAIN_AR = (24, 0.9998)  # lags; forgetting factor
# The best of five such choices on the development series; all were within .006 of each other.
EXPERTS = ((8, 0.99), (8, 0.998), (24, 0.99), (24, 0.998), (24, 0.9998))
CLIP = 0.7 * 1.25  # of the mean absolute error; 1.25 makes it a standard deviation
_NO_CLIP = np.inf
OTHER_LAGS = 4  # of each other channel
_BEYOND = 0.5  # how far outside of all values yet seen a forecast may be, in scaled units
_AHEAD = np.array(HORIZONS)


def in_scaled_units(values: Array, forecast: Callable[[Array, Array], Array]) -> Array:
    """(n, horizons) forecasts made at each row, by a forecaster of scaled values.

    Parameters
    ----------
    values : (n,) float64, sensor units
    forecast : callable
        From u (n,), asinh of the standardised values, and the truth (n, horizons)
        on the scale of the row that it is forecast at (it may look at
        ``truth[s, k]`` from row ``s + HORIZONS[k]`` on) to forecasts of the truth.
    """
    mean, scale = _running(values, SPAN)
    u, truth = np.arcsinh((values - mean) / scale), np.zeros((len(values), len(HORIZONS)))
    for k, h in enumerate(HORIZONS):
        truth[:-h, k] = np.arcsinh((values[h:] - mean[:-h]) / scale[:-h])
    limit = (np.maximum.accumulate(np.abs(u)) + _BEYOND)[:, None]
    made = np.clip(np.nan_to_num(forecast(u, truth)), -limit, limit)
    return mean[:, None] + scale[:, None] * np.sinh(made)  # type: ignore[no-any-return]


def plain_ar(u: Array, truth: Array) -> Array:
    """AR(24) by recursive least squares, as the textbooks have it."""
    lags, forgetting = PLAIN_AR
    return _autoregression(u, _nothing(u), truth, _AHEAD, lags, forgetting, _NO_CLIP)  # type: ignore[no-any-return]


def ar_mixture(u: Array, truth: Array, more: Array | None = None) -> Array:
    """The mixture of the module's docstring; ``more`` (n, inputs) is what else is known at each row."""
    inputs = _nothing(u) if more is None else more
    experts = [
        _autoregression(u, inputs, truth, _AHEAD, lags, forgetting, CLIP) for lags, forgetting in EXPERTS
    ]
    last = np.repeat(u[:, None], len(HORIZONS), axis=1)
    return _mixed(np.stack([*experts, last]), truth, _AHEAD)  # type: ignore[no-any-return]


def time_of_day(times: NDArray[np.datetime64]) -> Array:
    """(n, 2): sine and cosine of the phase of the day."""
    seconds = times.astype("datetime64[s]").astype(np.int64) % 86_400
    return np.column_stack([part(seconds * (2.0 * np.pi / 86_400)) for part in (np.sin, np.cos)])


def newest_of(values: Array) -> Array:
    """(n, channels * OTHER_LAGS): the newest values of other channels, scaled as in ``in_scaled_units``."""
    columns = []
    for d in range(values.shape[1]):
        mean, scale = _running(values[:, d], SPAN)
        u = np.arcsinh((values[:, d] - mean) / scale)
        columns += [u[np.maximum(np.arange(len(u)) - lag, 0)] for lag in range(OTHER_LAGS)]
    return np.column_stack(columns)


def _nothing(u: Array) -> Array:
    return np.empty((len(u), 0))


@njit(error_model="numpy")
def _running(values: Array, span: float) -> Any:
    """(n,) mean and (n,) scale of the values so far, of the newest ``span`` mostly."""
    means, scales = np.empty_like(values), np.empty_like(values)
    mean = variance = 0.0
    for t in range(len(values)):
        share = max(1.0 / (t + 1), 1.0 / span)
        change = values[t] - mean
        mean += share * change
        variance = (1.0 - share) * (variance + share * change * change)
        means[t], scales[t] = mean, max(np.sqrt(variance), 1e-6 * (1.0 + abs(mean)))
    return means, scales


@njit(error_model="numpy")
def _gain(P: Array, x: Array, forgetting: float, gain: Array) -> None:
    """Set gain = P x / (forgetting + x'Px), then P's update, one triangle mirrored; its trace is bounded."""
    size, total = len(x), forgetting
    for i in range(size):
        gain[i] = 0.0
        for j in range(size):
            gain[i] += P[i, j] * x[j]
        total += gain[i] * x[i]
    trace = 0.0
    for i in range(size):
        for j in range(i + 1):
            P[i, j] = (P[i, j] - gain[i] * gain[j] / total) / forgetting
        trace += P[i, i]
    shrink = min(1.0, 1e3 * size / trace)
    for i in range(size):
        gain[i] /= total
        for j in range(i + 1):
            P[i, j] *= shrink
            P[j, i] = P[i, j]


@njit(error_model="numpy")
def _autoregression(
    u: Array, more: Array, truth: Array, ahead: Any, lags: int, forgetting: float, clip: float
) -> Any:
    """(n, horizons) forecasts from 1, the newest lags and (n, inputs) more; one gain serves every horizon."""
    n, size = len(u), 1 + lags + more.shape[1]
    P, weights, spread = np.eye(size) * 0.1, np.zeros((len(ahead), size)), np.zeros(len(ahead))
    weights[:, 1] = 1.0  # last value, to begin with
    features, gains, made = np.ones((n, size)), np.empty((n, size)), np.zeros((n, len(ahead)))
    for t in range(n):
        for k in range(len(ahead)):
            s = t - ahead[k]
            if s < 0:
                continue
            error = truth[s, k]
            for i in range(size):
                error -= weights[k, i] * features[s, i]
            # A single error moves the scale fivefold at most.
            known = min(abs(error), 3.0 if spread[k] == 0.0 else 5.0 * spread[k] + 1e-6)
            spread[k] += max(0.01, 1.0 / (s + 1)) * (known - spread[k])
            error = min(max(error, -clip * spread[k]), clip * spread[k]) if clip < np.inf else error
            for i in range(size):
                weights[k, i] += gains[s, i] * error
        for i in range(lags):
            features[t, 1 + i] = u[max(t - i, 0)]
        features[t, 1 + lags :] = more[t]
        _gain(P, features[t], forgetting, gains[t])
        for k in range(len(ahead)):
            for i in range(size):
                made[t, k] += weights[k, i] * features[t, i]
    return made


@njit(error_model="numpy")
def _mixed(experts: Array, truth: Array, ahead: Any) -> Any:
    """(n, horizons) from (experts, n, horizons), by exponentiated gradient with a fixed share."""
    count, n = experts.shape[0], len(truth)
    made, share = np.zeros((n, len(ahead))), np.empty(count)
    for k in range(len(ahead)):
        share[:] = 1.0 / count
        span, spread = 300.0 * np.sqrt(ahead[k]), 0.0
        for t in range(n):
            s = t - ahead[k]
            if s >= 0:
                mean = (share * experts[:, s, k]).sum()
                apart = np.abs(experts[:, s, k] - mean).mean()
                spread += max(1.0 / span, 1.0 / (s + 1)) * (apart - spread)
                rate = 0.03 / np.sqrt(ahead[k]) / (spread + 1e-9)
                rate *= 1.0 if truth[s, k] > mean else -1.0
                for e in range(count):
                    share[e] *= np.exp(min(max(rate * (experts[e, s, k] - mean), -1.0), 1.0))
                share[:] = (1.0 - 1.0 / span) * share / share.sum() + 1.0 / span / count
            made[t, k] = (share * experts[:, t, k]).sum()
    return made
