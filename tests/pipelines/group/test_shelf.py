"""Blobs of partitions in a log: cut short, written by two at once, refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamrnn.errors import RetriableError, StateError
from streamrnn.pipelines.group.blobs import Blob, Blobs
from streamrnn.pipelines.group.parcels import Ledger, pack_snapshot, unpack_snapshot
from streamrnn.pipelines.group.shelf import CHUNK_BYTES, Shelf
from streamrnn.pipelines.store import JournalEntry, Snapshot

LARGE = bytes(range(256)) * (2 * CHUNK_BYTES // 256 + 7)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


class FakeLog:
    """A log in memory, whose writes stop after so many entries."""

    def __init__(self):
        self.held, self.room, self.let_go_of = {}, None, set()

    def entries(self, partition):
        return self.held.setdefault(partition, {})

    def let_go(self, partition, keys):
        self.let_go_of.update(keys)

    def write(self, partition, entries, timeout_s):
        for key, value in entries:
            if self.room == 0:
                raise RetriableError("the broker is away")
            self.room = None if self.room is None else self.room - 1
            if value is None:
                self.held[partition].pop(key, None)
            else:
                self.held[partition][key] = value


def shelf(log, home="flow-3"):
    blobs = Blobs(log, Path())
    blobs.look([3])
    return Shelf(log, blobs, 3, home, timeout_s=1.0)


def taken(log, home="flow-3"):
    """What is found there."""
    return {kind: bytes(blob.take()) for kind, blob in shelf(log, home).take().items()}


def test_the_next_owner_finds_the_newest_blob_of_each_kind():
    log = FakeLog()
    ours = shelf(log)
    assert ours.take() == {}
    ours.put("state", b"old")
    ours.put("state", LARGE)
    ours.put("ledger", b"")
    shelf(log, "flow-31").put("state", b"of another partition")
    assert taken(log) == {"state": LARGE, "ledger": b""}


@pytest.mark.parametrize("cut", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, len(LARGE)])
def test_a_blob_in_parts_is_that_of_the_whole(cut):
    log = FakeLog()
    shelf(log).put("state", LARGE[:cut], b"", memoryview(LARGE)[cut:])
    assert taken(log) == {"state": LARGE}
    assert sorted(map(len, log.entries(3).values()))[1:] == sorted(
        [len(LARGE) - 2 * CHUNK_BYTES, CHUNK_BYTES, CHUNK_BYTES]
    )


def test_no_message_is_larger_than_brokers_take_and_no_blob_stays_for_ever():
    log = FakeLog()
    ours = shelf(log)
    for _ in range(5):
        ours.put("state", LARGE)
    assert max(len(key) + len(value) for key, value in log.entries(3).items()) < 1_000_000
    assert len(log.entries(3)) == 4  # three chunks and what says so


@pytest.mark.parametrize("room", range(8))
def test_a_blob_that_is_cut_short_anywhere_leaves_the_one_before_it(room):
    log = FakeLog()
    ours = shelf(log)
    ours.put("state", b"before")
    log.room = room
    try:
        ours.put("state", LARGE)
        written = True
    except RetriableError:
        written = False
    log.room = None
    assert taken(log) == {"state": LARGE if written or room >= 4 else b"before"}
    ours.put("state", b"after")
    assert taken(log) == {"state": b"after"}
    assert len(log.entries(3)) == 2  # nothing of what was cut short stays


def test_an_owner_that_does_not_know_that_it_lost_the_partition_spoils_nothing():
    log = FakeLog()
    first = shelf(log)
    first.put("state", b"of the first")
    second = shelf(log)
    second.put("state", b"of the second")
    first.put("state", b"too late")
    assert taken(log) == {"state": b"of the second"}
    second.put("state", b"of the second again")
    first.put("state", b"too late again")
    third = shelf(log)
    assert taken(log) == {"state": b"of the second again"}
    third.put("state", b"of the third")
    assert taken(log) == {"state": b"of the third"}


def test_a_chunk_that_was_changed_is_noticed():
    log = FakeLog()
    shelf(log).put("state", LARGE)
    key = next(key for key in log.entries(3) if key.endswith(b"/1"))
    log.entries(3)[key] = b"x" + log.entries(3)[key][1:]
    assert taken(log) == {}


def test_snapshots_and_ledgers_come_back_as_they_were():
    snapshot = Snapshot(
        1, b"fleet", ("flow-3",), {"flow-3": 7}, {"journal": 2}, {"waiting": b"", "ttl": b"1d"}
    )
    packed = b"".join(pack_snapshot(snapshot))
    assert unpack_snapshot(memoryview(packed)) == (snapshot, 192)
    assert packed[192:197] == b"fleet"  # where rows are aligned as in memory
    entry = JournalEntry(2, "reload", {"ttl": "1d"}, {"flow-3": 9})
    ledger = Ledger((entry,), 1, 4, {"incidents": [["flow-3-1", 5, 1, 1, 0, "{}"]]})
    assert Ledger.from_bytes(ledger.to_bytes()) == ledger


def test_a_newer_format_is_refused_with_words():
    with pytest.raises(StateError, match="format 2, this streamrnn reads 1"):
        Ledger.from_bytes(b'{"format": 2}')


def test_what_is_large_is_put_together_once_and_its_chunks_are_held_no_more():
    log = FakeLog()
    shelf(log).put("state", LARGE)
    blobs = Blobs(log, Path())
    blobs.look([3], ["flow-3"])
    whole = next(key for key in log.entries(3) if key.endswith(b"/whole"))
    assert blobs.get(3, whole) is None and not log.let_go_of  # it is somebody's who has it
    blobs.look([3])
    blob = blobs.get(3, whole)
    assert log.let_go_of == log.entries(3).keys() - {whole}
    blobs.look([3], ["flow-3"])
    assert blobs.get(3, whole) is blob
    shelf(log).put("state", b"newer")
    blobs.look([3])
    assert blobs.get(3, whole) is None


@pytest.mark.parametrize("folder", [".", "where/none/is"])
def test_what_an_owner_does_with_a_blob_nobody_else_sees(folder):
    blob = Blob(Path(folder), [b"some ", b"bytes"])
    first = blob.take()
    if not first.readonly:
        first[:4] = b"none"
    assert first.readonly == (folder != ".")  # where there is no room for a file it is held in memory
    second = blob.take()
    assert bytes(second) == b"some bytes" and second.readonly and blob.read(5, 3) == b"byt"
