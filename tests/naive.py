"""Plain NumPy twins of the compiled networks and of their gradients: slow, readable, the papers' equations.

Parameters are dicts with PyTorch's names. Every function takes complex numbers
and leading batch dimensions, so one call gives the derivative of a loss by every
parameter: the complex step (Squire and Trapp 1998), exact to rounding. Branches
look at the real part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from streamrnn.tables import NetworkShape

Arrays = dict[str, np.ndarray]
Tuple = tuple[np.ndarray, ...]

_STEP = 1e-30
TAPS = NetworkShape.taps


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-z))


def _affine(p: Arrays, weight: str, bias: str, v: np.ndarray) -> np.ndarray:
    return (p[weight] @ v[..., None])[..., 0] + p[bias]


# ---------------------------------------------------------------- cells


@dataclass(frozen=True)
class Cell:
    """A cell's equations: linear products of inputs and state, then what the gates make of them."""

    states: int  # h and what else recurs
    products: Callable[[Arrays, np.ndarray, Tuple], Tuple]
    activate: Callable[[Tuple, Tuple], Tuple]
    context: str = "hidden"  # what recurs last: with "outputs" the head's, with "inputs" those that were

    def run(self, p: Arrays, x: np.ndarray, state: Tuple, stored: Tuple | None = None) -> tuple[Tuple, Tuple]:
        """The products of a step, with real parts as they were then, and the state after it."""
        products = self.products(p, x, state)
        if stored is not None:
            products = tuple(_with_real_part(now, then) for now, then in zip(products, stored, strict=True))
        after = self.activate(products, state)
        if self.context == "inputs":
            kept = state[1].shape[-1] - x.shape[-1]
            return products, (*after, _beside(x, state[1][..., :kept]))
        return products, after if self.context == "hidden" else (*after, state[1])

    def hear(self, state: Tuple, y: np.ndarray) -> Tuple:
        """The state after the head said y."""
        return (state[0], y) if self.context == "outputs" else state

    def zero_state(self, p: Arrays) -> Tuple:
        outputs, hidden = p["head_weight"].shape[-2:]
        earlier = p["weight_ih_l0"].shape[-1] * (TAPS - 1) // TAPS
        last = {"outputs": (np.zeros(outputs),), "inputs": (np.zeros(earlier),)}.get(self.context, ())
        return (*(np.zeros(hidden) for _ in range(self.states)), *last)


@dataclass(frozen=True)
class Stack:
    """Layers of one cell, the h of one being the inputs of the next; states and products as one list.

    The states are those of the last layer first, since the first of them is what the head reads.
    """

    cell: Cell
    layers: int

    def _of_layer(self, p: Arrays, n: int) -> Arrays:
        own = {name: array for name, array in p.items() if name.endswith(f"_l{n}")}
        return {name.replace(f"_l{n}", "_l0"): array for name, array in own.items()}

    def _split(self, values: Tuple) -> list[Tuple]:
        size = len(values) // self.layers
        return [values[n * size : (n + 1) * size] for n in range(self.layers)]

    def run(self, p: Arrays, x: np.ndarray, state: Tuple, stored: Tuple | None = None) -> tuple[Tuple, Tuple]:
        before = self._split(state)[::-1]
        then = self._split(stored) if stored is not None else [None] * self.layers
        products, after = [], []
        for n in range(self.layers):
            made, left = self.cell.run(self._of_layer(p, n), x, before[n], then[n])
            products.append(made)
            after.append(left)
            x = left[0]
        return sum(products, ()), sum(after[::-1], ())

    def hear(self, state: Tuple, y: np.ndarray) -> Tuple:
        return sum((self.cell.hear(part, y) for part in self._split(state)), ())

    def zero_state(self, p: Arrays) -> Tuple:
        of_head = {"head_weight": p["head_weight"]}
        parts = [self.cell.zero_state({**self._of_layer(p, n), **of_head}) for n in range(self.layers)]
        return sum(parts[::-1], ())


def _beside(*parts: np.ndarray) -> np.ndarray:
    leading = np.broadcast_shapes(*(part.shape[:-1] for part in parts))
    return np.concatenate([np.broadcast_to(part, (*leading, part.shape[-1])) for part in parts], axis=-1)


def _from_h(p: Arrays, state: Tuple) -> np.ndarray:
    return _affine(p, "weight_hh_l0", "bias_hh_l0", state[0])


def _from_x(p: Arrays, x: np.ndarray) -> np.ndarray:
    return _affine(p, "weight_ih_l0", "bias_ih_l0", x)


def _one_product(p: Arrays, x: np.ndarray, state: Tuple) -> Tuple:
    """W_ih x + b_ih + W_hh h + b_hh (torch.nn.LSTM, torch.nn.RNN)."""
    return (_from_x(p, x) + _from_h(p, state),)


def _lstm_activate(products: Tuple, state: Tuple) -> Tuple:
    """c' = f c + i g, h' = o tanh(c')."""
    i, f, g, o = np.split(products[0], 4, axis=-1)
    c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def _gru_products(p: Arrays, x: np.ndarray, state: Tuple) -> Tuple:
    """Those with x and those with h apart: r comes between them (torch.nn.GRU)."""
    return _from_x(p, x), _from_h(p, state)


def _gru_activate(products: Tuple, state: Tuple) -> Tuple:
    """n = tanh(x_n + r h_n), h' = (1 - z) n + z h."""
    x_r, x_z, x_n = np.split(products[0], 3, axis=-1)
    h_r, h_z, h_n = np.split(products[1], 3, axis=-1)
    z = sigmoid(x_z + h_z)
    n = np.tanh(x_n + sigmoid(x_r + h_r) * h_n)
    return ((1.0 - z) * n + z * state[0],)


def _diagonal_products(p: Arrays, x: np.ndarray, state: Tuple) -> Tuple:
    """W_ih x + b_ih + w_hh h, a unit's own h only."""
    of_gates = np.concatenate([state[0]] * 4, axis=-1)
    return (_from_x(p, x) + p["weight_hh_l0"][..., 0] * of_gates,)


def _tdnn_products(p: Arrays, x: np.ndarray, state: Tuple) -> Tuple:
    """W_0 x(t) + W_1 x(t-1) + ... + b."""
    return (_from_x(p, _beside(x, state[1])),)


def _jordan_products(p: Arrays, x: np.ndarray, state: Tuple) -> Tuple:
    """W_ih x + b_ih + W_yh y."""
    return (_from_x(p, x) + (p["weight_yh_l0"] @ state[1][..., None])[..., 0],)


def _simple(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[Tuple, Tuple], Tuple]:
    return lambda products, state: (function(products[0]),)


def _relu(z: np.ndarray) -> np.ndarray:
    return np.where(z.real > 0.0, z, 0.0)  # far below the cap


# A new cell needs one line here: the conformance suite asks for it.
CELLS = {
    "lstm": Cell(2, _one_product, _lstm_activate),
    "gru": Cell(1, _gru_products, _gru_activate),
    "diagonal_lstm": Cell(2, _diagonal_products, _lstm_activate),
    "rnn": Cell(1, _one_product, _simple(np.tanh)),
    "rnn_relu": Cell(1, _one_product, _simple(_relu)),
    "rnn_logistic": Cell(1, _one_product, _simple(sigmoid)),
    "jordan": Cell(1, _jordan_products, _simple(np.tanh), "outputs"),
    "tdnn": Cell(1, _tdnn_products, _simple(np.tanh), "inputs"),
}


def twin(cell: str, layers: int = 1) -> Cell | Stack:
    return CELLS[cell] if layers == 1 else Stack(CELLS[cell], layers)


def _with_real_part(values: np.ndarray, real: np.ndarray) -> np.ndarray:
    return real + 1j * np.imag(values)


@dataclass(frozen=True)
class Step:
    """What one step computed: the products, the state after it, the head's outputs."""

    products: Tuple
    state: Tuple
    y: np.ndarray


def step(
    cell: Cell, p: Arrays, x: np.ndarray, state: Tuple, masked: bool = False, stored: Step | None = None
) -> Step:
    """One step and the linear head; a masked step carries the state.

    With ``stored``, values are those of the time when the step was made and only
    derivatives follow the weights of today: what backpropagation through stored
    activations differentiates (Williams and Peng 1990, BPTT(h; h')).
    """
    products, after = cell.run(p, x, state, stored.products if stored else None)
    state = state if masked else after
    y = _affine(p, "head_weight", "head_bias", state[0])
    y = _with_real_part(y, stored.y) if stored else y
    return Step(products, state if masked else cell.hear(state, y), y)


def sequence(cell: Cell, p: Arrays, inputs: np.ndarray, masks: np.ndarray | None = None) -> list[Step]:
    """Every step of a sequence from a state of zeros."""
    state, steps = cell.zero_state(p), []
    for t, x in enumerate(inputs):
        steps.append(step(cell, p, x, state, masks is not None and bool(masks[t])))
        state = steps[-1].state
    return steps


# ---------------------------------------------------------------- gradients


def huber(error: np.ndarray, threshold: float) -> np.ndarray:
    """Half the square within the threshold, linear beyond (Huber 1964)."""
    size = np.where(error.real < 0, -error, error)
    return np.where(size.real <= threshold, 0.5 * error * error, threshold * (size - 0.5 * threshold))


def _known(losses: np.ndarray, target: np.ndarray) -> np.ndarray:
    return np.sum(np.where(np.isnan(target), 0.0, losses), axis=-1)


def _huber_loss(y: np.ndarray, target: np.ndarray, threshold: float) -> np.ndarray:
    return _known(huber(y - np.nan_to_num(target), threshold), target)


def _cross_entropy(y: np.ndarray, target: np.ndarray, _threshold: float) -> np.ndarray:
    """-sum t log softmax(y); with a target unknown there is no loss."""
    largest = y.real.max(axis=-1, keepdims=True)
    log_sum = largest + np.log(np.sum(np.exp(y - largest), axis=-1, keepdims=True))
    return np.sum((log_sum - y) * target, axis=-1) if not np.isnan(target).any() else 0.0 * y[..., 0]


def _gaussian(y: np.ndarray, target: np.ndarray, _threshold: float) -> np.ndarray:
    """-log of a normal density, but for a constant: means in the first half, log scales in the second."""
    mean, log_scale = np.split(y, 2, axis=-1)
    return _known(log_scale + 0.5 * ((mean - np.nan_to_num(target)) / np.exp(log_scale)) ** 2, target)


LOSSES = {
    "squared": lambda y, target, _threshold: _huber_loss(y, target, 1e100),
    "huber": _huber_loss,
    "cross_entropy": _cross_entropy,
    "gaussian": _gaussian,
}


@dataclass
class Window:
    """The steps that one update goes back through.

    ``start`` is the state before the first; it is a constant. ``targets`` are
    those of the outputs of the newest k1 steps, NaN where none is known.
    ``stored`` holds the steps as they were made, or is None: recomputed.
    """

    inputs: np.ndarray  # (steps, D)
    start: Tuple
    targets: np.ndarray  # (k1, outputs)
    masks: np.ndarray | None = None
    stored: list[Step] | None = None

    def run(self, cell: Cell, p: Arrays) -> list[Step]:
        state, steps = self.start, []
        for t, x in enumerate(self.inputs):
            masked = self.masks is not None and bool(self.masks[t])
            steps.append(step(cell, p, x, state, masked, self.stored[t] if self.stored else None))
            state = steps[-1].state
        return steps

    def loss(self, cell: Cell, p: Arrays, threshold: float) -> np.ndarray:
        """Sum of the known losses of the newest outputs: each loss counts once."""
        newest = self.run(cell, p)[-len(self.targets) :]
        known = ~np.isnan(self.targets)
        errors = [
            made.y - np.where(k, t, 0.0) for made, t, k in zip(newest, self.targets, known, strict=True)
        ]
        return sum(
            np.sum(np.where(k, huber(e, threshold), 0.0), axis=-1) for e, k in zip(errors, known, strict=True)
        )

    def loss_of_inputs(self, cell: Cell, p: Arrays, threshold: float, inputs: np.ndarray) -> np.ndarray:
        """The same of other inputs (..., steps, D)."""
        other = replace(self, inputs=np.moveaxis(inputs, -2, 0))
        return other.loss(cell, p, threshold) + 0.0 * np.sum(inputs, axis=(-2, -1))

    @property
    def losses(self) -> int:
        return int(np.sum(~np.isnan(self.targets)))


def complex_step(loss: Callable[[Arrays], np.ndarray], p: Arrays) -> Arrays:
    """Derivative of a loss by every parameter: Im f(p + i h e) / h for every direction e at once."""
    count = sum(array.size for array in p.values())
    shifted, start = {}, 0
    for name, array in p.items():
        stack = np.tile(array.ravel(), (count, 1)).astype(complex)
        stack[np.arange(start, start + array.size), np.arange(array.size)] += 1j * _STEP
        shifted[name] = stack.reshape(count, *array.shape)
        start += array.size
    flat = loss(shifted).imag / _STEP
    ends = np.cumsum([array.size for array in p.values()])[:-1]
    return {
        name: part.reshape(array.shape)
        for (name, array), part in zip(p.items(), np.split(flat, ends), strict=True)
    }
