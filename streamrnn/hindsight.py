"""What a finished series says of each of its values: read both ways, with hindsight. Nothing here is causal.

A value is expected where the line between its known neighbours passes, and a bidirectional network says
how far off that is, from all that came before and after; it never sees the value itself. It learns from the
series, with stretches hidden on purpose, and of a part that it did not learn from it is asked whether it
comes nearer than the line: for a channel where it does not, the line alone stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamrnn.bidirectional import BidirectionalModel
from streamrnn.splitmix import seeds, uniform_at

__all__ = ["Hindsight", "look_back"]

Float64Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

ODD = 8.0  # usual errors; a normal distribution has none so far off in a lifetime of records
_WINDOW, _CONTEXT = 128, 32  # records that are learned, and judged, in one piece; more on either side
_FEWEST_WINDOWS, _ASIDE = 5, 4  # with fewer nothing is learned; every fourth is not learned from
_STEPS = 60_000  # records learned from, all passes together
_MOST_PASSES = 24
_HIDDEN, _LONGEST_HIDDEN = 0.15, 12  # of a window's values; of a stretch of them
_FARTHEST = 20.0  # deviations as which everything farther counts
_UNITS = 12


@dataclass(frozen=True)
class Hindsight:
    """What is said of a series' values from those before and after them.

    Attributes
    ----------
    expected : (n, channels) float64
        In the channels' units; NaN where nothing is known of a channel.
    score : (n, channels) float64
        How far off the value was, in usual errors; 0 and up, NaN where it is missing, or where none is
        known on one of its sides.
    is_anomaly : (n,) bool
        Whether a channel's score is over ``ODD``.
    errors : (channels, 2) float64
        Mean absolute errors of values held out, of network and line; NaN where none could be learned.
    """

    expected: Float64Array
    score: Float64Array
    is_anomaly: Flags
    errors: Float64Array

    @property
    def learned(self) -> Flags:
        """(channels,) whether the network is in what was expected, or the line alone."""
        return self.errors[:, 0] < self.errors[:, 1]


def look_back(values: Float64Array, seed: int = 0) -> Hindsight:
    """Read a finished series both ways.

    Parameters
    ----------
    values : (n, channels) float64
        In the order of the records, NaN = missing.
    seed : int

    Examples
    --------
    >>> values = np.sin(np.arange(900.0) / 7)[:, None]
    >>> values[400], values[500:504] = 5.0, np.nan
    >>> found = look_back(values)
    >>> np.flatnonzero(found.is_anomaly).tolist()
    [400]
    >>> bool(np.abs(found.expected[500:504, 0] - np.sin(np.arange(500, 504) / 7)).max() < 0.1)
    True
    """
    with np.errstate(invalid="ignore"):
        known = np.abs(values) <= 1e100
    centre, spread = _usual(np.where(known, values, np.nan))
    z = np.clip(np.where(known, (values - centre) / spread, np.nan), -_FARTHEST, _FARTHEST)
    model = BidirectionalModel(
        "gru", units=_UNITS, inputs=2 * z.shape[1], outputs=z.shape[1], between=True, loss="huber",
        huber=1.0, rate=0.02, seed=seed,
    )  # fmt: skip
    errors = _learn(model, z, seed)
    use = errors[:, 0] < errors[:, 1]
    seen = z
    for _ in range(2):  # what is odd is hidden then, so that its neighbours are not measured by it
        expected = _line(seen)
        if use.any():
            expected += np.where(use, _said(model, seen), 0.0)
        off = np.where(_between(seen), z - expected, np.nan)
        score = np.abs(off) / _usual(off)[1]
        seen = np.where(_peaks(score), np.nan, z)
    some = known.any(axis=0)
    return Hindsight(
        expected=np.where(some, expected * spread + centre, np.nan),
        score=score,
        is_anomaly=np.asarray((np.nan_to_num(score) > ODD).any(axis=1)),
        errors=errors * spread[:, None],
    )


def _usual(values: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Median of each channel, and its deviation, by half of the values, as a normal one's; not 0."""
    some = np.where(np.isnan(values).all(axis=0), 0.0, values)
    centre = np.nanmedian(some, axis=0)
    off = np.abs(some - centre)
    spread = 1.4826 * np.nanmedian(off, axis=0)
    spread = np.where(spread > 0.0, spread, np.nanmean(off, axis=0))
    return centre, np.where(spread > 0.0, spread, 1.0)


def _line(z: Float64Array) -> Float64Array:
    """Where the line between the known neighbours of each value passes; one alone stands for both."""
    rows = np.arange(len(z))
    found = np.zeros_like(z)
    for d in range(z.shape[1]):
        known = np.flatnonzero(~np.isnan(z[:, d]))
        before, after = np.searchsorted(known, rows) - 1, np.searchsorted(known, rows, side="right")
        has = before >= 0, after < len(known)
        if not len(known):
            continue
        left, right = known[np.maximum(before, 0)], known[np.minimum(after, len(known) - 1)]
        left, right = np.where(has[0], left, right), np.where(has[1], right, left)
        share = np.where(right > left, (rows - left) / np.maximum(right - left, 1), 0.0)
        neither = ~has[0] & ~has[1]
        found[:, d] = np.where(neither, 0.0, (1.0 - share) * z[left, d] + share * z[right, d])
    return found


def _between(z: Float64Array) -> Flags:
    """Whether something is known on both sides of each value."""
    known = np.pad(~np.isnan(z), ((1, 1), (0, 0)))
    before, after = np.logical_or.accumulate(known)[:-2], np.logical_or.accumulate(known[::-1])[::-1][2:]
    return np.asarray(before & after)


def _peaks(score: Float64Array) -> Flags:
    """Values odder than ``ODD`` and than those beside them."""
    least = np.pad(np.nan_to_num(score), ((1, 1), (0, 0)))
    return np.asarray((least[1:-1] > ODD) & (least[1:-1] >= least[:-2]) & (least[1:-1] >= least[2:]))


# ---------------------------------------------------------------- the network


def _inputs(z: Float64Array) -> Float64Array:
    """(n, 2 channels): values, 0 where missing, then whether they are: so a hole's length is seen."""
    missing = np.isnan(z)
    return np.concatenate([np.where(missing, 0.0, z), missing], axis=1)


def _hidden(z: Float64Array, seed: int, draw: int) -> Float64Array:
    """A window with some stretches hidden."""
    found = z.copy()
    for d in range(z.shape[1]):
        stretches = max(1, round(2.0 * _HIDDEN * len(z) / _LONGEST_HIDDEN))
        draws = uniform_at(seeds(seed, draw, d), np.arange(2 * stretches)).reshape(-1, 2)
        for start, length in draws:
            begin = int(start * len(z))
            found[begin : begin + 1 + int(length * _LONGEST_HIDDEN), d] = np.nan
    return found


def _learn(model: BidirectionalModel, z: Float64Array, seed: int) -> Float64Array:
    """Learn how far values are off the line; errors of windows held out, (channels, 2)."""
    windows = [z[start : start + _WINDOW] for start in range(0, len(z) - _WINDOW + 1, _WINDOW)]
    if len(windows) < _FEWEST_WINDOWS:
        return np.full((z.shape[1], 2), np.nan)
    most = _STEPS // _WINDOW
    learned = [window for n, window in enumerate(windows) if n % _ASIDE]
    every = max(1, -(-len(learned) // most))
    learned = learned[::every]
    for n in range(min(_MOST_PASSES, max(1, most // len(learned)))):
        for k, window in enumerate(learned):
            seen = _hidden(window, seed, n * len(learned) + k)
            model.learn(_inputs(seen), window - _line(seen))
    aside = windows[:: _ASIDE * max(1, len(windows) // most)]
    offs = []
    for k, window in enumerate(aside):
        seen = _hidden(window, seed + 1, k)
        off = window - _line(seen)
        offs.append(np.abs(np.stack([off - model.predict(_inputs(seen)), off], axis=2)))
    together = np.concatenate(offs)
    count = np.sum(~np.isnan(together), axis=0)
    return np.asarray(np.nansum(together, axis=0) / np.where(count > 0, count, np.nan))


def _said(model: BidirectionalModel, z: Float64Array) -> Float64Array:
    """How far each value is off the line, window by window, each with what is around it."""
    found, inputs = np.zeros_like(z), _inputs(z)
    for start in range(0, len(z), _WINDOW):
        begin = max(0, start - _CONTEXT)
        said = model.predict(inputs[begin : start + _WINDOW + _CONTEXT])
        found[start : start + _WINDOW] = said[start - begin :][:_WINDOW]
    return found
