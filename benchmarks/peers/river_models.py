"""River's detectors and forecasters: other work, the same place in a program."""

from __future__ import annotations

from collections.abc import Callable

from common import Contender, stream

_RECORDS = 300


def contenders() -> list[Contender]:
    """Half-space trees score and learn; SNARIMAX and Holt-Winters forecast one step and learn."""
    from river import anomaly, time_series

    values = stream(_RECORDS)[:, 0].tolist()
    trees = anomaly.HalfSpaceTrees(seed=1)

    def score_and_learn() -> None:
        for value in values:
            record = {"value": value}
            trees.score_one(record)
            trees.learn_one(record)

    def forecast_and_learn(model: time_series.base.Forecaster) -> Callable[[], None]:
        for value in values:  # Holt-Winters forecasts nothing before its first season is over
            model.learn_one(value)

        def run() -> None:
            for value in values:
                model.learn_one(value)
                model.forecast(horizon=1)

        return run

    holt_winters = time_series.HoltWinters(alpha=0.3, beta=0.1, gamma=0.6, seasonality=63)
    snarimax = time_series.SNARIMAX(p=12, d=1, q=12)
    return [
        Contender("river/HalfSpaceTrees", score_and_learn, _RECORDS),
        Contender("river/HoltWinters", forecast_and_learn(holt_winters), _RECORDS),
        Contender("river/SNARIMAX", forecast_and_learn(snarimax), _RECORDS),
    ]
