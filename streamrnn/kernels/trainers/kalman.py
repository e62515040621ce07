"""Kalman filter on exact derivatives, for diagonal cells: real-time recurrent learning.

With S_j = dh_j/dtheta_j of unit j's weights theta_j (exact: nothing is truncated), the
forecast for k records ahead moves by w_kj S_j, w_kj from the group's own heads. When its
truth comes, s = t - k, with e_k the error of the group's heads and v_k its mean square:

    V_k = v_k k (1 + z' P_z z) + sum_j w_kj^2 q_j(s)
    theta_j += w_kj (P_j S_j)(s) clip(e_k, +-1.5 sqrt(v_k)) / V_k

and once a record, with q_j = S_j' P_j S_j and G = sum_k w_kj^2 / max(V_k - w_kj^2 q_j, V_k / 10),

    P_j <- P_j - G / (1 + G q_j) (P_j S_j)(P_j S_j)' + Q I

z' P_z z is the heads' own uncertainty: what they have yet to learn is no fault of the network.
"""

from __future__ import annotations

from math import isnan
from math import sqrt as square_root
from typing import NamedTuple

from streamrnn.kernels import kalman, plan
from streamrnn.kernels.cells.protocol import cell_sensitivities
from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.heads import head_table, leverage, mixed_error, mixed_weights
from streamrnn.kernels.residuals import forecast_slot
from streamrnn.kernels.trainers.protocol import implements, trainer_follow, trainer_learn
from streamrnn.kernels.vector import (
    copy_eight,
    float64_at,
    fma,
    int64_at,
    lanes,
    load,
    load_vector,
    never_inline,
    pointer_like,
    shift,
    smaller,
    splat,
    store,
    store_vector,
    vector_sum,
)

CLIP = 1.5  # of an error, in units of the usual one
_GAIN = 0.01  # of the mean square error
_LEAST_NOISE = 1e-4  # mean square error in scaled units below which a forecast is as good as it needs to be


class RealTime(NamedTuple):
    """Tag of networks that a Kalman filter trains on exact derivatives."""

    one: int = 1


@inlined
def _slot_of_product(group, slot):
    """Elements of the rings of products before a slot."""
    table = int64_at(group)
    return slot * load(table, plan.GROUP_ELEMENTS) * load(table, plan.GROUP_PADDED)


@inlined
def _power_of_units(cell, group, row, slot, k):
    """sum_j w_kj^2 q_j of the derivatives of a slot."""
    table = int64_at(group)
    padded, blocks = load(table, plan.GROUP_PADDED), load(table, plan.GROUP_BLOCKS)
    weight = shift(pointer_like(row + load(table, plan.GROUP_WEIGHT), cell.one), k * padded)
    powers = shift(pointer_like(row + load(table, plan.GROUP_POWER), cell.one), slot * blocks * padded)
    total = splat(weight, 0.0)
    for j in range(0, padded, lanes(weight)):
        w = load_vector(weight, j)
        for b in range(blocks):
            total = fma(w * w, load_vector(powers, b * padded + j), total)
    return float(vector_sum(total))


@kernel
def _move(cell, group, row, slot, k, step):
    """theta_j += step w_kj (P_j S_j) of a slot."""
    table = int64_at(group)
    net = int64_at(group + load(table, plan.GROUP_NET))
    padded = load(table, plan.GROUP_PADDED)
    weight = shift(pointer_like(row + load(table, plan.GROUP_WEIGHT), cell.one), k * padded)
    theta = pointer_like(row + load(net, plan.NET_WEIGHTS), cell.one)
    product = pointer_like(row + load(table, plan.GROUP_PRODUCT), cell.one)
    product = shift(product, _slot_of_product(group, slot))
    for j in range(0, padded, lanes(weight)):
        factor = load_vector(weight, j) * splat(weight, step)
        for e in range(load(table, plan.GROUP_ELEMENTS)):
            at = e * padded + j
            store_vector(theta, at, fma(factor, load_vector(product, at), load_vector(theta, at)))


@inlined
def learn_error_power(group, row, error, k):
    """v_k after it learned one more error."""
    table = int64_at(group)
    powers = float64_at(row + load(table, plan.GROUP_ERROR_POWER))
    read = int64_at(head_table(group, 0))
    known = load(float64_at(row + load(read, plan.READ_KNOWN)), k)
    v = load(powers, k)
    v += max(_GAIN, 1.0 / max(known, 1.0)) * (error * error - v)
    store(powers, k, v)
    return max(v, _LEAST_NOISE)


@kernel
def write_weights(cell, group, row, scratch, shares, k, total):
    """W_k of the group's heads, in the network's element type."""
    table = int64_at(group)
    weights = float64_at(scratch + load(table, plan.GROUP_WEIGHT_64))
    mixed_weights(group, row, scratch, shares, k, total, weights)
    out = pointer_like(row + load(table, plan.GROUP_WEIGHT), cell.one)
    for j in range(0, load(table, plan.GROUP_HIDDEN), 8):
        copy_eight(out, k * load(table, plan.GROUP_PADDED) + j, weights, j)


@implements(trainer_learn, RealTime)
def learn(trainer, cell, group, row, scratch, places):
    newest, horizons, shares, width = places
    table = int64_at(group)
    variances = float64_at(row + load(table, plan.GROUP_VARIANCE))
    for k in range(load(table, plan.GROUP_HORIZONS)):
        error, total = mixed_error(group, scratch, shift(shares, k * width), k)
        if isnan(error):
            continue
        write_weights(cell, group, row, scratch, shift(shares, k * width), k, total)
        v = learn_error_power(group, row, error, k)
        horizon = load(horizons, k)
        slot = forecast_slot(newest, horizon, load(table, plan.GROUP_SLOTS))
        variance = v * float(horizon) * (1.0 + leverage(group, row, slot))
        variance += _power_of_units(cell, group, row, slot, k)
        store(variances, k, variance)
        most = CLIP * square_root(v)
        _move(cell, group, row, slot, k, min(max(error, -most), most) / variance)


@kernel
def _heal(cell, group, row, powers, product, j):
    """Give every unit whose derivatives ran away, or whose covariance is no more positive, a new start."""
    never_inline()
    table = int64_at(group)
    padded, blocks = load(table, plan.GROUP_PADDED), load(table, plan.GROUP_BLOCKS)
    size, elements = load(table, plan.GROUP_BLOCK), load(table, plan.GROUP_ELEMENTS)
    covariances = pointer_like(row + load(table, plan.GROUP_COVARIANCE), cell.one)
    of_c = pointer_like(row + load(table, plan.GROUP_OF_C), cell.one)
    of_h = pointer_like(row + load(table, plan.GROUP_OF_H), cell.one)
    unit = lanes(of_c)
    for lane in range(unit):
        sound = True
        for b in range(blocks):
            sound = sound and kalman.is_sound(float(load(powers, b * padded + j + lane)))
        if sound:
            continue
        for b in range(blocks):
            covariance = shift(covariances, (j * blocks + b * unit) * kalman.triangle_of(size))
            kalman.start_anew(covariance, size, lane, unit)
            store(powers, b * padded + j + lane, 0.0)
        for e in range(elements):
            store(of_c, e * padded + j + lane, 0.0)
            store(of_h, e * padded + j + lane, 0.0)
            store(product, e * padded + j + lane, 0.0)


@kernel
def _filter(cell, group, row, slot):
    """P S, q and what is to be taken off P at the next step, of every block."""
    never_inline()
    table = int64_at(group)
    padded, blocks = load(table, plan.GROUP_PADDED), load(table, plan.GROUP_BLOCKS)
    size, apart = load(table, plan.GROUP_BLOCK), load(table, plan.GROUP_APART)
    covariances = pointer_like(row + load(table, plan.GROUP_COVARIANCE), cell.one)
    before = pointer_like(row + load(table, plan.GROUP_BEFORE), cell.one)
    factors = pointer_like(row + load(table, plan.GROUP_FACTOR), cell.one)
    of_h = pointer_like(row + load(table, plan.GROUP_OF_H), cell.one)
    weights = pointer_like(row + load(table, plan.GROUP_WEIGHT), cell.one)
    variances = float64_at(row + load(table, plan.GROUP_VARIANCE))
    product = pointer_like(row + load(table, plan.GROUP_PRODUCT), cell.one)
    product = shift(product, _slot_of_product(group, slot))
    powers = shift(pointer_like(row + load(table, plan.GROUP_POWER), cell.one), slot * blocks * padded)
    unit, shape, horizons = lanes(of_h), (size, apart), load(table, plan.GROUP_HORIZONS)
    for j in range(0, padded, unit):
        least, total = splat(of_h, 0.0), splat(of_h, 0.0)
        for b in range(blocks):
            covariance = shift(covariances, (j * blocks + b * unit) * kalman.triangle_of(size))
            at = b * padded + j
            ahead = shift(product, at)
            kalman.propagate(
                covariance, (shift(before, at),), (shift(factors, at),), (shift(of_h, at),), (ahead,), shape
            )
            q = kalman.power(shift(of_h, at), ahead, shape)
            store_vector(powers, at, q)
            least, total = smaller(q, least), total + q
        if not kalman.are_sound(least, total):
            _heal(cell, group, row, powers, product, j)
        for b in range(blocks):
            q = load_vector(powers, b * padded + j)
            g = kalman.gain(variances, q, shift(weights, j), padded, horizons)
            store_vector(factors, b * padded + j, g / (1.0 + g * q))
    for e in range(0, load(table, plan.GROUP_ELEMENTS) * padded, unit):
        store_vector(before, e, load_vector(product, e))


@implements(trainer_follow, RealTime)
def follow(trainer, cell, group, row, places):
    slot, masked = places
    table = int64_at(group)
    net = group + load(table, plan.GROUP_NET)
    if not masked:
        now = load(int64_at(row + load(int64_at(net), plan.NET_COUNTERS)), plan.COUNT_SLOT)
        of_c = pointer_like(row + load(table, plan.GROUP_OF_C), cell.one)
        of_h = pointer_like(row + load(table, plan.GROUP_OF_H), cell.one)
        cell_sensitivities(cell, net, row, now, of_c, of_h)
    _filter(cell, group, row, slot)
