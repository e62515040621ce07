"""A network's parameters by PyTorch's names, as views of the run of memory that kernels read.

A layer's weights lie there as rows of what is seen, each (gates, padded units): ``plan.py``
tells the order of a step's ``v``, and ``NetworkShape.rows`` which of it has weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.tables import NetworkShape

Numbers = NDArray[Any]
Float64Array = NDArray[np.float64]


def blocks(shape: NetworkShape, flat: Numbers) -> dict[str, Numbers]:
    """Views of what a flat vector of all parameters (or moments, or gradients) holds.

    Returns
    -------
    blocks : dict
        ``weight_…``: (steps seen, seen at each, gates, units); ``bias_…``: (gates, units);
        ``head_weight``: (outputs, units); ``head_bias``: (outputs,). What only fills up
        vectors is in none of them.
    """
    found: dict[str, Numbers] = {}
    start, gates = 0, len(shape.spec.gates)
    for n, part in enumerate(shape.parts):
        rows = flat[start:][: part.rows * part.columns].reshape(part.rows, gates, part.padded)
        of_layer = _of_layer(part, rows[:, :, : part.hidden], shape.hidden if n else shape.inputs)
        found |= {f"{name}_l{n}": block for name, block in of_layer.items()}
        start += part.rows * part.columns
    bias = shape.head + shape.outputs * shape.padded
    head = flat[shape.head : bias].reshape(shape.outputs, shape.padded)[:, : shape.hidden]
    return {**found, "head_weight": head, "head_bias": flat[bias : bias + shape.outputs]}


def _of_layer(part: NetworkShape, rows: Numbers, seen: int) -> dict[str, Numbers]:
    """A layer's blocks, in the order in which initial weights are drawn; ``seen`` inputs are not filling."""
    own, inputs = part.own_rows, part.inputs
    found = {}
    if part.spec.context == "hidden":
        found = {"weight_hh": rows[None, : part.hidden], "bias_hh": rows[part.padded]}
    elif part.spec.context == "own":
        found = {"weight_hh": rows[None, :1]}
    elif part.spec.context == "outputs":
        found = {"weight_yh": rows[None, inputs:-1]}
    steps = part.taps if part.spec.context == "inputs" else 1
    of_inputs = rows[own : own + steps * inputs].reshape(steps, inputs, *rows.shape[1:])
    return {**found, "weight_ih": of_inputs[:, :seen], "bias_ih": rows[-1]}


def named(shape: NetworkShape, flat: Numbers) -> dict[str, Float64Array]:
    """A flat vector as arrays of PyTorch's names and shapes.

    Returns
    -------
    arrays : dict of float64 arrays
        ``weight_ih_l0`` (gates x units, inputs), ``weight_hh_l0`` (gates x units, units),
        ``bias_ih_l0`` and ``bias_hh_l0`` (gates x units,), ``head_weight`` (outputs, units),
        ``head_bias`` (outputs,). A diagonal cell has one column of ``weight_hh`` and no
        ``bias_hh``; one that sees outputs has ``weight_yh_l0`` (units, outputs) instead; one
        that sees earlier inputs neither, and the newest inputs in the first columns. The layers
        above are ``…_l1`` and so on; their inputs are the units below.
    """
    arrays = {}
    for name, block in blocks(shape, flat).items():
        if name.startswith("weight"):
            steps, seen, gates, units = block.shape
            array = block.transpose(2, 3, 0, 1).reshape(gates * units, steps * seen)
        else:
            array = block.ravel() if name.startswith("bias") else block
        arrays[name] = array.astype(np.float64)
    return arrays


def set_named(shape: NetworkShape, flat: Numbers, arrays: dict[str, Any]) -> None:
    """Write the arrays that are given, of the names and shapes of ``named``, to a flat vector."""
    for name, block in blocks(shape, flat).items():
        if name not in arrays:
            continue
        if name.startswith("weight"):
            steps, seen, gates, units = block.shape
            array = np.asarray(arrays[name]).reshape(gates, units, steps, seen)
            block[:] = array.transpose(2, 3, 0, 1)
        else:
            block[:] = np.asarray(arrays[name]).reshape(block.shape)
