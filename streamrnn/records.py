"""Columns in, columns out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import DataError
from streamrnn.kernels.plan import NO_TIME

Float64Array = NDArray[np.float64]
Int64Array = NDArray[np.int64]

STATUSES = ("warming", "provisional", "calibrated", "missing", "late", "duplicate")
KINDS = ("", "spike", "dip", "level shift", "drift", "variance change", "flat line", "pattern")


@dataclass(frozen=True)
class Batch:
    """Records of any series, in the order of their arrival.

    Attributes
    ----------
    series : (n,) int32
        Each record's series, as numbered by the fleet.
    times : (n,) int64
        Nanoseconds since 1970 UTC; ``NO_TIME`` (NumPy's NaT) where there is none.
    values : (n, channels) float64
        Sensor units; NaN = missing. Infinities and magnitudes above 1e100 count
        as missing too.
    partitions : (n,) int32
        Partition of the source that each record came from.
    offsets : (n,) int64
        The record's place in its partition: row of a file, offset of a topic.

    Examples
    --------
    >>> import numpy as np
    >>> from streamrnn import Batch
    >>> batch = Batch.of_one_series(np.array([[20.5], [20.7], [np.nan]]))
    >>> len(batch), batch.offsets.tolist()
    (3, [0, 1, 2])
    """

    series: NDArray[np.int32]
    times: Int64Array
    values: Float64Array
    partitions: NDArray[np.int32]
    offsets: Int64Array

    @classmethod
    def of_one_series(
        cls, values: Float64Array, times: Int64Array | None = None, first_offset: int = 0
    ) -> Batch:
        """A batch of consecutive records of series 0, partition 0."""
        n = len(values)
        return cls(
            series=np.zeros(n, np.int32),
            times=np.full(n, NO_TIME, np.int64) if times is None else times,
            values=np.ascontiguousarray(values, np.float64),
            partitions=np.zeros(n, np.int32),
            offsets=np.arange(first_offset, first_offset + n, dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.values)

    def check(self, n_series: int, n_channels: int) -> None:
        """Refuse columns of wrong shape, or a series that the fleet doesn't have."""
        if self.values.shape != (len(self), n_channels):
            raise DataError(
                f"values has shape {self.values.shape}; expected (records, {n_channels} channels)"
            )
        for name in ("series", "times", "partitions", "offsets"):
            if getattr(self, name).shape != (len(self),):
                raise DataError(
                    f"{name} has shape {getattr(self, name).shape}, values has {len(self)} records"
                )
        if len(self) and not 0 <= self.series.min() <= self.series.max() < n_series:
            raise DataError(
                f"series runs from {self.series.min()} to {self.series.max()}; there are {n_series} series"
            )


@dataclass(frozen=True)
class Results:
    """What was found, one row per record of the batch, in its order.

    Attributes
    ----------
    yhat, yhat_lower, yhat_upper : (n, channels) float64
        The forecast made for this record before it was seen, and its interval;
        sensor units, NaN before there is one.
    share : (n, channels) float64
        Each channel's part of the evidence, 0 to 1, together 1; NaN where not scored.
    ahead : (n, channels, horizons beyond the first, 3) float64
        Forecast, lower and upper made at this record for later ones.
    anomaly_score : (n,) float64
        Ranks records: 0 and up, high = anomalous.
    p_value : (n,) float64
        How often normal records look at least this odd, 0 to 1.
    surprise : (n,) float64
        -log10 p.
    alert_strength : (n,) float64
        0 to 1; not 0 only where the evidence is the strongest for a while.
    level : (n,) float64
        The p-value at or under which this record is a detection.
    alert_level : (n,) float64
        The alert_strength at or over which its event is an alert: .5, or more where a
        budget is overrun or the series is young.
    is_anomaly : (n,) bool
    status : (n,) int8
        Index into ``STATUSES``.
    event_partition, event_offset : (n,) int32, int64
        Position of the record that opened the event this one belongs to; -1: none.
    event_kind : (n,) int8
        Index into ``KINDS``: what that event looks like so far.

    Examples
    --------
    >>> import numpy as np
    >>> from streamrnn import Batch, Fleet, Settings
    >>> fleet = Fleet(Settings(channels=["level"]))
    >>> results = fleet.process(Batch.of_one_series(np.sin(np.arange(200.0))[:, None]))
    >>> results.yhat.shape, int((~np.isnan(results.p_value)).sum())
    ((200, 1), 50)
    """

    yhat: Float64Array
    yhat_lower: Float64Array
    yhat_upper: Float64Array
    share: Float64Array
    ahead: Float64Array
    anomaly_score: Float64Array
    p_value: Float64Array
    surprise: Float64Array
    alert_strength: Float64Array
    level: Float64Array
    alert_level: Float64Array
    is_anomaly: NDArray[np.bool_]
    status: NDArray[np.int8]
    event_partition: NDArray[np.int32]
    event_offset: Int64Array
    event_kind: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.p_value)
