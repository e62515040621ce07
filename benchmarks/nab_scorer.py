"""The score of the Numenta Anomaly Benchmark (Lavin and Ahmad 2015, doi:10.1109/ICMLA.2015.141).

Of a file of N rows the first min(floor(.15 N), 750) are never scored. With
S(y) = 2 / (1 + exp(5 y)) - 1, a detected row

- in a labelled window of w rows, at place i from its end (the last row has 1), is worth
  S(-i / w) / S(-1); of a window only its best row counts, and a window without one costs 1
  (2 where misses cost more);
- i rows behind a window of w rows is worth .11 S(i / (w - 1)) (.22 where false alarms cost
  more), from three window lengths on -.11, as before the first window.

The sum is scaled so that no detection gets 0 and the perfect detector 100. The threshold that
maximises it over all files together is looked for, for each profile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Profile:
    """What a missed window and a false row cost."""

    missed: float
    false: float


PROFILES = {"standard": Profile(1.0, 0.11), "low_fp": Profile(1.0, 0.22), "low_fn": Profile(2.0, 0.11)}


@dataclass(frozen=True)
class Outcome:
    """What one threshold earns.

    Attributes
    ----------
    score : float
        Scaled: 0 for no detection, 100 for a perfect detector; NaN without windows.
    lost : float
        What the perfect detector has more, before scaling.
    threshold : float
    found, false : int
        Windows with a detection; detected rows outside of windows.
    """

    score: float
    lost: float
    threshold: float
    found: int
    false: int


@dataclass(frozen=True)
class LabelledFile:
    """What a detection in each row of a file is worth.

    Attributes
    ----------
    n : int
        Its rows.
    skipped : int
        Rows at its start that are not scored.
    worth : (n,) float64
        In windows 0 to 1, outside -1 to 0: the profile's cost of a false row is not in it.
    window : (n,) int64
        The number of the row's window; -1: outside.
    windows : int
    """

    n: int
    skipped: int
    worth: Array
    window: NDArray[np.int64]
    windows: int

    @classmethod
    def of(cls, times: NDArray[np.datetime64], spans: Sequence[Sequence[np.datetime64]]) -> LabelledFile:
        """A file by the times of its rows and of its windows' first and last rows.

        Raises
        ------
        ValueError
            Where no row has the time of a window's end.
        """
        n = len(times)
        worth, window = np.full(n, -1.0), np.full(n, -1)
        windows = sorted((_row_of(times, first), _row_of(times, last)) for first, last in spans)
        for k, (first, last) in enumerate(windows):
            rows, length = np.arange(first, n), last - first + 1
            inside = rows <= last
            place = np.where(inside, (rows - last - 1) / length, (rows - last) / max(length - 1, 1))
            worth[first:] = np.where(inside, _sigmoid(place) / _sigmoid(-1.0), _sigmoid(place))
            window[first:] = np.where(inside, k, -1)
        return cls(n, int(min(0.15 * n, 750)), worth, window, len(windows))


def _row_of(times: NDArray[np.datetime64], time: np.datetime64) -> int:
    rows = np.flatnonzero(times == time)
    if not len(rows):
        raise ValueError(f"no row has the time {time} of a labelled window")
    return int(rows[0])


def _sigmoid(place: Array | float) -> Array:
    return np.where(place > np.float64(3.0), -1.0, 2.0 / (1.0 + np.exp(5.0 * np.minimum(place, 3.0))) - 1.0)


class Corpus:
    """Files that share a threshold.

    Parameters
    ----------
    files : mapping of str to LabelledFile
    """

    def __init__(self, files: Mapping[str, LabelledFile]) -> None:
        self.files = files
        self._worth = np.concatenate([file.worth[file.skipped :] for file in files.values()])
        firsts = np.cumsum([0, *(file.windows for file in files.values())])
        self.windows = int(firsts[-1])
        numbers = [
            np.where(file.window < 0, -1, file.window + first)[file.skipped :]
            for file, first in zip(files.values(), firsts, strict=False)
        ]
        self._window = np.concatenate(numbers)
        self._scored_windows = len(np.unique(self._window[self._window >= 0]))

    def optimised(self, scores: Mapping[str, Array]) -> dict[str, Outcome]:
        """The best threshold of each profile; scores (n,) by file, without NaN."""
        curve = self._curve(scores)
        return {
            name: self._outcome(profile, curve, int(np.argmax(self._raw(profile, curve))))
            for name, profile in PROFILES.items()
        }

    def at(self, scores: Mapping[str, Array], threshold: float) -> dict[str, Outcome]:
        """A given threshold under each profile: rows at or over it are detected."""
        curve = self._curve(scores)
        place = int(np.sum(curve.thresholds >= threshold)) - 1
        return {name: self._outcome(profile, curve, place) for name, profile in PROFILES.items()}

    def _curve(self, scores: Mapping[str, Array]) -> _Curve:
        """What every threshold earns, from no detection to all rows."""
        score = np.concatenate([scores[name][file.skipped :] for name, file in self.files.items()])
        order = np.argsort(-score, kind="stable")
        score, worth, window = score[order], self._worth[order], self._window[order]
        gain, hit = np.zeros(len(score)), np.zeros(len(score))
        for k in range(self.windows):
            rows = np.flatnonzero(window == k)
            gain[rows] = np.diff(np.maximum.accumulate(worth[rows]), prepend=0.0)
            hit[rows[:1]] = 1.0
        outside = window < 0
        last = np.flatnonzero(np.append(score[1:] != score[:-1], True))  # of rows of one score
        sums = (np.cumsum(column)[last] for column in (gain, hit, np.where(outside, worth, 0.0), outside))
        return _Curve(np.append(np.inf, score[last]), *(np.append(0.0, column) for column in sums))

    def _raw(self, profile: Profile, curve: _Curve) -> Array:
        missed = self._scored_windows - curve.found
        raw: Array = curve.gained + profile.false * curve.penalty - profile.missed * missed
        return raw

    def _outcome(self, profile: Profile, curve: _Curve, place: int) -> Outcome:
        raw = float(self._raw(profile, curve)[place])
        nothing = -profile.missed * self._scored_windows
        return Outcome(
            score=100.0 * (raw - nothing) / (self.windows - nothing) if self.windows else np.nan,
            lost=self.windows - raw,
            threshold=float(curve.thresholds[place]),
            found=int(curve.found[place]),
            false=int(curve.false[place]),
        )


@dataclass(frozen=True)
class _Curve:
    """Falling thresholds, the first infinite, and what is detected at each: (thresholds,) float64."""

    thresholds: Array
    gained: Array
    found: Array
    penalty: Array
    false: Array
