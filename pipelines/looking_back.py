"""``replay --offline``: rows wait for the end, and get columns that look into their future, marked so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.base import Read
from streamrnn.hindsight import Hindsight, look_back
from streamrnn.pipelines.writer import Writer
from streamrnn.records import STATUSES, Float64Array, Results
from streamrnn.settings import Settings

__all__ = ["LookingBack", "hindsight_text"]

_OUT_OF_ORDER = [STATUSES.index(name) for name in ("late", "duplicate")]


class LookingBack:
    """Keeps all rows of a run and, once all are there, reads each series both ways; a watcher of a replay.

    Memory grows with the input. Late and repeated records are part of no series here.

    Parameters
    ----------
    settings : Settings
    writer : Writer or None
        Gets the rows with the columns ``not_causal_…``, in their order.
    """

    def __init__(self, settings: Settings, writer: Writer | None) -> None:
        self._settings, self._writer = settings, writer
        self._kept: list[tuple[Read, Results]] = []
        self._done = False
        self._learned: list[NDArray[np.bool_]] = []
        self._imputed = np.zeros(len(settings.channels), np.int64)
        self._odd = 0

    def add(self, batch: Read, found: Results) -> None:
        """Take in the next records."""
        self._kept.append((batch, found))

    def finish(self) -> None:
        """Read back what came, and write it; what is called again, as when a run breaks off, does nothing."""
        if self._done:
            return
        self._done = True
        rows = self._looked_back() if self._kept else {}
        start = 0
        for batch, found in self._kept:
            part = {name: column[start : start + len(batch)] for name, column in rows.items()}
            start += len(batch)
            if self._writer is not None:
                self._writer.add(batch, found, part)
        self._kept.clear()

    def to_dict(self) -> dict[str, Any]:
        """What was found, of types that JSON knows."""
        learned = np.sum(self._learned, axis=0) if self._learned else np.zeros(len(self._imputed), np.int64)
        channels = zip(self._settings.channels, self._imputed.tolist(), learned.tolist(), strict=True)
        return {
            "causal": False,
            "anomalies": self._odd,
            "channels": [{"channel": c, "imputed": n, "learned": int(k)} for c, n, k in channels],
            "series": len(self._learned),
        }

    def _looked_back(self) -> dict[str, NDArray[Any]]:
        """The columns of all rows."""
        values = np.concatenate([batch.values for batch, _ in self._kept])
        series = np.concatenate([batch.series for batch, _ in self._kept])
        status = np.concatenate([found.status for _, found in self._kept])
        expected, score = np.full_like(values, np.nan), np.full_like(values, np.nan)
        odd = np.zeros(len(values), np.bool_)
        by_series = np.argsort(series, kind="stable")
        by_series = by_series[~np.isin(status[by_series], _OUT_OF_ORDER)]
        ends = np.flatnonzero(np.diff(series[by_series])) + 1
        for places in np.split(by_series, ends) if len(by_series) else []:
            seen = look_back(values[places], self._settings.seed)
            expected[places], score[places], odd[places] = seen.expected, seen.score, seen.is_anomaly
            self._learned.append(seen.learned)
        self._odd = int(odd.sum())
        return _columns(values, Hindsight(expected, score, odd, np.empty((0, 2))), self._imputed)


def _columns(values: Float64Array, seen: Hindsight, imputed: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    with np.errstate(invalid="ignore"):
        known = np.abs(values) < np.inf
    imputed += np.sum(~known & ~np.isnan(seen.expected), axis=0)
    return {
        "not_causal_expected": seen.expected,
        "not_causal_imputed": np.where(known, values, seen.expected),
        "not_causal_score": seen.score,
        "not_causal_is_anomaly": seen.is_anomaly,
    }


def hindsight_text(found: dict[str, Any], names: Sequence[str]) -> str:
    """What was found with hindsight, in lines; ``names`` are the channels', escaped."""
    channels, series = list(zip(names, found["channels"], strict=True)), found["series"]
    imputed = [f"{name} {channel['imputed']:,}" for name, channel in channels if channel["imputed"]]
    learned = [f"{name} ({n:,} of {series:,} series)" for name, c in channels if (n := c["learned"])]
    lines = [
        "hindsight: not causal, each value was held against those before and after it",
        f"  odd records  {found['anomalies']:,}",
        f"  imputed      {', '.join(imputed) or 'nothing was missing'}",
        f"  network      nearer than the line between neighbours: {', '.join(learned) or 'nowhere'}",
    ]
    return "\n".join(lines)
