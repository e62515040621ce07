"""Networks that read a finished sequence both ways (Schuster and Paliwal 1997).

Each layer is two networks: one reads from the beginning, one from the end. What both hold at a step goes
into the head, or into both directions of the layer above. So what is said of a step depends on the steps
after it, too: this is hindsight, not for a stream, and nothing of it is causal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf

import numpy as np
from numpy.typing import ArrayLike

from streamrnn.errors import DataError, SettingsError
from streamrnn.losses import LOSSES
from streamrnn.recurrent import (
    HANDING_OVER,
    Arrays,
    Float64Array,
    Numbers,
    Recurrent,
    columns_of,
    require_one_of,
    training_of,
)
from streamrnn.tables import NetworkShape
from streamrnn.together import Together

__all__ = ["BidirectionalModel"]


class BidirectionalModel(Together):
    """Layers of two directions, and a linear head that sees both. Not causal: it looks into the future.

    A step with a NaN among its inputs is passed over, both ways and in all layers; a target that is NaN has
    no loss.

    Parameters
    ----------
    cell : str
        Of all: ``"lstm"``, ``"gru"``, ``"rnn"``, ``"rnn_relu"``, ``"rnn_logistic"`` or ``"diagonal_lstm"``.
    units, layers : int
        Units of each direction of a layer; layers one above the other.
    inputs, outputs : int
        Columns of the sequences and of their targets.
    between : bool
        Whether a step sees only those before it and those after it, and not itself: to say from all others
        what it must have been. Asks for one layer.
    loss, optimizer, rate, clip, clip_value, double, seed, options
        As in ``SequenceModel``.

    Raises
    ------
    SettingsError
        Where a setting is none; the message says what fits.

    Examples
    --------
    The sum of all inputs, at the first step; no network that reads forwards alone could know it:

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(300, 6, 1))
    >>> y = np.full((300, 6, 1), np.nan)
    >>> y[:, 0] = x.sum(axis=1)
    >>> model = BidirectionalModel("gru", units=8, rate=0.01)
    >>> losses = model.fit(x[:250], y[:250], epochs=10)
    >>> bool(np.mean([model.evaluate(*pair) for pair in zip(x[250:], y[250:])]) < 0.3)
    True
    """

    def __init__(
        self,
        cell: str = "gru",
        *,
        units: int = 12,
        layers: int = 1,
        inputs: int = 1,
        outputs: int = 1,
        between: bool = False,
        loss: str = "squared",
        optimizer: str = "adam",
        rate: float = 1.5e-3,
        clip: float = 1.0,
        clip_value: float = inf,
        double: bool = False,
        seed: int = 0,
        **options: float,
    ) -> None:
        require_one_of("cell", cell, HANDING_OVER)
        training = training_of(loss, optimizer, rate=rate, clip=clip, clip_value=clip_value, **options)
        if min(units, layers, inputs, outputs) < 1:
            raise SettingsError("units, layers, inputs and outputs are each at least 1")
        if between and layers > 1:
            raise SettingsError(
                "between asks for one layer: a second one would see each step in what it reads"
            )
        self._loss, self._outputs, self._between = LOSSES[loss], outputs, between
        unbound = replace(training, clip_value=inf)  # all are held together
        below = replace(unbound, loss="squared")  # its errors are those of what it hands up
        top = NetworkShape(cell, units, inputs, outputs * self._loss.per_target, 1, 1, double=double)
        self._layers: list[tuple[Recurrent, Recurrent]] = []
        for n in range(layers):
            last = n == layers - 1
            shape = replace(top, inputs=2 * units if n else inputs, outputs=top.outputs if last else units)
            how = unbound if last else below
            forwards, backwards = (Recurrent(shape, how, seed + 2 * n + k, head=last) for k in range(2))
            self._layers.append((forwards, backwards))
        parts = {
            f"_l{n}{'_reverse' * k}": net for n, pair in enumerate(self._layers) for k, net in enumerate(pair)
        }
        super().__init__(parts, training)

    def learn(self, inputs: ArrayLike, targets: ArrayLike) -> float:
        """Learn from one sequence and its targets, (time, ...) each; the mean loss, as it was before."""
        return self._learn(inputs, targets)

    def predict(self, inputs: ArrayLike) -> Float64Array:
        """What the network says of each step of one sequence, with hindsight.

        Returns
        -------
        said : (time, outputs) float64
            With ``"cross_entropy"`` probabilities; with ``"gaussian"`` (time, 2 outputs): means, then scales.
        """
        return self._loss.said(self._there(inputs).astype(np.float64))

    def evaluate(self, inputs: ArrayLike, targets: ArrayLike) -> float:
        """Mean loss of one sequence, without learning; NaN without a target."""
        outputs = self._there(inputs)
        return self._loss.mean(outputs, self._targets(targets, outputs), self._training.huber)

    def gradients(self, inputs: ArrayLike, targets: ArrayLike) -> Arrays:
        """Gradient of the sum of one sequence's losses, by PyTorch's names."""
        return self._gradients(inputs, targets)

    # ------------------------------------------------------------ names

    def _names(self, part: str, names: Mapping[str, ArrayLike]) -> dict[str, str]:
        reverse = "_reverse" if part.endswith("_reverse") else ""
        return {name: name.replace("_l0", part) if "_l0" in name else f"{name}{reverse}" for name in names}

    def _joined(self, arrays: Arrays) -> Arrays:
        """One head for both directions, (outputs, 2 units), as behind PyTorch's layer; its bias is one."""
        del arrays["head_bias_reverse"]
        both = np.concatenate([arrays["head_weight"], arrays.pop("head_weight_reverse")], axis=1)
        return {**arrays, "head_weight": both}

    def _parted(self, arrays: Mapping[str, ArrayLike]) -> dict[str, ArrayLike]:
        found = dict(arrays)
        if "head_weight" in found:
            halves = np.split(np.asarray(found["head_weight"], np.float64), 2, axis=1)
            found["head_weight"], found["head_weight_reverse"] = halves
        return found

    # ------------------------------------------------------------ there and back

    def _targets(self, targets: ArrayLike, outputs: Numbers) -> Numbers:
        given = columns_of("targets", targets, self._outputs, self._layers[0][0].shape.dtype)
        if len(given) != len(outputs):
            raise DataError(f"{len(outputs)} steps with {len(given)} targets")
        return np.concatenate([given, np.full_like(outputs[:, self._outputs :], np.nan)], axis=1)

    def _there(self, inputs: ArrayLike) -> Numbers:
        """The outputs of the head at each step."""
        shape = self._layers[0][0].shape
        x = columns_of("inputs", inputs, shape.inputs, shape.dtype)
        masked = np.isnan(x).any(axis=1)
        for n, pair in enumerate(self._layers):
            said = []
            for net, way in zip(pair, (1, -1), strict=True):
                net.start(len(x))
                said.append(net.run(self._seen(x[::way]))[0][::way])
            if n < len(self._layers) - 1:
                x = np.concatenate(said, axis=1)
                x[masked] = np.nan
        return np.asarray(said[0] + said[1])

    def _seen(self, x: Numbers) -> Numbers:
        """What one direction reads; with ``between`` each step the one before it."""
        if self._between:
            x = np.concatenate([np.full_like(x[:1], np.nan), x[:-1]])
        return np.ascontiguousarray(x)

    def _differentiate(self, inputs: ArrayLike, targets: ArrayLike) -> tuple[float, int]:
        outputs = self._there(inputs)
        y, steps, losses = self._targets(targets, outputs), len(outputs), 0
        said = (outputs, outputs)
        aims = (y, y)
        for n, pair in reversed(list(enumerate(self._layers))):
            counts = []
            for net, way, made, aim in zip(pair, (1, -1), said, aims, strict=True):
                net.hear(made[::way], aim[::way])
                counts.append(net.go_back(steps))
            losses = losses or counts[0]
            if n:
                errors = pair[0].input_errors + pair[1].input_errors[::-1]
                units = pair[0].shape.hidden
                said = errors[:, :units], errors[:, units:]
                aims = np.zeros_like(said[0]), np.zeros_like(said[1])
        backwards = self._layers[-1][1]
        bias = backwards.shape.head + backwards.shape.outputs * backwards.shape.padded
        backwards.gradient[bias:] = 0  # the head has one bias, that of the other direction
        return self._loss.mean(outputs, y, self._training.huber), losses
