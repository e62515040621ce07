"""The race of the forecast against simple ones: last value, a season ago, EWMA, linear autoregression."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from streamrnn.kernels import tally as kernel
from streamrnn.pipelines.seasons import ForecastSeason
from streamrnn.records import Float64Array, Int64Array

__all__ = ["BaselineSummary", "ChannelSummary", "channel_summaries", "season_of"]

NAMES = ("last_value", "seasonal", "ewma", "linear")  # in the order of the kernel's BASELINES
FEWEST_COMPARED = 30  # of which a verdict is said
_TIE = 0.02  # ratios this near to 1 are ties
_DAY_S = 86_400.0
_LONGEST_SEASON = 10_000  # slots, which bounds memory
_LONGEST_OF_DAY = 6 * 3600.0  # a step beyond shows too little of a day
_WEEK = 7


def season_of(typical_step_ns: float) -> int:
    """Records of the season that a stream most likely has; 0: none.

    One day, for steps from 8.64 s (10,000 records) to 6 hours; one week for daily
    records; none for others.

    Examples
    --------
    >>> season_of(3_600e9), season_of(300e9), season_of(86_400e9), season_of(1e9)
    (24, 288, 7, 0)
    """
    step_s = typical_step_ns / 1e9
    if step_s <= 0.0 or not math.isfinite(step_s):
        return 0
    if abs(step_s / _DAY_S - 1.0) < 0.05:
        return _WEEK
    season = round(_DAY_S / step_s)
    return season if step_s <= _LONGEST_OF_DAY and season <= _LONGEST_SEASON else 0


@dataclass(frozen=True)
class BaselineSummary:
    """A simple forecast, one record ahead, beside the detector's, on the same records.

    Attributes
    ----------
    name : str
        ``"last_value"``, ``"seasonal"`` (the value one season earlier), ``"ewma"``
        (exponentially weighted mean, alpha .3) or ``"linear"`` (autoregression on the last
        10 values by recursive least squares; of the first 8 channels).
    compared : int
        Values for which there were both forecasts.
    error, forecast_error : float
        Their mean absolute errors, sensor units; NaN: none.
    ratio : float
        The detector's error to this one's: under 1, the detector is better. Of several
        series, whose units may differ, the median; NaN: not known.
    """

    name: str
    compared: int
    error: float
    forecast_error: float
    ratio: float


@dataclass(frozen=True)
class ChannelSummary:
    """How well one channel was forecast, one record ahead, since warm-up.

    Attributes
    ----------
    channel : str
    compared : int
        Values of scored records that had a forecast.
    mean_absolute_error : float
        Of the forecast; sensor units, NaN: none.
    coverage : float
        Share of the values inside of their intervals; NaN: none.
    baselines : tuple of BaselineSummary
    wins, ties, loses : int
        In so many series the forecast is better than each baseline, as good as the
        hardest within 2%, or worse; series in which fewer than 30 values could be
        compared are in none.
    hardest : str or None
        Of one series the baseline that does best against the forecast.
    alert_share : float
        The channel's mean share at the peaks of the run's alerts; NaN: there were none, or
        this is one series of several, which are not told apart here.
    forecast_season : ForecastSeason or None
        What its forecaster goes by; None: no season is known, or these are several series.
    """

    channel: str
    compared: int
    mean_absolute_error: float
    coverage: float
    baselines: tuple[BaselineSummary, ...]
    wins: int
    ties: int
    loses: int
    hardest: str | None
    alert_share: float
    forecast_season: ForecastSeason | None = None

    def to_dict(self) -> dict[str, Any]:
        """Everything by name; baselines by theirs."""
        plain = asdict(self)
        plain["baselines"] = {baseline.pop("name"): baseline for baseline in plain["baselines"]}
        return plain


def channel_summaries(
    races: tuple[Int64Array, Float64Array],
    channels: tuple[str, ...],
    alert_shares: list[float],
    *,
    seasonal: bool,
) -> list[ChannelSummary]:
    """A summary of each channel over some series.

    Parameters
    ----------
    races : (series, channels, COUNTS) int64, (series, channels, SUMS) float64
        As ``Tally.races`` gives them.
    channels : tuple of str
    alert_shares : list of float
    seasonal : bool
        Whether there is a season to compare with.
    """
    counts, sums = races
    return [
        _channel(counts[:, d], sums[:, d], name, share, seasonal)
        for d, (name, share) in enumerate(zip(channels, alert_shares, strict=True))
    ]


def _channel(
    counts: Int64Array, sums: Float64Array, name: str, alert_share: float, seasonal: bool
) -> ChannelSummary:
    """One channel of (series, COUNTS) and (series, SUMS)."""
    raced = [which for which in kernel.BASELINES if seasonal or which != kernel.SEASONAL]
    ratios = np.stack([_ratios(counts, sums, which) for which in raced])
    enough = np.stack([counts[:, kernel.AGAINST + which] >= FEWEST_COMPARED for which in raced])
    hardest = np.where(enough, ratios, -1.0).max(axis=0)  # (series,)
    known = np.logical_or.reduce(enough)
    ties = known & (np.abs(hardest - 1.0) <= _TIE)
    one = len(counts) == 1 and bool(known[0])
    compared = int(counts[:, kernel.COMPARED].sum())
    return ChannelSummary(
        channel=name,
        compared=compared,
        mean_absolute_error=_mean(sums[:, kernel.ERROR].sum(), compared),
        coverage=_mean(counts[:, kernel.WITHIN].sum(), compared),
        baselines=tuple(
            _baseline(counts, sums, which, part) for which, part in zip(raced, ratios, strict=True)
        ),
        wins=int((known & ~ties & (hardest < 1.0)).sum()),
        ties=int(ties.sum()),
        loses=int((known & ~ties & (hardest > 1.0)).sum()),
        hardest=NAMES[raced[int(np.where(enough, ratios, -1.0)[:, 0].argmax())]] if one else None,
        alert_share=alert_share,
    )


def _baseline(counts: Int64Array, sums: Float64Array, which: int, ratios: Float64Array) -> BaselineSummary:
    n, place = int(counts[:, kernel.AGAINST + which].sum()), kernel.OTHERS + 2 * which
    known = ratios[~np.isnan(ratios)]
    return BaselineSummary(
        name=NAMES[which],
        compared=n,
        error=_mean(sums[:, place].sum(), n),
        forecast_error=_mean(sums[:, place + 1].sum(), n),
        ratio=float(np.median(known)) if len(known) else math.nan,
    )


def _ratios(counts: Int64Array, sums: Float64Array, which: int) -> Float64Array:
    """(series,) errors of the forecast to a baseline's; NaN where nothing was compared."""
    place = kernel.OTHERS + 2 * which
    own, other = sums[:, place + 1], sums[:, place]
    perfect = np.where(own > 0.0, math.inf, 1.0)  # a baseline without any error
    ratios = np.divide(own, other, out=perfect, where=other > 0.0)
    return np.where(counts[:, kernel.AGAINST + which] > 0, ratios, math.nan)


def _mean(total: float, n: int) -> float:
    return float(total) / n if n else math.nan
