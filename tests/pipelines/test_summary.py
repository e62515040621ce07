from __future__ import annotations

import json

import numpy as np
import pytest

from streamrnn import Season, Settings
from streamrnn.pipelines import summary as summary_module
from streamrnn.pipelines.summary import summarise
from streamrnn.pipelines.tally import PROVISIONAL, Tally
from streamrnn.pipelines.text import summary_text

HOUR = 3_600_000_000_000
HOSTILE = "\x1b[2J$x^2$ </script> [red] 水\u202e\n" + "long " * 20


@pytest.fixture
def ran(batch_of, results_of):
    """A summary of hourly series; of several, series k has k events, and the last the strongest."""

    def maker(
        n_series=1, *, n=200, keys=None, channels=("a", "b"), false_alarms=0.01, labels=None, **options
    ):
        settings = Settings(channels=channels, false_alarms=false_alarms)
        tally = Tally(settings, season=24, step_ns=HOUR)
        rng = np.random.default_rng(0)
        for code in range(n_series):
            opened = np.isin(np.arange(n), 100 + 20 * np.arange(code + (n_series == 1)))
            offsets = np.where(opened, np.arange(n), -1)
            values = rng.normal(size=(n, len(channels))).cumsum(axis=0)
            batch = batch_of(values)
            batch.series[:] = code
            batch.partitions[:] = code % 2
            share = np.full((n, len(channels)), 0.1)
            share[:, -1] = 0.7
            found = results_of(
                n,
                len(channels),
                yhat=values + 0.1,
                yhat_lower=values - 1,
                yhat_upper=values + 1,
                share=share,
                surprise=np.where(opened, 5.0 + code, 0.5),
                is_anomaly=opened,
                alert_strength=np.where(opened, 0.6 + 0.01 * code, 0.0),
                event_offset=offsets,
                event_partition=np.where(opened, code % 2, -1).astype(np.int32),
            )
            tally.add(batch, found, labels)
        keys = keys or ([f"pump-{code}" for code in range(n_series)] if n_series > 1 else [""])
        names = ["north.csv-1a2b", "south.csv-3c4d"]
        steps = np.full(n_series, float(HOUR))
        given = {"title": "t", "keys": keys, "partition_names": names, "typical_steps": steps, "time": "time"}
        return summarise(tally, settings, **{**given, **options})

    return maker


def test_all_series_together_are_the_sum_of_each(ran):
    summary = ran(4)
    total = summary.total
    assert (summary.n_series, summary.n_scored, summary.n_calibrated) == (4, 4, 4)
    assert total.records == sum(series.records for series in summary.series) == 800
    assert total.n_alerts == sum(series.n_alerts for series in summary.series) == 6
    assert total.false_alarms.expected == pytest.approx(
        sum(series.false_alarms.expected for series in summary.series)
    )
    assert total.false_alarms.realised == sum(series.false_alarms.realised for series in summary.series) == 6
    assert (total.first, total.last) == (summary.series[0].first, summary.series[0].last)
    assert total.first_scored is None
    assert total.strength == max(series.strength for series in summary.series)


def test_of_one_series_all_together_is_that_series(ran):
    summary = ran(1)
    total = summary.total.to_dict()
    (series,) = summary.series
    assert total == series.to_dict()
    assert total["first_scored"] == {"record": 0, "time": "1970-01-01T00:00:00Z"}


def test_series_come_by_their_alerts_and_the_rest_is_counted(ran, monkeypatch):
    monkeypatch.setattr(summary_module, "MOST_SERIES", 3)
    found = ran(5).to_dict()
    assert [series["key"] for series in found["series"]] == ["pump-4", "pump-3", "pump-2"]
    assert (found["n_series"], found["series_not_listed"]) == (5, 2)


def test_series_with_as_many_alerts_come_by_their_strength(batch_of, results_of):
    tally = Tally(Settings())
    for code, strength in enumerate([0.2, 0.4, 0.3]):
        batch = batch_of(np.zeros(10))
        batch.series[:] = code
        tally.add(batch, results_of(10, alert_strength=np.full(10, strength)))
    assert tally.strongest() == [1, 2, 0]


def test_ids_of_events_are_partition_and_offset(ran):
    events = ran(3).to_dict()["events"]
    assert [event["event_id"] for event in events] == [
        "north.csv-1a2b-100",
        "north.csv-1a2b-120",
        "south.csv-3c4d-100",
    ]
    assert [event["key"] for event in events] == ["pump-2", "pump-2", "pump-1"]


def test_an_event_says_what_was_expected_and_what_came_of_its_channels(ran):
    (event,) = ran(1, channels=("a", "b", "c", "d", "e")).to_dict()["events"]
    parts = event["channels"]
    assert [(part["channel"], part["share"]) for part in parts] == [("e", 0.7), ("a", 0.1), ("b", 0.1)]
    assert parts[0]["yhat"] == pytest.approx(parts[0]["actual"] + 0.1)
    assert (event["records"], event["duration_s"]) == (1, 0.0)


def test_what_was_read_is_passed_through(ran):
    found = ran(1, input={"format": "csv", "columns": ["a"]}, rows={"read": 210, "rejected": 7, "blank": 3})
    assert found.to_dict()["input"] == {"format": "csv", "columns": ["a"]}
    assert found.to_dict()["rows"] == {"read": 210, "rejected": 7, "blank": 3}
    assert "rows          210 read, 7 rejected, 3 blank\n" in summary_text(found)
    assert "\n  rows" not in summary_text(ran(1, rows={"read": 200, "rejected": 0}))


def test_everything_is_json_whatever_is_missing(batch_of, results_of):
    empty = summarise(
        Tally(Settings()),
        Settings(),
        title="t",
        keys=[],
        partition_names=[],
        typical_steps=np.zeros(0),
    )
    text = json.dumps(empty.to_dict(), allow_nan=False)
    assert json.loads(text)["records"] == 0
    assert "times         none" in summary_text(empty)


def test_labels_are_scored_and_said(ran):
    labels = np.zeros(200, np.bool_)
    labels[[98, 99, 100, 150, 151]] = True
    summary = ran(1, labels=labels)
    found = summary.to_dict()["labels"]
    assert (found["windows"], found["found"], found["alerted"], found["recall"]) == (2, 1, 1, 0.5)
    assert (found["precision"], found["delay_records"], found["delay_s"]) == (1.0, 2.0, 7200.0)
    text = summary_text(summary)
    assert "labels        1 of 2 labelled windows found, 1 by an alert\n" in text
    assert "delay         2 records (2 h) to the first detection, on average\n" in text
    assert "precision     100%: 1 of 1 alert overlapping a window\n" in text
    assert "false         0 alarms in 195 calibrated records (0) outside of windows, 1.95 allowed\n" in text
    assert ran(1).to_dict()["labels"] is None


def test_the_race_is_said_of_one_channel_with_its_season(ran):
    text = summary_text(ran(1, channels=("a",), n=300))
    assert "of last value, " in text
    assert "of seasonal naive (1 d), " in text
    assert "of linear AR: better than all of them" in text


def test_the_season_by_which_a_channel_is_forecast_is_said_with_how_sure_it_is(ran):
    summary = ran(1, channels=("a",), seasons=lambda code: [Season(48, 0.8167)])
    assert "season        48 records (2 d), found in the data, strength 0.82\n" in summary_text(summary)
    found = summary.to_dict()
    assert found["season"] == {"records": 24, "length_s": 86_400.0, "series": 1}  # of the baseline
    expected = {"records": 48, "length_s": 172_800.0, "strength": 0.8167, "given": False}
    assert found["channels"][0]["forecast_season"] == expected
    assert found["series"][0]["channels"][0]["forecast_season"] == expected


def test_without_a_season_nothing_is_said_of_one(ran):
    summary = ran(1, channels=("a",), seasons=lambda code: [None])
    assert "season  " not in summary_text(summary)
    assert summary.to_dict()["channels"][0]["forecast_season"] is None


def test_the_seasons_of_the_first_few_channels_and_series_are_named(ran):
    def of_series(code):
        return [Season(10 + code, 0.5), None]

    text = summary_text(ran(5, channels=("a", "b"), seasons=of_series))
    assert "season        pump-4 a: 14 records (14 h), found in the data, strength 0.50\n" in text
    assert "              pump-2 a: 12 records (12 h), found in the data, strength 0.50\n" in text
    assert "              and of 2 more channels; --json has them\n" in text


def test_a_season_of_several_series_together_is_not_told(ran):
    found = ran(2, channels=("a",), seasons=lambda code: [Season(24, 0.5)]).to_dict()
    assert found["channels"][0]["forecast_season"] is None
    assert found["series"][0]["channels"][0]["forecast_season"]["records"] == 24


def test_of_many_channels_those_with_the_largest_part_in_alerts_are_shown(ran):
    names = tuple(f"c{d}" for d in range(38))
    text = summary_text(ran(1, channels=names))
    assert "Channels: the forecast is best on 38; 8 of 38 shown, --json has all" in text
    lines = text.splitlines()
    start = lines.index(next(line for line in lines if line.startswith("Channels")))
    assert [line.split()[0] for line in lines[start + 2 : start + 10]] == ["c37", *names[:7]]


def test_of_many_series_the_text_stays_short(ran):
    summary = ran(40, n=1000)
    text = summary_text(summary)
    lines = text.splitlines()
    assert len(lines) < 45
    assert "40 series; the 10 with the most alerts (alerts beside those allowed while calibrated)" in lines
    assert "  series        40" in lines
    assert sum(line.startswith("  pump-39 ") for line in lines) == 11  # its row, and the ten strongest events


def test_of_series_that_are_not_calibrated_is_said_what_is_missing(batch_of, results_of):
    tally, settings = Tally(Settings()), Settings(false_alarms=0.01)
    for code, n in enumerate((100, 250)):
        batch = batch_of(np.zeros(n))
        batch.series[:] = code
        status = np.full(n, PROVISIONAL, np.int8)
        tally.add(batch, results_of(n, status=status))
    summary = summarise(
        tally,
        settings,
        title="t",
        keys=["a", "b"],
        partition_names=["p"],
        typical_steps=np.full(2, float(HOUR)),
    )
    assert "calibrated    0 of 2 series; the last needs 200 more of 300 normal records" in summary_text(
        summary
    )


@pytest.mark.parametrize("n_series", [1, 2])
def test_hostile_text_is_escaped_and_cut(ran, n_series):
    options = {"title": HOSTILE, "left_out": (HOSTILE,), "rows": {"read": 0, HOSTILE: 1}}
    text = summary_text(ran(n_series, keys=[HOSTILE] * n_series, channels=("a", HOSTILE), **options))
    assert all(line.isprintable() for line in text.splitlines())
    assert "\\x1b[2J$x^2$" in text
    assert "long " * 19 not in text
