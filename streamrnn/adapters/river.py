"""streamrnn in river's shape: an anomaly detector, a forecaster, a regressor; a classifier of windows.

The classifier (``RNNClassifier``) stands for itself. The others are one ``streamrnn.Detector`` each,
wear river's verbs, and work in river's pipelines and evaluations. What those share:

Order
    They are sequence models: records are learned in the order of their arrival,
    and the order carries information. None of them is for shuffled data.
Features
    are found by name, ``str(name)``; their order does not matter. A feature that
    a record lacks, None and NaN are missing values, not zeros. The first
    ``gather`` records (1 to 1000) may bring new features: the model then starts
    over with all of them and learns the records so far again, so no state is
    lost. Features that come later are ignored and counted in ``n_ignored``. A
    feature that is neither a number nor missing raises ``DataError``: encode it.
Time
    ``time`` names the feature, if any, that holds a record's time (datetime,
    numpy.datetime64 or pandas.Timestamp; UTC where it has no offset).
Scaling
    is part of the model; a scaler in front is possible and not needed.
Seed
    None is 0: two models of the same settings and records give the same bits.
Settings
    All others of ``streamrnn.Settings``, such as ``hidden`` or ``false_alarms``,
    may be given by name, with the defaults that they have there.
Pickles
    go on to the bit where the model stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from river import base

from streamrnn.adapters.river_model import GATHER, TARGET, RiverModel, target
from streamrnn.errors import SettingsError
from streamrnn.result import Result

if TYPE_CHECKING:
    from streamrnn.adapters.river_classifier import RNNClassifier
    from streamrnn.adapters.river_forecaster import RNNForecaster

__all__ = ["RNNClassifier", "RNNDetector", "RNNForecaster", "RNNRegressor"]

_SCORES: dict[str, Callable[[Result], float]] = {
    "anomaly_score": lambda result: result.anomaly_score,
    "surprise": lambda result: result.surprise,
    "probability": lambda result: 1.0 - result.p_value,
}


def __getattr__(name: str) -> Any:
    if name == "RNNForecaster":  # its base class costs a second of imports
        from streamrnn.adapters.river_forecaster import RNNForecaster

        return RNNForecaster
    if name == "RNNClassifier":  # of the others' parts it needs none
        from streamrnn.adapters.river_classifier import RNNClassifier

        return RNNClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class RNNDetector(RiverModel, base.AnomalyDetector):
    """An anomaly detector: scores each record against the forecast that was made for it.

    Scores are finite, 0 and up, high = anomalous. While the model warms up (some
    dozen records), and for a record that is missing as a whole, the score is 0.
    ``score`` chooses which of ``streamrnn.Detector``'s outputs it is:

    - ``"anomaly_score"``: ranks best; no upper bound, no unit.
      ``river.anomaly.QuantileFilter`` makes decisions of it.
    - ``"surprise"``: -log10 of the calibrated p-value, so
      ``river.anomaly.ThresholdFilter(model, threshold=3)`` flags one normal record
      in a thousand.
    - ``"probability"``: 1 minus the p-value, 0 to 1: the share of normal records
      that look less odd. ``river.metrics.ROCAUC`` counts scores at thresholds from
      0 to 1 and needs this one (``metrics.RollingROCAUC`` takes any).

    Parameters
    ----------
    score : str
        ``"anomaly_score"``, ``"surprise"`` or ``"probability"``.
    gather, time, seed, **settings
        See the module.

    Raises
    ------
    SettingsError
        Where a setting is unknown or out of range.

    References
    ----------
    F. A. Gers, J. Schmidhuber and F. Cummins (2000), Learning to forget: continual
    prediction with LSTM, Neural Computation 12(10), doi:10.1162/089976600300015015.

    R. J. Williams and J. Peng (1990), An efficient gradient-based algorithm for
    on-line training of recurrent network trajectories, Neural Computation 2(4),
    doi:10.1162/neco.1990.2.4.490.

    Examples
    --------
    >>> from streamrnn.adapters.river import RNNDetector
    >>> model = RNNDetector(seed=42)
    >>> for t in range(300):
    ...     model.learn_one({"level": 20 + t % 12, "flow": 5 - t % 3})
    >>> usual, odd = {"level": 20, "flow": 5}, {"level": 40, "flow": 5}
    >>> model.score_one(odd) > model.score_one(usual)
    True
    """

    def __init__(
        self,
        score: str = "anomaly_score",
        gather: int = GATHER,
        time: str | None = None,
        seed: int | None = None,
        **settings: Any,
    ) -> None:
        if score not in _SCORES:
            raise SettingsError(f"score is {score!r}; give one of {', '.join(_SCORES)}")
        self.score = score
        self.gather = gather
        self.time = time
        self.seed = seed
        self._start(settings)

    def learn_one(self, x: dict[Any, Any]) -> None:
        """Learn one record.

        Raises
        ------
        DataError
            Where a feature is no number or the time cannot be read; nothing is learned then.
        """
        self._stream.learn(self._features(x), self._time_of(x))

    def score_one(self, x: dict[Any, Any]) -> float:
        """How odd the record would be, if it came next; changes nothing.

        Returns
        -------
        score : float
            0 and up, high = anomalous; 0 while warming.

        Raises
        ------
        DataError
            Where a feature is no number or the time cannot be read.
        """
        result = self._stream.judge(self._features(x), self._time_of(x))
        score = math.nan if result is None else _SCORES[self.score](result)
        return 0.0 if math.isnan(score) else score


class RNNRegressor(RiverModel, base.Regressor):
    """A regressor for ordered records: y from this record's x and all records before.

    The network's record t is (y of t-1, x of t), and its forecast of the next y is
    the prediction: it sees this record's features and every y so far. The features
    act through the recurrent network; the fast linear readout sees the past of y
    alone. So it suits a y that follows its own past and is moved by x; where y is
    a function of this x and nothing else, a plain regression does better.

    An error is learned one record late, when the next x comes. With delayed labels
    (``evaluate.progressive_val_score(..., delay=...)``) the newest y that was
    learned stands for the y of t-1. Predictions are in the unit of y. Before there
    is a forecast they are the last y, and 0 where that is missing.

    Parameters
    ----------
    gather, time, seed, **settings
        See the module.

    Raises
    ------
    SettingsError
        Where a setting is unknown or out of range.

    Examples
    --------
    >>> from river import metrics
    >>> from streamrnn.adapters.river import RNNRegressor
    >>> model, error = RNNRegressor(seed=42), metrics.MAE()
    >>> for t in range(400):
    ...     x, y = {"valve": t % 5}, 3.0 * (t % 5) + 10
    ...     error.update(y, model.predict_one(x))
    ...     model.learn_one(x, y)
    >>> error.get() < 3  # the mean's error is 3.6
    True
    """

    def __init__(
        self, gather: int = GATHER, time: str | None = None, seed: int | None = None, **settings: Any
    ) -> None:
        self.gather = gather
        self.time = time
        self.seed = seed
        self._start(settings, (TARGET,))
        self._last = math.nan

    def learn_one(self, x: dict[Any, Any], y: float | None) -> None:
        """Learn one record and its target; None and NaN are a missing target.

        Raises
        ------
        DataError
            Where a feature or y is no number, or the time cannot be read; nothing is learned then.
        """
        newest = target(y)
        self._stream.learn(self._record(x), self._time_of(x))
        self._last = newest

    def predict_one(self, x: dict[Any, Any]) -> float:
        """The target of the record that comes next; in the unit of y. Changes nothing.

        Raises
        ------
        DataError
            Where a feature is no number or the time cannot be read.
        """
        forecasts = self._stream.forecast_after(self._record(x), self._time_of(x))
        predicted = forecasts[TARGET].mean if forecasts else math.nan
        if math.isfinite(predicted):
            return predicted
        return self._last if math.isfinite(self._last) else 0.0

    def _record(self, x: dict[Any, Any]) -> dict[str, Any]:
        return {TARGET: self._last, **self._features(x, "x.")}
