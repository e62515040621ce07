"""Daemons that read a topic of a real broker, what feeds them, and what they must have written."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from daemons import Runner, write_table
from topics import producer_of, write_all

from streamrnn.pipelines.cli import main

KAFKA = """
[source]
kind = "kafka"
brokers = "{brokers}"
topics = "{topic}"
group = "{topic}-group"
client = "{client}"

[record]
{record}
time = "ts"
key = "device"

[[sink]]
kind = "file"
path = "out.jsonl"

[[sink]]
kind = "kafka"
topic = "{scores}"
what = "{what}"
pack = {pack}

[dead_letter]
topic = "{dead}"

[checkpoint]
path = "state.db"
every = "200ms"
commit = "50ms"

[serve]
listen = "127.0.0.1:0"
"""
JSON = 'format = "json"\nvalues = "temp"'
CSV = 'format = "csv"\ncolumns = ["ts", "device", "temp"]'
SCORES = [
    "ts",
    "device",
    "temp",
    "yhat",
    "anomaly_score",
    "p_value",
    "is_anomaly",
    "alert_strength",
    "status",
]


def planted(broker, folder):
    """Makes daemons beside a topic of four partitions: records of 20 devices, some messages that are none."""

    def make(minutes, client="kafka-python", what="all", pack=1, name="live", fed=False, record=JSON):
        rows = write_table(folder / "all.csv", minutes, broken=0.0)
        topic, scores, dead = broker.new_topic(4), broker.new_topic(1), broker.new_topic(1)
        records = [row.split(",") for row in rows]
        values = [json.dumps({"ts": int(t), "device": d, "temp": float(v)}).encode() for t, d, v in records]
        if record == CSV:
            values = [row.encode() for row in rows]
        partitions = [int(device[3:]) % 4 for _, device, _ in records]
        for i in range(0, len(values), 997):
            values.insert(i, b"\xff not json")
            partitions.insert(i, i % 4)
        text = KAFKA.format(
            brokers=broker.address,
            topic=topic,
            scores=scores,
            dead=dead,
            client=client,
            what=what,
            pack=pack,
            record=record,
        )
        own = folder / name
        own.mkdir()
        runner = Runner(own, text)
        runner.feed = TopicFeed(broker, topic, values, partitions)
        if not fed:
            runner.feed.more(1.0, len(values))
        runner.topic, runner.scores, runner.dead = topic, scores, dead
        runner.records, runner.letters = len(records), len(values) - len(records)
        return runner

    return make


class TopicFeed:
    """A topic that grows."""

    def __init__(self, broker, topic, values, partitions):
        self._topic, self._values, self._partitions = topic, values, partitions
        self._producer, self.given = producer_of(broker), 0

    @property
    def records(self):
        """How many records are there by now."""
        return sum(not value.startswith(b"\xff") for value in self._values[: self.given])

    def more(self, share, most=200):
        """Write some messages, where less than a share of all is there; False where it is."""
        start, end = self.given, min(self.given + most, round(share * len(self._values)))
        if start >= end:
            return False
        write_all(self._producer, self._topic, self._values[start:end], self._partitions[start:end])
        self.given = end
        return True


def check_scores(runner, tmp_path):
    """Every record is there once, with the bits of a replay of the same records from a table."""
    live = pd.DataFrame(map(json.loads, runner.read("out.jsonl").splitlines()))
    assert len(live) == runner.records == live["record_id"].nunique()
    assert main(["replay", str(tmp_path / "all.csv"), "-o", str(tmp_path / "replayed.csv"), "--json"]) == 0
    replayed = pd.read_csv(tmp_path / "replayed.csv")
    order = ["device", "ts"]
    live, replayed = (
        frame.sort_values(order, kind="stable").reset_index(drop=True) for frame in (live, replayed)
    )
    for name in SCORES:
        a, b = live[name].to_numpy(), replayed[name].to_numpy()
        if a.dtype == object and name not in ("device", "status"):
            a = a.astype(float)
        np.testing.assert_array_equal(a, b, err_msg=name)
