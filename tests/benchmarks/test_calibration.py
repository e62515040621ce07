"""The benchmark of calibration: its streams, what it counts, and what it makes of the counts."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def labelled_sets(tmp_path):
    """A panel's set of one series, labelled from row 700 on."""
    folder = tmp_path / "valves"
    folder.mkdir()
    values = np.random.default_rng(0).normal(size=(1000, 2))
    frame = pd.DataFrame({"timestamp": np.arange(1000), "a": values[:, 0], "b": values[:, 1]})
    frame.assign(label=(np.arange(1000) >= 700) * 1, changepoint=0).to_csv(folder / "one.csv", index=False)
    return tmp_path


def test_a_made_stream_depends_on_its_kind_and_seed_alone(module):
    streams = module("streams")
    for kind in streams.KINDS:
        first, again, other = (streams.made(kind, 600, seed) for seed in (0, 0, 1))
        assert first.values.shape == again.values.shape and np.isfinite(first.values).all()
        assert len(first.values) == 600
        np.testing.assert_array_equal(first.values, again.values)
        assert not np.array_equal(first.values, other.values)
    irregular = streams.made("irregular", 600, 0)
    assert (np.diff(irregular.times) > 0).all()
    assert set(np.unique(streams.made("counts", 600, 0).values % 1.0)) == {0.0}
    assert np.ptp(streams.made("bounded", 50_000, 0).values) == 100.0


def test_the_quiet_start_of_a_series_ends_before_its_first_label(module, labelled_sets):
    streams = module("streams")
    path = labelled_sets / "valves" / "one.csv"
    assert list(streams.quiet_starts(labelled_sets)) == [("valves", path, 700)]
    stream = streams.quiet_start(path, 700)
    assert stream.values.shape == (700, 2) and stream.times is None


def test_the_quiet_start_of_a_file_of_nab_ends_before_its_first_window(module, tmp_path):
    streams = module("streams")
    times = pd.date_range("2026-01-01", periods=50, freq="h")
    (tmp_path / "data" / "real").mkdir(parents=True)
    for name in ("a", "b"):
        table = pd.DataFrame({"timestamp": times, "value": 1.0})
        table.to_csv(tmp_path / "data" / "real" / f"{name}.csv", index=False)
    (tmp_path / "labels").mkdir()
    windows = [[str(times[30]), str(times[40])], [str(times[20]), str(times[25])]]
    labels = {"real/a.csv": windows, "real/b.csv": [], "real/absent.csv": windows}
    (tmp_path / "labels" / "combined_windows.json").write_text(json.dumps(labels))
    found = [(group, path.name, rows) for group, path, rows in streams.quiet_starts(tmp_path)]
    assert found == [("nab", "a.csv", 20), ("nab", "b.csv", 50)]
    stream = streams.quiet_start(tmp_path / "data" / "real" / "a.csv", 20)
    assert stream.times.tolist() == times[:20].as_unit("ns").asi8.tolist()


def test_measured_to_asked_is_judged_only_where_enough_were_to_be_expected(module):
    counts = {
        "right": np.array([10_000, 100, 10, 1]),
        "loud": np.array([60_000, 1500, 40, 60]),
        "short": np.array([200, 2, 0, 0]),
    }
    found = module("calibration").figures_of(counts)
    assert (found["right/1e-2"], found["right/1e-3"]) == pytest.approx((1.0, 1.0))
    assert found["loud/1e-2"] == pytest.approx(2.5) and found["loud/1e-4"] == pytest.approx(10.0)
    assert not {"right/1e-4", "short/1e-2"} & set(found)
    assert (found["judged/1e-2"], found["judged/1e-4"]) == (2, 1)
    assert (found["within/1e-2"], found["within/1e-3"], found["within/1e-4"]) == (0.5, 1.0, 0.0)


def test_what_is_counted_are_the_calibrated_records_of_the_whole_stream(module, monkeypatch):
    calibration, streams = module("calibration"), module("streams")
    whole = calibration.counted(("ar", 3, 6000))
    monkeypatch.setattr(calibration, "CHUNK", 501)
    assert calibration.counted(("ar", 3, 6000)).tolist() == whole.tolist()
    frame = module("streamrnn").Detector().process_many(streams.made("ar", 6000, 3).values[:, 0])
    sure = frame[frame["status"] == "calibrated"]
    under = [int((sure["p_value"] <= level).sum()) for level in (1e-2, 1e-3, 1e-4)]
    assert whole.tolist() == [len(sure), *under] and whole[1] > 0


def test_a_small_run_writes_its_ratios(labelled_sets, tmp_path):
    file = tmp_path / "calibration.json"
    command = [sys.executable, BENCHMARKS / "calibration.py", labelled_sets, "--quick", "--json", file]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures = json.loads(file.read_text())
    assert {"ar/1e-2", "garch/1e-2", "student/1e-2", "within/1e-2", "valves/records"} <= set(figures)
    assert "measured to asked" in printed
