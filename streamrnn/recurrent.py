"""One network and its memory, run over sequences: what all that trains on whole sequences is made of.

A sequence of n steps lies in a ring of n + 1 slots, so that going back through all of it is one window.
What several networks make together (``together.py``) is put together from four things: a network starts
from any state and tells the last one; it goes back from any errors of its outputs, and of the state that
it left; and then it tells the errors of its inputs and of the state that it started from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamrnn.errors import DataError, SettingsError
from streamrnn.initial import fill_network, fill_ring
from streamrnn.kernels import plan
from streamrnn.kernels.cells import CELLS
from streamrnn.kernels.run import DIFFERENTIATE, SAY, follow_gradient, run_sequence
from streamrnn.losses import LOSSES
from streamrnn.parameters import blocks, named, set_named
from streamrnn.space import Space, address, aligned_bytes
from streamrnn.tables import NetworkShape, Training, network_table

__all__ = ["HANDING_OVER", "Recurrent", "columns_of", "require_one_of", "training_of"]

Float64Array = NDArray[np.float64]
Arrays = dict[str, Float64Array]
Numbers = NDArray[Any]

_DTYPES = {"counters": np.int64, "mask": np.int64, "powers": np.float64}
_KEPT = ("weights", "moment_1", "moment_2", "powers")  # what is no part of a sequence
_OF_A_SEQUENCE = ("v", "saved", "y", "target", "mask", "counters")

_SHAPED = ("shape", "training", "whole", "head")
OPTIMIZERS = ("adam", "rmsprop", "sgd")

# Cells whose state is h and what they save beside it, all of it theirs to hand over.
HANDING_OVER = tuple(name for name, spec in CELLS.items() if spec.context in ("hidden", "own"))


class Recurrent:
    """A network of one shape.

    Parameters
    ----------
    shape : NetworkShape
    training : Training
    seed : int
        Of the initial weights.
    whole : bool
        Go back through all of a sequence: the ring grows with the longest one.
    head : bool
        Whether a linear layer makes the outputs. False: they are the last layer's (first) units.
    """

    def __init__(
        self, shape: NetworkShape, training: Training, seed: int, *, whole: bool = True, head: bool = True
    ) -> None:
        self.shape, self.training, self.whole, self.head = shape, training, whole, head
        self._take_memory()
        fill_network(shape, self.segments, seed)
        if not head:
            identity = np.eye(shape.outputs, shape.hidden)
            self.weights = {"head_weight": identity, "head_bias": np.zeros(shape.outputs)}

    # ------------------------------------------------------------ memory

    def _take_memory(self) -> None:
        """Lay out the network, zeroed."""
        shape, row, scratch = self.shape, Space(), Space()
        self.table = network_table(shape, self.training, row, scratch, "net")
        if not self.head:
            self.table[plan.NET_PARAMETERS] = shape.head  # the head, behind the cell's weights, stays
        self.segments: dict[str, Numbers] = {}
        memories = [aligned_bytes(space.size) for space in (row, scratch)]
        for space, memory in zip((row, scratch), memories, strict=True):
            for name, (offset, count) in space.segments.items():
                part = name.removeprefix("net.")
                dtype = np.dtype(_DTYPES.get(part, shape.dtype))
                self.segments[part] = memory[offset : offset + count * dtype.itemsize].view(dtype)
        self._addresses = (address(self.table), address(memories[0]), address(memories[1]))

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: self.segments[name].copy() for name in (*_KEPT, *_OF_A_SEQUENCE)}
        return {name: getattr(self, name) for name in _SHAPED} | {"kept": kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name in _SHAPED:
            setattr(self, name, state[name])
        self._take_memory()  # kernels know it by its addresses: no copy may share them
        for name, numbers in state["kept"].items():
            self.segments[name][:] = numbers

    def take_over(self, other: Recurrent) -> None:
        """Put what a smaller network of the same cell learned where the same names' first elements are."""
        for part in ("weights", "moment_1", "moment_2"):
            theirs = blocks(other.shape, other.segments[part])
            for name, block in blocks(self.shape, self.segments[part]).items():
                block[tuple(slice(n) for n in theirs[name].shape)] = theirs[name]
        self.segments["powers"][:] = other.segments["powers"]

    def start(self, steps: int, state: Numbers | None = None) -> None:
        """Start a sequence, from zeros or a ``state``; a whole one in a ring that holds so many steps."""
        if self.whole and self.shape.k2 < steps:
            kept = {name: self.segments[name].copy() for name in _KEPT}
            self.shape = replace(self.shape, k2=steps)
            self._take_memory()
            for name, numbers in kept.items():
                self.segments[name][:] = numbers
        for name in _OF_A_SEQUENCE:
            self.segments[name][:] = 0
        fill_ring(self.shape, self.segments)
        if state is not None:
            for place, part in zip(self._state_places(), state, strict=True):
                place[:] = part

    def _state_places(self) -> list[Numbers]:
        """Views of the newest state: of each layer h, then what else the cell carries."""
        shape, found, begin = self.shape, [], 0
        slot = int(self.segments["counters"][plan.COUNT_SLOT])
        saved = self.segments["saved"].reshape(shape.layers, shape.slots, shape.spec.saved, shape.padded)
        for n, part in enumerate(shape.parts):
            v = self.segments["v"][begin:][: shape.slots * part.v_stride].reshape(shape.slots, -1)
            found.append(v[(slot + 1) % shape.slots, : shape.padded])
            found += [saved[n, slot, k] for k in shape.spec.state]
            begin += v.size
        return found

    @property
    def state(self) -> Numbers:
        """What the newest step left, (vectors, padded units): of each layer h, then what else recurs."""
        return np.array(self._state_places())

    def saved(self, vector: int, steps: int) -> Numbers:
        """View of what the cell saves as one vector, (steps, units), of the first steps of a sequence."""
        shape = self.shape
        saved = self.segments["saved"].reshape(shape.slots, shape.spec.saved, shape.padded)
        return saved[1 : steps + 1, vector, : shape.hidden]

    @property
    def newest(self) -> Numbers:
        """The outputs of the newest step, as the head said them."""
        slot = int(self.segments["counters"][plan.COUNT_SLOT])
        return np.array(self.segments["y"].reshape(self.shape.slots, -1)[slot])

    def remember(self) -> dict[str, Numbers]:
        """All that belongs to the present sequence; ``recall`` goes on from there."""
        return {name: self.segments[name].copy() for name in _OF_A_SEQUENCE}

    def recall(self, remembered: Mapping[str, Numbers]) -> None:
        """Go on from what was remembered."""
        for name, numbers in remembered.items():
            self.segments[name][:] = numbers

    # ------------------------------------------------------------ there

    def run(self, x: Numbers, y: Numbers | None = None, purpose: int = SAY) -> tuple[Numbers, int]:
        """Run over (steps, inputs), with targets y of the outputs' shape: (outputs, losses gone back)."""
        outputs = np.empty((len(x), self.shape.outputs), self.shape.dtype)
        y = np.full_like(outputs, np.nan) if y is None else y
        columns = (address(x), address(y), address(outputs))
        kept = self.table[plan.NET_ERRORS_KEPT]
        self.table[plan.NET_ERRORS_KEPT] = kept or purpose == DIFFERENTIATE
        _, losses = run_sequence(self.shape.tag, *self._addresses, columns, len(x), purpose)
        self.table[plan.NET_ERRORS_KEPT] = kept
        return outputs, losses

    # ------------------------------------------------------------ and back

    def hear(self, outputs: Numbers, targets: Numbers) -> None:
        """Have the steps that were just run, all of one sequence, have said and aimed at something else.

        With targets of 0 and half squares as the loss, ``outputs`` are the errors themselves.
        """
        slots = np.arange(1, len(outputs) + 1) % self.shape.slots
        for name, numbers in (("y", outputs), ("target", targets)):
            self.segments[name].reshape(self.shape.slots, -1)[slots] = numbers

    def go_back(self, k1: int, later: tuple[Numbers, Numbers] | None = None) -> int:
        """Leave the gradient of the newest k1 steps' losses in the scratch; how many there were.

        ``later`` are errors of the last state (``start_errors`` of what came after).
        """
        self.table[plan.NET_K1], self.table[plan.NET_LATER] = k1, later is not None
        if later is not None:
            self.segments["dh"][:], self.segments["carry"][:] = later
        nothing = np.empty((0, self.shape.inputs), self.shape.dtype)
        losses = self.run(nothing, None, DIFFERENTIATE)[1]
        self.table[plan.NET_LATER] = 0
        return losses

    @property
    def start_errors(self) -> tuple[Numbers, Numbers]:
        """Derivatives by the state from which a sequence started; its first step must have been a masked one.

        What a masked step hears of later ones it hands on as it is, so the way back does not end above it.
        """
        return self.segments["dh"].copy(), self.segments["carry"].copy()

    @property
    def step_errors(self) -> Numbers:
        """Derivatives by the sums of the window's steps, (steps, layers, sums of a layer's kinds, units)."""
        shape, n = self.shape, int(self.segments["counters"][plan.COUNT_FILLED])
        errors = self.segments["errors"].reshape(shape.slots, shape.layers, shape.spec.errors, shape.padded)
        slots = (self.segments["counters"][plan.COUNT_SLOT] - np.arange(n)[::-1]) % shape.slots
        return np.asarray(errors[slots, ..., : shape.hidden])

    @property
    def input_errors(self) -> Numbers:
        """Derivatives by the inputs of the window's steps, (steps, inputs): W_ih' dz of the first layer."""
        gates = len(self.shape.spec.gates)
        sums = self.step_errors[:, 0, -gates:].reshape(-1, gates * self.shape.hidden)
        weights = named(self.shape, self.segments["weights"])["weight_ih_l0"].astype(self.shape.dtype)
        found = np.zeros((len(sums), self.shape.inputs), self.shape.dtype)
        for k, row in enumerate(weights):  # in this order on every machine, which BLAS does not promise
            found += sums[:, k, None] * row
        return found

    @property
    def gradient(self) -> Numbers:
        """The elements of the gradient that learn, as a view; without a head those before it."""
        return self.segments["gradient"][: self.table[plan.NET_PARAMETERS]]

    def follow(self, squares: float, losses: int) -> None:
        """One step of the optimiser along the gradient; ``squares`` are what its norm is taken to be of."""
        follow_gradient(self.shape.tag, *self._addresses, float(squares), losses)

    # ------------------------------------------------------------ weights

    @property
    def weights(self) -> Arrays:
        """All weights by PyTorch's names, float64; set those that are given."""
        return self.without_head(named(self.shape, self.segments["weights"]))

    @weights.setter
    def weights(self, arrays: Mapping[str, ArrayLike]) -> None:
        set_named(self.shape, self.segments["weights"], dict(arrays))

    @property
    def gradients(self) -> Arrays:
        """The gradient in the scratch, by PyTorch's names."""
        return self.without_head(named(self.shape, self.segments["gradient"]))

    def without_head(self, arrays: Arrays) -> Arrays:
        """The arrays, without those of a head that there is not."""
        return {name: a for name, a in arrays.items() if self.head or not name.startswith("head")}


def require_one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a value of a setting that is none of those known."""
    if value not in known:
        raise SettingsError(f"{name} is {value!r}; give one of {', '.join(known)}")


def training_of(loss: str, optimizer: str, **options: float) -> Training:
    """The constants of a training, whose loss and optimiser must be known."""
    require_one_of("loss", loss, tuple(LOSSES))
    require_one_of("optimizer", optimizer, OPTIMIZERS)
    return Training(loss=loss, optimizer=optimizer, **options)


def columns_of(name: str, given: ArrayLike, columns: int, dtype: type[np.floating[Any]]) -> Numbers:
    """An array (time, columns), as the kernels read it; at least one row."""
    array = np.ascontiguousarray(given, dtype)
    if array.ndim != 2 or array.shape[1] != columns or not len(array):
        raise DataError(f"{name} have the shape {array.shape}; give (time, {columns}), time > 0")
    return array
