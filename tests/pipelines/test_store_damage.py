"""The store under damage and kills: nothing wrong ever comes out of it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import damaged_store
import pytest
import store_writer
from kills import soak_kills

from streamrnn import StateError
from streamrnn.pipelines.store import EventRow, Snapshot, Store

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "store-1.sqlite"
FIRST = Snapshot(1, b"\x00" * 100_000, ("a.csv", "b\udcff.csv"), {"a.csv": 7}, {"hash": "x", "list": [1.5]})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state of a run?.db"  # a name that means something else in an URI


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
    damaged_store.alter(path, harm)
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
    damaged_store.alter(path, harm)
    with (
        Store(path, readonly=readonly) as store,
        pytest.raises(StateError, match="no snapshot in it is whole"),
    ):
        store.load()


@pytest.mark.parametrize("table", ["facts", "facts_again"])
def test_one_of_the_two_copies_of_what_was_committed_is_enough(path, table):
    store_two_snapshots(path)
    damaged_store.alter(path, f"UPDATE {table} SET body = replace(body, '5', '6')")
    with Store(path) as store:
        assert store.committed() == ({"a": 5}, {})


def test_a_lost_commit_is_told_and_the_next_one_mends_it(path, caplog):
    store_two_snapshots(path)
    for table in ("facts", "facts_again"):
        damaged_store.alter(path, f"UPDATE {table} SET body = replace(body, '5', '6')")
    with Store(path) as store:
        assert "lost what was committed last" in caplog.text
        for read in (store.committed, store.journal):
            with pytest.raises(StateError, match="what was committed last cannot be read"):
                read()
        assert store.load().number == 2
        store.commit({"a": 7}, {})
        assert store.committed() == ({"a": 7}, {})
        assert store.save(FIRST) == 3
    damaged_store.alter(path, "DELETE FROM facts")
    damaged_store.alter(path, "DELETE FROM facts_again")
    damaged_store.alter(path, "DELETE FROM snapshots")
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
    damaged_store.alter(path, f"{harm} WHERE id = 2")
    with Store(path) as store:
        with pytest.raises(StateError, match="command 2 of 3 in its journal is lost"):
            store.journal()
        assert [entry.number for entry in store.journal(after=2)] == [3]


def test_a_damaged_event_is_told_and_can_be_stored_again(path, caplog):
    rows = [EventRow("a", "event", 1, {}), EventRow("b", "event", 2, {})]
    with Store(path) as store:
        store.events_add(rows)
        store.outbox_add("c", "webhook", {}, 0)
    damaged_store.alter(path, "UPDATE events SET time = 3 WHERE id = 'a'")
    damaged_store.alter(path, "UPDATE outbox SET state = 'vaiting'")
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
        assert 30_000 < made.stat().st_size < 120_000 and len(log) > 10_000
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
    assert_kills_cost_nothing(path, soak_kills())
