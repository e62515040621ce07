"""Nominal arithmetic of a network: what the algorithm asks for, whoever computes it.

Counted in floating-point operations (FLOP), a fused multiply-add as two, per
record of a network with one recurrent layer of H units, D inputs and O outputs
that is trained every k1 records through k2 steps with Adam:

========================  =====================================================
forward, every record
------------------------  -----------------------------------------------------
gates                     2 G H (H + D + 2): h, the inputs and both biases
                          Jordan 2 H (O + D + 1), TDNN 2 H (8 D + 1)
element by element        LSTM 112 H, GRU 72 H; tanh 21 H, logistic 22 H, ReLU 0
head                      2 O (H + 1)
========================  =====================================================

========================  =====================================================
update, every k1 records
------------------------  -----------------------------------------------------
back through time         (k2 - 1) 2 G H H: nothing flows back from the oldest
                          Jordan (k2 - 1) 6 O H: through the head; TDNN none
weights' gradient         k2 2 G H (H + D + 2), or as the gates; TDNN k1
element by element        k2 x (LSTM 22 H, GRU 17 H; tanh and logistic 3 H, ReLU H); TDNN k1
head                      k1 4 O H: its gradient and what it sends to h
gradient's norm           2 P, with P parameters
Adam and clipping         15 P
========================  =====================================================

G is 4 gates for the LSTM, 3 for the GRU, 1 for the others. P = G H (H + D + 2) + O (H + 1), or as the gates.
For D = O = 1, k1 = 8, k2 = 32 an LSTM comes to 79.5 H^2 + 353.6 H FLOP a record.

A unit of the LSTM evaluates 3 sigmoids, 2 tanh and 4 more (c' = f c + i g;
h' = o tanh c'); one of the GRU 2 sigmoids, 1 tanh and 7 more. tanh is 21: the
square, a numerator of degree 6 and a denominator of degree 3 in it by Horner's
rule (9 multiply-adds), a product and a division; sigmoid is tanh and a sum.
A division or a square root counts as one, a comparison as none.

Not counted, though a kernel may compute it: hidden units that fill up a vector,
activations that are computed again, powers that Estrin's scheme needs beyond
Horner's. So the share of a machine's peak that follows is never flattering.
"""

from __future__ import annotations

from dataclasses import dataclass

TANH = 21
SIGMOID = TANH + 1
NORM, ADAM = 2, 15  # a parameter
TAPS = 8  # steps whose inputs a TDNN sees


@dataclass(frozen=True)
class CellWork:
    """What a cell does for each hidden unit.

    Attributes
    ----------
    gates : int
        Rows of weights a unit has.
    forward, backward : int
        FLOP of a step and of a step back beside the products.
    context : str
        What of the past it sees: h, the outputs or earlier inputs (``CellSpec.context``).
    """

    gates: int
    forward: int
    backward: int
    context: str = "hidden"

    def weights(self, hidden: int, inputs: int, outputs: int) -> int:
        """Weights of all units."""
        past = {"hidden": hidden + 1, "outputs": outputs, "inputs": (TAPS - 1) * inputs}[self.context]
        return self.gates * hidden * (past + inputs + 1)

    def back(self, hidden: int, outputs: int) -> int:
        """FLOP of the products of a step back."""
        products = {"hidden": self.gates * hidden * hidden, "outputs": 3 * outputs * hidden, "inputs": 0}
        return 2 * products[self.context]


CELL_WORK = {
    "lstm": CellWork(gates=4, forward=3 * SIGMOID + 2 * TANH + 4, backward=22),
    "gru": CellWork(gates=3, forward=2 * SIGMOID + TANH + 7, backward=17),
    "rnn": CellWork(gates=1, forward=TANH, backward=3),
    "rnn_relu": CellWork(gates=1, forward=0, backward=1),
    "rnn_logistic": CellWork(gates=1, forward=SIGMOID, backward=3),
    "jordan": CellWork(gates=1, forward=TANH, backward=3, context="outputs"),
    "tdnn": CellWork(gates=1, forward=TANH, backward=3, context="inputs"),
}


def forward_flop(cell: str, hidden: int, inputs: int = 1, outputs: int = 1) -> float:
    """FLOP of one step forward and its outputs."""
    work = CELL_WORK[cell]
    products = 2 * work.weights(hidden, inputs, outputs)
    return products + work.forward * hidden + 2 * outputs * (hidden + 1)


def update_flop(cell: str, hidden: int, k1: int, k2: int, inputs: int = 1, outputs: int = 1) -> float:
    """FLOP of one training step through a full window."""
    work = CELL_WORK[cell]
    block = work.weights(hidden, inputs, outputs)
    parameters = block + outputs * (hidden + 1)
    steps = k1 if work.context == "inputs" else k2  # a TDNN's errors stay in the steps of their losses
    back = (steps - 1) * work.back(hidden, outputs) + steps * work.backward * hidden
    return back + steps * 2 * block + k1 * 4 * outputs * hidden + (NORM + ADAM) * parameters


def learn_flop(cell: str, hidden: int, k1: int, k2: int) -> float:
    """FLOP of one record of a stream that is learned from: forward and its part of an update."""
    return forward_flop(cell, hidden) + update_flop(cell, hidden, k1, k2) / k1
