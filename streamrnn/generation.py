"""What a network says of the time to come, by feeding its own outputs back: trajectories and fans."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamrnn.errors import DataError, SettingsError
from streamrnn.kernels import plan
from streamrnn.losses import LOSSES
from streamrnn.recurrent import Recurrent
from streamrnn.splitmix import seeds, uniform_at

__all__ = ["follow_itself", "forecast_fan", "generate", "sampled"]

Float64Array = NDArray[np.float64]

_DRAWABLE = ("gaussian", "cross_entropy")


def forecast_fan(
    trajectories: ArrayLike, quantiles: ArrayLike = (0.05, 0.25, 0.5, 0.75, 0.95)
) -> Float64Array:
    """Quantiles of sampled trajectories at each step.

    Parameters
    ----------
    trajectories : (samples, steps, outputs) array
    quantiles : (n,) array
        From 0 to 1.

    Returns
    -------
    fan : (n, steps, outputs) float64

    Examples
    --------
    >>> forecast_fan([[[1.0], [2.0]], [[3.0], [6.0]]], [0.5, 1.0])[:, :, 0].tolist()
    [[2.0, 4.0], [3.0, 6.0]]
    """
    return np.asarray(
        np.quantile(np.asarray(trajectories, np.float64), np.asarray(quantiles, np.float64), axis=0)
    )


def generate(
    net: Recurrent, outputs: int, steps: int, *, known: ArrayLike | None, samples: int | None, seed: int
) -> Float64Array:
    """``SequenceModel.generate`` of a network that has said something."""
    if steps < 1:
        raise SettingsError(f"steps is {steps}; give at least 1")
    if not net.segments["counters"][plan.COUNT_FILLED]:
        raise DataError("there is no sequence to go on from; give one as after")
    beside = net.shape.inputs - outputs
    if beside < 0:
        raise SettingsError(f"outputs is {outputs} and inputs {net.shape.inputs}; those fed back are inputs")
    rest = np.zeros((steps, 0)) if known is None else np.asarray(known, np.float64)
    if rest.shape != (steps, beside):
        raise DataError(f"known has the shape {rest.shape}; give {(steps, beside)}")
    present = net.remember()
    if samples is None:
        found, _ = follow_itself(net, rest)
    else:
        found = sampled(net, rest, outputs, samples, seed)
    net.recall(present)
    return found


def sampled(net: Recurrent, rest: Float64Array, outputs: int, samples: int, seed: int) -> Float64Array:
    """So many trajectories from where a network is, (samples, steps, outputs)."""
    loss = net.training.loss
    if samples < 1:
        raise SettingsError(f"samples is {samples}; give at least 1")
    if loss not in _DRAWABLE:
        raise SettingsError(f"samples asks for a loss that says a distribution: {', '.join(_DRAWABLE)}")
    present, found = net.remember(), []
    for n in range(samples):
        net.recall(present)
        draws = _draws(seed, n, (len(rest), 1 if loss == "cross_entropy" else outputs))
        found.append(follow_itself(net, rest, draws)[0])
    return np.array(found)


def _draws(seed: int, sample: int, shape: tuple[int, int]) -> Float64Array:
    """Numbers from (0, 1) of one trajectory."""
    places = np.arange(shape[0] * shape[1], dtype=np.uint64)
    return np.maximum(uniform_at(seeds(seed, sample), places), 2.0**-54).reshape(shape)


def follow_itself(
    net: Recurrent, rest: Float64Array, draws: Float64Array | None = None
) -> tuple[Float64Array, Float64Array]:
    """The values of each step, the first being what the network said last, and what was said of each.

    Parameters
    ----------
    net : Recurrent
    rest : (steps, n) float64
        The inputs beside each value when it is fed back.
    draws : (steps, m) float64 or None
        By which values are drawn; None: the most likely ones.
    """
    outputs, values, said = net.newest, [], []
    for t, beside in enumerate(rest):
        said.append(LOSSES[net.training.loss].said(outputs.astype(np.float64)))
        values.append(_value(net.training.loss, said[-1], None if draws is None else draws[t]))
        if t + 1 < len(rest):
            x = np.concatenate([values[-1], beside])[None].astype(net.shape.dtype)
            outputs = net.run(x)[0][0]
    return np.array(values), np.array(said)


def _value(loss: str, said: Float64Array, draw: Float64Array | None) -> Float64Array:
    """The most likely values of a distribution, or those that numbers from (0, 1) draw."""
    if loss == "cross_entropy":
        ends = np.cumsum(said[:-1])
        chosen = said.argmax() if draw is None else np.searchsorted(ends, draw[0], side="right")
        return np.asarray(np.arange(len(said)) == chosen, np.float64)
    if loss == "gaussian":
        mean, scale = np.split(said, 2)
        normal = np.zeros_like(mean) if draw is None else np.array([NormalDist().inv_cdf(u) for u in draw])
        return np.asarray(mean + scale * normal)
    return said
