"""The race of alarms: against a plain twin, however cut, between canaries."""

from __future__ import annotations

import numpy as np
import pytest
from guarded import Arena
from naive_race import Racer

from streamrnn import Batch, Fleet, Settings
from streamrnn.kernels import race as kernel
from streamrnn.kernels import tally as tally_kernel
from streamrnn.kernels.plan import LATE
from streamrnn.pipelines import race as race_module
from streamrnn.pipelines.kernel_columns import KernelColumns
from streamrnn.pipelines.race import _Sides
from streamrnn.pipelines.tally import Tally

MINUTE = 60 * 10**9


def readings(n=1200, channels=2, seed=0):
    """A restless stream with gaps, missing values and spikes, in which a day has 60 minutes."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, channels)) * 0.1 + np.sin(np.arange(n) * np.pi / 30)[:, None]
    values[rng.random((n, channels)) < 0.03] = np.nan
    values[700::60] += np.geomspace(8.0, 60.0, 9)[:, None]
    times = np.cumsum(rng.choice([1, 30], n, p=[0.998, 0.002])).astype(np.int64) * MINUTE
    return Batch.of_one_series(values, times)


def interleaved(batches):
    """Batches of series 0, 1, ... record by record."""
    columns = {
        name: np.stack([getattr(batch, name) for batch in batches], axis=1) for name in vars(batches[0])
    }
    columns["series"] = columns["series"] + np.arange(len(batches), dtype=np.int32)
    return Batch(**{name: column.reshape(-1, *column.shape[2:]) for name, column in columns.items()})


def part_of(thing, rows):
    return type(thing)(**{name: column[rows] for name, column in vars(thing).items()})


def run_of(settings, batch, n_series=1):
    fleet = Fleet(settings)
    fleet.series(map(str, range(n_series)))
    return fleet.process(batch)


def tallied(settings, batch, found, size=10**6, labels=None):
    tally = Tally(settings, season=60, step_ns=float(MINUTE))
    for start in range(0, len(batch), size):
        rows = slice(start, start + size)
        tally.add(part_of(batch, rows), part_of(found, rows), None if labels is None else labels[rows])
    return tally


@pytest.mark.parametrize("false_alarms", ["1/day", 1e-2])
def test_every_side_says_what_the_plain_twin_says(false_alarms):
    settings, batch = Settings(channels=("a", "b"), false_alarms=false_alarms), readings()
    found = run_of(settings, batch)
    tally = Tally(settings, season=60, step_ns=float(MINUTE))
    columns = KernelColumns(batch, found)
    tally_kernel.count_records(tally._table.ctypes.data, columns.address, tally.step_ns)
    sides = _Sides(columns)
    kernel.race_alarms(tally.race._table.ctypes.data, sides.table.ctypes.data)
    errors = columns._columns[tally_kernel.COLUMN_ERRORS]
    written = {which: sides._written[which] for which in sides._written}
    for which in tally_kernel.BASELINES:
        twin, hits = Racer(2, *settings.alarm_rate()), 0
        for i in np.flatnonzero(found.status < LATE):
            linear = found.surprise[i] if which == tally_kernel.LINEAR else None
            record = (batch.values[i], errors[i, :, which], int(batch.times[i]), found.status[i])
            lasts = linear is not None and found.event_offset[i] >= 0
            score, strength, alert_level, hit, is_open = twin.add(*record, linear, lasts)
            assert written[tally_kernel.COLUMN_SCORE][which, i] == pytest.approx(score, nan_ok=True)
            assert written[tally_kernel.COLUMN_STRENGTH][which, i] == pytest.approx(strength, abs=1e-6)
            given = written[tally_kernel.COLUMN_ALERT_LEVEL][which, i]
            assert given == pytest.approx(alert_level, nan_ok=True)
            assert written[tally_kernel.COLUMN_HIT][which, i] == hit
            assert (written[tally_kernel.COLUMN_EVENT_OFFSET][which, i] >= 0) == is_open
            hits += hit
        assert hits > 0


def test_the_race_does_not_depend_on_the_cut_or_on_other_series():
    settings = Settings(channels=("a", "b"), false_alarms=1e-2)
    batch = interleaved([readings(seed=1), readings(seed=2)])
    found = run_of(settings, batch, 2)
    labels = np.repeat(np.random.default_rng(3).random(len(batch) // 20) < 0.1, 20)
    whole = tallied(settings, batch, found, labels=labels)
    for size in (1, 7):
        cut = tallied(settings, batch, found, size, labels)
        for a, b in zip(cut.race._rows, whole.race._rows, strict=True):
            np.testing.assert_array_equal(a, b)
    rows = np.flatnonzero(batch.series == 1)
    own, of_own = part_of(batch, rows), part_of(found, rows)
    own.series[:] = 0
    alone = tallied(settings, own, of_own, labels=labels[rows])
    for a, b in zip(alone.race._rows, whole.race._rows, strict=True):
        np.testing.assert_array_equal(a[0], b[1])
    assert whole.race.counters()[:, tally_kernel.ALERTS].min() > 0


def test_the_detector_races_with_what_the_tally_counts_of_it():
    settings, batch = Settings(channels=("a", "b"), false_alarms=1e-2), readings()
    labels = np.repeat(np.random.default_rng(3).random(60) < 0.2, 20)
    tally = tallied(settings, batch, run_of(settings, batch), labels=labels)
    names = ("EVENTS", "ALERTS", "TRUE_ALERTS", "WINDOWS_SCORED", "WINDOWS_ALERTED")
    places = [getattr(tally_kernel, name) for name in names]
    assert tally.race.counters()[0, places].tolist() == tally.series(0).counters[places].tolist()


def test_of_several_channels_the_detector_without_its_networks_is_the_detector():
    settings, batch = Settings(channels=("a", "b"), false_alarms=1e-2), readings()
    tally = tallied(settings, batch, run_of(settings, batch))
    counters, agreement = tally.race.counters(), tally.race.agreement()
    alerts = counters[0, tally_kernel.ALERTS]
    assert alerts > 0
    # Its events end some records later, so that one may be part of the one before.
    linear = counters[1 + tally_kernel.LINEAR, tally_kernel.ALERTS]
    assert alerts - 1 <= linear <= alerts
    assert agreement[tally_kernel.LINEAR].tolist() == [alerts, linear]


@pytest.mark.parametrize("channels", [1, 2])
def test_p_values_hear_no_network_so_that_without_networks_they_are_the_same(channels):
    names = tuple("ab"[:channels])
    with_three = Settings(channels=names, false_alarms=1e-2)
    with_one = Settings(channels=names, false_alarms=1e-2, networks=("gru",), seed=9)
    batch = readings(channels=channels)
    a, b = run_of(with_three, batch), run_of(with_one, batch)
    assert not np.array_equal(a.yhat, b.yhat, equal_nan=True)
    np.testing.assert_array_equal(a.surprise, b.surprise)


def test_what_is_raised_at_the_same_time_is_the_same_alert(batch_of_events):
    tally = batch_of_events
    assert tally.race.agreement()[tally_kernel.LINEAR].tolist() == [1, 1]
    assert tally.race.counters()[[0, 4], tally_kernel.ALERTS].tolist() == [2, 1]


@pytest.fixture
def batch_of_events():
    """The detector has two alerts; its p-values alone ask for the second only."""
    n, settings = 600, Settings(false_alarms=1e-3)
    batch = Batch.of_one_series(np.zeros((n, 1)))
    found = run_of(settings, batch)
    at = np.arange(n)
    found.status[:] = 2
    found.surprise[:] = np.where(at == 500, 8.0, 0.1)
    found.alert_strength[:] = np.where(np.isin(at, [400, 500]), 0.9, 0.0)
    found.alert_level[:] = 0.5
    found.is_anomaly[:] = at == 500
    offsets = np.select([(at >= 400) & (at < 421), (at >= 500) & (at < 521)], [400, 500], -1)
    found.event_offset[:], found.event_partition[:] = offsets, np.where(offsets >= 0, 0, -1)
    return tallied(settings, batch, found)


def test_as_many_series_race_as_fit_into_the_memory(monkeypatch):
    settings = Settings(channels=("a", "b"))
    size = sum(column[0].nbytes for column in Tally(settings).race._rows)
    monkeypatch.setattr(race_module, "RACE_BYTES", 2 * size)
    batch = interleaved([readings(seed=k) for k in range(4)])
    tally = tallied(settings, batch, run_of(settings, batch, 4))
    assert (tally.n_series, tally.race.n_series) == (4, 2)
    assert tally.race.counters(1)[0, tally_kernel.WINDOWS] == 0


def test_channels_beyond_the_eighth_have_no_autoregression():
    names = tuple(map(str, range(10)))
    batch = readings(channels=10)
    tally = tallied(Settings(channels=names), batch, run_of(Settings(channels=names), batch))
    counts, _ = tally.races(slice(0, 1))
    compared = counts[0, :, tally_kernel.AGAINST + tally_kernel.LINEAR]
    assert (compared > 0).tolist() == [True] * 8 + [False] * 2


@pytest.mark.parametrize("channels", [1, 3, 9])
def test_nothing_is_written_outside_of_the_race_and_absurd_values_poison_nothing(channels):
    names = tuple(map(str, range(channels)))
    settings, batch = Settings(channels=names, false_alarms=1e-2), readings(channels=channels)
    batch.values[300:320:5], batch.values[301], batch.values[302:306] = 1e100, -1e308, 0.0
    found = run_of(settings, batch)
    tally = Tally(settings, season=60, step_ns=float(MINUTE))
    rows = tally.race._rows
    arenas = [Arena.of(array) for array in rows]
    pairs = zip(arenas, rows, strict=True)
    tally.race._rows = type(rows)(*(arena.bytes.view(a.dtype).reshape(a.shape) for arena, a in pairs))
    tally.race._table = tally.race._rows.table(tally.race._model)
    tally.add(batch, found)
    assert all(arena.intact() for arena in arenas)
    assert all(np.isfinite(column).all() for column in tally.race._rows)
    assert np.isfinite(tally._rows.linear).all()
    assert not np.isnan(tally.race.scores[:, -50:]).all(axis=1).any()


def test_another_unit_changes_no_alert():
    settings, batch = Settings(channels=("a", "b"), false_alarms=1e-2), readings()
    found = run_of(settings, batch)
    here = tallied(settings, batch, found)
    batch.values[:] *= 2.0**40
    there = tallied(settings, batch, found)
    np.testing.assert_array_equal(here.race.scores, there.race.scores)
    np.testing.assert_array_equal(here.race.counters(), there.race.counters())
