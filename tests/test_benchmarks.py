"""The benchmarks run, and count what they say they count."""

import json
import math
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from streamrnn.parameters import blocks
from streamrnn.tables import NetworkShape

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def test_a_quick_run_writes_flat_finite_figures(tmp_path):
    file = tmp_path / "step.json"
    command = [sys.executable, BENCHMARKS / "step.py", "--hidden", "16", "--quick", "--json", file]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures = json.loads(file.read_text())
    assert all(math.isfinite(value) and value > 0 for value in figures.values())
    assert {"peak/gflops", "lstm/16/chunk/learn/us", "gru/16/one/ratio", "detector/38/full/us"} <= set(
        figures
    )
    assert "lstm/16/chunk/learn/fma_share" in printed


@pytest.mark.soak  # its kernels are compiled each time, for minutes
def test_a_quick_look_at_cost_writes_the_whole_and_its_parts(tmp_path):
    file = tmp_path / "cost.json"
    command = [sys.executable, BENCHMARKS / "cost.py", "--quick", "--json", file]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures = json.loads(file.read_text())
    assert all(math.isfinite(value) and value > 0 for value in figures.values())
    for row, parts in (("one", ("memories", "tail_and_alert")), ("many/8", ()), ("many/38", ())):
        for part in ("networks", "readouts", "without_networks", *parts):
            assert figures[f"{row}/{part}_us"] < figures[f"{row}/us"]
    assert 0.3 < figures["forecaster/diagonal/us"] / figures["forecaster/diagonal/added_us"] < 3.0
    assert figures["one/us"] < figures["forecast/us"]
    assert figures["machine/unrest"] >= 1.0
    assert figures["one/event_share"] >= 0.95
    assert "one/event_us" in printed


def test_a_quick_look_at_long_memory_writes_figures_and_a_plot(tmp_path):
    file, plot = tmp_path / "memory.json", tmp_path / "memory.png"
    command = [sys.executable, BENCHMARKS / "long_memory.py", "--quick", "--json", file, "--plot", plot]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures = json.loads(file.read_text())
    assert all(math.isfinite(value) and value >= 0 for value in figures.values())
    assert {f"{cell}/{lag}/error" for cell in ("lstm", "gru", "rnn") for lag in (100, 200)} <= set(figures)
    assert figures["rnn/200/reach"] < 1e-6 < figures["lstm/100/reach"]
    assert "gru/200" in printed and plot.stat().st_size > 1000


def test_a_quick_look_at_attribution_plants_every_kind_of_fault_and_finds_where(tmp_path):
    file = tmp_path / "attribution.json"
    command = [sys.executable, BENCHMARKS / "attribution.py", "--quick", "--json", file]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures = json.loads(file.read_text())
    for group in ("2 channels", "4 channels", "8 channels", "3 of one quantity"):
        for kind in ("spike", "dip", "level shift", "drift", "variance change", "flat line", "pattern"):
            assert figures[f"{group}/{kind}/faults"] > 0
        assert figures[f"{group}/flat line/named"] == 1.0
        assert figures[f"{group}/all/found"] > 0.8 and figures[f"{group}/all/named"] > 0.9
    assert "8 channels/flat line" in printed


def test_a_quick_look_at_second_faults_finds_most_that_are_not_close_behind_a_first(tmp_path):
    file = tmp_path / "second_fault.json"
    command = [sys.executable, BENCHMARKS / "second_fault.py", "--quick", "--json", file]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures = json.loads(file.read_text())
    for channels in (1, 2, 4, 8):
        assert figures[f"{channels} channels/nothing/alerted"] == 1.0
    for behind in (300, 1000):
        assert figures[f"2 to 8 channels, {behind} behind/alerted"] > 0.8
    assert "8 channels/drift of 300" in printed


def test_a_small_replay_writes_times_ratios_and_memory(tmp_path):
    file = tmp_path / "replay.json"
    options = ["--rows", "2000", "--quick", "--memory-gb", "0.0005", "--json", file]
    command = [sys.executable, BENCHMARKS / "replay.py", *options]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures = json.loads(file.read_text())
    assert all(math.isfinite(value) and value > 0 for value in figures.values())
    for channels in (1, 8):
        ours, kernel, pandas = (figures[f"{channels}/{name}/us"] for name in ("replay", "kernel", "pandas"))
        assert figures[f"{channels}/ratio"] == pytest.approx(ours / (kernel + pandas))
    assert 20 < figures["memory/early_mb"] < 2000
    assert figures["memory/ratio"] == pytest.approx(figures["memory/late_mb"] / figures["memory/early_mb"])
    assert "8/ratio" in printed and "memory/ratio" in printed


@pytest.mark.parametrize(
    ("cell", "elementwise"),
    [
        ("lstm", 112),
        ("gru", 72),
        ("rnn", 21),
        ("rnn_relu", 0),
        ("rnn_logistic", 22),
        ("jordan", 21),
        ("tdnn", 21),
    ],
)
def test_a_step_forward_counts_every_weight_once(cell, elementwise):
    forward_flop = runpy.run_path(str(BENCHMARKS / "flops.py"))["forward_flop"]
    shape = NetworkShape(cell, 20, 3, 2, 1, 1)
    sizes = [
        block.size for name, block in blocks(shape, np.zeros(shape.parameters)).items() if "head" not in name
    ]
    assert forward_flop(cell, 20, inputs=3, outputs=2) == 2 * sum(sizes) + elementwise * 20 + 2 * 2 * (20 + 1)


def test_a_quick_look_at_alerts_writes_shares_memory_and_lateness(tmp_path):
    file = tmp_path / "alerts.json"
    command = [sys.executable, BENCHMARKS / "alerts.py", "--quick", "--json", file]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures = json.loads(file.read_text())
    assert all(math.isfinite(value) for value in figures.values())
    for case in ("calm", "open"):
        share = figures[f"{case}/alert_us"] / figures[f"{case}/score_us"]
        assert figures[f"{case}/share"] == pytest.approx(share)
    assert figures["open/incidents"] == 500 and figures["open/state_bytes"] < 1000
    assert "first_try/late_s" in printed


@pytest.mark.parametrize(
    ("expected", "low", "high", "enough"),
    [
        (0.0, 0.5, 2.0, False),
        (3.4, 0.5, 2.0, False),
        (8.2, 0.5, 2.0, False),
        (12.0, 0.5, 2.0, True),
        (1e6, 0.5, 2.0, True),
        (3.6, 0.3, 3.0, False),
        (5.1, 0.3, 3.0, True),
    ],
)
def test_calibration_is_judged_where_records_are_enough_to_tell(expected, low, high, enough, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    tells = runpy.run_path(str(BENCHMARKS / "calibration.py"))["tells"]
    assert tells(expected, low, high) == enough
