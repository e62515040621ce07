"""One call of the engine: the columns of a batch and the table of their addresses."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels import plan
from streamrnn.records import Batch, Int64Array, Results
from streamrnn.space import address


class Call:
    """Room for n records, in and out, with every column's address in one table.

    The table is all that a kernel gets, so a call costs the same however many
    columns there are. The object owns the memory: keep it while a kernel runs.
    """

    def __init__(self, n: int, channels: int, ahead: int) -> None:
        wide, flat = (n, channels), (n,)
        floats: dict[int, tuple[int, ...]] = {
            plan.CALL_VALUES: wide,
            plan.CALL_YHAT: wide,
            plan.CALL_LOWER: wide,
            plan.CALL_UPPER: wide,
            plan.CALL_SHARE: wide,
            plan.CALL_AHEAD: (n, channels, ahead, 3),
            plan.CALL_SCORE: flat,
            plan.CALL_P_VALUE: flat,
            plan.CALL_SURPRISE: flat,
            plan.CALL_STRENGTH: flat,
            plan.CALL_LEVEL: flat,
            plan.CALL_ALERT_LEVEL: flat,
        }
        whole = (
            plan.CALL_SERIES,
            plan.CALL_TIMES,
            plan.CALL_PARTITIONS,
            plan.CALL_OFFSETS,
            plan.CALL_STATUS,
            plan.CALL_DETECTION,
            plan.CALL_EVENT_PARTITION,
            plan.CALL_EVENT_OFFSET,
            plan.CALL_EVENT_KIND,
        )
        self.columns: dict[int, NDArray[Any]] = {i: np.empty(shape) for i, shape in floats.items()}
        self.columns |= {i: np.empty(n, np.int64) for i in whole}
        self.table = np.zeros(plan.CALL_SIZE, np.int64)
        self.table[plan.CALL_RECORDS] = n
        for i, column in self.columns.items():
            self.table[i] = address(column)
        self.address = address(self.table)

    def fill(self, batch: Batch, order: Int64Array | None = None) -> Self:
        """Copy a batch's columns in, in another order where one is given; this call."""
        for i, column in (
            (plan.CALL_SERIES, batch.series),
            (plan.CALL_TIMES, batch.times),
            (plan.CALL_PARTITIONS, batch.partitions),
            (plan.CALL_OFFSETS, batch.offsets),
            (plan.CALL_VALUES, batch.values),
        ):
            self.columns[i][:] = column if order is None else column[order]
        return self

    def part(self, start: int, stop: int) -> Int64Array:
        """The table of some of the records, which lie behind each other; it shares this call's memory."""
        table = self.table.copy()
        table[plan.CALL_RECORDS] = stop - start
        for i, column in self.columns.items():
            table[i] += start * column.strides[0]
        return table

    def results(self, order: Int64Array | None = None) -> Results:
        """The results' columns; they share this call's memory.

        Parameters
        ----------
        order : (n,) int64, optional
            Where each record of this call was in the batch; the results are then in the batch's order.
        """
        column = self.columns
        if order is not None:
            came = np.empty_like(order)
            came[order] = np.arange(len(order))
            column = {i: values[came] for i, values in column.items()}
        return Results(
            yhat=column[plan.CALL_YHAT],
            yhat_lower=column[plan.CALL_LOWER],
            yhat_upper=column[plan.CALL_UPPER],
            share=column[plan.CALL_SHARE],
            ahead=column[plan.CALL_AHEAD],
            anomaly_score=column[plan.CALL_SCORE],
            p_value=column[plan.CALL_P_VALUE],
            surprise=column[plan.CALL_SURPRISE],
            alert_strength=column[plan.CALL_STRENGTH],
            level=column[plan.CALL_LEVEL],
            alert_level=column[plan.CALL_ALERT_LEVEL],
            is_anomaly=column[plan.CALL_DETECTION].astype(np.bool_),
            status=column[plan.CALL_STATUS].astype(np.int8),
            event_partition=column[plan.CALL_EVENT_PARTITION].astype(np.int32),
            event_offset=column[plan.CALL_EVENT_OFFSET],
            event_kind=column[plan.CALL_EVENT_KIND].astype(np.int8),
        )
