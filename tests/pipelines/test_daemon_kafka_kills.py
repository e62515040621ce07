"""The daemon between topics of a real broker, killed with -9 again and again."""

from __future__ import annotations

import json
import random

import pytest
from daemons import stop
from kafka_support import CLIENTS
from kills import Killer, a_seed, soak_kills
from plants import check_scores
from topics import read_all


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
    check_kills(plant(1500, fed=True), tmp_path, broker, a_seed(20261121), kills=3)


@pytest.mark.soak
@pytest.mark.parametrize("client", CLIENTS)
def test_hundreds_of_times_kill_9_between_topics_loses_nothing(plant, tmp_path, broker, client):
    check_kills(plant(5000, client, fed=True), tmp_path, broker, a_seed(), kills=soak_kills(100))
