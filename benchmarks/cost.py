"""What a record costs the shipped detector, whole and in parts, in CPU time of chunk calls.

Figures are the least of the rounds, in which all contenders take turns: what other work on the
machine adds does not count. ``machine/unrest`` tells how much there was: by how much the median
time of a loop that is always the same exceeded its least.

The whole: *one* channel with no event open (``one/us``), with one open all the time
(``one/event_us``), and fed with noise, which fills the memories (``one/noise_us``); *many*: 8 and
38 channels. The parts, each alone: the networks, one after the other; their readouts; the memories
of novelty that listen to them; the tail and the alert. ``without_networks_us`` is the detector that
has none (``networks="none"``): scaling, evidence, tail, alert and results.

The *forecaster* of one channel and horizons 1, 4 and 24: a network of 12 units with its Kalman filter and
heads, *diagonal* or *dense*; its kernels alone (``forecaster/…/us``), and what it adds to a detector without
networks (``added_us``). ``forecast/us`` is one channel with the preset of that name.

    python benchmarks/cost.py --json cost.json
"""

from __future__ import annotations

import sys
from argparse import Namespace
from functools import partial
from statistics import median

import forecaster_cost
import numpy as np
import peak
import readouts
from common import Contender, Report, Requirement, arguments, stream, times_in_turn
from judging import judging_contenders
from networks import Alone
from numpy.typing import NDArray

from streamrnn import Batch, Fleet, Settings
from streamrnn.layout import ModelLayout

CHUNK, WARM = 4096, 5  # records; chunks before anything is measured
MANY = (8, 38)
ROUNDS = 40
HALF = 0.5  # of all records detections: an event is open all the time
WHOLE = ("us", "event_us", "noise_us", "without_networks_us")
PARTS = ("networks_us", "readouts_us", "memories_us", "tail_and_alert_us")

REQUIRED = (
    Requirement("one/us", "<=", 5.0),
    Requirement("one/event_us", "<=", 7.0),
    Requirement("many/38/us", "<=", 30.0),
    Requirement("forecaster/diagonal/us", "<=", 1.5),
    Requirement("forecaster/dense/us", "<=", 4.0),
    Requirement("one/event_share", ">=", 0.95),  # else no event was open
)


def settings_of(channels: int, **changes: object) -> Settings:
    """The shipped settings for so many channels, with changes."""
    names = [f"channel-{d}" for d in range(channels)]
    return Settings.from_dict({"channels": names, **changes})


def warm_fleet(settings: Settings, values: NDArray[np.float64]) -> tuple[Fleet, Batch]:
    """A fleet of one series that has seen some chunks, and the chunk that it goes on with."""
    fleet, batch = Fleet(settings), Batch.of_one_series(values)
    for _ in range(WARM):
        fleet.process(batch)
    return fleet, batch


def whole(name: str, settings: Settings, values: NDArray[np.float64]) -> Contender:
    """Chunks through a fleet of one."""
    fleet, batch = warm_fleet(settings, values)
    return Contender(name, partial(fleet.process, batch), len(values))


def networks_alone(name: str, settings: Settings, n: int) -> list[Contender]:
    """Each network of a detector by itself, in the shape that it has there."""
    found = []
    for i, shape in enumerate(ModelLayout(settings).networks):
        rng = np.random.default_rng(i)
        inputs, truth = (
            rng.normal(size=(n, size)).astype(np.float32) for size in (shape.inputs, shape.outputs)
        )
        run = partial(Alone(shape).take_columns, inputs, truth, np.empty_like(truth))
        found.append(Contender(f"{name}/network-{i}", run, n))
    return found


def event_share() -> float:
    """Share of records with an event open, where half of them are detections."""
    fleet, batch = warm_fleet(settings_of(1, false_alarms=HALF), stream(CHUNK))
    return float((fleet.process(batch).event_offset >= 0).mean())


def contenders() -> list[Contender]:
    """The whole detectors and their parts."""
    one, noise = settings_of(1), np.random.default_rng(0).normal(size=(CHUNK, 1))
    found = [
        whole("one/us", one, stream(CHUNK)),
        whole("one/event_us", settings_of(1, false_alarms=HALF), stream(CHUNK)),
        whole("one/noise_us", one, noise),
        whole("one/without_networks_us", settings_of(1, networks="none"), stream(CHUNK)),
        *networks_alone("one", one, CHUNK),
        *judging_contenders(*warm_fleet(one, noise)),
        *readouts.contenders(),
        *forecaster_cost.contenders(CHUNK),
        whole("forecast/us", settings_of(1, preset="forecast"), stream(CHUNK)),
    ]
    for channels in MANY:
        settings, values = settings_of(channels), stream(CHUNK // 4, channels)
        bare = settings_of(channels, networks="none")
        found += [
            whole(f"many/{channels}/us", settings, values),
            whole(f"many/{channels}/without_networks_us", bare, values),
            *networks_alone(f"many/{channels}", settings, CHUNK // 4),
        ]
    return found


def figures_of(times: dict[str, list[float]]) -> dict[str, float]:
    """Every figure, from the times of all rounds."""
    machine = times.pop(peak.NAME)
    least = {name: min(values) * 1e-3 for name, values in times.items()}
    figures = {name: time for name, time in least.items() if name.endswith("us")}
    for row, channels in (("one", 1), *((f"many/{channels}", channels) for channels in MANY)):
        alone = [time for name, time in least.items() if name.startswith(f"{row}/network-")]
        figures[f"{row}/networks_us"] = sum(alone)
        figures[f"{row}/readouts_us"] = len(alone) * least[f"readout/{channels}"]
    figures |= forecaster_cost.derived(least)
    figures["machine/gflops"] = 1.0 / min(machine)
    figures["machine/unrest"] = median(machine) / min(machine)
    return figures


def main(options: Namespace) -> int:
    """Measure, print, write."""
    turns = [part for contender in contenders() for part in (peak.contender(), contender)]
    report = Report(figures_of(times_in_turn(turns, rounds=3 if options.quick else ROUNDS)))
    report.figures["one/event_share"] = event_share()
    rows = ("one", *(f"many/{channels}" for channels in MANY))
    report.table("whole detector, us a record", (*rows, "forecast"), WHOLE)
    report.table("parts alone, us a record", rows, PARTS)
    forecasters = [f"forecaster/{name}" for name in forecaster_cost.NETWORKS]
    columns = ["us", "added_us", "multiply_adds_per_ns"]
    report.table("forecaster of one channel, 12 units, three horizons, us a record", forecasters, columns)
    report.table("", ["machine"], ["gflops", "unrest"])
    report.write(options.json)
    passed = report.check(REQUIRED)
    return 1 if options.check and not passed else 0


if __name__ == "__main__":
    sys.exit(main(arguments(__doc__).parse_args()))
