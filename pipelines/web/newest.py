"""The newest records of each series, every single one; in bounded memory."""

from __future__ import annotations

import numpy as np

from streamrnn.kernels import thinning
from streamrnn.pipelines.kept import CHANNELS, Bins, SeriesRows, row_size
from streamrnn.pipelines.kernel_columns import KernelColumns
from streamrnn.records import Batch, Int64Array, Results
from streamrnn.space import address

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
        self._kept = 0
        self._rings = Bins.empty(0, _MOST, self._channels)
        self._table = self._rings.table()

    @property
    def n_kept(self) -> int:
        """Of so many series, the first, rows are kept."""
        return self._kept

    def seen(self, code: int) -> int:
        """How many records of a series there were."""
        return int(self._rings.state[code, thinning.SEEN]) if code < self._kept else 0

    def held(self, code: int) -> int:
        """How many of them are kept."""
        return min(self.seen(code), self._most)

    def series(self, code: int, most: int = _MOST) -> SeriesRows:
        """A copy of the last rows of a series that is kept, in order."""
        places = self._places(code, min(most, self._most))
        return SeriesRows(1, self._rings.whole[code, places], self._rings.numbers[code, places])

    def add(self, batch: Batch, found: Results, columns: KernelColumns | None = None) -> None:
        """Take in the next records and what was found in them; ``columns`` are theirs, if there are any."""
        if not len(batch):
            return
        self.make_room(int(batch.series.max()) + 1)
        columns = columns or KernelColumns(batch, found)
        thinning.keep_newest(address(self._table), columns.address)

    def make_room(self, n_series: int) -> None:
        """Have places for so many series, or as many of them as fit."""
        row = row_size(self._channels)
        wanted = min(n_series, max(_ROOM // (_FEWEST * row), 1))
        if wanted <= self._kept:
            return
        room = 1 << (wanted - 1).bit_length()  # so that adding series one by one copies little
        most = self._most
        while most > _FEWEST and most * room * row > _ROOM:
            most //= 2
        if room > len(self._rings.state):
            self._grow(max(1, min(room, _ROOM // (most * row))), most)
        self._kept = min(wanted, len(self._rings.state))
        self._table[thinning.BIN_SERIES] = self._kept

    @property
    def _most(self) -> int:
        """Rows of a series."""
        return int(self._rings.whole.shape[1]) - 1

    def _places(self, code: int, most: int) -> Int64Array:
        seen = self.seen(code)
        return np.mod(np.arange(max(seen - most, 0), seen), self._most)

    def _grow(self, held: int, most: int) -> None:
        wider = Bins.empty(held, most, self._channels)
        for code in range(self._kept):
            old = self._places(code, most)
            seen = self.seen(code)
            new = np.arange(seen - len(old), seen) % most
            wider.state[code] = self._rings.state[code]
            wider.whole[code, new] = self._rings.whole[code, old]
            wider.numbers[code, new] = self._rings.numbers[code, old]
        self._rings, self._table = wider, wider.table()
