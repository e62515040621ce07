"""The rows that a plot shows: all of a short run, the most surprising of each few of a long one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels.scaler import LARGEST
from streamrnn.records import Batch, Float64Array, Results

__all__ = ["CHANNELS", "KeptRows"]

CHANNELS = 8  # panels that fit on one page
ROWS = 50_000  # some forty a pixel of a wide plot
# What is kept of each record, beside four numbers for each channel.
_FLAT = ("offset", "surprise", "level", "status", "is_anomaly", "strength")


class KeptRows:
    """Rows of a run for its plot, in bounded memory.

    Parameters
    ----------
    channels : tuple of str
    rows : int
        About how many rows to keep; never more than twice as many and one batch.

    Attributes
    ----------
    channels : tuple of str
        Those that are kept.
    left_out : tuple of str
        Those that are not.
    stride : int
        One record of this many is kept, the most surprising.
    """

    def __init__(self, channels: tuple[str, ...], rows: int = ROWS) -> None:
        self.channels, self.left_out = channels[:CHANNELS], channels[CHANNELS:]
        self.stride = 1
        self._rows = rows
        self._numbers = np.empty((0, len(_FLAT) + 4 * len(self.channels)))
        self._times = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self._times)

    @property
    def times(self) -> NDArray[np.int64]:
        """(n,) int64, ns UTC, ``NO_TIME`` where there is none."""
        return self._times

    def column(self, name: str) -> Float64Array:
        """(n,) float64: offset, surprise, level, status, is_anomaly or strength."""
        return self._numbers[:, _FLAT.index(name)]

    def channel(self, d: int) -> Float64Array:
        """(4, n) float64: a channel's values, yhat, yhat_lower, yhat_upper; NaN where there is none."""
        start, count = len(_FLAT) + d, len(self.channels)
        return self._numbers[:, start::count].T

    def add(self, batch: Batch, found: Results) -> None:
        """Take in the next records and what was found in them."""
        count = len(self.channels)
        values = np.where(np.abs(batch.values) <= LARGEST, batch.values, np.nan)
        flat = (
            batch.offsets,
            found.surprise,
            found.level,
            found.status,
            found.is_anomaly,
            found.alert_strength,
        )
        wide = (values, found.yhat, found.yhat_lower, found.yhat_upper)
        numbers = np.column_stack([*flat, *(columns[:, :count] for columns in wide)])
        some = _most_surprising(numbers, self.stride)
        self._numbers = np.concatenate([self._numbers, numbers[some]])
        self._times = np.concatenate([self._times, batch.times[some]])
        while len(self) > 2 * self._rows:
            some = _most_surprising(self._numbers, 2)
            self._numbers, self._times = self._numbers[some], self._times[some]
            self.stride *= 2


def _most_surprising(numbers: Float64Array, stride: int) -> NDArray[np.int64]:
    """Of each ``stride`` consecutive rows the place of the one with the largest surprise."""
    surprise = np.nan_to_num(numbers[:, _FLAT.index("surprise")], nan=-1.0)
    padded = np.full(-(-len(surprise) // stride) * stride, -2.0)
    padded[: len(surprise)] = surprise
    places: NDArray[np.int64] = padded.reshape(-1, stride).argmax(axis=1)
    return places + np.arange(0, len(padded), stride)
