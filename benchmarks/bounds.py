"""The least time of a record on the machine at hand, to which a measured time may be compared.

The arithmetic (``flops.py``) at the peak of multiply-adds; what divisions and square roots take beyond
that, at their own rate: one division for each tanh or sigmoid, and one of each a parameter of Adam;
and forward, for a network that hears its own output, no less than one trip around that loop,
in which nothing can be done for the next record. Memory and all that is no arithmetic count as nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from flops import CELL_WORK, forward_flop, update_flop

DIVISIONS = {"lstm": 5, "gru": 3, "rnn": 1, "rnn_relu": 0, "rnn_logistic": 1, "jordan": 1, "tdnn": 1}


@dataclass(frozen=True)
class Machine:
    """Nanoseconds of a FLOP in multiply-adds, a division, a square root, and a trip around the loop."""

    peak: float
    division: float
    root: float
    feedback: float


def learn_ns(machine: Machine, cell: str, hidden: int, k1: int, k2: int) -> float:
    """The least time of one record that is learned from, one input and one output."""
    divide, root = machine.division - machine.peak, machine.root - machine.peak  # each is also a FLOP
    forward = forward_flop(cell, hidden) * machine.peak + DIVISIONS[cell] * hidden * divide
    if CELL_WORK[cell].context == "outputs":
        forward = max(forward, machine.feedback)
    parameters = CELL_WORK[cell].weights(hidden, 1, 1) + hidden + 1
    update = update_flop(cell, hidden, k1, k2) * machine.peak + parameters * (divide + root)
    return forward + update / k1
