"""How many events a day some thresholds would have given: what dragging one shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.kept import SeriesRows
from streamrnn.scoring.alert import QUIET
from streamrnn.settings import Settings

__all__ = ["LOWEST", "STEP", "Preview", "asked_of", "line_of", "preview_of", "rate_for"]

LOWEST, STEP, _COUNT = 1.0, 0.1, 71  # thresholds of surprise: 1.0, 1.1, ... 8.0
_DAY_NS, _THOUSAND = 86_400e9, 1000.0


@dataclass(frozen=True)
class Preview:
    """Events of a series at each threshold.

    Attributes
    ----------
    events : (thresholds,) int64
        Runs of records at or over it; one ends after 20 records under it.
    lasted : float
        What was looked at: days, or thousands of records where there are no times.
    timed : bool
    """

    events: np.ndarray[Any, np.dtype[np.int64]]
    lasted: float
    timed: bool


def preview_of(rows: SeriesRows) -> Preview:
    """The events of kept rows, which may be thinned: each row has its largest surprise.

    Examples
    --------
    >>> whole, numbers = np.zeros((100, 4), np.int64), np.zeros((100, 9))
    >>> whole[:, 0], whole[:, 1], numbers[[10, 50, 51], 0] = range(100), NO_TIME, (4.0, 3.0, 3.5)
    >>> preview_of(SeriesRows(1, whole, numbers)).events[[0, 22, 27, 35]].tolist()
    [2, 2, 1, 0]
    """
    surprise = np.nan_to_num(rows.column("surprise"), nan=-1.0)
    places = np.flatnonzero(surprise >= LOWEST)
    quiet = max(QUIET // rows.stride, 1)
    events = np.zeros(_COUNT, np.int64)
    for k in range(_COUNT):
        places = places[surprise[places] >= LOWEST + k * STEP - 1e-9]
        events[k] = len(places) and 1 + int((np.diff(places) > quiet).sum())
    times = rows.times[rows.times != NO_TIME]
    timed = len(times) > 1
    lasted = float(times.max() - times.min()) / _DAY_NS if timed else len(rows) * rows.stride / _THOUSAND
    return Preview(events, lasted, timed)


def rate_for(settings: Settings, surprise: float, events_a_day: float | None) -> str | float:
    """What ``false_alarms`` asks for a threshold, in the terms in which it asks now.

    Parameters
    ----------
    settings : Settings
    surprise : float
        The threshold.
    events_a_day : float or None
        Of one series, at that threshold; None: not known.

    Examples
    --------
    >>> rate_for(Settings(false_alarms=1e-3), 4.0, None), rate_for(Settings(false_alarms="1/week"), 4.0, 0.5)
    (0.0001, '3.5/week')
    """
    _, budget = settings.alarm_rate()
    if budget <= 0.0 or not events_a_day:
        return float(f"{10.0**-surprise:.1e}")
    period, times = ("day", 1.0) if events_a_day >= 1.0 else ("week", 7.0)
    asked = events_a_day * times
    return f"{f'{asked:.0f}' if asked >= 10.0 else f'{asked:.2g}'}/{period}"


def line_of(rate: str | float) -> str:
    """What to write into the pipeline file.

    Examples
    --------
    >>> line_of(0.00025), line_of("3.5/week")
    ('false_alarms = 2.5e-4', 'false_alarms = "3.5/week"')
    """
    if isinstance(rate, str):
        return f'false_alarms = "{rate}"'
    digits, _, power = f"{rate:.1e}".partition("e")
    return f"false_alarms = {float(digits):g}e{int(power)}"


def asked_of(settings: Settings) -> str:
    """What is asked at present, in words."""
    return str(settings.false_alarms or "1/week")
