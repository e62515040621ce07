"""Results as the named columns that users see."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.records import STATUSES, Batch, Results
from streamrnn.settings import Settings

TEXT_COLUMNS = ("status", "event_id", "record_id")

_STATUS_NAMES = np.array(STATUSES, object)


def output_columns(
    results: Results, batch: Batch, settings: Settings, source: str
) -> dict[str, NDArray[Any]]:
    """The output columns, in their order, as DESIGN fixes them.

    With several channels the per-channel columns carry the channel's name.
    ``source`` is the first part of record and event ids.
    """
    columns: dict[str, NDArray[Any]] = {}
    several = len(settings.channels) > 1
    for d, channel in enumerate(settings.channels):
        prefix = f"{channel}." if several else ""
        columns[f"{prefix}yhat"] = results.yhat[:, d]
        columns[f"{prefix}yhat_lower"] = results.yhat_lower[:, d]
        columns[f"{prefix}yhat_upper"] = results.yhat_upper[:, d]
        for k, horizon in enumerate(settings.horizons[1:]):
            for j, suffix in enumerate(("", "_lower", "_upper")):
                columns[f"{prefix}yhat_h{horizon}{suffix}"] = results.ahead[:, d, k, j]
        if several:
            columns[f"{prefix}share"] = results.share[:, d]
    for name in ("anomaly_score", "p_value", "surprise", "is_anomaly", "alert_strength"):
        columns[name] = getattr(results, name)
    columns["status"] = _STATUS_NAMES[results.status]
    columns["event_id"] = _event_ids(results, source)
    columns["record_id"] = record_ids(source, batch)
    return columns


def record_ids(source: str, batch: Batch) -> NDArray[Any]:
    """``source-partition-offset`` of every record."""
    pairs = zip(batch.partitions.tolist(), batch.offsets.tolist(), strict=True)
    return np.array([f"{source}-{partition}-{offset}" for partition, offset in pairs], object)


def _event_ids(results: Results, source: str) -> NDArray[Any]:
    """Id of the record that opened each record's event; None where there is none."""
    ids = np.full(len(results), None, object)
    for i in np.flatnonzero(results.event_offset >= 0):
        ids[i] = f"{source}-{results.event_partition[i]}-{results.event_offset[i]}"
    return ids
