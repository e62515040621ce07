"""Whole runs through the command line: what goes in, what comes out."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from streamrnn import Detector
from streamrnn.pipelines.cli import main

SCORES = ["yhat", "yhat_lower", "yhat_upper", "anomaly_score", "p_value", "is_anomaly", "status"]

READERS = {
    ".csv": pd.read_csv,
    ".jsonl": lambda path: pd.DataFrame(map(json.loads, path.read_text().splitlines())),
    ".parquet": pd.read_parquet,
}


@pytest.fixture
def replay(tmp_path, capsys):
    """Replay to a file: the scored rows as text, and the summary as JSON."""

    def runner(*arguments, output="out.csv"):
        path = tmp_path / output
        code = main(["replay", *map(str, arguments), "-o", str(path), "--json"])
        out, err = capsys.readouterr()
        assert (code, err) == (0, "")
        scored = READERS[path.suffix](path)
        return scored, json.loads(out)

    return runner


def readings(n, seed=0, start="2024-01-01"):
    """Ten-minute readings of one sensor with a daily course and a spike."""
    rng = np.random.default_rng(seed)
    level = 20 + 3 * np.sin(2 * np.pi * np.arange(n) / 144) + rng.normal(scale=0.2, size=n)
    level[n * 3 // 4] += 15
    times = pd.date_range(start, periods=n, freq="10min").strftime("%Y-%m-%d %H:%M:%S")
    return pd.DataFrame({"time": times, "level": level})


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "level.csv"
    readings(600).to_csv(path, index=False)
    return path


def same(a, b, columns=SCORES):
    pd.testing.assert_frame_equal(a[columns].reset_index(drop=True), b[columns].reset_index(drop=True))


def test_a_run_that_goes_on_from_a_saved_state_gives_the_bits_of_one_run(table, tmp_path, replay):
    lines = table.read_text().splitlines(keepends=True)
    (tmp_path / "first.csv").write_text("".join(lines[:300]))
    (tmp_path / "second.csv").write_text("".join([lines[0], *lines[300:]]))
    state = tmp_path / "level.state"
    whole, _ = replay(table)
    first, _ = replay(tmp_path / "first.csv", "--save-state", state, output="1.csv")
    second, _ = replay(tmp_path / "second.csv", "--load-state", state, "--save-state", state, output="2.csv")
    same(pd.concat([first, second]), whole)


def test_an_event_that_began_before_a_saved_state_keeps_its_id(tmp_path, replay):
    frame = readings(600)
    frame.loc[450:460, "level"] += 15
    frame[:452].to_csv(tmp_path / "first.csv", index=False)
    frame[452:].to_csv(tmp_path / "second.csv", index=False)
    state = tmp_path / "level.state"
    first, _ = replay(tmp_path / "first.csv", "--save-state", state, output="1.csv")
    second, _ = replay(tmp_path / "second.csv", "--load-state", state, output="2.csv")
    begun = first["event_id"].iloc[-1]
    assert begun.startswith("first.csv-")
    assert second["event_id"].iloc[0] == begun
    assert second["record_id"].iloc[0].startswith("second.csv-")


def test_a_state_of_other_channels_is_refused_with_their_names(table, tmp_path, replay, capsys):
    replay(table, "--save-state", tmp_path / "s")
    (tmp_path / "other.csv").write_text("time,depth\n2024-01-01,1\n2024-01-02,2.5\n")
    assert main(["replay", str(tmp_path / "other.csv"), "--load-state", str(tmp_path / "s")]) == 2
    assert "no column 'level'" in capsys.readouterr().err


@pytest.mark.parametrize("cut", [0, 5, 20, 1000])
def test_a_state_file_that_was_cut_is_refused(table, tmp_path, replay, capsys, cut):
    state = tmp_path / "s"
    replay(table, "--save-state", state)
    state.write_bytes(state.read_bytes()[:cut])
    assert main(["replay", str(table), "--load-state", str(state)]) == 2
    assert "state" in capsys.readouterr().err


@pytest.mark.parametrize("output", ["out.csv", "out.jsonl", "out.parquet"])
def test_a_forecast_follows_the_rows_in_every_format(table, replay, output):
    scored, summary = replay(table, "--forecast", "6", output=output)
    ahead = scored[scored["status"] == "forecast"]
    assert len(scored) == 606 and len(ahead) == 6
    detector = Detector(horizons=range(1, 7))
    frame = pd.read_csv(table)
    detector.process_many(frame, time="time")
    want = [detector.forecast(h)["level"] for h in range(1, 7)]
    assert ahead["yhat"].tolist() == [forecast.mean for forecast in want]
    assert ahead["yhat_upper"].tolist() == [forecast.upper for forecast in want]
    times = pd.to_datetime(ahead["time"].astype(str))
    steps = times.diff().dropna().dt.total_seconds()
    assert (abs(steps - 600) < 30).all() and times.iloc[0] > pd.Timestamp(frame["time"].iloc[-1])
    assert ahead[["level", "anomaly_score", "record_id"]].isna().all(axis=None)
    assert summary["forecast"][0]["channels"]["level"]["yhat"] == ahead["yhat"].tolist()
    assert not any(column.startswith("yhat_h") for column in scored.columns)


def test_every_format_holds_the_same_numbers(table, replay):
    frames = [replay(table, output=f"out.{suffix}")[0] for suffix in ("csv", "jsonl", "parquet")]
    for other in frames[1:]:
        for name in ("level", "yhat", "p_value", "alert_strength"):
            np.testing.assert_array_equal(other[name].to_numpy(float), frames[0][name].to_numpy(float))


@pytest.fixture
def long_table(tmp_path):
    """Three sensors in one file, interleaved."""
    frames = [readings(400, seed).assign(sensor=name) for seed, name in enumerate(("north", "south", "7"))]
    path = tmp_path / "sensors.csv"
    pd.concat(frames).sort_values("time", kind="stable").to_csv(path, index=False)
    return path


def test_each_series_of_a_long_table_is_scored_as_if_it_were_alone(long_table, tmp_path, replay):
    scored, summary = replay(long_table)
    assert summary["input"]["key"] == ["sensor"]
    assert summary["n_series"] == 3
    assert {series["key"] for series in summary["series"]} == {"north", "south", "7"}
    for seed, name in enumerate(("north", "south", "7")):
        path = tmp_path / f"{name}.csv"
        readings(400, seed).to_csv(path, index=False)
        alone, _ = replay(path, output="alone.csv")
        same(scored[scored["sensor"].astype(str) == name], alone)


def test_files_that_follow_each_other_are_one_series_in_the_order_of_their_times(tmp_path, replay):
    frame = readings(600)
    frame.to_csv(tmp_path / "whole.csv", index=False)
    (tmp_path / "days").mkdir()
    frame[300:].to_csv(tmp_path / "days" / "a.csv", index=False)
    (tmp_path / "days" / "b.csv.gz").write_bytes(gzip.compress(frame[:300].to_csv(index=False).encode()))
    whole, _ = replay(tmp_path / "whole.csv")
    parts, summary = replay(tmp_path / "days", output="parts.csv")
    same(parts, whole)
    assert not summary["input"]["each_file_a_series"]
    assert parts["record_id"].iloc[0].startswith("b.csv.gz-")


def test_files_that_overlap_are_series_of_their_own(tmp_path, replay):
    for seed, name in enumerate(("a", "b")):
        readings(300, seed).to_csv(tmp_path / f"{name}.csv", index=False)
    scored, summary = replay(tmp_path / "a.csv", tmp_path / "b.csv")
    assert {series["key"] for series in summary["series"]} == {"a.csv", "b.csv"}
    alone, _ = replay(tmp_path / "b.csv", output="alone.csv")
    same(scored[300:], alone)


def test_labels_change_the_report_and_no_score(table, tmp_path, replay):
    frame = pd.read_csv(table)
    plain, without = replay(table)
    for name, label in (("right", np.arange(600) == 450), ("wrong", np.arange(600) % 50 == 0)):
        frame.assign(is_anomaly=label.astype(int)).to_csv(tmp_path / f"{name}.csv", index=False)
        labelled, summary = replay(tmp_path / f"{name}.csv", output=f"{name}-out.csv")
        assert summary["input"]["label"] == ["is_anomaly"]
        assert summary["labels"] is not None
        same(labelled.drop(columns="input.is_anomaly"), plain)
    assert without["labels"] is None


def test_long_rows_hold_what_wide_ones_do(tmp_path, replay):
    frame = readings(200).assign(depth=np.random.default_rng(1).normal(size=200))
    path = tmp_path / "two.csv"
    frame.to_csv(path, index=False)
    wide, _ = replay(path)
    long, _ = replay(path, "--long", output="long.csv")
    assert len(long) == 400
    assert list(long.columns[:4]) == ["time", "channel", "value", "yhat"]
    for channel in ("level", "depth"):
        rows = long[long["channel"] == channel].reset_index(drop=True)
        np.testing.assert_array_equal(rows["yhat"], wide[f"{channel}.yhat"])
        np.testing.assert_array_equal(rows["p_value"], wide["p_value"])


def test_a_settings_file_says_what_options_say(table, tmp_path, replay):
    settings = tmp_path / "run.toml"
    settings.write_text(
        '[record]\ntime = "time"\nmissing = [-200, "off"]\n'
        '[model]\nhidden = 8\n[detect]\nfalse_alarms = "1/day"\n'
    )
    a, of_file = replay(table, "--settings", settings)
    options = ("--time", "time", "--missing", "-200", "--missing", "off", "--hidden", 8)
    b, of_options = replay(table, *options, "--false-alarms", "1/day")
    same(a, b)
    assert of_file["settings"] == of_options["settings"]
    _, both = replay(table, "--settings", settings, "--hidden", 4)
    assert both["settings"]["hidden"] == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[modle]\n", "'modle' is no table; did you mean 'model'?"),
        ("[model]\nhiden = 3\n", "'hiden' is no key of [model]; did you mean 'hidden'?"),
        ("[record]\ntime = 3\n", "Expected `str | array | null`, got `int` - at `record.time`"),
        ("[record]\nsort = 'yes'\n", "Expected `bool`, got `str` - at `record.sort`"),
        ("model = 3\n", "Expected `object`, got `int` - at `model`"),
        ("[model\n", "is no TOML"),
        ("[detect]\nfalse_alarms = 'often'\n", "false_alarms is 'often'"),
    ],
)
def test_a_settings_file_that_is_wrong_is_refused_with_the_nearest_name(
    table, tmp_path, capsys, text, message
):
    (tmp_path / "s.toml").write_text(text)
    assert main(["replay", str(table), "--settings", str(tmp_path / "s.toml")]) == 2
    assert message in capsys.readouterr().err


def test_rows_out_of_order_are_late_or_sorted(table, tmp_path, replay):
    frame = pd.read_csv(table)
    shuffled = frame.copy()
    shuffled.loc[[100, 103]] = frame.loc[[103, 100]].to_numpy()
    shuffled.to_csv(tmp_path / "shuffled.csv", index=False)
    scored, summary = replay(tmp_path / "shuffled.csv")
    assert summary["statuses"]["late"] == 3
    assert len(scored) == 600
    straight, _ = replay(table, output="straight.csv")
    again, _ = replay(tmp_path / "shuffled.csv", "--sort", output="sorted.csv")
    same(again, straight)


def test_a_state_written_to_a_device_does_not_replace_it(table, capsys):
    assert main(["replay", str(table), "--save-state", "/dev/full"]) == 2
    assert "cannot write /dev/full: No space left on device" in capsys.readouterr().err
    assert not Path("/dev/full").is_file()
