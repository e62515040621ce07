"""Encoder and decoder (Sutskever et al. 2014; Cho et al. 2014): from one sequence to another.

One network reads a sequence; from the state that it ends in, a second one, with weights of its own, writes
another of any length. On the way back the decoder's errors arrive at the state that it started from, and
go on from there through the encoder. Whoever reads a past and writes a future forecasts many horizons.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
from numpy.typing import ArrayLike

from streamrnn.errors import DataError, SettingsError
from streamrnn.generation import follow_itself, sampled
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
from streamrnn.together import Together, with_masked_start

__all__ = ["EncoderDecoder"]

_PER = ("step", "sequence")


class EncoderDecoder(Together):
    """Two networks: one reads a sequence, the other writes the one that belongs to it.

    A step with a NaN among its inputs is passed over, in either; a target that is NaN has no loss.

    Parameters
    ----------
    cell : str
        Of both: ``"lstm"``, ``"gru"``, ``"rnn"``, ``"rnn_relu"``, ``"rnn_logistic"`` or ``"diagonal_lstm"``.
    units, layers : int
        Of each of both.
    inputs, outputs : int
        Columns of what is read, and of what is written.
    known : int
        Columns that are known beforehand of each step to be written, such as the hour of the day.
    feedback : bool
        Whether each step hears what was written before it: while learning the target (its last known
        value, 0 at first), in ``predict`` the network's own output.
    loss, optimizer, rate, clip, clip_value, double, seed, options
        As in ``SequenceModel``.
    per : str
        What the step of the optimiser is the mean over: ``"step"``, each loss, or ``"sequence"``, the sum
        of a sequence's losses, so that long ones weigh more.

    Raises
    ------
    SettingsError
        Where a setting is none; the message says what fits.

    Examples
    --------
    The next 4 values of a sine, from 12 of them:

    >>> import numpy as np
    >>> waves = np.sin(np.arange(16) * 0.5 + np.arange(300)[:, None])[..., None]
    >>> model = EncoderDecoder("gru", units=8, rate=0.01)
    >>> losses = model.fit(waves[:200, :12], waves[:200, 12:], epochs=8)
    >>> errors = [model.predict(wave[:12], 4) - wave[12:] for wave in waves[200:]]
    >>> bool(np.mean(np.abs(errors)) < 0.15)
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
        known: int = 0,
        feedback: bool = False,
        loss: str = "squared",
        optimizer: str = "adam",
        rate: float = 1.5e-3,
        clip: float = 1.0,
        clip_value: float = inf,
        per: str = "step",
        double: bool = False,
        seed: int = 0,
        **options: float,
    ) -> None:
        require_one_of("cell", cell, HANDING_OVER)
        require_one_of("per", per, _PER)
        training = training_of(loss, optimizer, rate=rate, clip=clip, clip_value=clip_value, **options)
        if min(units, layers, inputs, outputs, known + 1) < 1:
            raise SettingsError("units, layers, inputs and outputs are each at least 1, known at least 0")
        self._loss, self._outputs, self._known = LOSSES[loss], outputs, known
        self._heard, self._per = outputs if feedback else 0, per
        heard = max(known + self._heard, 1)  # a decoder that hears nothing has one column of zeros
        said = outputs * self._loss.per_target
        reads = NetworkShape(cell, units, inputs, 1, 1, 1, double=double, layers=layers)
        writes = replace(reads, inputs=heard, outputs=said)
        unbound = replace(training, clip_value=inf)  # all are held together
        self._encoder = Recurrent(reads, unbound, seed, head=False)
        self._decoder = Recurrent(writes, unbound, seed + 1)
        super().__init__({"encoder.{}": self._encoder, "decoder.{}": self._decoder}, training)

    def learn(self, inputs: ArrayLike, targets: ArrayLike, known: ArrayLike | None = None) -> float:
        """Learn from one pair of sequences; the mean loss, as it was before.

        Parameters
        ----------
        inputs : (time, inputs) array
        targets : (steps, outputs) array
        known : (steps, known) array, where there are such columns
        """
        return self._learn(inputs, targets, known)

    def predict(self, inputs: ArrayLike, steps: int, known: ArrayLike | None = None) -> Float64Array:
        """What is written behind a sequence.

        Returns
        -------
        said : (steps, outputs) float64
            With ``"cross_entropy"`` probabilities; with ``"gaussian"`` (steps, 2 outputs): means, scales.
        """
        x, beside = self._read(inputs), self._beside(steps, known)
        if not self._heard:
            self._hand_over(x, steps)
            return self._loss.said(self._decoder.run(beside)[0].astype(np.float64))
        return follow_itself(self._decoder, self._begin(x, beside))[1]

    def generate(
        self, inputs: ArrayLike, steps: int, known: ArrayLike | None = None, *, samples: int, seed: int = 0
    ) -> Float64Array:
        """Trajectories behind a sequence, each of which hears what it drew; asks for ``feedback``.

        Returns
        -------
        trajectories : (samples, steps, outputs) float64
            ``generation.forecast_fan`` makes quantiles of them.
        """
        if not self._heard:
            raise SettingsError("trajectories hear what they drew; give feedback=True")
        rest = self._begin(self._read(inputs), self._beside(steps, known))
        return sampled(self._decoder, rest, self._outputs, samples, seed)

    def evaluate(self, inputs: ArrayLike, targets: ArrayLike, known: ArrayLike | None = None) -> float:
        """Mean loss of one pair of sequences, without learning; NaN without a target."""
        return self._there(inputs, targets, known)[0]

    def gradients(self, inputs: ArrayLike, targets: ArrayLike, known: ArrayLike | None = None) -> Arrays:
        """Gradient of the sum of one pair's losses, by PyTorch's names, ``encoder.…`` and ``decoder.…``."""
        return self._gradients(inputs, targets, known)

    # ------------------------------------------------------------ there and back

    def _read(self, inputs: ArrayLike) -> Numbers:
        return columns_of("inputs", inputs, self._encoder.shape.inputs, self._encoder.shape.dtype)

    def _beside(self, steps: int, known: ArrayLike | None) -> Numbers:
        """The decoder's inputs, but for what it hears of itself."""
        if steps < 1:
            raise SettingsError(f"steps is {steps}; give at least 1")
        columns = self._decoder.shape.inputs - self._heard
        rows = np.zeros((steps, columns)) if known is None and not self._known else known
        found = np.asarray(rows, self._decoder.shape.dtype)
        if found.shape != (steps, columns):
            raise DataError(f"known has the shape {found.shape}; give {(steps, columns)}")
        return np.ascontiguousarray(found)

    def _hand_over(self, x: Numbers, steps: int) -> None:
        """Read a sequence, and have the decoder start from where that ended."""
        self._encoder.start(len(x))
        self._encoder.run(x)
        self._decoder.start(steps, self._encoder.state)

    def _begin(self, x: Numbers, beside: Numbers) -> Float64Array:
        """Write the first step; what the others see beside what they hear."""
        self._hand_over(x, len(beside))
        nothing = np.zeros((1, self._heard), beside.dtype)
        self._decoder.run(np.concatenate([nothing, beside[:1]], axis=1))
        return np.concatenate([beside[1:], np.zeros_like(beside[:1])]).astype(np.float64)

    def _there(
        self, inputs: ArrayLike, targets: ArrayLike, known: ArrayLike | None
    ) -> tuple[float, int, int]:
        """Run both over a pair whose targets are known; (mean loss, steps read, steps written)."""
        x, dtype = self._read(inputs), self._decoder.shape.dtype
        given = columns_of("targets", targets, self._outputs, dtype)
        beside = self._beside(len(given), known)
        heard = np.concatenate([np.zeros_like(given[:1]), _held(given)[:-1]])[:, : self._heard]
        rows = with_masked_start(np.concatenate([heard, beside], axis=1))
        y = np.full((len(rows), self._decoder.shape.outputs), np.nan, dtype)
        y[1:, : self._outputs] = given
        self._hand_over(x, len(rows))
        outputs = self._decoder.run(rows, y)[0]
        loss = self._loss.mean(outputs, y, self._training.huber)
        return loss, len(x), len(rows)

    def _differentiate(
        self, inputs: ArrayLike, targets: ArrayLike, known: ArrayLike | None = None
    ) -> tuple[float, int]:
        loss, read, written = self._there(inputs, targets, known)
        losses = self._decoder.go_back(written)
        self._encoder.go_back(read, self._decoder.start_errors)
        return loss, min(losses, 1) if self._per == "sequence" else losses


def _held(targets: Numbers) -> Numbers:
    """Each value, or where it is missing the last one before it; 0 without any."""
    known = ~np.isnan(targets)
    rows = np.maximum.accumulate(np.where(known, np.arange(len(targets))[:, None], 0), axis=0)
    return np.asarray(np.nan_to_num(np.take_along_axis(targets, rows, axis=0)))
