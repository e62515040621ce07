"""The faults of a simulated plant: which sensor, which kind, when, how large."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from streamrnn.records import Float64Array, Int64Array
from streamrnn.splitmix import SeedArray, uniform_at

__all__ = ["LENGTHS", "QUIET", "SHORTEST", "Fault", "Schedule"]

LENGTHS = {
    "spike": 1,
    "dip": 3,
    "level shift": 200,
    "drift": 300,
    "variance change": 200,
    "flat line": 100,
    "gap": 60,
    "pattern": 100,
}
"""Records that a fault of each kind lasts: all that the detector names, and gaps."""

QUIET = 1000
"""Records of a sensor before its first fault: a detector learns first."""

SHORTEST = 1000
"""Records between two faults of a sensor, at least: more than the longest, so that it is well in between."""

# In usual deviations of the channel, or for a change of variance of its noise: nobody
# would call these faults small, and none is absurd.
_SIZES = {"spike": 6.0, "dip": -6.0, "level shift": 5.0, "drift": 6.0, "variance change": 4.0, "pattern": 1.5}
_PERIOD = 20  # records of a pattern's own wave
_DRAWS = 3  # numbers that a fault takes of its sensor's stream: when, which channel, which way


class Fault(NamedTuple):
    """A fault of one sensor.

    Attributes
    ----------
    sensor, channel : int
        A gap concerns all channels; its ``channel`` is 0.
    kind : str
    first, last : int
        Moments.
    size : float
        With its sign, in the units of ``_SIZES``.
    """

    sensor: int
    channel: int
    kind: str
    first: int
    last: int
    size: float

    def shift(self, moments: Int64Array) -> Float64Array:
        """What the fault adds (n,), in usual deviations of the channel."""
        age = (moments - self.first).astype(np.float64)
        if self.kind == "drift":
            return self.size * (age + 1.0) / LENGTHS[self.kind]
        if self.kind == "pattern":
            return self.size * np.where(age % _PERIOD < _PERIOD // 2, 1.0, -1.0)
        return np.full(len(age), self.size)


@dataclass(frozen=True)
class Schedule:
    """Faults of all sensors: one in each stretch of ``every`` records, the kinds in turn.

    Parameters
    ----------
    sensors, channels : int
    every : int
        0, or ``SHORTEST`` at least.
    streams : (n_sensors,) uint64
        Of each sensor's chances.

    Examples
    --------
    >>> from streamrnn.splitmix import seeds
    >>> plan = Schedule(8, 1, 1000, seeds(0, np.arange(8)))
    >>> sorted(fault.kind for fault in plan.within(0, 2000)) == sorted(LENGTHS)
    True
    """

    sensors: int
    channels: int
    every: int
    streams: SeedArray

    def within(self, first: int, last: int) -> list[Fault]:
        """Those that touch moments from ``first`` up to, but not with, ``last``, by their beginning."""
        if not self.every or last <= QUIET:
            return []
        stretches = np.arange(max((first - QUIET) // self.every, 0), (last - 1 - QUIET) // self.every + 1)
        chances = uniform_at(self.streams[:, None], stretches * _DRAWS)
        # In the first half, so that a fault is over long before the next begins.
        starts = QUIET + stretches * self.every + (chances * (self.every // 2)).astype(np.int64)
        touching = (starts < last) & (starts + max(LENGTHS.values()) > first)
        places = zip(*(axis.tolist() for axis in np.nonzero(touching)), strict=True)
        found = [self._fault(s, int(stretches[i]), int(starts[s, i])) for s, i in places]
        met = [fault for fault in found if fault.last >= first]
        return sorted(met, key=lambda fault: (fault.first, fault.sensor))

    def _fault(self, sensor: int, stretch: int, first: int) -> Fault:
        kind = tuple(LENGTHS)[(sensor + stretch) % len(LENGTHS)]
        which, way = uniform_at(self.streams[sensor], stretch * _DRAWS + np.array([1, 2])).tolist()
        channel = 0 if kind == "gap" else int(which * self.channels)
        size = _SIZES.get(kind, 0.0)
        if kind in {"level shift", "drift"} and way < 0.5:
            size = -size
        return Fault(sensor, channel, kind, first, first + LENGTHS[kind] - 1, size)
