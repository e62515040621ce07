"""The columns of a batch as the kernels that look back at it read them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels import tally as kernel
from streamrnn.records import Batch, Results
from streamrnn.space import address

__all__ = ["KernelColumns"]


class KernelColumns:
    """A batch, what was found in it and its labels, as kernels read them: at ``address``.

    The object owns the memory: keep it while a kernel runs.

    Attributes
    ----------
    address : int
    table : (COLUMN_SIZE,) int64
        What is there: sizes and addresses.
    """

    def __init__(self, batch: Batch, found: Results, labels: NDArray[np.bool_] | None = None) -> None:
        known = np.zeros(len(batch), np.int64) if labels is None else labels
        wholes = {
            kernel.COLUMN_SERIES: batch.series,
            kernel.COLUMN_TIMES: batch.times,
            kernel.COLUMN_OFFSETS: batch.offsets,
            kernel.COLUMN_STATUS: found.status,
            kernel.COLUMN_HIT: found.is_anomaly,
            kernel.COLUMN_EVENT_PARTITION: found.event_partition,
            kernel.COLUMN_EVENT_OFFSET: found.event_offset,
            kernel.COLUMN_LABEL: known,
        }
        reals = {
            kernel.COLUMN_VALUES: batch.values,
            kernel.COLUMN_YHAT: found.yhat,
            kernel.COLUMN_LOWER: found.yhat_lower,
            kernel.COLUMN_UPPER: found.yhat_upper,
            kernel.COLUMN_SHARE: found.share,
            kernel.COLUMN_SURPRISE: found.surprise,
            kernel.COLUMN_LEVEL: found.level,
            kernel.COLUMN_STRENGTH: found.alert_strength,
            kernel.COLUMN_ALERT_LEVEL: found.alert_level,
            kernel.COLUMN_ERRORS: np.full((*batch.values.shape, kernel.N_BASELINES), np.nan),
        }
        columns: dict[int, NDArray[Any]] = {
            **{i: np.ascontiguousarray(column, np.int64) for i, column in wholes.items()},
            **{i: np.ascontiguousarray(column, np.float64) for i, column in reals.items()},
        }
        self._columns = columns  # keeps their memory alive
        self.table = np.zeros(kernel.COLUMN_SIZE, np.int64)
        self.table[[kernel.COLUMN_RECORDS, kernel.COLUMN_CHANNELS]] = batch.values.shape
        for i, column in columns.items():
            self.table[i] = address(column)
        self.address = address(self.table)
