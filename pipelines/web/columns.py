"""The kept rows of a series as the columns that its figures draw."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.kept import SeriesRows
from streamrnn.pipelines.view import View, interrupted, reined, view_of
from streamrnn.records import STATUSES, Float64Array

__all__ = ["BREAK", "SeriesColumns", "at_x", "columns_of", "last_of"]

BREAK = 255  # the status of a place without a record, where lines stop
_DAY_MS = 86_400_000.0
_LEARNED_FROM = [STATUSES.index(name) for name in ("warming", "provisional", "calibrated")]


@dataclass(frozen=True)
class SeriesColumns:
    """What the figures of a series draw.

    Attributes
    ----------
    stride : int
        Records that one row stands for.
    timed : bool
        Whether x is a time, ms since 1970 UTC; else it is the record's offset.
    step : float
        Typical distance of two rows along x.
    limits : tuple of (float, float)
        Of each channel, between which its values lie, but for a few that are far off.
    rows : mapping of str to (n,) array
        ``x``, ``offset``, ``surprise``, ``threshold`` (of surprise), ``status`` and ``hit`` (uint8),
        ``learned`` (uint8: 1 if the record was learned from); in all but x NaN or ``BREAK`` where
        lines stop.
    channels : tuple of mappings of str to (n,) float64
        Of each channel ``low``, ``high``, ``yhat``, ``lower``, ``upper``, ``share``.
    """

    stride: int
    timed: bool
    step: float
    limits: tuple[tuple[float, float], ...]
    rows: dict[str, NDArray[Any]]
    channels: tuple[dict[str, Float64Array], ...]


def columns_of(
    rows: SeriesRows, n_channels: int, *, learns_anomalies: bool, like: SeriesColumns | None = None
) -> SeriesColumns:
    """The columns of a series of so many kept channels.

    ``like`` are those of more rows of the series, whose step and limits hold for these, too.
    """
    unit = _DAY_MS if like is not None and like.timed else 1.0
    view = view_of(rows, None if like is None else like.step / unit)
    scale = _DAY_MS if view.timed else 1.0
    names = ("offset", "surprise", "level", "status", "is_anomaly")
    x, offset, surprise, level, status, hit = interrupted(
        view, *(rows.column(name)[view.rows] for name in names)
    )
    limits, channels = [], []
    for d in range(n_channels):
        known = None if like is None else like.limits[d]
        low, high, columns = _channel(view, rows.channel(d)[:, view.rows], known)
        limits.append((low, high))
        channels.append(columns)
    learned = np.isin(status, _LEARNED_FROM) & ((hit == 0.0) | learns_anomalies)
    return SeriesColumns(
        stride=rows.stride,
        timed=view.timed,
        step=view.step * scale,
        limits=tuple(limits),
        rows={
            "x": x * scale,
            "offset": offset,
            "surprise": surprise,
            "threshold": -np.log10(level),
            "status": _small(status),
            "hit": _small(hit),
            "learned": np.where(np.isnan(status), BREAK, learned).astype(np.uint8),
        },
        channels=tuple(channels),
    )


def last_of(columns: SeriesColumns, n: int) -> SeriesColumns:
    """The last so many records, and the interruption before them where there is one."""
    status = columns.rows["status"]
    records = np.flatnonzero(status != BREAK)
    start = len(status) if n <= 0 else int(records[-min(n, len(records))])
    start -= n > 0 and start > 0 and status[start - 1] == BREAK
    return replace(
        columns,
        rows={name: column[start:] for name, column in columns.rows.items()},
        channels=tuple(
            {name: column[start:] for name, column in channel.items()} for channel in columns.channels
        ),
    )


def at_x(ns: int, offset: int, *, timed: bool) -> float | None:
    """Where a moment stands along x; None where that is not known."""
    if not timed:
        return float(offset)
    return None if ns == NO_TIME else ns / 1e6


def _channel(
    view: View, channel: Float64Array, known: tuple[float, float] | None
) -> tuple[float, float, dict[str, Float64Array]]:
    low, high, forecasts = reined(channel, known)
    _, *columns = interrupted(view, *channel[:2], *forecasts, channel[5])
    return low, high, dict(zip(("low", "high", "yhat", "lower", "upper", "share"), columns, strict=True))


def _small(column: Float64Array) -> NDArray[np.uint8]:
    return np.where(np.isnan(column), BREAK, column).astype(np.uint8)
