"""Where things stand in a picture: places along x, interruptions, limits of y."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.kept import SeriesRows
from streamrnn.records import Float64Array

__all__ = ["View", "interrupted", "limits", "reined", "shifted", "span_of", "view_of"]

_DAY = 8.64e13  # ns
_GAP = 3.5  # typical steps without a record that interrupt a line
_OUTLYING = 100.0  # a range of so many usual ones would squash everything else


@dataclass(frozen=True)
class View:
    """The rows to draw, in order, and where each stands.

    Attributes
    ----------
    x : (n,) float64
        Days since 1970 where there are times, else offsets.
    step : float
        Typical distance of two rows.
    rows : (n,) int64
        Their places among the kept rows.
    """

    x: Float64Array
    step: float
    rows: NDArray[np.int64]
    timed: bool

    def at(self, ns: int, offset: int) -> float:
        """Where a moment stands."""
        return ns / _DAY if self.timed else float(offset)


def view_of(kept: SeriesRows, step: float | None = None) -> View:
    """The rows that a picture shows: all, or where some have a time those that have one.

    ``step`` is their typical distance where that is known from more rows than these.
    """
    has_time = kept.times != NO_TIME
    timed = bool(has_time.any())
    rows = np.flatnonzero(has_time) if timed else np.arange(len(kept))
    x = kept.times[rows] / _DAY if timed else kept.column("offset")[rows]
    if step is not None:
        return View(x, step, rows, timed)
    steps = np.diff(x)
    steps = steps[steps > 0.0]
    return View(x, float(np.median(steps)) if len(steps) else 1.0, rows, timed)


def interrupted(view: View, *columns: Float64Array) -> list[Float64Array]:
    """X and columns with a NaN wherever records are missing, so that lines stop there."""
    gaps = np.flatnonzero(np.diff(view.x) > _GAP * view.step) + 1 if view.timed else np.empty(0, np.int64)
    x = np.insert(view.x, gaps, view.x[gaps - 1])
    return [x, *(np.insert(column, gaps, np.nan) for column in columns)]


def shifted(flags: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """The same one place on (1) or back (-1), False where that leaves a place empty."""
    moved = np.roll(flags, by)
    moved[:1] &= by < 0
    moved[-1:] &= by > 0
    return moved


def limits(values: Float64Array) -> tuple[float, float]:
    """Limits that hold all values, or where a few are far off all others, and some room."""
    known = values[~np.isnan(values)]
    if not len(known):
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    bottom, top = np.quantile(known, (0.02, 0.98)).tolist()
    if high - low > _OUTLYING * (top - bottom) > 0.0:
        low, high = max(low, 2.0 * bottom - top), min(high, 2.0 * top - bottom)
    room = high - low or abs(high) or 1.0
    return low - 0.08 * room, high + 0.14 * room


def reined(
    channel: Float64Array, known: tuple[float, float] | None = None
) -> tuple[float, float, Float64Array]:
    """Limits of a kept channel's values, and its forecast and interval (3, n) at most twice as far out.

    Farther out nothing is lost, and no huge number upsets the drawing. ``known`` are the
    limits where they are known from more rows than these.
    """
    low, high = limits(channel[:2].ravel()) if known is None else known
    reach = 2.0 * (high - low)
    return low, high, np.clip(channel[2:5], low - reach, high + reach)


def span_of(view: View, start: tuple[int, int], end: tuple[int, int]) -> tuple[float, float]:
    """Both ends of a span given by (ns, offset), half a step wider, so that one record shows."""
    return view.at(*start) - 0.5 * view.step, view.at(*end) + 0.5 * view.step
