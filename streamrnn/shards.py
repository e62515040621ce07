"""Which records of a batch go through the kernel together, and after what."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamrnn.space import Int64Array

__all__ = ["Lot", "lots", "shards", "sorting"]


class Lot(NamedTuple):
    """Records behind each other in a batch that is sorted.

    Attributes
    ----------
    start, stop : int
    series : (…,) int64
        Codes of their series, each once, in the order of their records.
    heads : (…,) int64
        First record of each.
    anew : bool
        Whether these series begin anew.
    """

    start: int
    stop: int
    series: Int64Array
    heads: Int64Array
    anew: bool


def sorting(
    series: NDArray[np.int32], anew: NDArray[np.bool_], there: NDArray[np.bool_]
) -> tuple[Int64Array, Int64Array]:
    """(order, lives) of the records of a batch: by the lives of their series, then by series.

    A series begins its next life where ``anew`` says so. Within a life those come first that
    are ``there``, in memory, before others take their places.

    Parameters
    ----------
    series : (n,) int32
    anew : (n,) bool
    there : (n,) bool

    Returns
    -------
    order, lives : (n,) int64
        Lives in that order: how often the record's series began anew in this batch, up to it.
    """
    order = np.argsort(series, kind="stable")
    counted = np.cumsum(anew[order])
    heads = np.append(True, np.diff(series[order]) != 0) if len(series) else np.empty(0, np.bool_)
    first = np.maximum.accumulate(np.where(heads, np.arange(len(series)), 0))
    lives: Int64Array = counted - (counted - anew[order])[first]
    again = np.lexsort((series[order], ~there[order], lives))
    return order[again], lives[again]


def lots(series: NDArray[np.int32], lives: Int64Array, most: int) -> Iterator[Lot]:
    """The records of a sorted batch, so cut that a lot has at most ``most`` series; 0: any number."""
    n = len(series)
    if not n:
        return
    heads = np.flatnonzero(np.append(True, (np.diff(series) != 0) | (np.diff(lives) != 0)))
    borders = np.flatnonzero(np.diff(lives[heads])) + 1
    for first, last in zip([0, *borders.tolist()], [*borders.tolist(), len(heads)], strict=True):
        for at in range(first, last, most or last - first):
            own = heads[at : min(at + most, last) if most else last]
            end = at + len(own)
            stop = int(heads[end]) if end < len(heads) else n
            yield Lot(int(own[0]), stop, series[own].astype(np.int64), own, bool(lives[own[0]]))


def shards(lot: Lot, count: int) -> list[tuple[int, int]]:
    """A lot in at most so many parts of about as many records, no series in two of them."""
    wanted = lot.start + (lot.stop - lot.start) * np.arange(1, count) // count
    cuts = np.append(lot.heads, lot.stop)[np.searchsorted(lot.heads, wanted)]
    bounds = np.unique([lot.start, *cuts.tolist(), lot.stop]).tolist()
    return list(pairwise(bounds))
