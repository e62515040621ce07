"""Kalman filter on truncated derivatives, for cells whose units see each other.

The forecast for k records ahead moves by g_k = d(w_k' h(s)) / dtheta, found by going back
from s = t - k through a window of steps (stored activations; the state at the window's start
is a constant). A record teaches the nearest horizon and, in turn, one of the m others, as
observations of one number each (Puskorius and Feldkamp 1991, with a block of covariance for
each gate of each unit):

    V = v_k n_k (1 + z' P_z z) + sum over the blocks i of g_ki' P_i g_ki
    theta_i += P_i g_ki clip(e_k, +-1.5 sqrt(v_k)) / V
    P_i <- P_i - (P_i g_ki)(P_i g_ki)' / V + Q I

The errors of successive forecasts for k records ahead share k - 1 records of noise, and so
they count as n_k = k; observed every m-th record, as n_k = max(k / m, 1).

P is read once for both: what the first takes off it is taken off the other's product,
(P - f b b') g = P g - f b (b' g). Both are taken off P itself when it is read next.
"""

from __future__ import annotations

from math import isnan
from math import sqrt as square_root
from typing import NamedTuple

from streamrnn.kernels import kalman, plan
from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.heads import leverage, mixed_error
from streamrnn.kernels.network import clear
from streamrnn.kernels.residuals import forecast_slot
from streamrnn.kernels.trainers.kalman import CLIP, learn_error_power, write_weights
from streamrnn.kernels.trainers.protocol import implements, trainer_follow, trainer_learn
from streamrnn.kernels.trainers.through_time import differentiate, window_of
from streamrnn.kernels.vector import (
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

TOGETHER = 2  # horizons that a record teaches, their products made in one pass over the covariance


class Window(NamedTuple):
    """Tag of networks that a Kalman filter trains on derivatives through a window."""

    one: int = 1


@inlined
def _true_row(group, e):
    """The row of the weights that is row ``e`` of those without padding."""
    table = int64_at(group)
    hidden = load(table, plan.GROUP_HIDDEN)
    return e if e < hidden else e + load(table, plan.GROUP_PADDED) - hidden


@inlined
def _horizon_at(newest, horizons, c):
    """Which of the horizons a record teaches at place ``c``: the nearest, or the other whose turn it is."""
    return 0 if c == 0 else 1 + newest % (horizons - 1)


@inlined
def _observation(cell, group, row, scratch, c):
    """Pointers to b, f, g and P g of one place: (apart / lanes, block, lanes), f without blocks.

    A block's vectors lie together: 256 bytes apart they would share a quarter of the cache.
    """
    table = int64_at(group)
    apart = load(table, plan.GROUP_APART)
    size = c * load(table, plan.GROUP_BLOCK) * apart
    before = shift(pointer_like(row + load(table, plan.GROUP_BEFORE), cell.one), size)
    factor = shift(pointer_like(row + load(table, plan.GROUP_FACTOR), cell.one), c * apart)
    derivative = shift(pointer_like(scratch + load(table, plan.GROUP_DERIVATIVE), cell.one), size)
    product = shift(pointer_like(scratch + load(table, plan.GROUP_MOVE), cell.one), size)
    return before, factor, derivative, product


@kernel
def _derive(cell, group, row, scratch, c, k, first, steps):
    """G of horizon ``k``'s forecast, made at slot ``first``, to place ``c`` without rows of padding."""
    differentiate(cell, group, row, scratch, k, first, steps)
    table = int64_at(group)
    sizes = int64_at(group + load(table, plan.GROUP_NET))
    gradient = pointer_like(scratch + load(sizes, plan.NET_GRADIENT), cell.one)
    _, _, out, _ = _observation(cell, group, row, scratch, c)
    apart, size = load(table, plan.GROUP_APART), load(table, plan.GROUP_BLOCK)
    for e in range(size):
        of = _true_row(group, e) * apart
        for j in range(0, apart, lanes(out)):
            store_vector(out, j * size + e * lanes(out), load_vector(gradient, of + j))


@inlined
def _multiply_one(covariance, one, j, shape):
    kalman.propagate(
        covariance,
        (shift(one[0], j * shape[0]),),
        (shift(one[1], j),),
        (shift(one[2], j * shape[0]),),
        (shift(one[3], j * shape[0]),),
        shape,
    )


@inlined
def _multiply_two(covariance, one, two, j, shape):
    kalman.propagate(
        covariance,
        (shift(one[0], j * shape[0]), shift(two[0], j * shape[0])),
        (shift(one[1], j), shift(two[1], j)),
        (shift(one[2], j * shape[0]), shift(two[2], j * shape[0])),
        (shift(one[3], j * shape[0]), shift(two[3], j * shape[0])),
        shape,
    )


@kernel
def _multiply(cell, group, row, scratch, count):
    """P g of every block for the ``count`` horizons of a record; whether all are sound."""
    never_inline()
    table = int64_at(group)
    size, apart = load(table, plan.GROUP_BLOCK), load(table, plan.GROUP_APART)
    covariances = pointer_like(row + load(table, plan.GROUP_COVARIANCE), cell.one)
    one = _observation(cell, group, row, scratch, 0)
    two = _observation(cell, group, row, scratch, count - 1)
    least, total = splat(one[2], 0.0), splat(one[2], 0.0)
    shape = (size, lanes(one[2]))
    for j in range(0, apart, lanes(one[2])):
        covariance = shift(covariances, j * kalman.triangle_of(size))
        if count == 1:
            _multiply_one(covariance, one, j, shape)
        else:
            _multiply_two(covariance, one, two, j, shape)
        for c in range(count):
            _, _, g, ahead = _observation(cell, group, row, scratch, c)
            q = kalman.power(shift(g, j * size), shift(ahead, j * size), shape)
            least, total = smaller(q, least), total + q
    if kalman.are_sound(least, total):
        return True
    _start_anew(cell, group, row)
    return False


@kernel
def _power(cell, group, row, scratch, c):
    """The sum over the blocks of g' P g of one place."""
    table = int64_at(group)
    size = load(table, plan.GROUP_BLOCK)
    _, _, g, product = _observation(cell, group, row, scratch, c)
    total = splat(g, 0.0)
    for j in range(0, load(table, plan.GROUP_APART), lanes(g)):
        total = total + kalman.power(shift(g, j * size), shift(product, j * size), (size, lanes(g)))
    return float(vector_sum(total))


@kernel
def _condition(cell, group, row, scratch):
    """P g of the second place after what the first takes off P."""
    table = int64_at(group)
    size = load(table, plan.GROUP_BLOCK)
    _, factor, _, b = _observation(cell, group, row, scratch, 0)
    _, _, g, product = _observation(cell, group, row, scratch, 1)
    unit = lanes(g)
    for j in range(0, load(table, plan.GROUP_APART), unit):
        shared = splat(g, 0.0)
        for e in range(j * size, j * size + size * unit, unit):
            shared = fma(load_vector(b, e), load_vector(g, e), shared)
        shared = shared * load_vector(factor, j) * -1.0
        for e in range(j * size, j * size + size * unit, unit):
            store_vector(product, e, fma(shared, load_vector(b, e), load_vector(product, e)))


@kernel
def _start_anew(cell, group, row):
    """Give every block its prior again; nothing is left to be taken off."""
    never_inline()
    table = int64_at(group)
    apart, size = load(table, plan.GROUP_APART), load(table, plan.GROUP_BLOCK)
    covariances = pointer_like(row + load(table, plan.GROUP_COVARIANCE), cell.one)
    before = pointer_like(row + load(table, plan.GROUP_BEFORE), cell.one)
    factors = pointer_like(row + load(table, plan.GROUP_FACTOR), cell.one)
    observed = min(TOGETHER, load(table, plan.GROUP_HORIZONS))
    for j in range(0, apart, lanes(factors)):
        for lane in range(lanes(factors)):
            kalman.start_anew(shift(covariances, j * kalman.triangle_of(size)), size, lane, lanes(factors))
    clear(before, observed * size * apart)
    clear(factors, observed * apart)


@kernel
def _move(cell, group, row, scratch, c, step, f):
    """Theta += step P g of a place; what is to be taken off P at the next observation."""
    table = int64_at(group)
    apart = load(table, plan.GROUP_APART)
    net = int64_at(group + load(table, plan.GROUP_NET))
    theta = pointer_like(row + load(net, plan.NET_WEIGHTS), cell.one)
    before, factor, _, product = _observation(cell, group, row, scratch, c)
    size = load(table, plan.GROUP_BLOCK)
    for e in range(size):
        of = _true_row(group, e) * apart
        for j in range(0, apart, lanes(product)):
            at = j * size + e * lanes(product)
            moved = load_vector(product, at)
            store_vector(before, at, moved)
            store_vector(theta, of + j, fma(moved, splat(product, step), load_vector(theta, of + j)))
    for j in range(0, apart, lanes(product)):
        store_vector(factor, j, splat(product, f))


@kernel
def _look(cell, group, row, scratch, places, c):
    """Error and derivative of the horizon of place ``c``; (whether it has them, error, its own noise)."""
    newest, horizons, shares, width = places
    table = int64_at(group)
    k = _horizon_at(newest, load(table, plan.GROUP_HORIZONS), c)
    horizon, own = load(horizons, k), shift(shares, k * width)
    error, total = mixed_error(group, scratch, own, k)
    first, steps = window_of(group, row, horizon)
    if isnan(error) or steps < 1:
        return False, 0.0, 0.0
    write_weights(cell, group, row, scratch, own, k, total)
    _derive(cell, group, row, scratch, c, k, first, steps)
    v = learn_error_power(group, row, error, k)
    slot = forecast_slot(newest, horizon, load(table, plan.GROUP_SLOTS))
    most, turns = CLIP * square_root(v), max(1, load(table, plan.GROUP_HORIZONS) - 1) if c > 0 else 1
    noise = v * max(float(horizon) / turns, 1.0) * (1.0 + leverage(group, row, slot))
    return True, min(max(error, -most), most), noise


@inlined
def _look_away(cell, group, row, scratch, c):
    """Give a place without an error a derivative of 0."""
    table = int64_at(group)
    _, _, derivative, _ = _observation(cell, group, row, scratch, c)
    clear(derivative, load(table, plan.GROUP_BLOCK) * load(table, plan.GROUP_APART))


@implements(trainer_learn, Window)
def learn(trainer, cell, group, row, scratch, places):
    table = int64_at(group)
    room = float64_at(scratch + load(table, plan.GROUP_ROOM))
    errors = shift(room, load(table, plan.GROUP_PADDED) * (lanes(room) + 1))
    noises = shift(errors, TOGETHER)
    count = min(TOGETHER, load(table, plan.GROUP_HORIZONS))
    any_known = False
    for c in range(count):
        known, error, noise = _look(cell, group, row, scratch, places, c)
        store(errors, c, error)
        store(noises, c, noise if known else 0.0)
        any_known = any_known or known
        if not known:
            _look_away(cell, group, row, scratch, c)
    # Products that ran away must not be moved by: 0 times NaN is NaN.
    if any_known and _multiply(cell, group, row, scratch, count):
        for c in range(count):
            known = load(noises, c) > 0.0
            variance = load(noises, c) + _power(cell, group, row, scratch, c) if known else 1.0
            step, f = load(errors, c) / variance if known else 0.0, 1.0 / variance if known else 0.0
            _move(cell, group, row, scratch, c, step, f)
            if c + 1 < count:
                _condition(cell, group, row, scratch)


@implements(trainer_follow, Window)
def follow(trainer, cell, group, row, places):
    pass
