"""Results as the named columns that users see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.records import STATUSES, Batch, Results
from streamrnn.settings import Settings

TEXT_COLUMNS = ("status", "event_id", "record_id")

_STATUS_NAMES = np.array(STATUSES, object)


def output_columns(
    results: Results, batch: Batch, settings: Settings, names: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """The output columns, in their order, as DESIGN fixes them.

    With several channels the per-channel columns carry the channel's name.
    ``names`` is what the ids of each partition's records start with.
    """
    columns: dict[str, NDArray[Any]] = {}
    several = len(settings.channels) > 1
    wide = _channel_columns(results, settings)
    if not several:
        del wide["share"]
    for d, channel in enumerate(settings.channels):
        prefix = f"{channel}." if several else ""
        columns |= {f"{prefix}{name}": values[:, d] for name, values in wide.items()}
    return columns | _record_columns(results, batch, names)


def long_columns(
    results: Results, batch: Batch, settings: Settings, names: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """The output in long form: one row per record and channel.

    Rows are in the order of the records, those of a record in the order of the
    channels. What belongs to the record is the same in each of its rows.

    Returns
    -------
    columns : dict of str to (n * channels,) array
        ``channel``, ``value`` (NaN = missing), the forecasts, ``share``, then
        the columns of the record.

    Examples
    --------
    >>> from streamrnn import Batch, Fleet, Settings
    >>> fleet = Fleet(Settings(channels=["flow", "level"]))
    >>> batch = Batch.of_one_series(np.array([[100.59, 1.5], [100.61, np.nan]]))
    >>> columns = long_columns(fleet.process(batch), batch, fleet.settings, ["pump"])
    >>> columns["channel"].tolist(), columns["value"].tolist()
    (['flow', 'level', 'flow', 'level'], [100.59, 1.5, 100.61, nan])
    >>> columns["record_id"].tolist()
    ['pump-0', 'pump-0', 'pump-1', 'pump-1']
    """
    channels = settings.channels
    wide = {"value": batch.values, **_channel_columns(results, settings)}
    return {
        "channel": np.tile(np.array(channels, object), len(batch)),
        **{name: values.ravel() for name, values in wide.items()},
        **repeated(_record_columns(results, batch, names), len(channels)),
    }


def repeated(columns: Mapping[str, Sequence[Any] | NDArray[Any]], times: int) -> dict[str, NDArray[Any]]:
    """Columns with each row so many times, for what long rows repeat.

    Examples
    --------
    >>> repeated({"site": ("north", "south")}, 2)["site"].tolist()
    ['north', 'north', 'south', 'south']
    """
    arrays = {name: c if isinstance(c, np.ndarray) else np.array(c, object) for name, c in columns.items()}
    return {name: array.repeat(times) for name, array in arrays.items()}


def record_ids(names: Sequence[str], batch: Batch) -> NDArray[Any]:
    """The name of its partition and the offset of every record."""
    return np.array(_ids(names, batch.partitions, batch.offsets), object)


def _channel_columns(results: Results, settings: Settings) -> dict[str, NDArray[np.float64]]:
    """What is said of every channel, (n, channels) each."""
    columns = {name: getattr(results, name) for name in ("yhat", "yhat_lower", "yhat_upper")}
    for k, horizon in enumerate(settings.horizons[1:]):
        for j, suffix in enumerate(("", "_lower", "_upper")):
            columns[f"yhat_h{horizon}{suffix}"] = results.ahead[:, :, k, j]
    return {**columns, "share": results.share}


def _record_columns(results: Results, batch: Batch, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """What is said of every record, (n,) each."""
    plain = ("anomaly_score", "p_value", "surprise", "is_anomaly", "alert_strength")
    return {
        **{name: getattr(results, name) for name in plain},
        "status": _STATUS_NAMES[results.status],
        "event_id": _event_ids(results, names),
        "record_id": record_ids(names, batch),
    }


def _event_ids(results: Results, names: Sequence[str]) -> NDArray[Any]:
    """Id of the record that opened each record's event; None where there is none."""
    ids = np.full(len(results), None, object)
    inside = results.event_offset >= 0
    ids[inside] = _ids(names, results.event_partition[inside], results.event_offset[inside])
    return ids


def _ids(names: Sequence[str], partitions: NDArray[np.int32], offsets: NDArray[np.int64]) -> list[str]:
    numbers = partitions.tolist()
    heads = {partition: f"{names[partition]}-" for partition in set(numbers)}
    pairs = zip(numbers, offsets.tolist(), strict=True)
    return [f"{heads[partition]}{offset}" for partition, offset in pairs]
