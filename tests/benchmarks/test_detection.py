"""The benchmarks of detection run on a few small files, and say what those hold."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
CONTROLS = ("default", "frozen", "no-forecaster")


def run(script, *options):
    command = [sys.executable, BENCHMARKS / script, *map(str, options)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def noisy(n, seed, fault):
    values = np.random.default_rng(seed).normal(size=n)
    values[fault] += 12.0
    return values


@pytest.fixture
def nab_folder(tmp_path):
    """Two files, one with a fault, and labels that name one more."""
    times = pd.date_range("2026-01-01", periods=1200, freq="5min")
    for seed, name in enumerate(("real/fault.csv", "quiet/none.csv")):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True)
        values = noisy(1200, seed, slice(1000, 1010) if seed == 0 else slice(0, 0))
        pd.DataFrame({"timestamp": times, "value": values}).to_csv(path, index=False)
    span = [f"{times[990]}.000000", f"{times[1020]}.000000"]
    labels = {"real/fault.csv": [span], "quiet/none.csv": [], "real/absent.csv": [span]}
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "combined_windows.json").write_text(json.dumps(labels))
    return tmp_path


def test_nab_scores_the_files_that_are_there_and_writes_its_layout(nab_folder, tmp_path):
    figures, results = tmp_path / "nab.json", tmp_path / "results"
    options = ("--seeds", 2, "--control", *CONTROLS[1:], "--json", figures, "--results", results, "--each")
    printed = run("nab.py", nab_folder, *options)
    found = json.loads(figures.read_text())
    assert (found["files"], found["windows"], found["seeds"]) == (2, 1, 2)
    keys = ("optimised", "optimised_sd", "shipped", "shipped_sd", "threshold", "found", "false")
    for row in (f"{c}/{p}" for c in CONTROLS for p in ("standard", "low_fp", "low_fn")):
        assert all(math.isfinite(found[f"{row}/{key}"]) for key in keys)
        assert found[f"{row}/shipped"] <= found[f"{row}/optimised"] <= 100.0
    written = pd.read_csv(results / "streamrnn" / "real" / "streamrnn_fault.csv")
    assert list(written.columns) == ["timestamp", "value", "anomaly_score"]
    assert len(written) == 1200 and written["anomaly_score"].between(0.0, 1.0).all()
    assert (results / "streamrnn-frozen" / "quiet" / "streamrnn-frozen_none.csv").exists()
    assert "real/fault.csv" in printed and "default/standard/optimised" in printed


def test_the_panel_measures_each_set_and_writes_a_file_a_series(tmp_path):
    label = np.arange(900) // 50 == 14
    for name in ("smd", "skab"):
        (tmp_path / name).mkdir()
        columns = {f"c{d}": noisy(900, d, label) for d in range(2)}
        frame = pd.DataFrame({"timestamp": np.arange(900), **columns, "label": label.astype(int)})
        frame.to_csv(tmp_path / name / "one.csv.gz", index=False)
    figures, results = tmp_path / "panel.json", tmp_path / "results"
    run("panel.py", tmp_path, "--seeds", 1, "--json", figures, "--results", results)
    found = json.loads(figures.read_text())
    assert found["series"] == 2
    for measure in ("vus_pr", "auc_pr"):
        sets = [found[f"default/{name}/{measure}"] for name in ("smd", "skab")]
        assert all(0.0 < value <= 1.0 for value in sets)
        assert found[f"default/mean/{measure}"] == pytest.approx(np.mean(sets))
    written = pd.read_csv(results / "smd" / "one.csv")
    assert list(written.columns) == ["score", "alarm"]
    assert len(written) == 900 and written.notna().all(axis=None)
