"""Data inside of a page: text that no browser takes for anything else."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.pipelines.summary import for_json
from streamrnn.pipelines.web.columns import SeriesColumns

__all__ = ["for_script", "packed", "series_payload"]

_MOST_SINGLE = 1e30  # differences up to here are kept in four bytes
_AS_WRITTEN = ("x", "offset")  # eight bytes: neighbours differ in late digits


def for_script(data: Any) -> str:
    r"""JSON that may stand inside of ``<script>``, whatever its strings hold.

    Examples
    --------
    >>> for_script({"key": "</script><b>"})
    '{"key":"\\u003c/script\\u003e\\u003cb\\u003e"}'
    """
    text = json.dumps(for_json(data), separators=(",", ":"), allow_nan=False)
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text


def packed(column: NDArray[Any], *, exact: bool = False) -> dict[str, Any]:
    """A column as JSON: its type, its little-endian bytes in base64, what to add to each number.

    Numbers of sensors become four bytes, relative to the first of them, so that a small
    change of a large number is not lost; where that cannot hold them, eight.

    Parameters
    ----------
    column : (n,) uint8 or float64
    exact : bool
        Keep all digits.
    """
    if column.dtype == np.uint8:
        return _coded("u1", column, 0.0)
    known = column[np.isfinite(column)]
    base = 0.0 if exact or not len(known) else float(known[0])
    if exact or (len(known) and np.abs(known - base).max() > _MOST_SINGLE):
        return _coded("f8", column.astype("<f8"), 0.0)
    return _coded("f4", (column - base).astype("<f4"), base)


def series_payload(columns: SeriesColumns) -> dict[str, Any]:
    """All of a series; ``high`` is left out where each row stands for one record."""
    left_out = {"high"} if columns.stride == 1 else set()
    return {
        "stride": columns.stride,
        "timed": columns.timed,
        "step": columns.step,
        "limits": columns.limits,
        "rows": {name: packed(column, exact=name in _AS_WRITTEN) for name, column in columns.rows.items()},
        "channels": [
            {name: packed(column) for name, column in channel.items() if name not in left_out}
            for channel in columns.channels
        ],
    }


def _coded(kind: str, column: NDArray[Any], base: float) -> dict[str, Any]:
    return {"type": kind, "base": base, "data": base64.b64encode(column.tobytes()).decode("ascii")}
