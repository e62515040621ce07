"""What the losses of ``kernels/losses.py`` are worth, and what they make of a network's outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels.losses import LEAST_LOG_SCALE

Numbers = NDArray[np.float64]


def _huber(y: Numbers, targets: Numbers, threshold: float) -> Numbers:
    size = np.abs(y - targets)
    return np.where(size > threshold, threshold * (size - 0.5 * threshold), 0.5 * size * size)


def _squared(y: Numbers, targets: Numbers, _threshold: float) -> Numbers:
    return 0.5 * np.square(y - targets)


def _cross_entropy(y: Numbers, targets: Numbers, _threshold: float) -> Numbers:
    log_p = y - _log_sum_exp(y)
    return np.asarray(-np.sum(targets * log_p, axis=-1, keepdims=True))


def _gaussian(y: Numbers, targets: Numbers, _threshold: float) -> Numbers:
    half = y.shape[-1] // 2
    log_scale = np.maximum(y[..., half:], LEAST_LOG_SCALE)
    return log_scale + 0.5 * ((y[..., :half] - targets[..., :half]) / np.exp(log_scale)) ** 2


def _squared_slope(y: Numbers, targets: Numbers, _threshold: float) -> Numbers:
    return y - targets


def _huber_slope(y: Numbers, targets: Numbers, threshold: float) -> Numbers:
    return np.clip(y - targets, -threshold, threshold)


def _cross_entropy_slope(y: Numbers, targets: Numbers, _threshold: float) -> Numbers:
    return np.asarray(
        np.where(np.isnan(targets).any(axis=-1, keepdims=True), np.nan, _probabilities(y) - targets)
    )


def _gaussian_slope(y: Numbers, targets: Numbers, _threshold: float) -> Numbers:
    half = y.shape[-1] // 2
    power = np.exp(-2.0 * np.maximum(y[..., half:], LEAST_LOG_SCALE))
    error = y[..., :half] - targets[..., :half]
    by_scale = np.where(y[..., half:] >= LEAST_LOG_SCALE, 1.0, 0.0) * (1.0 - error * error * power)
    return np.concatenate([error * power, by_scale], axis=-1)


def _log_sum_exp(y: Numbers) -> Numbers:
    largest = y.max(axis=-1, keepdims=True)
    return np.asarray(largest + np.log(np.sum(np.exp(y - largest), axis=-1, keepdims=True)))


def _as_they_are(y: Numbers) -> Numbers:
    return y


def _probabilities(y: Numbers) -> Numbers:
    return np.exp(y - _log_sum_exp(y))


def _mean_and_scale(y: Numbers) -> Numbers:
    half = y.shape[-1] // 2
    return np.concatenate([y[..., :half], np.exp(np.maximum(y[..., half:], LEAST_LOG_SCALE))], axis=-1)


@dataclass(frozen=True)
class Loss:
    """One loss.

    Attributes
    ----------
    of : callable
        (outputs, targets, Huber's threshold) to the losses, NaN where a target is.
    slope : callable
        From the same to the derivatives by the outputs, as ``kernels/losses.py`` has them.
    said : callable
        From the head's outputs to what users read.
    per_target : int
        Outputs of the head that one target takes.
    """

    of: Callable[[Numbers, Numbers, float], Numbers]
    slope: Callable[[Numbers, Numbers, float], Numbers]
    said: Callable[[Numbers], Numbers] = _as_they_are
    per_target: int = 1

    def mean(
        self, outputs: NDArray[np.floating[Any]], targets: NDArray[np.floating[Any]], threshold: float
    ) -> float:
        """Mean of the losses that there are; NaN without any."""
        losses = self.of(outputs.astype(np.float64), targets.astype(np.float64), threshold)
        known = losses[~np.isnan(losses)]
        return float(known.mean()) if known.size else float("nan")


LOSSES = {
    "squared": Loss(_squared, _squared_slope),
    "huber": Loss(_huber, _huber_slope),
    "cross_entropy": Loss(_cross_entropy, _cross_entropy_slope, _probabilities),
    "gaussian": Loss(_gaussian, _gaussian_slope, _mean_and_scale, per_target=2),
}
