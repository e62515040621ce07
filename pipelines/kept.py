"""The rows that a picture shows: all of a short run, thinned by smallest and largest value in a long one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels import thinning
from streamrnn.pipelines.kernel_columns import KernelColumns
from streamrnn.records import Batch, Float64Array, Int64Array, Results
from streamrnn.space import address

__all__ = ["CHANNELS", "Bins", "KeptRows", "SeriesRows", "row_size", "single_rows"]

CHANNELS = 96  # of a series, at most
MOST_BINS, FEWEST_BINS = 8192, 1024  # of a series: some six to a pixel of a wide plot, about one
_ROOM = 4_000_000  # numbers of all series together: 32 MB
_LARGEST = 1e100  # beyond it a value counts as missing
_NUMBERS = {"surprise": thinning.SURPRISE, "level": thinning.LEVEL, "strength": thinning.STRENGTH}
_WHOLE = {"offset": thinning.OFFSET, "status": thinning.STATUS, "is_anomaly": thinning.HIT}


@dataclass(frozen=True)
class SeriesRows:
    """The rows of one series.

    Attributes
    ----------
    stride : int
        Records of the series that one row stands for.
    whole, numbers
        As ``kernels/thinning.py`` has them, (n, ...).
    """

    stride: int
    whole: Int64Array
    numbers: Float64Array

    def __len__(self) -> int:
        return len(self.whole)

    @property
    def times(self) -> Int64Array:
        """(n,) int64, ns UTC, ``NO_TIME`` where there is none."""
        return self.whole[:, thinning.TIME]

    def column(self, name: str) -> Float64Array:
        """(n,) float64: offset, surprise, level, status, is_anomaly or strength."""
        if name in _WHOLE:
            return self.whole[:, _WHOLE[name]].astype(np.float64)
        return self.numbers[:, _NUMBERS[name]]

    def channel(self, d: int) -> Float64Array:
        """(6, n) float64: a channel's smallest and largest value, yhat, lower, upper, share; NaN: none."""
        start = len(_NUMBERS) + d * len(thinning.CHANNEL)
        return self.numbers[:, start : start + len(thinning.CHANNEL)].T


def row_size(channels: int) -> int:
    """How many numbers a kept row of so many channels has."""
    return len(thinning.WHOLE) + len(thinning.NUMBERS) + len(thinning.CHANNEL) * channels


def single_rows(batch: Batch, found: Results, places: NDArray[np.intp], n_channels: int) -> SeriesRows:
    """Some records of a batch, of the first so many channels, as rows that stand for one each."""
    whole = np.column_stack([batch.offsets, batch.times, found.status, found.is_anomaly])[places]
    values = batch.values[places, :n_channels]
    with np.errstate(invalid="ignore"):
        values = np.where(np.abs(values) <= _LARGEST, values, np.nan)
    forecasts = (found.yhat, found.yhat_lower, found.yhat_upper, found.share)
    columns = [values, values, *(column[places, :n_channels] for column in forecasts)]
    flat = np.column_stack([found.surprise, found.level, found.alert_strength])[places]
    channels = np.stack(columns, axis=2).reshape(len(places), -1)
    return SeriesRows(1, whole.astype(np.int64), np.hstack([flat, channels]))


class Bins(NamedTuple):
    """The bins of all series that are kept, as ``kernels/thinning.py`` has them."""

    state: Int64Array
    whole: Int64Array
    numbers: Float64Array

    @classmethod
    def empty(cls, n_series: int, bins: int, channels: int) -> Bins:
        """So many bins for each of so many series; one more is spare."""
        whole = len(thinning.WHOLE)
        return cls(
            state=np.zeros((n_series, 2), np.int64),
            whole=np.zeros((n_series, bins + 1, whole), np.int64),
            numbers=np.zeros((n_series, bins + 1, row_size(channels) - whole)),
        )

    def table(self) -> Int64Array:
        """Sizes and addresses; valid while this object lives."""
        channels = (self.numbers.shape[2] - len(thinning.NUMBERS)) // len(thinning.CHANNEL)
        sizes = [len(self.state), self.whole.shape[1] - 1, channels]
        return np.array([*sizes, *map(address, self)], np.int64)


class KeptRows:
    """Rows of a run for its picture or page, in bounded memory.

    The first series are kept, as many as fit with 1,024 rows each: 300 of one
    channel, 70 of eight. The fewer there are, the more rows each has.

    Parameters
    ----------
    channels : tuple of str

    Attributes
    ----------
    channels : tuple of str
        The first ``CHANNELS`` of them.
    n_series : int
        Of so many there were records.
    """

    def __init__(self, channels: tuple[str, ...]) -> None:
        self.channels = channels[:CHANNELS]
        self.n_series = 1
        self._width = row_size(len(self.channels))
        self._bins = self._empty(1)
        self._table = self._bins.table()

    @property
    def n_kept(self) -> int:
        """Of so many series, the first, rows are kept."""
        return min(self.n_series, len(self._bins.state))

    def series(self, code: int) -> SeriesRows:
        """The rows of a series that is kept, in order."""
        seen, halved = self._bins.state[code].tolist()
        stride = 1 << halved
        used = -(-seen // stride)
        return SeriesRows(stride, self._bins.whole[code, :used], self._bins.numbers[code, :used])

    def add(self, batch: Batch, found: Results, columns: KernelColumns | None = None) -> None:
        """Take in the next records and what was found in them; ``columns`` are theirs, if there are any."""
        if not len(batch):
            return
        self.n_series = max(self.n_series, int(batch.series.max()) + 1)
        self._make_room(min(self.n_series, _ROOM // (FEWEST_BINS * self._width)))
        columns = columns or KernelColumns(batch, found)
        thinning.thin_records(address(self._table), columns.address)

    def _make_room(self, n_series: int) -> None:
        held = len(self._bins.state)
        if n_series <= held:
            return
        wider = self._empty(n_series)
        most = wider.whole.shape[1] - 1
        thinning.fit_bins(address(self._table), most)
        wider.state[:held] = self._bins.state
        wider.whole[:held, :most] = self._bins.whole[:, :most]
        wider.numbers[:held, :most] = self._bins.numbers[:, :most]
        self._bins, self._table = wider, wider.table()

    def _empty(self, n_series: int) -> Bins:
        """Bins for at least so many series, as many for each as fit."""
        room = 1 << (n_series - 1).bit_length()  # so that adding series one by one copies little
        bins = MOST_BINS
        while bins > FEWEST_BINS and bins * room * self._width > _ROOM:
            bins //= 2
        held = max(1, min(room, _ROOM // (bins * self._width)))
        return Bins.empty(held, bins, len(self.channels))
