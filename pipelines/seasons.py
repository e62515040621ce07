"""The season by which a channel is forecast; that of the seasonal baseline is another (``baselines.py``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from streamrnn.pipelines.words import count, duration
from streamrnn.result import Season

__all__ = ["ForecastSeason", "forecast_seasons", "season_text"]


@dataclass(frozen=True)
class ForecastSeason:
    """The season that a channel's forecaster goes by.

    Attributes
    ----------
    records : int
        Length of the season by which the channel is forecast, not of the seasonal baseline's; the
        whole is None where no season is known, and for several series together.
    length_s : float
        The same by the series' typical step, seconds; NaN: not known.
    strength : float
        How sure that is, 0 to 1: the correlation of the values with those one season later; a season
        that is found has at least .1, 0: a given one that is not to be seen.
    given : bool
        By the settings; else it was found in the data.
    """

    records: int
    length_s: float
    strength: float
    given: bool


def forecast_seasons(
    seasons: Sequence[Season | None], typical_step_ns: float, *, given: bool
) -> list[ForecastSeason | None]:
    """What is reported of the seasons of a series' channels."""
    step_s = typical_step_ns / 1e9 or math.nan
    return [
        None
        if season is None
        else ForecastSeason(season.records, season.records * step_s, season.strength, given)
        for season in seasons
    ]


def season_text(season: ForecastSeason) -> str:
    """A season in words, and how sure it is.

    Examples
    --------
    >>> season_text(ForecastSeason(288, 86_400.0, 0.8167, given=False))
    '288 records (1 d), found in the data, strength 0.82'
    >>> season_text(ForecastSeason(24, math.nan, 0.0, given=True))
    '24 records, given, not to be seen so far'
    """
    long = "" if math.isnan(season.length_s) else f" ({duration(1e9 * season.length_s)})"
    known = "given" if season.given else "found in the data"
    sure = f"strength {season.strength:.2f}" if season.strength > 0.0 else "not to be seen so far"
    return f"{count(season.records, 'record')}{long}, {known}, {sure}"
