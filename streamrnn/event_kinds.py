"""What kind an event is: named by what users called the events before it."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import DataError, SettingsError
from streamrnn.result import Result
from streamrnn.windows import WindowClassifier

__all__ = ["EventKinds"]

_IN_ORDER = ("warming", "provisional", "calibrated", "missing")

Columns = dict[str, float]


class _Window(NamedTuple):
    """What a series read around the opening of an event; the first ``before`` records lie before it."""

    before: int
    records: list[Columns]


class EventKinds:
    """Follows what detectors say, and learns from users how to name their events.

    An event's window is what its series read from some records before the event opened on, each
    channel less its median before it; so what was learned at one level holds at another. The classifier is
    ``windows.WindowClassifier``: kinds may be new at any time, and nothing is known before the first one.
    ``Result.event_kind``, which goes by rules, needs no labels and is there all the same.

    Parameters
    ----------
    before, after : int
        Records of a window before the one that opened the event, and from that on.
    memory : int
        Newest events that can be named and learned.
    options
        Those of ``WindowClassifier``, such as ``seed``.

    Raises
    ------
    SettingsError
        Where a setting is none.

    Examples
    --------
    >>> import numpy as np
    >>> from streamrnn import Detector
    >>> level = 20 + 0.1 * np.random.default_rng(0).normal(size=900)
    >>> level[[500, 600, 700, 800]] += [5, -5, 5, -5]
    >>> detector, kinds = Detector(), EventKinds(seed=1)
    >>> for result in map(detector.process_one, level):
    ...     kinds.follow(result)
    >>> blockage, leak, newest, _ = kinds.events[-4:]
    >>> for _ in range(20):  # labels are few: each is learned again and again
    ...     kinds.learn(blockage, "blockage")
    ...     kinds.learn(leak, "leak")
    >>> said = kinds.probabilities(newest)
    >>> max(said, key=said.get)
    'blockage'
    """

    def __init__(self, *, before: int = 8, after: int = 32, memory: int = 1000, **options: Any) -> None:
        if min(before, after, memory) < 1:
            raise SettingsError("before, after and memory are each at least 1")
        self._before, self._after, self._most = before, after, memory
        self._classifier = WindowClassifier(**options)
        self._newest: dict[Hashable, deque[Columns]] = {}
        self._open: dict[Hashable, str] = {}
        self._windows: dict[str, _Window] = {}

    @property
    def events(self) -> tuple[str, ...]:
        """The events that can be named and learned, in the order in which they opened."""
        return tuple(self._windows)

    def follow(self, result: Result, series: Hashable = "") -> None:
        """Hear of a record, of each in its order.

        Parameters
        ----------
        result : Result
        series : hashable
            Which series it is of, where there are several. Their detectors need names of their own,
            by which events are told apart.
        """
        if result.status not in _IN_ORDER:
            return
        values = {name: channel.actual for name, channel in result.channels.items()}
        newest = self._newest.setdefault(series, deque(maxlen=self._before))
        event = result.event_id
        if event is not None and event != self._open.get(series):
            self._open[series] = event
            self._windows[event] = _Window(len(newest), list(newest))
            if len(self._windows) > self._most:
                del self._windows[next(iter(self._windows))]
        window = self._windows.get(self._open.get(series, ""))
        if window is not None and len(window.records) < window.before + self._after:
            window.records.append(values)  # also where the event is over by then
        newest.append(values)

    def probabilities(self, event: str) -> dict[Hashable, float]:
        """How probable each kind is, together 1; empty before any was learned.

        It can be asked while the event goes on, and is surer with the whole window.

        Raises
        ------
        DataError
            Where the event is not one of those that are kept.
        """
        return self._classifier.probabilities(self._window(event))

    def learn(self, event: str, kind: Hashable) -> None:
        """Learn what an event is called.

        Raises
        ------
        DataError
            Where the event is not one of those that are kept, or there are too many kinds or channels.
        """
        self._classifier.learn(self._window(event), kind)

    def _window(self, event: str) -> Mapping[str, NDArray[np.float64]]:
        if event not in self._windows:
            raise DataError(f"there is no event {event!r} among the {len(self._windows)} that are kept")
        before, records = self._windows[event]
        columns = {name: np.array([values[name] for values in records]) for name in records[0]}
        return {name: column - _level(column[: max(before, 1)]) for name, column in columns.items()}


def _level(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else 0.0
