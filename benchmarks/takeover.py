"""How long partitions are without an owner: handed over as planned, and after ``kill -9``.

Two daemons share a topic while records come; one joins, is asked to leave (SIGTERM), or is
killed. ``joined_s``, ``planned_s`` and ``killed_s`` are the longest time in which a partition had
no new score. What the group waits for before it gives a dead daemon's partitions away,
``session_timeout``, is part of ``killed_s`` and taken off in ``beyond_s``. With and without a
standby; the series spread over eight partitions, of which four move (a snapshot is an eighth of
all series), and all in one partition.

The broker is that of the tests (Java and Maven), or one that runs: ``--brokers host:port``.

    python benchmarks/takeover.py --json takeover.json
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from common import Report, Requirement, arguments
from daemon import broker_at

SESSION_S, START_S = 3, 1_700_000_000
JOINED_S = 12.0  # by then a daemon that has begun is in the group, and a snapshot has been written
FLOWING_S = 2.0  # before and after
LOT, LOT_S = 20, 0.02  # records that come at a time, and how often
SPREADS = {"spread": 8, "one": 1}  # partitions
REQUIRED = (
    Requirement("spread/standby/beyond_s", "<=", 2.0),
    Requirement("one/standby/beyond_s", "<=", 2.0),
    Requirement("spread/standby/joined_s", "<=", 1.0),
    Requirement("spread/standby/planned_s", "<=", 1.0),
    Requirement("one/standby/planned_s", "<=", 1.0),
)
PIPELINE = """
[source]
kind = "kafka"
brokers = "{brokers}"
topics = "{topic}"
group = "{topic}-group"
client = "confluent"
session_timeout = "{session}s"

[record]
format = "json"
time = "ts"
key = "key"
values = "value"

[model]
preset = "light"

[[sink]]
kind = "kafka"
topic = "{scores}"

[checkpoint]
path = "state.db"
topic = "{snapshots}"
every = "{every}"
commit = "200ms"
standby = {standby}

[serve]
listen = "127.0.0.1:0"
"""


class Plant:
    """A topic to which each series writes in turn, and daemons that share it."""

    def __init__(self, broker: Any, folder: Path, series: int, partitions: int, *, standby: bool) -> None:
        from confluent_kafka import Producer

        self.series, self.written, self._folder, self._broker = series, 0, folder, broker
        self.partitions = partitions
        self.topic, self.scores = broker.new_topic(partitions), broker.new_topic(1)
        self.snapshots = broker.new_topic(partitions, compacted=True)
        self._producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 5})
        self._text = PIPELINE.format(
            brokers=broker.address,
            topic=self.topic,
            scores=self.scores,
            snapshots=self.snapshots,
            session=SESSION_S,
            every="10s",
            standby=str(standby).lower(),
        )

    def write(self, count: int) -> None:
        """So many more records, those of all series in turn."""
        for i in range(self.written, self.written + count):
            value = b'{"ts": %d, "key": "pump-%d", "value": %d}' % (
                START_S + i // self.series,
                i % self.series,
                i * 7919 % 1000,
            )
            self._producer.produce(self.topic, value, partition=i % self.series % self.partitions)
            if i % 10_000 == 0:
                self._producer.flush()  # its queue has an end
        self._producer.flush()
        self.written += count

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Records come all the time."""
        done = threading.Event()

        def flow() -> None:
            while not done.wait(LOT_S):
                self.write(LOT)

        thread = threading.Thread(target=flow)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def scored(self) -> int:
        """How many scores there are."""
        with self._watching() as (consumer, place):
            return int(consumer.get_watermark_offsets(place, timeout=30)[1])

    def longest(self, start: int) -> float:
        """The longest time without a score of a partition, from a score on, seconds."""
        last: dict[str, int] = {}
        longest, at, end = 0, start, self.scored()
        with self._watching() as (consumer, place):
            place.offset = start
            consumer.assign([place])
            while at < end:
                for message in consumer.consume(10_000, 0.2):
                    at, now = message.offset() + 1, message.timestamp()[1]
                    partition = json.loads(message.value())["record_id"].rpartition("-")[0]
                    longest = max(longest, now - last.get(partition, now))
                    last[partition] = now
        return longest / 1000

    @contextmanager
    def _watching(self) -> Iterator[tuple[Any, Any]]:
        """A consumer, and the place of the scores."""
        from confluent_kafka import Consumer, TopicPartition

        consumer = Consumer({"bootstrap.servers": self._broker.address, "group.id": "watch"})
        try:
            yield consumer, TopicPartition(self.scores, 0)
        finally:
            consumer.close()

    @contextmanager
    def daemon(self, name: str) -> Iterator[Daemon]:
        """One of the daemons, until the end of this context at the latest."""
        folder = self._folder / name
        folder.mkdir()
        (folder / "pipeline.toml").write_text(self._text)
        with (folder / "log").open("wb") as log:
            command = [sys.executable, "-m", "streamrnn", "run", "pipeline.toml"]
            environment = {k: v for k, v in os.environ.items() if not k.startswith("STREAMRNN__")}
            process = subprocess.Popen(command, cwd=folder, stderr=log, env=environment)
        try:
            yield Daemon(process, folder / "log")
        finally:
            process.kill()
            process.wait()


class Daemon:
    """A daemon that runs."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self._log, self._known = process, log, 0

    def said(self, pattern: str) -> list[str]:
        """What its log says at such places since ``forget``."""
        if self.process.poll() not in (None, 0, -signal.SIGKILL):
            raise RuntimeError(self._log.read_text())
        return re.findall(pattern, self._log.read_text()[self._known :])

    def forget(self) -> None:
        """Look at nothing that was said so far."""
        self._known = len(self._log.read_text())


def wait(condition: Callable[[], object], most_s: float = 300.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + most_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("it never came")
        time.sleep(0.02)


def moved(plant: Plant, leaves: Callable[[], object], to: Callable[[], Daemon]) -> float:
    """The longest time in which a partition has no score, while something has it go to a daemon."""
    with plant.flowing():
        time.sleep(FLOWING_S)
        before = plant.scored()
        time.sleep(FLOWING_S)
        leaves()
        wait(lambda: to().said("taken over in"))
        time.sleep(FLOWING_S)
    wait(lambda: plant.scored() >= plant.written)
    return plant.longest(before)


def measured(plant: Plant, records: int) -> dict[str, float]:
    """Seconds of planned hand-overs and of a take-over after a kill."""
    daemons: list[Daemon] = []
    with ExitStack() as stack:

        def join() -> None:
            daemons.append(stack.enter_context(plant.daemon(f"daemon-{len(daemons)}")))
            wait(lambda: daemons[-1].said("health and metrics"))

        def newest() -> Daemon:
            return daemons[-1]

        join()
        wait(lambda: newest().said("taken over in"))
        plant.write(plant.series * records)
        wait(lambda: plant.scored() >= plant.written)
        found = {}
        if plant.partitions > 1:
            found["joined_s"] = moved(plant, join, newest)
        else:
            join()
        time.sleep(JOINED_S)
        newest().forget()
        first = daemons[0].process
        found["planned_s"] = moved(plant, lambda: first.send_signal(signal.SIGTERM), newest)
        first.wait(60)
        join()
        time.sleep(JOINED_S)
        newest().forget()
        killed = moved(plant, daemons[1].process.kill, newest)
        restoring = float(newest().said(r"taken over in ([\d.]+) s")[-1])
    return {**found, "killed_s": killed, "beyond_s": killed - SESSION_S, "restoring_s": restoring}


def main(options: Namespace) -> int:
    """Measure, print, write."""
    report = Report()
    series, records = (200, 5) if options.quick else (options.series, 20)
    columns = ["joined_s", "planned_s", "killed_s", "beyond_s", "restoring_s"]
    with broker_at(options.brokers) as broker:
        for spread, partitions in SPREADS.items():
            names = {f"{spread}/standby": True, f"{spread}/none": False}
            for name, standby in names.items():
                with TemporaryDirectory() as folder:
                    plant = Plant(broker, Path(folder), series, partitions, standby=standby)
                    found = measured(plant, records)
                report.figures |= {f"{name}/{figure}": value for figure, value in found.items()}
            report.table(f"{series:,} light series in {partitions} partitions", names, columns)
    report.write(options.json)
    passed = report.check(REQUIRED)
    return 1 if options.check and not passed else 0


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--series", type=int, default=10_000, help="in all")
    parser.add_argument("--brokers", metavar="HOST:PORT", help="use brokers that run")
    sys.exit(main(parser.parse_args()))
