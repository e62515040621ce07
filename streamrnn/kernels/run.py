"""Entry points for one network by itself."""

from __future__ import annotations

from streamrnn.kernels import plan
from streamrnn.kernels.cells.protocol import cell_whole_steps
from streamrnn.kernels.columns import write_inputs
from streamrnn.kernels.compiling import entry_point
from streamrnn.kernels.network import clear, gradient_of_window, input_address, learn, step
from streamrnn.kernels.optimizer import descend
from streamrnn.kernels.slots import next_step
from streamrnn.kernels.vector import copy, int64_at, load, pointer_like, shift, store


@entry_point
def run_one(cell, net, row, x):
    """One forward step of a network with one input and one output."""
    table, slot = int64_at(net), next_step(net, row)
    store(input_address(cell, net, row, slot), 0, x)
    step(cell, net, row, slot, 0)
    return float(load(shift(pointer_like(row + load(table, plan.NET_Y), cell.one), slot), 0))


SAY, LEARN, DIFFERENTIATE = range(3)


@entry_point
def run_sequence(cell, net, row, scratch, columns, n, purpose):
    """Feed n steps of a sequence, whose targets are known beforehand, to one network.

    ``columns`` are the addresses of inputs (n, inputs), of targets of the same steps'
    outputs (n, outputs), and of outputs (n, outputs; written). A step with a NaN among its
    inputs is masked. ``purpose``: only ``SAY``, ``LEARN`` every k1 steps, or ``DIFFERENTIATE``
    the losses of the newest k1 steps, the gradient being left in the scratch; with n = 0 those
    of the window that is there. Returns its sum of squares and the number of losses.
    """
    table = int64_at(net)
    counters = int64_at(row + load(table, plan.NET_COUNTERS))
    n_inputs, n_outputs = load(table, plan.NET_INPUTS), load(table, plan.NET_OUTPUTS)
    x, truth = pointer_like(columns[0], cell.one), pointer_like(columns[1], cell.one)
    out = pointer_like(columns[2], cell.one)
    y = pointer_like(row + load(table, plan.NET_Y), cell.one)
    target = pointer_like(row + load(table, plan.NET_TARGET), cell.one)
    t = 0
    while t < n:
        to_train = load(table, plan.NET_K1) - load(counters, plan.COUNT_SINCE)
        until = min(n, t + max(1, to_train)) if purpose == LEARN else n
        begin, t = t, cell_whole_steps(cell, net, row, columns, t, until)
        if t == begin:
            slot = next_step(net, row)
            known = write_inputs(input_address(cell, net, row, slot), x, t, n_inputs)
            step(cell, net, row, slot, 0 if known else 1)
            copy(shift(out, t * n_outputs), shift(y, slot * n_outputs), n_outputs)
            copy(shift(target, slot * n_outputs), shift(truth, t * n_outputs), n_outputs)
            t += 1
        if purpose == LEARN:
            learn(cell, net, row, scratch, t - begin)
    if purpose == DIFFERENTIATE:
        errors = pointer_like(scratch + load(table, plan.NET_ERRORS), cell.one)
        # A way back that ends within the window leaves the errors before that as they are.
        clear(errors, load(table, plan.NET_SLOTS) * load(table, plan.NET_ERRORS_STRIDE))
        squares, losses = gradient_of_window(cell, net, row, scratch)
        return float(squares) * 1.0, losses
    return 0.0, 0


@entry_point
def follow_gradient(cell, net, row, scratch, squares, losses):
    """One step of the optimiser along the gradient of so many losses in the scratch."""
    descend(cell, net, row, scratch, squares, losses)
