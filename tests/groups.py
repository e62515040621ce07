"""Daemons of one consumer group, each with a folder of its own, and what they must have written."""

from __future__ import annotations

import itertools
import json
import math
import random
import re
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
from daemons import HEAD, Runner, write_table
from topics import producer_of, read_all, read_committed, write_all

from streamrnn import Batch, Fleet, Settings
from streamrnn.connectors.kafka import KafkaOptions
from streamrnn.connectors.kafka_clients.base import open_log
from streamrnn.connectors.kafka_transaction import KafkaTransaction
from streamrnn.pipelines.cli import main
from streamrnn.pipelines.group.blobs import Blobs
from streamrnn.pipelines.group.lane_store import LEDGER
from streamrnn.pipelines.group.parcels import Ledger
from streamrnn.pipelines.group.shelf import Shelf

PIPELINE = """
[source]
kind = "kafka"
brokers = "{brokers}"
topics = "{topic}"
group = "{topic}-group"
client = "confluent"
session_timeout = "{session}"
{source}

[record]
format = "json"
values = "temp"
time = "ts"
key = "device"

[[sink]]
kind = "kafka"
topic = "{scores}"

[dead_letter]
topic = "{dead}"

[checkpoint]
path = "state.db"
topic = "{snapshots}"
every = "{every}"
commit = "50ms"
{checkpoint}

{more}
[serve]
listen = "127.0.0.1:0"
"""
SCORES = ("yhat", "anomaly_score", "p_value", "is_anomaly", "alert_strength", "status")


def table(minutes):
    """Writes records of 20 devices."""
    return lambda path: write_table(path, minutes, broken=0.0)


def taken_over(process):
    """How many partitions a daemon has taken over in all, by its log."""
    taken = re.findall(r"taken over in .* s: (.*)", process.log.read_text())
    return sum(len(names.split(", ")) for names in taken)


def leave(process):
    """Ask a daemon to leave; it must do so in good order."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0, process.log.read_text()


class Group:
    """A topic of four partitions, and daemons that share it.

    Parameters
    ----------
    broker : Broker
    folder : Path
    write : callable
        Writes the table of all records to a path; its rows.
    **settings
        Of the pipeline file.
    """

    pipeline = PIPELINE

    def __init__(self, broker, folder, write, **settings):
        self.broker, self.folder, self.producer = broker, folder, producer_of(broker)
        self.rows = write(folder / "all.csv")
        self.topic, self.scores, self.dead = broker.new_topic(4), broker.new_topic(1), broker.new_topic(1)
        self.snapshots = broker.new_topic(4, compacted=True)
        self._settings = {
            "session": "3s",
            "every": "1s",
            "source": "",
            "checkpoint": "",
            "more": "",
            **settings,
        }
        self._settings |= {"brokers": broker.address, "topic": self.topic, "scores": self.scores}
        self._settings |= {"dead": self.dead, "snapshots": self.snapshots}
        self._names, self.given, self.started = itertools.count(), 0, []

    def start(self, *, files=(), **settings):
        """A daemon in a folder of its own, with these files; its process, whose log is ``process.log``."""
        folder = self.folder / f"daemon-{next(self._names)}"
        folder.mkdir()
        for name, text in dict(files).items():
            (folder / name).write_text(text)
        runner = Runner(folder, self.pipeline.format(**{**self._settings, **settings}))
        with (folder / "stderr.txt").open("wb") as log:
            process = runner.start(stderr=log)
        process.folder, process.log = folder, folder / "stderr.txt"
        self.started.append(process)
        return process

    def wait_for(self, condition, *processes, timeout_s=90.0, pause_s=0.05):
        """Wait until something holds; these processes must live on."""
        end = time.monotonic() + timeout_s
        while not condition():
            for process in processes:
                assert process.poll() is None, process.log.read_text()
            logs = [process.log.read_text() for process in self.started]
            assert time.monotonic() < end, "it never came:\n" + "\n".join(logs)
            time.sleep(pause_s)

    def wait_until_scored(self, *processes, timeout_s=90.0):
        """Wait until each record that was given has been scored."""
        self.wait_for(
            lambda: len({row["record_id"] for row in self.scored()}) >= self.given,
            *processes,
            timeout_s=timeout_s,
            pause_s=0.2,  # it reads the whole topic
        )

    def end(self):
        """Kill what lives."""
        for process in self.started:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()

    def feed(self, share):
        """Write records until so large a share of all is there."""
        end = round(share * len(self.rows))
        records = [row.split(",") for row in self.rows[self.given : end]]
        values = [json.dumps({"ts": int(t), "device": d, "temp": float(v)}).encode() for t, d, v in records]
        write_all(self.producer, self.topic, values, [int(device[3:]) % 4 for _, device, _ in records])
        self.given = end

    def scored(self):
        """What stands in the topic of scores."""
        return [json.loads(value) for value in read_all(self.broker, self.scores)]

    def check(self):
        """Each record is there, with the bits of a replay; how many came twice, the same each time."""
        rows = self.scored()
        by_id = {row["record_id"]: row for row in rows}
        assert len(by_id) == self.given
        assert all(by_id[row["record_id"]] == row for row in rows), "what came twice is not the same"
        live, replayed = (_in_order(frame) for frame in (pd.DataFrame(by_id.values()), self._replayed()))
        for name in SCORES:
            a, b = live[name].to_numpy(), replayed[name].to_numpy()
            if a.dtype == object and name != "status":
                a = a.astype(float)
            np.testing.assert_array_equal(a, b, err_msg=name)
        return len(rows) - len(by_id)

    def ledgers(self):
        """What the snapshot topic says of each partition beside its snapshot."""
        log = open_log(KafkaOptions(brokers=(self.broker.address,), client="confluent"), self.snapshots)
        try:
            log.follow(range(4))
            assert log.catch_up(30.0, range(4))
            blobs = Blobs(log, Path())
            blobs.look(range(4))
            found = [
                Shelf(log, blobs, number, f"{self.topic}-{number}", timeout_s=0.0).take()
                for number in range(4)
            ]
        finally:
            log.close()
        return [Ledger.from_bytes(bytes(of[LEDGER].take())) for of in found if LEDGER in of]

    def bounds(self, parts):
        """(device, ts) to the upper end of its forecast; ``parts``: up to a share, the coverage there."""
        records = [row.split(",") for row in self.rows]
        fleet = Fleet(Settings(channels=("temp",), coverage=parts[0][1]))
        found, start = {}, 0
        for share, coverage in parts:
            fleet.retune(coverage=coverage)
            part = records[start : round(share * len(records))]
            uppers = fleet.process(_batch(fleet, part, start)).yhat_upper[:, 0].tolist()
            for (ts, device, _), upper in zip(part, uppers, strict=True):
                found[device, int(ts)] = None if math.isnan(upper) else upper
            start += len(part)
        return found

    def _replayed(self):
        """What a replay says of the records that were given so far."""
        table, out = self.folder / "given.csv", self.folder / "replayed.csv"
        table.write_text("\n".join([HEAD, *self.rows[: self.given]]) + "\n")
        assert main(["replay", str(table), "-o", str(out), "--json"]) == 0
        return pd.read_csv(out)


class Once(Group):
    """Daemons that write exactly once, and what readers see who pass by what is not committed."""

    pipeline = PIPELINE.replace("{checkpoint}", '{checkpoint}\nmode = "exactly-once"')

    def scored(self):
        """What stands in the topic of scores for them."""
        return [json.loads(value) for value in read_committed(self.broker, self.scores)]

    def fence(self, number):
        """Begin to write one of the partitions, as a daemon would that believes it to be its own."""
        options = KafkaOptions(brokers=(self.broker.address,), client="confluent")
        name = f"streamrnn-{self.topic}-group/{self.topic}-{number}"
        KafkaTransaction(options, name, [self.scores], membership=object).close()


def check_kills(group, seed, kills):
    """Members come and go by signals of every kind; what is written is that of one alone.

    How many rows came twice, the same.
    """
    rng, living, killed = random.Random(seed), [], 0
    for turn in range(kills):
        while len(living) < 2:
            living.append(group.start())
        before = [taken_over(process) for process in living]
        group.feed((turn + 1) / (kills + 1))
        time.sleep(rng.uniform(0.0, 4.0) if any(before) else 4.0)
        process = living.pop(rng.randrange(len(living)))
        how = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
        process.send_signal(how)
        assert process.wait(60) in (0, -how), process.log.read_text()
        killed += how == signal.SIGKILL
    group.feed(1.0)
    last = group.start()
    group.wait_until_scored(*living, last, timeout_s=120)
    twice = group.check()
    print(f"{killed} of {kills} by SIGKILL; {twice:,} rows came twice, the same")  # noqa: T201
    return twice


def _in_order(frame):
    return frame.sort_values(["device", "ts"], kind="stable").reset_index(drop=True)


def _batch(fleet, records, start):
    """Records (ts, device, temp) as a batch."""
    return Batch(
        series=fleet.series([device for _, device, _ in records]),
        times=np.array([int(ts) for ts, _, _ in records]) * 1_000_000_000,
        values=np.array([[float(temp)] for _, _, temp in records]),
        partitions=np.zeros(len(records), np.int32),
        offsets=start + np.arange(len(records)),
    )
