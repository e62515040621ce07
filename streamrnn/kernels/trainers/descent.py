"""Adam on what the group's heads missed, through a window of steps: any cell, no covariance.

With g_k = d(w_k' h(s)) / dtheta, s = t - k, e_k the error of the group's heads and v_k its mean
square, the weights move along Adam's step of the gradient

    g = - sum_k clip(e_k / sqrt(v_k), +-1.5) g_k / k

that of Huber's loss of every horizon, in units of its usual error; a horizon of k records
counts 1/k, as its noise does in the Kalman filter (``kalman.py``).
"""

from __future__ import annotations

from math import isnan
from math import sqrt as square_root
from typing import NamedTuple

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import inlined
from streamrnn.kernels.heads import mixed_error
from streamrnn.kernels.network import clear
from streamrnn.kernels.optimizer import descend
from streamrnn.kernels.trainers.kalman import CLIP, learn_error_power, write_weights
from streamrnn.kernels.trainers.protocol import implements, trainer_follow, trainer_learn
from streamrnn.kernels.trainers.through_time import differentiate, window_of
from streamrnn.kernels.vector import (
    fma,
    int64_at,
    lanes,
    load,
    load_vector,
    pointer_like,
    shift,
    splat,
    store_vector,
    vector_sum,
)


class Descent(NamedTuple):
    """Tag of networks that Adam trains on derivatives through a window."""

    one: int = 1


@inlined
def _add(total, gradient, factor, count):
    """Add a horizon's part to the sum of all."""
    for i in range(0, count, lanes(total)):
        store_vector(total, i, fma(load_vector(gradient, i), splat(total, factor), load_vector(total, i)))


@inlined
def _hand_over(total, gradient, count):
    """The sum of all becomes the network's gradient; its sum of squares."""
    squares = splat(total, 0.0)
    for i in range(0, count, lanes(total)):
        part = load_vector(total, i)
        squares = fma(part, part, squares)
        store_vector(gradient, i, part)
    return vector_sum(squares)


@implements(trainer_learn, Descent)
def learn(trainer, cell, group, row, scratch, places):
    _, horizons, shares, width = places
    table, net = int64_at(group), group + load(int64_at(group), plan.GROUP_NET)
    gradient = pointer_like(scratch + load(int64_at(net), plan.NET_GRADIENT), cell.one)
    total = pointer_like(scratch + load(table, plan.GROUP_MOVE), cell.one)
    count, any_known = load(int64_at(net), plan.NET_PARAMETERS), False
    clear(total, count)
    for k in range(load(table, plan.GROUP_HORIZONS)):
        horizon, own = load(horizons, k), shift(shares, k * width)
        error, share = mixed_error(group, scratch, own, k)
        first, steps = window_of(group, row, horizon)
        if isnan(error) or steps < 1:
            continue
        write_weights(cell, group, row, scratch, own, k, share)
        differentiate(cell, group, row, scratch, k, first, steps)
        e = error / square_root(learn_error_power(group, row, error, k))
        _add(total, gradient, -min(max(e, -CLIP), CLIP) / horizon, count)
        any_known = True
    if any_known:  # where the heads' weights ran away they heal meanwhile: such a step is left out
        descend(cell, net, row, scratch, _hand_over(total, gradient, count), 1)


@implements(trainer_follow, Descent)
def follow(trainer, cell, group, row, places):
    pass
