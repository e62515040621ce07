"""The newest records of each series, every single one; in bounded memory."""

from __future__ import annotations

import numpy as np

from streamrnn.kernels import thinning
from streamrnn.kernels.plan import LATE
from streamrnn.pipelines.kept import CHANNELS, SeriesRows, single_rows
from streamrnn.records import Batch, Float64Array, Int64Array, Results

__all__ = ["NewestRows"]

_MOST, _FEWEST = 2048, 512  # rows of a series
_ROOM = 4_000_000  # numbers of all series together: 32 MB


class NewestRows:
    """A ring of the newest records of each series.

    The first series are kept, as many as fit with 512 rows each: 600 of one channel,
    140 of eight. The fewer there are, the more rows each has, up to 2,048.

    Parameters
    ----------
    channels : tuple of str

    Examples
    --------
    >>> from streamrnn import Batch, Fleet, Settings
    >>> fleet, newest = Fleet(Settings(channels=["level"])), NewestRows(("level",))
    >>> batch = Batch.of_one_series(np.arange(3000.0)[:, None])
    >>> newest.add(batch, fleet.process(batch))
    >>> newest.seen(0), len(newest.series(0)), newest.series(0).channel(0)[0, [0, -1]].tolist()
    (3000, 2048, [952.0, 2999.0])
    """

    def __init__(self, channels: tuple[str, ...]) -> None:
        self._channels = min(len(channels), CHANNELS)
        self._width = len(thinning.NUMBERS) + len(thinning.CHANNEL) * self._channels
        self._seen = np.zeros(0, np.int64)
        self._whole, self._numbers = self._empty(0, _MOST)

    @property
    def n_kept(self) -> int:
        """Of so many series, the first, rows are kept."""
        return len(self._seen)

    def seen(self, code: int) -> int:
        """How many records of a series there were."""
        return int(self._seen[code]) if code < self.n_kept else 0

    def held(self, code: int) -> int:
        """How many of them are kept."""
        return min(self.seen(code), int(self._whole.shape[1]))

    def series(self, code: int, most: int = _MOST) -> SeriesRows:
        """A copy of the last rows of a series that is kept, in order."""
        places = self._places(code, min(most, self._whole.shape[1]))
        return SeriesRows(1, self._whole[code, places], self._numbers[code, places])

    def add(self, batch: Batch, found: Results) -> None:
        """Take in the next records and what was found in them."""
        if not len(batch):
            return
        self.make_room(int(batch.series.max()) + 1)
        places = np.flatnonzero((found.status < LATE) & (batch.series < self.n_kept))
        if not len(places):
            return
        codes = batch.series[places]
        order = np.argsort(codes, kind="stable")
        places, codes = places[order], codes[order]
        counts = np.bincount(codes, minlength=self.n_kept)
        before = np.repeat(np.cumsum(counts) - counts, counts)  # records of lower codes
        slots = (self._seen[codes] + np.arange(len(codes)) - before) % self._whole.shape[1]
        rows = single_rows(batch, found, places, self._channels)
        self._whole[codes, slots] = rows.whole  # of one place the last counts
        self._numbers[codes, slots] = rows.numbers
        self._seen += counts

    def make_room(self, n_series: int) -> None:
        """Have places for so many series, or as many of them as fit."""
        row = len(thinning.WHOLE) + self._width
        wanted = min(n_series, max(_ROOM // (_FEWEST * row), 1))
        if wanted <= self.n_kept:
            return
        room = 1 << (wanted - 1).bit_length()  # so that adding series one by one copies little
        most = self._whole.shape[1]
        while most > _FEWEST and most * room * row > _ROOM:
            most //= 2
        if room > len(self._whole):
            self._grow(max(1, min(room, _ROOM // (most * row))), most)
        self._seen = np.append(self._seen, np.zeros(min(wanted, len(self._whole)) - self.n_kept, np.int64))

    def _places(self, code: int, most: int) -> Int64Array:
        seen = int(self._seen[code])
        return np.mod(np.arange(max(seen - most, 0), seen), self._whole.shape[1])

    def _grow(self, held: int, most: int) -> None:
        whole, numbers = self._empty(held, most)
        for code in range(self.n_kept):
            old = self._places(code, most)
            seen = int(self._seen[code])
            new = np.arange(seen - len(old), seen) % most
            whole[code, new], numbers[code, new] = self._whole[code, old], self._numbers[code, old]
        self._whole, self._numbers = whole, numbers

    def _empty(self, held: int, most: int) -> tuple[Int64Array, Float64Array]:
        shape = (held, most)
        return np.zeros((*shape, len(thinning.WHOLE)), np.int64), np.zeros((*shape, self._width))
