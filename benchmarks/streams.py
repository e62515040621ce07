"""Normal streams of many kinds: made ones without a single anomaly, and the quiet starts of labelled ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]

DAY = 288  # records: one in five minutes
DAY_NS = 86_400_000_000_000
START_NS = 1_767_225_600_000_000_000  # 2026


@dataclass(frozen=True)
class Stream:
    """A normal stream.

    Attributes
    ----------
    values : (n, channels) float64
    times : (n,) int64 or None
        ns UTC; None: it has none.
    """

    values: Array
    times: NDArray[np.int64] | None = None


def made(kind: str, n: int, seed: int) -> Stream:
    """A stream of n records of one of ``KINDS``; its coefficients depend on the seed."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    found = KINDS[kind](rng, n)
    if isinstance(found, Stream):
        return found
    return Stream(found if found.ndim == 2 else found[:, None])


def quiet_starts(folder: Path) -> Iterator[tuple[str, Path, int]]:
    """(group, file, rows before its first labelled one) of NAB or of a panel's sets."""
    labels = folder / "labels" / "combined_windows.json"
    if not labels.exists():
        for path in sorted(folder.glob("*/*.csv*")):
            columns = pd.read_csv(path, nrows=0).columns
            if "label" in columns:
                label = pd.read_csv(path, usecols=["label"])["label"].to_numpy() > 0
                yield path.parent.name, path, int(label.argmax()) if label.any() else len(label)
        return
    for name, windows in sorted(json.loads(labels.read_text()).items()):
        path = folder / "data" / name
        if path.exists():
            times = pd.read_csv(path, usecols=["timestamp"], parse_dates=["timestamp"])["timestamp"]
            first = min((pd.Timestamp(start) for start, _ in windows), default=None)
            yield "nab", path, len(times) if first is None else int((times >= first).argmax())


def quiet_start(path: Path, rows: int) -> Stream:
    """The first rows of a file; its times where they are dates."""
    frame = pd.read_csv(path, nrows=rows)
    values = frame.drop(columns=["timestamp", "label", "changepoint"], errors="ignore").to_numpy(np.float64)
    if pd.api.types.is_numeric_dtype(frame["timestamp"]):
        return Stream(values)
    times = pd.to_datetime(frame["timestamp"]).to_numpy("datetime64[ns]")
    return Stream(values, times.astype(np.int64))


def _filtered(noise: Array, *coefficients: float) -> Array:
    """x_t = noise_t + the coefficients times the values before."""
    past = [0.0] * len(coefficients)
    values = []
    for shock in noise.tolist():
        value = shock + sum(c * x for c, x in zip(coefficients, past, strict=True))
        past = [value, *past[:-1]]
        values.append(value)
    return np.array(values)


def _ar(rng: np.random.Generator, n: int) -> Array:
    """AR(2) with real or complex roots of modulus .5 to .95."""
    modulus, angle = rng.uniform(0.5, 0.95), rng.uniform(0.0, 0.5)
    return _filtered(rng.normal(size=n), 2.0 * modulus * np.cos(angle), -(modulus**2))


def _garch(rng: np.random.Generator, n: int) -> Array:
    """GARCH(1, 1): noise whose variance follows its own squares."""
    reaction, memory = rng.uniform(0.05, 0.15), rng.uniform(0.7, 0.84)
    variance, values = 1.0, []
    for shock in rng.normal(size=n).tolist():
        value = variance**0.5 * shock
        variance = (1.0 - reaction - memory) + reaction * value * value + memory * variance
        values.append(value)
    return np.array(values)


def _cycle(rng: np.random.Generator, days: Array) -> Array:
    """A daily cycle with a harmonic, and a weekly one, of an amplitude of some units."""
    phase = rng.uniform(0.0, 2.0 * np.pi, 3)
    day = np.sin(2.0 * np.pi * days + phase[0]) + 0.4 * np.sin(4.0 * np.pi * days + phase[1])
    return rng.uniform(2.0, 6.0) * day + np.sin(2.0 * np.pi * days / 7.0 + phase[2])


def _seasonal(rng: np.random.Generator, n: int) -> Array:
    return _cycle(rng, np.arange(n) / DAY) + _filtered(rng.normal(size=n), 0.5)


def _student(rng: np.random.Generator, n: int) -> Array:
    return rng.standard_t(3.0, n)


def _trend(rng: np.random.Generator, n: int) -> Array:
    return rng.uniform(-0.002, 0.002) * np.arange(n) + rng.normal(size=n)


def _counts(rng: np.random.Generator, n: int) -> Array:
    """Poisson counts whose mean has a daily cycle."""
    phase = rng.uniform(0.0, 2.0 * np.pi)
    mean = rng.uniform(1.0, 30.0) * (1.0 + 0.6 * np.sin(2.0 * np.pi * np.arange(n) / DAY + phase))
    return rng.poisson(mean).astype(np.float64)


def _intermittent(rng: np.random.Generator, n: int) -> Array:
    """Nothing most of the time, now and then some."""
    return np.where(rng.random(n) < rng.uniform(0.02, 0.2), rng.gamma(2.0, 1.0, n), 0.0)


def _bounded(rng: np.random.Generator, n: int) -> Array:
    """A gauge of 0 to 100 with one decimal that is often at an end."""
    inner = _filtered(rng.normal(size=n), 0.97)
    return np.clip(50.0 + rng.uniform(8.0, 20.0) * inner, 0.0, 100.0).round(1)


def _channels(rng: np.random.Generator, n: int) -> Array:
    """Five mixtures of three AR(1)s, each with noise of its own."""
    hidden = np.column_stack([_filtered(rng.normal(size=n), rng.uniform(0.5, 0.95)) for _ in range(3)])
    return hidden @ rng.normal(size=(3, 5)) + rng.normal(size=(n, 5))


def _irregular(rng: np.random.Generator, n: int) -> Stream:
    """A daily cycle looked at whenever: the time between records is exponential, five minutes in the mean."""
    days = np.cumsum(rng.exponential(1.0 / DAY, n))
    values = _cycle(rng, days) + rng.normal(size=n)
    return Stream(values[:, None], START_NS + (days * DAY_NS).astype(np.int64))


KINDS: dict[str, Callable[[np.random.Generator, int], Array | Stream]] = {
    "ar": _ar,
    "garch": _garch,
    "seasonal": _seasonal,
    "student": _student,
    "trend": _trend,
    "counts": _counts,
    "intermittent": _intermittent,
    "bounded": _bounded,
    "channels": _channels,
    "irregular": _irregular,
}
