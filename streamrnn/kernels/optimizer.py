"""Adam (Kingma and Ba 2015, algorithm 1) after clipping by the global norm (Pascanu et al. 2013)."""

from __future__ import annotations

from math import inf
from math import sqrt as square_root

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import inlined
from streamrnn.kernels.vector import (
    float64_at,
    fma,
    int64_at,
    lanes,
    load,
    load_vector,
    pointer_like,
    splat,
    sqrt,
    store,
    store_vector,
)


@inlined
def adam(cell, net, row, scratch, squares, losses):
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
    beta_1, beta_2 = load(numbers, plan.NET_BETA_1), load(numbers, plan.NET_BETA_2)
    store(powers, 0, load(powers, 0) * beta_1)
    store(powers, 1, load(powers, 1) * beta_2)
    norm = square_root(float(squares)) / losses
    clip = load(numbers, plan.NET_CLIP)
    shrink = clip / norm if norm > clip else 1.0
    # The constants of the loop, each once: m += (1 - b1)(g - m), p -= rate m / (sqrt(v / c2) + eps).
    scale = splat(weights, shrink / losses)
    rate = splat(weights, -load(numbers, plan.NET_RATE) / (1.0 - load(powers, 0)))
    correction = splat(weights, 1.0 / (1.0 - load(powers, 1)))
    keep_1, keep_2 = splat(weights, beta_1), splat(weights, beta_2)
    add_1, add_2 = splat(weights, 1.0 - beta_1), splat(weights, 1.0 - beta_2)
    epsilon = splat(weights, load(numbers, plan.NET_EPSILON))
    # Rows of units that only fill up a vector are 0, and so are their gradients and moments.
    full, filling = load(table, plan.NET_FULL), load(table, plan.NET_FILLING)
    for n in range(0, load(table, plan.NET_PARAMETERS) - filling, lanes(weights)):
        i = n if n < full else n + filling
        g = load_vector(gradient, i) * scale
        m = fma(load_vector(first, i), keep_1, g * add_1)
        v = fma(load_vector(second, i), keep_2, g * g * add_2)
        store_vector(first, i, m)
        store_vector(second, i, v)
        store_vector(
            weights, i, fma(m * rate, 1.0 / (sqrt(v * correction) + epsilon), load_vector(weights, i))
        )
