"""What a fleet will need, before anybody deploys it: by formula, and by a short measurement here."""

from __future__ import annotations

import math
import os
import re
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from streamrnn.errors import SettingsError
from streamrnn.fleet import Fleet
from streamrnn.pipelines.words import count
from streamrnn.pooling import blank_prior
from streamrnn.records import Batch
from streamrnn.settings import Settings

__all__ = ["Capacity", "Measured", "capacity_text", "measured", "rate_of"]

NAME_BYTES = 300  # of a series beside its state: its name and where it lies
_MOST_SERIES, _MOST_BYTES = 500, 200 << 20  # that are measured: far more than a processor's caches hold
_WARM = 300  # records of each before: a young series costs less
_ROUNDS = 5
_FULL = 0.9  # of the memory of a machine
_BUSY = 0.7  # of a core: the rest is for reading, writing, and for days that are worse
_RATE = re.compile(r"(?P<count>\d+(\.\d+)?)/(?P<unit>s|min|h|day)")
_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "day": 86_400.0}


@dataclass(frozen=True)
class Measured:
    """What records cost here.

    Attributes
    ----------
    series : int
        So many were measured, in random order.
    us_per_record : float
        Scoring and learning, microseconds of one core.
    base_bytes : int
        Memory of this process without any series.
    cores : int
    memory_bytes : int
        Of the machine, or of the container that this runs in.
    """

    series: int
    us_per_record: float
    base_bytes: int
    cores: int
    memory_bytes: int


@dataclass(frozen=True)
class Capacity:
    """What so many series need.

    Attributes
    ----------
    series, channels : int
    records_per_s : float
        Of all series together.
    bytes_per_series : int
        By the formula; so large is a state from the first record on.
    budget_bytes : int
        0: there is none.
    measured : Measured
    """

    series: int
    channels: int
    records_per_s: float
    bytes_per_series: int
    budget_bytes: int
    measured: Measured

    @property
    def in_memory(self) -> int:
        """Series that lie in memory."""
        fit = self.budget_bytes // self.bytes_per_series
        return min(self.series, fit) if self.budget_bytes else self.series

    @property
    def state_bytes(self) -> int:
        """Memory of their states."""
        return self.in_memory * self.bytes_per_series

    @property
    def memory_bytes(self) -> int:
        """Memory of the process, without the copy that a daemon makes of all states for a snapshot."""
        return self.measured.base_bytes + self.state_bytes + NAME_BYTES * self.series

    @property
    def memory_fits(self) -> bool:
        """Whether a daemon has enough of it, snapshots and all."""
        return self.memory_bytes + self.state_bytes <= _FULL * self.measured.memory_bytes

    @property
    def cores_busy(self) -> float:
        """Cores that scoring takes."""
        return self.records_per_s * self.measured.us_per_record / 1e6

    @property
    def threads(self) -> int:
        """Threads that this asks for."""
        return max(1, math.ceil(self.cores_busy / _BUSY))

    @property
    def cpu_fits(self) -> bool:
        """Whether there are as many cores."""
        return self.threads <= self.measured.cores

    @property
    def fitting_budget(self) -> int:
        """The largest budget, bytes, with which a daemon's memory would be enough; 0: none is."""
        left = _FULL * self.measured.memory_bytes - self.measured.base_bytes - NAME_BYTES * self.series
        return max(0, int(left / 2)) if left / 2 >= self.bytes_per_series else 0

    def to_dict(self) -> dict[str, Any]:
        """Everything, by name."""
        derived = ("in_memory", "state_bytes", "memory_bytes", "memory_fits", "cores_busy", "threads")
        return {
            **asdict(self),
            **{name: getattr(self, name) for name in (*derived, "cpu_fits", "fitting_budget")},
            "fits": self.memory_fits and self.cpu_fits,
        }


def rate_of(text: str) -> float:
    """A rate such as ``"1/s"`` or ``"6/min"`` in records a second.

    Raises
    ------
    SettingsError
        Where it is none.

    Examples
    --------
    >>> rate_of("1/s"), rate_of("6/min")
    (1.0, 0.1)
    """
    found = _RATE.fullmatch(text)
    if found is None or float(found["count"]) == 0.0:
        raise SettingsError(
            f"--rate is {text!r}; give records of each series, such as 1/s, 6/min, 4/h or 1/day"
        )
    return float(found["count"]) / _UNITS[found["unit"]]


def measured(settings: Settings, series: int) -> Measured:
    """Score records of at most 500 series in random order for some seconds.

    Where networks need a prior and there is none yet, one of nothing serves: it costs the same.
    """
    if settings.prior is None and any(spec.training == "shared" for spec in settings.specs):
        settings = replace(settings, prior=blank_prior(settings))
    fleet = Fleet(settings)
    base = _resident_bytes()
    n = max(1, min(series, _MOST_SERIES, _MOST_BYTES // fleet.layout.row_bytes))
    fleet.series(map(str, range(n)))
    rng, channels = np.random.default_rng(0), len(settings.channels)
    for start in range(0, _WARM, 10):
        fleet.process(_records(rng, n, channels, 10, start))
    costs = []
    for turn in range(_ROUNDS):
        batch = _records(rng, n, channels, 4, _WARM + 4 * turn)
        began = time.perf_counter()
        fleet.process(batch)
        costs.append((time.perf_counter() - began) / len(batch))
    return Measured(n, 1e6 * min(costs), base, len(os.sched_getaffinity(0)), _memory_bytes())


def capacity_text(found: Capacity) -> str:
    """The same for people."""
    here, what = found.measured, count(found.channels, "channel")
    lines = [
        f"{count(found.series, 'series', 'series')} of {what}, {_rate(found.records_per_s)} records a second"
    ]
    lines.append(f"  state   {found.bytes_per_series:,} bytes a series, {_size(found.state_bytes)} in memory")
    if found.in_memory < found.series:
        away = found.series - found.in_memory
        lines.append(f"          {away:,} series lie on disk: each record of theirs costs a read and a write")
    verdict = "fits" if found.memory_fits else "DOES NOT FIT"
    lines.append(
        f"  memory  {_size(found.memory_bytes)}, and {_size(found.memory_bytes + found.state_bytes)} "
        f"while a daemon saves a snapshot, of {_size(here.memory_bytes)}: {verdict}"
    )
    if not found.memory_fits and found.fitting_budget:
        fit = found.fitting_budget // found.bytes_per_series
        lines.append(
            f'          fleet.budget = "{found.fitting_budget // 10**6}MB" keeps {fit:,} series in memory'
        )
    verdict = f"fits with threads = {found.threads}" if found.cpu_fits else "DOES NOT FIT"
    lines.append(
        f"  cpu     {here.us_per_record:.3g} us a record (measured: {here.series} series in random order), "
        f"{found.cores_busy:.3g} of {count(here.cores, 'core')}: {verdict}"
    )
    lines.append("          scoring and learning alone; reading and writing records comes to it")
    return "\n".join(lines)


def _records(rng: np.random.Generator, series: int, channels: int, each: int, start: int) -> Batch:
    """Some records of each series, in random order."""
    n = series * each
    return Batch(
        series=rng.permutation(np.repeat(np.arange(series, dtype=np.int32), each)),
        times=(start * series + np.arange(n)) * 10**9,
        values=rng.normal(size=(n, channels)),
        partitions=np.zeros(n, np.int32),
        offsets=np.arange(n),
    )


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _memory_bytes() -> int:
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):  # no container, or one without a bound ("max")
        return min(machine, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return machine


def _size(n: float) -> str:
    return f"{n / 1e9:.3g} GB" if n >= 1e9 else f"{n / 1e6:.3g} MB"


def _rate(n: float) -> str:
    return f"{n:,.0f}" if n >= 10 else f"{n:.3g}"
