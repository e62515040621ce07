"""Whether the networks earn their keep: of made streams, of made counts, and through the command line."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from streamrnn import Batch, Fleet, Settings
from streamrnn.pipelines.baselines import channel_summaries
from streamrnn.pipelines.cli import main
from streamrnn.pipelines.tally import Tally
from streamrnn.pipelines.verdict import Racer, racers, verdict

MINUTE = 60 * 10**9


def autoregressive(n, seed=0):
    """x(t) = 1.5 x(t-1) - .7 x(t-2) + noise: nobody can do better than a linear forecast."""
    noise, x = np.random.default_rng(seed).normal(size=n), np.zeros(n)
    for t in range(2, n):
        x[t] = 1.5 * x[t - 1] - 0.7 * x[t - 2] + noise[t]
    return x


def henon(n, seed=0):
    """Hénon's map and a little noise: a curve that no line fits."""
    x = np.full(n, 0.3)
    for t in range(2, n):
        x[t] = 1 - 1.4 * x[t - 1] ** 2 + 0.3 * x[t - 2]
    return x + np.random.default_rng(seed).normal(size=n) * 0.01


def told(values, labels=None, found=None, **settings):
    """(verdict, racers by name, first channel) of a run of minutes."""
    values = np.asarray(values, float).reshape(len(values), -1)
    names = tuple(f"c{d}" for d in range(values.shape[1]))
    settings = Settings(channels=names, **settings)
    batch = Batch.of_one_series(values, np.arange(len(values), dtype=np.int64) * MINUTE)
    tally = Tally(settings)
    tally.add(batch, Fleet(settings).process(batch) if found is None else found, labels)
    races, shares = tally.races(slice(0, 1)), [0.0] * len(names)
    channels = channel_summaries(races, names, shares, seasonal=False)
    raced = racers(tally)
    return (
        verdict(channels, raced, labelled=labels is not None),
        {one.name: one for one in raced},
        channels[0],
    )


def test_where_a_curve_is_to_be_followed_the_networks_forecast_earns_its_keep():
    said, _, channel = told(henon(3000))
    assert said.forecast_earns_keep is True
    assert channel.hardest in {"last_value", "linear"}
    assert said.forecast_text.startswith("the networks earn their keep: better than the best simple one")


def test_where_a_linear_forecast_is_the_best_there_is_the_networks_do_not_earn_their_keep():
    said, _, channel = told(autoregressive(3000))
    assert said.forecast_earns_keep is False
    assert channel.hardest == "linear"
    assert said.forecast_text.startswith("the networks do not earn their keep: linear AR is ")
    (linear,) = [baseline for baseline in channel.baselines if baseline.name == "linear"]
    assert 1.0 <= linear.error / np.sqrt(2 / np.pi) < 1.03  # of unit noise no forecast has a smaller error


@pytest.mark.parametrize("n", [100, 149, 400])
def test_of_few_records_nothing_is_said(n):
    said, _, _ = told(henon(n))
    assert said.forecast_earns_keep is said.detection_earns_keep is said.detection_rival is None
    assert "too few" in said.forecast_text
    assert said.detection_text == "0 alerts: too little to tell whether the networks earn their keep"


def heard_by(results_of, strength, surprise, n=1200, at=(600, 800, 1000)):
    """Results with an event at each of some records: how loud it is, and how odd its p-value."""
    rows = np.arange(n)
    inside = (rows[:, None] >= np.array(at)) & (rows[:, None] < np.array(at) + 21)
    offsets = np.where(inside.any(axis=1), np.array(at)[inside.argmax(axis=1)], -1)
    return results_of(
        n,
        surprise=np.where(np.isin(rows, at), surprise, 0.1),
        alert_strength=np.where(np.isin(rows, at), strength, 0.0),
        event_offset=offsets,
        event_partition=np.where(offsets >= 0, 0, -1).astype(np.int32),
    )


def windows(n=1200, at=(600, 800, 1000)):
    labels = np.zeros(n, bool)
    for start in at:
        labels[start : start + 5] = True
    return labels


def test_what_only_the_networks_hear_earns_their_keep(results_of):
    found = heard_by(results_of, strength=0.9, surprise=0.5)
    said, raced, _ = told(np.zeros(1200), windows(), found, false_alarms=1e-4)
    assert (raced["detector"].found, raced["detector"].recall, raced["detector"].false_alerts) == (3, 1.0, 0)
    assert {one.found for one in raced.values() if one.name != "detector"} == {0}
    assert (said.detection_earns_keep, said.detection_rival) == (True, None)
    assert "no simple racer does as well (3 found with 0 false alerts)" in said.detection_text


def test_what_the_p_values_alone_would_have_raised_does_not(results_of):
    found = heard_by(results_of, strength=0.9, surprise=9.0)
    said, raced, _ = told(np.zeros(1200), windows(), found, false_alarms=1e-4)
    assert raced["linear"].found == raced["linear"].shared == 3
    assert (said.detection_earns_keep, said.detection_rival) == (False, "linear")
    assert said.detection_text.startswith("the networks do not earn their keep (3 found with 0 false alerts;")
    without, _, _ = told(np.zeros(1200), None, found, false_alarms=1e-4)
    assert (without.detection_earns_keep, without.detection_rival) == (False, "linear")
    assert without.detection_text.endswith("no networks raises the same alerts")


def test_one_window_is_too_little_to_tell(results_of):
    found = heard_by(results_of, strength=0.9, surprise=9.0)
    said, _, _ = told(np.zeros(1200), windows(at=(600,)), found, false_alarms=1e-4)
    assert said.detection_earns_keep is None
    assert said.detection_text == "1 labelled window: too little to tell whether the networks earn their keep"


RACER = Racer("detector", alerts=5, shared=5, own=0, windows=4, found=3, recall=0.75, false_alerts=2)


@pytest.mark.parametrize(
    ("found", "false_alerts", "earns"), [(3, 2, False), (4, 1, False), (3, 3, True), (2, 0, True)]
)
def test_a_simple_racer_must_find_as_much_with_no_more_false_alarms(found, false_alerts, earns):
    other = replace(RACER, name="ewma", shared=1, own=4, found=found, false_alerts=false_alerts)
    said = verdict([], [RACER, other], labelled=True)
    assert (said.detection_earns_keep, said.detection_rival) == (earns, None if earns else "ewma")


def test_without_labels_nobody_says_that_the_networks_earn_their_keep():
    other = replace(RACER, name="ewma", shared=4, own=0)
    assert verdict([], [RACER, other], labelled=False).detection_earns_keep is None
    more = replace(RACER, name="ewma", shared=5, own=1)
    assert verdict([], [RACER, more], labelled=False).detection_earns_keep is None


def test_a_season_that_was_not_kept_does_not_race():
    _, raced, _ = told(np.zeros(200))
    assert list(raced) == ["detector", "last_value", "ewma", "linear"]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "linear.csv"
    values = autoregressive(1500).round(4)
    labels = windows(1500)
    values[labels] += 30.0
    times = pd.date_range("2024-01-01", periods=1500, freq="10min")
    pd.DataFrame({"time": times, "level": values, "label": labels.astype(int)}).to_csv(path, index=False)
    return path


def test_replay_and_evaluate_say_the_verdict_in_words_and_as_json(table, capsys):
    assert main(["replay", str(table), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["race"]) == {"detector", "last_value", "seasonal", "ewma", "linear"}
    assert found["race"]["detector"]["windows"] == 3
    assert set(found["verdict"]) == {
        "forecast_earns_keep",
        "forecast_text",
        "detection_earns_keep",
        "detection_rival",
        "detection_text",
    }
    assert found["verdict"]["forecast_earns_keep"] is True  # its heads mind the labelled spikes less
    assert found["verdict"]["detection_earns_keep"] in {True, False}
    assert main(["evaluate", str(table), "--json"]) == 0
    evaluated = json.loads(capsys.readouterr().out)
    assert (evaluated["verdict"], evaluated["race"]) == (found["verdict"], found["race"])
    baselines = evaluated["evaluation"]["baselines"]
    assert set(baselines) == {"last_value", "seasonal", "ewma"}
    assert 0.0 < baselines["last_value"]["auc_pr"] <= 1.0
    for command in ("replay", "evaluate"):
        assert main([command, str(table)]) == 0
        text = capsys.readouterr().out
        assert f"forecast: {found['verdict']['forecast_text']}" in text
        assert f"detection: {found['verdict']['detection_text']}" in text
