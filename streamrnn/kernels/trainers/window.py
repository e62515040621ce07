"""Kalman filter on truncated derivatives, for cells whose units see each other.

The forecast for k records ahead moves by g_k = d(w_k' h(s)) / dtheta, found by going back
from s = t - k through a window of steps (stored activations; the state at the window's start
is a constant). One horizon after the other, as observations of one number each (Puskorius
and Feldkamp 1991, with a block of covariance for each gate of each unit):

    V = v_k k (1 + z' P_z z) + sum_i g_ki' P_i g_ki
    theta_i += P_i g_ki clip(e_k, +-1.5 sqrt(v_k)) / V
    P_i <- P_i - (P_i g_ki)(P_i g_ki)' / V + Q I
"""

from __future__ import annotations

from math import isnan
from math import sqrt as square_root
from typing import NamedTuple

from streamrnn.kernels import kalman, plan
from streamrnn.kernels.cells.protocol import cell_backward, cell_gradient
from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.heads import leverage, mixed_error
from streamrnn.kernels.network import clear, slot_before
from streamrnn.kernels.residuals import forecast_slot
from streamrnn.kernels.trainers.kalman import CLIP, learn_error_power, write_weights
from streamrnn.kernels.trainers.protocol import implements, trainer_follow, trainer_learn
from streamrnn.kernels.vector import (
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
    store_vector,
    vector_sum,
)


class Window(NamedTuple):
    """Tag of networks that a Kalman filter trains on derivatives through a window."""

    one: int = 1


@inlined
def _true_row(group, e):
    """The row of the weights that is row ``e`` of those without padding."""
    table = int64_at(group)
    hidden = load(table, plan.GROUP_HIDDEN)
    return e if e < hidden else e + load(table, plan.GROUP_PADDED) - hidden


@kernel
def _go_back(cell, group, row, scratch, first, steps, weights):
    """The errors of ``steps`` slots back from ``first``, where dL/dh is ``weights``."""
    table, net = int64_at(group), group + load(int64_at(group), plan.GROUP_NET)
    sizes = int64_at(net)
    padded, stride = load(table, plan.GROUP_PADDED), load(sizes, plan.NET_ERRORS_STRIDE)
    dh = pointer_like(scratch + load(sizes, plan.NET_DH), cell.one)
    errors = pointer_like(scratch + load(sizes, plan.NET_ERRORS), cell.one)
    clear(pointer_like(scratch + load(sizes, plan.NET_CARRY), cell.one), padded)
    for j in range(0, padded, lanes(dh)):
        store_vector(dh, j, load_vector(weights, j))
    mask = int64_at(row + load(sizes, plan.NET_MASK))
    for n in range(steps):
        slot = slot_before(first, n, load(sizes, plan.NET_SLOTS))
        if load(mask, slot):
            clear(shift(errors, slot * stride), stride)
        else:
            cell_backward(cell, net, row, scratch, slot, n == steps - 1)


@kernel
def _differentiate(cell, group, row, scratch, first, steps, weights):
    """G of a forecast made at slot ``first``, to the scratch without rows of padding."""
    never_inline()
    table, net = int64_at(group), group + load(int64_at(group), plan.GROUP_NET)
    sizes = int64_at(net)
    slots, stride = load(sizes, plan.NET_SLOTS), load(sizes, plan.NET_ERRORS_STRIDE)
    _go_back(cell, group, row, scratch, first, steps, weights)
    start = slot_before(first, steps - 1, slots)
    if start > first:  # the window wraps: silence the slots outside it and take the whole ring
        errors = pointer_like(scratch + load(sizes, plan.NET_ERRORS), cell.one)
        for slot in range(first + 1, start):
            clear(shift(errors, slot * stride), stride)
        start, steps = 0, slots
    cell_gradient(cell, net, row, scratch, start, steps)
    gradient = pointer_like(scratch + load(sizes, plan.NET_GRADIENT), cell.one)
    out = pointer_like(scratch + load(table, plan.GROUP_DERIVATIVE), cell.one)
    apart = load(table, plan.GROUP_APART)
    for e in range(load(table, plan.GROUP_BLOCK)):
        of = _true_row(group, e) * apart
        for j in range(0, apart, lanes(out)):
            store_vector(out, e * apart + j, load_vector(gradient, of + j))


@kernel
def _multiply(cell, group, row, scratch):
    """P g of every block to the scratch; the sum of all g' P g, -1 where a block is not sound."""
    never_inline()
    table = int64_at(group)
    size, apart = load(table, plan.GROUP_BLOCK), load(table, plan.GROUP_APART)
    covariances = pointer_like(row + load(table, plan.GROUP_COVARIANCE), cell.one)
    before = pointer_like(row + load(table, plan.GROUP_BEFORE), cell.one)
    factors = pointer_like(row + load(table, plan.GROUP_FACTOR), cell.one)
    derivative = pointer_like(scratch + load(table, plan.GROUP_DERIVATIVE), cell.one)
    product = pointer_like(scratch + load(table, plan.GROUP_MOVE), cell.one)
    least, total = splat(derivative, 0.0), splat(derivative, 0.0)
    for j in range(0, apart, lanes(derivative)):
        covariance = shift(covariances, j * kalman.triangle_of(size))
        g, ahead = shift(derivative, j), shift(product, j)
        kalman.propagate(covariance, shift(before, j), shift(factors, j), g, ahead, (size, apart))
        q = kalman.power(g, ahead, (size, apart))
        least, total = smaller(q, least), total + q
    if kalman.are_sound(least, total):
        return float(vector_sum(total))
    for j in range(0, apart, lanes(derivative)):
        for lane in range(lanes(derivative)):
            covariance = shift(covariances, j * kalman.triangle_of(size))
            kalman.start_anew(covariance, size, lane, lanes(derivative))
    clear(factors, apart)
    return -1.0


@kernel
def _move(cell, group, row, scratch, step, factor):
    """Theta += step P g; what is to be taken off P at the next observation."""
    table = int64_at(group)
    apart = load(table, plan.GROUP_APART)
    net = int64_at(group + load(table, plan.GROUP_NET))
    theta = pointer_like(row + load(net, plan.NET_WEIGHTS), cell.one)
    before = pointer_like(row + load(table, plan.GROUP_BEFORE), cell.one)
    factors = pointer_like(row + load(table, plan.GROUP_FACTOR), cell.one)
    product = pointer_like(scratch + load(table, plan.GROUP_MOVE), cell.one)
    step_vector = splat(product, step)
    for e in range(load(table, plan.GROUP_BLOCK)):
        of = _true_row(group, e) * apart
        for j in range(0, apart, lanes(product)):
            moved = load_vector(product, e * apart + j)
            store_vector(before, e * apart + j, moved)
            store_vector(theta, of + j, fma(moved, step_vector, load_vector(theta, of + j)))
    for j in range(0, apart, lanes(product)):
        store_vector(factors, j, splat(product, factor))


@implements(trainer_learn, Window)
def learn(trainer, cell, group, row, scratch, places):
    newest, horizons, shares, width = places
    table = int64_at(group)
    net = int64_at(group + load(table, plan.GROUP_NET))
    counters = int64_at(row + load(net, plan.NET_COUNTERS))
    padded, window = load(table, plan.GROUP_PADDED), load(table, plan.GROUP_WINDOW)
    for k in range(load(table, plan.GROUP_HORIZONS)):
        horizon, own = load(horizons, k), shift(shares, k * width)
        error, total = mixed_error(group, scratch, own, k)
        steps = min(window, load(counters, plan.COUNT_FILLED) - horizon + 1)
        if isnan(error) or steps < 1:
            continue
        write_weights(cell, group, row, scratch, own, k, total)
        weights = shift(pointer_like(row + load(table, plan.GROUP_WEIGHT), cell.one), k * padded)
        first = slot_before(load(counters, plan.COUNT_SLOT), horizon - 1, load(net, plan.NET_SLOTS))
        _differentiate(cell, group, row, scratch, first, steps, weights)
        v = learn_error_power(group, row, error, k)
        slot = forecast_slot(newest, horizon, load(table, plan.GROUP_SLOTS))
        power = _multiply(cell, group, row, scratch)
        if power >= 0.0:
            variance = v * float(horizon) * (1.0 + leverage(group, row, slot)) + power
            most = CLIP * square_root(v)
            step = min(max(error, -most), most) / variance
            _move(cell, group, row, scratch, step, 1.0 / variance)


@implements(trainer_follow, Window)
def follow(trainer, cell, group, row, places):
    pass
