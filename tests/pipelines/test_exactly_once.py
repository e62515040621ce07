"""Scores and offsets in one transaction: nothing twice and nothing missing, whatever is killed."""

from __future__ import annotations

import json
import random
import signal
import time

import pytest
from daemons import Runner
from groups import PIPELINE, Group, leave, table
from kills import EVERY, a_seed, soak_kills
from topics import read_committed, write_all

from streamrnn.errors import SettingsError
from streamrnn.pipelines.cli import main
from streamrnn.pipelines.daemon import Daemon

MODE = 'mode = "exactly-once"'
ONCE = PIPELINE.replace('topic = "{snapshots}"', MODE)
BROKEN = b"no JSON"


class Alone(Group):
    """One daemon that has all partitions, in the same folder in each of its lives."""

    pipeline = ONCE
    broken = 0

    def start(self, folder="alone", **settings):
        """A life of the daemon."""
        place = self.folder / folder
        place.mkdir(exist_ok=True)
        runner = Runner(place, self.pipeline.format(**{**self._settings, **settings}))
        with (place / "stderr.txt").open("wb") as log:
            process = runner.start(stderr=log)
        process.log = place / "stderr.txt"
        self.started.append(process)
        return process

    def scored(self):
        """What readers see."""
        return [json.loads(value) for value in read_committed(self.broker, self.scores)]

    def feed(self, share):
        """Write records, and now and then what is none."""
        before = self.given
        super().feed(share)
        if before // 1000 < self.given // 1000:
            write_all(self.producer, self.topic, [BROKEN], [self.given % 4])
            self.broken += 1

    def live(self, rng, share):
        """Start it, feed it, and kill it at some moment."""
        process = self.start(every=rng.choice(EVERY))
        if rng.random() < 0.8:
            self.wait_for(lambda: "partitions assigned" in process.log.read_text(), process)
        begun, end = self.given, time.monotonic() + rng.uniform(0.0, 1.5)
        while time.monotonic() < end and process.poll() is None:
            more = begun + rng.random() * (share * len(self.rows) - begun)
            if more > self.given:
                self.feed(more / len(self.rows))
            time.sleep(0.01)
        process.kill()
        process.wait()
        assert process.returncode == -signal.SIGKILL, process.log.read_text()

    def check_once(self):
        """Have the rest read in peace; all is there once, with the bits of a replay."""
        process = self.start()
        self.feed(1.0)
        self.wait_until_scored(process)
        leave(process)
        assert self.check() == 0, "some came twice"
        assert read_committed(self.broker, self.dead) == [BROKEN] * self.broken
        assert self.broken


def check_kills(broker, folder, *, seed, kills, minutes, **settings):
    rng, group = random.Random(seed), Alone(broker, folder, table(minutes), **settings)
    try:
        for turn in range(kills):
            group.live(rng, (turn + 1) / (kills + 1))
        group.check_once()
    finally:
        group.end()


def test_kill_9_at_any_moment_shows_readers_nothing_twice_and_hides_nothing(broker, tmp_path):
    check_kills(broker, tmp_path, seed=a_seed(20261125), kills=4, minutes=300, session="1500ms")


@pytest.mark.soak
def test_hundreds_of_times_kill_9_shows_readers_nothing_twice_and_hides_nothing(broker, tmp_path):
    named = 'group_instance = "one"'
    check_kills(broker, tmp_path, seed=a_seed(), kills=soak_kills(), minutes=3000, source=named)


def test_a_second_daemon_of_the_group_fences_the_first_which_says_so_and_ends(broker, tmp_path):
    group = Alone(broker, tmp_path, table(100))
    try:
        group.feed(0.3)
        first = group.start()
        group.wait_until_scored(first)
        second = group.start(folder="other")
        group.wait_for(lambda: "exactly once" in second.log.read_text(), second)
        group.feed(0.6)
        group.wait_for(lambda: first.poll() is not None, second)
        assert first.returncode == 2
        assert "another daemon of group" in first.log.read_text()
        group.feed(1.0)
        group.wait_until_scored(second)
        leave(second)
        ids = [row["record_id"] for row in group.scored()]
        assert len(ids) == len(set(ids)) == group.given
    finally:
        group.end()


FILE = """
[source]
kind = "kafka"
brokers = "127.0.0.1:1"
topics = "flow"
group = "flow"
client = "confluent"

[record]
format = "json"
values = "temp"

[checkpoint]
path = "state.db"
mode = "exactly-once"
"""
FILE_SOURCE = '[source]\nkind = "file"\npath = "in.csv"\n[checkpoint]\nmode = "exactly-once"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (FILE.replace('"confluent"', '"kafka-python"'), 'source.client = "confluent"'),
        (FILE_SOURCE, 'is for \\[source\\] kind = "kafka"'),
        (FILE + '[[sink]]\nkind = "file"\npath = "out.csv"\n', "a file cannot be part of a transaction"),
        (FILE + '[dead_letter]\npath = "dead.jsonl"\n', "a file cannot be part of a transaction"),
    ],
)
def test_what_cannot_be_part_of_a_transaction_is_refused(tmp_path, monkeypatch, capsys, text, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text("ts,temp\n1,2\n2,3\n")
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(SettingsError, match=words):
        Daemon("p.toml")
    assert main(["check", "p.toml"]) == 2
    assert words.replace("\\", "") in capsys.readouterr().err


def test_check_says_what_is_committed_together_and_leaves_a_running_daemon_alone(
    broker, tmp_path, monkeypatch, capsys
):
    group = Alone(broker, tmp_path, table(100), session="1500ms")
    try:
        group.feed(0.5)
        process = group.start()
        group.wait_until_scored(process)
        monkeypatch.chdir(tmp_path / "alone")
        assert main(["check", "p.toml"]) == 0
        assert "exactly once: in one transaction" in capsys.readouterr().out
        group.feed(1.0)
        group.wait_until_scored(process)
        leave(process)
    finally:
        group.end()
