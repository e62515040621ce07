"""What is said of one record, and of those to come."""

from __future__ import annotations

from dataclasses import dataclass

from streamrnn.errors import DataError

__all__ = ["Expectation", "Forecast", "Result", "Season"]


@dataclass(frozen=True)
class Expectation:
    """What one channel of a record was, and what it should have been; sensor units.

    Attributes
    ----------
    actual : float
        NaN = missing.
    yhat, yhat_lower, yhat_upper : float
        The forecast made before the record was seen, and its interval; NaN
        before there is one.
    share : float
        The channel's part of the evidence, 0 to 1; NaN where not scored.

    Examples
    --------
    >>> from streamrnn import Detector
    >>> result = Detector().process_one({"temp": 20.5, "rpm": 900})
    >>> result.channels["temp"].actual
    20.5
    """

    actual: float
    yhat: float
    yhat_lower: float
    yhat_upper: float
    share: float


@dataclass(frozen=True)
class Forecast:
    """One channel's value some records ahead; sensor units.

    Attributes
    ----------
    mean : float
        Centre of the forecast (its median, where values are skewed).
    scale : float
        Half the width that holds 68 % of a normal distribution around it.
    lower, upper : float
        Interval that is to hold the ``coverage`` share of values.

    Examples
    --------
    >>> from streamrnn import Detector
    >>> detector = Detector(horizons=(1, 6))
    >>> for _ in range(100):
    ...     detector.learn_one(20.5)
    >>> forecast = detector.forecast(6)["value"]
    >>> forecast.lower <= forecast.mean <= forecast.upper
    True
    """

    mean: float
    scale: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Result:
    """What is said of one record.

    Attributes
    ----------
    status : str
        ``warming`` (no score), ``provisional`` (scored, the tail not yet
        certain), ``calibrated``, ``missing``, ``late`` or ``duplicate``.
    anomaly_score : float
        Ranks records: 0 and up, high = anomalous; NaN where not scored.
    p_value : float
        How often normal records look at least this odd, 0 to 1.
    surprise : float
        -log10 of the p-value.
    is_anomaly : bool
        Whether the p-value is at or under what ``false_alarms`` stands for.
    alert_strength : float
        0 to 1; not 0 only where the evidence is the strongest for a while. An event that
        reaches .5 is worth an alert, one of a young series only at more.
    event_id : str or None
        The event that the record belongs to: the id of the record that opened it.
    event_kind : str
        What that event looks like so far: spike, dip, level shift, drift, variance
        change, flat line or pattern; empty where there is none.
    record_id : str
    channels : dict of str to Expectation

    Examples
    --------
    >>> from streamrnn import Detector
    >>> result = Detector(name="tank").process_one(20.5)
    >>> result.status, result.record_id, result.is_anomaly
    ('warming', 'tank-0', False)
    """

    status: str
    anomaly_score: float
    p_value: float
    surprise: float
    is_anomaly: bool
    alert_strength: float
    event_id: str | None
    event_kind: str
    record_id: str
    channels: dict[str, Expectation]

    @property
    def only(self) -> Expectation:
        """The one channel of a univariate record; DataError where there are several."""
        if len(self.channels) > 1:
            raise DataError(f"the record has channels {', '.join(self.channels)}; take one from .channels")
        return next(iter(self.channels.values()))

    @property
    def yhat(self) -> float:
        """Forecast of a univariate record."""
        return self.only.yhat

    @property
    def yhat_lower(self) -> float:
        """Lower end of a univariate record's interval."""
        return self.only.yhat_lower

    @property
    def yhat_upper(self) -> float:
        """Upper end of a univariate record's interval."""
        return self.only.yhat_upper


@dataclass(frozen=True)
class Season:
    """The season that one channel's forecaster goes by: given, or found in the records.

    Attributes
    ----------
    records : int
        Its length.
    strength : float
        How sure that is, 0 to 1: the correlation of the values, less the mean of a season around
        each, with those a season later, as the latest search saw it. A season that is found
        has at least .1; 0: a given one that is not to be seen, or not yet.

    Examples
    --------
    >>> from streamrnn import Detector
    >>> detector = Detector()
    >>> for t in range(300):
    ...     detector.learn_one(20 + (t % 24 < 9))
    >>> season = detector.seasons["value"]
    >>> season.records, season.strength > 0.9
    (24, True)
    """

    records: int
    strength: float
