"""Durations and sizes as a pipeline file writes them."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

__all__ = ["Bytes", "Duration", "bytes_of", "seconds"]

Duration = Annotated[str, Meta(pattern=r"^\d+(\.\d+)?(ms|s|m|h|d)$", description="such as 1s, 5m, 2h")]
Bytes = Annotated[str, Meta(pattern=r"^\d+(\.\d+)?[kMGT]B$", description="such as 500MB, 2GB")]
_BYTES = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def seconds(duration: str) -> float:
    """A duration such as ``"5m"`` in seconds.

    Examples
    --------
    >>> seconds("5m"), seconds("250ms")
    (300.0, 0.25)
    """
    number, unit = re.fullmatch(r"([\d.]+)(\w+)", duration).groups()  # type: ignore[union-attr]
    return float(number) * _SECONDS[unit]


def bytes_of(size: str) -> int:
    """A size such as ``"2GB"`` in bytes.

    Examples
    --------
    >>> bytes_of("2GB"), bytes_of("1.5kB")
    (2000000000, 1500)
    """
    number, unit = re.fullmatch(r"([\d.]+)(\w+)", size).groups()  # type: ignore[union-attr]
    return round(float(number) * _BYTES[unit])
