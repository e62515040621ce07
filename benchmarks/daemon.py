"""What a message costs ``streamrnn run``, beside a bare consume loop and the detector alone.

A topic of four partitions holds JSON messages of 40 series, with epoch times. Each
contender reads it in a process of its own, the contenders in turn; figures are
medians of CPU time (all threads; what a short topic costs is taken off: start-up), to be
compared within a run only. *Once* is the topic sink with ``mode = "exactly-once"``: scores
and offsets in one transaction; ``per_s`` are messages a second by the clock, once
the group has given the partitions.
``--memory-messages 5000000`` also runs the daemon over so many and compares its memory
after a tenth of them with that at the end.

The broker is that of the tests (Java and Maven), or one that runs: ``--brokers host:port``.

    python benchmarks/daemon.py --json daemon.json
"""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from common import Report, Requirement, arguments, stream
from consumers import ONCE, Task, Used

CLIENTS = ("kafka-python", "confluent")
SINKS = ("none", "file", "topic")
PARTITIONS, SERIES = 4, 40
START_MS, STEP_MS = 1_700_000_000_000, 1000
SHORT = 2000  # messages of the topic whose cost is taken off

REQUIRED = (
    *(Requirement(f"{client}/none/of_allowed", "<=", 1.0) for client in CLIENTS),
    Requirement("memory/ratio", "<=", 1.1),
)


@contextmanager
def broker_at(address: str | None) -> Iterator[Any]:
    """The broker of the tests, or the one at an address."""
    sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
    from broker import Broker, running_broker

    if address is not None:
        yield Broker(address)
        return
    with TemporaryDirectory() as folder, running_broker(Path(folder)) as broker:
        yield broker


def messages(count: int) -> Iterator[tuple[bytes, int]]:
    """Values and partitions: the series in turn, each in one partition; the same values over and over."""
    values = stream(10_000, SERIES)
    for i in range(count):
        row, device = divmod(i, SERIES)
        at, value = START_MS + STEP_MS * row, values[row % len(values), device]
        yield b'{"ts": %d, "device": "pump-%02d", "temp": %.4f}' % (at, device, value), device % PARTITIONS


def filled(broker: Any, count: int) -> str:
    """A topic of so many messages; its name."""
    from confluent_kafka import Producer

    topic: str = broker.new_topic(PARTITIONS)
    producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 20})
    for i, (value, partition) in enumerate(messages(count)):
        producer.produce(topic, value, partition=partition)
        if i % 50_000 == 0:
            producer.flush()  # its queue has an end
    producer.flush()
    return topic


def used(task: Task) -> Used:
    """What a task uses, in a process of its own."""
    done = subprocess.run(task.arguments(), check=True, stdout=subprocess.PIPE)
    return Used(**json.loads(done.stdout))


def measured(broker: Any, count: int, rounds: int) -> dict[str, float]:
    """CPU microseconds a message of every contender, and messages a second, by name."""
    topics = {n: filled(broker, n) for n in (SHORT, count)}
    scores = broker.new_topic(1)
    whats = [("detector", CLIENTS[1]), *((what, client) for what in ("bare", *SINKS) for client in CLIENTS)]
    whats.append((ONCE, CLIENTS[1]))
    names = [what if what == "detector" else f"{client}/{what}" for what, client in whats]
    us: dict[str, list[float]] = {name: [] for name in names}
    per_s: dict[str, list[float]] = {name: [] for name in names}
    used(Task("detector", CLIENTS[1], broker.address, topics[SHORT], SHORT, scores))  # compiles the kernels
    for _ in range(rounds):
        for name, (what, client) in zip(names, whats, strict=True):
            of = {n: used(Task(what, client, broker.address, topics[n], n, scores)) for n in topics}
            us[name].append((of[count].cpu_s - of[SHORT].cpu_s) / (count - SHORT) * 1e6)
            if of[count].wall_s:
                per_s[name].append(count / of[count].wall_s)
    found = {f"{name}/us": median(us[name]) for name in names}
    return found | {f"{name}/per_s": median(values) for name, values in per_s.items() if values}


def derived(figures: dict[str, float]) -> dict[str, float]:
    """What the daemon adds to a bare loop, that to what it may add, and the pace of the modes.

    It may add 1.3 times the detector's own CPU, or that and a quarter of the bare
    loop, whichever is more.
    """
    own = figures["detector/us"]
    found = {"confluent/once/of_topic": figures["confluent/once/per_s"] / figures["confluent/topic/per_s"]}
    for client in CLIENTS:
        bare = figures[f"{client}/bare/us"]
        allowed = max(1.3 * own, own + bare / 4)
        for sink in SINKS:
            found[f"{client}/{sink}/added_us"] = figures[f"{client}/{sink}/us"] - bare
        found[f"{client}/none/of_allowed"] = found[f"{client}/none/added_us"] / allowed
    return found


def memory(broker: Any, count: int) -> dict[str, float]:
    """Memory of the daemon after a tenth of the messages and at the end."""
    topic = filled(broker, count)
    held = used(Task("none", CLIENTS[1], broker.address, topic, count, ""))
    return {
        "memory/early_mb": held.early_mb,
        "memory/late_mb": held.late_mb,
        "memory/ratio": held.late_mb / held.early_mb,
    }


def main(options: Namespace) -> int:
    """Measure, print, write."""
    report = Report()
    with broker_at(options.brokers) as broker:
        report.figures |= measured(broker, options.messages, 1 if options.quick else 5)
        report.figures |= derived(report.figures)
        if options.memory_messages:
            report.figures |= memory(broker, options.memory_messages)
    report.table(
        f"{options.messages:,} messages, CPU us a message, messages a second",
        ["detector", *(f"{client}/{what}" for client in CLIENTS for what in ("bare", *SINKS, ONCE))],
        ["us", "per_s", "added_us", "of_allowed", "of_topic"],
    )
    report.table("memory without a sink, MB", ["memory"], ["early_mb", "late_mb", "ratio"])
    report.write(options.json)
    passed = report.check(REQUIRED)
    return 1 if options.check and not passed else 0


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--messages", type=int, default=300_000, help="messages of the topic")
    parser.add_argument("--brokers", metavar="HOST:PORT", help="use brokers that run")
    parser.add_argument(
        "--memory-messages", type=int, metavar="N", help="run over so many messages, for the memory"
    )
    sys.exit(main(parser.parse_args()))
