"""``replay --offline``: columns that look into the future, marked so, beside those that do not."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from streamrnn.pipelines.cli import main

NEW = ["not_causal_expected", "not_causal_imputed", "not_causal_score", "not_causal_is_anomaly"]


@pytest.fixture
def table(tmp_path):
    """Two pumps of two channels, one with a spike, a hole and a repeated record."""
    rng, path = np.random.default_rng(0), tmp_path / "pumps.csv"
    times = pd.date_range("2024-01-01", periods=700, freq="10min").strftime("%Y-%m-%d %H:%M:%S")
    frames = []
    for pump in ("a", "b"):
        flow = 20 + 3 * np.sin(np.arange(700) / 5) + rng.normal(scale=0.2, size=700)
        frames.append(
            pd.DataFrame({"time": times, "pump": pump, "flow": flow, "level": rng.normal(size=700)})
        )
    frames[0].loc[500, "flow"] += 15
    frames[0].loc[300:303, "flow"] = np.nan
    frames[1] = pd.concat([frames[1][:101], frames[1][100:101], frames[1][101:]])
    frame = pd.concat(frames).sort_values("time", kind="stable")
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def replay(tmp_path, capsys):
    def runner(*arguments, output="out.csv", code=0):
        assert main(["replay", *map(str, arguments), "-o", str(tmp_path / output)]) == code
        out, err = capsys.readouterr()
        return pd.read_csv(tmp_path / output), out, err

    return runner


def test_rows_keep_all_that_they_had_and_get_columns_that_are_marked(table, replay):
    plain, _, _ = replay(table, "--key", "pump")
    rows, said, _ = replay(table, "--key", "pump", "--offline", output="offline.csv")
    new = [f"{c}.{name}" for name in NEW[:3] for c in ("flow", "level")] + NEW[3:]
    assert list(rows.columns) == [*plain.columns, *new]
    pd.testing.assert_frame_equal(rows[plain.columns], plain)
    of_a = rows[rows["pump"] == "a"].reset_index()
    assert np.flatnonzero(of_a["not_causal_is_anomaly"]).tolist() == [500]
    hole = of_a[300:304]
    assert hole["flow"].isna().all() and hole["flow.not_causal_score"].isna().all()
    truth = 20 + 3 * np.sin(np.arange(300, 304) / 5)
    np.testing.assert_allclose(hole["flow.not_causal_imputed"], truth, atol=0.6)
    known = rows["flow"].notna()
    pd.testing.assert_series_equal(
        rows["flow"][known], rows["flow.not_causal_imputed"][known], check_names=False
    )
    repeated = rows[rows["status"] == "duplicate"]
    assert len(repeated) == 1 and repeated["flow.not_causal_expected"].isna().all()
    assert "hindsight: not causal" in said and "odd records  1\n" in said and "imputed      flow 4\n" in said


def test_long_rows_and_rows_of_forecasts_have_the_columns_too(table, replay):
    arguments = (table, "--key", "pump", "--offline", "--forecast", "2")
    wide, _, _ = replay(*arguments)
    long, _, _ = replay(*arguments, "--long", output="long.csv")
    assert long.columns[-4:].tolist() == NEW
    for channel in ("flow", "level"):
        rows = long[long["channel"] == channel].reset_index(drop=True)
        for name in NEW:
            full = name if name in wide else f"{channel}.{name}"
            pd.testing.assert_series_equal(rows[name], wide[full], check_names=False)
    ahead = wide[wide["status"] == "forecast"]
    assert len(ahead) == 4 and ahead["flow.not_causal_imputed"].isna().all()
    assert not ahead["not_causal_is_anomaly"].any()


def test_a_column_of_yours_that_is_called_so_moves_aside(tmp_path, replay):
    path = tmp_path / "one.csv"
    pd.DataFrame({"level": np.sin(np.arange(50)), "not_causal_score": ["mine"] * 50}).to_csv(
        path, index=False
    )
    rows, _, _ = replay(path, "--values", "level", "--offline")
    assert rows["input.not_causal_score"].eq("mine").all() and rows["not_causal_score"].notna().sum() == 48


def test_the_summary_says_it_as_json_too_and_without_an_output(table, capsys):
    assert main(["replay", str(table), "--key", "pump", "--offline", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["hindsight"]
    assert found["causal"] is False and found["anomalies"] == 1 and found["series"] == 2
    assert [(c["channel"], c["imputed"]) for c in found["channels"]] == [("flow", 4), ("level", 0)]
    assert main(["replay", str(table), "--key", "pump", "--json"]) == 0
    assert "hindsight" not in json.loads(capsys.readouterr().out)


def test_what_came_before_data_that_cannot_be_read_is_written(tmp_path, capsys):
    """A packed file that ends in the middle."""
    path, text = tmp_path / "cut.csv.gz", "level\n" + "".join(f"{np.sin(i)}\n" for i in range(100_000))
    path.write_bytes(gzip.compress(text.encode())[:-5000])
    assert main(["replay", str(path), "--offline", "-o", str(tmp_path / "out.csv")]) == 3
    rows = pd.read_csv(tmp_path / "out.csv")
    assert f"({len(rows):,} records before it: scored" in capsys.readouterr().err
    assert len(rows) > 50_000 and rows["not_causal_expected"].notna().all()
