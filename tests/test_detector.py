"""The library's front door."""

from __future__ import annotations

import copy
import pickle
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from streamrnn import DataError, Detector, Season, SettingsError
from streamrnn.values import nanoseconds

START = pd.Timestamp("2024-03-31T00:00:00Z")


def wave(n=200, channels=("a", "b"), seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    data = {c: np.sin(0.1 * (i + 1) * t) + 0.1 * rng.normal(size=n) for i, c in enumerate(channels)}
    return pd.DataFrame(data, index=pd.date_range(START, periods=n, freq="1min"))


def scores(results):
    return [result.anomaly_score for result in results]


def test_numbers_mappings_arrays_and_rows_of_pandas_give_the_same_scores():
    frame = wave()
    by_name, by_row, by_place = Detector(), Detector(), Detector()
    expected = scores(by_name.process_one(dict(row)) for _, row in frame.iterrows())
    assert np.isfinite(expected[-1])
    np.testing.assert_array_equal(scores(by_row.process_one(row) for _, row in frame.iterrows()), expected)
    np.testing.assert_array_equal(scores(by_place.process_one(x) for x in frame.to_numpy()), expected)


def test_process_many_equals_process_one_in_every_column():
    frame = wave()
    many = Detector().process_many(frame)
    one = Detector()
    for (time, row), (_, expected) in zip(frame.iterrows(), many.iterrows(), strict=True):
        result = one.process_one(row, time)
        assert (result.status, result.record_id) == (expected["status"], expected["record_id"])
        for name in ("anomaly_score", "p_value", "surprise", "alert_strength"):
            np.testing.assert_array_equal(getattr(result, name), expected[name])
        for channel, expectation in result.channels.items():
            np.testing.assert_array_equal(expectation.yhat, expected[f"{channel}.yhat"])
            np.testing.assert_array_equal(expectation.share, expected[f"{channel}.share"])


def test_the_frame_that_comes_back_has_the_index_and_columns_that_were_promised():
    frame = wave(100, ["level"])
    out = Detector(horizons=(1, 6)).process_many(frame)
    assert out.index.equals(frame.index)
    assert list(out.columns) == [
        "level", "yhat", "yhat_lower", "yhat_upper", "yhat_h6", "yhat_h6_lower", "yhat_h6_upper",
        "anomaly_score", "p_value", "surprise", "is_anomaly", "alert_strength",
        "status", "event_id", "record_id",
    ]  # fmt: skip
    assert out["is_anomaly"].dtype == bool
    assert out["record_id"].iloc[7] == "series-7"


def test_a_column_named_like_an_output_is_kept_under_another_name():
    out = Detector().process_many(wave(50, ["p_value"]))
    assert "input.p_value" in out and "p_value" in out


def test_series_arrays_and_time_columns_are_read():
    frame = wave(120, ["x"])
    expected = Detector().process_many(frame)
    moved = frame.reset_index(names="when")
    for found in (
        Detector().process_many(moved, time="when"),
        Detector().process_many(frame["x"]),
        Detector(channels=["x"]).process_many(frame.reset_index(drop=True), time=frame.index),
    ):
        np.testing.assert_array_equal(found["anomaly_score"], expected["anomaly_score"])
    alone = Detector().process_many(frame["x"].to_numpy())
    assert "value" in Detector().process_many([1.0, 2.0]).columns or "0" in alone.columns


class ArrowStream:
    """What polars and others offer: Arrow's C interface and nothing else."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


def test_arrow_tables_of_any_library_give_the_results_of_the_frame():
    frame = wave(120).iloc[:, ::-1]
    frame.iloc[30:40, 0] = np.nan
    expected = Detector().process_many(frame)
    table = pa.Table.from_pandas(frame.reset_index(names="when"))
    for data in (table, ArrowStream(table), table.to_batches()[0], table.to_reader(7)):
        found = Detector().process_many(data, time="when")
        assert found["when"].dtype == frame.index.dtype
        pd.testing.assert_frame_equal(found.drop(columns="when"), expected.reset_index(drop=True))
    pd.testing.assert_frame_equal(
        Detector().process_many(pa.Table.from_pandas(frame)), expected, check_freq=False
    )


def test_an_arrow_array_is_one_channel():
    values = wave(100, ["x"])["x"].to_numpy()
    expected = Detector().process_many(values)
    for data in (pa.array(values), pa.chunked_array([values[:30], values[30:]])):
        pd.testing.assert_frame_equal(Detector().process_many(data), expected)


def test_numbers_that_come_as_objects_are_read_and_nothing_is_missing():
    table = pa.table({"a": [True, None, False], "b": pa.nulls(3), "c": [Decimal("1.5"), None, Decimal(2)]})
    detector = Detector()
    assert detector.process_many(table)["status"].to_list() == ["warming", "missing", "warming"]
    one = Detector()
    for x in ({"a": 1, "b": None, "c": 1.5}, {}, {"a": 0, "c": 2.0}):
        one.learn_one({"a": None, "b": None, "c": None} | x)
    assert detector.to_bytes() == one.to_bytes()
    with pytest.raises(DataError, match="column 'a' holds object, not numbers"):
        Detector().process_many(pd.DataFrame({"a": [1.0, "x"]}))


def test_arrow_data_without_pyarrow_is_refused_with_the_command(monkeypatch):
    table = ArrowStream(pa.table({"a": [1.0]}))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'streamrnn\[parquet\]'"):
        Detector().process_many(table)


def test_the_input_s_columns_keep_their_types():
    frame = wave(5).reset_index(names="when").assign(a=pd.array([1, 2, None, 4, 5], dtype="Int64"))
    found = Detector().process_many(frame, time="when")
    pd.testing.assert_frame_equal(found[list(frame.columns)], frame)


def test_a_missing_channel_is_missing_and_not_zero():
    detector = Detector()
    for x in ({"a": 1.0, "b": 2.0}, {"a": 1.0}, {"a": None, "b": float("nan")}, {"a": pd.NA, "b": 1}):
        result = detector.process_one(x)
    assert np.isnan(result.channels["a"].actual)
    assert detector.process_one({}).status == "missing"


@pytest.mark.parametrize(
    ("x", "words"),
    [
        ({"a": "hot", "b": 1.0}, "channel 'a' is 'hot'"),
        ({"a": 1.0, "c": 1.0}, "channel 'c'; this detector has a, b"),
        ([1.0, 2.0, 3.0], "3 values; this detector has channels a, b"),
        ({"a": [1, 2], "b": 1.0}, "channel 'a' is"),
    ],
)
def test_a_record_that_cannot_be_read_is_refused_and_changes_nothing(x, words):
    detector = Detector(channels=["a", "b"])
    detector.process_one([1.0, 2.0])
    before = detector.to_bytes()
    with pytest.raises(DataError, match=words):
        detector.process_one(x)
    assert detector.to_bytes() == before


@pytest.mark.parametrize(
    "time",
    [
        datetime(2024, 3, 31, 2, 30),
        datetime(2024, 3, 31, 2, 30, tzinfo=UTC),
        datetime(2024, 3, 31, 4, 30, tzinfo=timezone(timedelta(hours=2))),
        np.datetime64("2024-03-31T02:30"),
        pd.Timestamp("2024-03-31T02:30"),
        pd.Timestamp("2024-03-31T04:30+02:00"),
        pd.Timestamp("2024-03-31T04:30", tz="Europe/Berlin"),
    ],
)
def test_every_kind_of_time_is_the_same_nanosecond(time):
    assert nanoseconds(time) == 1_711_852_200_000_000_000


@pytest.mark.parametrize("time", [1711852200, "2024-03-31", np.datetime64("NaT"), pd.NaT, object()])
def test_a_time_that_could_mean_several_things_is_refused(time):
    with pytest.raises(DataError, match="time is"):
        Detector().process_one(1.0, time)


def test_frames_that_cannot_be_read_are_refused_with_what_to_do():
    frame = wave(10)
    with pytest.raises(DataError, match="no column 'when'; columns are a, b"):
        Detector().process_many(frame, time="when")
    with pytest.raises(DataError, match="column 'c' holds .* not numbers"):
        Detector().process_many(frame.assign(c="x"))
    with pytest.raises(DataError, match="has channels a; this detector has a, b"):
        Detector(channels=["a", "b"]).process_many(frame[["a"]])
    with pytest.raises(DataError, match="times cannot be read"):
        Detector().process_many(frame, time=["yesterday"] * 10)
    with pytest.raises(DataError, match="two columns have the same name"):
        Detector().process_many(pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]))


def test_score_one_is_pure_and_tells_what_process_one_will_say():
    detector = Detector()
    for x in wave(150, ["x"])["x"]:
        detector.learn_one(x)
    before = detector.to_bytes()
    foretold = detector.score_one(4.0)
    assert detector.to_bytes() == before
    assert foretold > detector.score_one(0.0)
    assert detector.process_one(4.0).anomaly_score == foretold


def test_judge_one_is_pure_and_tells_all_that_process_one_will_say():
    detector = Detector()
    for time, x in wave(150).iterrows():
        detector.learn_one(x, time)
    before, soon = detector.to_bytes(), START + pd.Timedelta(minutes=150)
    foretold = detector.judge_one({"a": 4.0, "b": 0.5}, soon)
    assert detector.to_bytes() == before
    assert foretold.is_anomaly
    assert detector.process_one({"a": 4.0, "b": 0.5}, soon) == foretold


def test_forecast_after_is_pure_and_tells_what_forecast_will_say():
    detector = Detector(horizons=(1, 6))
    for x in wave(150, ["x"])["x"]:
        detector.learn_one(x)
    before = detector.to_bytes()
    foretold = [detector.forecast_after(0.7, horizon=horizon) for horizon in (1, 6)]
    assert detector.to_bytes() == before
    assert foretold != [detector.forecast(horizon) for horizon in (1, 6)]
    detector.learn_one(0.7)
    assert foretold == [detector.forecast(horizon) for horizon in (1, 6)]
    with pytest.raises(SettingsError, match=r"horizons=\(1, 6, 24\)"):
        detector.forecast_after(0.7, horizon=24)


def test_a_question_before_the_first_record_names_no_channels():
    detector = Detector(horizons=(1, 6))
    before = detector.to_bytes()
    assert np.isnan(detector.score_one({"a": 1.0})) and np.isnan(detector.forecast_after(1.0)["value"].mean)
    assert detector.judge_one({"a": 1.0}).status == "warming"
    assert detector.to_bytes() == before
    detector.learn_one({"b": 1.0})
    assert detector.settings.channels == ("b",)


def test_score_one_is_nan_while_there_is_nothing_to_score_with():
    assert np.isnan(Detector().score_one(1.0))


def test_copies_go_on_alike_and_apart():
    detector = Detector(name="tank")
    frame = wave(150)
    detector.process_many(frame)
    copies = [detector.clone(), copy.deepcopy(detector), pickle.loads(pickle.dumps(detector))]
    expected = detector.process_one({"a": 1.0, "b": 2.0})
    for other in copies:
        assert other.process_one({"a": 1.0, "b": 2.0}) == expected
    assert pickle.dumps(copies[0]) == pickle.dumps(copies[1])


def test_forecasts_bracket_the_values_to_come_at_every_horizon():
    frame = wave(1500, ["x"])
    detector = Detector(horizons=(1, 6), coverage=0.9)
    out = detector.process_many(frame)
    inside = (out["yhat_lower"] <= frame["x"]) & (frame["x"] <= out["yhat_upper"])
    assert 0.86 < inside[200:].mean() < 0.94
    later = frame["x"].shift(-6)
    inside = (out["yhat_h6_lower"] <= later) & (later <= out["yhat_h6_upper"])
    assert 0.86 < inside[200:-6].mean() < 0.94
    forecast = detector.forecast(6)["x"]
    assert forecast.mean == out["yhat_h6"].iloc[-1]
    assert forecast.lower == out["yhat_h6_lower"].iloc[-1]
    assert 0 < forecast.scale < forecast.upper - forecast.lower


def test_the_forecast_beats_the_last_value_on_a_wave():
    frame = wave(2000, ["x"])
    out = Detector().process_many(frame)
    error = (out["yhat"] - frame["x"]).abs()[500:].mean()
    naive = frame["x"].diff().abs()[500:].mean()
    assert error < 0.9 * naive


def test_a_horizon_that_was_not_asked_for_is_refused():
    with pytest.raises(SettingsError, match=r"horizons=\(1, 24\)"):
        Detector().forecast(24)
    with pytest.raises(DataError, match="no record has come yet"):
        Detector().forecast()


def test_a_univariate_result_speaks_for_itself_and_others_say_where_to_look():
    result = Detector().process_one(1.0)
    assert np.isnan(result.yhat) and np.isnan(result.yhat_lower) and np.isnan(result.yhat_upper)
    with pytest.raises(DataError, match="channels a, b; take one from .channels"):
        _ = Detector().process_one({"a": 1.0, "b": 2.0}).yhat


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hiden": 3}, "did you mean 'hidden'"),
        ({"hidden": 513}, "0 to 512"),
        ({"k1": 20}, "k1 is 20; give a whole number from 1 to 16"),
        ({"networks": ["lstn"]}, "'lstn'; give cell, cell:units.*did you mean 'lstm'"),
        ({"false_alarms": "1/fortnight"}, "periods: hour, day, week, month, year"),
        ({"false_alarms": 0.7}, "from 1e-9 to 0.5"),
        ({"false_alarms": "often"}, "a budget such as '1/week'"),
        ({"false_alarms": "0/day"}, "false_alarms is '0/day'"),
        ({"lags": 9}, "multiple of 8"),
        ({"horizons": [0]}, "horizons is 0"),
        ({"coverage": 1.0}, "coverage"),
        ({"channels": ["a", "a"]}, "one channel twice"),
        ({"learn_anomalies": "yes"}, "give True or False"),
    ],
)
def test_a_wrong_setting_is_refused_at_once_with_what_fits(settings, words):
    with pytest.raises(SettingsError, match=words):
        Detector(**settings)


def test_a_budget_is_kept_on_a_quiet_stream_and_the_alarm_rate_too():
    rng = np.random.default_rng(5)
    n = 40_000
    index = pd.date_range(START, periods=n, freq="1min")
    values = pd.Series(np.sin(np.arange(n) / 50) + 0.2 * rng.normal(size=n), index, name="x")
    out = Detector(false_alarms="5/week").process_many(values)
    events = out.loc[out["is_anomaly"], "event_id"].nunique()
    assert 10 <= events <= 40  # four weeks: 20 asked
    assert (out["alert_strength"] >= 0.5).sum() <= 40
    rate = Detector(false_alarms=1e-2).process_many(values)["is_anomaly"].mean()
    assert 0.5 < rate / 1e-2 < 2


def day_and_night(n, night=15):
    return 20.0 + (np.arange(n) % 24 < night) + 0.1 * np.random.default_rng(3).normal(size=n)


def test_a_season_that_is_found_is_said_of_each_channel_with_its_strength():
    detector = Detector(networks=("lstm", "gru", "diagonal_lstm"))  # compiled for one channel, too
    values = day_and_night(600)
    assert detector.seasons == {}
    detector.process_many(pd.DataFrame({"day": values, "noise": np.random.default_rng(4).normal(size=600)}))
    found = detector.seasons
    assert (found["day"].records, found["noise"]) == (24, None)
    assert 0.8 < found["day"].strength <= 1.0
    assert Detector.from_bytes(detector.to_bytes()).seasons == found


@pytest.mark.parametrize("records", [24, 168])  # the second is longer than half of the smallest ring
def test_a_given_season_is_said_from_the_start_and_its_strength_once_it_was_seen(records):
    detector = Detector(season=records, channels=["level"])
    assert detector.seasons == {"level": Season(records, 0.0)}
    detector.process_many(pd.DataFrame({"level": day_and_night(600)}))
    assert detector.seasons["level"].records == records
    assert detector.seasons["level"].strength > 0.8


@pytest.mark.parametrize("settings", [{"season": "off"}, {"networks": "lstm"}, {"networks": "none"}])
def test_without_a_forecaster_that_looks_for_one_there_is_no_season(settings):
    detector = Detector(channels=["level"], **settings)
    detector.process_many(pd.DataFrame({"level": day_and_night(300)}))
    assert detector.seasons == {"level": None}
