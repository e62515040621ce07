"""The daemon between topics, and brokers that die, freeze and come back."""

from __future__ import annotations

import json
import random
import signal
import threading
import time

import pytest
from daemons import stop
from kafka_support import CLIENTS
from kills import a_seed
from plants import check_scores
from topics import read_all

SESSION_S = 10.0  # how long brokers wait for a member of the group
MACHINE = 1.5  # how much slower the machine of the tests may be


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
