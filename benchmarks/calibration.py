"""How often normal records get a p-value under 1e-2, 1e-3, 1e-4, beside how often they should.

Made streams without an anomaly (AR, GARCH, seasonal, heavy tails, trend, counts, intermittent, bounded,
several channels, irregular times), and, where a folder is given, the rows of NAB's or a panel's files
before their first labelled one. Counted are calibrated records; ``ar/1e-3`` is the share of them with a
p-value of at most 1e-3, to 1e-3. A group is judged at a level where it has records enough to tell: where
a detector that keeps the rate exactly, one record independent of the other, would be within bounds in
19 of 20 such groups. That depends on how many records there are, not on what was found.

    python benchmarks/calibration.py NAB_DIR SETS_DIR --json calibration.json
"""

from __future__ import annotations

import math
import sys
from argparse import Namespace
from collections import defaultdict
from pathlib import Path

import numpy as np
from common import Report, Requirement, arguments
from detection import in_processes
from numpy.typing import NDArray
from streams import KINDS, Stream, made, quiet_start, quiet_starts

from streamrnn import Batch, Fleet, Settings
from streamrnn.records import STATUSES

LEVELS = {"1e-2": 1e-2, "1e-3": 1e-3, "1e-4": 1e-4}
BOUNDS = {"1e-2": (0.5, 2.0), "1e-3": (0.5, 2.0), "1e-4": (0.3, 3.0)}
CHUNK = 8192
SURE = 0.95  # how probably a detector that keeps the rate must be within bounds
QUICK = (2, 5000)  # series, records

REQUIRED = tuple(Requirement(f"within/{level}", ">=", 0.9) for level in LEVELS)

# A group, and either the seed and length of a made stream or a file and its quiet rows.
Task = tuple[str, int | Path, int]


def counted(task: Task) -> NDArray[np.int64]:
    """(1 + levels,) calibrated records of a stream, and those of them under each level."""
    group, origin, n = task
    stream = quiet_start(origin, n) if isinstance(origin, Path) else made(group, n, origin)
    counts = np.zeros(1 + len(LEVELS), np.int64)
    fleet = Fleet(Settings(channels=tuple(f"c{d}" for d in range(stream.values.shape[1]))))
    fleet.series(["series"])
    for batch in _chunks(stream):
        found = fleet.process(batch)
        p = found.p_value[found.status == STATUSES.index("calibrated")]
        counts += [len(p), *(np.count_nonzero(p <= level) for level in LEVELS.values())]
    return counts


def _chunks(stream: Stream) -> list[Batch]:
    starts = range(0, len(stream.values), CHUNK)
    parts = [slice(start, start + CHUNK) for start in starts]
    times = stream.times
    return [
        Batch.of_one_series(stream.values[part], None if times is None else times[part], part.start)
        for part in parts
    ]


def tasks_of(options: Namespace) -> list[Task]:
    """All streams to look at."""
    series, records = QUICK if options.quick else (options.series, options.records)
    tasks: list[Task] = [(kind, seed, records) for kind in KINDS for seed in range(series)]
    for folder in options.folders:
        starts = list(quiet_starts(folder))
        if not starts:
            raise SystemExit(f"{folder} is neither NAB's folder nor one of labelled sets")
        tasks += [(group, path, rows) for group, path, rows in starts if rows]
    return tasks


def tells(expected: float, low: float, high: float) -> bool:
    """Whether a Poisson count with that mean is probably within the bounds, both times the mean."""
    if expected > 1000.0:  # more than 15 deviations within a factor of 2
        return True
    within = range(math.ceil(low * expected), math.floor(high * expected) + 1)
    logs = (n * math.log(expected) - expected - math.lgamma(n + 1) for n in within) if expected else ()
    return math.fsum(map(math.exp, logs)) >= SURE


def figures_of(counts: dict[str, NDArray[np.int64]]) -> dict[str, float]:
    """Measured to asked of each group and level, and of how many groups it is within bounds."""
    found: dict[str, float] = {}
    for group, (records, *under) in counts.items():
        found[f"{group}/records"] = int(records)
        for (name, level), hits in zip(LEVELS.items(), under, strict=True):
            if tells(level * records, *BOUNDS[name]):
                found[f"{group}/{name}"] = float(hits / (level * records))
    for name, (low, high) in BOUNDS.items():
        ratios = [found[key] for group in counts if (key := f"{group}/{name}") in found]
        found[f"judged/{name}"] = len(ratios)
        if ratios:
            found[f"within/{name}"] = sum(low <= ratio <= high for ratio in ratios) / len(ratios)
    return found


def print_too_few(counts: dict[str, NDArray[np.int64]], figures: dict[str, float]) -> None:
    """What was found where that is too little to tell: not judged, but said."""
    print("\ntoo few records to tell: found, and to be expected")
    for group, (records, *under) in counts.items():
        for (name, level), hits in zip(LEVELS.items(), under, strict=True):
            if f"{group}/{name}" not in figures:
                print(f"{group} at {name}: {hits}, {level * records:.2g}")


def main(options: Namespace) -> int:
    """Count, print, write."""
    tasks = tasks_of(options)
    counts: dict[str, NDArray[np.int64]] = defaultdict(lambda: np.zeros(1 + len(LEVELS), np.int64))
    for (group, *_), found in zip(tasks, in_processes(counted, tasks), strict=True):
        counts[group] += found
    report = Report(figures_of(counts))
    report.table("measured to asked; calibrated records", counts, [*LEVELS, "records"])
    print_too_few(counts, report.figures)
    report.table("groups that can be judged, and the share within bounds", ["judged", "within"], [*LEVELS])
    report.write(options.json)
    passed = report.check(REQUIRED)
    return 1 if options.check and not passed else 0


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("folders", nargs="*", type=Path, metavar="DIR", help="NAB's folder, or one of sets")
    parser.add_argument("--series", type=int, default=20, help="made streams of each kind (default: 20)")
    parser.add_argument("--records", type=int, default=50_000, help="of each of them (default: 50000)")
    sys.exit(main(parser.parse_args()))
