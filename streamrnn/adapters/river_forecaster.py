"""streamrnn as a river forecaster; import it from ``streamrnn.adapters.river``."""

from __future__ import annotations

import math
from typing import Any

from river.time_series.base import Forecaster

from streamrnn.adapters.river_model import GATHER, TARGET, RiverModel, target
from streamrnn.errors import SettingsError

__all__ = ["RNNForecaster"]

_FARTHEST = 1000  # records ahead: each has a readout of its own


class RNNForecaster(RiverModel, Forecaster):
    """A forecaster of one series, with or without features beside it.

    Each step of the horizon has a forecast of its own, made directly and not from
    the forecasts of earlier steps. Features are further channels of the network:
    their past helps; their future, ``xs``, is accepted and not used. Forecasts are
    in the unit of y. Before there is one they are the last y, and 0 before the first.

    Parameters
    ----------
    horizon : int
        The longest horizon that will be asked for, in records, 1 to 1000.
    gather, time, seed, **settings
        See ``streamrnn.adapters.river``.

    Raises
    ------
    SettingsError
        Where a setting is unknown or out of range.

    Examples
    --------
    >>> from streamrnn.adapters.river import RNNForecaster
    >>> model = RNNForecaster(horizon=4, seed=42)
    >>> for t in range(600):
    ...     model.learn_one(20 + t % 4)
    >>> [round(y) for y in model.forecast(4)]
    [20, 21, 22, 23]
    """

    def __init__(
        self,
        horizon: int = 12,
        gather: int = GATHER,
        time: str | None = None,
        seed: int | None = None,
        **settings: Any,
    ) -> None:
        if isinstance(horizon, bool) or not isinstance(horizon, int) or not 1 <= horizon <= _FARTHEST:
            raise SettingsError(f"horizon is {horizon!r}; give a whole number from 1 to {_FARTHEST}")
        self.horizon = horizon
        self.gather = gather
        self.time = time
        self.seed = seed
        self._start(settings, (TARGET,), horizons=list(range(1, horizon + 1)))
        self._last = math.nan

    def learn_one(self, y: float | None, x: dict[Any, Any] | None = None) -> None:
        """Learn one value and the features that came with it; None and NaN are a missing value.

        Raises
        ------
        DataError
            Where y or a feature is no number, or the time cannot be read; nothing is learned then.
        """
        value, given = target(y), x or {}
        self._stream.learn({TARGET: value, **self._features(given, "x.")}, self._time_of(given))
        self._last = value if math.isfinite(value) else self._last

    def forecast(self, horizon: int, xs: list[dict[Any, Any]] | None = None) -> list[float]:
        """The next ``horizon`` values, nearest first; changes nothing. ``xs`` is not used.

        Raises
        ------
        SettingsError
            Where the horizon is longer than the model's.
        """
        if horizon > self.horizon:
            raise SettingsError(f"horizon {horizon} is not forecast; make the model with horizon={horizon}")
        fallback = self._last if math.isfinite(self._last) else 0.0
        if self.detector is None:
            return [fallback] * horizon
        made = [self.detector.forecast(step)[TARGET].mean for step in range(1, horizon + 1)]
        return [mean if math.isfinite(mean) else fallback for mean in made]
