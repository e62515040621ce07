"""Every record around the strongest events."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streamrnn import Batch
from streamrnn.kernels import thinning
from streamrnn.pipelines.events import EventLog
from streamrnn.pipelines.outputs import some_results
from streamrnn.pipelines.web import closeups as module
from streamrnn.pipelines.web.closeups import AFTER, BEFORE, Closeups


@pytest.fixture
def stream(batch_of, results_of):
    """Two interleaved series of n records with an event of given strength at given places."""

    def maker(n, strengths):
        batch = batch_of(np.arange(float(n)))
        batch.series[:] = np.arange(n) % 2
        opens = np.isin(np.arange(n), list(strengths))
        strength = np.zeros(n)
        strength[list(strengths)] = list(strengths.values())
        found = results_of(
            n,
            alert_strength=strength,
            event_offset=np.where(opens, np.arange(n), -1),
            event_partition=np.where(opens, 0, -1).astype(np.int32),
        )
        return batch, found

    return maker


def run(batch, found, cuts=()):
    """Close-ups and events of a stream, cut into batches at these places."""
    close, events = Closeups(("a",)), EventLog(("a",))
    for places in np.split(np.arange(len(batch)), cuts):
        part = Batch(**{name: column[places] for name, column in vars(batch).items()})
        for watcher in (close, events):
            watcher.add(part, some_results(found, places))
    events.finish()
    return close, events.strongest()


def test_a_closeup_holds_every_record_of_its_series_from_before_an_event_to_after_it(stream):
    close, events = run(*stream(4000, {2000: 0.9}))
    rows = close.of(events[0])
    offsets = rows.whole[:, thinning.OFFSET]
    assert rows.stride == 1
    assert offsets.tolist() == list(range(2000 - 2 * BEFORE, 2000 + 2 * AFTER, 2))
    assert (rows.channel(0)[0] == offsets).all()  # the values of the stream are their offsets


def test_near_the_ends_of_a_stream_it_holds_what_there_is(stream):
    close, events = run(*stream(600, {10: 0.9, 591: 0.8}))
    first, last = (close.of(event).whole[:, thinning.OFFSET] for event in events)
    assert (first[0], first[-1]) == (0, 598)
    assert (last[0], last[-1]) == (591 - 2 * BEFORE, 599)


@pytest.mark.parametrize("seed", range(5))
def test_how_a_stream_is_cut_into_batches_changes_nothing(stream, seed):
    rng = np.random.default_rng(seed)
    batch, found = stream(3000, {700: 0.6, 731: 0.7, 1500: 0.9, 2990: 0.5})
    found = replace(found, surprise=rng.random(3000), status=rng.integers(0, 6, 3000).astype(np.int8))
    found.status[[700, 731, 1500, 2990]] = 2
    whole, events = run(batch, found)
    parts, _ = run(batch, found, cuts=np.unique(rng.integers(1, 3000, 40)))
    assert len(events) == 4
    for event in events:
        one, other = whole.of(event), parts.of(event)
        assert (one.whole == other.whole).all()
        assert np.array_equal(one.numbers, other.numbers, equal_nan=True)


def test_only_the_strongest_are_kept_and_memory_stays_bounded(stream, monkeypatch):
    monkeypatch.setattr(module, "_MOST", 3)
    strengths = {2000 * k: 0.5 + 0.01 * (k * 7 % 10) for k in range(1, 10)}
    close, events = run(*stream(22_000, strengths), cuts=range(1000, 22_000, 1000))
    kept = [close.of(event) is not None for event in events]
    assert kept == [True] * 3 + [False] * 6
    assert len(close._strongest) == 3 and not close._open
    assert all(len(rows) <= BEFORE for rows in close._recent.values())


def test_a_value_that_is_none_is_missing_in_a_closeup_too(stream):
    batch, found = stream(1000, {500: 0.9})
    batch.values[[500, 502, 504], 0] = [np.inf, 1e200, np.nan]
    close, events = run(batch, found)
    rows = close.of(events[0])
    at = np.isin(rows.whole[:, thinning.OFFSET], [500, 502, 504])
    assert np.isnan(rows.channel(0)[:2, at]).all() and not np.isnan(rows.channel(0)[0, ~at]).any()
