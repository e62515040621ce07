"""The store on a disk that is full: nothing that was stored is lost, and it goes on when there is room."""

from __future__ import annotations

import random
import resource
from dataclasses import replace
from pathlib import Path

import pytest

from streamrnn import StoreError
from streamrnn.pipelines.store import Snapshot, Store

FIRST = Snapshot(1, b"\x00" * 100_000, (), {"a.csv": 7}, {})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.db"


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
