from __future__ import annotations

import numpy as np
import pytest

from streamrnn import Settings
from streamrnn.pipelines.events import KEPT, EventLog
from streamrnn.pipelines.kept import KeptRows
from streamrnn.pipelines.summary import summarise
from streamrnn.pipelines.tally import CALIBRATED, LATE, PROVISIONAL, WARMING, Tally
from streamrnn.pipelines.text import summary_text

HOUR = 3_600_000_000_000


def part_of(thing, rows):
    return type(thing)(**{name: column[rows] for name, column in vars(thing).items()})


def summary_of(tally, settings, step=HOUR):
    return summarise(
        tally, settings, source="s", title="t", time="time", left_out=(), typical_step=float(step)
    )


def test_errors_are_those_of_scored_values_that_have_a_value_before_them(batch_of, results_of):
    values = np.array([5.0, 1.0, np.nan, 2.0, -3.0, 100.0, 1e300, 2.5])
    status = np.array([WARMING, 2, 2, 2, PROVISIONAL, LATE, 2, 2], np.int8)
    tally = Tally(Settings())
    tally.add(batch_of(values), results_of(8, status=status))
    assert tally.compared.tolist() == [4]
    assert tally.error.tolist() == [1.0 + 2.0 + 3.0 + 2.5]
    assert tally.naive_error.tolist() == [4.0 + 1.0 + 5.0 + 5.5]
    assert tally.within.tolist() == [1]
    assert tally.statuses.tolist() == [1, 1, 5, 0, 1, 0]


@pytest.mark.parametrize("size", [1, 3, 50])
def test_a_tally_does_not_depend_on_the_cut(size, batch_of, results_of):
    rng = np.random.default_rng(1)
    n = 200
    events = np.repeat([-1, 12, -1, 60, 90, -1], [12, 30, 18, 30, 20, 90])
    hits = (rng.random(n) < 0.2) & (events >= 0)
    found = results_of(
        n,
        2,
        yhat=rng.normal(size=(n, 2)),
        share=rng.random((n, 2)),
        surprise=rng.random(n),
        status=rng.integers(0, 6, n).astype(np.int8),
        is_anomaly=hits,
        alert_strength=np.where(hits, rng.random(n), 0.0),
        event_offset=events,
    )
    batch, settings = batch_of(rng.normal(size=(n, 2))), Settings(channels=("a", "b"))
    whole, parts = Tally(settings), Tally(settings)
    whole.add(batch, found)
    for start in range(0, n, size):
        rows = slice(start, start + size)
        parts.add(part_of(batch, rows), part_of(found, rows))
    assert summary_of(parts, settings) == summary_of(whole, settings)


def test_an_event_runs_from_its_first_record_to_its_last_detection(batch_of, results_of):
    surprise = np.array([0, 0, 2.0, 5.0, 3.0, 0, 0, 0])
    found = results_of(
        8,
        2,
        surprise=surprise,
        is_anomaly=surprise > 2.5,
        alert_strength=np.array([0, 0, 0.4, 0.7, 0, 0, 0, 0]),
        share=np.array([[0.9, 0.1]] * 3 + [[0.2, 0.8]] * 5),
        event_offset=np.array([-1, -1, 2, 2, 2, 2, 2, -1]),
    )
    log = EventLog(("a", "b"))
    log.add(batch_of(np.arange(16).reshape(8, 2)), found)
    log.finish()
    (event,) = log.strongest()
    assert (event.first, event.last, event.peak) == (2, 4, 3)
    assert (event.start, event.end) == (2 * HOUR, 4 * HOUR)
    assert (event.channel, event.actual, event.strength) == ("b", 7.0, 0.7)
    assert (log.count, log.alerts, log.calibrated_alerts) == (1, 1, 1)


def test_only_the_strongest_events_are_kept_but_all_are_counted(batch_of, results_of):
    log, n = EventLog(("a",)), 3 * KEPT
    strength = np.random.default_rng(0).permutation(n) / n
    detected = np.arange(n) % 3 > 0
    found = results_of(n, alert_strength=strength, event_offset=np.arange(n), is_anomaly=detected)
    log.add(batch_of(np.zeros(n)), found)
    log.finish()
    assert [event.strength for event in log.strongest()] == sorted(strength, reverse=True)[:KEPT]
    assert (log.count, log.alerts) == (n, ((strength >= 0.5) & detected).sum())


def test_false_alarms_are_told_only_from_enough_records(batch_of, results_of):
    rate, few = Settings(false_alarms=0.01), Tally(Settings())
    few.add(batch_of(np.zeros(100)), results_of(100))
    assert "too few records to tell" in summary_text(summary_of(few, rate))
    enough = Tally(Settings())
    hits = np.arange(1000) % 100 == 0
    enough.add(batch_of(np.zeros(1000)), results_of(1000, is_anomaly=hits))
    summary = summary_of(enough, rate)
    assert (summary.false_alarms.realised, summary.false_alarms.expected) == (10, 10.0)
    assert "10 alarms in 1,000 calibrated records (0.01), 10 allowed" in summary_text(summary)


def test_a_budget_counts_events_that_reach_the_alert_level_in_calibrated_time(batch_of, results_of):
    settings, tally = Settings(false_alarms="1/day"), Tally(Settings())
    opened = np.arange(960) % 240 == 0
    found = results_of(
        960,
        alert_strength=np.where(opened, 0.6, 0.0),
        is_anomaly=opened,
        event_offset=np.where(np.arange(960) % 240 < 5, np.arange(960) // 240 * 240, -1),
        status=np.where(np.arange(960) < 480, PROVISIONAL, CALIBRATED).astype(np.int8),
    )
    tally.add(batch_of(np.zeros(960)), found)
    alarms = summary_of(tally, settings).false_alarms
    assert (alarms.counts, alarms.realised, alarms.provisional) == ("events", 2, 2)
    assert alarms.expected == pytest.approx(20.0)
    assert "2 alerts in 20 d calibrated, 20 allowed" in summary_text(summary_of(tally, settings))


def test_the_summary_says_how_many_normal_records_are_still_needed(batch_of, results_of):
    settings, tally = Settings(false_alarms=0.01), Tally(Settings())
    status = np.full(120, PROVISIONAL, np.int8)
    status[:20] = WARMING
    tally.add(batch_of(np.zeros(120)), results_of(120, status=status, is_anomaly=np.arange(120) == 50))
    alarms = summary_of(tally, settings).false_alarms
    assert (alarms.normal_needed, alarms.normal_left) == (300, 201)
    assert "not yet: 201 of 300 normal records are still needed" in summary_text(summary_of(tally, settings))


def test_the_plot_keeps_the_most_surprising_rows_of_a_long_run(batch_of, results_of):
    kept, rng = KeptRows(("a",), rows=100), np.random.default_rng(2)
    surprise = rng.random(5000)
    surprise[[7, 1234, 4999]] = 9.0
    for start in range(0, 5000, 64):
        rows = slice(start, start + 64)
        n = len(surprise[rows])
        kept.add(batch_of(np.arange(n), start), results_of(n, surprise=surprise[rows]))
    assert len(kept) <= 200
    assert {7, 1234, 4999} <= set(kept.column("offset").astype(int))
    assert (np.diff(kept.column("offset")) > 0).all()
    assert (kept.times == kept.column("offset") * HOUR).all()


def test_the_plot_keeps_eight_channels_and_says_which_it_leaves_out(batch_of, results_of):
    names = tuple("abcdefghij")
    kept = KeptRows(names)
    values = np.arange(30).reshape(3, 10)
    kept.add(batch_of(values), results_of(3, 10, yhat=values + 0.5))
    assert kept.left_out == ("i", "j")
    np.testing.assert_array_equal(kept.channel(7)[0], values[:, 7])
    np.testing.assert_array_equal(kept.channel(7)[1], values[:, 7] + 0.5)
