"""The alarms that were asked for beside those that came; with labels, which of them were right."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from streamrnn.kernels import tally as kernel
from streamrnn.pipelines.tally import CALIBRATED, PROVISIONAL, Counts, Tally
from streamrnn.records import Float64Array
from streamrnn.scoring.alert import CALIBRATED_AFTER, LARGEST_LEVEL
from streamrnn.settings import Settings

__all__ = ["FalseAlarms", "LabelScores", "false_alarms", "label_scores", "poisson_interval", "total_alarms"]

# A count of which fewer are expected says nothing of a rate.
FEWEST_EXPECTED = 3.0
_SUMMED = 10_000  # counts up to here are summed; beyond, a formula has five digits


@dataclass(frozen=True)
class FalseAlarms:
    """The alarm rate that was asked for, beside what came.

    Without labels nobody knows which alarms are false; this counts all.

    Attributes
    ----------
    asked : str
        As in the settings; of each series.
    counts : str
        ``"events"`` under a budget, ``"records"`` under a rate.
    level : float
        The share of normal records that this stands for, of several series the mean
        over their calibrated records; NaN: not known.
    calibrated : int
        Records that were calibrated.
    expected : float
        How many were allowed while calibrated.
    realised : int
        How many there were while calibrated.
    realised_low, realised_high : float
        95% interval of what their number would be in the long run, if they came
        independently of each other (Garwood 1936).
    provisional : int
        How many there were before.
    enough : bool
        Whether so many were to be expected that their number tells something.
    normal_needed : int
        Normal records that calibration takes, of several series the most; 0: not known yet.
    normal_left : int
        How many of them are still to come until every series is calibrated.
    """

    asked: str
    counts: str
    level: float
    calibrated: int
    expected: float
    realised: int
    realised_low: float
    realised_high: float
    provisional: int
    enough: bool
    normal_needed: int
    normal_left: int


@dataclass(frozen=True)
class LabelScores:
    """What was found of the labelled windows: runs of labelled records of a series.

    Records that are late or duplicates belong to no window.

    Attributes
    ----------
    windows, scored : int
        All of them; those that hold a scored record, so that they could be found.
    found, alerted : int
        Those that hold a detection; one of an event that has reached the alert level.
    recall, alert_recall : float
        Shares of those that could be found; NaN: none could.
    alerts, true_alerts : int
        Events that reached the alert level; those that overlap a window.
    precision : float
        Their share; NaN: there was no alert.
    delay_records, delay_s : float
        From a window's start to its first detection, mean of the windows found; NaN: none.
    false_alarms : int
        While calibrated: detections without a label; under a budget, alerts that
        overlap no window.
    false_alarms_expected : float
        How many were allowed on these records.
    unlabelled : int
        Calibrated records without a label.
    false_alarm_rate : float
        False alarms to such records; NaN: there are none.
    """

    windows: int
    scored: int
    found: int
    alerted: int
    recall: float
    alert_recall: float
    alerts: int
    true_alerts: int
    precision: float
    delay_records: float
    delay_s: float
    false_alarms: int
    false_alarms_expected: float
    unlabelled: int
    false_alarm_rate: float


def false_alarms(counts: Counts, settings: Settings, typical_step: float) -> FalseAlarms:
    """Asked and realised of one series; ``typical_step`` in ns, 0: not known."""
    rate, budget = settings.alarm_rate()
    by_events = budget > 0.0 and typical_step > 0.0
    level = budget * typical_step if by_events else rate
    calibrated, normal = int(counts.statuses[CALIBRATED]), int(counts.counters[kernel.NORMAL])
    realised, provisional = _came(counts, by_events)
    low, high = poisson_interval(realised)
    needed = math.ceil(CALIBRATED_AFTER / (min(level, LARGEST_LEVEL) if by_events else level))
    return FalseAlarms(
        asked=_asked(settings, by_events),
        counts="events" if by_events else "records",
        level=level,
        calibrated=calibrated,
        expected=level * calibrated,
        realised=realised,
        realised_low=low,
        realised_high=high,
        provisional=provisional,
        enough=level * calibrated >= FEWEST_EXPECTED,
        normal_needed=needed,
        normal_left=0 if calibrated else max(needed - normal, 0),
    )


def total_alarms(tally: Tally, settings: Settings, typical_steps: Float64Array) -> FalseAlarms:
    """Asked and realised of all series together; ``typical_steps`` (series, at least 1) in ns."""
    if tally.n_series < 2:
        return false_alarms(tally.total(), settings, float(typical_steps[0]))
    parts = [false_alarms(tally.series(s), settings, float(typical_steps[s])) for s in range(tally.n_series)]
    by_events = any(part.counts == "events" for part in parts)
    # Of a series without times, under a budget, there are no events to count.
    counted = [part for part in parts if (part.counts == "events") == by_events]
    calibrated = sum(part.calibrated for part in counted)
    expected = math.fsum(part.expected for part in counted)
    realised = sum(part.realised for part in counted)
    low, high = poisson_interval(realised)
    return FalseAlarms(
        asked=_asked(settings, by_events),
        counts="events" if by_events else "records",
        level=expected / calibrated if calibrated else math.nan,
        calibrated=calibrated,
        expected=expected,
        realised=realised,
        realised_low=low,
        realised_high=high,
        provisional=sum(part.provisional for part in counted),
        enough=expected >= FEWEST_EXPECTED,
        normal_needed=max(part.normal_needed for part in parts),
        normal_left=max(part.normal_left for part in parts),
    )


def label_scores(counts: Counts, alarms: FalseAlarms) -> LabelScores:
    """What was found of the labelled windows that a tally has counted."""
    counters = counts.counters
    names = ("WINDOWS", "WINDOWS_SCORED", "WINDOWS_FOUND", "WINDOWS_ALERTED", "ALERTS", "TRUE_ALERTS")
    windows, scored, found, alerted, alerts, true = (int(counters[getattr(kernel, n)]) for n in names)
    false = counters[kernel.QUIET_ALARMS]
    if alarms.counts == "events":
        false = counters[kernel.SURE_ALERTS] - counters[kernel.TRUE_SURE_ALERTS]
    unlabelled = int(counters[kernel.QUIET])
    return LabelScores(
        windows=windows,
        scored=scored,
        found=found,
        alerted=alerted,
        recall=_share(found, scored),
        alert_recall=_share(alerted, scored),
        alerts=alerts,
        true_alerts=true,
        precision=_share(true, alerts),
        delay_records=_share(int(counters[kernel.DELAY_RECORDS]), found),
        delay_s=_share(int(counters[kernel.DELAY_NS]) / 1e9, int(counters[kernel.DELAYS_TIMED])),
        false_alarms=int(false),
        false_alarms_expected=alarms.level * unlabelled,
        unlabelled=unlabelled,
        false_alarm_rate=_share(int(false), unlabelled),
    )


@lru_cache(4096)
def poisson_interval(n: int, outside: float = 0.05) -> tuple[float, float]:
    """The means of which a count of n is not improbable: Garwood's exact interval.

    Garwood (1936), doi:10.1093/biomet/28.3-4.437. Beyond 10,000 by the formula of
    Wilson and Hilferty (1931), whose error is then under 1e-5 of the bounds.

    Parameters
    ----------
    n : int
        Events counted, 0 or more.
    outside : float
        One minus the interval's coverage.

    Examples
    --------
    >>> [round(mean, 3) for mean in poisson_interval(10)]
    [4.795, 18.39]
    >>> poisson_interval(0)[0]
    0.0
    """
    half = 0.5 * outside
    if n > _SUMMED:
        return _wilson_hilferty(n, half, -1.0), _wilson_hilferty(n + 1, half, 1.0)
    width = 10.0 + 10.0 * math.sqrt(n)
    low = (
        0.0 if n == 0 else _bisected(lambda mean: 1.0 - _at_least(n, mean), max(0.0, n - width), n, 1 - half)
    )
    return low, _bisected(lambda mean: _at_most(n, mean), n, n + width, half)


def _bisected(falling: Callable[[float], float], low: float, high: float, target: float) -> float:
    """Where a falling function meets the target, to the last bits of a float64."""
    for _ in range(64):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if falling(middle) > target else (low, middle)
    return 0.5 * (low + high)


def _probability(n: int, mean: float) -> float:
    return math.exp(n * math.log(mean) - mean - math.lgamma(n + 1)) if mean > 0.0 else float(n == 0)


def _at_most(n: int, mean: float) -> float:
    """P(N <= n) for mean >= n: the terms fall from the first on."""
    total = term = 1.0
    for i in range(n, 0, -1):
        term *= i / mean
        total += term
        if term < 1e-17 * total:
            break
    return total * _probability(n, mean)


def _at_least(n: int, mean: float) -> float:
    """P(N >= n) for mean <= n: the terms fall from the first on."""
    total = term = 1.0
    for i in range(n + 1, 100 * (n + 10)):
        term *= mean / i
        total += term
        if term < 1e-17 * total:
            break
    return total * _probability(n, mean)


def _wilson_hilferty(n: int, half: float, sign: float) -> float:
    from statistics import NormalDist

    z = sign * NormalDist().inv_cdf(1.0 - half)
    return n * (1.0 - 1.0 / (9.0 * n) + z / (3.0 * math.sqrt(n))) ** 3


def _came(counts: Counts, by_events: bool) -> tuple[int, int]:
    """Alarms while calibrated, and before."""
    if not by_events:
        return int(counts.alarms[CALIBRATED]), int(counts.alarms[PROVISIONAL])
    alerts, sure = counts.counters[[kernel.ALERTS, kernel.SURE_ALERTS]].tolist()
    return sure, alerts - sure


def _asked(settings: Settings, by_events: bool) -> str:
    rate, _ = settings.alarm_rate()
    return str(settings.false_alarms or "1/week") if by_events else f"{rate:g}"


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
