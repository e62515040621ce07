"""The store: what was stored is there, or its loss is told; whatever happens to the process, disk or file."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import damaged_store
import pytest
import store_writer

from streamrnn import StateError, StoreError
from streamrnn.pipelines.store import EventRow, JournalEntry, Snapshot, Store, formats

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "store-1.sqlite"
FIRST = Snapshot(1, b"\x00" * 100_000, ("a.csv", "b\udcff.csv"), {"a.csv": 7}, {"hash": "x", "list": [1.5]})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state of a run?.db"  # a name that means something else in an URI


def alter(path, statement, *values):
    """Change a store behind its back."""
    database = sqlite3.connect(path)
    with database:
        assert database.execute(statement, values).rowcount > 0
    database.close()


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
    wrong, right = "CREATE TABLE more (id INTEGER, id INTEGER)", "CREATE TABLE more (id INTEGER)"
    for fault, statements in (
        (True, ("CREATE TABLE most (id)", wrong)),
        (False, ("CREATE TABLE most (id)", right)),
    ):
        monkeypatch.setattr(formats, "MIGRATIONS", (*formats.MIGRATIONS[:1], statements))
        for module in (formats, sys.modules["streamrnn.pipelines.store.file"]):
            monkeypatch.setattr(module, "FORMAT", 2)
        with pytest.raises(StateError, match="format 1; what writes to it must open it first"):
            Store(path, readonly=True)
        if fault:
            with pytest.raises(StateError, match="duplicate column"):
                Store(path)
    for _ in range(2):
        with Store(path) as store:
            assert store.committed() == ({"a": 1}, {})
            assert store._rows("PRAGMA user_version") == [(2,)] and store._rows("SELECT * FROM more") == []


@pytest.mark.parametrize("readonly", [False, True])
def test_a_newer_format_is_refused_with_what_to_do(path, readonly):
    Store(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 9")
    database.close()
    before = path.read_bytes()
    with pytest.raises(StateError, match="format 9, this streamrnn reads formats up to 1; use the version"):
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


# Full disks.


def test_a_full_store_says_so_and_goes_on_when_there_is_room(path):
    with Store(path) as store:
        store.commit({"a": 1}, {})
        store.save(FIRST)
        store._database.execute("PRAGMA max_page_count = 1")  # as many as there are
        for write in (lambda: store.save(FIRST), lambda: store.journal_add("x", {"x": "x" * 99_999}, {})):
            with pytest.raises(StoreError, match="no room to write .* goes on when there is room"):
                write()
        store.commit({"a": 2}, {})
        assert store.load() == FIRST and store.committed() == ({"a": 2}, {}) and store.journal() == []
        store._database.execute("PRAGMA max_page_count = 1000000")
        assert store.save(FIRST) == 2 and store.journal_add("x", {}, {}) == 1
        assert store.load() == replace(FIRST, number=2)


@pytest.fixture
def file_limit():
    """Sets how long a file may grow, in bytes; None: as before."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(
        resource.RLIMIT_FSIZE, (before[0] if size is None else size, before[1])
    )
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 40_000, 1_000_000, 3_100_000, 4_000_000])
def test_a_disk_that_refuses_writes_costs_nothing_that_was_stored(path, file_limit, room):
    small, large = FIRST, replace(FIRST, number=2, fleet=random.Random(0).randbytes(3_000_000))
    with Store(path) as store:
        store.commit({"a": 1}, {})
        store.save(small)
        file_limit(room)
        try:
            expected = replace(large, number=store.save(large))
        except StoreError:
            expected = small
        assert store.load() == expected and (expected == large) == (room > 3_000_000)
        file_limit(None)
        store.commit({"a": 100}, {})
        number = store.save(small)
    with Store(path) as store:
        assert store.load() == replace(small, number=number) and store.committed() == ({"a": 100}, {})


def test_a_log_that_cannot_be_emptied_is_told_once_and_costs_nothing(path, file_limit, caplog):
    large = replace(FIRST, number=2, fleet=bytes(3_000_000))
    with Store(path) as store:
        store.save(replace(FIRST, fleet=bytes(1_000_000)))
        file_limit(3_500_000)  # room for the next one in the log, not for both in the file
        assert store.save(large) == 2
        store.journal_add("reload", {}, {})
        assert caplog.text.count("-wal stays long: ") == 1
        file_limit(None)
        store.journal_add("reload", {}, {})
        assert not Path(f"{path}-wal").stat().st_size
        assert store.load() == large and len(store.journal()) == 2


def test_a_store_that_cannot_be_made_leaves_nothing_behind(path, file_limit):
    file_limit(10_000)
    with pytest.raises(StoreError):
        Store(path)
    file_limit(None)
    assert [left.name for left in path.parent.iterdir()] == [f"{path.name}.lock"]
    with Store(path) as store:
        assert store.load() is None


# Damage.


@pytest.fixture
def said(caplog):
    """Whether anything was logged."""
    return lambda: bool(caplog.records)


def store_two_snapshots(path):
    with Store(path) as store:
        store.commit({"a": 5}, {})
        for number in (1, 2):
            store.save(replace(FIRST, fleet=bytes(1_100_000), positions={"a": number}))


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE chunks SET data = zeroblob(5) WHERE id = (2 << 20) + 1",
        "UPDATE chunks SET data = 5 WHERE id = (2 << 20) + 1",
        "UPDATE chunks SET id = id + 7 WHERE id = (2 << 20) + 1",
        "DELETE FROM chunks WHERE id >> 20 = 2",
        "UPDATE snapshots SET body = replace(body, '2', '3') WHERE id = 2",
        "UPDATE snapshots SET seal = NULL WHERE id = 2",
        "UPDATE snapshots SET id = 3 WHERE id = 2",
        "DELETE FROM snapshots WHERE id = 2",
    ],
)
def test_a_damaged_snapshot_is_told_and_the_one_before_it_loaded_and_kept(path, harm, caplog):
    store_two_snapshots(path)
    alter(path, harm)
    with Store(path) as store:
        assert store.load().positions == {"a": 1}
        assert "snapshot 2 is damaged; going on from 1" in caplog.text
        assert store.save(FIRST) == 3
        assert store._rows("SELECT id FROM snapshots") == [
            (1,),
            (3,),
        ]  # the damaged one makes room, not the whole one


@pytest.mark.parametrize(
    "harm", ["DELETE FROM snapshots", "UPDATE snapshots SET body = ''", "DELETE FROM chunks"]
)
@pytest.mark.parametrize("readonly", [False, True])
def test_where_no_snapshot_is_whole_loading_says_so(path, harm, readonly):
    store_two_snapshots(path)
    alter(path, harm)
    with (
        Store(path, readonly=readonly) as store,
        pytest.raises(StateError, match="no snapshot in it is whole"),
    ):
        store.load()


@pytest.mark.parametrize("table", ["facts", "facts_again"])
def test_one_of_the_two_copies_of_what_was_committed_is_enough(path, table):
    store_two_snapshots(path)
    alter(path, f"UPDATE {table} SET body = replace(body, '5', '6')")
    with Store(path) as store:
        assert store.committed() == ({"a": 5}, {})


def test_a_lost_commit_is_told_and_the_next_one_mends_it(path, caplog):
    store_two_snapshots(path)
    for table in ("facts", "facts_again"):
        alter(path, f"UPDATE {table} SET body = replace(body, '5', '6')")
    with Store(path) as store:
        assert "lost what was committed last" in caplog.text
        for read in (store.committed, store.journal):
            with pytest.raises(StateError, match="what was committed last cannot be read"):
                read()
        assert store.load().number == 2
        store.commit({"a": 7}, {})
        assert store.committed() == ({"a": 7}, {})
        assert store.save(FIRST) == 3
    alter(path, "DELETE FROM facts")
    alter(path, "DELETE FROM facts_again")
    alter(path, "DELETE FROM snapshots")
    with Store(path) as store, pytest.raises(StateError, match="what was committed last cannot be read"):
        store.load()


@pytest.mark.parametrize(
    "harm",
    ["UPDATE journal SET body = replace(body, '2', '3')", "DELETE FROM journal", "UPDATE journal SET id = 5"],
)
def test_a_damaged_command_is_told_where_it_is_asked_for(path, harm):
    with Store(path) as store:
        for number in (1, 2, 3):
            store.journal_add("reload", {"number": number}, {})
    alter(path, f"{harm} WHERE id = 2")
    with Store(path) as store:
        with pytest.raises(StateError, match="command 2 of 3 in its journal is lost"):
            store.journal()
        assert [entry.number for entry in store.journal(after=2)] == [3]


def test_a_damaged_event_is_told_and_can_be_stored_again(path, caplog):
    rows = [EventRow("a", "event", 1, {}), EventRow("b", "event", 2, {})]
    with Store(path) as store:
        store.events_add(rows)
        store.outbox_add("c", "webhook", {}, 0)
    alter(path, "UPDATE events SET time = 3 WHERE id = 'a'")
    alter(path, "UPDATE outbox SET state = 'vaiting'")
    with Store(path, readonly=True) as reader:
        assert reader.events() == rows[1:] == reader.events()
        assert caplog.text.count("row 'a' of its events cannot be read") == 1
    with Store(path) as store:
        assert "row 'a' of its events is lost" in caplog.text
        assert "row 'c' of its outbox is lost" in caplog.text
        assert store.events_add(rows) == 1 and store.events() == rows
        assert store.outbox_add("c", "webhook", {}, 0)


def test_what_is_to_be_delivered_and_damaged_meanwhile_is_told(path, caplog):
    with Store(path) as store:
        store.outbox_add("c", "webhook", {}, 0)
        store._database.execute("UPDATE outbox SET payload = '{\"to\":1}'")
        assert store.outbox_due(1) == []
        assert "row 'c' of its outbox cannot be read" in caplog.text
        with pytest.raises(StateError, match="delivered as 'c' cannot be read"):
            store.outbox_mark("c", "delivered", 1, 0)


def test_damaged_pages_are_told_and_what_is_whole_comes_over(path, caplog):
    with Store(path) as store:
        for number in range(400):
            store.events_add([EventRow(f"event-{number:03}", "event", number, {"text": "x" * 200})])
        store.commit({"a": 5}, {})
        store.save(FIRST)
        (page,) = store._rows(
            "SELECT pageno FROM dbstat WHERE name = 'events' ORDER BY path LIMIT 1 OFFSET 4"
        )[0]
    data = bytearray(path.read_bytes())
    data[(page - 1) << 14] ^= 0xFF  # the kind of a page among the events
    path.write_bytes(data)
    with Store(path) as store:
        assert "is damaged" in caplog.text and f"the rest is in {path}.damaged" in caplog.text
        assert store.load() == FIRST and store.committed() == ({"a": 5}, {})
        names = [row.id for row in store.events()]
        assert names[0] == "event-000" and names[-1] == "event-399" and 200 < len(names) < 400
    caplog.clear()
    with Store(path) as store:
        assert store.load() == FIRST
    assert not caplog.records


def test_a_log_cut_off_by_damage_is_told(small_store, caplog):
    path, data, log = small_store
    damaged_store.put(path, data, bytes(byte ^ (place == 100) for place, byte in enumerate(log)))
    with Store(path) as store:
        assert store.load().positions == {"a": 30}
        assert store.committed() == damaged_store.COMMITS[5]
    assert "damaged.db-wal is damaged: the last 3 transactions are lost" in caplog.text


@pytest.fixture
def small_store(monkeypatch):
    """(where to put damaged ones, file, log) of a small store that was not closed."""
    damaged_store.make_small(monkeypatch)
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # thousands of syncs are slow on a disk
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        made = damaged_store.make_store(Path(folder))
        log = Path(f"{made}-wal").read_bytes()
        assert 30_000 < made.stat().st_size < 70_000 and len(log) > 10_000
        yield made.with_name("damaged.db"), made.read_bytes(), log


def assert_flips_are_noticed(small_store, caplog, step):
    path, data, log = small_store
    outcomes = set()
    for place in range(0, len(data) + len(log), step):
        both = bytearray(data + log)
        both[place] ^= place * 7 % 255 + 1
        caplog.clear()
        damaged_store.put(path, both[: len(data)], both[len(data) :])
        outcome = damaged_store.read(path, lambda: bool(caplog.records))
        outcomes.add(outcome if place < len(data) else f"log {outcome}")
    assert outcomes == {"right", "previous", "refused", "log previous"}


def assert_cuts_are_noticed(small_store, caplog, step):
    path, data, log = small_store
    for length in range(0, len(data), step):
        caplog.clear()
        damaged_store.put(path, data[:length], log)
        damaged_store.read(path, lambda: bool(caplog.records))
    for length in range(0, len(log), step):
        damaged_store.put(path, data, log[:length])
        assert (
            damaged_store.read(path, lambda: False) == "previous"
        )  # as a crash may leave it: nothing to tell


def test_what_is_not_damaged_is_right(small_store, said):
    damaged_store.put(*small_store)
    assert damaged_store.read(small_store[0], said) == "right"
    assert not said()


def test_a_flipped_byte_is_noticed(small_store, caplog):
    assert_flips_are_noticed(small_store, caplog, 97)


@pytest.mark.soak
def test_every_flipped_byte_is_noticed(small_store, caplog):
    assert_flips_are_noticed(small_store, caplog, 1)


def test_a_cut_is_noticed(small_store, caplog):
    assert_cuts_are_noticed(small_store, caplog, 397)


@pytest.mark.soak
def test_every_cut_is_noticed(small_store, caplog):
    assert_cuts_are_noticed(small_store, caplog, 1)


# kill -9.


def kill_a_writer(path, told, chance):
    """Let a writer go on and kill it at some moment; adds to what it told to be stored."""
    command = [sys.executable, store_writer.__file__, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        for _ in range(chance.randrange(1, 40)):
            what, position = writer.stdout.readline().split()
            told[what] = int(position)
        signal.sigtimedwait([], chance.random() * 0.01)  # none comes
        writer.kill()
        for line in writer.stdout:
            if line.endswith("\n"):
                what, position = line.split()
                told[what] = int(position)


def assert_kills_cost_nothing(path, kills):
    seed = int(os.environ.get("STREAMRNN_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
    print("STREAMRNN_SEED =", seed)  # noqa: T201
    told, chance = {"committed": 0, "saved": 0}, random.Random(seed)
    for _ in range(kills):
        kill_a_writer(path, told, chance)
        with Store(path) as store:
            found, (positions, marks) = store.load(), store.committed()
            position = positions["plant"]
            assert told["committed"] <= position <= told["committed"] + 1
            assert marks == {"scored.csv": position * 100}
            assert position <= len(store.events()) <= position + 1
            if found is None:
                assert not told["saved"]
            else:
                assert told["saved"] <= found.extra["position"] <= position
                expected = store_writer.snapshot_of(found.extra["position"])
                assert found == replace(expected, number=found.number)


def test_a_kill_costs_nothing_that_was_told_to_be_stored(path):
    assert_kills_cost_nothing(path, 10)


@pytest.mark.soak
def test_many_kills_cost_nothing_that_was_told_to_be_stored(path):
    assert_kills_cost_nothing(path, 200)
