"""An LSTM of 12 units that learns online, as PyTorch and JAX users write it: windows, autograd, Adam.

At every record it goes back through the last steps from their stored state, with the losses whose
truth has just come, and takes one step of Adam. Its heads forecast the change from the newest value.
Both libraries do the same with weights of their own.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np
from mase import HORIZONS, Array

HIDDEN, WINDOW = 12, 40  # the window: 16 steps before the oldest output that has a loss
RATE, CLIP = 1e-2, 1.0  # of 1.5e-3, 3e-3, 1e-2 and 3e-2 the best


def with_torch(u: Array, truth: Array, seed: int) -> Array:
    """(n, horizons) forecasts made at each record."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    lstm, head = torch.nn.LSTM(1, HIDDEN), torch.nn.Linear(HIDDEN, len(HORIZONS))
    parameters = [*lstm.parameters(), *head.parameters()]
    adam = torch.optim.Adam(parameters, lr=RATE, fused=True)
    inputs, wanted = _padded(u), torch.tensor(truth - u[:, None], dtype=torch.float32)
    x = torch.tensor(inputs)[:, None, None]
    zero = torch.zeros(1, 1, HIDDEN)
    states, made = [(zero, zero)] * (WINDOW + 1), np.zeros(truth.shape)
    columns, back = range(len(HORIZONS)), [WINDOW - h for h in HORIZONS]
    for t in range(len(u)):
        if t >= HORIZONS[-1]:
            adam.zero_grad()
            hidden, _ = lstm(x[t : t + WINDOW], states[-WINDOW - 1])
            known = wanted[[t - h for h in HORIZONS], columns]
            torch.nn.functional.huber_loss(head(hidden[:, 0])[back, columns], known).backward()
            torch.nn.utils.clip_grad_norm_(parameters, CLIP)
            adam.step()
        with torch.inference_mode():
            output, state = lstm(x[t + WINDOW : t + WINDOW + 1], states[-1])
            made[t] = u[t] + head(output[0, 0]).numpy()
        states.append(tuple(part.clone() for part in state))
        del states[0]
    return made


def with_jax(u: Array, truth: Array, seed: int) -> Array:
    """(n, horizons) forecasts made at each record; the whole stream in one compiled call."""
    import jax

    n, inputs, wanted = len(u), _padded(u), (truth - u[:, None]).astype(np.float32)
    p = _jax_parameters(jax.numpy, seed)
    nothing, ring = jax.tree.map(jax.numpy.zeros_like, p), jax.numpy.zeros((WINDOW + 1, HIDDEN))
    windows = np.lib.stride_tricks.sliding_window_view(inputs, WINDOW)[:n]
    known = np.column_stack([np.roll(wanted[:, k], h) for k, h in enumerate(HORIZONS)])
    steps = np.arange(n) - HORIZONS[-1] + 1  # of Adam: below 1 not every horizon has a truth
    data = tuple(map(jax.numpy.asarray, (steps, windows, inputs[WINDOW:], known)))
    outputs = _jax_stream()((p, nothing, nothing, (ring, ring)), data)
    return u[:, None] + np.asarray(outputs, np.float64)  # type: ignore[no-any-return]


@cache
def _jax_stream() -> Any:
    """The compiled pass over a stream, made once."""
    import jax

    step, np_ = partial(_jax_step, jax), jax.numpy
    back, columns = np.array([WINDOW - h for h in HORIZONS]), np.arange(len(HORIZONS))

    def loss(p: Any, start: Any, window: Any, known: Any) -> Any:
        _, outputs = jax.lax.scan(partial(step, p), start, window)
        wrong = np_.abs(outputs[back, columns] - known)
        return np_.mean(np_.where(wrong < 1.0, 0.5 * wrong**2, wrong - 0.5))

    def record(carry: Any, data: Any) -> tuple[Any, Any]:
        p, m, v, ring = carry
        t, window, newest, known = data
        gradient = jax.grad(loss)(p, jax.tree.map(lambda states: states[0], ring), window, known)
        p, m, v = _jax_adam(jax, p, m, v, gradient, t)
        state, output = step(p, jax.tree.map(lambda states: states[-1], ring), newest)
        ring = jax.tree.map(lambda states, now: np_.concatenate([states[1:], now[None]]), ring, state)
        return (p, m, v, ring), output

    return jax.jit(lambda carry, data: jax.lax.scan(record, carry, data)[1])


def _padded(u: Array) -> Any:
    """float32 inputs: the records, with a window of the first one before them."""
    return np.concatenate([np.full(WINDOW, u[0]), u]).astype(np.float32)


def _jax_parameters(np_: Any, seed: int) -> dict[str, Any]:
    rng, columns, outputs = np.random.default_rng(seed), 4 * HIDDEN, len(HORIZONS)
    shapes = {"hh": (HIDDEN, columns), "ih": (columns,), "b": (columns,)}
    shapes |= {"head": (HIDDEN, outputs), "by": (outputs,)}
    bound = HIDDEN**-0.5
    return {name: np_.asarray(rng.uniform(-bound, bound, shape), "float32") for name, shape in shapes.items()}


def _jax_step(jax: Any, p: Any, state: Any, x: Any) -> tuple[Any, Any]:
    h, c = state
    i, f, g, o = jax.numpy.split(h @ p["hh"] + x * p["ih"] + p["b"], 4)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jax.numpy.tanh(g)
    h = jax.nn.sigmoid(o) * jax.numpy.tanh(c)
    return (h, c), h @ p["head"] + p["by"]


def _jax_adam(jax: Any, p: Any, m: Any, v: Any, gradient: Any, t: Any) -> tuple[Any, Any, Any]:
    """Step t of Adam with a clipped gradient, none where t < 1."""
    each, np_, begun = jax.tree.map, jax.numpy, t >= 1
    norm = np_.sqrt(sum(np_.sum(g * g) for g in jax.tree.leaves(gradient)))
    factor = np_.where(begun, np_.minimum(1.0, CLIP / (norm + 1e-9)), 0.0)
    m = each(lambda m, g: 0.9 * m + 0.1 * factor * g, m, gradient)
    v = each(lambda v, g: 0.999 * v + 0.001 * (factor * g) ** 2, v, gradient)
    done = np_.maximum(t, 1).astype("float32")
    rate, correction = RATE / (1.0 - 0.9**done), 1.0 / (1.0 - 0.999**done)
    p = each(lambda p, m, v: p - rate * m / (np_.sqrt(v * correction) + 1e-8), p, m, v)
    return p, m, v
