"""Daemons that follow a file and are killed with -9: no byte of what they write changes."""

from __future__ import annotations

import random
import time

import pandas as pd
import pytest
from daemons import HEAD, PIPELINE, REORDER, WINDOW_S, events_of, shuffle, stop, write_table
from kills import FileFeed, Killer, a_seed, soak_kills

from streamrnn.pipelines.store import Store

SERIES = 20


def rows_of(tmp_path, minutes, shuffled):
    """Rows of series, one of which rests for a while; shuffled, one of each series waits at the end."""
    path = tmp_path / "all.csv"
    rows = write_table(path, minutes, SERIES, silent=5)
    if not shuffled:
        return rows
    shuffle(path, WINDOW_S)
    end = 1_700_000_000 + 60 * minutes + 2 * WINDOW_S
    return [*path.read_text().splitlines()[1:], *(f"{end},dev{i:02d},20.0" for i in range(SERIES))]


def look_once(one, feed):
    """A life that knows the first file: one that went before anybody looked at it is not gone back to."""
    state = one.folder / "state.db"

    def saved():
        if not state.exists():
            return False
        with Store(state, readonly=True) as store:
            return store.load() is not None

    while feed.more(0.1):
        pass
    process = one.start()
    one.wait_for(process, saved)
    process.kill()
    process.communicate()


def check_kills(runner, tmp_path, seed, kills, minutes, rotations=0, late=None, fleet=""):
    """A daemon killed so many times writes the bytes and has the events of one whom nobody kills."""
    rng = random.Random(seed)
    rows = rows_of(tmp_path, minutes, late is not None)
    waiting = 0 if late is None else SERIES
    first = len(rows) * 2 // 5  # a file that was never looked at is not gone back to
    starts = set(rng.sample(range(first, len(rows)), rotations))
    text = PIPELINE.format(follow="true") + ("" if late is None else REORDER.format(late=late))
    whole, killed = runner(text, "whole"), runner(text + fleet, "killed")
    feeds = [FileFeed(one.folder / "in.csv", HEAD, rows, rng, starts) for one in (whole, killed)]

    def finish(one, feed):
        while feed.more(0.3):
            pass
        process = one.start()
        assert any(b"reading in.csv" in line for line in iter(process.stderr.readline, b""))
        while feed.more(1.0):
            time.sleep(0.001)
        lines = len(rows) - waiting + 1  # and the header
        one.wait_for(process, lambda: one.lines("out.csv") + one.lines("dead.jsonl") >= lines, timeout_s=120)
        assert stop(process)[0] == 0

    finish(whole, feeds[0])
    look_once(killed, feeds[1])
    Killer(killed, "out.csv", b"reading in.csv", feeds[1], rng).kill(kills)
    finish(killed, feeds[1])
    assert killed.read("out.csv") == whole.read("out.csv")
    assert killed.read("dead.jsonl") == whole.read("dead.jsonl")
    assert repr(events_of(killed)) == repr(events_of(whole))  # NaN differs from NaN
    kinds = [event.kind for event in events_of(whole)]
    assert kinds.count("gap") == kinds.count("gap-over") == 1 <= kinds.count("event-over")
    return rows, pd.read_csv(killed.folder / "out.csv")


def test_kill_9_at_any_moment_changes_no_byte(runner, tmp_path):
    rows, scored = check_kills(runner, tmp_path, a_seed(20261121), kills=4, minutes=800, rotations=8)
    assert scored["record_id"].is_unique
    assert [
        ",".join(row) for row in zip(*(scored[c].astype(str) for c in HEAD.split(",")[:2]), strict=True)
    ] == [row.rpartition(",")[0] for row in rows if "broken" not in row]


@pytest.mark.parametrize("late", ["keep", "dead-letter"])
def test_kill_9_changes_no_byte_where_records_wait_for_earlier_ones(runner, tmp_path, late):
    _, scored = check_kills(runner, tmp_path, a_seed(20261122), 4, 800, rotations=4, late=late)
    assert scored["record_id"].is_unique
    assert (late == "keep") == scored["status"].eq("late").any()


FLEET = """
[fleet]
budget = "1MB"
threads = 2
"""  # five of twenty series fit


def test_kill_9_changes_no_byte_where_most_series_lie_on_disk(runner, tmp_path):
    check_kills(runner, tmp_path, a_seed(20261123), kills=4, minutes=800, rotations=4, fleet=FLEET)


@pytest.mark.soak
@pytest.mark.parametrize("late", [None, "keep"])
@pytest.mark.parametrize("fleet", ["", FLEET], ids=["memory", "disk"])
def test_hundreds_of_times_kill_9_changes_no_byte(runner, tmp_path, late, fleet):
    check_kills(runner, tmp_path, a_seed(), soak_kills(), 6000, rotations=40, late=late, fleet=fleet)
