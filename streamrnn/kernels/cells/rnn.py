"""Simple recurrent networks (Elman 1990): context = the hidden state of the step before.

As ``torch.nn.RNN`` computes them:

    h' = f(W_hh h + b_hh + W_ih x + b_ih)

f is tanh (``rnn``), the rectifier (``rnn_relu``) or the logistic function (``rnn_logistic``).
The rectifier is held at ``CAP``, as Hannun et al. (2014, section 2) hold theirs at 20: under
weights that grow it would leave all bounds in a few dozen steps, and never come back.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from streamrnn.kernels import plan
from streamrnn.kernels.cells.protocol import (
    CellSpec,
    cell_backward,
    cell_forward,
    cell_gradient,
    cell_hold,
    cell_input_gradient,
    cell_moment,
    cell_prepare,
    implements,
)
from streamrnn.kernels.cells.simple import (
    FROM_H,
    errors_of,
    gradient_of_inputs,
    gradient_of_products,
    hold_h,
    multiply,
    put_tanh,
    vector_behind,
)
from streamrnn.kernels.compiling import inlined
from streamrnn.kernels.matrix import matvec_transposed
from streamrnn.kernels.narrow import narrow_matvec, transpose
from streamrnn.kernels.rectifier import inside, rectify, unless_nearer
from streamrnn.kernels.slots import alternate
from streamrnn.kernels.vector import (
    int64_at,
    lanes,
    load,
    load_vector,
    pointer_like,
    sigmoid,
    store,
    store_vector,
)

LEAST = 1e-30  # of a moment: it moves no weight any more, and its products with rates are not yet subnormal
CAP = 1024.0  # far beyond what inputs of some 20 scales need, and far from overflow in any product


class RNN(NamedTuple):
    """Tag of the kernels with tanh; ``one`` carries the element type."""

    one: Any


class ReLURNN(NamedTuple):
    """Tag of the kernels with the rectifier."""

    one: Any


class LogisticRNN(NamedTuple):
    """Tag of the kernels with the logistic function."""

    one: Any


SPECS = tuple(
    CellSpec(name, tag, ("h",), saved=0, errors=1, state=(), bias={}, turned_to=32)
    for name, tag in (("rnn", RNN), ("rnn_relu", ReLURNN), ("rnn_logistic", LogisticRNN))
)


def activate(cell: Any, net: int, z: Any) -> None:
    """Put f(z) in the place of z, of all padded units."""


def slope(cell: Any, h: Any) -> Any:
    """f'(z), from h = f(z), a vector."""


@implements(activate, RNN)
def activate_tanh(cell, net, z):
    put_tanh(load(int64_at(net), plan.NET_PADDED), z)


@implements(activate, ReLURNN)
def activate_relu(cell, net, z):
    for j in range(0, load(int64_at(net), plan.NET_PADDED), lanes(z)):
        store_vector(z, j, rectify(load_vector(z, j), CAP))


@implements(activate, LogisticRNN)
def activate_logistic(cell, net, z):
    table = int64_at(net)
    for j in range(0, load(table, plan.NET_PADDED), lanes(z)):
        store_vector(z, j, sigmoid(load_vector(z, j)))
    for j in range(load(table, plan.NET_HIDDEN), load(table, plan.NET_PADDED)):
        store(z, j, 0.0)  # sigmoid(0) is not 0, and units that only fill up a vector must be


@implements(slope, RNN)
def slope_of_tanh(cell, h):
    return 1.0 - h * h


@implements(slope, ReLURNN)
def slope_of_relu(cell, h):
    return inside(h, CAP)


@implements(slope, LogisticRNN)
def slope_of_logistic(cell, h):
    return h * (1.0 - h)


@implements(cell_moment, ReLURNN)
def without_remains(cell, moment):
    """Without what is left of gradients that a unit had before it fell silent for good.

    It would shrink until it is subnormal and stay so, and arithmetic with that is slow.
    """
    return unless_nearer(moment, LEAST)


@inlined
def _direction(net, slot):
    """Direction in which to walk the weights at this slot."""
    table = int64_at(net)
    h_size = load(table, plan.NET_PADDED)
    return alternate(slot, (h_size + load(table, plan.NET_INPUTS) + 2) * h_size // 4)  # one gate, not four


def forward(cell, net, row, slot):
    multiply(cell, net, row, slot, FROM_H, _direction(net, slot))
    activate(cell, net, vector_behind(cell, net, row, slot))


def hold(cell, net, row, slot):
    hold_h(cell, net, row, slot)


def prepare(cell, net, row, scratch):
    """Turn W_hh of few units, once for all steps: of so short rows the sums over the lanes cost most."""
    table = int64_at(net)
    h_size = load(table, plan.NET_PADDED)
    if load(table, plan.NET_TURNED):
        weights = pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
        turned = pointer_like(scratch + load(table, plan.NET_TURNED), cell.one)
        transpose(weights, h_size, h_size, h_size, turned)


def backward(cell, net, row, scratch, slot, last):
    table = int64_at(net)
    h_size = load(table, plan.NET_PADDED)
    h = vector_behind(cell, net, row, slot)
    dh = pointer_like(scratch + load(table, plan.NET_DH), cell.one)
    dz = errors_of(cell, net, scratch, slot)
    for j in range(0, h_size, lanes(h)):
        store_vector(dz, j, load_vector(dh, j) * slope(cell, load_vector(h, j)))
    if not last:
        if load(table, plan.NET_TURNED):
            turned = pointer_like(scratch + load(table, plan.NET_TURNED), cell.one)
            narrow_matvec(turned, h_size, dz, h_size, h_size, dh, 0)
        else:
            weights = pointer_like(row + load(table, plan.NET_WEIGHTS), cell.one)
            matvec_transposed(weights, h_size, dz, h_size, dh, h_size, _direction(net, slot))


def gradient(cell, net, row, scratch, first, steps):
    return gradient_of_products(cell, net, row, scratch, first, steps, FROM_H)


def input_gradient(cell, net, row, scratch, slot, out):
    first = load(int64_at(net), plan.NET_PADDED) + 1
    gradient_of_inputs(cell, net, row, scratch, slot, out, first)


for _spec in SPECS:
    implements(cell_forward, _spec.tag)(forward)
    implements(cell_hold, _spec.tag)(hold)
    implements(cell_prepare, _spec.tag)(prepare)
    implements(cell_backward, _spec.tag)(backward)
    implements(cell_gradient, _spec.tag)(gradient)
    implements(cell_input_gradient, _spec.tag)(input_gradient)
