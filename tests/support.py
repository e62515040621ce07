"""One network in memory that the test owns: weights in by PyTorch's names, numbers out."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numba import njit

from streamrnn import Settings, layout
from streamrnn.groups import GroupShape, group_shape
from streamrnn.initial import fill_network
from streamrnn.kernels import plan
from streamrnn.kernels.cells.protocol import cell_input_gradient
from streamrnn.kernels.run import DIFFERENTIATE, LEARN, SAY, run_sequence
from streamrnn.kernels.vector import pointer_like
from streamrnn.networks import NetworkSpec
from streamrnn.parameters import blocks, named, set_named
from streamrnn.space import Space, aligned_bytes
from streamrnn.tables import NetworkShape, Training, network_table

GOLDEN = Path(__file__).parent / "golden" / "golden_rnn.npz"

Arrays = dict[str, np.ndarray]


def test_kernel(function: Any) -> Any:
    """Compile a small kernel of a test, with our flags and without a cache on disk."""
    return njit(error_model="numpy", boundscheck=False)(function)


test_kernel.__test__ = False  # type: ignore[attr-defined]


@test_kernel
def _input_gradient(cell, net, row, scratch, slot, out):
    cell_input_gradient(cell, net, row, scratch, slot, pointer_like(out, cell.one))


class Network:
    """A network by itself, as ``run_sequence`` knows it.

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

    def named(self, flat: np.ndarray) -> Arrays:
        """A flat parameter vector (weights, moments, gradient) as arrays of PyTorch's names."""
        return named(self.shape, flat)

    def set_weights(self, arrays: Arrays) -> None:
        """Set the arrays that are given, by PyTorch's names and shapes."""
        set_named(self.shape, self.segment("weights"), arrays)

    @property
    def weights(self) -> Arrays:
        return self.named(self.segment("weights"))

    def padding(self, flat: np.ndarray) -> np.ndarray:
        """The elements of a flat parameter vector that belong to no unit."""
        inside = np.zeros(flat.size, bool)
        for block in blocks(self.shape, inside).values():
            block[...] = True
        return flat[~inside]

    def hidden(self) -> np.ndarray:
        """(padded,) h of the newest step."""
        slot = (self.segment("counters")[plan.COUNT_SLOT] + 1) % (self.shape.slots)
        top = self.shape.slots * self.shape.parts[-1].v_stride  # the last layer's v is the last
        return self.segment("v")[-top:].reshape(self.shape.slots, -1)[slot, : self.shape.padded].copy()

    def run(
        self, inputs: np.ndarray, targets: np.ndarray | None = None, learning: bool = False
    ) -> np.ndarray:
        """Inputs (n, inputs) and targets of the same steps (n, outputs) to outputs (n, outputs)."""
        return self._feed(inputs, targets, LEARN if learning else SAY)[0]

    def step(self, inputs: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Steps without learning; a masked one carries the state."""
        return self.run(np.where(masks[:, None], np.nan, inputs))

    def _feed(
        self, inputs: np.ndarray, targets: np.ndarray | None, purpose: int
    ) -> tuple[np.ndarray, tuple[float, int]]:
        """Outputs, and what ``run_sequence`` returns."""
        n, dtype = len(inputs), self.shape.dtype
        x = np.ascontiguousarray(inputs, dtype)
        truth = np.full((n, self.shape.outputs), np.nan) if targets is None else targets
        truth = np.ascontiguousarray(truth, dtype)
        outputs = np.empty((n, self.shape.outputs), dtype)
        addresses = [a.ctypes.data for a in (self.table, self.row, self.scratch)]
        columns = (x.ctypes.data, truth.ctypes.data, outputs.ctypes.data)
        return outputs, run_sequence(self.shape.tag, *addresses, columns, n, purpose)

    def set_targets(self, targets: np.ndarray) -> None:
        """Write (m, outputs) targets of the newest m steps into the ring."""
        slots = self.shape.slots
        ring = self.segment("target").reshape(slots, self.shape.outputs)
        newest = self.segment("counters")[plan.COUNT_SLOT]
        for back, target in enumerate(targets[::-1]):
            ring[(newest - back) % slots] = target

    def gradient(self) -> tuple[Arrays, float, int]:
        """(gradient of the sum of the losses, its sum of squares, how many losses)."""
        self.table[plan.NET_ERRORS_KEPT] = 1  # what ``input_gradient`` reads
        _, (squares, losses) = self._feed(np.empty((0, self.shape.inputs)), None, DIFFERENTIATE)
        return self.named(self.segment("gradient")), squares, losses

    def input_gradient(self, back: int) -> np.ndarray:
        """dL/dx of the step ``back`` steps before the newest; call ``gradient`` first."""
        slot = int(self.segment("counters")[plan.COUNT_SLOT] - back) % (self.shape.slots)
        out = np.zeros(-(-self.shape.inputs // 16) * 16, self.shape.dtype)
        addresses = [a.ctypes.data for a in (self.table, self.row, self.scratch)]
        _input_gradient(self.shape.tag, *addresses, slot, out.ctypes.data)
        return out[: self.shape.inputs].astype(np.float64)


def in_float64(spec: NetworkSpec, settings: Settings) -> GroupShape:
    """The shape of a forecaster's group whose network is float64."""
    group = group_shape(spec, settings)
    return replace(group, network=replace(group.network, double=True))


def float64_groups() -> AbstractContextManager[Any]:
    """Layouts made within have forecasters in float64."""
    return mock.patch.object(layout, "group_shape", in_float64)


_KINDS = ("weight_ih", "weight_hh", "weight_yh", "bias_ih", "bias_hh", "head_weight", "head_bias")


def random_weights(shape: NetworkShape, rng: np.random.Generator, scale: float = 0.7) -> Arrays:
    """Weights of a network with biases and a head, by PyTorch's names."""
    like = named(shape, np.zeros(shape.parameters))
    order = sorted(like, key=lambda name: next(n for n, kind in enumerate(_KINDS) if name.startswith(kind)))
    return {name: scale * rng.normal(size=like[name].shape) for name in order}


def golden(name: str) -> Arrays:
    """PyTorch's arrays of one golden network; empty where there is none of that name."""
    with np.load(GOLDEN) as arrays:
        return {key.split("/")[1]: arrays[key] for key in arrays.files if key.startswith(f"{name}/")}


def relative_error(value: np.ndarray, truth: np.ndarray) -> float:
    """Largest difference, in units of the largest true magnitude."""
    return float(np.max(np.abs(value - truth), initial=0.0) / max(np.max(np.abs(truth), initial=0.0), 1e-300))
