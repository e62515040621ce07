from __future__ import annotations

import numpy as np
import pytest
from guarded import Arena
from naive_tally import SeriesTally, step_bin, thinned

from streamrnn import Batch, Results, Settings
from streamrnn.kernels import tally as kernel
from streamrnn.kernels import thinning
from streamrnn.kernels.plan import CALIBRATED, LATE, NO_TIME
from streamrnn.pipelines import kept as kept_module
from streamrnn.pipelines.kept import KeptRows
from streamrnn.pipelines.tally import Tally
from streamrnn.pipelines.web import newest as newest_module
from streamrnn.pipelines.web.newest import NewestRows

SECOND = 1_000_000_000
ODD = [np.nan, np.inf, -np.inf, 1e308, -1e100, 0.0]
# the kernel's counters by the twin's names
COUNTERS = {
    "normal": kernel.NORMAL,
    "repeated": kernel.REPEATED,
    "backwards": kernel.BACKWARDS,
    "events": kernel.EVENTS,
    "alerts": kernel.ALERTS,
    "sure_alerts": kernel.SURE_ALERTS,
    "true_alerts": kernel.TRUE_ALERTS,
    "true_sure_alerts": kernel.TRUE_SURE_ALERTS,
    "windows": kernel.WINDOWS,
    "windows_scored": kernel.WINDOWS_SCORED,
    "windows_found": kernel.WINDOWS_FOUND,
    "windows_alerted": kernel.WINDOWS_ALERTED,
    "delay_records": kernel.DELAY_RECORDS,
    "delays_timed": kernel.DELAYS_TIMED,
    "delay_ns": kernel.DELAY_NS,
    "quiet": kernel.QUIET,
    "quiet_alarms": kernel.QUIET_ALARMS,
}
MOMENTS = {"first": kernel.FIRST, "last": kernel.LAST, "scored": kernel.SCORED, "sure": kernel.SURE}


def stream(seed, n=600, series=3, channels=2):
    """(batch, results, labels) in which everything happens."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, series, n).astype(np.int32)
    steps = rng.choice([-5, 0, 1, 10, 400], n, p=[0.03, 0.05, 0.05, 0.86, 0.01]) * SECOND
    times = np.where(rng.random(n) < 0.03, NO_TIME, np.cumsum(steps) + codes)
    values = rng.normal(size=(n, channels)).round(2)
    yhat = rng.normal(size=(n, channels))
    for numbers in (values, yhat):
        numbers[rng.random((n, channels)) < 0.1] = rng.choice(ODD)
    hit = rng.random(n) < 0.2
    opened = np.repeat(np.where(rng.random(n // 6) < 0.6, np.arange(n // 6) * 6, -1), 6)
    found = Results(
        yhat=yhat,
        yhat_lower=yhat - 1,
        yhat_upper=yhat + 1,
        share=rng.random((n, channels)),
        ahead=np.zeros((n, channels, 0, 3)),
        anomaly_score=np.zeros(n),
        p_value=np.ones(n),
        surprise=np.where(rng.random(n) < 0.2, np.nan, rng.random(n).round(1)),
        alert_strength=np.where(rng.random(n) < 0.3, rng.random(n), 0.0),
        level=rng.random(n),
        alert_level=rng.random(n),
        is_anomaly=hit & (opened >= 0),
        status=rng.choice(6, n, p=[0.1, 0.3, 0.4, 0.1, 0.05, 0.05]).astype(np.int8),
        event_partition=np.where(opened >= 0, codes % 2, -1).astype(np.int32),
        event_offset=opened,
        event_kind=np.where(opened >= 0, rng.integers(1, 8, n), 0).astype(np.int8),
    )
    batch = Batch(codes, times, values, np.zeros(n, np.int32), np.arange(n, dtype=np.int64))
    return batch, found, np.repeat(rng.random(n // 15) < 0.3, 15)


def part_of(thing, rows):
    return type(thing)(**{name: column[rows] for name, column in vars(thing).items()})


def cuts(n, seed):
    edges = np.sort(np.random.default_rng(seed).choice(np.arange(1, n), 7, replace=False))
    return [slice(a, b) for a, b in zip([0, *edges], [*edges, n], strict=True)]


def tallied(batch, found, labels, parts, **season):
    tally = Tally(Settings(channels=("a", "b")), **season)
    for rows in parts:
        tally.add(part_of(batch, rows), part_of(found, rows), labels[rows])
    return tally


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("season", [{}, {"season": 3, "step_ns": 30.0 * SECOND}], ids=["none", "season"])
def test_every_count_is_that_of_the_plain_twin(seed, season):
    batch, found, labels = stream(seed)
    tally = tallied(batch, found, labels, cuts(len(batch), seed), **season)
    seen = 0
    for code in range(3):
        twin = SeriesTally(2, **season)
        for i in np.flatnonzero(batch.series == code):
            twin.add(batch, found, labels[i], i)
        counts = tally.series(code)
        counters = counts.counters
        numbers, totals = tally.races(slice(code, code + 1))
        assert counts.statuses.tolist() == [twin.n["status", k] for k in range(6)]
        assert counts.alarms.tolist() == [twin.n["alarm", k] for k in range(6)]
        assert {name: counters[place] for name, place in COUNTERS.items()} == {n: twin.n[n] for n in COUNTERS}
        assert {name: counts.moment(place) for name, place in MOMENTS.items()} == twin.moments
        assert (counters[kernel.LONGEST], counters[kernel.LONGEST_START]) == twin.longest
        assert counts.largest.tolist() == [twin.strength, twin.surprise]
        bins = np.bincount([step_bin(step) for step in twin.steps], minlength=kernel.BINS)
        assert counts.steps.tolist() == bins.tolist()
        assert counts.step_sums.sum() == sum(twin.steps)
        for d in range(2):
            errors = twin.errors[d]
            raced = [errors[name] for name in ("last", "season", "ewma", "linear")]
            assert numbers[0, d].tolist() == [len(errors["forecast"]), twin.within[d], *map(len, raced)]
            sums = [sum(errors["forecast"])]
            sums += [sum(pair[k] for pair in pairs) for pairs in raced for k in (0, 1)]
            np.testing.assert_allclose(totals[0, d], sums, rtol=1e-9)
            seen += len(errors["season"])
    assert (seen > 20) == bool(season)


def test_no_count_depends_on_how_a_stream_is_cut():
    batch, found, labels = stream(11)
    season = {"season": 3, "step_ns": 30.0 * SECOND}
    whole = tallied(batch, found, labels, [slice(None)], **season)
    one_by_one = tallied(batch, found, labels, [slice(i, i + 1) for i in range(len(batch))], **season)
    for a, b in zip(one_by_one._rows, whole._rows, strict=True):
        np.testing.assert_array_equal(a[:3], b[:3])


def test_a_series_counts_the_same_alone_as_among_others():
    batch, found, labels = stream(12)
    among = tallied(batch, found, labels, [slice(None)])
    rows = np.flatnonzero(batch.series == 1)
    own = part_of(batch, rows)
    own.series[:] = 0
    alone = Tally(Settings(channels=("a", "b")))
    alone.add(own, part_of(found, rows), labels[rows])
    for a, b in zip(alone.series(0), among.series(1), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("step", [1, 2**10, 2**10 + 127, 2**10 + 128, 3600 * SECOND, 2**58, 2**63 - 1])
def test_steps_fall_into_eight_bins_an_octave(step):
    batch = Batch.of_one_series(np.zeros((2, 1)), np.array([0, step], np.int64))
    quiet = part_of(stream(0, channels=1)[1], slice(0, 2))
    quiet.status[:] = CALIBRATED
    tally = Tally(Settings())
    tally.add(batch, quiet)
    assert np.flatnonzero(tally.series(0).steps).tolist() == [step_bin(step)]


def test_a_step_of_centuries_is_counted_as_the_longest_there_can_be():
    batch = Batch.of_one_series(np.zeros((2, 1)), np.array([-(2**62) - 5, 2**62 + 5], np.int64))
    quiet = part_of(stream(0, channels=1)[1], slice(0, 2))
    quiet.status[:] = CALIBRATED
    tally = Tally(Settings())
    tally.add(batch, quiet)
    assert tally.series(0).counters[kernel.LONGEST] == 2**63 - 1


@pytest.mark.parametrize("n", [5, 64, 65, 600])
@pytest.mark.parametrize("cut", ["whole", "parts", "one by one"])
def test_kept_rows_are_the_extremes_of_the_plain_twin_however_cut(monkeypatch, n, cut):
    monkeypatch.setattr(kept_module, "MOST_BINS", 32)
    monkeypatch.setattr(kept_module, "FEWEST_BINS", 8)
    monkeypatch.setattr(kept_module, "_ROOM", 40 * (4 + 3 + 10))
    batch, found, _ = (
        part_of(x, slice(0, n)) if not isinstance(x, np.ndarray) else x for x in stream(3, 600)
    )
    ways = {
        "whole": [slice(None)],
        "parts": cuts(n, 1) if n > 8 else [slice(None)],
        "one by one": [slice(i, i + 1) for i in range(n)],
    }
    kept = KeptRows(("a", "b"))
    for rows in ways[cut]:
        kept.add(part_of(batch, rows), part_of(found, rows))
    assert kept.n_kept == 3
    for code in range(kept.n_kept):
        records = [
            {
                "offset": i,
                "surprise": found.surprise[i],
                "values": np.where(np.abs(batch.values[i]) <= 1e100, batch.values[i], np.nan),
                "yhat": found.yhat[i],
                "hit": found.is_anomaly[i],
                "strength": found.alert_strength[i],
            }
            for i in np.flatnonzero((batch.series == code) & (found.status < LATE))
        ]
        rows, want = kept.series(code), thinned(records, 8)
        assert len(rows) == len(want) <= 8
        assert rows.column("offset").tolist() == [row["offset"] for row in want]
        assert rows.column("is_anomaly").tolist() == [row["hit"] for row in want]
        np.testing.assert_array_equal(rows.column("strength"), [row["strength"] for row in want])
        for d in range(2):
            channel = rows.channel(d)
            np.testing.assert_array_equal(channel[thinning.LOWEST], [row["lowest"][d] for row in want])
            np.testing.assert_array_equal(channel[thinning.HIGHEST], [row["highest"][d] for row in want])
            np.testing.assert_array_equal(channel[thinning.YHAT], [row["yhat"][d] for row in want])


def between_canaries(arrays):
    """The same arrays, each in memory of its own between canaries."""
    arenas = [Arena.of(array) for array in arrays]
    pairs = zip(arenas, arrays, strict=True)
    return arenas, type(arrays)(*(arena.bytes.view(a.dtype).reshape(a.shape) for arena, a in pairs))


@pytest.mark.parametrize(("channels", "series", "season"), [(1, 1, 0), (2, 3, 7), (5, 8, 1)])
def test_nothing_is_written_outside_of_the_tallies_and_the_bins(monkeypatch, channels, series, season):
    monkeypatch.setattr(kept_module, "MOST_BINS", 16)
    monkeypatch.setattr(kept_module, "FEWEST_BINS", 16)
    monkeypatch.setattr(newest_module, "_MOST", 16)
    batch, found, labels = stream(5, series=series, channels=channels)
    names = tuple(map(str, range(channels)))
    tally, kept = Tally(Settings(channels=names), season=season, step_ns=30.0 * SECOND), KeptRows(names)
    tally._make_room(series)
    kept._make_room(series)
    newest = NewestRows(names)
    newest.make_room(series)
    arenas, tally._rows = between_canaries(tally._rows)
    more, kept._bins = between_canaries(kept._bins)
    rest, newest._rings = between_canaries(newest._rings)
    tally._table, kept._table = tally._rows.table(tally._room), kept._bins.table()
    newest._table[:] = newest._rings.table()
    newest._table[thinning.BIN_SERIES] = series
    tally.add(batch, found, labels)
    kept.add(batch, found)
    newest.add(batch, found)
    assert tally.records == len(batch)
    assert kept.series(0).stride > 1
    assert newest.seen(0) > 16
    assert all(arena.intact() for arena in arenas + more + rest)
