"""A small store as a crash leaves it, and whether what is read of it after damage is right."""

from __future__ import annotations

import random
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

from streamrnn import StateError
from streamrnn.pipelines.store import EventRow, Snapshot, Store, creation, snapshots

SNAPSHOTS = {
    n: Snapshot(n, random.Random(n).randbytes(9000), ("a", "\udcff"), {"a": 10 * n}, {"settings": "x" * n})
    for n in (1, 2, 3)
}
COMMITS = [({"a": 5 * n, "b": n}, {"scored.csv": 1000 * n}) for n in range(9)]
EVENTS = [EventRow(f"event-{n}", "level", n, {"peak": n / 7}) for n in range(6)]
COMMANDS = [("reload", {"budget": "1/day"}, {"a": 7}), ("feedback", {"event": "event-1"}, {"a": 22})]
ALERTS = ["alert-1", "alert-2"]


def make_store(folder: Path) -> Path:
    """A store that was not closed: all of its verbs used, some of it still in the log alone."""
    path = folder / "made.db"
    with Store(path) as store:
        for n in (1, 2, 3):
            store.commit(*COMMITS[2 * n - 1])
            store.events_add(EVENTS[2 * n - 2 : 2 * n])
            store.save(SNAPSHOTS[n])
            if n < 3:
                store.journal_add(*COMMANDS[n - 1])
                store.outbox_add(ALERTS[n - 1], "webhook", {"to": "x"}, due=n)
            store.commit(*COMMITS[2 * n])
        store.commit(*COMMITS[7])
        store.commit(*COMMITS[8])
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{path}{suffix}", folder / f"crashed.db{suffix}")
    return folder / "crashed.db"


def put(path: Path, data: bytes, log: bytes) -> None:
    """Lay out a store's files in place of what is there."""
    for old in path.parent.glob(f"{path.name}*"):
        old.unlink()
    path.write_bytes(data)
    Path(f"{path}-wal").write_bytes(log)


def read(path: Path, said) -> str:
    """Open a damaged store as a run does: "right", "previous" or "refused"; asserts that it is never wrong.

    ``said()`` tells whether anything was logged so far.
    """
    try:
        with Store(path) as store:
            outcomes = {read_snapshot(store, said), read_commit(store), read_journal(store)}
            read_events(store, said)
            write_again(store)
    except StateError:
        return "refused"
    return next(outcome for outcome in ("refused", "previous", "right") if outcome in outcomes)


def read_snapshot(store: Store, said) -> str:
    try:
        found = store.load()
    except StateError:
        return "refused"
    assert found in (SNAPSHOTS[2], SNAPSHOTS[3])
    assert found == SNAPSHOTS[3] or said()
    return "right" if found == SNAPSHOTS[3] else "previous"


def read_commit(store: Store) -> str:
    try:
        commit = store.committed()
    except StateError:
        return "refused"
    assert commit in COMMITS[5:]  # what stood before the newest snapshot cannot come back
    return "right" if commit == COMMITS[8] else "previous"


def read_journal(store: Store) -> str:
    try:
        entries = store.journal()
    except StateError:
        return "refused"
    assert [(entry.kind, entry.payload, entry.positions) for entry in entries] == COMMANDS
    return "right"


def read_events(store: Store, said) -> None:
    events, due = store.events(), [entry.id for entry in store.outbox_due(99)]
    assert all(row in EVENTS for row in events) and set(due) <= set(ALERTS)
    assert (len(events) == len(EVENTS) and len(due) == len(ALERTS)) or said()


def write_again(store: Store) -> None:
    """Whatever was found, the store works."""
    store.commit(*COMMITS[8])
    assert store.committed() == COMMITS[8]
    assert store.events_add(EVENTS) + len(EVENTS) >= len(store.events()) == len(EVENTS)
    number = store.save(SNAPSHOTS[3])
    assert store.load() == replace(SNAPSHOTS[3], number=number)


def make_small(monkeypatch) -> None:
    """Pages and chunks that make a small store have several."""
    monkeypatch.setattr(snapshots, "CHUNK_BYTES", 4000)
    monkeypatch.setattr(creation, "PAGE_BYTES", 4096)


def alter(path, statement, *values):
    """Change a store behind its back."""
    database = sqlite3.connect(path)
    with database:
        assert database.execute(statement, values).rowcount > 0
    database.close()
