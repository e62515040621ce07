"""Capacity: the formula, a measurement that is one, and a plain verdict."""

from __future__ import annotations

import json

import pytest

from streamrnn import Fleet, Settings, SettingsError
from streamrnn.pipelines.capacity import Capacity, Measured, capacity_text, measured, rate_of
from streamrnn.pipelines.cli import main

HERE = Measured(series=500, us_per_record=10.0, base_bytes=10**8, cores=2, memory_bytes=8 * 10**9)


def capacity(series, records_per_s=1000.0, budget_bytes=0):
    return Capacity(series, 1, records_per_s, 100_000, budget_bytes, HERE)


def test_memory_is_the_formula_and_a_snapshot_counts_too():
    found = capacity(30_000)
    assert found.state_bytes == 30_000 * 100_000 and found.memory_bytes == 10**8 + 30_000 * 100_300
    assert found.memory_fits and not capacity(36_000).memory_fits
    assert "DOES NOT FIT" in capacity_text(capacity(36_000))


def test_the_budget_that_it_names_fits():
    found = capacity(1_000_000)
    assert not found.memory_fits and found.fitting_budget > 0
    again = capacity(1_000_000, budget_bytes=found.fitting_budget)
    assert again.memory_fits and again.in_memory == found.fitting_budget // 100_000 < again.series
    assert f'fleet.budget = "{found.fitting_budget // 10**6}MB"' in capacity_text(found)
    assert "lie on disk" in capacity_text(again)
    assert capacity(10**9).fitting_budget == 0  # their names alone are too many


@pytest.mark.parametrize(
    ("rate", "threads", "fits"), [(60_000, 1, True), (130_000, 2, True), (150_000, 3, False)]
)
def test_threads_are_what_the_records_need(rate, threads, fits):
    found = capacity(100, records_per_s=rate)
    assert (found.threads, found.cpu_fits) == (threads, fits)
    assert ("DOES NOT FIT" in capacity_text(found)) != fits


@pytest.mark.parametrize("text", ["1", "1/week", "-1/s", "0/s", "often"])
def test_a_rate_that_is_none_is_refused(text):
    with pytest.raises(SettingsError, match="such as 1/s"):
        rate_of(text)


def test_what_is_measured_are_records_that_are_scored():
    found = measured(Settings(hidden=0), 40)
    assert (
        found.series == 40 and 1.0 < found.us_per_record < 10_000.0
    )  # a late record costs a hundredth of that
    assert found.base_bytes > 10**7 and found.memory_bytes > 10**8


def test_the_command_prints_what_the_formula_says(capsys):
    assert (
        main(["capacity", "--series", "50", "--rate", "6/min", "--hidden", "0", "--channels", "2", "--json"])
        == 0
    )
    said = json.loads(capsys.readouterr().out)
    settings = Settings(channels=("channel-0", "channel-1"), hidden=0)
    assert said["bytes_per_series"] == Fleet.bytes_per_series(settings)
    assert said["records_per_s"] == pytest.approx(5.0) and said["fits"] is True
    assert main(["capacity", "--series", "0"]) == 2
    assert main(["capacity", "--series", "5", "--budget", "much"]) == 2
