"""How long a partition of many series is without an owner after ``kill -9``, with and without a standby.

Two daemons share a topic of one partition, so that one of them owns every series; it
is killed while records come, and the clock runs until the other has scored one of them.
What the group waits for before it gives the partition away, ``session_timeout``, is part
of that time and taken off in ``beyond_s``. A planned hand-over, by SIGTERM, comes before.

The broker is that of the tests (Java and Maven), or one that runs: ``--brokers host:port``.

    python benchmarks/takeover.py --json takeover.json
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
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
REQUIRED = (Requirement("standby/beyond_s", "<=", 2.0), Requirement("standby/planned_s", "<=", 1.0))
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
    """A topic of one partition to which each series writes in turn, and daemons that share it."""

    def __init__(self, broker: Any, folder: Path, series: int, *, standby: bool) -> None:
        from confluent_kafka import Producer

        self.series, self.written, self._folder, self._broker = series, 0, folder, broker
        self.topic, self.scores = broker.new_topic(1), broker.new_topic(1)
        self.snapshots = broker.new_topic(1, compacted=True)
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
            self._producer.produce(self.topic, value)
            if i % 10_000 == 0:
                self._producer.flush()  # its queue has an end
        self._producer.flush()
        self.written += count

    def scored(self) -> int:
        """How many scores there are."""
        from confluent_kafka import Consumer, TopicPartition

        consumer = Consumer({"bootstrap.servers": self._broker.address, "group.id": "watch"})
        try:
            return int(consumer.get_watermark_offsets(TopicPartition(self.scores, 0), timeout=30)[1])
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
        self.process, self._log = process, log

    def said(self, pattern: str) -> list[str]:
        """What its log says at such places."""
        if self.process.poll() not in (None, 0, -signal.SIGKILL):
            raise RuntimeError(self._log.read_text())
        return re.findall(pattern, self._log.read_text())


def wait(condition: Callable[[], object], most_s: float = 300.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + most_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("it never came")
        time.sleep(0.02)


def moved(plant: Plant, to: Daemon, leaves: Callable[[], object]) -> float:
    """Seconds from when an owner leaves until the next one has scored what came since."""
    before, taken = plant.scored(), len(to.said("taken over in"))
    began = time.monotonic()
    leaves()
    plant.write(100)
    wait(lambda: len(to.said("taken over in")) > taken)
    wait(lambda: plant.scored() > before)
    return time.monotonic() - began


def measured(broker: Any, folder: Path, series: int, records: int, *, standby: bool) -> dict[str, float]:
    """Seconds of a planned hand-over and of a take-over after a kill."""
    plant = Plant(broker, folder, series, standby=standby)
    with ExitStack() as stack:
        first = stack.enter_context(plant.daemon("first"))
        wait(lambda: first.said("taken over in"))
        plant.write(series * records)
        wait(lambda: plant.scored() >= plant.written)
        second = stack.enter_context(plant.daemon("second"))
        wait(lambda: second.said("health and metrics"))
        time.sleep(JOINED_S)
        planned = moved(plant, second, lambda: first.process.send_signal(signal.SIGTERM))
        first.process.wait(60)
        third = stack.enter_context(plant.daemon("third"))
        wait(lambda: third.said("health and metrics"))
        wait(lambda: plant.scored() >= plant.written)
        time.sleep(JOINED_S)
        killed = moved(plant, third, second.process.kill)
        restoring = float(third.said(r"taken over in ([\d.]+) s")[-1])
    return {
        "planned_s": planned,
        "killed_s": killed,
        "beyond_s": killed - SESSION_S,
        "restoring_s": restoring,
    }


def main(options: Namespace) -> int:
    """Measure, print, write."""
    report = Report()
    series, records = (200, 5) if options.quick else (options.series, 20)
    with broker_at(options.brokers) as broker:
        for standby in (True, False):
            name = "standby" if standby else "none"
            with TemporaryDirectory() as folder:
                found = measured(broker, Path(folder), series, records, standby=standby)
            report.figures |= {f"{name}/{figure}": value for figure, value in found.items()}
    columns = ["planned_s", "killed_s", "beyond_s", "restoring_s"]
    report.table(f"{series:,} light series in one partition", ["standby", "none"], columns)
    report.write(options.json)
    passed = report.check(REQUIRED)
    return 1 if options.check and not passed else 0


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--series", type=int, default=10_000, help="in the one partition")
    parser.add_argument("--brokers", metavar="HOST:PORT", help="use brokers that run")
    sys.exit(main(parser.parse_args()))
