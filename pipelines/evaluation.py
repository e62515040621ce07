"""How good what was found is, of records of which it is known which are anomalous."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels.race import SIMPLE
from streamrnn.pipelines.alarms import FEWEST_EXPECTED, poisson_interval
from streamrnn.pipelines.baselines import NAMES
from streamrnn.pipelines.ranking import (
    SEASON_RECORDS,
    auc_pr,
    precision_recall,
    ranked,
    season_window,
    vus_pr,
)
from streamrnn.pipelines.tally import CALIBRATED, LATE, PROVISIONAL
from streamrnn.records import Batch, Float64Array, Int64Array, Results

__all__ = [
    "LEVELS",
    "BaselineRanking",
    "CalibrationLevel",
    "Curve",
    "Evaluation",
    "Evaluator",
    "SeriesRanking",
    "calibration_level",
]

LEVELS = (1e-1, 1e-2, 1e-3, 1e-4)
_MOST_SERIES = 1000  # that are listed
_MOST_CURVES = 20  # series
_CURVE_POINTS = 2000


@dataclass(frozen=True)
class CalibrationLevel:
    """How often normal records got a p-value of at most this, beside how often they should.

    Attributes
    ----------
    level : float
        The p-value.
    expected : float
        How many of the calibrated records without a label should have it or a smaller one.
    realised : int
        How many have.
    ratio : float
        Realised to expected; NaN: there is no such record.
    ratio_low, ratio_high : float
        95% interval of it in the long run, if they came independently of each other; NaN as above.
    enough : bool
        Whether so many were to be expected that their number tells something.
    """

    level: float
    expected: float
    realised: int
    ratio: float
    ratio_low: float
    ratio_high: float
    enough: bool


@dataclass(frozen=True)
class SeriesRanking:
    """How well the scores of one series rank its labelled records above the others.

    Attributes
    ----------
    key : str
    records : int
        Without those that were late or duplicates.
    labelled : int
        Those of them with a label.
    window : int
        The largest width of VUS-PR, records: the season of the first channel; 125: it has none.
    vus_pr, auc_pr : float
        Areas under precision and recall, with and without blurred edges of labels, 0 to 1.
    """

    key: str
    records: int
    labelled: int
    window: int
    vus_pr: float
    auc_pr: float


@dataclass(frozen=True)
class BaselineRanking:
    """How well the errors of a simple forecast rank, through the detector's own averages.

    Attributes
    ----------
    name : str
        As that of a ``Racer``. The detector without its networks ranks as the detector does:
        its score hears none.
    n_ranked : int
        Series that have labels and on which it raced.
    vus_pr, auc_pr : float
        Means over them, 0 to 1; NaN: there are none.
    """

    name: str
    n_ranked: int
    vus_pr: float
    auc_pr: float


@dataclass(frozen=True)
class Curve:
    """Precision and recall of a series at falling thresholds, (n,) float64 each."""

    precision: Float64Array
    recall: Float64Array


@dataclass(frozen=True)
class Evaluation:
    """How good detections and scores are.

    Attributes
    ----------
    scored : int
        Records with a score. Precision, recall, F1 and rates are of these, record by record: a
        window that is found by one of its records has not won the others.
    labelled : int
        Those of them that are labelled.
    base_rate : float
        Their share: the precision of an alarm at every record. NaN: nothing was scored.
    always_alarm_f1 : float
        The F1 that this would have; an F1 below tells nothing.
    true_detections, false_detections : int
        Detections with a label, and without.
    precision, recall : float
        Shares of the detections, of the labelled records; NaN: there are none.
    f1 : float
        Their harmonic mean; NaN where nothing is labelled.
    false_alarm_rate : float
        Detections without a label to records without one; NaN: there are none.
    vus_pr, auc_pr : float
        How well anomaly_score ranks: means over the series that have labels; NaN: none has.
        Records without a score rank lowest.
    random_auc_pr : float
        What random scores would get: the mean share of labelled records.
    n_ranked : int
        Series that have labels.
    ranking : list of SeriesRanking
        They, at most 1,000.
    baselines : list of BaselineRanking
        Simple forecasts on the same records.
    calibration : list of CalibrationLevel
    curves : list of Curve
        Of the first 20, thinned, for a picture.
    """

    scored: int
    labelled: int
    base_rate: float
    always_alarm_f1: float
    true_detections: int
    false_detections: int
    precision: float
    recall: float
    f1: float
    false_alarm_rate: float
    vus_pr: float
    auc_pr: float
    random_auc_pr: float
    n_ranked: int
    ranking: list[SeriesRanking]
    baselines: list[BaselineRanking]
    calibration: list[CalibrationLevel]
    curves: list[Curve] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the curves, by name."""
        plain = {name: value for name, value in asdict(self).items() if name != "curves"}
        plain["baselines"] = {baseline.pop("name"): baseline for baseline in plain["baselines"]}
        return plain


class Evaluator:
    """Looks on at a run whose records have labels.

    Scores and labels of all records are kept, 13 bytes a record and 24 more for those of
    simple forecasts, and the first 20,000 values of each series, 12 bytes each.
    Ranking them takes some 50 a record more.
    """

    def __init__(self) -> None:
        self._codes: list[NDArray[np.int32]] = []
        self._scores: list[Float64Array] = []
        self._simple: list[Float64Array] = []
        self._labels: list[NDArray[np.bool_]] = []
        self._heads: list[tuple[NDArray[np.int32], Float64Array]] = []
        self._seen = np.zeros(0, np.int64)  # records of each series
        self._found = np.zeros((2, 2), np.int64)  # scored records: labelled or not, detected or not
        self._under = np.zeros(1 + len(LEVELS), np.int64)  # calibrated ones without a label; under levels

    def add(
        self,
        batch: Batch,
        found: Results,
        labels: NDArray[np.bool_] | None,
        simple: Float64Array | None = None,
    ) -> None:
        """Take in the next records, what was found in them, and which are labelled.

        Records that are late or duplicates are left out.

        Parameters
        ----------
        batch : Batch
        found : Results
        labels : (n,) bool or None
        simple : (SIMPLE, n) float64 or None
            What simple forecasts rank them by, as ``Race.scores`` has it; NaN: nothing.
        """
        known = np.zeros(len(batch), np.bool_) if labels is None else labels
        kept = found.status < LATE
        codes = batch.series[kept]
        self._codes.append(codes)
        self._scores.append(found.anomaly_score[kept])
        self._labels.append(known[kept])
        self._simple.append(np.full((len(codes), SIMPLE), np.nan) if simple is None else simple.T[kept])
        self._keep_heads(codes, batch.values[kept, 0])
        scored = np.isin(found.status, (PROVISIONAL, CALIBRATED))
        np.add.at(self._found, (known[scored].astype(int), found.is_anomaly[scored].astype(int)), 1)
        p = found.p_value[(found.status == CALIBRATED) & ~known]
        self._under += np.array([len(p), *(np.count_nonzero(p <= level) for level in LEVELS)])

    def _keep_heads(self, codes: NDArray[np.int32], values: Float64Array) -> None:
        """Keep values that are among the first of their series."""
        if not len(codes):
            return
        self._seen = np.append(self._seen, np.zeros(max(int(codes.max()) + 1 - len(self._seen), 0), np.int64))
        before = self._seen[codes]
        if before.min() < SEASON_RECORDS:
            early = before < SEASON_RECORDS
            self._heads.append((codes[early], values[early]))
        self._seen += np.bincount(codes, minlength=len(self._seen))

    def evaluation(self, keys: Sequence[str]) -> Evaluation:
        """How good it was; ``keys`` are the names of the series by their codes."""
        (_, false), (missed, true) = self._found.tolist()
        scored, labelled = int(self._found.sum()), missed + true
        ranking: list[SeriesRanking] = []
        curves: list[Curve] = []
        rates: list[float] = []
        simple: list[list[tuple[float, float]]] = [[] for _ in range(SIMPLE)]
        for code, labels, scores, others, values in self._series():
            if not labels.any():
                continue
            window = season_window(values)
            vus, auc = vus_pr(labels, scores, window), auc_pr(labels, scores)
            for areas, other in zip(simple, others.T, strict=True):
                if not np.isnan(other).all():
                    areas.append((vus_pr(labels, ranked(other), window), auc_pr(labels, ranked(other))))
            ranking.append(SeriesRanking(keys[code], len(labels), int(labels.sum()), window, vus, auc))
            rates.append(float(labels.mean()))
            if len(curves) < _MOST_CURVES:
                curves.append(_thinned(labels, scores))
        return Evaluation(
            scored=scored,
            labelled=labelled,
            base_rate=_ratio(labelled, scored),
            always_alarm_f1=_ratio(2 * labelled, scored + labelled),
            true_detections=true,
            false_detections=false,
            precision=_ratio(true, true + false),
            recall=_ratio(true, labelled),
            f1=_ratio(2 * true, true + false + labelled) if labelled else math.nan,
            false_alarm_rate=_ratio(false, scored - labelled),
            vus_pr=_mean([series.vus_pr for series in ranking]),
            auc_pr=_mean([series.auc_pr for series in ranking]),
            random_auc_pr=_mean(rates),
            n_ranked=len(ranking),
            ranking=ranking[:_MOST_SERIES],
            baselines=[_baseline(*named) for named in zip(NAMES[:SIMPLE], simple, strict=True) if named[1]],
            calibration=[
                calibration_level(level, int(self._under[0]), int(n))
                for level, n in zip(LEVELS, self._under[1:], strict=True)
            ],
            curves=curves,
        )

    def _series(
        self,
    ) -> Iterator[tuple[int, NDArray[np.bool_], Float64Array, Float64Array, Float64Array]]:
        """Code, labels, scores, those of simple forecasts and first values of each series, in order."""
        if not len(self._seen):
            return
        scores, ends = _grouped(np.concatenate(self._codes), np.concatenate(self._scores))
        labels, _ = _grouped(np.concatenate(self._codes), np.concatenate(self._labels))
        simple, _ = _grouped(np.concatenate(self._codes), np.concatenate(self._simple))
        head_codes, head_values = (np.concatenate(parts) for parts in zip(*self._heads, strict=True))
        heads, head_ends = _grouped(head_codes, head_values)
        for code in np.flatnonzero(self._seen).tolist():
            rows = slice(ends[code - 1] if code else 0, ends[code])
            first = slice(head_ends[code - 1] if code else 0, head_ends[code])
            yield code, labels[rows], ranked(scores[rows]), simple[rows], heads[first]


def _grouped(codes: NDArray[np.int32], column: NDArray[Any]) -> tuple[NDArray[Any], Int64Array]:
    """A column in the order of the series' codes, and where each of them ends."""
    ends = np.cumsum(np.bincount(codes))
    return (column if len(ends) == 1 else column[np.argsort(codes, kind="stable")]), ends


def _baseline(name: str, areas: Sequence[tuple[float, float]]) -> BaselineRanking:
    vus, auc = ([area[which] for area in areas] for which in (0, 1))
    return BaselineRanking(name, len(areas), _mean(vus), _mean(auc))


def _thinned(labels: NDArray[np.bool_], scores: Float64Array) -> Curve:
    precision, recall = precision_recall(labels, scores)
    places = np.unique(np.linspace(0, len(recall) - 1, _CURVE_POINTS).astype(np.int64))
    return Curve(precision[places], recall[places])


def calibration_level(level: float, records: int, realised: int) -> CalibrationLevel:
    """Of so many normal records, how many got a p-value of at most this, beside how many should."""
    expected = level * records
    low, high = poisson_interval(realised)
    return CalibrationLevel(
        level=level,
        expected=expected,
        realised=realised,
        ratio=_ratio(realised, expected),
        ratio_low=_ratio(low, expected),
        ratio_high=_ratio(high, expected),
        enough=expected >= FEWEST_EXPECTED,
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
