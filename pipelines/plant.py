"""A plant that is made up: sensors with a day, noise, slow wander, and planted faults.

Every value follows from the seed and its place alone, so that any part can be made
without what lies before it, whatever the size of the parts. Only additions,
multiplications, divisions and square roots are used: they give the same bits on
every machine, which sines and logarithms do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamrnn.pipelines.planted import Fault, Schedule
from streamrnn.records import Float64Array, Int64Array
from streamrnn.splitmix import SeedArray, seeds, uniform_at

__all__ = ["Block", "Plant", "normal", "wave"]

_DAY_NS = 86_400_000_000_000
_PARTS = 12  # uniform numbers in a normal one: their sum has variance 1
_OVERTONE = 0.3  # of a day's wave, so that days are no plain sines
_TRAIL = (0.8, 0.5, 0.3)  # weights of the newest shocks in noise: sensors smooth a little
_KNOT = 360  # records between two turns of the slow wander
_BASE, _SWING, _PHASE, _OVERTONE_PHASE, _SHOCKS, _KNOTS, _UNREST, _FAULTS = range(8)  # names of streams


class Quantity(NamedTuple):
    """What a channel measures: usual level, half of a day's range, noise, wander, decimals shown."""

    name: str
    base: float
    swing: float
    noise: float
    wander: float
    decimals: int


_QUANTITIES = (
    Quantity("temperature", 60.0, 4.0, 0.5, 0.8, 2),
    Quantity("pressure", 4.2, 0.25, 0.03, 0.05, 3),
    Quantity("flow", 30.0, 6.0, 0.6, 1.0, 2),
    Quantity("vibration", 2.8, 0.4, 0.06, 0.08, 3),
    Quantity("current", 12.0, 2.0, 0.25, 0.3, 2),
    Quantity("level", 1.6, 0.3, 0.02, 0.05, 3),
    Quantity("humidity", 45.0, 8.0, 0.8, 1.5, 1),
    Quantity("speed", 1480.0, 25.0, 3.0, 4.0, 1),
)


@dataclass(frozen=True)
class Block:
    """Some moments of all sensors.

    Attributes
    ----------
    times : (n,) int64
        ns UTC.
    values : (n, n_sensors, n_channels) float64
        Rounded to the decimals that the sensors show.
    present : (n, n_sensors) bool
        Whether there is a reading; in a gap there is none.
    faulty : (n, n_sensors) bool
        Whether a fault was planted in it.
    """

    times: Int64Array
    values: Float64Array
    present: NDArray[np.bool_]
    faulty: NDArray[np.bool_]


@dataclass(frozen=True)
class Plant:
    """Sensors that all read at the same moments.

    Parameters
    ----------
    sensors, channels : int
        Values of each reading are ``channels``.
    seed : int
        0 to 2**64 - 1.
    start, step : int
        Time of the first moment, ns UTC, and ns from one to the next.
    every : int
        Records of a sensor from one fault to the next, on average; 0 plants none.

    Examples
    --------
    >>> plant = Plant(sensors=2, channels=1, seed=0, start=0, step=60_000_000_000, every=2000)
    >>> whole, part = plant.block(0, 3000), plant.block(2500, 10)
    >>> np.array_equal(whole.values[2500:2510], part.values)
    True
    >>> [(fault.sensor, fault.kind) for fault in plant.faults(0, 3000)]
    [(1, 'dip'), (0, 'spike')]
    """

    sensors: int
    channels: int
    seed: int
    start: int
    step: int
    every: int

    @property
    def channel_names(self) -> tuple[str, ...]:
        """``temperature`` and others; beyond them they come again with a number."""
        rounds = [divmod(channel, len(_QUANTITIES)) for channel in range(self.channels)]
        return tuple(_QUANTITIES[i].name + (f"_{again + 1}" if again else "") for again, i in rounds)

    def faults(self, first: int, last: int) -> list[Fault]:
        """Those that begin at moments from ``first`` up to, but not with, ``last``, in their order."""
        return [fault for fault in self._schedule.within(first, last) if fault.first >= first]

    def block(self, first: int, n: int) -> Block:
        """``n`` moments, the first of them ``first``."""
        moments = np.arange(first, first + n)
        values = self._healthy(moments)
        present, faulty = np.ones((n, self.sensors), np.bool_), np.zeros((n, self.sensors), np.bool_)
        for fault in self._schedule.within(first, first + n):
            rows = slice(max(fault.first - first, 0), max(fault.last + 1 - first, 0))
            faulty[rows, fault.sensor] = True
            if fault.kind == "gap":
                present[rows, fault.sensor] = False
            else:
                values[rows, fault.sensor, fault.channel] = self._broken(
                    fault, moments[rows], values[rows, fault.sensor, fault.channel]
                )
        return Block(self.start + moments * self.step, self._shown(values), present, faulty)

    @cached_property
    def _schedule(self) -> Schedule:
        return Schedule(self.sensors, self.channels, self.every, self._stream(_FAULTS)[:, 0])

    @cached_property
    def _places(self) -> tuple[Int64Array, Int64Array]:
        """Numbers of sensors (S, 1) and channels (C,)."""
        return np.arange(self.sensors)[:, None], np.arange(self.channels)

    def _stream(self, name: int) -> SeedArray:
        """Seeds (S, C) of the streams of a name."""
        return seeds(self.seed, name, *self._places)

    def _quantity(self, name: str) -> Float64Array:
        """A figure (C,) of what each channel measures."""
        figures = [getattr(_QUANTITIES[i % len(_QUANTITIES)], name) for i in range(self.channels)]
        return np.array(figures, np.float64)

    def _own(self, name: int, low: float, high: float) -> Float64Array:
        """A number (S, C) from a range that each channel of each sensor has of its own."""
        own: Float64Array = low + (high - low) * uniform_at(self._stream(name), np.array(0))
        return own

    @cached_property
    def _levels(self) -> Float64Array:
        return self._quantity("base") * self._own(_BASE, 0.9, 1.1)

    @cached_property
    def _swings(self) -> Float64Array:
        return self._quantity("swing") * self._own(_SWING, 0.6, 1.4)

    @cached_property
    def _phases(self) -> tuple[Float64Array, Float64Array]:
        return self._own(_PHASE, 0.0, 0.25), self._own(_OVERTONE_PHASE, 0.0, 1.0)

    @cached_property
    def _spreads(self) -> Float64Array:
        """How far values (S, C) usually are from their level."""
        noise, wander = self._quantity("noise"), self._quantity("wander")
        return np.sqrt(0.5 * self._swings * self._swings + noise * noise + wander * wander)

    def _healthy(self, moments: Int64Array) -> Float64Array:
        """Values (n, S, C) without any fault, not rounded yet."""
        day = ((self.start + moments * self.step) % _DAY_NS)[:, None, None] / _DAY_NS
        phase, overtone = self._phases
        season = wave(day + phase) + _OVERTONE * wave(2.0 * day + overtone)
        noise = self._quantity("noise") * self._noise(moments)
        return self._levels + self._swings * season + noise + self._quantity("wander") * self._wander(moments)

    def _noise(self, moments: Int64Array) -> Float64Array:
        """Noise (n, S, C) of variance 1, a little correlated."""
        shocks = normal(self._stream(_SHOCKS), np.arange(moments[0], moments[-1] + len(_TRAIL)))
        newest = len(_TRAIL) - 1
        total = np.zeros((len(moments), self.sensors, self.channels))
        for back, weight in enumerate(_TRAIL):
            total += weight * shocks[newest - back : newest - back + len(moments)]
        return total

    def _wander(self, moments: Int64Array) -> Float64Array:
        """A slow way (n, S, C) from knot to knot."""
        knots, share = moments // _KNOT, (moments % _KNOT / _KNOT)[:, None, None]
        turns = normal(self._stream(_KNOTS), np.arange(knots[0], knots[-1] + 2))
        before, after = turns[knots - knots[0]], turns[knots - knots[0] + 1]
        way: Float64Array = before + (after - before) * (share * share * (3.0 - 2.0 * share))
        return way

    def _broken(self, fault: Fault, moments: Int64Array, values: Float64Array) -> Float64Array:
        """A channel's values with a fault in them."""
        channel = (fault.sensor, fault.channel)
        if fault.kind == "flat line":
            stuck = self._healthy(np.array([fault.first]))[0]
            return np.full(len(moments), stuck[channel])
        unit, added = float(self._spreads[channel]), fault.shift(moments)
        if fault.kind == "variance change":
            unit = float(self._quantity("noise")[fault.channel])
            added = added * normal(self._stream(_UNREST)[channel], moments)
        return values + unit * added

    def _shown(self, values: Float64Array) -> Float64Array:
        scale = np.array([float(10 ** int(decimals)) for decimals in self._quantity("decimals")])
        shown: Float64Array = np.rint(values * scale) / scale
        return shown


def normal(streams: SeedArray, places: NDArray[np.integer]) -> Float64Array:
    """Normal numbers, (n, ...) for places (n,) of streams (...): sums of twelve uniform ones.

    None is further than 6 from 0: a plant without faults has no outliers.
    """
    places = places.reshape(-1, *[1] * streams.ndim) * _PARTS
    total = np.full(np.broadcast_shapes(places.shape, (1, *streams.shape)), -0.5 * _PARTS)
    for part in range(_PARTS):
        total += uniform_at(streams, places + part)
    return total


def wave(turns: Float64Array) -> Float64Array:
    """Nearly the sine of full turns, by two parabolas and a correction; within 0.0011.

    Examples
    --------
    >>> wave(np.array([0.0, 0.25, 0.5, 0.75]))
    array([ 0.,  1.,  0., -1.])
    """
    x = turns - np.floor(turns) - 0.5
    y = 16.0 * x * (np.abs(x) - 0.5)
    return y + 0.225 * (y * np.abs(y) - y)
