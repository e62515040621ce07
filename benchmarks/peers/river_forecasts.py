"""River's forecasters over a scaled stream, several records ahead at every record."""

from __future__ import annotations

from typing import Any

import numpy as np
from mase import HORIZONS, Array


def holt_winters(u: Array, period: int) -> Array:
    """Exponential smoothing with a trend and an additive season; its rates were the best of five choices."""
    from river import time_series

    return _followed(time_series.HoltWinters(alpha=0.3, beta=0.01, gamma=0.3, seasonality=period), u, period)


def snarimax(u: Array) -> Array:
    """ARIMA(12, 1, 12) learned by gradient steps on standardised inputs.

    The best of seven choices; with River's own rate, .01, it is three times as wrong.
    """
    from river import linear_model, optim, preprocessing, time_series

    linear = preprocessing.StandardScaler() | linear_model.LinearRegression(optim.SGD(0.001))
    return _followed(time_series.SNARIMAX(p=12, d=1, q=12, regressor=linear), u, 30)


def _followed(model: Any, u: Array, warm: int) -> Array:
    """(n, horizons) forecasts made at each record; last value for the first ``warm`` records."""
    made = np.repeat(u[:, None], len(HORIZONS), axis=1)
    for t, value in enumerate(u.tolist()):
        model.learn_one(value)
        if t >= warm:
            path = model.forecast(horizon=HORIZONS[-1])
            made[t] = [path[horizon - 1] for horizon in HORIZONS]
    return made
