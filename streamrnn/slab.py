"""Rows of memory in pages: a fleet grows and shrinks, and no row ever moves."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray

from streamrnn.space import aligned_bytes

__all__ = ["Slab"]

_PAGE_BYTES = 32 << 20  # untouched rows of a page cost nothing: the system gives memory on use
_PAGE = 32  # bits of a place below the number of its page


class Slab:
    """Aligned rows of one size.

    A page holds half as many rows as there are, at most 32 MiB: adding rows one by one
    allocates seldom, and growing copies nothing. The lowest free place is used first, so
    that the last pages empty themselves.

    Parameters
    ----------
    row_bytes : int
        A multiple of 64.
    most : int
        Rows that there may be at most, free ones too; 0: any number.

    Attributes
    ----------
    used : int
        Rows that are taken.
    held : int
        Rows that there is memory for.
    """

    def __init__(self, row_bytes: int, most: int = 0) -> None:
        self._row_bytes, self._most = row_bytes, most
        self._pages: list[NDArray[np.uint8] | None] = []
        self._of_page: list[int] = []  # taken rows of each
        self._free: list[int] = []
        self.used = self.held = 0

    def take(self) -> int:
        """The place of a row that nobody uses; what it holds is left over.

        Raises
        ------
        MemoryError
            Where all ``most`` rows are taken.
        """
        if not self._free:
            self._grow()
        place = heappop(self._free)
        self._of_page[place >> _PAGE] += 1
        self.used += 1
        return place

    def free(self, place: int) -> None:
        """Give a row back."""
        heappush(self._free, place)
        self._of_page[place >> _PAGE] -= 1
        self.used -= 1

    def adopt(self, rows: NDArray[np.uint8]) -> range:
        """Have rows, (rows, row bytes), be taken ones where they lie, a page of their own; their places."""
        self._pages.append(rows.reshape(-1))
        self._of_page.append(len(rows))
        self.used += len(rows)
        self.held += len(rows)
        first = (len(self._pages) - 1) << _PAGE
        return range(first, first + len(rows))

    def row(self, place: int) -> NDArray[np.uint8]:
        """The bytes of a row that is taken; they stay where they are."""
        page, at = self._pages[place >> _PAGE], (place & ((1 << _PAGE) - 1)) * self._row_bytes
        if page is None:
            raise IndexError(f"there is no row at {place}")
        return page[at : at + self._row_bytes]

    def trim(self) -> None:
        """Give the memory of empty pages back to the system."""
        empty = {i for i, page in enumerate(self._pages) if page is not None and not self._of_page[i]}
        for i in empty:
            page = self._pages[i]
            self.held -= 0 if page is None else len(page) // self._row_bytes
            self._pages[i] = None
        if empty:
            self._free = [place for place in self._free if place >> _PAGE not in empty]
            heapify(self._free)

    def _grow(self) -> None:
        rows = max(1, min(self.held // 2, _PAGE_BYTES // self._row_bytes))
        if self._most:
            rows = min(rows, self._most - self.held)
        if rows < 1:
            raise MemoryError(f"all {self._most} rows are taken")
        number = next((i for i, page in enumerate(self._pages) if page is None), len(self._pages))
        if number == len(self._pages):
            self._pages.append(None)
            self._of_page.append(0)
        self._pages[number] = aligned_bytes(rows * self._row_bytes)
        for at in range(rows):
            heappush(self._free, number << _PAGE | at)
        self.held += rows
