"""The way back through a network's linear head, y = W_out h + b_out."""

from __future__ import annotations

from streamrnn.kernels.compiling import inlined
from streamrnn.kernels.vector import fma, lanes, load, load_vector, splat, store, store_vector


@inlined
def hear_error(weights, gradient, dh, h, place, error):
    """Add dL/dy of one output to dL/dh and to the head's gradient.

    ``weights`` and ``gradient`` point to the head's rows, its biases behind them; ``h`` is what the
    output was made of; ``place`` = (the output, how many there are, padded units).
    """
    k, outputs, h_size = place
    d = splat(dh, error)
    for j in range(0, h_size, lanes(dh)):
        at = k * h_size + j
        store_vector(gradient, at, fma(d, load_vector(h, j), load_vector(gradient, at)))
        store_vector(dh, j, fma(d, load_vector(weights, at), load_vector(dh, j)))
    bias = outputs * h_size + k
    store(gradient, bias, float(load(gradient, bias)) + float(error))
