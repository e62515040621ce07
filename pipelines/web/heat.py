"""The fleet at a glance: how surprising each series was, over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from streamrnn.pipelines.kept import SeriesRows
from streamrnn.pipelines.view import View, view_of
from streamrnn.records import Float64Array

__all__ = ["Heat", "Kept", "heat_of", "worst_first"]

_COLUMNS = 240
_DAY_MS = 86_400_000.0


class Kept(Protocol):
    """The rows of the first series of a run."""

    @property
    def n_kept(self) -> int:
        """Of so many series rows are kept."""

    def series(self, code: int) -> SeriesRows:
        """Those of one series."""


@dataclass(frozen=True)
class Heat:
    """The largest surprise of each series in each of some equal stretches.

    Attributes
    ----------
    codes : tuple of int
        The series, from the first row on.
    timed : bool
    start, end : float
        Along x: ms since 1970 UTC, or offsets.
    cells : (series, stretches) float64
        -log10 p, at least 0; NaN: no scored record.
    """

    codes: tuple[int, ...]
    timed: bool
    start: float
    end: float
    cells: Float64Array


def heat_of(kept: Kept, order: Sequence[int]) -> Heat | None:
    """The strip of those series that are kept, in this order; None where none has a record.

    Where some series have times, those without stay away.
    """
    rows = {code: kept.series(code) for code in order if code < kept.n_kept}
    views = {code: view_of(rows[code]) for code in rows}
    timed = any(view.timed for view in views.values())
    views = {code: view for code, view in views.items() if view.timed == timed and len(view.x)}
    if not views:
        return None
    start = min(float(view.x.min()) for view in views.values())
    end = max(float(view.x.max()) + view.step for view in views.values())
    cells = np.full((len(views), _COLUMNS), np.nan)
    for row, (code, view) in zip(cells, views.items(), strict=True):
        _fill(row, view, rows[code].column("surprise")[view.rows], start, end)
    scale = _DAY_MS if timed else 1.0
    return Heat(tuple(views), timed, start * scale, end * scale, cells)


def worst_first(kept: Kept, codes: Iterable[int]) -> list[int]:
    """Series by the largest surprise in the newest quarter of their kept rows."""

    def worst(code: int) -> float:
        surprise = kept.series(code).column("surprise")
        return float(np.nan_to_num(surprise[-(len(surprise) // 4 + 1) :], nan=-1.0).max(initial=-1.0))

    return sorted(codes, key=worst, reverse=True)


def _fill(row: Float64Array, view: View, surprise: Float64Array, start: float, end: float) -> None:
    scored = ~np.isnan(surprise)
    places = ((view.x[scored] - start) * (len(row) / (end - start))).astype(np.int64)
    np.minimum(places, len(row) - 1, out=places)
    row[places] = -np.inf  # where there is none it stays NaN
    np.maximum.at(row, places, surprise[scored])
