"""Snapshots that are written while their lane goes on."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest

from streamrnn.errors import FatalConnectorError, RetriableError, StoreError
from streamrnn.pipelines.group.flight import Flight
from streamrnn.pipelines.group.lane_store import LaneStore
from streamrnn.pipelines.group.parcels import Ledger
from streamrnn.pipelines.store import Snapshot, Store


class FakeShelf:
    """Takes blobs as soon as it is let, or raises what it is told."""

    def __init__(self):
        self.free, self.errors, self.held = threading.Event(), [], {}

    def put(self, kind, *parts):
        if kind == "state":
            assert self.free.wait(30)
            if self.errors:
                raise self.errors.pop()
        self.held[kind] = b"".join(parts)


def landed(flight):
    end = time.monotonic() + 30
    while flight.landed(0.01) is None:
        assert time.monotonic() < end


def test_what_is_refused_is_written_again_and_what_makes_no_sense_is_raised(caplog):
    errors = [FatalConnectorError("forbidden"), RetriableError("away"), RetriableError("away")]
    tried = []

    def write():
        tried.append(1)
        if len(tried) < 4 and len(errors) > 1:
            raise errors.pop()

    landed(Flight(write, 1))
    assert len(tried) == 3 and caplog.text.count("the one before it still counts: away") == 1

    def forbidden():
        raise errors[0]

    with pytest.raises(FatalConnectorError, match="forbidden"):
        landed(Flight(forbidden, 1))


def snapshot(number, command):
    return Snapshot(0, b"%d" % number, ("flow-0",), {"flow-0": number}, {"journal": command})


def test_the_first_snapshot_is_waited_for_and_later_ones_are_safe_when_they_are_there(tmp_path):
    shelf, path = FakeShelf(), tmp_path / "state.db"
    shelf.free.set()
    with Store(path), closing(LaneStore(path, "flow-0", shelf, Ledger(), None)) as store:
        for number in range(1, 4):
            assert store.journal_add("reload", {}, {}) == number
        shelf.errors.append(RetriableError("away"))
        with pytest.raises(StoreError, match="away"):
            store.save(snapshot(1, 1))
        assert store.safe[0] == store.newest_snapshot == 0
        assert store.save(snapshot(1, 1)) == store.safe[0] == 1
        store.journal_forget(1)
        shelf.free.clear()
        assert store.save(snapshot(2, 3)) == 2
        assert store.saving and store.safe[0] == 1 and not store.settle(0.01)
        with pytest.raises(StoreError, match="still on its way"):
            store.save(snapshot(3, 3))
        store.journal_forget(3)
        # Who takes over now begins at the first.
        assert [entry.number for entry in store.journal()] == [1, 2, 3]
        assert store.snapshot_part(2, 0, 1) == b"2"
        store.commit({}, {"commands": 3})
        shelf.free.set()
        assert store.settle(30) and store.safe[0] == 2 and b"2" in shelf.held["state"]
        store.journal_forget(3)
        assert [entry.number for entry in store.journal()] == [3]
        assert store.snapshot_part(2, 0, 1) == b"2"
