"""One network in memory that the test owns: weights in by PyTorch's names, numbers out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from streamrnn.initial import fill_network
from streamrnn.kernels import network, plan
from streamrnn.kernels.cells.protocol import cell_input_gradient
from streamrnn.kernels.run import run_network, window_gradient
from streamrnn.kernels.vector import int64_at, load, pointer_like, store
from streamrnn.space import Space, aligned_bytes
from streamrnn.tables import NetworkShape, Training, network_table

GOLDEN = Path(__file__).parent / "golden" / "golden_rnn.npz"

Arrays = dict[str, np.ndarray]


def test_kernel(function: Any) -> Any:
    """Compile a small kernel of a test, with our flags and without a cache on disk."""
    return njit(error_model="numpy", boundscheck=False)(function)


test_kernel.__test__ = False  # type: ignore[attr-defined]


@test_kernel
def _steps(cell, net, row, inputs, masks, outputs, n):
    """``run_network`` without learning, but with a mask for every step."""
    table = int64_at(net)
    n_inputs, n_outputs = load(table, plan.NET_INPUTS), load(table, plan.NET_OUTPUTS)
    counters = int64_at(row + load(table, plan.NET_COUNTERS))
    x, out = pointer_like(inputs, cell.one), pointer_like(outputs, cell.one)
    y = pointer_like(row + load(table, plan.NET_Y), cell.one)
    for t in range(n):
        slot = load(counters, plan.COUNT_SLOT) + 1
        slot = 0 if slot == load(table, plan.NET_SLOTS) else slot
        place = network.input_address(cell, net, row, slot)
        for k in range(n_inputs):
            store(place, k, load(x, t * n_inputs + k))
        network.step(cell, net, row, load(int64_at(masks), t))
        for k in range(n_outputs):
            store(out, t * n_outputs + k, load(y, slot * n_outputs + k))


@test_kernel
def _input_gradient(cell, net, row, scratch, slot, out):
    cell_input_gradient(cell, net, row, scratch, slot, pointer_like(out, cell.one))


class Network:
    """A network by itself, as ``run_network`` knows it.

    Parameters
    ----------
    shape : NetworkShape
    training : Training
    seed : int
        Of the initial weights.
    """

    def __init__(self, shape: NetworkShape, training: Training | None = None, seed: int = 0) -> None:
        self.shape = shape
        self._row_space, self._scratch_space = Space(), Space()
        table = network_table(shape, training or Training(), self._row_space, self._scratch_space, "net")
        self.table = aligned_bytes(table.nbytes).view(np.int64)
        self.table[:] = table
        self.row = aligned_bytes(self._row_space.size)
        self.scratch = aligned_bytes(self._scratch_space.size)
        names = ("weights", "v", "powers", "target")
        fill_network(shape, {name: self.segment(name) for name in names}, seed)

    def memory_of(self, space: Space) -> np.ndarray:
        """The bytes that a space describes: the row or the scratch."""
        return self.row if space is self._row_space else self.scratch

    def segment(self, name: str) -> np.ndarray:
        """A named segment of the row or the scratch; shares its memory."""
        dtypes = {"counters": np.int64, "mask": np.int64, "powers": np.float64}
        dtype = np.dtype(dtypes.get(name, self.shape.dtype))
        within_row = f"net.{name}" in self._row_space.segments
        space = self._row_space if within_row else self._scratch_space
        offset, count = space.segments[f"net.{name}"]
        return self.memory_of(space)[offset : offset + count * dtype.itemsize].view(dtype)

    def _blocks(self, flat: np.ndarray) -> Arrays:
        """Views of what a flat parameter vector holds; cell weights as (from, gate, unit)."""
        shape = self.shape
        hidden, padded, n_inputs = shape.hidden, shape.padded, shape.inputs
        cell = flat[: shape.head].reshape(shape.rows, len(shape.spec.gates), padded)[:, :, :hidden]
        bias = shape.head + shape.outputs * padded
        own = 1 if shape.spec.diagonal else hidden
        return {
            "weight_hh_l0": cell[:own],
            **({} if shape.spec.diagonal else {"bias_hh_l0": cell[padded]}),
            "weight_ih_l0": cell[-1 - n_inputs : -1],
            "bias_ih_l0": cell[-1],
            "head_weight": flat[shape.head : bias].reshape(shape.outputs, padded)[:, :hidden],
            "head_bias": flat[bias : bias + shape.outputs],
        }

    def named(self, flat: np.ndarray) -> Arrays:
        """A flat parameter vector (weights, moments, gradient) as arrays of PyTorch's names."""
        arrays = {}
        for name, block in self._blocks(flat).items():
            if name.startswith("weight"):  # (from, gate, unit) -> (gate x unit, from)
                source, gates, units = block.shape
                arrays[name] = block.transpose(1, 2, 0).reshape(gates * units, source)
            else:
                arrays[name] = block.ravel() if name.startswith("bias") else block
        return {name: array.astype(np.float64) for name, array in arrays.items()}

    def set_weights(self, arrays: Arrays) -> None:
        """Set the arrays that are given, by PyTorch's names and shapes."""
        for name, block in self._blocks(self.segment("weights")).items():
            if name not in arrays:
                continue
            if name.startswith("weight"):
                gates, units = block.shape[1:]
                block[:] = arrays[name].reshape(gates, units, -1).transpose(2, 0, 1)
            else:
                block[:] = arrays[name].reshape(block.shape)

    @property
    def weights(self) -> Arrays:
        return self.named(self.segment("weights"))

    def padding(self, flat: np.ndarray) -> np.ndarray:
        """The elements of a flat parameter vector that belong to no unit."""
        inside = np.zeros(flat.size, bool)
        for block in self._blocks(inside).values():
            block[...] = True
        return flat[~inside]

    def hidden(self) -> np.ndarray:
        """(padded,) h of the newest step."""
        slot = (self.segment("counters")[plan.COUNT_SLOT] + 1) % (self.shape.slots)
        return self.segment("v").reshape(self.shape.slots, -1)[slot, : self.shape.padded].copy()

    def run(
        self, inputs: np.ndarray, observed: np.ndarray | None = None, learning: bool = False
    ) -> np.ndarray:
        """``run_network``: (n, inputs) and what came true (n, outputs) to outputs (n, outputs)."""
        n, dtype = len(inputs), self.shape.dtype
        x = np.ascontiguousarray(inputs, dtype)
        truth = np.full((n, self.shape.outputs), np.nan) if observed is None else observed
        truth = np.ascontiguousarray(truth, dtype)
        outputs = np.empty((n, self.shape.outputs), dtype)
        addresses = [a.ctypes.data for a in (self.table, self.row, self.scratch, x, truth, outputs)]
        run_network(self.shape.tag, *addresses, n, int(learning))
        return outputs

    def step(self, inputs: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Steps without learning; a masked one carries the state."""
        x = np.ascontiguousarray(inputs, self.shape.dtype)
        masked = np.ascontiguousarray(masks, np.int64)
        outputs = np.empty((len(x), self.shape.outputs), self.shape.dtype)
        addresses = [a.ctypes.data for a in (self.table, self.row, x, masked, outputs)]
        _steps(self.shape.tag, *addresses, len(x))
        return outputs

    def set_targets(self, targets: np.ndarray) -> None:
        """Write (m, outputs) targets of the newest m steps into the ring."""
        slots = self.shape.slots
        ring = self.segment("target").reshape(slots, self.shape.outputs)
        newest = self.segment("counters")[plan.COUNT_SLOT]
        for back, target in enumerate(targets[::-1]):
            ring[(newest - back) % slots] = target

    def gradient(self) -> tuple[Arrays, float, int]:
        """(gradient of the sum of the losses, its sum of squares, how many losses)."""
        addresses = [a.ctypes.data for a in (self.table, self.row, self.scratch)]
        squares, losses = window_gradient(self.shape.tag, *addresses)
        return self.named(self.segment("gradient")), squares, losses

    def input_gradient(self, back: int) -> np.ndarray:
        """dL/dx of the step ``back`` steps before the newest; call ``gradient`` first."""
        slot = int(self.segment("counters")[plan.COUNT_SLOT] - back) % (self.shape.slots)
        out = np.zeros(-(-self.shape.inputs // 16) * 16, self.shape.dtype)
        addresses = [a.ctypes.data for a in (self.table, self.row, self.scratch)]
        _input_gradient(self.shape.tag, *addresses, slot, out.ctypes.data)
        return out[: self.shape.inputs].astype(np.float64)


def random_weights(shape: NetworkShape, rng: np.random.Generator, scale: float = 0.7) -> Arrays:
    """Weights of a network with biases and a head, by PyTorch's names."""
    columns, hidden = len(shape.spec.gates) * shape.hidden, shape.hidden
    sizes: dict[str, tuple[int, ...]] = {
        "weight_ih_l0": (columns, shape.inputs),
        "weight_hh_l0": (columns, 1 if shape.spec.diagonal else hidden),
        "bias_ih_l0": (columns,),
        **({} if shape.spec.diagonal else {"bias_hh_l0": (columns,)}),
        "head_weight": (shape.outputs, hidden),
        "head_bias": (shape.outputs,),
    }
    return {name: scale * rng.normal(size=size) for name, size in sizes.items()}


def golden(name: str) -> Arrays:
    """PyTorch's arrays of one golden network; empty where there is none of that name."""
    with np.load(GOLDEN) as arrays:
        return {key.split("/")[1]: arrays[key] for key in arrays.files if key.startswith(f"{name}/")}


def relative_error(value: np.ndarray, truth: np.ndarray) -> float:
    """Largest difference, in units of the largest true magnitude."""
    return float(np.max(np.abs(value - truth), initial=0.0) / max(np.max(np.abs(truth), initial=0.0), 1e-300))
