"""Networks on a grid of time and channels (Graves, Fernandez and Schmidhuber 2007, section 2).

Two dimensions recur: a unit hears h of the moment before and h of the neighbouring channel,

    h(t, c) = f(W_ih x(t, c) + b_ih + W_hh h(t-1, c) + b_hh + W_ch h(t, c-1))

with the same weights at every place of the grid, so that its cost grows with the grid and its parameters
do not. To the kernels a channel is a sequence whose inputs are x and the neighbour's h: the grid is gone
through channel by channel, and back in the other order, the errors of those inputs being what the
neighbour hears. Cells with gates hear both at each gate. ``"grid_lstm"``, theirs, also has a forget gate for
each dimension and keeps of the neighbour's state what the second one lets through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf

import numpy as np
from numpy.typing import ArrayLike

from streamrnn.errors import DataError, SettingsError
from streamrnn.kernels.cells import GRID_CELLS, grid_lstm
from streamrnn.losses import LOSSES
from streamrnn.parameters import blocks
from streamrnn.recurrent import (
    HANDING_OVER,
    Arrays,
    Float64Array,
    Numbers,
    Recurrent,
    require_one_of,
    training_of,
)
from streamrnn.tables import NetworkShape
from streamrnn.together import Together

__all__ = ["GridModel"]


class GridModel(Together):
    """A network that recurs over time and over neighbouring channels, with one set of weights for all.

    It is causal in time: what is said at t depends on no later moment. A place with a NaN among its inputs
    is passed over: it carries the channel's state. A target that is NaN has no loss.

    Parameters
    ----------
    cell : str
        ``"rnn"``, ``"rnn_relu"``, ``"rnn_logistic"``, ``"lstm"``, ``"gru"``, ``"diagonal_lstm"`` or
        ``"grid_lstm"``, the LSTM with a forget gate for each dimension.
    units : int
    inputs, outputs : int
        Columns at each place of the grid.
    both : bool
        Whether neighbours on both sides are heard: two networks, one of which goes through the channels
        the other way; the outputs are the sum of both heads. False: those before a channel alone.
    loss, optimizer, rate, clip, clip_value, double, seed, options
        As in ``SequenceModel``.

    Raises
    ------
    SettingsError
        Where a setting is none; the message says what fits.

    Examples
    --------
    A wave that wanders over the sensors: what one shows now, its neighbour shows next.

    >>> import numpy as np
    >>> t, c = np.arange(40)[:, None], np.arange(6)
    >>> waves = np.array([np.sin(0.6 * (t - c) + phase) for phase in range(60)])[..., None]
    >>> model = GridModel("gru", units=6, rate=0.01)
    >>> losses = model.fit(waves[:, :-1], waves[:, 1:], epochs=5)
    >>> losses[-1] < 0.1 * losses[0]
    True
    >>> model.predict(waves[0, :, :3]).shape  # as many channels as there are
    (40, 3, 1)
    """

    def __init__(
        self,
        cell: str = "rnn",
        *,
        units: int = 12,
        inputs: int = 1,
        outputs: int = 1,
        both: bool = False,
        loss: str = "squared",
        optimizer: str = "adam",
        rate: float = 1.5e-3,
        clip: float = 1.0,
        clip_value: float = inf,
        double: bool = False,
        seed: int = 0,
        **options: float,
    ) -> None:
        require_one_of("cell", cell, (*HANDING_OVER, *GRID_CELLS))
        training = training_of(loss, optimizer, rate=rate, clip=clip, clip_value=clip_value, **options)
        if min(units, inputs, outputs) < 1:
            raise SettingsError("units, inputs and outputs are each at least 1")
        self._loss, self._inputs, self._outputs = LOSSES[loss], inputs, outputs
        self._said = outputs * self._loss.per_target
        # Behind what the head says it repeats h, where what the neighbour hears of it can be gone back from.
        shape = NetworkShape(cell, units, inputs + units, self._said + units, 1, 1, double=double)
        how = replace(training, loss="squared", clip_value=inf)  # errors are given, and held together
        parts = {"": Recurrent(shape, how, seed)}
        if both:
            parts["_reverse"] = Recurrent(shape, how, seed + 1)
        for net in parts.values():
            head = net.weights["head_weight"]
            head[self._said :] = np.eye(units)
            net.weights = {"head_weight": head}
        super().__init__(parts, training)

    def learn(self, inputs: ArrayLike, targets: ArrayLike) -> float:
        """Learn from one grid and its targets, (time, channels, ...) each; the mean loss, before it."""
        return self._learn(inputs, targets)

    def predict(self, inputs: ArrayLike) -> Float64Array:
        """What the network says at each place of a grid.

        Returns
        -------
        said : (time, channels, outputs) float64
            With ``"cross_entropy"`` probabilities; with ``"gaussian"`` 2 outputs: means, then scales.
        """
        return self._loss.said(self._there(self._grid("inputs", inputs, self._inputs))[0])

    def evaluate(self, inputs: ArrayLike, targets: ArrayLike) -> float:
        """Mean loss of one grid, without learning; NaN without a target."""
        x = self._grid("inputs", inputs, self._inputs)
        return self._loss.mean(self._there(x)[0], self._targets(targets, x), self._training.huber)

    def gradients(self, inputs: ArrayLike, targets: ArrayLike) -> Arrays:
        """Gradient of the sum of one grid's losses, by the names of ``weights``.

        PyTorch's names; ``weight_ch_l0`` are those of the neighbour's h, and ``…_reverse`` those of
        the network that goes through the channels the other way.
        """
        return self._gradients(inputs, targets)

    # ------------------------------------------------------------ names

    def _names(self, part: str, names: Mapping[str, ArrayLike]) -> dict[str, str]:
        return {name: f"{name}{part}" for name in names}

    def _joined(self, arrays: Arrays) -> Arrays:
        found: Arrays = {}
        for name, array in arrays.items():
            if name.startswith("weight_ih"):
                found[name], other = array[:, : self._inputs], array[:, self._inputs :]
                found[name.replace("_ih", "_ch")] = other
            else:
                found[name] = array[: self._said] if name.startswith("head") else array
        return found

    def _parted(self, arrays: Mapping[str, ArrayLike]) -> Mapping[str, ArrayLike]:
        found: dict[str, ArrayLike] = {}
        for part, net in self._parts.items():
            own = net.weights
            whole = self._joined({f"{name}{part}": array for name, array in own.items()})
            for name in whole:
                whole[name][...] = np.reshape(
                    arrays.get(name, whole[name]), whole[name].shape
                )  # views of own
            found |= {f"{name}{part}": array for name, array in own.items()}
        return found

    # ------------------------------------------------------------ there and back

    def _grid(self, name: str, given: ArrayLike, columns: int) -> Numbers:
        array = np.asarray(given, self._parts[""].shape.dtype)
        if array.ndim != 3 or array.shape[2] != columns or not array.size:
            raise DataError(f"{name} have the shape {array.shape}; give (time, channels, {columns})")
        return array

    def _targets(self, targets: ArrayLike, x: Numbers) -> Float64Array:
        given = self._grid("targets", targets, self._outputs).astype(np.float64)
        if given.shape[:2] != x.shape[:2]:
            raise DataError(f"a grid of {x.shape[:2]} places with targets for {given.shape[:2]}")
        beside = np.full((*x.shape[:2], self._said - self._outputs), np.nan)
        return np.concatenate([given, beside], axis=2)

    def _there(self, x: Numbers) -> tuple[Float64Array, dict[str, Numbers]]:
        """Outputs (time, channels, said), and of each network what neighbours hear of all places."""
        outputs, heard = np.zeros((*x.shape[:2], self._said)), {}
        for part, net in self._parts.items():
            told = np.zeros((*x.shape[:2], self._told(net)), x.dtype)
            for c, neighbour in self._order(part, x.shape[1]):
                made = self._run(net, x, told, c, neighbour)
                told[:, c, : net.shape.hidden] = made[:, self._said :]
                if self._crosses(net):
                    told[:, c, net.shape.hidden :] = net.saved(grid_lstm.S, len(x))
                outputs[:, c] += made[:, : self._said]
            heard[part] = told
        return outputs, heard

    def _crosses(self, net: Recurrent) -> bool:
        """Whether a place hears of its neighbour's state beside h."""
        return net.shape.cell in GRID_CELLS

    def _told(self, net: Recurrent) -> int:
        """How many numbers of a place its neighbour hears: h, and the state beside it."""
        return net.shape.hidden * (2 if self._crosses(net) else 1)

    def _order(self, part: str, channels: int) -> list[tuple[int, int | None]]:
        """Each channel and the one that it hears, as a network goes through them."""
        order = list(range(channels))[:: -1 if part else 1]
        return list(zip(order, [None, *order[:-1]], strict=True))

    def _run(self, net: Recurrent, x: Numbers, told: Numbers, c: int, neighbour: int | None) -> Numbers:
        heard = np.zeros_like(told[:, c]) if neighbour is None else told[:, neighbour]
        net.start(len(x))
        if self._crosses(net):
            net.saved(grid_lstm.S_BESIDE, len(x))[:] = heard[:, net.shape.hidden :]
        return net.run(np.concatenate([x[:, c], heard[:, : net.shape.hidden]], axis=1))[0]

    def _differentiate(self, inputs: ArrayLike, targets: ArrayLike) -> tuple[float, int]:
        x = self._grid("inputs", inputs, self._inputs)
        y = self._targets(targets, x)
        outputs, told = self._there(x)
        losses = self._loss.of(outputs, y, self._training.huber)
        slopes = np.nan_to_num(self._loss.slope(outputs, y, self._training.huber))
        for part, net in self._parts.items():
            self._go_back(net, x, told[part], slopes, self._order(part, x.shape[1]))
        return self._loss.mean(outputs, y, self._training.huber), int(np.sum(~np.isnan(losses)))

    def _go_back(
        self,
        net: Recurrent,
        x: Numbers,
        told: Numbers,
        slopes: Float64Array,
        order: list[tuple[int, int | None]],
    ) -> None:
        """Leave a network's gradient over all channels, each run once more for its way back."""
        total, units = np.zeros(len(net.gradient)), net.shape.hidden
        errors = np.zeros_like(told[:, 0])  # of what the channel that is gone back through told
        for c, neighbour in reversed(order):
            made = self._run(net, x, told, c, neighbour)
            if self._crosses(net):
                net.saved(grid_lstm.S_ERRORS, len(x))[:] = _of_states(errors[:, units:], x[:, c])
            net.hear(np.concatenate([slopes[:, c], errors[:, :units]], axis=1), np.zeros_like(made))
            net.go_back(len(x))
            beside = [net.step_errors[:, 0, 0]] * self._crosses(net)
            errors = np.concatenate([net.input_errors[:, self._inputs :], *beside], axis=1)
            total += net.gradient
        net.gradient[:] = total
        head = blocks(net.shape, net.segments["gradient"])
        head["head_weight"][self._said :] = 0  # h itself, which does not learn
        head["head_bias"][self._said :] = 0


def _of_states(errors: Numbers, x: Numbers) -> Numbers:
    """Errors of a channel's states, where one that was only carried on belongs to the place that made it."""
    found = errors.copy()
    for t in np.flatnonzero(np.isnan(x).any(axis=1))[::-1]:
        if t:
            found[t - 1] += found[t]
        found[t] = 0
    return found
