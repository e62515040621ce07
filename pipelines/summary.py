"""What a run found, in numbers: the object that is printed as text or as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.events import Event
from streamrnn.pipelines.tally import CALIBRATED, PROVISIONAL, Moment, Tally
from streamrnn.pipelines.words import iso
from streamrnn.records import STATUSES
from streamrnn.scoring.alert import CALIBRATED_AFTER, LARGEST_LEVEL
from streamrnn.settings import Settings

__all__ = ["ChannelSummary", "FalseAlarms", "Summary", "summarise"]

# A count of which fewer are expected says nothing of a rate.
FEWEST_EXPECTED = 3.0


@dataclass(frozen=True)
class ChannelSummary:
    """How well one channel was forecast, one record ahead, since warm-up.

    Attributes
    ----------
    compared : int
        Values that had a forecast and a value before them.
    mean_absolute_error, last_value_error : float
        Of the forecast, and of the last value taken as the forecast; sensor units, NaN: none.
    coverage : float
        Share of the values inside of their intervals; NaN: none.
    """

    channel: str
    compared: int
    mean_absolute_error: float
    last_value_error: float
    coverage: float


@dataclass(frozen=True)
class FalseAlarms:
    """The alarm rate that was asked for, beside what came.

    Without labels nobody knows which alarms are false; this counts all.

    Attributes
    ----------
    asked : str
        As in the settings.
    counts : str
        ``"events"`` under a budget, ``"records"`` under a rate.
    level : float
        The share of normal records that this stands for; NaN before the typical step is known.
    expected : float
        How many were allowed while calibrated.
    realised : int
        How many there were while calibrated.
    provisional : int
        How many there were before.
    enough : bool
        Whether so many were to be expected that their number tells something.
    normal_needed : int
        Normal records that calibration takes; 0: not known yet.
    normal_left : int
        How many of them are still to come.
    """

    asked: str
    counts: str
    level: float
    expected: float
    realised: int
    provisional: int
    enough: bool
    normal_needed: int
    normal_left: int


@dataclass(frozen=True)
class Summary:
    """What a run found.

    Attributes
    ----------
    source : str
        What the records' ids start with.
    title : str
        What people call it.
    records : int
    statuses : dict of str to int
        Records of each status.
    time : str or None
        Name of the time column.
    left_out : tuple of str
        Columns that are neither time nor value.
    typical_step : float
        Nanoseconds; 0: not known.
    first, last, first_scored, first_calibrated : Moment or None
    detections : int
        Records with ``is_anomaly``.
    n_events, n_alerts : int
        All events; those that reached the alert level.
    events : list of Event
        The strongest, in order.
    settings : Settings
    """

    source: str
    title: str
    records: int
    statuses: dict[str, int]
    time: str | None
    left_out: tuple[str, ...]
    typical_step: float
    first: Moment | None
    last: Moment | None
    first_scored: Moment | None
    first_calibrated: Moment | None
    false_alarms: FalseAlarms
    channels: list[ChannelSummary]
    detections: int
    n_events: int
    n_alerts: int
    events: list[Event]
    settings: Settings

    def to_dict(self) -> dict[str, Any]:
        """Everything, of types that JSON knows: times as ISO 8601 UTC, NaN as None."""
        moments = ("first", "last", "first_scored", "first_calibrated")
        plain = {
            **{name: getattr(self, name) for name in ("source", "records", "statuses", "time", "left_out")},
            "typical_step_s": self.typical_step / 1e9 or None,
            **{name: _moment_dict(getattr(self, name)) for name in moments},
            "false_alarms": asdict(self.false_alarms),
            "channels": [asdict(channel) for channel in self.channels],
            "detections": self.detections,
            "n_events": self.n_events,
            "n_alerts": self.n_alerts,
            "events": [self._event_dict(event) for event in self.events],
            "settings": self.settings.to_dict(),
        }
        cleaned: dict[str, Any] = _clean(plain)
        return cleaned

    def _event_dict(self, event: Event) -> dict[str, Any]:
        return {
            "event_id": f"{self.source}-0-{event.first}",
            **asdict(event),
            "start": _time(event.start),
            "end": _time(event.end),
        }


def summarise(
    tally: Tally,
    settings: Settings,
    *,
    source: str,
    title: str,
    time: str | None,
    left_out: tuple[str, ...],
    typical_step: float,
) -> Summary:
    """Close a tally and say what it holds."""
    tally.events.finish()
    return Summary(
        source=source,
        title=title,
        records=tally.records,
        statuses=dict(zip(STATUSES, tally.statuses.tolist(), strict=True)),
        time=time,
        left_out=left_out,
        typical_step=typical_step,
        first=tally.first,
        last=tally.last,
        first_scored=tally.first_scored,
        first_calibrated=tally.first_calibrated,
        false_alarms=_false_alarms(tally, settings, typical_step),
        channels=[_channel(tally, d, name) for d, name in enumerate(settings.channels)],
        detections=int(tally.alarms.sum()),
        n_events=tally.events.count,
        n_alerts=tally.events.alerts,
        events=tally.events.strongest(),
        settings=settings,
    )


def _channel(tally: Tally, d: int, name: str) -> ChannelSummary:
    n = int(tally.compared[d])
    share = 1.0 / n if n else math.nan
    return ChannelSummary(
        channel=name,
        compared=n,
        mean_absolute_error=float(tally.error[d]) * share,
        last_value_error=float(tally.naive_error[d]) * share,
        coverage=float(tally.within[d]) * share,
    )


def _false_alarms(tally: Tally, settings: Settings, typical_step: float) -> FalseAlarms:
    rate, budget = settings.alarm_rate()
    calibrated = int(tally.statuses[CALIBRATED])
    by_events = budget > 0.0 and typical_step > 0.0
    level = budget * typical_step if by_events else rate
    log = tally.events
    realised = log.calibrated_alerts if by_events else int(tally.alarms[CALIBRATED])
    before = log.alerts - log.calibrated_alerts if by_events else int(tally.alarms[PROVISIONAL])
    needed = math.ceil(CALIBRATED_AFTER / (min(level, LARGEST_LEVEL) if by_events else level))
    return FalseAlarms(
        asked=_asked(settings, by_events),
        counts="events" if by_events else "records",
        level=level,
        expected=level * calibrated,
        realised=realised,
        provisional=before,
        enough=level * calibrated >= FEWEST_EXPECTED,
        normal_needed=needed,
        normal_left=0 if tally.first_calibrated else max(needed - tally.normal, 0),
    )


def _asked(settings: Settings, by_events: bool) -> str:
    rate, _ = settings.alarm_rate()
    if by_events:
        return str(settings.false_alarms or "1/week")
    return f"{rate:g}"


def _time(ns: int) -> str | None:
    return None if ns == NO_TIME else iso(ns)


def _moment_dict(moment: Moment | None) -> dict[str, Any] | None:
    return None if moment is None else {"record": moment.record, "time": _time(moment.time)}


def _clean(value: Any) -> Any:
    """The same with None for what JSON has no number for, and lists for tuples."""
    if isinstance(value, dict):
        return {name: _clean(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
