"""Numbers that look random and never change: SplitMix64 (Steele, Lea and Flood 2014).

Our own, because NumPy does not promise the same stream from one version to the
next, and what is made from a seed must stay what it is. Every number has a place
in its stream, so any part of a stream can be had without what lies before it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["SeedArray", "seeds", "uniform", "uniform_at"]

SeedArray = NDArray[np.uint64]

_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def uniform(seed: int, n: int) -> NDArray[np.float64]:
    """N numbers from [0, 1), the first of their stream.

    Examples
    --------
    >>> uniform(7, 3)
    array([0.38982975, 0.01678829, 0.90076068])
    """
    return uniform_at(np.array(seed, np.uint64), np.arange(n, dtype=np.uint64))


def uniform_at(seed: SeedArray, places: NDArray[np.integer]) -> NDArray[np.float64]:
    """Numbers from [0, 1) at places, from 0 up, of streams; both shapes are broadcast.

    Examples
    --------
    >>> uniform_at(np.array(7, np.uint64), np.array([2, 0]))
    array([0.90076068, 0.38982975])
    """
    with np.errstate(over="ignore"):
        z = seed + (places.astype(np.uint64) + np.uint64(1)) * _GAMMA
        return (_mixed(z) >> np.uint64(11)).astype(np.float64) / 2.0**53


def seeds(seed: int, *names: int | NDArray[np.integer]) -> SeedArray:
    """Seeds of streams that have nothing to do with each other: one for each combination of names.

    Parameters
    ----------
    seed : int
    *names : int or array of int
        Numbers from 0 up that tell the streams apart; their shapes are broadcast.

    Examples
    --------
    >>> seeds(7, 1, np.arange(3)).shape
    (3,)
    """
    with np.errstate(over="ignore"):
        z = _mixed(np.array(seed, np.uint64) + _GAMMA)
        for name in names:
            z = _mixed(z + (np.asarray(name).astype(np.uint64) + np.uint64(1)) * _GAMMA)
    return z


def _mixed(z: SeedArray) -> SeedArray:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
