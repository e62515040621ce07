"""The store: what was stored is there, or its loss is told; whatever happens to the process, disk or file."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from streamrnn import StateError, StoreError
from streamrnn.pipelines.store import (
    EventRow,
    IncidentRow,
    JournalEntry,
    SilenceRow,
    Snapshot,
    Store,
    formats,
)

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "store-1.sqlite"
FIRST = Snapshot(1, b"\x00" * 100_000, ("a.csv", "b\udcff.csv"), {"a.csv": 7}, {"hash": "x", "list": [1.5]})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state of a run?.db"  # a name that means something else in an URI


@pytest.fixture
def said(caplog):
    """Whether anything was logged."""
    return lambda: bool(caplog.records)


# What is stored is there.


def test_a_new_store_has_nothing(path):
    with Store(path) as store:
        assert store.load() is None
        assert store.committed() == ({}, {})
        assert store.journal() == store.events() == store.outbox_due(99) == []
        assert store.outbox_counts() == {}


def test_a_snapshot_comes_back_as_it_was_also_after_closing(path):
    with Store(path) as store:
        assert store.save(replace(FIRST, number=99)) == 1
        assert store.load() == FIRST
    with Store(path) as store:
        assert store.load() == FIRST


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_a_fleet_of_any_size_comes_back(path, size):
    with Store(path) as store:
        fleet = random.Random(size).randbytes(size)
        store.save(replace(FIRST, fleet=fleet))
        assert store.load().fleet == fleet


def test_the_newest_two_snapshots_are_kept_and_the_file_stops_growing(path):
    with Store(path) as store:
        sizes = []
        for number in range(1, 8):
            assert store.save(FIRST) == number
            sizes.append(path.stat().st_size)
        assert [number for (number,) in store._rows("SELECT id FROM snapshots")] == [6, 7]
        assert len(set(sizes[1:])) == 1
        assert store.load().number == 7


def test_a_commit_takes_the_place_of_the_one_before(path):
    with Store(path) as store:
        store.commit({"a": 1, "b": 2}, {"scored.csv": 100})
        store.commit({"a": 3}, {"scored.csv": 150})
        store.save(FIRST)
    with Store(path) as store:
        assert store.committed() == ({"a": 3}, {"scored.csv": 150})


def test_the_journal_keeps_commands_in_their_order(path):
    with Store(path) as store:
        assert store.journal_add("reload", {"budget": "1/day"}, {"a": 5}) == 1
        assert store.journal_add("silence", {}, {"a": 9}) == 2
    with Store(path) as store:
        assert store.journal_add("feedback", {}, {}) == 3
        assert store.journal()[0] == JournalEntry(1, "reload", {"budget": "1/day"}, {"a": 5})
        assert [entry.number for entry in store.journal(after=1)] == [2, 3]
        assert store.journal(after=3) == []


def test_what_a_snapshot_holds_beside_the_fleet_comes_back(path):
    rng = random.Random(4)
    others = {"b": rng.randbytes(3_000_000), "empty": b"", "a": b"x"}
    with Store(path) as store:
        store.save(replace(FIRST, others=others))
        assert store.load() == replace(FIRST, others=others)
        assert list(store.load().others) == ["b", "empty", "a"]


def test_commands_that_no_snapshot_needs_are_forgotten_but_not_their_number(path):
    with Store(path) as store:
        for _ in range(5):
            store.journal_add("reload", {}, {})
        store.journal_forget(4)
        assert [entry.number for entry in store.journal(after=3)] == [4, 5]
        with pytest.raises(StateError):
            store.journal(after=2)
        assert store.journal_add("reload", {}, {}) == 6


@pytest.mark.parametrize("none", [[], [-(2**63)] * 3])
def test_old_events_are_forgotten_and_the_newest_so_many_stay(path, none):
    times = [*none, 0, 10, 20, 90, 95, 100]
    with Store(path) as store:
        store.events_add(EventRow(f"flow-{i}", "event", time, {}) for i, time in enumerate(times))
        assert store.events_forget(age_ns=50, keep=len(times)) == 0
        assert store.events_forget(age_ns=50, keep=4) == len(none) + 2
        assert [event.time for event in store.events()] == [20, 90, 95, 100]
        assert store.events_forget(age_ns=50, keep=1) == 1
        assert [event.time for event in store.events()] == [90, 95, 100]


def test_of_events_without_a_time_the_newest_so_many_stay(path):
    with Store(path) as store:
        store.events_add(EventRow(f"flow-{i}", "event", -(2**63), {}) for i in range(12))
        assert store.events_forget(age_ns=50, keep=3) == 9
        assert {event.id for event in store.events()} == {"flow-9", "flow-10", "flow-11"}


def test_an_event_is_stored_once_and_stays_as_it_was_first(path):
    rows = [EventRow("late", "incident", 20, {}), EventRow("early\udcff", "event", 10, {"peak": 1.5})]
    with Store(path) as store:
        assert store.events_add(rows) == 2
        assert (
            store.events_add([EventRow("late", "event", 1, {"other": 1}), EventRow("new", "event", 30, {})])
            == 1
        )
        assert store.events_add([]) == 0
        assert [row.id for row in store.events()] == ["early\\udcff", "late", "new"]
        assert store.events(kind="incident") == [rows[0]]
        assert [row.id for row in store.events(since=20)] == ["late", "new"]
        assert store.events(kind="event", since=11) == [EventRow("new", "event", 30, {})]


def test_the_outbox_keeps_what_waits_until_its_state_is_final(path):
    with Store(path) as store:
        assert store.outbox_add("a", "webhook", {"text": "é"}, due=20)
        assert store.outbox_add("b", "webhook", {}, due=10)
        assert not store.outbox_add("b", "email", {}, due=0)
        assert [entry.id for entry in store.outbox_due(15)] == ["b"]
        assert [entry.id for entry in store.outbox_due(20)] == ["b", "a"]
        assert [entry.id for entry in store.outbox_due(20, limit=1)] == ["b"]
        store.outbox_mark("b", "waiting", 1, 50, "HTTP 500 \udcff")
        store.outbox_mark("a", "delivered", 1, 0)
        assert store.outbox_due(49) == []
        (entry,) = store.outbox_due(50)
        assert (entry.attempt, entry.due, entry.error) == (1, 50, "HTTP 500 \\udcff")
        assert store.outbox_counts() == {"delivered": 1, "waiting": 1}
        with pytest.raises(KeyError):
            store.outbox_mark("c", "delivered", 1, 0)


# One writer, many readers.


def test_a_second_writer_is_refused_and_told_who_holds_the_store(path):
    with Store(path) as store:
        with pytest.raises(StoreError, match=f"in use by process {os.getpid()}"):
            Store(path)
        store.commit({"a": 1}, {})
    with Store(path) as store:
        assert store.committed() == ({"a": 1}, {})


def test_a_reader_looks_beside_a_writer_and_cannot_write(path):
    with Store(path) as store, Store(path, readonly=True) as reader:
        store.commit({"a": 1}, {})
        store.save(FIRST)
        assert reader.committed() == ({"a": 1}, {}) and reader.load() == FIRST
        for write in (
            lambda: reader.commit({}, {}),
            lambda: reader.save(FIRST),
            lambda: reader.journal_add("x", {}, {}),
        ):
            with pytest.raises(StoreError, match="readonly"):
                write()
        store.commit({"a": 2}, {})
        assert reader.committed() == ({"a": 2}, {})


def test_a_reader_sees_one_moment_while_a_writer_goes_on(path, monkeypatch):
    with Store(path) as store, Store(path, readonly=True) as reader:
        store.save(FIRST)
        read = reader._chunk

        def read_late(place, checksum):
            for _ in range(3):
                store.save(replace(FIRST, fleet=b"later"))
            return read(place, checksum)

        monkeypatch.setattr(reader, "_chunk", read_late)
        store._database.execute("PRAGMA busy_timeout = 0")
        assert reader.load() == FIRST
        assert store.load().fleet == b"later"


def test_a_reader_of_nothing_is_told_so_and_makes_nothing(path):
    with pytest.raises(StoreError, match="unable to open"):
        Store(path, readonly=True)
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize("readonly", [False, True])
def test_closing_twice_does_no_harm_and_a_closed_store_says_so(path, readonly):
    Store(path).close()
    store = Store(path, readonly=readonly)
    store.close()
    store.close()
    with pytest.raises(sqlite3.ProgrammingError):
        store.committed()


# Formats.


def test_a_store_of_format_1_is_read(tmp_path):
    shutil.copyfile(GOLDEN, tmp_path / "store")
    with Store(tmp_path / "store") as store:
        assert store.load() == Snapshot(
            2, bytes(range(256)) * 40, ("plant.csv", "b\udcff"), {"plant.csv": 400}, {"settings": "5eed"}
        )
        assert store.committed() == ({"plant.csv": 500, "b\udcff": 3}, {"scored.csv": 81_920})
        assert store.journal() == [JournalEntry(1, "reload", {"false_alarms": "1/day"}, {"plant.csv": 250})]
        assert store.events() == [
            EventRow("plant.csv-17", "level", 1_700_000_000_000_000_000, {"peak": 8.25})
        ]
        (entry,) = store.outbox_due(9)
        assert (entry.id, entry.attempt, entry.error) == ("alert-1", 1, "HTTP 500")
        assert store.outbox_counts() == {"delivered": 1, "waiting": 1}


def test_a_cut_store_with_pages_of_another_size_comes_over_too(tmp_path, said):
    data = GOLDEN.read_bytes()
    (tmp_path / "store").write_bytes(data[:-4096])
    with Store(tmp_path / "store") as store:
        assert said()
        assert store.committed()[0] == {"plant.csv": 500, "b\udcff": 3} and len(store.journal()) == 1


def test_an_older_format_is_brought_up_to_date_whole_or_not_at_all(path, monkeypatch):
    with Store(path) as store:
        store.commit({"a": 1}, {})
    older = formats.FORMAT
    wrong, right = "CREATE TABLE more (id INTEGER, id INTEGER)", "CREATE TABLE more (id INTEGER)"
    for fault, statements in (
        (True, ("CREATE TABLE most (id)", wrong)),
        (False, ("CREATE TABLE most (id)", right)),
    ):
        monkeypatch.setattr(formats, "MIGRATIONS", (*formats.MIGRATIONS[:older], statements))
        for module in (formats, sys.modules["streamrnn.pipelines.store.file"]):
            monkeypatch.setattr(module, "FORMAT", older + 1)
        with pytest.raises(StateError, match=f"format {older}; what writes to it must open it first"):
            Store(path, readonly=True)
        if fault:
            with pytest.raises(StateError, match="duplicate column"):
                Store(path)
    for _ in range(2):
        with Store(path) as store:
            assert store.committed() == ({"a": 1}, {})
            assert (
                store._rows("PRAGMA user_version") == [(older + 1,)]
                and store._rows("SELECT * FROM more") == []
            )


def test_a_store_of_format_1_gets_what_alerts_need(tmp_path):
    shutil.copyfile(GOLDEN, tmp_path / "store")
    with Store(tmp_path / "store") as store, store.deciding():
        assert store.incidents_put([IncidentRow("a", 1, 1, True, True, {})]) == {"a"}
        assert store.incidents_put([IncidentRow("a", 1, 1, True, True, {"other": 1})]) == set()
        assert store.incidents_put([IncidentRow("a", 1, 2, False, True, {})]) == {"a"}
        assert [row.sequence for row in store.incidents(news=True)] == [2]


def test_what_is_asked_for_beside_a_writer_waits_in_order_until_it_is_taken(path):
    with Store(path) as store:
        with Store(path, beside=True) as other:
            for verb in ("one", "two", "three"):
                other.request_put({"verb": verb})
        first, *rest = store.requests()
        store.request_drop(first.id)
        assert first.body == {"verb": "one"} and store.requests() == rest
        store._database.execute("UPDATE requests SET body = '{}' WHERE id = 2")
    with Store(path) as store:  # what is damaged is asked for again by whoever misses it
        assert [request.body["verb"] for request in store.requests()] == ["three"]


def test_what_runs_beside_a_writer_writes_too(path):
    with Store(path) as store:
        with Store(path, beside=True) as other, other.deciding():
            other.silence_put(SilenceRow("s", 9, {"matchers": ["series=a"]}))
            other.outbox_put("x.1", "ops", {}, due=1)
        assert [row.id for row in store.silences(now=8)] == ["s"] and store.silences(now=9) == []
        assert [entry.id for entry in store.outbox_due(1)] == ["x.1"]


def test_of_one_group_the_next_message_is_due_when_the_one_before_is_done(path):
    with Store(path) as store:
        for name in ("x.1", "x.2", "y.1"):
            store.outbox_add(name, "ops", {}, due=1)
        assert [entry.id for entry in store.outbox_due(5, kind="ops")] == ["x.1", "y.1"]
        store.outbox_mark("x.1", "waiting", 1, 99)
        assert [entry.id for entry in store.outbox_due(5)] == ["y.1"]
        store.outbox_mark("x.1", "delivered", 2, 0)
        assert [entry.id for entry in store.outbox_due(5)] == ["x.2", "y.1"]


@pytest.mark.parametrize("readonly", [False, True])
def test_a_newer_format_is_refused_with_what_to_do(path, readonly):
    Store(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 9")
    database.close()
    before = path.read_bytes()
    newest = formats.FORMAT
    with pytest.raises(StateError, match=f"format 9, this streamrnn reads formats up to {newest}; use the "):
        Store(path, readonly=readonly)
    assert path.read_bytes() == before


@pytest.mark.parametrize("readonly", [False, True])
def test_other_files_are_refused_and_left_alone(path, readonly):
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE cheese (name)")
    database.close()
    for data in (path.read_bytes(), b"time,value\n1,2\n" * 100):
        path.write_bytes(data)
        with pytest.raises(StateError, match="is no store|not a database"):
            Store(path, readonly=readonly)
        assert path.read_bytes() == data


def test_an_empty_file_and_a_log_without_its_file_are_refused(path):
    path.touch()
    with pytest.raises(StateError, match="is empty"):
        Store(path)
    path.unlink()
    Path(f"{path}-wal").write_bytes(b"x")
    with pytest.raises(StateError, match="is gone but"):
        Store(path)
