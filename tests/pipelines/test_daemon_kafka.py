"""The daemon between topics of a real broker."""

from __future__ import annotations

import json
import random
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest
from daemons import Runner, get, port_of, stop, write_table
from kafka_support import CLIENTS
from kills import Killer, a_seed, soak_kills
from prometheus_client.parser import text_string_to_metric_families
from topics import read_all, write_all

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
SESSION_S = 10.0  # how long brokers wait for a member of the group
MACHINE = 1.5  # how much slower the machine of the tests may be
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


@pytest.fixture
def plant(broker, tmp_path):
    """A topic of four partitions with records of 20 devices and some messages that are none."""

    def make(minutes, client="kafka-python", what="all", pack=1, name="live", fed=False, record=JSON):
        rows = write_table(tmp_path / "all.csv", minutes, broken=0.0)
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
        folder = tmp_path / name
        folder.mkdir()
        runner = Runner(folder, text)
        runner.feed = TopicFeed(broker, topic, values, partitions)
        if not fed:
            runner.feed.more(1.0, len(values))
        runner.topic, runner.scores, runner.dead = topic, scores, dead
        runner.records, runner.letters = len(records), len(values) - len(records)
        return runner

    return make


def metric(port, name):
    """What a daemon tells of a metric, by topic, partition and outcome."""
    families = text_string_to_metric_families(get(port, "/metrics"))
    found = [s for family in families for s in family.samples if s.name == f"streamrnn_{name}"]
    labels = ("topic", "partition", "outcome")
    return {tuple(s.labels[label] for label in labels if label in s.labels): s.value for s in found}


class TopicFeed:
    """A topic that grows."""

    def __init__(self, broker, topic, values, partitions):
        self._broker, self._topic, self._values, self._partitions = broker, topic, values, partitions
        self.given = 0

    @property
    def records(self):
        """How many records are there by now."""
        return sum(not value.startswith(b"\xff") for value in self._values[: self.given])

    def more(self, share, most=200):
        """Write some messages, where less than a share of all is there; False where it is."""
        start, end = self.given, min(self.given + most, round(share * len(self._values)))
        if start >= end:
            return False
        write_all(self._broker, self._topic, self._values[start:end], self._partitions[start:end])
        self.given = end
        return True


class Feeder:
    """Writes to a topic all the while, some hundred messages a second."""

    def __init__(self, feed):
        self._feed, self._pause_s, self._most = feed, 0.2, 500
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while self._feed.more(1.0, self._most):
            time.sleep(self._pause_s)

    def records_by_now(self):
        """How many records there are, one of which is newer than this call."""
        before = self._feed.given
        while self._feed.given <= before + self._most:  # what waited for the broker, and what came after
            assert self._thread.is_alive(), "nothing is left to write"
            time.sleep(0.01)
        return self._feed.records

    def finish(self):
        """Write the rest at once."""
        self._pause_s, self._most = 0.0, 50_000
        self._thread.join()


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


@pytest.mark.parametrize(("client", "record"), [(CLIENTS[0], JSON), (CLIENTS[1], JSON), (CLIENTS[0], CSV)])
def test_scores_from_a_topic_have_the_bits_of_a_replay(plant, tmp_path, client, record):
    live = plant(300, client, record=record)
    process = live.start()
    port = port_of(process)
    live.wait_for(process, lambda: live.lines("out.jsonl") >= live.records)
    live.wait_for(process, lambda: set(metric(port, "consumer_lag_records").values()) == {0.0})
    counted = metric(port, "records_total")
    assert sum(counted.values()) == live.records
    assert {(topic, number) for topic, number, _ in counted} == {(live.topic, str(i)) for i in range(4)}
    assert metric(port, "rebalances_total")[()] >= 1
    code, err = stop(process)
    assert code == 0
    assert f"{live.records:,} records" in err and f"{live.letters} dead letters" in err
    check_scores(live, tmp_path)


def check_kills(live, tmp_path, broker, seed, kills):
    """Nothing is lost, and what comes twice is the same."""
    Killer(live, "out.jsonl", b"partitions assigned", live.feed, random.Random(seed)).kill(kills)
    process = live.start()
    assert any(b"partitions assigned" in line for line in iter(process.stderr.readline, b""))
    live.wait_for(process, lambda: live.lines("out.jsonl") >= live.records, timeout_s=120)
    live.wait_for(process, lambda: len(read_all(broker, live.dead)) >= live.letters)
    assert stop(process)[0] == 0
    check_scores(live, tmp_path)
    scores = [json.loads(value) for value in read_all(broker, live.scores)]
    rows = {row["record_id"]: row for row in scores}
    in_file = {row["record_id"]: row for row in map(json.loads, live.read("out.jsonl").splitlines())}
    assert rows == in_file
    assert all(rows[row["record_id"]] == row for row in scores)  # what came twice is the same
    assert len(set(read_all(broker, live.dead))) == 1 and len(read_all(broker, live.dead)) >= live.letters


def test_kill_9_between_topics_loses_nothing_and_doubles_nothing_in_a_file(plant, tmp_path, broker):
    check_kills(plant(1500, fed=True), tmp_path, broker, a_seed(20261121), kills=4)


def test_a_crash_long_before_the_first_snapshot_is_due_forgets_nothing(plant, tmp_path):
    live = plant(300, fed=True)
    pipeline = live.folder / "p.toml"
    pipeline.write_text(pipeline.read_text().replace("200ms", "1h"))
    process = live.start()
    for share in (0.3, 0.6):  # so that positions are committed between
        live.feed.more(share, 10_000)
        live.wait_for(process, lambda: live.lines("out.jsonl") >= live.feed.records)
    process.kill()
    process.communicate()
    live.feed.more(1.0, 10_000)
    process = live.start()
    live.wait_for(process, lambda: live.lines("out.jsonl") >= live.records)
    assert stop(process)[0] == 0
    check_scores(live, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("client", CLIENTS)
def test_hundreds_of_times_kill_9_between_topics_loses_nothing(plant, tmp_path, broker, client):
    check_kills(plant(5000, client, fed=True), tmp_path, broker, a_seed(), kills=soak_kills(100))


def test_a_broker_that_dies_and_comes_back_costs_nothing(plant, tmp_path, broker):
    live = plant(1000, what="anomalies", pack=50)
    process = live.start()
    live.wait_for(process, lambda: live.lines("out.jsonl") > 2000)
    broker.kill()
    time.sleep(2)
    assert process.poll() is None
    broker.start()
    live.wait_for(process, lambda: live.lines("out.jsonl") >= live.records, timeout_s=120)
    assert stop(process)[0] == 0
    check_scores(live, tmp_path)
    packs = [json.loads(value) for value in read_all(broker, live.scores)]
    assert packs and all(isinstance(pack, list) and len(pack) <= 50 for pack in packs)


def test_a_broker_that_freezes_costs_nothing(plant, tmp_path, broker):
    live = plant(1000, pack=50)
    process = live.start()
    live.wait_for(process, lambda: live.lines("out.jsonl") > 2000)
    broker.freeze()
    time.sleep(4)  # longer than what counts as lost
    assert process.poll() is None
    broker.resume()
    live.wait_for(process, lambda: live.lines("out.jsonl") >= live.records, timeout_s=120)
    assert stop(process)[0] == 0
    check_scores(live, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("client", CLIENTS)
def test_brokers_in_trouble_under_load_are_gone_on_with_within_twice_the_session_timeout(
    plant, tmp_path, broker, client
):
    live, rng = plant(10_000, client, fed=True), random.Random(a_seed())
    feeder = Feeder(live.feed)
    process, gaps = live.start(), []
    live.wait_for(process, lambda: live.lines("out.jsonl") > 2000)
    for how in ("kill", "freeze", "stop", "freeze", "stop", "kill"):
        time.sleep(rng.uniform(0.5, 3.0))
        getattr(broker, how)()
        time.sleep(rng.uniform(1.0, 15.0))
        broker.ensure_up()
        back = time.monotonic()
        sent = feeder.records_by_now()
        live.wait_for(process, lambda sent=sent: live.lines("out.jsonl") >= sent, timeout_s=120)
        gaps.append((how, round(time.monotonic() - back, 1)))
        assert process.poll() is None
    feeder.finish()
    live.wait_for(process, lambda: live.lines("out.jsonl") >= live.records, timeout_s=120)
    assert stop(process)[0] == 0
    print(f"{client}: seconds until it went on: {gaps}")  # noqa: T201
    check_scores(live, tmp_path)
    assert max(gap for _, gap in gaps) <= 2 * SESSION_S * MACHINE, gaps


@pytest.mark.parametrize(("signals", "code", "most_s"), [(1, 0, 30), (2, 130, 2)])
def test_a_daemon_leaves_in_time_though_the_broker_is_away(plant, tmp_path, broker, signals, code, most_s):
    live = plant(1000, pack=50)
    process = live.start()
    live.wait_for(process, lambda: live.lines("out.jsonl") > 2000)
    broker.freeze()
    began = time.monotonic()
    for _ in range(signals):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - began < most_s
    assert process.returncode == code, err.decode()
    assert signals == 2 or "is read again at the next start" in err.decode()
    broker.resume()
    process = live.start()
    live.wait_for(process, lambda: live.lines("out.jsonl") >= live.records, timeout_s=120)
    assert stop(process)[0] == 0
    check_scores(live, tmp_path)
