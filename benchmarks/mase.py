"""How good forecasts are: errors against last value on the same rows, and what their intervals cover."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.bool_]

HORIZONS = (1, 4, 24)  # records ahead
FIRST_ROW = HORIZONS[-1]  # the first one that every horizon can have a forecast for


@dataclass(frozen=True)
class Forecasts:
    """What was forecast for each row of one channel.

    Attributes
    ----------
    centre : (n, horizons) float64, sensor units
        ``centre[t, k]`` is for row t, made at row ``t - HORIZONS[k]``; NaN = none.
    lower, upper : (n, horizons) float64, sensor units, or None
        Interval of 90 %; None: the forecaster gives none.
    """

    centre: Array
    lower: Array | None = None
    upper: Array | None = None


def for_their_rows(made: Array) -> Array:
    """(n, horizons) forecasts, moved from the row that each was made at to the row that it is for."""
    moved = np.full_like(made, np.nan)
    for k, horizon in enumerate(HORIZONS):
        moved[horizon:, k] = made[:-horizon, k]
    return moved


def last_value(values: Array) -> Array:
    """(n, horizons): every forecast is the value that it was made at."""
    return for_their_rows(np.repeat(values[:, None], len(HORIZONS), axis=1))


def scaled_errors(values: Array, centre: Array, rows: Rows) -> Array:
    """(horizons,) mean absolute error divided by last value's (MASE).

    Both are taken over those of the rows that both have a forecast for; NaN
    where there is none, or where last value is never wrong.

    Parameters
    ----------
    values : (n,) float64
    centre : (n, horizons) float64
        As in ``Forecasts``.
    rows : (n,) bool
    """
    wrong, bound = np.abs(values[:, None] - centre), np.abs(values[:, None] - last_value(values))
    both = rows[:, None] & np.isfinite(wrong) & np.isfinite(bound)
    sums = np.where(both, bound, 0.0).sum(axis=0)
    return np.where(both, wrong, 0.0).sum(axis=0) / np.where(sums > 0.0, sums, np.nan)


def covered(values: Array, forecasts: Forecasts, rows: Rows) -> Array:
    """(horizons,) share of the rows with an interval whose value lies in it; NaN without any."""
    if forecasts.lower is None or forecasts.upper is None:
        return np.full(len(HORIZONS), np.nan)
    known = rows[:, None] & np.isfinite(forecasts.lower) & np.isfinite(forecasts.upper)
    known &= np.isfinite(values)[:, None]
    inside = (forecasts.lower <= values[:, None]) & (values[:, None] <= forecasts.upper)
    counts = known.sum(axis=0)
    return (known & inside).sum(axis=0) / np.where(counts > 0, counts, np.nan)


def rows_from(n: int, first: int = FIRST_ROW, end: int | None = None) -> Rows:
    """(n,) whether a row lies from first on, before end."""
    index = np.arange(n)
    return (index >= first) & (index < (n if end is None else end))


def rows_after(n: int, changes: tuple[int, ...], count: int) -> Rows:
    """(n,) whether a row is among the first so many from one of the changes on."""
    rows = np.zeros(n, np.bool_)
    for change in changes:
        rows[change : change + count] = True
    return rows & rows_from(n)
