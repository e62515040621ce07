"""The classifier of windows in river's shape; import it from ``streamrnn.adapters.river``."""

from __future__ import annotations

import pickle
from typing import Any

from river import base

from streamrnn.windows import WindowClassifier

__all__ = ["RNNClassifier"]


class RNNClassifier(base.Classifier):
    """A classifier of windows: each feature is a channel's values, all of one length.

    A number is a window of one moment. It learns online, window by window; labels and features may be new
    at any time, and what was learned stays. Before the first label there is no prediction (None, ``{}``).
    Missing values are None, NaN, or a feature that is not there.

    Parameters
    ----------
    cell, units, layers, rate, memory, replays, longest
        See ``streamrnn.windows.WindowClassifier``.
    seed
        Two models of the same seed, settings and windows say the same; None is 0.

    Raises
    ------
    SettingsError
        Where a setting is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from streamrnn.adapters.river import RNNClassifier
    >>> model = RNNClassifier(seed=42)
    >>> for n in range(30):
    ...     spike = np.zeros(12)
    ...     spike[n % 12] = 5.0
    ...     model.learn_one({"flow": spike}, "spike")
    ...     model.learn_one({"flow": 5.0 * (np.arange(12) > n % 12)}, "shift")
    >>> model.predict_one({"flow": [0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0]})
    'spike'
    """

    def __init__(
        self,
        cell: str = "gru",
        units: int = 16,
        layers: int = 1,
        rate: float = 0.01,
        memory: int = 128,
        replays: int = 8,
        longest: int = 256,
        seed: int | None = None,
    ) -> None:
        self.cell = cell
        self.units = units
        self.layers = layers
        self.rate = rate
        self.memory = memory
        self.replays = replays
        self.longest = longest
        self.seed = seed
        self._classifier = WindowClassifier(
            cell, units=units, layers=layers, rate=rate, memory=memory, replays=replays, longest=longest,
            seed=seed or 0,
        )  # fmt: skip

    @property
    def _multiclass(self) -> bool:
        return True

    @property
    def _raw_memory_usage(self) -> int:
        """Bytes of the model's state; river's own count would walk into the compiled kernels."""
        return len(pickle.dumps(self))

    def learn_one(self, x: dict[Any, Any], y: Any) -> None:
        """Learn a window's label; None is none, and nothing is learned.

        Raises
        ------
        DataError
            Where values are no numbers or of several lengths; nothing is learned then.
        """
        if y is not None:
            self._classifier.learn(x, y)

    def predict_proba_one(self, x: dict[Any, Any], **_: Any) -> dict[Any, float]:
        """How probable each label so far is; changes nothing.

        Raises
        ------
        DataError
            Where values are no numbers or of several lengths.
        """
        return dict(self._classifier.probabilities(x))
