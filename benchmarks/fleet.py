"""Fleets: what a record costs among many series beside one alone, and the memory they take.

Records of random series, as they come from a plant, with times, learning on; batches of 8,192. Every
series begins as a copy of one that has seen 2,000 records, so that all that a model does is done. One
thread; CPU time; all fleets in turn. ``light/10000/vs_single`` is what a record costs among 10,000 series
over what it costs with one; ``light/10000/of_default`` over what the default costs among as many.
Beside them, at 100 series: River's ``HalfSpaceTrees`` and a dictionary of detectors, record by record.
"""

from __future__ import annotations

import gc
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from common import Contender, Report, Requirement, arguments, in_turn, memory_mb
from numpy.typing import NDArray
from river.anomaly import HalfSpaceTrees

from streamrnn import Batch, Detector, Fleet, Settings
from streamrnn.pooling import fit_prior

COUNTS = {
    "light": (1, 100, 1_000, 10_000, 100_000),
    "shared": (1, 100, 1_000, 10_000, 100_000),
    "default": (1, 100, 1_000, 10_000),
}
QUICK_COUNTS = {"light": (1, 100), "shared": (1, 100), "default": (1, 100)}
BATCH, ROUNDS, SEEN = 8_192, 9, 2_000
FLAT_SERIES, FLAT_RECORDS = 1_000, 10_000_000
FITTED = 8  # series of the prior
OTHERS, OTHERS_BATCH = 100, 1_000  # series; records of a run
_MINUTE_NS = 60_000_000_000

REQUIRED = (
    Requirement("light/10000/vs_single", "<=", 3.5),
    Requirement("light/100000/vs_single", "<=", 5.0),
    Requirement("light/10000/of_default", "<=", 0.2),
    Requirement("light/100/half_space_trees_over", ">=", 15.0),
    Requirement("light/bytes", "<=", 20_480),
    Requirement("light/100000/resident_mb", "<=", 2_500),
    Requirement("light/100000/resident_over_formula", "<=", 1.1),
    Requirement("light/100000/resident_over_formula", ">=", 0.9),
    Requirement("light/flat", "<=", 1.02),
    Requirement("shared/10000/vs_single", "<=", 3.5),
    Requirement("shared/10000/of_light", "<=", 1.0),
    Requirement("shared/bytes", "<=", 14_336),
    Requirement("shared/100000/resident_over_formula", "<=", 1.1),
)


def value_of(series: NDArray[np.int32], at: NDArray[np.int64]) -> NDArray[np.float64]:
    """Two periods that belong to the series, and noise."""
    rng = np.random.default_rng([int(series[0]), int(at[0])])
    phase = series * 0.7
    return np.sin(at * 0.1 + phase) + 0.3 * np.sin(at * 0.037 + phase) + 0.05 * rng.normal(size=len(at))


def batches(n: int, size: int) -> Iterator[Batch]:
    """Records of random ones of n series, without end; each a minute after its series' last one."""
    rng = np.random.default_rng(n)
    seen = np.full(n, SEEN)
    while True:
        series = rng.integers(0, n, size).astype(np.int32)
        order = np.argsort(series, kind="stable")
        first = np.searchsorted(series[order], series[order])
        at = np.empty(size, np.int64)
        at[order] = seen[series[order]] + np.arange(size) - first
        np.add.at(seen, series, 1)
        yield Batch(series, at * _MINUTE_NS, value_of(series, at)[:, None], np.zeros(size, np.int32), at)


def with_prior(settings: Settings) -> Settings:
    """With a prior of other series."""
    at, none = np.arange(SEEN), np.zeros(SEEN, np.int32)
    others = []
    for code in range(FITTED):
        codes = none + np.int32(code)
        others.append(Batch(codes, at * _MINUTE_NS, value_of(codes + 1_000_000, at)[:, None], none, at))
    return replace(settings, prior=fit_prior(others, settings))


def warmed(settings: Settings, n: int) -> Fleet:
    """A fleet of n series that have all seen the same records."""
    one, fleet = Fleet(settings), Fleet(settings)
    at = np.arange(SEEN)
    values = value_of(np.zeros(SEEN, np.int32), at)[:, None]
    one.process(Batch.of_one_series(values, at * _MINUTE_NS))
    codes = fleet.series([f"sensor-{i}" for i in range(n)])
    fleet.process(Batch(codes, np.zeros(n, np.int64), np.zeros((n, 1)), np.zeros(n, np.int32), np.arange(n)))
    for code in range(n):
        fleet.row(code)[:] = one.row(0)
    return fleet


def work(fleet: Fleet, n: int, size: int) -> Callable[[], object]:
    """Process the next batch."""
    coming = batches(n, size)
    return lambda: fleet.process(next(coming))


def one_by_one(make: Callable[[], object], step: Callable[[object, float], object]) -> Contender:
    """A dictionary of models, each record to its own."""
    models = {f"sensor-{i}": make() for i in range(OTHERS)}
    coming = batches(OTHERS, OTHERS_BATCH)

    def run() -> None:
        batch = next(coming)
        for code, value in zip(batch.series.tolist(), batch.values[:, 0].tolist(), strict=True):
            step(models[f"sensor-{code}"], value)

    return Contender("", run, OTHERS_BATCH)


def half_space_trees() -> Contender:
    """River's, each of which wants its features from 0 to 1."""

    def step(model: object, value: float) -> None:
        assert isinstance(model, HalfSpaceTrees)
        x = {"value": (value + 2.0) / 4.0}
        model.score_one(x)
        model.learn_one(x)

    contender = one_by_one(lambda: HalfSpaceTrees(seed=0), step)
    return Contender("half_space_trees/100", contender.run, contender.samples)


def detectors() -> Contender:
    """One detector a series, with the preset ``light``."""

    def step(model: object, value: float) -> None:
        assert isinstance(model, Detector)
        model.process_one(value)

    contender = one_by_one(lambda: Detector(preset="light"), step)
    return Contender("detectors/100", contender.run, contender.samples)


def resident(settings: Settings, n: int) -> tuple[float, float]:
    """Megabytes that a fleet of n series took, and those over what the formula says."""
    gc.collect()  # of the fleet before
    warmed(settings, 1)  # compiles
    before = memory_mb()
    fleet = warmed(settings, n)
    taken = memory_mb() - before
    return taken, taken / (n * Fleet.bytes_per_series(settings) * 1e-6) if len(fleet.keys) == n else 0.0


def growth(settings: Settings, records: int) -> float:
    """Resident memory after so many records over that after a tenth of them."""
    run = work(warmed(settings, FLAT_SERIES), FLAT_SERIES, BATCH)
    early = 0.0
    for done in range(0, records, BATCH):
        run()
        if early == 0.0 and done >= records // 10:
            early = memory_mb()
    return memory_mb() / early


def measured(counts: dict[str, tuple[int, ...]], quick: bool) -> dict[str, float]:
    """Every figure."""
    settings = {preset: Settings(preset=preset) for preset in counts}
    settings["shared"] = with_prior(settings["shared"])
    figures = {f"{preset}/bytes": float(Fleet.bytes_per_series(each)) for preset, each in settings.items()}
    for preset in ("light", "shared"):
        most = max(counts[preset])
        taken, ratio = resident(settings[preset], most)
        figures |= {f"{preset}/{most}/resident_mb": taken, f"{preset}/{most}/resident_over_formula": ratio}
    figures["light/flat"] = growth(settings["light"], FLAT_RECORDS // (200 if quick else 1))
    contenders = [
        Contender(f"{preset}/{n}", work(warmed(settings[preset], n), n, BATCH), BATCH)
        for preset, sizes in counts.items()
        for n in sizes
    ]
    times = in_turn([*contenders, half_space_trees(), detectors()], 1 if quick else ROUNDS)
    for name, nanoseconds in times.items():
        figures |= {f"{name}/us": nanoseconds * 1e-3, f"{name}/records_per_s": 1e9 / nanoseconds}
    for preset, sizes in counts.items():
        for n in sizes:
            figures[f"{preset}/{n}/vs_single"] = times[f"{preset}/{n}"] / times[f"{preset}/1"]
            if preset != "default" and n in counts["default"]:
                figures[f"{preset}/{n}/of_default"] = times[f"{preset}/{n}"] / times[f"default/{n}"]
            if preset == "shared":
                figures[f"{preset}/{n}/of_light"] = times[f"{preset}/{n}"] / times[f"light/{n}"]
    for other in ("half_space_trees", "detectors"):
        figures[f"light/{OTHERS}/{other}_over"] = times[f"{other}/{OTHERS}"] / times[f"light/{OTHERS}"]
    return figures


def main(options: Namespace) -> int:
    """Measure, print, write."""
    counts = QUICK_COUNTS if options.quick else COUNTS
    report = Report(measured(counts, options.quick))
    rows = [f"{preset}/{n}" for preset, sizes in counts.items() for n in sizes]
    columns = ("us", "records_per_s", "vs_single", "of_default", "of_light")
    rows += [f"{other}/{OTHERS}" for other in ("half_space_trees", "detectors")]
    report.table("series, random order", rows, columns)
    report.table("memory", counts, ("bytes", "flat"))
    passed = report.check(REQUIRED)
    report.write(options.json)
    return 1 if options.check and not passed else 0


if __name__ == "__main__":
    sys.exit(main(arguments(__doc__).parse_args()))
