"""A classifier of windows that learns online: many-to-one, by cross-entropy.

A window is a stretch of some channels, of any length; its kind is what a user calls it. Kinds and channels
may be new at any time: the network grows by rows and columns, and keeps what it has learned.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamrnn.errors import DataError, SettingsError
from streamrnn.sequences import SequenceModel
from streamrnn.splitmix import seeds, uniform_at

__all__ = ["WindowClassifier"]

Float64Array = NDArray[np.float64]

MOST_KINDS, MOST_CHANNELS = 256, 256  # what a stream may make a model grow to
_LARGEST = 1e100  # magnitudes count as at most this, so that squares stay numbers
_SEEN_ENOUGH = 64  # values of a channel
_FARTHEST = 12.0  # deviations, from then on


class WindowClassifier:
    """Says of which kind a window is, and learns from each that it is told.

    Channels are scaled by the mean and deviation of all windows learned so far. A missing value (None, NaN,
    infinite) is the mean, and the network is told that it is missing; a moment without any is passed over.
    Each window is learned once as it comes and, with the kinds drawn equally often, again beside later ones.

    Parameters
    ----------
    cell, units, layers, rate, seed
        As in ``SequenceModel``.
    memory : int
        Windows that are kept for being learned again; of the kind with most the oldest one goes first.
    replays : int
        How many of them are learned again with each new window.
    longest : int
        Moments of a window that are looked at: the newest.

    Raises
    ------
    SettingsError
        Where a setting is none; the message says what fits.

    Examples
    --------
    >>> import numpy as np
    >>> model = WindowClassifier()
    >>> model.probabilities({"flow": [1.0, 2.0]})
    {}
    >>> for n in range(40):
    ...     model.learn({"flow": n + np.arange(8.0)}, "rising")
    ...     model.learn({"flow": n - np.arange(8.0)}, "falling")
    >>> said = model.probabilities({"flow": [20, 21, 22, 23, 24, 25]})
    >>> max(said, key=said.get)
    'rising'
    """

    def __init__(
        self,
        cell: str = "gru",
        *,
        units: int = 16,
        layers: int = 1,
        rate: float = 0.01,
        memory: int = 128,
        replays: int = 8,
        longest: int = 256,
        seed: int = 0,
    ) -> None:
        if min(memory, longest) < 1 or replays < 0:
            raise SettingsError("memory and longest are each at least 1, replays at least 0")
        self._options: dict[str, Any] = {"cell": cell, "units": units, "layers": layers, "rate": rate}
        self._sizes, self._seed = (memory, replays, longest), seed
        self._channels: list[str] = []
        self._kinds: list[Hashable] = []
        self._scale = np.zeros((3, 0))  # of each channel: values, their mean, their summed squares about it
        self._memory: list[tuple[Float64Array, int]] = []
        self._draws = 0
        self._model = self._made()

    @property
    def kinds(self) -> tuple[Hashable, ...]:
        """All kinds so far, in the order in which they came."""
        return tuple(self._kinds)

    def learn(self, window: Mapping[Any, Any], kind: Hashable) -> None:
        """Learn of which kind a window is.

        Parameters
        ----------
        window : mapping
            Each channel's values, (time,), all of one length; a number is one value.
        kind : hashable

        Raises
        ------
        DataError
            Where values are no numbers or of several lengths, or there are too many kinds or channels;
            nothing is learned then.
        """
        columns = _columns(window)
        new = sorted(set(columns) - set(self._channels))  # whatever order a window names them in
        if len(self._channels) + len(new) > MOST_CHANNELS:
            raise DataError(f"more than {MOST_CHANNELS} channels; give each window the same ones")
        if kind not in self._kinds and len(self._kinds) == MOST_KINDS:
            raise DataError(f"{kind!r} would be one of more than {MOST_KINDS} kinds")
        if new or kind not in self._kinds:
            self._grow(new, [] if kind in self._kinds else [kind])
        values = self._values(columns)
        self._follow_scale(values)
        self._remember(values, self._kinds.index(kind))

    def probabilities(self, window: Mapping[Any, Any]) -> dict[Hashable, float]:
        """How probable each kind is, 0 to 1, together 1; empty before any was learned. Changes nothing.

        Raises
        ------
        DataError
            Where values are no numbers or of several lengths.
        """
        columns = _columns(window)
        if not self._kinds:
            return {}
        said = self._model.predict(self._inputs(self._values(columns)))[-1]
        return dict(zip(self._kinds, map(float, said), strict=True))

    # ------------------------------------------------------------ growing

    def _made(self) -> SequenceModel:
        inputs, outputs = max(2 * len(self._channels), 1), max(len(self._kinds), 1)
        return SequenceModel(
            inputs=inputs, outputs=outputs, loss="cross_entropy", seed=self._seed, **self._options
        )

    def _grow(self, channels: list[str], kinds: list[Hashable]) -> None:
        """Take in new channels and kinds; what was learned stays."""
        self._channels += channels
        self._kinds += kinds
        self._scale = np.concatenate([self._scale, np.zeros((3, len(channels)))], axis=1)
        missing = [np.full((len(values), len(channels)), np.nan) for values, _ in self._memory]
        self._memory = [
            (np.concatenate([values, beside], axis=1), kind)
            for (values, kind), beside in zip(self._memory, missing, strict=True)
        ]
        known, self._model = self._model, self._made()
        self._model.take_over(known)

    # ------------------------------------------------------------ numbers

    def _values(self, columns: Mapping[str, Float64Array]) -> Float64Array:
        """(time, channels) of a window, its newest moments; NaN where nothing is known."""
        steps = len(next(iter(columns.values()))) if columns else 1
        missing = np.full(steps, np.nan)
        found = [columns.get(name, missing) for name in self._channels] or [missing]
        return np.stack(found, axis=1)[-self._sizes[2] :]

    def _scaled(self, values: Float64Array) -> Float64Array:
        count, mean, squares = self._scale
        deviation = np.sqrt(squares / np.maximum(count, 1.0))
        scaled = np.divide(values - mean, deviation, out=np.zeros_like(values), where=deviation > 0.0)
        return np.asarray(np.clip(scaled, -_FARTHEST, _FARTHEST))

    def _follow_scale(self, values: Float64Array) -> None:
        """Mean and summed squares of all values (Chan, Golub and LeVeque 1983), outliers held."""
        count, mean, squares = self._scale
        reach = _FARTHEST * np.sqrt(squares / np.maximum(count, 1.0))
        reach[(count < _SEEN_ENOUGH) | (reach == 0.0)] = np.inf
        held = np.clip(values, mean - reach, mean + reach)
        known = ~np.isnan(held)
        n = known.sum(axis=0)
        least = np.maximum(n, 1)
        own = np.where(known, held, 0.0).sum(axis=0) / least
        around = np.where(known, held - own, 0.0)
        share, step = n / np.maximum(count + n, 1.0), np.where(n > 0, own - mean, 0.0)
        self._scale = np.stack(
            [
                count + n,
                mean + step * share,
                squares + np.square(around).sum(axis=0) + step**2 * count * share,
            ]
        )

    def _inputs(self, values: Float64Array) -> Float64Array:
        """(time, 2 channels): scaled values, 0 where missing, each beside whether it is."""
        missing = np.isnan(values)
        scaled = np.where(missing, 0.0, self._scaled(values))
        inputs = np.stack([scaled, missing.astype(np.float64)], axis=2).reshape(len(values), -1)
        inputs[missing.all(axis=1)] = np.nan
        return inputs

    # ------------------------------------------------------------ learning

    def _remember(self, values: Float64Array, kind: int) -> None:
        """Learn a window, then some of those before it again."""
        memory, replays, _ = self._sizes
        self._learn(values, kind)
        self._memory.append((values, kind))
        if len(self._memory) > memory:
            counts = np.bincount([of for _, of in self._memory])
            fullest = int(counts.argmax())
            del self._memory[next(i for i, (_, of) in enumerate(self._memory) if of == fullest)]
        for _ in range(replays):
            self._learn(*self._drawn())

    def _drawn(self) -> tuple[Float64Array, int]:
        """One of the windows that are kept: any kind, then any window of it."""
        draws = uniform_at(seeds(self._seed, 1), np.arange(self._draws, self._draws + 2))
        self._draws += 2
        kinds = sorted({kind for _, kind in self._memory})
        of = kinds[int(draws[0] * len(kinds))]
        windows = [one for one in self._memory if one[1] == of]
        return windows[int(draws[1] * len(windows))]

    def _learn(self, values: Float64Array, kind: int) -> None:
        targets = np.full((len(values), len(self._kinds)), np.nan)
        targets[-1] = np.arange(len(self._kinds)) == kind
        self._model.learn(self._inputs(values), targets)


def _columns(window: Mapping[Any, Any]) -> dict[str, Float64Array]:
    """Each channel's values, (time,); NaN where they are missing."""
    found = {str(name): _numbers(str(name), given) for name, given in window.items()}
    lengths = {name: len(values) for name, values in found.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"channels of several lengths: {lengths}; give all the same moments")
    return found


def _numbers(name: str, given: ArrayLike | None) -> Float64Array:
    try:
        values = np.atleast_1d(np.asarray(np.nan if given is None else given))
        if values.dtype.kind in "USmM":
            raise TypeError
        values = values.astype(np.float64)
    except (TypeError, ValueError):
        raise DataError(f"channel {name!r} is {given!r}; give numbers, None where they are missing") from None
    if values.ndim != 1 or not len(values):
        raise DataError(f"channel {name!r} has the shape {values.shape}; give (time,), time > 0")
    return np.where(np.isinf(values), np.nan, np.clip(values, -_LARGEST, _LARGEST))
