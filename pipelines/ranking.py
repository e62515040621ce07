"""How well scores rank labelled records above the others, whatever the threshold."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from streamrnn.records import Float64Array, Int64Array

__all__ = ["SEASON_RECORDS", "auc_pr", "precision_recall", "ranked", "season_window", "vus_pr"]

_THRESHOLDS = 250  # of VUS-PR, as in TSB-AD
SEASON_RECORDS = 20_000  # that the season is looked for in
_SHORTEST_LAG, _LONGEST_LAG = 3, 400  # autocorrelations that are looked at
_LONGEST_SEASON = 303
_NO_SEASON = 125


def auc_pr(labels: NDArray[np.bool_], scores: Float64Array) -> float:
    """Area under the precision-recall curve, as average precision.

    Equal scores are one threshold, and no two points of the curve are joined by a line
    (Davis and Goadrich 2006).

    Parameters
    ----------
    labels : (n,) bool
        True = anomalous.
    scores : (n,) float64
        High = anomalous; no NaN.

    Returns
    -------
    float
        0 to 1; random scores get the share of labelled records. NaN: nothing is labelled.

    Examples
    --------
    >>> auc_pr(np.array([False, True, False, True]), np.array([0.1, 0.9, 0.5, 0.4]))
    0.8333333333333333
    """
    if not labels.any():
        return math.nan
    precision, recall = precision_recall(labels, scores)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def precision_recall(labels: NDArray[np.bool_], scores: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Precision and recall at every score that occurs, falling: (scores,) float64, 0 to 1 each.

    Examples
    --------
    >>> precision, recall = precision_recall(np.array([False, True, True]), np.array([2.0, 3.0, 2.0]))
    >>> precision.round(2).tolist(), recall.tolist()
    ([1.0, 0.67], [0.5, 1.0])
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # of records of one score
    found = np.cumsum(labels[order])[last]
    return found / (last + 1), found / max(int(labels.sum()), 1)


def ranked(scores: Float64Array) -> Float64Array:
    """Scores of a series, with the lowest one for records that have none.

    Examples
    --------
    >>> ranked(np.array([np.nan, 2.0, 0.5])).tolist()
    [0.5, 2.0, 0.5]
    """
    none = np.isnan(scores)
    return np.where(none, 0.0 if none.all() else np.min(scores[~none]), scores)


def vus_pr(labels: NDArray[np.bool_], scores: Float64Array, window: int = 100) -> float:
    """Volume under the surface of precision and recall: AUC-PR with blurred edges of labels.

    Paparrizos et al. (2022), doi:10.14778/3551793.3551830. For each width w = 0..window
    labels fall off over w/2 records on both sides of a labelled range, at distance d as
    sqrt(1 - d/w); recall is multiplied by the share of ranges that hold a detection. The
    value is the mean over the widths of the areas. Equal to the ``opt`` version of TSB-AD
    (https://github.com/TheDatumOrg/TSB-AD), with its 250 thresholds.

    Parameters
    ----------
    labels : (n,) bool
        True = anomalous.
    scores : (n,) float64
        High = anomalous; no NaN.
    window : int
        The largest width, records; ``season_window`` says which one TSB-AD would take.

    Returns
    -------
    float
        0 to 1; NaN: nothing is labelled.

    Examples
    --------
    >>> labels = np.arange(300) // 50 == 3
    >>> late = np.roll(labels, 10) * 1.0
    >>> round(vus_pr(labels, late, window=0), 2), round(vus_pr(labels, late, window=40), 2)
    (0.67, 0.84)
    """
    if not labels.any():
        return math.nan
    steps = _Thresholds(scores)
    ranges = _Ranges(labels, steps.first)
    flanks = _Flanks(labels, ranges, window // 2)
    positives = int(labels.sum())
    hit = steps.at_each(steps.first[labels])  # labelled records over each threshold
    areas = []
    for width in range(window + 1):
        ranges.widen_to(width // 2)
        soft = steps.at_each(steps.first[flanks.rows], flanks.weights(width))
        recall = np.minimum((hit + soft) / (positives + 0.5 * soft), 1.0)
        recall *= steps.at_each(ranges.merged_first()) / ranges.n_merged
        areas.append(np.sum(np.diff(recall, prepend=0.0) * (hit + soft) / steps.over))
    return float(np.mean(areas))


class _Thresholds:
    """Thresholds at evenly spread places of the sorted scores, falling.

    Attributes
    ----------
    over : (thresholds,) int64
        Records at or over each.
    first : (n,) int64
        The first threshold that each record is at or over; their number: none.
    """

    def __init__(self, scores: Float64Array) -> None:
        n = len(scores)
        rising = np.sort(scores)
        places = np.linspace(0, n - 1, _THRESHOLDS).astype(np.int64)
        thresholds = rising[::-1][places]
        self.over = n - np.searchsorted(rising, thresholds, side="left")
        self.first = _THRESHOLDS - np.searchsorted(thresholds[::-1], scores, side="right")

    @staticmethod
    def at_each(first: Int64Array, weights: Float64Array | None = None) -> Float64Array:
        """(thresholds,) how many, or what weight, of some records are over each threshold."""
        counts = np.bincount(first, weights, minlength=_THRESHOLDS + 1)
        return np.cumsum(counts)[:_THRESHOLDS].astype(np.float64)


class _Ranges:
    """The labelled ranges, widened more and more, and the first threshold that each is found at."""

    def __init__(self, labels: NDArray[np.bool_], first: Int64Array) -> None:
        edges = np.diff(labels.astype(np.int8), prepend=0, append=0)
        self.starts, self.ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
        self._first = first
        bounds = np.column_stack([self.starts, self.ends + 1]).ravel()
        self._found = np.minimum.reduceat(np.append(first, _THRESHOLDS), bounds)[::2]
        self._width = 0

    def widen_to(self, width: int) -> None:
        """Take in so many records on both sides; never fewer than before."""
        for at in range(self._width + 1, width + 1):
            for rows in (self.starts - at, self.ends + at):
                inside = (rows >= 0) & (rows < len(self._first))
                found = self._first[rows[inside]]
                self._found[inside] = np.minimum(self._found[inside], found)
        self._width = width

    @property
    def _heads(self) -> Int64Array:
        """The first range of each group that has grown together."""
        apart = self.ends[:-1] + self._width < self.starts[1:] - self._width
        return np.append(0, np.flatnonzero(apart) + 1)

    @property
    def n_merged(self) -> int:
        """Ranges, those that have grown together as one."""
        return len(self._heads)

    def merged_first(self) -> Int64Array:
        """The first threshold that each of them is found at."""
        return np.minimum.reduceat(self._found, self._heads)


class _Flanks:
    """The records beside labelled ranges, and how much of a label each has.

    Attributes
    ----------
    rows : (m,) int64
    """

    def __init__(self, labels: NDArray[np.bool_], ranges: _Ranges, reach: int) -> None:
        away = np.arange(1, reach + 1)[:, None]  # nearest first
        rows = np.concatenate([ranges.starts - away, ranges.ends + away], axis=1)
        kept = (rows >= 0) & (rows < len(labels))
        kept[kept] = ~labels[rows[kept]]
        self._distances = np.broadcast_to(away, rows.shape)[kept]
        self.rows, self._places = np.unique(rows[kept], return_inverse=True)

    def weights(self, width: int) -> Float64Array:
        """(m,) float64: what the ranges in reach give to each record, together at most 1."""
        near = slice(0, int(np.searchsorted(self._distances, width // 2, side="right")))
        given = np.sqrt(1.0 - self._distances[near] / max(width, 1))
        return np.minimum(np.bincount(self._places[near], given, minlength=len(self.rows)), 1.0)


def season_window(values: Float64Array) -> int:
    """The window that TSB-AD takes for VUS-PR: the lag of the highest peak of the autocorrelation.

    Parameters
    ----------
    values : (n,) float64
        The first channel; its first 20,000 records serve.

    Returns
    -------
    int
        Records, 6 to 303; 125 where there is no such peak, or a value is missing.

    Examples
    --------
    >>> season_window(np.sin(np.arange(2000) * 2 * np.pi / 50))
    50
    """
    x = values[:SEASON_RECORDS]
    if np.ptp(x) == 0.0:
        return _NO_SEASON
    spectrum = np.fft.rfft(x - np.mean(x), 1 << (2 * len(x)).bit_length())
    products = np.fft.irfft(np.abs(spectrum) ** 2)[_SHORTEST_LAG : min(_LONGEST_LAG + 1, len(x))]
    inner = products[1:-1]
    peaks = np.flatnonzero((inner > products[:-2]) & (inner > products[2:])) + 1
    if not len(peaks):
        return _NO_SEASON
    season = int(peaks[np.argmax(products[peaks])]) + _SHORTEST_LAG
    return season if 2 * _SHORTEST_LAG <= season <= _LONGEST_SEASON else _NO_SEASON
