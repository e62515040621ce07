"""Who forecasts: naive and linear ones, detectors with trained and with frozen networks, other libraries."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from common import Contender, stream
from forecast_series import Series
from linear import ar_mixture, in_scaled_units, newest_of, plain_ar, time_of_day
from mase import HORIZONS, Array, Forecasts, for_their_rows
from peers import online_lstm, river_forecasts

from streamrnn import Batch, Detector, Fleet, Settings
from streamrnn.errors import SettingsError

COVERAGE = 0.9
TIMED_RECORDS, TIMED_SLOW_RECORDS = 4096, 300
_SUFFIXES = {"centre": "", "lower": "_lower", "upper": "_upper"}

Found = list[Forecasts]  # one for each target of a series


@dataclass(frozen=True)
class Forecaster:
    """One way to forecast.

    Attributes
    ----------
    forecast : callable
        From a series and a seed to what it forecasts of each target.
    settings : mapping or None
        Of the detector that it is; None: it is none.
    seeded : bool
        Whether a seed changes anything.
    slow : bool
        Whether it is measured on the subset alone.
    module : str or None
        What must be installed for it.
    """

    forecast: Callable[[Series, int], Found]
    settings: Mapping[str, Any] | None = None
    seeded: bool = False
    slow: bool = False
    module: str | None = None

    def missing(self) -> str | None:
        """Why it cannot run here, or None."""
        if self.module is not None and find_spec(self.module) is None:
            return f"{self.module} is not installed"
        if self.settings is not None:
            try:
                Detector(horizons=HORIZONS, **self.settings)
            except SettingsError as error:
                return str(error)
        return None

    def timed(self, name: str) -> Contender:
        """Work on one channel: of a detector without DataFrames, the others from the start of a stream."""
        values = stream(TIMED_SLOW_RECORDS if self.slow else TIMED_RECORDS)
        if self.settings is not None:
            settings = Settings.from_dict(_detector_settings(self.settings))
            fleet, batch = Fleet(settings), Batch.of_one_series(values)
            return Contender(name, partial(fleet.process, batch), len(values))
        run = partial(self.forecast, Series("", "", values), 0)
        return Contender(name, run, len(values), time.process_time_ns if self.slow else time.thread_time_ns)


def _detector_settings(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {"channels": ("value",), "horizons": HORIZONS, "coverage": COVERAGE, **changes}


def detected(settings: Mapping[str, Any], series: Series, seed: int) -> Found:
    """What a detector forecasts, in one pass over all channels."""
    import pandas as pd

    frame = pd.DataFrame(series.values, columns=list(series.channels))
    options = {**_detector_settings(settings), "channels": series.channels, "seed": seed}
    found = Detector(**options).process_many(frame, series.times)
    several = len(series.channels) > 1
    prefixes = [f"{series.channels[d]}." if several else "" for d in series.targets]
    return [
        Forecasts(**{part: _columns(found, prefix, suffix) for part, suffix in _SUFFIXES.items()})
        for prefix in prefixes
    ]


def _columns(found: Mapping[str, Any], prefix: str, suffix: str) -> Array:
    """(n, horizons) for their rows; the next record's column already is, the others are as made."""
    names = [f"{prefix}yhat{suffix}", *(f"{prefix}yhat_h{h}{suffix}" for h in HORIZONS[1:])]
    columns = np.column_stack([np.asarray(found[name], np.float64) for name in names])
    return np.column_stack([columns[:, 0], for_their_rows(columns)[:, 1:]])


def seasonal_naive(values: Array, period: int) -> Array:
    """The newest value known of the same phase; with period 1 the newest value."""
    made = np.full((len(values), len(HORIZONS)), np.nan)
    for k, horizon in enumerate(HORIZONS):
        back = -(-horizon // period) * period
        made[back:, k] = values[:-back]
    return made


def _naive(season: Callable[[Series], int]) -> Forecaster:
    def forecast(series: Series, _seed: int) -> Found:
        return [Forecasts(seasonal_naive(series.values[:, d], season(series))) for d in series.targets]

    return Forecaster(forecast)


@dataclass(frozen=True)
class _Scene:
    """What a forecaster of one channel may know besides its values."""

    series: Series
    target: int
    seed: int

    def inputs(self) -> Array:
        """(n, inputs): the time of day, where it is known, and the newest values of the other channels."""
        series, n = self.series, len(self.series.values)
        day = np.empty((n, 0)) if series.times is None else time_of_day(series.times)
        others = np.delete(series.values, self.target, axis=1)
        return np.column_stack([day, newest_of(others)]) if others.size else day


def _scaled(kernel: Callable[[Array, Array, _Scene], Array], **options: Any) -> Forecaster:
    """A forecaster of one scaled channel, as ``in_scaled_units`` wants it but for the scene."""

    def forecast(series: Series, seed: int) -> Found:
        found = []
        for d in series.targets:
            run = partial(kernel, scene=_Scene(series, d, seed))
            found.append(Forecasts(for_their_rows(in_scaled_units(series.values[:, d], run))))
        return found

    return Forecaster(forecast, **options)


def _detector(**settings: Any) -> Forecaster:
    return Forecaster(partial(detected, settings), settings, seeded=True)


_RIVER: dict[str, Any] = {"slow": True, "module": "river"}
_LSTM: dict[str, Any] = {"slow": True, "seeded": True}

FORECASTERS: dict[str, Forecaster] = {
    "last_value": _naive(lambda _: 1),
    "seasonal_naive": _naive(lambda series: series.period),
    "ar": _scaled(lambda u, truth, scene: plain_ar(u, truth)),
    "ar_mixture": _scaled(lambda u, truth, scene: ar_mixture(u, truth)),
    "ar_mixture_all": _scaled(lambda u, truth, scene: ar_mixture(u, truth, scene.inputs())),
    "adam": _detector(networks=("lstm",)),
    "ar_heads": _detector(networks=("ar:24",)),
    "echo": _detector(networks=("gru:48:frozen",)),
    "frozen": _detector(networks=("diagonal_lstm:40:frozen", "diagonal_lstm:40:frozen")),
    "frozen_48": _detector(networks=("diagonal_lstm:48:frozen",)),
    "adam_heads": _detector(networks=("lstm:12:adam_heads",)),
    "dense": _detector(networks=("lstm:12:kalman",)),
    "trained": _detector(networks=("diagonal_lstm:12:kalman_units",) * 2),
    "trained_12": _detector(networks=("diagonal_lstm:12",)),
    "forecast": _detector(preset="forecast"),
    "holt_winters": _scaled(
        lambda u, y, scene: river_forecasts.holt_winters(u, scene.series.period), **_RIVER
    ),
    "snarimax": _scaled(lambda u, y, scene: river_forecasts.snarimax(u), **_RIVER),
    "torch_lstm": _scaled(
        lambda u, y, scene: online_lstm.with_torch(u, y, scene.seed), module="torch", **_LSTM
    ),
    "jax_lstm": _scaled(lambda u, y, scene: online_lstm.with_jax(u, y, scene.seed), module="jax", **_LSTM),
}
"""Every contender, by name: the one table to change."""
