from __future__ import annotations

import numpy as np
import pytest

from streamrnn import Settings
from streamrnn.pipelines.events import KEPT, EventLog
from streamrnn.pipelines.summary import summarise
from streamrnn.pipelines.tally import CALIBRATED, LATE, PROVISIONAL, WARMING, Tally
from streamrnn.pipelines.text import summary_text

HOUR = 3_600_000_000_000


def part_of(thing, rows):
    return type(thing)(**{name: column[rows] for name, column in vars(thing).items()})


def summary_of(tally, settings, step=HOUR, **options):
    steps = np.full(max(tally.n_series, 1), float(step))
    keys = [f"k{code}" for code in range(len(steps))] if tally.n_series > 1 else [""]
    given = {"title": "t", "keys": keys, "partition_names": ["s-0", "s-1"], "time": "time", **options}
    return summarise(tally, settings, typical_steps=steps, **given)


def test_errors_are_those_of_scored_values_that_have_a_value_before_them(batch_of, results_of):
    values = np.array([5.0, 1.0, np.nan, 2.0, -3.0, 100.0, 1e300, 2.5])
    status = np.array([WARMING, 2, 2, 2, PROVISIONAL, LATE, 2, 2], np.int8)
    tally = Tally(Settings())
    tally.add(batch_of(values), results_of(8, status=status))
    (channel,) = summary_of(tally, Settings()).total.channels
    last = channel.baselines[0]
    assert (channel.compared, last.name, last.compared) == (4, "last_value", 4)
    assert 4 * channel.mean_absolute_error == 4 * last.forecast_error == 1.0 + 2.0 + 3.0 + 2.5
    assert 4 * last.error == 4.0 + 1.0 + 5.0 + 5.5
    assert channel.coverage == 0.25
    assert tally.total().statuses.tolist() == [1, 1, 5, 0, 1, 0]


@pytest.mark.parametrize("series", [1, 3])
@pytest.mark.parametrize("size", [1, 3, 50])
def test_a_summary_does_not_depend_on_the_cut(size, series, batch_of, results_of):
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
        event_partition=np.where(events >= 0, 1, -1).astype(np.int32),
    )
    batch, settings = batch_of(rng.normal(size=(n, 2))), Settings(channels=("a", "b"))
    batch.series[:] = np.arange(n) % series
    season = {"season": 24, "step_ns": HOUR}
    whole, parts = Tally(settings, **season), Tally(settings, **season)
    whole.add(batch, found)
    for start in range(0, n, size):
        rows = slice(start, start + size)
        parts.add(part_of(batch, rows), part_of(found, rows))
    parts, whole = (summary_of(tally, settings) for tally in (parts, whole))
    assert parts.to_dict() == whole.to_dict()
    assert len(whole.events) == 3 * series
    assert parts.events == whole.events


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
    assert event.records == 3
    assert [(part.channel, part.share, part.actual) for part in event.parts] == [(1, 0.8, 7.0), (0, 0.2, 6.0)]
    assert (event.strength, event.alert, event.calibrated) == (0.7, True, True)
    assert log.alert_shares.tolist() == [200_000, 800_000]


def test_only_the_strongest_events_are_kept_but_all_are_counted(batch_of, results_of):
    tally, n = Tally(Settings()), 3 * KEPT
    strength = np.random.default_rng(0).permutation(n) / n
    detected = np.arange(n) % 3 > 0
    found = results_of(n, alert_strength=strength, event_offset=np.arange(n), is_anomaly=detected)
    found.event_partition[:] = 0
    tally.add(batch_of(np.zeros(n)), found)
    summary = summary_of(tally, Settings())
    assert [event.strength for event in summary.events] == sorted(strength, reverse=True)[:KEPT]
    assert (summary.total.n_events, summary.total.n_alerts) == (n, (strength >= 0.5).sum())


def test_false_alarms_are_told_only_from_enough_records(batch_of, results_of):
    rate, few = Settings(false_alarms=0.01), Tally(Settings())
    few.add(batch_of(np.zeros(100)), results_of(100))
    assert "too few records to tell" in summary_text(summary_of(few, rate))
    enough = Tally(Settings())
    hits = np.arange(1000) % 100 == 0
    enough.add(batch_of(np.zeros(1000)), results_of(1000, is_anomaly=hits))
    summary = summary_of(enough, rate)
    alarms = summary.total.false_alarms
    assert (alarms.realised, alarms.expected) == (10, 10.0)
    text = summary_text(summary)
    said = "10 alarms in 1,000 calibrated records (0.01), 10 allowed; as asked (95% interval 4.8 to 18)"
    assert said in text


@pytest.mark.parametrize(
    ("every", "words"), [(20, "more than asked"), (100, "as asked"), (500, "fewer than")]
)
def test_the_text_says_whether_more_or_fewer_alarms_came_than_were_asked(batch_of, results_of, every, words):
    tally, hits = Tally(Settings()), np.arange(1000) % every == 0
    tally.add(batch_of(np.zeros(1000)), results_of(1000, is_anomaly=hits))
    assert f"10 allowed; {words}" in summary_text(summary_of(tally, Settings(false_alarms=0.01)))


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
    alarms = summary_of(tally, settings).total.false_alarms
    assert (alarms.counts, alarms.realised, alarms.provisional) == ("events", 2, 2)
    assert alarms.expected == pytest.approx(20.0)
    assert "2 alerts in 20 d calibrated, 20 allowed" in summary_text(summary_of(tally, settings))


def test_the_summary_says_how_many_normal_records_are_still_needed(batch_of, results_of):
    settings, tally = Settings(false_alarms=0.01), Tally(Settings())
    status = np.full(120, PROVISIONAL, np.int8)
    status[:20] = WARMING
    tally.add(batch_of(np.zeros(120)), results_of(120, status=status, is_anomaly=np.arange(120) == 50))
    alarms = summary_of(tally, settings).total.false_alarms
    assert (alarms.normal_needed, alarms.normal_left) == (300, 201)
    assert "not yet: 201 of 300 normal records are still needed" in summary_text(summary_of(tally, settings))
