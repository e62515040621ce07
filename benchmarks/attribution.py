"""Planted faults of one channel among several: is that the channel which the event names first.

Faults of the kinds that ``streamrnn simulate`` knows, in made plants of 2, 4 and 8 channels, a third
as large in three sensors of one quantity, and, where SETS_DIR is given (folders ``smd`` and ``asd``
with a CSV file a series), in what servers recorded before their first label, in one lively channel at
a time. Of the strongest event at each fault: whether its leading channel is the faulty one (*named*),
that channel's share at the peak, and whether the event's kind is the fault's. A fault without an
event counts as not found, and in nothing else.

    python benchmarks/attribution.py [SETS_DIR] --json attribution.json
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
import pandas as pd
from common import Report, Requirement, arguments
from detection import in_processes
from forecast_series import lively, spread_out
from numpy.typing import NDArray

from streamrnn import Batch, Fleet, Settings
from streamrnn.pipelines.events import Event, EventLog
from streamrnn.pipelines.plant import Plant, normal
from streamrnn.pipelines.planted import LENGTHS, Fault, Schedule
from streamrnn.splitmix import seeds

CHANNELS = (2, 4, 8)
KINDS = tuple(kind for kind in LENGTHS if kind != "gap")  # a gap concerns all channels
MEASURES = ("faults", "found", "named", "share", "kind")
REDUNDANT = "3 of one quantity"
SERVERS = ("smd", "asd")
RECORDS, EVERY = 10_000, 3_000
SENSORS, QUICK_SENSORS = 140, 14
REAL_CHANNELS = 8  # of a file, at most
AFTERWARDS = 30  # records behind a fault in which its event may begin
START, STEP = 1_700_000_000 * 10**9, 600 * 10**9

MADE = (*(f"{channels} channels" for channels in CHANNELS), REDUNDANT)
REQUIRED = tuple(
    Requirement(f"{group}/{kind}/named", ">=", bound)
    for group in MADE
    for kind, bound in (("all", 0.95), ("flat line", 0.99))
)


class Planting(NamedTuple):
    """A series (n, channels) and the faults in it."""

    group: str
    values: NDArray[np.float64]
    faults: list[Fault]


def made(channels: int, sensors: int) -> Iterator[Planting]:
    """The sensors of a plant."""
    plant = Plant(sensors=sensors, channels=channels, seed=5, start=START, step=STEP, every=EVERY)
    block, faults = plant.block(0, RECORDS), plant.faults(0, RECORDS)
    values = np.where(block.present[:, :, None], block.values, np.nan)
    for sensor in range(sensors):
        yield Planting(f"{channels} channels", values[:, sensor], [f for f in faults if f.sensor == sensor])


def redundant(sensors: int) -> Iterator[Planting]:
    """Three sensors of one quantity, each with noise of its own."""
    plant = Plant(sensors=sensors, channels=1, seed=7, start=START, step=STEP, every=0)
    schedule = Schedule(sensors, 3, EVERY, seeds(17, np.arange(sensors))).within(0, RECORDS)
    quantity = plant.block(0, RECORDS).values
    for sensor in range(sensors):
        noise = 0.5 * normal(seeds(19, sensor, np.arange(3)), np.arange(RECORDS))
        faults = [fault for fault in schedule if fault.sensor == sensor]
        yield Planting(REDUNDANT, broken(quantity[:, sensor] + noise, faults, 1.0 / 3.0), faults)


def recorded(folder: Path, group: str) -> Iterator[Planting]:
    """What was recorded before the first label, with faults in it; files where enough channels live."""
    for number, path in enumerate(sorted(folder.glob("*.csv*"))):
        frame = pd.read_csv(path)
        odd = np.flatnonzero(frame["label"].to_numpy() > 0)
        values = frame.drop(columns=["timestamp", "label"]).to_numpy(np.float64)
        values = values[: min(odd[0] if len(odd) else len(values), RECORDS)]
        living = [d for d in range(values.shape[1]) if lively(values[:, d])]
        if len(living) < 2:
            continue
        chosen = values[:, spread_out(living, REAL_CHANNELS)]
        turns = len(LENGTHS)  # in each of which the kinds begin with another
        faults = Schedule(turns, chosen.shape[1], EVERY, seeds(11, number, np.arange(turns)))
        planted = faults.within(0, len(chosen))
        for turn in range(turns):
            mine = [fault for fault in planted if fault.sensor == turn]
            yield Planting(group, broken(chosen, mine), mine)


def broken(values: NDArray[np.float64], faults: list[Fault], unit: float = 1.0) -> NDArray[np.float64]:
    """The values with the faults in them, each in units of its channel's deviation, or so much of it."""
    found = values.copy()
    for fault in faults:
        moments = np.arange(fault.first, min(fault.last + 1, len(values)))
        mine = found[moments, fault.channel]
        added = fault.shift(moments) * (unit * values[:, fault.channel].std())
        if fault.kind == "variance change":
            noise = np.diff(values[:, fault.channel]).std()
            added = fault.size * noise * normal(seeds(13, np.array(fault.first)), moments)
        found[moments, fault.channel] = mine[0] if fault.kind == "flat line" else mine + added
        if fault.kind == "gap":
            found[moments] = np.nan
    return found


def of_fault(fault: Fault, events: list[Event]) -> Event | None:
    """The strongest event at a fault."""
    met = (e for e in events if e.first <= fault.last + AFTERWARDS and max(e.first, e.last) >= fault.first)
    return max(met, key=lambda event: event.rank, default=None)


def measured(planting: Planting) -> list[tuple[str, dict[str, float]]]:
    """Of each fault its kind and its measures."""
    names = tuple(f"c{d}" for d in range(planting.values.shape[1]))
    times = START + STEP * np.arange(len(planting.values))
    batch, log = Batch.of_one_series(planting.values, times), EventLog(names)
    log.add(batch, Fleet(Settings(channels=names, networks=("none",))).process(batch))
    log.finish()
    found = []
    for fault in planting.faults:
        if fault.kind == "gap":
            continue
        event = of_fault(fault, log.strongest())
        measures = {"found": float(event is not None)}
        if event is not None:
            measures["named"] = float(event.parts[0].channel == fault.channel)
            measures["share"] = sum(part.share for part in event.parts if part.channel == fault.channel)
            measures["kind"] = float(event.kind == fault.kind)
        found.append((fault.kind, measures))
    return found


def figures_of(group: str, found: list[tuple[str, dict[str, float]]]) -> dict[str, float]:
    """Means over the faults of each kind, and of all."""
    figures: dict[str, float] = {}
    for kind in (*KINDS, "all"):
        mine = [measures for name, measures in found if kind in {name, "all"}]
        figures[f"{group}/{kind}/faults"] = float(len(mine))
        for measure in MEASURES[1:]:
            values = [measures[measure] for measures in mine if measure in measures]
            if values:
                figures[f"{group}/{kind}/{measure}"] = fmean(values)
    return figures


def main(options: Namespace) -> int:
    """Plant, detect, count; print and write."""
    sensors = QUICK_SENSORS if options.quick else SENSORS
    plantings = [planting for channels in CHANNELS for planting in made(channels, sensors)]
    plantings += redundant(sensors)
    if options.folder:
        plantings += [p for name in SERVERS for p in recorded(options.folder / name, name)]
    report, groups = Report(), dict.fromkeys(planting.group for planting in plantings)
    found = list(in_processes(measured, plantings))
    for group in groups:
        mine = [
            one
            for planting, many in zip(plantings, found, strict=True)
            for one in many
            if planting.group == group
        ]
        report.figures |= figures_of(group, mine)
        report.table(group, [f"{group}/{kind}" for kind in (*KINDS, "all")], MEASURES)
    passed = report.check(REQUIRED)
    report.write(options.json)
    return 1 if options.check and not passed else 0


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("folder", type=Path, nargs="?", metavar="SETS_DIR", help="folders smd and asd")
    sys.exit(main(parser.parse_args()))
