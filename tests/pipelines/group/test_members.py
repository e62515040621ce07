"""Daemons that share a consumer group, on a real broker: joined, left, frozen, killed."""

from __future__ import annotations

import json
import random
import signal
import time

import pytest
from daemons import write_faults
from groups import Group, Once, check_kills, leave, table, taken_over
from kills import a_seed, soak_kills

from streamrnn.pipelines.cli import main

ALERTS = """
[alerts]
group_wait = "0s"
group_interval = "0s"
group_by = ["series"]
cooldown = "0s"
resolve_after = 60

[[alerts.channel]]
name = "ops"
kind = "command"
command = ["sh", "hear.sh"]
"""
# Takes what it is given on one line, and says that it did not while there is a file of that name.
HEAR = "(tr '\\n' ' '; echo) >> heard.jsonl; [ ! -e deaf ]\n"


def test_members_that_join_leave_and_are_killed_write_what_one_alone_would(grouped):
    group = grouped(table(600))
    first = group.start()
    group.feed(0.2)
    group.wait_until_scored(first)
    second = group.start()
    group.wait_for(lambda: taken_over(second) == 2, first, second)
    assert "handed over in" in first.log.read_text()
    group.feed(0.4)
    group.wait_until_scored(first, second)
    leave(first)
    group.feed(0.6)
    group.wait_for(lambda: taken_over(second) == 4, second)
    group.wait_until_scored(second)
    assert group.check() == 0  # all went in good order: nothing came twice
    second.kill()
    group.feed(1.0)
    third = group.start()
    group.wait_until_scored(third)
    leave(third)
    group.check()
    group.broker.add_partitions(group.topic, 6)
    fourth = group.start(source='moved = "stop"')
    assert fourth.wait(60) != 0
    assert f"topic {group.topic} had 4 partitions and has 6" in fourth.log.read_text()


def test_a_member_that_froze_drops_what_another_has_taken_over(grouped):
    group = grouped(table(400))
    first = group.start()
    group.feed(0.5)
    group.wait_until_scored(first)
    first.send_signal(signal.SIGSTOP)
    second = group.start()
    group.feed(0.8)
    group.wait_until_scored(second)
    first.send_signal(signal.SIGCONT)
    group.wait_for(lambda: "dropped, another daemon may have them" in first.log.read_text(), first, second)
    group.wait_for(lambda: taken_over(first) == 6, first, second)  # and has its share again
    group.feed(1.0)
    group.wait_until_scored(first, second)
    group.check()


def test_of_two_daemons_of_one_name_the_older_one_stops_and_says_why(grouped):
    group = grouped(table(20), source='group_instance = "one"')
    first = group.start()
    group.wait_for(lambda: taken_over(first) == 4, first)
    second = group.start()
    group.wait_for(lambda: first.poll() is not None, second)
    assert first.returncode != 0
    assert "calls itself 'one' and has taken this one's place" in first.log.read_text()
    group.feed(1.0)
    group.wait_until_scored(second)
    group.check()


def test_a_reload_holds_for_the_next_owner_from_the_record_where_it_was_made(grouped):
    group = grouped(table(300), every="1h", more="[detect]\ncoverage = 0.9\n")
    first = group.start()
    group.feed(0.5)
    group.wait_until_scored(first)
    file = first.folder / "p.toml"
    file.write_text(file.read_text().replace("0.9", "0.5"))
    first.send_signal(signal.SIGHUP)
    group.wait_for(lambda: [len(ledger.journal) for ledger in group.ledgers()] == [1, 1, 1, 1], first)
    group.feed(0.8)
    group.wait_until_scored(first)
    first.kill()
    second = group.start(more="[detect]\ncoverage = 0.5\n")
    group.feed(1.0)
    group.wait_until_scored(second)
    expected = group.bounds([(0.5, 0.9), (1.0, 0.5)])
    scored = {row["record_id"]: row for row in group.scored()}.values()
    assert {(row["device"], row["ts"]): row["yhat_upper"] for row in scored} == expected
    assert expected not in (group.bounds([(1.0, 0.9)]), group.bounds([(1.0, 0.5)]))


def test_what_is_still_owed_is_sent_once_from_another_folder(grouped, monkeypatch, capsys):
    group = grouped(write_faults, more=ALERTS, every="300ms")
    first = group.start(files={"deaf": "", "hear.sh": HEAR})
    group.feed(0.7)
    group.wait_until_scored(first)
    group.wait_for(lambda: len(heard(first)) >= 4, first)  # of each device, and none of it was taken
    monkeypatch.chdir(first.folder)
    assert main(["alerts", "silence", "series=dev01", "--for", "1h", "--file", "p.toml"]) == 0
    silence = capsys.readouterr().out.split()[1]
    time.sleep(1.0)  # some rounds, in which the topic hears of it
    first.kill()
    second = group.start(files={"hear.sh": HEAR})
    group.wait_for(lambda: taken_over(second) == 4, second)
    group.wait_for(lambda: set(heard(first)) <= set(heard(second)), second)
    group.feed(1.0)
    group.wait_until_scored(second)
    monkeypatch.chdir(second.folder)
    assert main(["alerts", "list", "--all", "--json", "--file", "p.toml"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [row["id"] for row in listed["silences"]] == [silence]
    leave(second)
    said = heard(second)
    assert len(said) == len(set(said)), "something was sent twice"
    group.check()


def heard(process):
    """((fingerprint, status), id of the message) of all that a daemon's channel was given."""
    path = process.folder / "heard.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    messages = [json.loads(line) for line in lines]
    return [
        ((a["fingerprint"], a["status"]), message["groupKey"])
        for message in messages
        for a in message["alerts"]
    ]


def test_kills_of_members_lose_nothing_and_change_no_bit(grouped):
    check_kills(grouped(table(800), every="300ms", checkpoint="standby = true"), a_seed(20261122), kills=3)


@pytest.mark.soak
def test_hundreds_of_kills_of_members_lose_nothing_and_change_no_bit(grouped):
    check_kills(grouped(table(6000), every="2s"), a_seed(), soak_kills())


@pytest.mark.soak
@pytest.mark.parametrize("kind", [Group, Once])
def test_ten_minutes_of_three_members_that_come_freeze_and_go(grouped, kind):
    group, rng = grouped(table(6000), kind, every="2s"), random.Random(a_seed())
    living, done = [group.start()], dict.fromkeys(("SIGKILL", "SIGTERM", "SIGSTOP"), 0)
    group.wait_for(lambda: taken_over(living[0]) == 4, living[0], timeout_s=600)  # kernels may be compiled
    began = time.monotonic()
    end = began + 600
    while time.monotonic() < end:
        living = [process for process in living if process.poll() is None]
        while len(living) < 3:
            living.append(group.start())
        group.feed(min(1.0, (time.monotonic() - began) / 600))
        time.sleep(rng.uniform(0.0, 12.0))
        group.feed(min(1.0, (time.monotonic() - began) / 600))
        process = rng.choice(living)
        how = rng.choice(sorted(done))
        process.send_signal(getattr(signal, how))
        if how == "SIGSTOP":
            time.sleep(rng.uniform(1.0, 8.0))  # shorter and longer than the session
            process.send_signal(signal.SIGCONT)
        else:
            group.wait_for(lambda process=process: process.poll() is not None)
            begun = process.log.read_text()  # until it begins, SIGTERM does what it does to any process
            ended = (0, -signal.SIGKILL) if begun else (-signal.SIGKILL, -signal.SIGTERM)
            assert process.returncode in ended, begun
        done[how] += 1
    group.feed(1.0)
    group.wait_until_scored(group.start(), timeout_s=300)
    twice = group.check()
    assert kind is Group or twice == 0
    print(f"{len(group.rows):,} records, {done}; {twice:,} came twice, the same")  # noqa: T201
