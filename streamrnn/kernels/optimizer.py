"""Gradient descent after clipping by value and by the global norm (Pascanu et al. 2013).

Adam (Kingma and Ba 2015, algorithm 1), and with other constants in the same loop

    m <- b1 m + a1 g,  v <- b2 v + a2 g^2,  p <- p - rate m / (sqrt(v) + epsilon)

RMSprop (Tieleman and Hinton 2012): b1 = 0, a1 = 1; and descent with momentum (Polyak 1964):
a1 = 1, b2 = a2 = 0, epsilon = 1. The table of the network has them (``tables.py``).
"""

from __future__ import annotations

from math import inf
from math import sqrt as square_root

from streamrnn.kernels import plan
from streamrnn.kernels.cells.protocol import cell_moment
from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.vector import (
    float64_at,
    fma,
    int64_at,
    lanes,
    load,
    load_vector,
    never_inline,
    pointer_like,
    smaller,
    splat,
    sqrt,
    store,
    store_vector,
    vector_sum,
)


@kernel
def _hold(cell, net, scratch, most):
    """Hold every element of the gradient within +-most; its sum of squares after that."""
    never_inline()
    gradient = pointer_like(scratch + load(int64_at(net), plan.NET_GRADIENT), cell.one)
    bound, total = splat(gradient, most), splat(gradient, 0.0)
    for i in range(0, load(int64_at(net), plan.NET_PARAMETERS), lanes(gradient)):
        held = smaller(load_vector(gradient, i), bound)
        held = smaller(held * -1.0, bound) * -1.0
        store_vector(gradient, i, held)
        total = fma(held, held, total)
    return float(vector_sum(total))


@inlined
def descend(cell, net, row, scratch, squares, losses):
    """Update all parameters of a network from the gradient in the scratch.

    The gradient is that of the sum of ``losses`` losses and ``squares`` its sum
    of squares; the step is that of their mean. Reads and writes the parameters,
    both moments and the running powers of beta. A gradient that left the range of
    numbers on its way back has no direction: such an update is left out.
    """
    if not float(squares) < inf:
        return
    table, numbers = int64_at(net), float64_at(net)
    powers = float64_at(row + load(table, plan.NET_POWERS))
    weights = pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
    first = pointer_like(row + load(table, plan.NET_MOMENT_1), cell.one)
    second = pointer_like(row + load(table, plan.NET_MOMENT_2), cell.one)
    gradient = pointer_like(scratch + load(table, plan.NET_GRADIENT), cell.one)
    store(powers, 0, load(powers, 0) * load(numbers, plan.NET_DECAY_1))
    store(powers, 1, load(powers, 1) * load(numbers, plan.NET_DECAY_2))
    most = load(numbers, plan.NET_CLIP_VALUE)
    if most < inf:
        squares = _hold(cell, net, scratch, most * losses)
    # The norm is that of the mean, and is waited for only where it is too large.
    shrink, clip = 1.0, load(numbers, plan.NET_CLIP)
    if float(squares) > (clip * losses) * (clip * losses):
        shrink = clip / (square_root(float(squares)) / losses)
    # The constants of the loop, each once; Adam's rate and v are corrected: moments start from 0.
    scale = splat(weights, shrink / losses)
    rate = splat(weights, -load(numbers, plan.NET_RATE) / (1.0 - load(powers, 0)))
    correction = splat(weights, 1.0 / (1.0 - load(powers, 1)))
    keep_1, add_1 = (
        splat(weights, load(numbers, plan.NET_BETA_1)),
        splat(weights, load(numbers, plan.NET_ADD_1)),
    )
    keep_2, add_2 = (
        splat(weights, load(numbers, plan.NET_BETA_2)),
        splat(weights, load(numbers, plan.NET_ADD_2)),
    )
    epsilon = splat(weights, load(numbers, plan.NET_EPSILON))
    # Rows of units that only fill up a vector are 0, and so are their gradients and moments.
    full, filling = load(table, plan.NET_FULL), load(table, plan.NET_FILLING)
    for n in range(0, load(table, plan.NET_PARAMETERS) - filling, lanes(weights)):
        i = n if n < full else n + filling
        g = load_vector(gradient, i) * scale
        m = cell_moment(cell, fma(load_vector(first, i), keep_1, g * add_1))
        v = cell_moment(cell, fma(load_vector(second, i), keep_2, g * g * add_2))
        store_vector(first, i, m)
        store_vector(second, i, v)
        store_vector(
            weights, i, fma(m * rate, 1.0 / (sqrt(v * correction) + epsilon), load_vector(weights, i))
        )
