"""Series on disk: the store goes back to any kept snapshot, and a run is the same with and without it."""

from __future__ import annotations

import sqlite3
import time

import numpy as np
import pytest
from daemons import ONCE, metrics_of, port_of, stop, write_table
from fleets import SETTINGS, assert_same, records, run
from hypothesis import given, settings
from hypothesis import strategies as st

from streamrnn import Fleet, Settings, StateError, StoreError
from streamrnn.pipelines.spill import SqliteSpill
from streamrnn.pipelines.store import Store
from streamrnn.pipelines.threads import Threads
from streamrnn.spill import Keeping

ROW = Fleet.bytes_per_series(SETTINGS)
VERBS = st.sampled_from(["put", "put", "put", "drop", "save", "crash", "fall back"])


@settings(max_examples=60)
@given(verbs=st.lists(st.tuples(VERBS, st.sampled_from("abc")), max_size=40))
def test_the_store_holds_what_the_snapshot_that_a_run_goes_on_from_held(tmp_path_factory, verbs):
    """Against a dictionary for each snapshot; a crash goes on from the newest or, damaged, the one before."""
    path = tmp_path_factory.mktemp("spill") / "state.db.spill"
    spill, held, kept, number = SqliteSpill(path), {}, {0: {}}, 0
    for count, (verb, key) in enumerate(verbs):
        if verb == "put":
            held[key] = bytes([count]) * 9
            spill.put(key, held[key])
        elif verb == "drop":
            held.pop(key, None)
            spill.drop(key)
        elif verb == "save":
            oldest, number = max(kept), number + 1
            spill.sync()
            spill.saved(number, oldest)
            kept = {oldest: kept[oldest], number: dict(held)}
        else:
            newest = max(kept) if verb == "crash" else min(kept)
            spill.close()
            spill, held, kept = SqliteSpill(path, newest), dict(kept[newest]), {newest: kept[newest]}
        assert {name: spill.get(name) for name in "abc" if spill.get(name)} == held
        for snapshot, states in kept.items():
            if snapshot:
                found = {name: spill.as_of(snapshot, name) for name in "abc"}
                assert {name: state for name, state in found.items() if state} == states
    spill.close()


def test_what_no_kept_snapshot_has_takes_no_room(tmp_path):
    spill = SqliteSpill(tmp_path / "spill.db")
    for number in range(1, 6):
        for turn in range(4):
            spill.put("a", bytes([number, turn]))
        spill.saved(number, number - 1)
    spill.close()
    with sqlite3.connect(tmp_path / "spill.db") as database:
        assert database.execute("SELECT count(*) FROM states").fetchone() == (2,)
    database.close()


def test_the_verbs_find_a_key_by_its_index_however_many_lie_there(tmp_path):
    spill = SqliteSpill(tmp_path / "spill.db")
    said = []
    spill._database.set_trace_callback(said.append)
    spill.put("a", b"1")
    spill.get("a")
    spill.drop("a")
    spill._database.set_trace_callback(None)
    found = [verb for verb in said if verb.startswith(("SELECT", "DELETE", "UPDATE"))]
    plans = [str(spill._database.execute(f"EXPLAIN QUERY PLAN {verb}").fetchall()) for verb in found]
    assert len(plans) == 5 and all("states_by_key (key=?" in plan for plan in plans)
    spill.close()


def test_a_damaged_state_or_file_is_said(tmp_path):
    path = tmp_path / "spill.db"
    spill = SqliteSpill(path)
    spill.put("pump \ud800", b"learned" * 100)
    spill.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE states SET data = x'00'")
    database.close()
    spill = SqliteSpill(path, 1)
    with pytest.raises(StateError, match="the state of series pump .* cannot be read"):
        spill.get("pump \ud800")
    spill.close()
    path.write_bytes(b"something else" * 1000)
    with pytest.raises(StateError, match="is damaged"):
        SqliteSpill(path)
    with pytest.raises(StoreError, match="cannot use"):
        SqliteSpill(tmp_path / "no" / "spill.db")


@given(most=st.integers(1, 20), threads=st.integers(1, 3), cuts=st.lists(st.integers(0, 600), max_size=4))
@settings(max_examples=15)
def test_neither_threads_nor_the_disk_change_a_bit(most, threads, cuts):
    batch, spill, pool = records(600, 20), SqliteSpill(), Threads(threads)
    whole = Fleet(SETTINGS)
    kept = Fleet(SETTINGS, Keeping(most * ROW, spill, workers=pool))
    for fleet in (whole, kept):
        fleet.series(map(str, range(20)))
    assert_same(run(whole, batch), run(kept, batch, cuts))
    for code in range(20):
        np.testing.assert_array_equal(whole.row(code), kept.row(code))
    assert kept.held_bytes <= most * ROW
    pool.close()
    spill.close()


def test_what_a_thread_raises_is_raised():
    def fail():
        raise ValueError("no")

    pool = Threads(2)
    with pytest.raises(ValueError, match="no"):
        pool.run([lambda: None, fail])
    done = []
    with pytest.raises(ValueError, match="no"):
        pool.run([fail, lambda: done.append(time.sleep(0.05))])
    assert done == [None]  # whoever still works is waited for
    pool.close()


def test_a_daemon_with_a_budget_writes_the_same_and_says_where_its_series_are(runner):
    plain, tight = runner(ONCE, "plain"), runner(ONCE + '\n[fleet]\nbudget = "1MB"\n', "tight")
    for one in (plain, tight):
        write_table(one.folder / "in.csv", 100)
        said = one.finish()
    assert tight.read("out.csv") == plain.read("out.csv")
    fit = 1_000_000 // Fleet.bytes_per_series(Settings())
    assert f"20 series so far, of which {fit} fit into fleet.budget" in said and "'dev19'" in said
    with (
        Store(tight.folder / "state.db", readonly=True) as store,
        pytest.raises(StateError, match="in the store"),
    ):
        Fleet.from_bytes(store.load().fleet).to_bytes()
    # Without a budget they come back from the disk.
    text = (tight.folder / "p.toml").read_text().partition("[fleet]")[0]
    (tight.folder / "p.toml").write_text(
        text.replace("follow = false", "follow = true") + "[serve]\nlisten = '127.0.0.1:0'\n"
    )
    process = tight.start()
    port = port_of(process)
    with (tight.folder / "in.csv").open("a") as file, (plain.folder / "in.csv").open("a") as other:
        rows = "".join(
            f"{1_700_000_000 + 60 * t},dev{i:02d},20.5\n" for t in range(100, 110) for i in range(20)
        )
        file.write(rows)
        other.write(rows)
    plain.finish()
    tight.wait_for(process, lambda: tight.lines("out.csv") == plain.lines("out.csv"))
    figures = metrics_of(port)
    assert figures["streamrnn_series_known"] == figures["streamrnn_series_in_memory"] == "20.0"
    assert (
        figures["streamrnn_series_in_store"] == "0.0" and figures["streamrnn_series_restored_total"] != "0.0"
    )
    assert stop(process)[0] == 0
    assert tight.read("out.csv") == plain.read("out.csv")


def test_a_daemon_does_not_go_on_without_the_series_on_disk(runner):
    one = runner(ONCE + '\n[fleet]\nbudget = "1MB"\n')
    write_table(one.folder / "in.csv", 50)
    one.finish()
    (one.folder / "state.db.spill").unlink()
    process = one.start()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2 and b"restore the two files together" in said


TIMES = "[record]\ntime = 'ts'\nkey = 'device'\n[fleet]\nttl = '2h'\n"


def test_a_daemon_forgets_a_series_that_says_nothing_and_begins_it_anew(runner):
    one = runner(ONCE + TIMES)
    rows = write_table(one.folder / "in.csv", 900, silent=5)
    one.finish()
    with Store(one.folder / "state.db", readonly=True) as store:
        fleet = Fleet.from_bytes(store.load().fleet, Keeping(ttl_ns=2 * 3600 * 10**9))
    counters = [fleet.layout.segment(fleet.row(code), "counters", np.int64)[0] for code in range(20)]
    of_5 = fleet.keys.index("dev05")
    assert counters[of_5] < 0.55 * max(counters) and min(counters[:of_5] + counters[of_5 + 1 :]) > 880
    assert len(rows) > 17_000
    # Another time to live takes effect through the journal, and stays.
    text = (one.folder / "p.toml").read_text()
    (one.folder / "p.toml").write_text(text.replace('"2h"', '"3h"').replace("'2h'", "'3h'"))
    one.finish()
    with Store(one.folder / "state.db", readonly=True) as store:
        saved = store.load()
        assert [entry.payload for entry in store.journal()] in ([{"ttl": "3h"}], [])
    assert saved.others["ttl"] == b"3h" and saved.extra["journal"] == 1
