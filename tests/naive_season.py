"""A plain twin of seasons: ``kernels/season.py`` and ``kernels/periodicity.py``, in NumPy."""

from __future__ import annotations

from math import nan, sqrt

import numpy as np

from streamrnn.kernels import periodicity as search_constants
from streamrnn.kernels import season as kernel
from streamrnn.kernels.periodicity import BLOCKS, CYCLES, SHORTEST, SPAN

WEEKS = (2, 3, 7)


def centred(x):
    """Less the mean, with what lies far out bounded; None where nothing moves."""
    x, most = x - x.mean(), np.inf
    for _ in range(3):
        most = 4.0 * np.minimum(np.abs(x), most).mean()
    x = np.clip(x, -most, most)
    return x if x @ x > search_constants._STILL * len(x) else None


class Hints:
    """The autocorrelation of differenced blocks, and what it hints at."""

    def __init__(self, x):
        self.x, self.n, self.energy = x, len(x), x @ x
        self.longest = min(self.n // CYCLES, 2 * (SPAN - 1) // 3)
        lags = range(1, (3 * self.longest + 1) // 2 + 1)
        self.rho = np.array([nan, *map(self.correlation, lags)])
        self.t = np.array([nan, *map(self.studentised, lags)])

    def correlation(self, lag):
        return self.x[lag:] @ self.x[:-lag] / self.energy * self.n / (self.n - lag)

    def studentised(self, lag):
        products = self.x[lag:] * self.x[:-lag]
        size = sqrt(products @ products)
        return products.sum() / size if size else 0.0

    def is_hill(self, k, errors=2.5):
        around = self.rho[(k + 1) // 2 : 3 * k // 2 + 1]
        return self.rho[k] > 0.0 and around.max() <= self.rho[k] + errors / sqrt(self.n)

    def evidence(self, k):
        if not self.is_hill(k):
            return 0.0
        inflation = 1.0 + 2.0 * (self.rho[1 : k // 4 + 1] ** 2).sum()
        at = lambda place: np.interp(place, np.arange(1, len(self.t)), self.t[1:])  # noqa: E731
        contrast = (self.t[k] - (at(k / 2) + at(3 * k / 2)) / 2) / sqrt(1.5 * inflation)
        again = max(self.correlation(lag) for lag in (2 * k - 1, 2 * k, 2 * k + 1))
        high = min(again, self.rho[k]) >= search_constants.HIGH
        enough = contrast >= (search_constants.HINT if high else search_constants.EVIDENCE)
        repeats = again >= self.rho[k] / 2 and self.t[k] >= contrast * sqrt(inflation) / 2
        return contrast if enough and repeats else 0.0

    def strongest(self):
        found = [self.evidence(k) for k in range(SHORTEST, self.longest + 1)]
        if not any(found):
            return 0.0, 0
        best = int(np.argmax(found))
        lag = best + SHORTEST
        for divisor in range(12, 1, -1):
            near = int(lag / divisor + 0.5)
            for k in (near - 1, near, near + 1):
                if k < 2 or self.rho[k] < 0.8 * self.rho[lag]:
                    continue
                if 1.0 - self.rho[k] > 2.0 * (1.0 - self.rho[lag]) + 0.02:
                    continue
                if k < SHORTEST and self.is_hill(k, 0.0):
                    return 0.0, 0
                if k >= SHORTEST and found[k - SHORTEST]:
                    return found[best], k
        return found[best], lag


class Levels:
    """Means over a box of values, less those over the window around them."""

    def __init__(self, values, box, window):
        n = len(values)
        means = np.convolve(values, np.ones(box) / box, "valid")
        around = np.convolve(values, np.ones(window) / window, "valid")
        starts = np.clip(np.arange(len(means)) + (box - window) // 2, 0, n - window)
        self.x = centred(means - around[starts])

    def correlation(self, p, most=1):
        if self.x is None:
            return 0.0
        n, total, energy = len(self.x), 0.0, 0.0
        for m in range(1, max(min(most, 2 * n // (3 * p)), 1) + 1):
            late, early = self.x[m * p :], self.x[: n - m * p]
            total, energy = total + late @ early, energy + late @ late + early @ early
        return 2.0 * total / energy if energy else 0.0

    def best(self, middle, width, most):
        around = range(middle - width, middle + width + 1)
        found = [self.correlation(p, most) for p in around]
        return around[int(np.argmax(found))] if max(found) > 0.0 else 0


def strength_of(values, p):
    return max(Levels(values, 1, p).correlation(p), 0.0) if 2 * p <= len(values) else 0.0


def locate(values, hint, scale):
    levels, width = Levels(values, scale, hint), max(scale, hint // 8)
    if levels.x is None or 2 * (hint + width) > len(levels.x):
        return 0
    found = levels.best(hint, width, 2)
    found = found and levels.best(found, max(found // 32, 1), 8)
    return found if found >= SHORTEST else 0


def excels(values, window, longer, shorter):
    levels = Levels(values, 1, window)
    if 2 * (longer + shorter) > len(values):
        return False
    own, alone = levels.correlation(longer), strength_of(values, shorter)
    beside = (levels.correlation(longer - shorter) + levels.correlation(longer + shorter)) / 2
    beside += 3.0 * (1.0 - own) / sqrt(len(values) - longer)
    clearly = own > beside + 0.03 and 1.0 - own < 0.7 * (1.0 - beside)
    return own > alone + 0.3 or (clearly and own > alone)


def of_many(values, p):
    for m in WEEKS:
        if CYCLES * (m * p + m // 2) > len(values):
            break
        window = m * p
        longer = Levels(values, 1, window).best(window, m // 2, 2)
        if longer and excels(values, window, longer, p):
            p = longer
    return p


def shorter_unless(values, former, other):
    if not former:
        return other
    shorter, longer = sorted((former, other))
    if 2 * longer < 3 * shorter:
        return former
    return longer if excels(values, longer, longer, shorter) else shorter


def search(values):
    """(evidence, period, strength) of the season of a power of two of values; zeros: none."""
    blocks, scale, evidence, best, known = values, 1, 0.0, 0, 0
    while len(blocks) >= 64:
        x = centred(np.diff(blocks[-BLOCKS:]))
        found, lag = Hints(x).strongest() if x is not None else (0.0, 0)
        if lag and abs(lag * scale - known) <= scale:
            evidence = max(evidence, found)
        elif lag:
            other = locate(values, lag * scale, scale)
            if other:
                former, best = best, shorter_unless(values, best, of_many(values, other))
                if best != former:
                    evidence, known = found, other
        blocks, scale = blocks.reshape(-1, 2).mean(1), 2 * scale
    strength = strength_of(values, best) if best else 0.0
    return (evidence, best, strength) if strength >= search_constants.WEAKEST else (0.0, 0, 0.0)


def agree(a, b):
    return bool(a and b) and abs(a - b) <= max(a // 16, 1)


class Season:
    """The season of a channel, by name."""

    def __init__(self, size, given=0):
        self.size, self.given, self.values = size, bool(given), []
        self.period, self.strength, self.candidate, self.missed = given, 0.0, 0, 0

    def observe(self, u):
        if np.isnan(u):
            u = self.values[-1] if self.values else 0.0
        self.values.append(float(np.float32(np.clip(u, -15.0, 15.0))))
        n, every = len(self.values), max(self.size, kernel.EVERY)
        early = [2**i for i in range(8, 40)] + [3 * 2**i for i in range(7, 40)]
        if n % every == 0 or (n < every and n in early):
            past = np.array(self.values[-(2 ** int(np.log2(min(n, self.size)))) :])
            if self.given:
                self.strength = strength_of(past, self.period)
            else:
                self._look(past)

    def _look(self, past):
        evidence, found, strength = search(past)
        still = strength_of(past, self.period) if self.period else 0.0
        missed = 0
        if agree(found, self.period):
            self.period = found if found == self.candidate else self.period
        elif agree(found, self.candidate) or (found and not self.period and evidence >= kernel.SURE):
            self.period = found
        elif not found and still >= max(self.strength / 2, search_constants.WEAKEST):
            strength = still
        else:
            missed = self.missed + 1
            self.period = self.period if missed < 2 else 0
            strength = self.strength if self.period else 0.0
        self.missed = missed
        self.candidate, self.strength = found, strength

    def lag(self, ahead):
        if not self.period:
            return nan
        back = -(-ahead // self.period) * self.period - ahead
        return self.values[-1 - back] if back < len(self.values) else nan
