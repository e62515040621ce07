"""Local times to UTC as arrays, with what daylight saving does to them."""

from __future__ import annotations

import difflib
import re
import zoneinfo
from datetime import UTC, datetime, timedelta, timezone, tzinfo

import numpy as np

from streamrnn.connectors.text import shown
from streamrnn.errors import SettingsError
from streamrnn.kernels.plan import NO_TIME
from streamrnn.records import Int64Array

__all__ = ["Zone"]

_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIXED = re.compile(r"(?:UTC|GMT)?(?P<sign>[-+])(?P<hours>[0-9]{1,2})(?::?(?P<minutes>[0-5][0-9]))?")


class Zone:
    """A time zone: a name of the IANA database, or an offset such as ``+01:00``.

    Parameters
    ----------
    name : str
        As users write it.

    Raises
    ------
    SettingsError
        Where the name is unknown; the message has the nearest ones.

    Examples
    --------
    >>> berlin = Zone("Europe/Berlin")
    >>> noon = np.array(["2024-07-01T12:00"], "M8[ns]").astype(np.int64)
    >>> first, second = berlin.utc(noon)
    >>> first.view("M8[ns]").astype("M8[m]").astype(str).tolist(), bool(first == second)
    (['2024-07-01T10:00'], True)
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._info = _find(name)
        self.is_fixed = isinstance(self._info, timezone)
        self._years = (1, 0)  # covered so far: none
        self._changes = np.empty(0, np.int64)  # instants, ns UTC
        self._offsets = np.zeros(1, np.int64)  # ns, before the first change and after each
        if self.is_fixed:
            self._offsets[:] = self._seconds(0) * _SECOND

    def utc(self, local: Int64Array) -> tuple[Int64Array, Int64Array]:
        """The first and the second instant at which clocks of the zone show a time.

        Parameters
        ----------
        local : (n,) int64
            Times that clocks show, in nanoseconds as if UTC, of the years 1678 to 2261.

        Returns
        -------
        first, second : (n,) int64
            Nanoseconds UTC; equal where the time occurs once, ``NO_TIME`` where it never does.
        """
        if self.is_fixed:
            return local - self._offsets[0], local - self._offsets[0]
        before, after = self._around(local)
        first, second = local - before, local - after
        is_first, is_second = self._offset(first) == before, self._offset(second) == after
        once = np.where(is_first, first, np.where(is_second, second, NO_TIME))
        twice = is_first & is_second
        return once, np.where(twice, second, once)

    def standard(self, local: int) -> str:
        """The offset of standard time beside a change of clocks, as ``--tz`` takes it."""
        before, after = self._around(np.array([local], np.int64))
        minutes = int(min(before[0], after[0])) // (60 * _SECOND)
        hours, minutes = divmod(abs(minutes), 60)
        return f"{'-' if min(before[0], after[0]) < 0 else '+'}{hours:02}:{minutes:02}"

    def _around(self, local: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Offsets a day before and a day after: no zone is further from UTC, none changes as often."""
        self._cover(local)
        return self._offset(local - _DAY), self._offset(local + _DAY)

    def _offset(self, utc: Int64Array) -> Int64Array:
        return self._offsets[np.searchsorted(self._changes, utc, side="right")]

    def _cover(self, local: Int64Array) -> None:
        """Have the changes of all years of some times, and of a year on either side."""
        if not len(local):
            return
        ends = np.array([local.min(), local.max()], "M8[ns]").astype("M8[Y]").astype(np.int64) + 1970
        first, last = int(ends[0]) - 1, int(ends[1]) + 1
        known = self._years
        if known[0] <= first and last <= known[1]:
            return
        if known[0] <= known[1]:
            first, last = min(first, known[0]), max(last, known[1])
        self._years = (first, last)
        days = np.arange(np.datetime64(f"{first}-01-01"), np.datetime64(f"{last + 1}-01-02"))
        seconds = [day * 86_400 for day in days.astype(np.int64).tolist()]
        offsets = [self._seconds(second) for second in seconds]
        places = [i for i in range(1, len(seconds)) if offsets[i] != offsets[i - 1]]
        changes = [self._change(seconds[i - 1], seconds[i]) for i in places]
        self._changes = np.array(changes, np.int64) * _SECOND
        self._offsets = np.array([offsets[0], *(offsets[i] for i in places)], np.int64) * _SECOND

    def _change(self, low: int, high: int) -> int:
        """The second between two at which the offset changes."""
        before = self._seconds(low)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._seconds(middle) == before else (low, middle)
        return high

    def _seconds(self, utc: int) -> int:
        offset = (_EPOCH + timedelta(seconds=utc)).astimezone(self._info).utcoffset()
        return int((offset or timedelta()).total_seconds())


def _find(name: str) -> tzinfo:
    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    fixed = _FIXED.fullmatch(name)
    if fixed and int(fixed["hours"]) < 24:
        minutes = int(fixed["hours"]) * 60 + int(fixed["minutes"] or 0)
        return timezone(timedelta(minutes=-minutes if fixed["sign"] == "-" else minutes))
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise SettingsError(f"tz {shown(name)} is not a time zone; {_nearest(name)}") from None


def _nearest(name: str) -> str:
    """What a user may have meant by a name that is unknown."""
    known = zoneinfo.available_timezones()
    if not known:
        return "this machine has no time zones: install the package tzdata, or give an offset such as +01:00"
    spelled = {zone.lower(): zone for zone in sorted(known)}
    word = name.lower().replace(" ", "_")
    near = [zone for key, zone in spelled.items() if word and word in key.split("/")]
    near += [spelled[key] for key in difflib.get_close_matches(word, spelled, n=3)]
    meant = list(dict.fromkeys(near))[:3]
    return f"did you mean {' or '.join(meant)}?" if meant else "give one such as Europe/Berlin, or +01:00"
