"""JAX: the whole stream in one compiled call; one thread.

The same work as our network with recomputed windows: every K1 records, back
through the last K2 steps from their stored start, with the losses of the newest
K1 outputs, Adam and a clipped norm. Written twice: plainly, the recurrence with its
head in one ``lax.scan``; and, for learning, tuned as far as we could: the head
taken out of the scan and the scan unrolled four times. Forward, that is slower.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from common import Contender, stream
from networks import K1, K2
from numpy.typing import NDArray

PLAIN, TUNED = 1, 4  # steps that XLA unrolls; the default, and the fastest
_FORWARD_RECORDS, _LEARN_RECORDS = 16384, 1024
_RATE, _BETA_1, _BETA_2, _EPSILON = 1.5e-3, 0.9, 0.99, 1e-6


def contenders(sizes: Sequence[int]) -> list[Contender]:
    """``jax/H/forward``, ``jax/H/learn`` and ``jax/H/learn/tuned`` for each hidden size."""
    # XLA reads these when it starts; NPROC is how it learns the size of its thread pool.
    os.environ["NPROC"] = "1"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    import jax

    found = []
    for hidden in sizes:
        for name, run, n in (
            ("forward", _forward(jax, hidden), _FORWARD_RECORDS),
            ("learn", _learn(jax, hidden, PLAIN), _LEARN_RECORDS),
            ("learn/tuned", _learn(jax, hidden, TUNED), _LEARN_RECORDS),
        ):
            found.append(Contender(f"jax/{hidden}/{name}", run, n, time.process_time_ns))
    return found


def _parameters(jax: Any, hidden: int) -> dict[str, Any]:
    bound, columns, rng = hidden**-0.5, 4 * hidden, np.random.default_rng(0)
    shapes = {"hh": (hidden, columns), "ih": (columns,), "b": (columns,), "head": (hidden,), "by": ()}
    return {
        name: jax.numpy.asarray(rng.uniform(-bound, bound, shape), "float32")
        for name, shape in shapes.items()
    }


def _cell(jax: Any, p: dict[str, Any], state: Any, x: Any) -> tuple[Any, Any]:
    h, c = state
    i, f, g, o = jax.numpy.split(h @ p["hh"] + x * p["ih"] + p["b"], 4)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jax.numpy.tanh(g)
    h = jax.nn.sigmoid(o) * jax.numpy.tanh(c)
    return (h, c), h


def _adam(jax: Any, p: Any, m: Any, v: Any, gradient: Any, t: Any) -> tuple[Any, Any, Any]:
    each, np_ = jax.tree.map, jax.numpy
    norm = np_.sqrt(sum(np_.sum(g * g) for g in jax.tree.leaves(gradient)))
    shrink = np_.minimum(1.0, 1.0 / norm)
    m = each(lambda m, g: _BETA_1 * m + (1 - _BETA_1) * shrink * g, m, gradient)
    v = each(lambda v, g: _BETA_2 * v + (1 - _BETA_2) * (shrink * g) ** 2, v, gradient)
    rate, correction = _RATE / (1 - _BETA_1**t), 1 / (1 - _BETA_2**t)
    p = each(lambda p, m, v: p - rate * m / (np_.sqrt(v * correction) + _EPSILON), p, m, v)
    return p, m, v


def _forward(jax: Any, hidden: int) -> Any:
    p, x = _parameters(jax, hidden), jax.numpy.asarray(stream(_FORWARD_RECORDS)[:, 0], "float32")

    @jax.jit
    def forward(p: Any, x: Any) -> Any:
        def step(state: Any, x: Any) -> Any:
            state, h = _cell(jax, p, state, x)
            return state, h @ p["head"] + p["by"]

        zero = jax.numpy.zeros(hidden)
        return jax.lax.scan(step, (zero, zero), x)

    return lambda: jax.block_until_ready(forward(p, x))


def _windows() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """For every K1 records: the window's K2 inputs, and the truth of its newest K1 outputs."""
    x = stream(K2 - K1 + _LEARN_RECORDS + 1)[:, 0].astype(np.float32)
    view = np.lib.stride_tricks.sliding_window_view
    return view(x[:-1], K2)[::K1], view(x[K2 - K1 + 1 :], K1)[::K1]


def _learn(jax: Any, hidden: int, unroll: int) -> Any:
    scan = partial(jax.lax.scan, unroll=unroll)

    def run(p: Any, state: Any, x: Any) -> tuple[Any, Any]:
        """The state after the inputs, and the head's outputs."""

        def step(state: Any, x: Any) -> Any:
            state, h = _cell(jax, p, state, x)
            return state, h @ p["head"] + p["by"]

        if unroll == PLAIN:
            return scan(step, state, x)  # type: ignore[no-any-return]
        state, h = scan(partial(_cell, jax, p), state, x)
        return state, h[-K1:] @ p["head"] + p["by"]

    def loss(p: Any, start: Any, window: Any, truth: Any) -> Any:
        _, y = run(p, start, window)
        return 0.5 * jax.numpy.mean((y[-K1:] - truth) ** 2)

    def block(carry: Any, data: Any) -> Any:
        """K1 steps, then one update."""
        p, m, v, state, starts, t = carry
        window, truth = data
        starts = jax.tree.map(lambda ring, now: jax.numpy.concatenate([ring[1:], now[None]]), starts, state)
        state, outputs = run(p, state, window[-K1:])
        gradient = jax.grad(loss)(p, jax.tree.map(lambda ring: ring[0], starts), window, truth)
        return (*_adam(jax, p, m, v, gradient, t), state, starts, t + 1), outputs

    @jax.jit
    def learn(carry: Any, data: Any) -> Any:
        return jax.lax.scan(block, carry, data)

    p = _parameters(jax, hidden)
    nothing, zero = jax.tree.map(jax.numpy.zeros_like, p), jax.numpy.zeros(hidden)
    ring = jax.numpy.zeros((K2 // K1, hidden))
    carry = (p, nothing, nothing, (zero, zero), (ring, ring), 1.0)
    data = tuple(map(jax.numpy.asarray, _windows()))
    return lambda: jax.block_until_ready(learn(carry, data))
