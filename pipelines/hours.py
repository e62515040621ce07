"""Hours of a week, by the clocks of a time zone: ``Mon-Fri 08:00-18:00, Sat 09:00-12:00``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from streamrnn.connectors.text import shown
from streamrnn.errors import SettingsError

__all__ = ["Hours", "hours"]

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = "|".join(_DAYS)
_SPAN = re.compile(rf"(?:({_DAY})(?:-({_DAY}))?)?\s*(?:(\d\d?):(\d\d)\s*-\s*(\d\d?):(\d\d))?", re.IGNORECASE)
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True)
class _Span:
    """Minutes of some days; those past midnight belong to the day before."""

    days: frozenset[int]
    start: int
    end: int

    def holds(self, day: int, minute: int) -> bool:
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        late = day in self.days and minute >= self.start
        return late or ((day - 1) % 7 in self.days and minute < self.end)


@dataclass(frozen=True)
class Hours:
    """Some hours of each week.

    Attributes
    ----------
    spans : tuple
    zone : ZoneInfo

    Examples
    --------
    >>> at_work = hours("Mon-Fri 08:00-18:00", "Europe/Rome")
    >>> friday = 1_782_489_600_000_000_000  # 2026-06-26 16:00 UTC: 18:00 in Rome, in summer
    >>> at_work.holds(friday), at_work.holds(friday - 1)
    (False, True)
    """

    spans: tuple[_Span, ...]
    zone: ZoneInfo

    def holds(self, now: int) -> bool:
        """Whether a moment, ns UTC, lies in them."""
        # In whole microseconds: a float of so many seconds would round up to the next minute.
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=now // 1000)
        local = moment.astimezone(self.zone)
        return any(span.holds(local.weekday(), local.hour * 60 + local.minute) for span in self.spans)


def hours(text: str, tz: str = "UTC") -> Hours:
    """Hours as they are written: days, hours or both, several between commas.

    Raises
    ------
    SettingsError
        Where they are none, or the zone is not known.
    """
    try:
        zone = ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingsError(f"tz is {shown(tz)}, which is not known; give one such as Europe/Rome") from None
    return Hours(tuple(_span(part.strip()) for part in text.split(",")), zone)


def _span(text: str) -> _Span:
    parts = _SPAN.fullmatch(text)
    if parts is None or not text:
        raise SettingsError(f"{shown(text)} are no hours; give some such as Mon-Fri 08:00-18:00")
    first, last, *numbers = parts.groups()
    days = frozenset(range(7))
    if first is not None:
        start = _DAYS.index(first.lower())
        length = (_DAYS.index((last or first).lower()) - start) % 7 + 1
        days = frozenset((start + i) % 7 for i in range(length))
    if numbers[0] is None:
        return _Span(days, 0, _DAY_MINUTES)
    hour, minute, end_hour, end_minute = map(int, numbers)
    begin, end = 60 * hour + minute, 60 * end_hour + end_minute
    if max(minute, end_minute) > 59 or begin >= _DAY_MINUTES or end > _DAY_MINUTES or begin == end:
        raise SettingsError(f"{shown(text)} are no hours; give some such as 08:00-18:00, 24:00 for the end")
    return _Span(days, begin, end)
