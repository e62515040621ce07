"""Durations as a pipeline file writes them."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

__all__ = ["Duration", "seconds"]

Duration = Annotated[str, Meta(pattern=r"^\d+(\.\d+)?(ms|s|m|h|d)$", description="such as 1s, 5m, 2h")]
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
