"""What the row of a series tells to whoever looks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels import plan, season
from streamrnn.layout import ModelLayout
from streamrnn.result import Season

__all__ = ["seasons", "typical_step_ns"]


def typical_step_ns(layout: ModelLayout, row: NDArray[np.uint8]) -> float:
    """Typical time between a series' records, nanoseconds; 0 before it is known."""
    return float(layout.segment(row, "clock", np.float64)[plan.CLOCK_STEP])


def seasons(layout: ModelLayout, row: NDArray[np.uint8]) -> list[Season | None]:
    """The season that the forecaster of each channel goes by; None: none."""
    settings = layout.settings
    if not layout.groups or settings.season == "off":
        return [None] * len(settings.channels)
    found: list[Season | None] = []
    for d in range(len(settings.channels)):
        state = layout.segment(row, f"channel{d}.season", np.int64)
        records, strength = int(state[season.PERIOD]), float(state.view(np.float64)[season.STRENGTH])
        found.append(Season(records, strength) if records else None)
    return found
