"""The race of the forecast against what anybody could do: last value, a season ago, EWMA."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from streamrnn.kernels import tally as kernel
from streamrnn.pipelines.tally import Counts

__all__ = ["BaselineSummary", "ChannelSummary", "channel_summaries", "season_of"]

NAMES = ("last_value", "seasonal", "ewma")  # in the order of the kernel's BASELINES
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
        ``"last_value"``, ``"seasonal"`` (the value one season earlier) or ``"ewma"``
        (exponentially weighted mean, alpha .3).
    compared : int
        Values for which there were both forecasts.
    error, forecast_error : float
        Their mean absolute errors, sensor units; NaN: none.
    """

    name: str
    compared: int
    error: float
    forecast_error: float

    @property
    def ratio(self) -> float:
        """The detector's error to this one's: under 1, the detector is better; NaN: not known."""
        if self.error > 0.0:
            return self.forecast_error / self.error
        if math.isnan(self.error):
            return math.nan
        return 1.0 if self.forecast_error == 0.0 else math.inf


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
    alert_share : float
        The channel's mean share at the peaks of the run's alerts; NaN: there were none, or
        this is one series of several, which are not told apart here.
    """

    channel: str
    compared: int
    mean_absolute_error: float
    coverage: float
    baselines: tuple[BaselineSummary, ...]
    alert_share: float

    @property
    def hardest(self) -> BaselineSummary | None:
        """The baseline that does best against the forecast, where enough was compared."""
        raced = [b for b in self.baselines if b.compared >= FEWEST_COMPARED]
        return max(raced, key=lambda baseline: baseline.ratio, default=None)

    @property
    def verdict(self) -> str | None:
        """``"wins"``, ``"ties"`` (within 2%) or ``"loses"`` against the hardest baseline; None: too few."""
        hardest = self.hardest
        if hardest is None:
            return None
        if abs(hardest.ratio - 1.0) <= _TIE:
            return "ties"
        return "wins" if hardest.ratio < 1.0 else "loses"

    def to_dict(self) -> dict[str, Any]:
        """Everything by name, with the ratios and the verdict."""
        baselines = {b.name: {**asdict(b), "ratio": b.ratio} for b in self.baselines}
        for baseline in baselines.values():
            del baseline["name"]
        hardest = self.hardest
        against = None if hardest is None else hardest.name
        return {**asdict(self), "baselines": baselines, "verdict": self.verdict, "against": against}


def channel_summaries(
    counts: Counts, channels: tuple[str, ...], alert_shares: list[float], *, seasonal: bool
) -> list[ChannelSummary]:
    """A summary of each channel; ``seasonal`` says whether there is a season to compare with."""
    return [
        _channel(counts, d, name, share, seasonal)
        for d, (name, share) in enumerate(zip(channels, alert_shares, strict=True))
    ]


def _channel(counts: Counts, d: int, name: str, alert_share: float, seasonal: bool) -> ChannelSummary:
    numbers, sums = counts.counts[d].tolist(), counts.sums[d].tolist()
    compared = numbers[kernel.COMPARED]
    raced = []
    for which, baseline in enumerate(NAMES):
        if which == kernel.SEASONAL and not seasonal:
            continue
        n, place = numbers[kernel.AGAINST + which], kernel.OTHERS + 2 * which
        raced.append(BaselineSummary(baseline, n, _mean(sums[place], n), _mean(sums[place + 1], n)))
    return ChannelSummary(
        channel=name,
        compared=compared,
        mean_absolute_error=_mean(sums[kernel.ERROR], compared),
        coverage=_mean(numbers[kernel.WITHIN], compared),
        baselines=tuple(raced),
        alert_share=alert_share,
    )


def _mean(total: float, n: int) -> float:
    return total / n if n else math.nan
