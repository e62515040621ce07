"""Several networks that learn as one: one gradient, one norm, one step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from streamrnn.errors import DataError
from streamrnn.recurrent import Arrays, Numbers, Recurrent
from streamrnn.tables import Training

__all__ = ["Together"]


class Together:
    """What models of several networks share. Each says how errors flow (``_differentiate``).

    Parameters
    ----------
    parts : dict of Recurrent
        By what tells the names of their weights in the whole (``_names``), such as ``"encoder.{}"``.
    training : Training
        Of the whole.
    """

    def __init__(self, parts: dict[str, Recurrent], training: Training) -> None:
        self._parts, self._training = parts, training

    def _differentiate(self, *columns: Any) -> tuple[float, int]:
        """Leave the gradients of one sequence's losses; (mean loss, by how many to divide)."""
        raise NotImplementedError

    def fit(
        self, inputs: Sequence[ArrayLike], targets: Sequence[ArrayLike], *beside: Sequence[ArrayLike],
        epochs: int = 1,
    ) -> list[float]:  # fmt: skip
        """Learn from sequences, in their order, ``epochs`` times; the mean loss of each epoch.

        Parameters
        ----------
        inputs, targets, *beside : sequences of arrays
            What ``learn`` takes, one each. Lengths may differ from sequence to sequence.

        Returns
        -------
        losses : list of float
            Mean over the sequences, as each was before it was learned from.
        """
        if len({len(given) for given in (inputs, targets, *beside)}) > 1:
            raise DataError(f"{len(inputs)} sequences with {len(targets)} targets; give one of each")
        return [
            float(np.nanmean([self._learn(*one) for one in zip(inputs, targets, *beside, strict=True)]))
            for _ in range(epochs)
        ]

    def _learn(self, *columns: Any) -> float:
        """One step of the optimiser, after clipping by value and by the norm of all gradients."""
        loss, losses = self._differentiate(*columns)
        if not losses:
            return loss
        gradients = [net.gradient for net in self._parts.values()]
        most = self._training.clip_value * losses
        for gradient in gradients:
            np.clip(gradient, -most, most, out=gradient)
        squares = sum(float(np.sum(np.square(gradient, dtype=np.float64))) for gradient in gradients)
        for net in self._parts.values():
            net.follow(squares, losses)
        return loss

    # ------------------------------------------------------------ names

    def _names(self, part: str, names: Mapping[str, ArrayLike]) -> dict[str, str]:
        """The names in the whole of what a part has."""
        return {name: part.format(name) for name in names}

    def _joined(self, arrays: Arrays) -> Arrays:
        """Arrays of all parts as those of the whole."""
        return arrays

    def _parted(self, arrays: Mapping[str, ArrayLike]) -> Mapping[str, ArrayLike]:
        """The way back."""
        return arrays

    def _whole(self, of_parts: Mapping[str, Arrays]) -> Arrays:
        named = {
            name: arrays[own]
            for part, arrays in of_parts.items()
            for own, name in self._names(part, arrays).items()
        }
        return self._joined(named)

    def _gradients(self, *columns: Any) -> Arrays:
        self._differentiate(*columns)
        return self._whole({part: net.gradients for part, net in self._parts.items()})

    @property
    def weights(self) -> Arrays:
        """All weights by PyTorch's names, float64; set those that are given."""
        return self._whole({part: net.weights for part, net in self._parts.items()})

    @weights.setter
    def weights(self, arrays: Mapping[str, ArrayLike]) -> None:
        given = self._parted(arrays)
        for part, net in self._parts.items():
            names = self._names(part, net.weights)
            net.weights = {own: given[name] for own, name in names.items() if name in given}


def with_masked_start(array: Numbers) -> Numbers:
    """An array with a row of NaN in front: a step that only hands the state on."""
    return np.concatenate([np.full((1, array.shape[1]), np.nan, array.dtype), array])
