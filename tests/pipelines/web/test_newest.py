"""The newest records of each series, and how they reach a page bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn import Batch, Fleet, Settings
from streamrnn.pipelines.kept import single_rows
from streamrnn.pipelines.web.newest import NewestRows


def records(n, series, channels=1, seed=0):
    """Records of some series in any order."""
    rng = np.random.default_rng(seed)
    return Batch(
        rng.integers(series, size=n).astype(np.int32),
        np.arange(n, dtype=np.int64) * 10**9,
        rng.normal(size=(n, channels)),
        np.zeros(n, np.int32),
        np.arange(n, dtype=np.int64),
    )


def some(batch, rows):
    return Batch(*(column[rows] for column in vars(batch).values()))


@pytest.mark.parametrize("cuts", [(), (1, 2, 700, 5000), tuple(range(0, 9000, 97))])
def test_the_rows_of_a_series_are_its_newest_records_however_batches_are_cut(cuts):
    batch, settings = records(9000, 3, 2), Settings(channels=["a", "b"])
    batch.values[[5000, 8000], [0, 1]] = np.nan, 1e200
    fleet, twin = Fleet(settings), Fleet(settings)
    fleet.series(["x", "y", "z"])
    twin.series(["x", "y", "z"])
    found = twin.process(batch)
    newest = NewestRows(settings.channels)
    for part in np.split(np.arange(9000), cuts):
        newest.add(some(batch, part), fleet.process(some(batch, part)))
    for code in range(3):
        mine = np.flatnonzero(batch.series == code)
        assert newest.seen(code) == len(mine)
        rows, expected = newest.series(code), single_rows(batch, found, mine[-2048:], 2)
        assert rows.whole[:, 0].tolist() == mine[-2048:].tolist()
        np.testing.assert_array_equal(rows.whole, expected.whole)
        np.testing.assert_array_equal(rows.numbers, expected.numbers)


def test_memory_stays_bounded_and_what_is_kept_survives_more_series():
    settings = Settings(channels=[f"c{d}" for d in range(8)])
    fleet, newest = Fleet(settings), NewestRows(settings.channels)
    fleet.series([f"s{code}" for code in range(2000)])
    first = records(500, 1, 8)
    newest.add(first, fleet.process(first))
    for series in (20, 2000):
        batch = records(4000, series, 8, seed=series)
        newest.add(batch, fleet.process(batch))
    assert newest.n_kept < 200
    held = sum(part.nbytes for part in newest._rings)
    assert held < 40_000_000
    offsets = newest.series(0).whole[:, 0]
    assert newest.seen(0) > 500 and len(offsets) == newest.held(0)
