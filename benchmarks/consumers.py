"""What ``daemon.py`` measures, each in a process of its own: it prints what it used as JSON."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from common import memory_mb

BATCH = 5000  # as many messages at once as the daemon takes
CONFLUENT_QUEUE_KB = 32 * 1024  # as much read ahead as in the daemon
PIPELINE = """
[source]
kind = "kafka"
brokers = "{brokers}"
topics = "{topic}"
group = "{group}"
client = "{client}"

[record]
format = "json"
time = "ts"
key = "device"
values = "temp"
{sink}
[checkpoint]
path = "{folder}/state.db"
mode = "{mode}"
"""
ONCE = "once"  # scores go to a topic, in one transaction with the offsets
SINKS = {
    "none": "",
    "file": '[[sink]]\nkind = "file"\npath = "{folder}/scores.jsonl"\n',
    "topic": '[[sink]]\nkind = "kafka"\ntopic = "{scores}"\npack = 100\n',
}
SINKS[ONCE] = SINKS["topic"]


@dataclass(frozen=True)
class Task:
    """What to consume, and how.

    Attributes
    ----------
    what : str
        ``"bare"``, ``"detector"``, or where the daemon's scores go: ``"none"``, ``"file"``, ``"topic"``
        or ``"once"``.
    client : str
        As ``[source] client``.
    brokers, topic : str
    messages : int
        How many the topic holds; the work ends with the last.
    scores : str
        The topic that scores go to.
    """

    what: str
    client: str
    brokers: str
    topic: str
    messages: int
    scores: str

    def arguments(self) -> list[str]:
        """The command that runs it."""
        return [sys.executable, __file__, json.dumps(asdict(self))]


@dataclass(frozen=True)
class Used:
    """What a task used.

    Attributes
    ----------
    cpu_s : float
        CPU of all threads, from before the client is opened until all is safe and closed.
    wall_s : float
        Of the daemon, by the clock: from the first messages until all is safe and closed.
    early_mb, late_mb : float
        Memory after a tenth of the messages, and at the end.
    """

    cpu_s: float
    wall_s: float = 0.0
    early_mb: float = 0.0
    late_mb: float = 0.0


def bare(task: Task) -> Used:
    """Messages are fetched and dropped, by the client alone."""
    loops = {"kafka-python": _bare_kafka_python, "confluent": _bare_confluent}
    return _timed(lambda: loops[task.client](task))


def _bare_kafka_python(task: Task) -> None:
    from kafka import KafkaConsumer

    consumer = KafkaConsumer(
        task.topic,
        bootstrap_servers=task.brokers,
        group_id=_group(),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=BATCH,
    )
    seen = 0
    while seen < task.messages:
        seen += sum(map(len, consumer.poll(200).values()))
    consumer.close()


def _bare_confluent(task: Task) -> None:
    from confluent_kafka import Consumer

    consumer = Consumer(
        {
            "bootstrap.servers": task.brokers,
            "group.id": _group(),
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "queued.max.messages.kbytes": CONFLUENT_QUEUE_KB,
        }
    )
    consumer.subscribe([task.topic])
    seen = 0
    while seen < task.messages:
        seen += len(consumer.consume(BATCH, 0.2))
    consumer.close()


def daemon(task: Task) -> Used:
    """What ``streamrnn run`` does, until the last message is dealt with."""
    from streamrnn.pipelines.daemon import Daemon
    from streamrnn.pipelines.pipeline import Pipeline

    memory: list[float] = []
    began: list[float] = []

    class Ending(Daemon):
        """Leaves after the last message."""

        def _is_over(self, pipeline: Pipeline) -> bool:
            done = sum(pipeline.source.snapshot().values())
            if not began and done:
                began.append(time.monotonic())
            if not memory and done * 10 >= task.messages:
                memory.append(memory_mb())
            return super()._is_over(pipeline) or done >= task.messages

    with TemporaryDirectory() as folder:
        names = {**asdict(task), "folder": folder, "group": _group()}
        names["mode"] = "exactly-once" if task.what == ONCE else "at-least-once"
        path = Path(folder) / "pipeline.toml"
        path.write_text(PIPELINE.format(**names, sink=SINKS[task.what].format(**names)))
        timed = _timed(Ending(str(path)).run)
        wall_s = time.monotonic() - began[0]
    return replace(timed, wall_s=wall_s, early_mb=memory[0], late_mb=memory_mb())


def detector(task: Task) -> Used:
    """The batches that the daemon would score, scored; reading them does not count."""
    from streamrnn import Fleet, Settings
    from streamrnn.connectors.json import JsonDecoder
    from streamrnn.connectors.kafka import KafkaOptions, KafkaSource
    from streamrnn.connectors.options import RecordOptions

    decoder = JsonDecoder(RecordOptions(values=("temp",), time=("ts",), key=("device",)))
    options = KafkaOptions(brokers=(task.brokers,), topics=(task.topic,), group=_group(), client="confluent")
    source = KafkaSource(options, decoder)
    batches = []
    while sum(map(len, batches)) < task.messages:
        batches.append(source.poll(0.2))
    source.close()

    def run() -> None:
        fleet = Fleet(Settings(channels=["temp"]))
        fleet.series(decoder.keys)
        for batch in batches:
            fleet.process(batch)

    return _timed(run)


def _timed(run: Callable[[], None]) -> Used:
    start = time.process_time()
    run()
    return Used(time.process_time() - start)


def _group() -> str:
    return f"bench-{uuid.uuid4().hex}"


if __name__ == "__main__":
    chosen = Task(**json.loads(sys.argv[1]))
    used = {"bare": bare, "detector": detector}.get(chosen.what, daemon)(chosen)
    print(json.dumps(asdict(used)))
