"""streamrnn in scikit-learn's shape: an outlier detector for ordered rows."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from streamrnn.detector import Detector
from streamrnn.errors import SettingsError
from streamrnn.records import Float64Array
from streamrnn.settings import Settings

try:
    from sklearn.base import BaseEstimator, OutlierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("this needs scikit-learn: pip install 'streamrnn[sklearn]'") from error

__all__ = ["RNNOutlierDetector"]


class RNNOutlierDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """An outlier detector for rows in the order of time.

    Rows are records of one series, columns are its channels; NaN is a missing
    value. ``fit`` starts over, ``partial_fit`` goes on. ``predict``,
    ``score_samples`` and ``decision_function`` take X as the rows that follow the
    fitted ones: a copy of the model goes on through them, scores each row, then
    learns it, and is forgotten, so the fitted model does not change. A row's
    score depends on the rows before it and on none after. So rows must not be
    shuffled, and a row by itself is judged as if it came next. For a stream, call
    ``predict`` and then ``partial_fit`` with each piece: the results are those of
    one long stream, to the bit. ``fit_predict(X)`` is ``fit(X).predict(X)``, as
    everywhere in scikit-learn: X follows itself.

    Signs are scikit-learn's: -1 = outlier, +1 = inlier; low scores = outliers.

    A DataFrame's DatetimeIndex, where X has one, is the rows' times, in ``fit``
    as in ``predict``. Rows older than the newest learned are late: they score 0,
    until after 20 in a row the clock is taken to have been set back. So use
    ``fit_scores_`` to judge the very rows that were fitted: each is scored there
    when it came, before it was learned.

    Parameters
    ----------
    false_alarms : float
        Share of normal rows that may be called outliers, 1e-9 to .5. A level under
        about 3 divided by the number of fitted rows is extrapolated.
    networks : tuple of str
        As in ``Settings``; empty is the default for so many columns.
    hidden : int
        Hidden units of each network, 1 to 512.
    k1, k2 : int
        Truncated backpropagation: every ``k1`` rows, through ``k2`` steps.
    lags : int
        Past values of its own channel that a forecast sees; a multiple of 8.
    learning_rate : float
        Step size of Adam.
    learn_anomalies : bool
        Whether outliers are learned from, after they are scored.
    random_state : int, RandomState or None
        Seed of the initial weights; None is 0, so that equal fits are equal.

    Attributes
    ----------
    detector_ : streamrnn.Detector
        The fitted model.
    offset_ : float
        log10 of ``false_alarms``: ``decision_function`` is ``score_samples`` minus it.
    fit_scores_ : (n,) float64
        ``score_samples`` of the rows of the last ``fit`` or ``partial_fit``, each
        given before the row was learned.
    n_features_in_ : int
    feature_names_in_ : (n_features_in_,) object
        Only where X has names.

    Examples
    --------
    >>> import numpy as np
    >>> from streamrnn.adapters.sklearn import RNNOutlierDetector
    >>> t = np.arange(600.0)
    >>> X = np.column_stack([20 + t % 12, 5 - t % 3])
    >>> X[590, 0] = 60
    >>> model = RNNOutlierDetector(random_state=0).fit(X[:500])
    >>> int(model.score_samples(X[500:]).argmin()), int(model.predict(X[500:])[90])
    (90, -1)
    """

    def __init__(
        self,
        *,
        false_alarms: float = 0.01,
        networks: tuple[str, ...] = Settings.networks,
        hidden: int = Settings.hidden,
        k1: int = Settings.k1,
        k2: int = Settings.k2,
        lags: int = Settings.lags,
        learning_rate: float = Settings.learning_rate,
        learn_anomalies: bool = Settings.learn_anomalies,
        random_state: Any = None,
    ) -> None:
        self.false_alarms = false_alarms
        self.networks = networks
        self.hidden = hidden
        self.k1 = k1
        self.k2 = k2
        self.lags = lags
        self.learning_rate = learning_rate
        self.learn_anomalies = learn_anomalies
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Start over and learn the rows of X, (n, channels), in order. ``y`` is ignored.

        Raises
        ------
        SettingsError
            Where a setting is out of range (a ValueError).
        ValueError
            Where X cannot be read.
        """
        times, values = _times(X), self._validated(X, reset=True)
        settings = self._settings()
        self.offset_ = float(np.log10(settings.alarm_rate()[0]))
        self.detector_ = Detector(**settings.to_dict())
        return self._learn(values, times)

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Learn the rows of X, (n, channels), which follow those learned before. ``y`` is ignored.

        Raises
        ------
        SettingsError
            Where a setting is out of range (a ValueError).
        ValueError
            Where X cannot be read or has other columns.
        """
        if not hasattr(self, "detector_"):
            return self.fit(X)
        return self._learn(self._validated(X, reset=False), _times(X))

    def score_samples(self, X: Any) -> Float64Array:
        """log10 of each row's p-value, 0 and down, low = outlier; 0 while warming or all missing.

        Returns
        -------
        scores : (n,) float64

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            Where X cannot be read or has other columns.
        """
        check_is_fitted(self, "detector_")
        values = self._validated(X, reset=False)
        return _scores(self.detector_.clone(), values, _times(X))

    def decision_function(self, X: Any) -> Float64Array:
        """``score_samples`` minus ``offset_``: negative = outlier; (n,) float64."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> NDArray[np.int64]:
        """-1 for outliers, +1 for inliers; (n,) int64."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def __sklearn_tags__(self) -> Any:
        """Say that NaN may come: it is a missing value."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _validated(self, X: Any, reset: bool) -> Float64Array:
        values: Float64Array = validate_data(
            self, X, reset=reset, dtype=np.float64, order="C", ensure_all_finite="allow-nan"
        )
        return values

    def _settings(self) -> Settings:
        seed = 0
        if self.random_state is not None:
            seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        # Searches over parameters hand us NumPy's numbers.
        given = {k: v.item() if isinstance(v, np.generic) else v for k, v in self.get_params().items()}
        del given["random_state"]
        channels = [f"x{i}" for i in range(self.n_features_in_)]
        settings = Settings.from_dict({**given, "channels": channels, "seed": seed})
        if settings.alarm_rate()[1]:
            raise SettingsError(
                f"false_alarms is {self.false_alarms!r}; give a share of rows such as 0.01: "
                "a budget has no fixed level to compare scores with"
            )
        return settings

    def _learn(self, values: Float64Array, times: Any) -> Self:
        self.fit_scores_ = _scores(self.detector_, values, times)
        return self


def _scores(detector: Detector, values: Float64Array, times: Any) -> Float64Array:
    """log10 p of rows that the detector goes on through; 0 where it has none."""
    import pandas as pd

    frame = pd.DataFrame(values, columns=list(detector.settings.channels))
    surprise: Float64Array = detector.process_many(frame, times)["surprise"].to_numpy()
    return -np.nan_to_num(surprise, nan=0.0)


def _times(X: Any) -> Any:
    """A DataFrame's DatetimeIndex; None where there is none."""
    import pandas as pd

    index = getattr(X, "index", None)
    return index if isinstance(index, pd.DatetimeIndex) else None
