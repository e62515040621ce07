"""The states of a fleet's series: in memory within a budget, the others in a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import DataError, StateError
from streamrnn.slab import Slab
from streamrnn.space import Int64Array, address, aligned_bytes, is_aligned
from streamrnn.spill import SpillStore
from streamrnn.state import HERE, NOWHERE, STORED

__all__ = ["Rows"]

Row = NDArray[np.uint8]
_ABSENT = -1  # place of a series that is not in memory
_AT_ONCE = 64  # of the rows in memory this share is spilled together: looking for the oldest takes a while


class Rows:
    """Rows by the codes of series. A series that has none yet, or was forgotten, has the template's.

    Parameters
    ----------
    template : (row bytes,) uint8
        What a series begins with.
    keys : sequence of str
        By code; grows.
    check : callable
        Raises StateError where a row that comes from outside cannot be one.
    most : int
        Rows in memory at most; 0: any number.
    spill : SpillStore or None

    Attributes
    ----------
    addresses : (codes or more,) int64
        Of each series' row; 0: not in memory. Kernels read them.
    stored : (codes or more,) bool
        Whether the store has it.
    lives : (codes or more,) int64
        How often each began anew.
    spilled, restored : int
    """

    def __init__(
        self,
        template: Row,
        keys: Sequence[str],
        check: Callable[[Row], None],
        most: int,
        spill: SpillStore | None,
    ) -> None:
        self.template, self.most = template, most
        self._keys, self._check, self._spill = keys, check, spill
        self._slab = Slab(len(template), most)
        self.addresses = np.zeros(1, np.int64)
        self.stored = np.zeros(1, np.bool_)
        self.lives = np.zeros(1, np.int64)
        self._places = np.full(1, _ABSENT)
        self._used = np.zeros(1, np.int64)
        self._turn = self.spilled = self.restored = 0

    @property
    def in_memory(self) -> int:
        """How many there are."""
        return self._slab.used

    def counts(self) -> tuple[int, int, int, int]:
        """(in memory, in the store, spilled, restored)."""
        return self.in_memory, int(np.count_nonzero(self.stored)), self.spilled, self.restored

    @property
    def held_bytes(self) -> int:
        """Memory that is taken from the system for rows, free ones too."""
        return self._slab.held * len(self.template)

    def make_room(self, codes: int) -> None:
        """Have room for so many series' addresses."""
        more = codes - len(self.addresses)
        if more > 0:
            more = max(more, len(self.addresses) // 2)
            self.addresses = np.append(self.addresses, np.zeros(more, np.int64))
            self.stored = np.append(self.stored, np.zeros(more, np.bool_))
            self.lives = np.append(self.lives, np.zeros(more, np.int64))
            self._places = np.append(self._places, np.full(more, _ABSENT))
            self._used = np.append(self._used, np.zeros(more, np.int64))

    def row(self, code: int) -> Row:
        """A series' row in memory, brought there if need be."""
        if not self.addresses[code]:
            self.bring(np.array([code]))
        return self._slab.row(int(self._places[code]))

    def peek(self, code: int) -> Row:
        """A series' row to look at, wherever it is; changes nothing."""
        if self.addresses[code]:
            return self._slab.row(int(self._places[code]))
        return self._from_store(code) if self.stored[code] else self.template

    def bring(self, codes: Int64Array) -> None:
        """Have the rows of these series, each named once, in memory: at most ``most``."""
        self._turn += 1
        self._used[codes] = self._turn
        missing = codes[self.addresses[codes] == 0]
        if self.most and self.in_memory + len(missing) > self.most:
            self._spill_oldest(self.in_memory + len(missing) - self.most)
        for code in missing.tolist():
            stored = bool(self.stored[code])
            self._put(code, self.peek(code))
            if stored and self._spill is not None:
                self._spill.drop(self._keys[code])
                self.stored[code] = False
                self.restored += 1

    def bring_all(self, series: Int64Array, known: int) -> None:
        """Have the rows of the series of some records in memory.

        Raises
        ------
        DataError
            Where one of them is not among the ``known`` series, or they do not fit all at once.
        """
        codes = np.unique(series)
        if len(codes) and not 0 <= codes[0] <= codes[-1] < known:
            raise DataError(f"the call has series {codes[0]} to {codes[-1]}, the fleet has {known} series")
        if self.most and len(codes) > self.most:
            raise DataError(
                f"the call has {len(codes):,} series, memory has room for {self.most:,}: "
                "process records as a batch, or raise the budget"
            )
        self.bring(codes)

    def places(self, codes: int, *, whole: bool) -> Row:
        """(codes,) uint8: where the rows of the first series are; if whole, those in the store are here."""
        stored, here = self.stored[:codes], self.addresses[:codes] != 0
        return np.select([here | (stored & whole), stored], [HERE, STORED], NOWHERE).astype(np.uint8)

    def go_on(self, places: Row, rows: NDArray[np.uint8], *, adopt: bool) -> None:
        """Take saved rows, (rows, row bytes): into memory, and where that is full into the store.

        With ``adopt`` they stay where they are, if kernels can work on them there.
        """
        self.stored[: len(places)] |= places == STORED
        codes = np.flatnonzero(places == HERE)
        if adopt and len(rows) and not self.most and rows.flags.writeable and is_aligned(rows):
            self._places[codes] = self._slab.adopt(rows)
            self.addresses[codes] = address(rows) + len(self.template) * np.arange(len(rows))
            return
        for code, row in zip(codes.tolist(), rows, strict=True):
            if self.most and self.in_memory == self.most:
                self._store(code, row)
            else:
                self._put(code, row)

    def renew(self, codes: Int64Array) -> None:
        """Have series begin anew, as the template has it when they speak again."""
        self.lives[codes] += 1
        for code in codes.tolist():
            if self.stored[code] and self._spill is not None:
                self._spill.drop(self._keys[code])
                self.stored[code] = False
            if self.addresses[code]:
                self._release(code)

    def trim(self) -> None:
        """Give memory that is free back to the system."""
        self._slab.trim()

    def _spill_oldest(self, needed: int) -> None:
        """Put at least so many rows into the store: those used longest ago, of those the lowest codes."""
        present = np.flatnonzero(self.addresses)
        present = present[self._used[present] < self._turn]
        count = min(len(present), max(needed, self.most // _AT_ONCE))
        for code in present[np.argsort(self._used[present], kind="stable")[:count]].tolist():
            self._store(code, self._slab.row(int(self._places[code])))
            self._release(code)
            self.spilled += 1

    def _put(self, code: int, row: Row) -> None:
        place = self._slab.take()
        mine = self._slab.row(place)
        mine[:] = row
        self._places[code], self.addresses[code] = place, address(mine)

    def _store(self, code: int, row: Row) -> None:
        if self._spill is None:
            raise StateError("there are more series than fit into memory and no store for them")
        self._spill.put(self._keys[code], row.tobytes())
        self.stored[code] = True

    def _release(self, code: int) -> None:
        self._slab.free(int(self._places[code]))
        self._places[code], self.addresses[code] = _ABSENT, 0

    def _from_store(self, code: int) -> Row:
        key = self._keys[code]
        state = None if self._spill is None else self._spill.get(key)
        if state is None:
            raise StateError(f"the state of series {key!r} is not in the store where it was put")
        row = aligned_bytes(len(state))
        row[:] = np.frombuffer(state, np.uint8)
        self._check(row)
        return row
