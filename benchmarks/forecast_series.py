"""The series that forecasters are measured on: five groups of real ones, chosen by rule, and simulated ones.

A channel serves where it lives: more than 20 different values, and another one at two records in
five or more. Where a group has more of them than are wanted, every so-manieth is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from dynamics import KINDS, simulated
from numpy.typing import NDArray

Array = NDArray[np.float64]
Item = TypeVar("Item")

RECORDS = 12_000  # of a series at most
SIMULATED_RECORDS = 8_000
PERIOD = 24  # where a series has no times, or its step does not divide a day
REAL, SIMULATED = ("nab", "ett", "smd", "asd", "nasa"), "synthetic"
CHANNELS = {"smd": 4, "asd": 3}  # of each file
NASA_SERIES = 11
VALUES, CHANGES = 20, 0.4  # more different values, and at least this share of changes
DAY_NS = 86_400_000_000_000


@dataclass(frozen=True)
class Series:
    """Records, and which of their channels are to be forecast; the others are known too.

    Attributes
    ----------
    group, name : str
    values : (n, channels) float64
    channels : tuple of str
    targets : tuple of int
        Channels that count.
    times : (n,) datetime64[ns] or None
    changes : tuple of int
        Rows that another regime begins at.
    """

    group: str
    name: str
    values: Array
    channels: tuple[str, ...] = ("value",)
    targets: tuple[int, ...] = (0,)
    times: NDArray[np.datetime64] | None = None
    changes: tuple[int, ...] = ()

    @property
    def period(self) -> int:
        """Records of a season: a day, where the median step divides it, else 24."""
        if self.times is None:
            return PERIOD
        step = int(np.median(np.diff(self.times.astype("datetime64[ns]").astype(np.int64))))
        return DAY_NS // step if 0 < step < DAY_NS and DAY_NS % step == 0 else PERIOD

    def start(self, n: int) -> Series:
        """The first n records."""
        times = None if self.times is None else self.times[:n]
        changes = tuple(change for change in self.changes if change < n)
        return replace(self, values=self.values[:n], times=times, changes=changes)


def real_series(folders: Sequence[Path]) -> list[Series]:
    """The series of every group that one of the folders has: ``nab/data`` or the panel's sets."""
    found: list[Series] = []
    for folder in folders:
        found += [*_nab(folder), *_ett(folder), *_servers(folder), *_nasa(folder)]
    return sorted(found, key=lambda series: REAL.index(series.group))


def simulated_series(seed: int = 0) -> list[Series]:
    """One stream of each kind of ``dynamics``."""
    found = []
    for kind in KINDS:
        stream = simulated(kind, SIMULATED_RECORDS, seed)
        names = tuple(f"c{d}" for d in range(stream.values.shape[1]))
        found.append(Series(SIMULATED, kind, stream.values, names, changes=stream.changes))
    return found


def lively(values: Array) -> bool:
    """Whether a channel has enough to forecast."""
    return len(np.unique(values)) > VALUES and float((np.diff(values) != 0.0).mean()) >= CHANGES


def spread_out(items: Sequence[Item], count: int) -> list[Item]:
    """So many of the items, the first and the last among them, evenly spaced; all where there are fewer."""
    if len(items) <= count:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


def _table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, nrows=RECORDS).drop(columns=["label"], errors="ignore")


def _times(frame: pd.DataFrame) -> NDArray[np.datetime64]:
    return pd.to_datetime(frame["timestamp"]).to_numpy("datetime64[ns]")


def _nab(folder: Path) -> Iterator[Series]:
    """Every file that was recorded, not made."""
    for path in sorted(folder.glob("data/real*/*.csv")):
        frame = _table(path)
        yield Series("nab", path.stem, frame[["value"]].to_numpy(np.float64), times=_times(frame))


def _ett(folder: Path) -> Iterator[Series]:
    """A transformer's loads and oil temperature: each channel counts, and is known to the others."""
    for path in sorted(folder.glob("forecast/ETTh1.csv*")):
        frame = _table(path)
        values = frame.drop(columns=["timestamp"])
        targets = tuple(range(values.shape[1]))
        yield Series(
            "ett", "ETTh1", values.to_numpy(np.float64), tuple(values.columns), targets, _times(frame)
        )


def _servers(folder: Path) -> Iterator[Series]:
    """Some lively channels of each server, one at a time."""
    for group, count in CHANNELS.items():
        for path in sorted(folder.glob(f"{group}/*.csv*")):
            frame = _table(path).drop(columns=["timestamp"])
            names = [name for name in frame if lively(frame[name].to_numpy(np.float64))]
            for name in spread_out(names, count):
                yield Series(group, f"{path.name.split('.')[0]}.{name}", frame[[name]].to_numpy(np.float64))


def _nasa(folder: Path) -> Iterator[Series]:
    """Telemetry: the first channel of some of those spacecraft series that are lively."""
    found = []
    for path in sorted(folder.glob("telemanom_uf/*.csv*")):
        values = _table(path).drop(columns=["timestamp"]).iloc[:, :1].to_numpy(np.float64)
        if lively(values[:, 0]):
            found.append(Series("nasa", path.name.split(".")[0], values))
    yield from spread_out(found, NASA_SERIES)
