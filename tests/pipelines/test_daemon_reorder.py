"""A daemon's records out of order: those that wait, and those that come too late."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from daemons import HEAD, ONCE, PIPELINE, REORDER, WINDOW_S, shuffle, stop, write_table

from streamrnn.pipelines.daemon import Daemon
from streamrnn.pipelines.store import Store


def numbers_by_record(live):
    """What was scored, by series and time."""
    scored = pd.read_csv(live.folder / "out.csv").sort_values(["device", "ts"], ignore_index=True)
    return scored[["device", "ts", "temp", "yhat", "p_value", "status", "alert_strength"]]


def test_rows_shuffled_within_the_window_get_the_scores_of_sorted_ones(runner):
    ordered, shuffled = (runner(ONCE + REORDER.format(late="keep"), name) for name in ("ordered", "shuffled"))
    for live in (ordered, shuffled):
        write_table(live.folder / "in.csv", 500, broken=0.0)
    shuffle(shuffled.folder / "in.csv", WINDOW_S, late=0.0)
    assert shuffled.read("in.csv") != ordered.read("in.csv")
    for live in (ordered, shuffled):
        live.finish()
    pd.testing.assert_frame_equal(numbers_by_record(ordered), numbers_by_record(shuffled))
    assert not numbers_by_record(shuffled)["status"].isin(["late", "duplicate"]).any()


@pytest.mark.parametrize("late", ["keep", "drop", "dead-letter"])
def test_every_row_is_scored_dead_or_dropped_whatever_becomes_of_late_ones(runner, late):
    live = runner(ONCE + REORDER.format(late=late))
    rows = write_table(live.folder / "in.csv", 500, broken=0.01)
    shuffle(live.folder / "in.csv", WINDOW_S, late=0.02)
    log = live.finish()
    scored = pd.read_csv(live.folder / "out.csv")
    letters = [json.loads(line) for line in live.read("dead.jsonl").splitlines()]
    too_late = [letter for letter in letters if "later than its series' window" in letter["error"]]
    kept = int((scored["status"] == "late").sum())
    dropped = len(rows) - len(scored) - len(letters)
    assert [
        late for late, n in {"keep": kept, "drop": dropped, "dead-letter": len(too_late)}.items() if n
    ] == [late]
    assert f"{len(scored) + dropped:,} records" in log and f"{len(letters):,} dead letters" in log
    offsets = [letter["offset"] for letter in letters]
    assert offsets == sorted(offsets)


def test_a_stop_keeps_what_waits_and_the_end_of_the_file_lets_it_go(runner):
    text = PIPELINE.format(follow="true") + REORDER.format(late="keep")
    live = runner(text)
    rows = write_table(live.folder / "all.csv", 100, broken=0.0)
    (live.folder / "in.csv").write_text("\n".join([HEAD, *rows[:1000]]) + "\n")
    process = live.start()
    waiting = 20 * WINDOW_S // 60
    live.wait_for(process, lambda: live.lines("out.csv") == 1001 - waiting)
    assert stop(process)[0] == 0
    assert live.lines("out.csv") == 1001 - waiting
    with (live.folder / "in.csv").open("a") as file:
        file.write("\n".join(rows[1000:]) + "\n")
    (live.folder / "p.toml").write_text(text.replace("follow = true", "follow = false"))
    live.finish()
    assert live.lines("out.csv") == 2001
    other = runner(ONCE + REORDER.format(late="keep"), "whole")
    (other.folder / "in.csv").write_bytes(live.read("in.csv"))
    other.finish()
    assert live.read("out.csv") == other.read("out.csv")


class _PowerCutError(Exception):
    """The machine went away."""


def test_what_the_end_let_go_is_not_let_go_again_where_a_crash_comes_before_the_snapshot(runner, monkeypatch):
    """The end of a file is written down: where it goes on after all, rows leave at the same place again."""

    save = Store.save

    def cut(store, snapshot):
        if snapshot.extra["journal"]:  # the first one is of before that
            raise _PowerCutError
        save(store, snapshot)

    text = (ONCE + REORDER.format(late="keep")).replace("200ms", "1h")
    runs = {name: runner(text, name) for name in ("whole", "cut")}
    rows = write_table(runs["whole"].folder / "all.csv", 100, broken=0.0)
    for name, live in runs.items():
        (live.folder / "in.csv").write_text("\n".join([HEAD, *rows[:1000]]) + "\n")
        with monkeypatch.context() as patch:
            patch.chdir(live.folder)
            if name == "cut":
                patch.setattr(Store, "save", cut)
                with pytest.raises(_PowerCutError):
                    Daemon("p.toml").run()
            else:
                Daemon("p.toml").run()
        assert live.lines("out.csv") == 1001
        with (live.folder / "in.csv").open("a") as file:
            file.write("\n".join([*rows[1000:], rows[950]]) + "\n")
        live.finish()
        assert live.lines("out.csv") == 2002
    assert runs["cut"].read("out.csv") == runs["whole"].read("out.csv")
