"""What events look like, as users may speak of them; from results, as ``scoring/feedback.py`` has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from streamrnn.feedback import Signature
from streamrnn.kernels.scaler import LARGEST
from streamrnn.records import Batch, Float64Array, Results

__all__ = ["Look"]


class Look(NamedTuple):
    """What an event looks like so far.

    Attributes
    ----------
    expected : (channels,) float64
        The forecast for the record that opened it.
    rank : (float, float)
        alert_strength and surprise of its peak.
    seen : Signature
    """

    expected: Float64Array
    rank: tuple[float, float]
    seen: Signature

    @classmethod
    def first(cls, batch: Batch, found: Results, row: int) -> Self:
        """Of the record that opened it."""
        return cls(found.yhat[row], _rank(found, row), _signature(batch, found, row, found.yhat[row]))

    def after(self, batch: Batch, found: Results, rows: NDArray[np.int64]) -> Look:
        """The same after more of its records."""
        peak = max(rows.tolist(), key=lambda row: _rank(found, row))
        if not _rank(found, peak) > self.rank:
            return self
        seen = _signature(batch, found, peak, self.expected)._replace(onset=self.seen.onset)
        return Look(self.expected, _rank(found, peak), seen)

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        seen = [list(part) for part in self.seen]
        return {"expected": self.expected.tolist(), "rank": list(self.rank), "seen": seen}

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> Self:
        """From ``to_dict``."""
        strength, surprise = held["rank"]
        return cls(np.array(held["expected"]), (strength, surprise), Signature(*held["seen"]))


def _rank(found: Results, row: int) -> tuple[float, float]:
    surprise = float(found.surprise[row])
    return float(found.alert_strength[row]), surprise if surprise == surprise else -1.0


def _signature(batch: Batch, found: Results, row: int, expected: Float64Array) -> Signature:
    value = np.where(np.abs(batch.values[row]) <= LARGEST, batch.values[row], np.nan)
    deviation = (value - expected).tolist()
    return Signature(value.tolist(), deviation, deviation, found.share[row].tolist())
