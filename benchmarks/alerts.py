"""What alerts cost the intake: CPU a record with and without them, 10,000 incidents open.

A fleet scores batches of many series; beside it the same with incidents followed and
written to a store. In one case nothing is wrong, in the other every series has an
open incident and one record in 50 is a detection. Also the memory that open incidents
take, and the time from a record to the first try of its message beyond the group wait.

    python benchmarks/alerts.py --json alerts.json
"""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from dataclasses import fields, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
from common import Contender, Report, Requirement, arguments, in_turn, stream

from streamrnn import Batch, Fleet, Settings
from streamrnn.connectors.base import Read
from streamrnn.pipelines.alert_service import AlertService
from streamrnn.pipelines.alerting import Alerting, Identity
from streamrnn.pipelines.captures import Recorder
from streamrnn.pipelines.coding import Coding
from streamrnn.pipelines.routing import Route, Routing
from streamrnn.pipelines.rules import Rules, Span
from streamrnn.pipelines.store import Store
from streamrnn.records import Results

SERIES, ROWS = 10_000, 4096
WARM = 60  # records of each series before anything is measured: by then models learn and score
START, STEP = 1_700_000_000_000_000_000, 60_000_000_000
WAIT_S = 0.2

REQUIRED = (
    Requirement("calm/share", "<=", 0.1),
    Requirement("open/share", "<=", 0.1),
    Requirement("first_try/late_s", "<=", 2.0),
)


class Feed:
    """Batches without end, and results in which something is wrong or nothing."""

    def __init__(self, fleet: Fleet, *, wrong: bool) -> None:
        self._fleet, self._wrong = fleet, wrong
        self._series = len(fleet.keys)
        self._at, self._values = 0, stream(ROWS, 1)
        self._rng = np.random.default_rng(1)

    def batch(self) -> Read:
        """The next records: the series in turn."""
        places = np.arange(self._at, self._at + ROWS)
        self._at += ROWS
        return Read(
            series=(places % self._series).astype(np.int32),
            times=START + STEP * (places // self._series),
            values=self._values,
            partitions=np.zeros(ROWS, np.int32),
            offsets=places,
            columns={},
        )

    def found(self, batch: Batch) -> Results:
        """What the fleet says, put wrong where that is asked."""
        found = self._fleet.process(batch)
        if not self._wrong:
            return found
        # Each series' first record, and one in 50 later.
        odd = (batch.offsets < self._series) | (self._rng.random(ROWS) < 0.02)
        return replace(
            found,
            is_anomaly=odd,
            alert_strength=np.where(odd, 0.6, 0.0),
            alert_level=np.full(ROWS, 0.5),
            surprise=np.where(odd, 5.0, 0.5),
            p_value=np.where(odd, 1e-5, 0.3),
            status=np.full(ROWS, 2, np.int8),
            event_partition=np.where(odd, 0, -1).astype(np.int32),
            event_offset=np.where(odd, batch.offsets, -1),
        )


def alerting_of(store: Store, fleet: Fleet) -> Alerting:
    """The intake's part of alerts."""
    return Alerting(
        store,
        Coding(fleet, ["bench"]),
        rules=Rules(quiet=Span(records=1_000_000)),  # none is over before the end
        identity=Identity("bench", "bench.toml", {"site": "north"}),
        wall=time.time_ns,
        wake=lambda: None,
        recorder=Recorder(store, fleet, 5000),
    )


def measured(folder: Path, series: int, rounds: int) -> dict[str, float]:
    """CPU nanoseconds a record of scoring alone and of what alerts add to it."""
    figures: dict[str, float] = {}
    for case in ("calm", "open"):
        fleet = Fleet(Settings())
        fleet.series([f"pump-{i:05d}" for i in range(series)])
        feed = Feed(fleet, wrong=case == "open")
        with Store(folder / f"{case}.db") as store:
            alerting = alerting_of(store, fleet)
            held: list[tuple[Read, Results]] = []

            def score(feed: Feed = feed, held: list[Any] = held) -> None:
                batch = feed.batch()
                held.append((batch, feed.found(batch)))

            def alert(alerting: Alerting = alerting, held: list[Any] = held) -> None:
                batch, found = held.pop(0)
                alerting.scored(batch)
                alerting.records(batch, found, np.ones(ROWS, np.bool_))

            for _ in range(WARM * series // ROWS):  # every incident opens, too
                score()
                alert()
            times = in_turn([Contender("score", score, ROWS), Contender("alert", alert, ROWS)], rounds)
            figures[f"{case}/score_us"] = times["score"] / 1e3
            figures[f"{case}/alert_us"] = times["alert"] / 1e3
            figures[f"{case}/share"] = times["alert"] / times["score"]
            if case == "open":
                figures["open/incidents"] = len(alerting.incidents)
                figures["open/state_bytes"] = len(json.dumps(alerting.state())) / len(alerting.incidents)
    return figures


def first_try(folder: Path, rounds: int) -> dict[str, float]:
    """Seconds from a record that was found odd to the first try of its message, beyond the group wait."""
    late, tried = [], []
    channel = SimpleNamespace(send=lambda n: tried.append((time.monotonic(), n)), close=lambda: None)
    routing = Routing((Route(("ops",)),), group_by=("series",), wait_ns=round(WAIT_S * 1e9), interval_ns=0)
    path = folder / "late.db"
    with Store(path) as store:
        fleet = Fleet(Settings())
        fleet.series([f"pump-{i}" for i in range(rounds)])
        service = AlertService(path, routing, {"ops": channel})
        alerting = alerting_of(store, fleet)
        alerting._wake = service.wake
        service.start()
        quiet = fleet.process(Batch.of_one_series(np.zeros((1, 1))))
        for number in range(rounds):
            batch, found = record(number), odd_one(quiet, number)
            began, before = time.monotonic(), len(tried)
            alerting.scored(batch)
            alerting.records(batch, found, np.ones(1, np.bool_))
            while len(tried) == before:
                if time.monotonic() - began > 30:
                    raise RuntimeError("the message never came")
                time.sleep(0.001)
            late.append(tried[-1][0] - began - WAIT_S)
        service.stop()
    return {"first_try/late_s": max(late), "first_try/median_s": median(late)}


def record(number: int) -> Read:
    """One record of a series of its own."""
    one = Batch.of_one_series(np.ones((1, 1)), np.array([START]), number)
    columns = {field.name: getattr(one, field.name) for field in fields(one)}
    return Read(**{**columns, "series": np.array([number], np.int32)}, columns={})


def odd_one(quiet: Results, offset: int) -> Results:
    """Results of one record that is a detection at the alert level."""
    return replace(
        quiet,
        is_anomaly=np.array([True]),
        alert_strength=np.array([0.7]),
        alert_level=np.array([0.5]),
        surprise=np.array([5.0]),
        p_value=np.array([1e-5]),
        event_partition=np.array([0], np.int32),
        event_offset=np.array([offset]),
    )


def main(options: Namespace) -> int:
    """Measure, print, write."""
    report = Report()
    with TemporaryDirectory() as folder:
        report.figures |= measured(Path(folder), *((500, 3) if options.quick else (SERIES, 30)))
        report.figures |= first_try(Path(folder), 2 if options.quick else 20)
    report.table("CPU us a record", ["calm", "open"], ["score_us", "alert_us", "share"])
    report.table("open incidents", ["open"], ["incidents", "state_bytes"])
    report.table("first try beyond the group wait, seconds", ["first_try"], ["median_s", "late_s"])
    report.write(options.json)
    passed = report.check(REQUIRED)
    return 1 if options.check and not passed else 0


if __name__ == "__main__":
    sys.exit(main(arguments(__doc__).parse_args()))
