"""Events of series as rows of the store: the same however records are cut, across restarts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrnn import Batch, Fleet, Settings
from streamrnn.connectors.base import Read
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.coding import Coding
from streamrnn.pipelines.event_rows import EventRows
from streamrnn.pipelines.outputs import some_results

MINUTE = 60 * 10**9


def _made(n, series):
    """Records of some series with odd values now and then, a few of them late or twice."""
    rng = np.random.default_rng(1)
    times = MINUTE * np.repeat(np.arange(n // series), series)
    late = rng.random(n) < 0.05
    times[late] -= 2 * MINUTE
    values = np.sin(np.arange(n)[:, None] / 50) + rng.normal(0, 0.1, (n, 2))
    odd = rng.random(n) < 0.02
    values[odd] += rng.choice([-6.0, 6.0], (int(odd.sum()), 2))
    codes = np.tile(np.arange(series, dtype=np.int32), n // series)
    batch = Batch(codes, times, values, (codes % 2).astype(np.int32), np.arange(n))
    return Read(**vars(batch), columns={"cell": [""] * n})


@pytest.fixture(scope="module")
def scored():
    fleet = Fleet(Settings(channels=["flow", "level"], false_alarms=0.01))
    fleet.series(["a", "b", "c"])
    batch = _made(3000, 3)
    return Coding(fleet, ("north", "south")), batch, fleet.process(batch)


def rows_of(coding, batch, found, cuts):
    rows, follower, start = [], EventRows(coding), 0
    for cut, restarts in [*cuts, (len(batch), False)]:
        part = slice(start, cut)
        follower.scored(batch.some(part), some_results(found, part))
        rows += follower.take_events()
        start = max(start, cut)
        follower = EventRows(coding, follower.to_bytes()) if restarts else follower
    return sorted(map(repr, rows))


@given(st.lists(st.tuples(st.integers(0, 3000), st.booleans()), max_size=30))
def test_cuts_and_restarts_change_no_event(scored, cuts):
    assert rows_of(*scored, sorted(cuts)) == rows_of(*scored, [])


def test_an_event_is_over_at_the_first_judged_record_that_is_not_in_it(scored):
    coding, batch, found = scored
    follower = EventRows(coding)
    ended = {}
    for i in range(len(batch)):
        follower.scored(batch.some(slice(i, i + 1)), some_results(found, slice(i, i + 1)))
        ended |= {row.payload["event"]: i for row in follower.take_events() if row.kind == "event-over"}
    assert len(ended) > 10
    for name, i in ended.items():
        opened = int(name.rsplit("-", 1)[1])
        mine = np.flatnonzero(batch.series == batch.series[i])
        inside = mine[found.event_offset[mine] == opened]
        judged = mine[(mine > inside[-1]) & (found.status[mine] < 4)]
        assert i == judged[0]


def test_events_without_times_have_none(scored):
    coding, batch, found = scored
    follower = EventRows(coding)
    follower.scored(replace(batch, times=np.full(len(batch), NO_TIME)), found)
    rows = follower.take_events()
    assert {row.time for row in rows} == {NO_TIME}
    assert {row.payload["start"] for row in rows} == {None}
