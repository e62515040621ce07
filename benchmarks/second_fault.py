"""Whether a fault hides the next: a second planted fault behind a first one, beside the same without it.

Made plants of 1, 2, 4 and 8 channels. In each sensor a first fault, of another kind and length in each
row of the tables; 100, 300 or 1000 records behind its end, in the next channel, a second one: a spike, a
dip or a level shift. Only the second is counted, within its first records: *found*, a detection there or
an event that begins; *alerted*, a strength that reaches the alert level; *surprise*, the median of the
largest -log10 p. An alert keeps weaker ones quiet for 50 to 200 records, so what comes 100 behind is
found oftener than alerted.

    python benchmarks/second_fault.py --json second_fault.json
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from statistics import fmean, median
from typing import NamedTuple

import numpy as np
from attribution import START, STEP, broken
from common import Report, Requirement, arguments
from detection import in_processes
from numpy.typing import NDArray

from streamrnn import Batch, Fleet, Settings
from streamrnn.pipelines.plant import Plant
from streamrnn.pipelines.planted import Fault

CHANNELS = (1, 2, 4, 8)
NOTHING = "nothing"
FIRSTS = (
    (NOTHING, 0, 0.0),
    ("spike", 1, 6.0),
    ("flat line", 10, 0.0),
    ("flat line", 30, 0.0),
    ("flat line", 100, 0.0),
    ("level shift", 20, 5.0),
    ("level shift", 60, 5.0),
    ("level shift", 200, 5.0),
    ("variance change", 40, 4.0),
    ("variance change", 200, 4.0),
    ("drift", 300, 6.0),
    ("pattern", 100, 1.5),
)
"""Kind, records and size of the first fault, as ``streamrnn simulate`` has them."""

SECONDS = (("spike", 1, 6.0), ("dip", 3, -6.0), ("level shift", 200, 5.0))
BEHIND = (100, 300, 1000)  # records between the two
END = 3_300  # of the first: by then every tail is calibrated
SENSORS, QUICK_SENSORS = 36, 9
SEEN_WITHIN = 3  # records
MEASURES = ("faults", "found", "alerted", "surprise")

SEVERAL = "2 to 8 channels"
REQUIRED = tuple(
    Requirement(f"{SEVERAL}, {records} behind/{measure}", ">=", 0.9)
    for records in BEHIND[1:]
    for measure in ("found", "alerted")
)


class Case(NamedTuple):
    """A series (n, channels) up to its second fault's first records, and what is before that."""

    channels: int
    first: str
    behind: int
    values: NDArray[np.float64]

    @property
    def rows(self) -> tuple[str, ...]:
        """The rows of the tables that it counts in."""
        rows = (f"{self.channels} channels/{self.first}",)
        if self.channels > 1 and self.first != NOTHING:
            rows += (f"{SEVERAL}, {self.behind} behind",)
        return rows


def named(kind: str, records: int) -> str:
    """A first fault's row."""
    return f"{kind} of {records}" if records else kind


def cases(channels: int, sensors: int) -> Iterator[Case]:
    """Each sensor of a plant with each first fault."""
    plant = Plant(sensors=sensors, channels=channels, seed=21, start=START, step=STEP, every=0)
    values = plant.block(0, END + max(BEHIND) + SEEN_WITHIN).values
    for sensor in range(sensors):
        kind, records, size = SECONDS[sensor % len(SECONDS)]
        behind = BEHIND[sensor // len(SECONDS) % len(BEHIND)]
        start = END + behind
        second = Fault(sensor, (sensor + 1) % channels, kind, start, start + records - 1, size)
        for first_kind, length, first_size in FIRSTS:
            first = Fault(sensor, sensor % channels, first_kind, END - length, END - 1, first_size)
            faults = [second] if first_kind == NOTHING else [first, second]
            seen = broken(values[: start + SEEN_WITHIN, sensor], faults)
            yield Case(channels, named(first_kind, length), behind, seen)


def measured(case: Case) -> tuple[float, float, float]:
    """(found, alerted, surprise) of the second fault."""
    names = tuple(f"c{d}" for d in range(case.channels))
    networks = (
        {} if case.channels == 1 else {"networks": ("none",)}
    )  # which several channels' alerts do not hear
    times = START + STEP * np.arange(len(case.values))
    out = Fleet(Settings(channels=names, **networks)).process(Batch.of_one_series(case.values, times))
    here = slice(-SEEN_WITHIN, None)
    strength = out.alert_strength[here]
    found = out.is_anomaly[here].any() or (strength >= 0.5).any()
    alerted = ((strength > 0.0) & (strength >= out.alert_level[here])).any()
    return float(found), float(alerted), float(np.nanmax(out.surprise[here]))


def main(options: Namespace) -> int:
    """Plant, detect, count; print and write."""
    sensors = QUICK_SENSORS if options.quick else SENSORS
    tasks = [case for channels in CHANNELS for case in cases(channels, sensors)]
    found: dict[str, list[tuple[float, float, float]]] = {}
    for case, one in zip(tasks, in_processes(measured, tasks), strict=True):
        for row in case.rows:
            found.setdefault(row, []).append(one)
    report = Report()
    for row, many in found.items():
        seen, alerted, surprises = zip(*many, strict=True)
        figures = (float(len(many)), fmean(seen), fmean(alerted), median(surprises))
        report.figures |= {f"{row}/{name}": value for name, value in zip(MEASURES, figures, strict=True)}
    for channels in CHANNELS:
        group = f"{channels} channels"
        report.table(group, [f"{group}/{named(*first[:2])}" for first in FIRSTS], MEASURES)
    report.table("behind any first fault", [f"{SEVERAL}, {records} behind" for records in BEHIND], MEASURES)
    passed = report.check(REQUIRED)
    report.write(options.json)
    return 1 if options.check and not passed else 0


if __name__ == "__main__":
    sys.exit(main(arguments(__doc__).parse_args()))
