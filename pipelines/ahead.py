"""The forecast behind the last record of every series: rows for the output, numbers for the summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from streamrnn.connectors.base import Read
from streamrnn.connectors.file import FileSource
from streamrnn.connectors.tables.intake import KEY_MARK
from streamrnn.connectors.text import printable
from streamrnn.fleet import Fleet
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.words import iso, moment, number, table
from streamrnn.records import Float64Array, Int64Array, Results

__all__ = ["Ahead", "ahead_text", "forecast_ahead", "rows_of"]

_SHOWN_ROWS, _SHOWN_CHANNELS = 24, 4


@dataclass(frozen=True)
class Ahead:
    """The forecast of one series.

    Attributes
    ----------
    key : str
    times : (n,) int64
        Ns UTC; ``NO_TIME`` where records have no times.
    mean, lower, upper : (n, channels) float64
        Sensor units; NaN where nothing can be said yet.
    """

    key: str
    times: Int64Array
    mean: Float64Array
    lower: Float64Array
    upper: Float64Array

    def to_dict(self, channels: Sequence[str]) -> dict[str, Any]:
        """The same for machines."""
        parts = {"yhat": self.mean, "yhat_lower": self.lower, "yhat_upper": self.upper}
        return {
            "key": self.key,
            "times": [None if time == NO_TIME else iso(time) for time in self.times.tolist()],
            "channels": {
                channel: {name: values[:, d].tolist() for name, values in parts.items()}
                for d, channel in enumerate(channels)
            },
        }


def forecast_ahead(fleet: Fleet, key: str, last: int, count: int) -> Ahead:
    """Forecast the ``count`` records after the last one of a series.

    Parameters
    ----------
    fleet : Fleet
        Its settings forecast the horizons 1 to ``count``.
    key : str
    last : int
        Time of the series' last record, ns UTC; ``NO_TIME``: none.
    count : int
    """
    code = int(fleet.series([key])[0])
    step = fleet.typical_step_ns(code)
    times = np.full(count, NO_TIME, np.int64)
    if last != NO_TIME and step > 0.0:
        times[:] = last + np.rint(step * np.arange(1, count + 1)).astype(np.int64)
    places = [fleet.settings.horizons.index(ahead) for ahead in range(1, count + 1)]
    made = fleet.forecast(code)[:, places]  # (channels, count, 4)
    mean, _, lower, upper = (np.ascontiguousarray(made[:, :, j].T) for j in range(4))
    return Ahead(key, times, mean, lower, upper)


def rows_of(ahead: Ahead, source: FileSource, tz: str | None, horizons: int) -> tuple[Read, Results]:
    """A forecast as records that have not come: columns like the table's, values missing."""
    n, channels = ahead.mean.shape
    schema = source.schema
    columns: dict[str, Any] = dict.fromkeys(schema.names, [""] * n)
    if schema.clock is not None and ahead.times[0] != NO_TIME:
        cells = schema.clock.write(ahead.times, tz)
        columns |= dict(zip(schema.named(schema.clock.places), cells, strict=True))
    parts = ahead.key.split(KEY_MARK) if schema.key[1:] else [ahead.key]
    for name, part in zip(schema.named(schema.key), parts, strict=False):
        columns[name] = [part] * n
    none, flat = np.full((n, channels), np.nan), np.full(n, np.nan)
    read = Read(
        series=np.zeros(n, np.int32),
        times=ahead.times,
        values=none,
        partitions=np.zeros(n, np.int32),
        offsets=np.zeros(n, np.int64),
        columns=columns,
    )
    found = Results(
        yhat=ahead.mean,
        yhat_lower=ahead.lower,
        yhat_upper=ahead.upper,
        share=none,
        ahead=np.full((n, channels, horizons - 1, 3), np.nan),
        anomaly_score=flat,
        p_value=flat,
        surprise=flat,
        alert_strength=flat,
        alert_level=flat,
        level=flat,
        is_anomaly=np.zeros(n, np.bool_),
        status=np.zeros(n, np.int8),
        event_partition=np.full(n, -1, np.int32),
        event_offset=np.full(n, -1, np.int64),
        event_kind=np.zeros(n, np.int8),
    )
    return read, found


def ahead_text(ahead: Ahead, channels: Sequence[str]) -> str:
    """A forecast as a table for people."""
    shown = channels[:_SHOWN_CHANNELS]
    rows = [["when", *(f"{channel[:30]}" for channel in shown)]]
    for i, time in enumerate(ahead.times[:_SHOWN_ROWS].tolist()):
        when = f"+{i + 1}" if time == NO_TIME else moment(time)
        cells = [
            f"{number(ahead.mean[i, d])} ({number(ahead.lower[i, d])} to {number(ahead.upper[i, d])})"
            for d in range(len(shown))
        ]
        rows.append([when, *cells])
    more = []
    if len(ahead.times) > _SHOWN_ROWS or len(channels) > _SHOWN_CHANNELS:
        more = [f"  {len(ahead.times)} records of {len(channels)} channels in all: see -o or --json"]
    name = f" of {ahead.key}" if ahead.key else ""
    return "\n".join(printable(line) for line in [f"forecast{name}", *table(rows), *more])
