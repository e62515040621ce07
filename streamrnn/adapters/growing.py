"""A detector that learns the names of its channels from the first records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from streamrnn.detector import Detector
from streamrnn.errors import SettingsError
from streamrnn.result import Forecast, Result
from streamrnn.settings import Settings
from streamrnn.values import channels_of, nanoseconds, values_of

__all__ = ["GrowingDetector"]

_MOST_GATHERED = 1000  # records that a model may hold in memory

_Record = tuple[dict[str, float], int | None]  # values by name, nanoseconds since 1970 UTC


class GrowingDetector:
    """A ``Detector`` of mappings whose features may come and go.

    A detector's channels shape its state. So the first ``gather`` records are
    held; where one of them brings a new feature, a detector of all features so
    far starts over and learns the held records again. Nothing is lost: its bits
    are those of a detector that had known these channels from the start. Then
    the records are let go, and later features are ignored and counted. A
    feature that a record lacks is missing (NaN), at any time. Records before the
    first feature say nothing and leave no trace.

    Channels are ``leading``, then all others sorted by name, so the order of a
    record's features does not matter.

    Parameters
    ----------
    gather : int
        How many first records may bring new features, 1 to 1000.
    leading : tuple of str
        Channels known before the first record.
    **settings
        Of the ``Detector``, but for its channels.

    Raises
    ------
    SettingsError
        Where a setting is unknown or out of range.

    Attributes
    ----------
    detector : Detector or None
        None before the first feature.
    n_ignored : int
        Values of features that came too late.

    Examples
    --------
    >>> from streamrnn.adapters.growing import GrowingDetector
    >>> model = GrowingDetector(gather=2)
    >>> for x in ({"level": 1.0}, {"level": 2.0, "flow": 5.0}, {"level": 3.0, "late": 0.0}):
    ...     model.learn(x)
    >>> model.detector.settings.channels, model.detector.n_records, model.n_ignored
    (('flow', 'level'), 3, 1)
    """

    def __init__(self, gather: int, leading: tuple[str, ...] = (), **settings: Any) -> None:
        if isinstance(gather, bool) or not isinstance(gather, int) or not 1 <= gather <= _MOST_GATHERED:
            raise SettingsError(f"gather is {gather!r}; give a whole number from 1 to {_MOST_GATHERED}")
        Settings.from_dict(settings)  # say at once what is wrong
        self.detector: Detector | None = None
        self.n_ignored = 0
        self._gather = gather
        self._leading = leading
        self._settings = settings
        self._held: list[_Record] | None = []

    def __getstate__(self) -> tuple[str, Detector | None]:
        # Equal models give equal bytes: a pickle of names would tell which of them are one object.
        kept = (self._gather, self._leading, self._settings, self.n_ignored, self._held)
        return json.dumps(kept), self.detector

    def __setstate__(self, state: tuple[str, Detector | None]) -> None:
        text, self.detector = state
        self._gather, leading, self._settings, self.n_ignored, self._held = json.loads(text)
        self._leading = tuple(leading)

    def learn(self, x: Mapping[Any, Any], time: Any = None) -> None:
        """Learn one record.

        Raises
        ------
        DataError
            Where a value is not a number or the time cannot be read; nothing is learned then.
        """
        record, stamp = _numbers(x), None if time is None else nanoseconds(time)
        if self._held is not None:
            self._gather_one(self._held, (record, stamp))
        elif self.detector is not None:
            known = self._known(record)
            _learn(self.detector, (known, stamp))
            self.n_ignored += len(record) - len(known)

    def judge(self, x: Mapping[Any, Any], time: Any = None) -> Result | None:
        """What would be said of a record, if it came next; None before the first feature. Changes nothing."""
        if self.detector is None:
            return None
        return self.detector.judge_one(self._known(_numbers(x)), time)

    def forecast_after(self, x: Mapping[Any, Any], time: Any = None) -> dict[str, Forecast] | None:
        """Next value of each channel, if x were the newest record; None as above. Changes nothing."""
        if self.detector is None:
            return None
        return self.detector.forecast_after(self._known(_numbers(x)), time)

    def _gather_one(self, held: list[_Record], record: _Record) -> None:
        """Learn a record that may bring new features."""
        channels = self._channels()
        others = {*channels, *record[0]}.difference(self._leading)
        found = (*self._leading, *sorted(others))
        if not found:
            return
        if self.detector is None or found != channels:
            self.detector = Detector(**self._settings, channels=found)
            for earlier in held:
                _learn(self.detector, earlier)
        _learn(self.detector, record)
        held.append(record)
        if len(held) == self._gather:
            self._held = None

    def _channels(self) -> tuple[str, ...]:
        return self.detector.settings.channels if self.detector else ()

    def _known(self, record: dict[str, float]) -> dict[str, float]:
        channels = self._channels()
        return {name: value for name, value in record.items() if name in channels}


def _learn(detector: Detector, record: _Record) -> None:
    values, stamp = record
    detector.learn_one(values, None if stamp is None else np.datetime64(stamp, "ns"))


def _numbers(x: Mapping[Any, Any]) -> dict[str, float]:
    """A record's values by the text of their names."""
    names = channels_of(x)
    return dict(zip(names, values_of(x, names).tolist(), strict=True))
