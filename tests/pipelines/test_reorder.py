"""The window that puts late-coming records in order: the same whatever the batches are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrnn.connectors.base import Read, together
from streamrnn.errors import StateError
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines import reorder
from streamrnn.pipelines.packed import pack, unpack
from streamrnn.pipelines.reorder import COMMAND, Reorder

WINDOW = 10


def read_of(times, series=None, labels=None, first=0):
    n = len(times)
    cells = [f"{first + i}\udcff" if i % 7 == 0 else f"row {first + i}" for i in range(n)]
    return Read(
        series=np.zeros(n, np.int32) if series is None else np.array(series, np.int32),
        times=np.array(times, np.int64),
        values=np.arange(first, first + n, dtype=float)[:, None],
        partitions=np.zeros(n, np.int32),
        offsets=np.arange(first, first + n, dtype=np.int64),
        columns={"cell": cells, "number": np.arange(n) / 3, "mixed": [None, 1, "x", 2.5, True][:n] * n},
        labels=labels,
    )


def rows(leaving):
    """What a leaving says, row by row."""
    read = leaving.read
    return list(
        zip(
            read.series.tolist(),
            read.times.tolist(),
            read.values.ravel().tolist(),
            read.offsets.tolist(),
            read.columns.get("cell", []),
            leaving.partitions.tolist(),
            leaving.offsets.tolist(),
            strict=True,
        )
    )


def all_rows(read, window=WINDOW):
    """Whole stream at once, then the end: (rows that left, rows at the end)."""
    one = Reorder(window)
    return rows(one.push(read)), rows(one.flush(7))


TIMES = st.one_of(st.integers(0, 60), st.integers(0, 60), st.just(NO_TIME), st.integers(10**6, 10**6 + 9))
RECORDS = st.lists(st.tuples(st.integers(0, 2), TIMES), min_size=1, max_size=120)


def stream(records):
    read = read_of([time for _, time in records], [code for code, _ in records])
    return replace(read, columns={"cell": read.columns["cell"], "number": read.columns["number"]})


@given(RECORDS, st.lists(st.tuples(st.integers(0, 120), st.booleans()), max_size=8), st.integers(1, 5))
def test_cuts_and_restarts_change_nothing(records, cuts, most):
    read = stream(records)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reorder, "MOST_WAITING", 4 * most)
        patch.setattr(reorder, "_ROOM", 2)  # tidied again and again
        patch.setattr(reorder, "_MOST_BEHIND", most)
        whole, end = all_rows(read)
        window, parts, start = Reorder(WINDOW), [], 0
        for cut, restarts in [*sorted(cuts), (len(read), False)]:
            parts += rows(window.push(read.some(slice(start, cut)))) if cut > start else []
            start = max(start, cut)
            window = Reorder(WINDOW, window.to_bytes()) if restarts else window
        assert parts == whole
        assert rows(window.flush(7)) == end
    assert sorted(row[3] for row in whole + end) == list(range(len(read)))
    assert all(row[5:] == (COMMAND, 7) for row in end)


@given(RECORDS)
def test_a_record_leaves_when_its_series_has_seen_a_time_later_by_the_window(records):
    read = stream(records)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reorder, "_MOST_BEHIND", 1000)
        whole, end = all_rows(read)
    left = {row[3]: row[6] for row in whole}
    for i, (code, time) in enumerate(records):
        reached = (
            j
            for j, (other, at) in enumerate(records)
            if j >= i and other == code and NO_TIME not in {time, at} and at >= time + WINDOW
        )
        seen = [at for other, at in records[: i + 1] if other == code and at != NO_TIME]
        at_once = time == NO_TIME or max(seen) >= time + WINDOW
        assert left.get(i) == (i if at_once else next(reached, None))
    assert {row[3] for row in end} == set(range(len(records))) - set(left)


@given(st.lists(st.integers(0, 8), min_size=1, max_size=200), st.data())
def test_a_stream_shuffled_within_the_window_leaves_in_order(steps, data):
    times = np.cumsum(steps)
    delays = data.draw(st.lists(st.integers(0, WINDOW), min_size=len(times), max_size=len(times)))
    order = np.argsort(times + np.array(delays), kind="stable")
    whole, end = all_rows(read_of(times[order]).some(slice(None)))
    assert [row[1] for row in whole + end] == sorted(times.tolist())


def test_ties_leave_as_they_came_and_records_without_a_time_at_once():
    whole, end = all_rows(read_of([5, 5, NO_TIME, 4, 5, 30, NO_TIME]))
    assert [row[3] for row in whole] == [2, 3, 0, 1, 4, 6]
    assert [row[6] for row in whole] == [2, 5, 5, 5, 5, 6]
    assert [row[3] for row in end] == [5]


def test_so_many_wait_at_most_and_the_earliest_leaves(monkeypatch):
    monkeypatch.setattr(reorder, "MOST_WAITING", 3)
    window = Reorder(10**6)
    assert [row[1] for row in rows(window.push(read_of([9, 5, 7, 8, 6])))] == [5, 6]
    assert window.waiting == 3


def test_a_clock_that_was_wrong_is_forgotten():
    times = [100, 10**9, *range(101, 140), 139 + 5, 139 + 2, 200]
    whole, _ = all_rows(read_of(times))
    left = [row[1] for row in whole]
    jump = left.index(10**9)
    assert left[:jump] == [100, *range(101, 121)]  # as many as may be behind
    assert left[jump + 1 :] == [*range(121, 140), 141, 144]


def test_what_waits_does_not_keep_memory_of_what_left():
    window = Reorder(10**12)
    for first in range(0, 3 * 4096, 64):
        window.push(read_of([first if first == 0 else NO_TIME] * 64, first=first))
        assert sum(len(part) for part in window._parts) <= 2 * window.waiting + reorder._ROOM + 64
    assert len(window._parts) <= 4096 / 64 + 3


def test_a_window_of_nothing_lets_the_batch_pass_as_it_is():
    read = read_of([3, 2, 1])
    assert Reorder(0).push(read).read is read


def test_rows_of_any_kind_survive_a_restart_and_each_other():
    labels = np.array([True, False, True])
    first = replace(
        read_of([1, 2, 3], labels=labels), columns={"a": ["x", 1, None], "t": np.array([1, 2, 3], "M8[ns]")}
    )
    second = replace(read_of([4, 5, 30], first=3), columns={"b": ["y", 2**70, float("inf")]})
    window = Reorder(WINDOW)
    window.push(first)
    window = Reorder(WINDOW, window.to_bytes())
    left = window.push(second).read
    assert left.columns["a"] == ["x", 1, None, None, None]
    assert left.columns["b"] == [None, None, None, "y", 2**70]
    assert left.columns["t"][:3] == [np.datetime64(n, "ns") for n in (1, 2, 3)]
    assert left.labels.tolist() == [True, False, True, False, False]


def test_bytes_that_are_none_are_refused():
    good = pack({"x": np.arange(4)})
    for bad in (b"", b"SRNN", good[:-1], b"x" + good[1:], good[:8] + b"\2" + good[9:]):
        with pytest.raises(StateError):
            unpack(bad)


def test_reads_of_other_columns_come_together_with_none_where_one_lacks_them():
    one = replace(read_of([1]), columns={"a": ["x"]})
    two = replace(read_of([2]), columns={"b": np.array([2.0])})
    assert together([one, two]).columns == {"a": ["x", None], "b": [None, 2.0]}
