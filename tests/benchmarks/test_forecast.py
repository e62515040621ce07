"""The benchmark of forecasts: its measures, its series, its baselines, and what it makes of them."""

import importlib
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def autoregressive(n, seed=0):
    """AR(2) that last value forecasts badly."""
    values = np.zeros(n)
    for t, shock in enumerate(np.random.default_rng(seed).normal(size=n)):
        values[t] = 1.2 * values[t - 1] - 0.8 * values[t - 2] + shock if t > 1 else shock
    return values


def write(path, columns, n, times=None):
    """A file of the panel: its times, its channels, a label."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stamps = np.arange(n) if times is None else times
    pd.DataFrame({"timestamp": stamps, **columns}).assign(label=0).to_csv(path, index=False)


@pytest.fixture
def data_folder(tmp_path):
    """NAB's layout and the panel's, small; some channels are dull."""
    n = 400
    times = pd.date_range("2026-01-01", periods=n, freq="15min")
    for name in ("realOne/b", "realOne/a", "artificialOne/c"):
        path = tmp_path / "data" / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({"timestamp": times, "value": autoregressive(n)}).to_csv(path, index=False)
    alive = {f"c{d}": autoregressive(n, d) for d in range(6)}
    dull = {"constant": np.zeros(n), "coarse": np.arange(n) % 3.0, "rare": np.floor(np.arange(n) / 10)}
    write(tmp_path / "smd" / "one.csv.gz", {**dull, **alive}, n)
    write(tmp_path / "telemanom_uf" / "dull.csv", {"c0": dull["rare"]}, n)
    write(tmp_path / "telemanom_uf" / "alive.csv", {"c0": alive["c0"]}, n)
    hours = pd.date_range("2026-01-01", periods=n, freq="h")
    write(tmp_path / "forecast" / "ETTh1.csv", {"load": alive["c1"], "oil": alive["c2"]}, n, hours)
    return tmp_path


def test_the_error_is_divided_by_last_values_on_the_same_rows(module):
    mase = module("mase")
    values = np.array([0.0, 1.0, 3.0, 3.0, 7.0, 5.0])
    centre = np.full((6, 3), np.nan)
    centre[2:, 0] = [2.0, 3.0, 5.0, np.nan]  # wrong by 1, 0, 2; last value by 2, 0, 4
    centre[4:, 1] = [1.0, 5.0]  # four ahead: wrong by 6, 0; last value by 7, 4
    errors = mase.scaled_errors(values, centre, np.ones(6, np.bool_))
    np.testing.assert_allclose(errors, [3 / 6, 6 / 11, np.nan])
    only = np.arange(6) == 4
    np.testing.assert_allclose(mase.scaled_errors(values, centre, only), [2 / 4, 6 / 7, np.nan])


def test_last_value_is_as_good_as_itself_and_right_forever_is_no_measure(module):
    mase = module("mase")
    values = autoregressive(100)
    errors = mase.scaled_errors(values, mase.last_value(values), mase.rows_from(100))
    np.testing.assert_array_equal(errors, 1.0)
    constant = np.ones(100)
    assert np.isnan(mase.scaled_errors(constant, mase.last_value(constant), mase.rows_from(100))).all()


def test_coverage_counts_the_rows_that_have_an_interval_and_its_ends_are_inside(module):
    mase = module("mase")
    values = np.array([9.0, 1.0, 2.0, 3.0, 4.0])
    lower = np.tile([[0.0, 2.5, np.nan]], (5, 1))
    upper = np.tile([[2.0, 9.0, 9.0]], (5, 1))
    forecasts = mase.Forecasts(values[:, None].repeat(3, axis=1), lower, upper)
    rows = mase.rows_from(5, first=1)
    np.testing.assert_allclose(mase.covered(values, forecasts, rows), [2 / 4, 2 / 4, np.nan])
    assert np.isnan(mase.covered(values, mase.Forecasts(forecasts.centre), rows)).all()


def test_rows_after_a_change_begin_with_it_and_do_not_count_twice(module):
    mase = module("mase")
    assert np.flatnonzero(mase.rows_after(100, (40, 42, 98), 4)).tolist() == [40, 41, 42, 43, 44, 45, 98, 99]
    assert not mase.rows_after(100, (3,), 10).any()  # before the first row that counts


def test_the_season_is_a_day_where_the_step_divides_it(module):
    series = module("forecast_series").Series
    for step, period in (("5min", 288), ("30min", 48), ("1h", 24), ("7min", 24), ("1D", 24)):
        times = pd.date_range("2026-01-01", periods=50, freq=step).to_numpy()
        assert series("g", "s", np.zeros((50, 1)), times=times).period == period
    assert series("g", "s", np.zeros((50, 1))).period == 24


def test_the_naive_forecast_is_the_newest_known_value_of_the_same_phase(module):
    seasonal_naive = module("forecasters").seasonal_naive
    values = np.arange(60.0)
    made = seasonal_naive(values, 10)
    assert made[59].tolist() == [49.0, 49.0, 29.0]
    assert np.isnan(made[9]).all() and made[10, 0] == 0.0
    np.testing.assert_array_equal(seasonal_naive(values, 1), module("mase").last_value(values))


def test_series_are_the_recorded_files_and_the_lively_channels(module, data_folder):
    found = module("forecast_series").real_series([data_folder])
    names = [(series.group, series.name) for series in found]
    servers = [("smd", f"one.c{d}") for d in (0, 2, 3, 5)]
    assert names == [("nab", "a"), ("nab", "b"), ("ett", "ETTh1"), *servers, ("nasa", "alive")]
    assert [series.period for series in found[:3]] == [96, 96, 24]
    assert found[2].channels == ("load", "oil") and found[2].targets == (0, 1)


def test_the_start_of_a_series_has_the_changes_that_lie_in_it(module):
    series = next(s for s in module("forecast_series").simulated_series() if s.changes)
    start = series.start(series.changes[1])
    assert len(start.values) == series.changes[1] and start.changes == series.changes[:1]


def test_simulated_streams_depend_on_their_kind_and_seed_alone(module):
    dynamics = module("dynamics")
    for kind in dynamics.KINDS:
        first, again, other = (dynamics.simulated(kind, 1500, seed) for seed in (0, 0, 1))
        assert first.values.shape[0] == 1500 and np.isfinite(first.values).all()
        assert first.values[:, 0].std() > 0.05
        np.testing.assert_array_equal(first.values, again.values)
        assert not np.array_equal(first.values, other.values)
    assert all(400 <= gap <= 800 for gap in np.diff((0, *dynamics.simulated("switching", 9000).changes)))


def test_a_regime_changes_where_it_is_said_to(module):
    """Fitted anew between the changes, AR(2) leaves the noise of 1; over a change it leaves more."""
    stream = module("dynamics").simulated("switching", 4000)
    values, ends = stream.values[:, 0], (0, *stream.changes)

    def unexplained(rows):
        columns = np.column_stack([values[rows], values[rows + 1], np.ones(len(rows))])
        weights, *_ = np.linalg.lstsq(columns, values[rows + 2], rcond=None)
        return (values[rows + 2] - columns @ weights).std()

    for first, end in pairwise(ends):
        assert unexplained(np.arange(first, end - 2)) == pytest.approx(1.0, abs=0.15)
    assert unexplained(np.arange(len(values) - 2)) > 1.2


@pytest.mark.parametrize("name", ["plain_ar", "ar_mixture"])
def test_linear_forecasters_beat_last_value_on_an_autoregression(module, name):
    linear, mase = module("linear"), module("mase")
    values = 100.0 + 7.0 * autoregressive(3000)
    centre = mase.for_their_rows(linear.in_scaled_units(values, getattr(linear, name)))
    errors = mase.scaled_errors(values, centre, mase.rows_from(3000, first=500))
    assert (errors < 0.9).all()
    # The noise of 7 is what nobody can forecast; squeezing the scale costs up to a tenth.
    rest = np.abs(values - centre[:, 0])[500:].mean()
    assert rest == pytest.approx(7.0 * np.sqrt(2.0 / np.pi), rel=0.1)


def test_the_mixture_shrugs_off_spikes_that_spoil_least_squares(module):
    linear, mase = module("linear"), module("mase")
    values = autoregressive(3000)
    values[::150] += 60.0
    quiet = mase.rows_from(3000) & (np.arange(3000) % 150 > 30)
    found = [
        mase.scaled_errors(values, mase.for_their_rows(linear.in_scaled_units(values, forecast)), quiet)[0]
        for forecast in (linear.ar_mixture, linear.plain_ar)
    ]
    assert found[0] < 0.9 * found[1]


def test_the_mixture_that_sees_all_uses_other_channels_and_the_time_of_day(module):
    mase, series = module("mase"), module("forecast_series").Series
    known, n = module("forecasters").FORECASTERS, 3000
    rng = np.random.default_rng(0)

    def gain(one):
        """Its error divided by that of the mixture that sees the channel alone."""
        errors = [
            mase.scaled_errors(
                one.values[:, 0], known[name].forecast(one, 0)[0].centre, mase.rows_from(n, 1000)
            )
            for name in ("ar_mixture_all", "ar_mixture")
        ]
        return errors[0] / errors[1]

    # Another channel says what comes 4 records before; the time of day, where in a noisy wave it is.
    drive = rng.normal(size=n)
    late = np.column_stack([np.roll(drive, 4) + 0.3 * rng.normal(size=n), drive])
    assert (gain(series("g", "s", late, ("a", "b")))[:2] < 0.7).all()
    times = pd.date_range("2026-01-01", periods=n, freq="5min").to_numpy()
    wave = np.sin(np.arange(n) * 2.0 * np.pi / 288) + rng.normal(size=n)
    assert gain(series("g", "s", wave[:, None], times=times))[2] < 0.97


@pytest.mark.parametrize("name", ["last_value", "seasonal_naive", "ar", "ar_mixture_all", "adam", "snarimax"])
def test_a_prefix_gives_the_same_forecasts(module, name):
    forecasters, series = module("forecasters"), module("forecast_series").Series
    values = np.column_stack([autoregressive(300), autoregressive(300, 1)])
    whole = series(
        "g", "s", values, ("a", "b"), times=pd.date_range("2026", periods=300, freq="h").to_numpy()
    )
    forecaster = forecasters.FORECASTERS[name]
    long, short = (forecaster.forecast(one, 0)[0] for one in (whole, whole.start(200)))
    np.testing.assert_array_equal(long.centre[:200], short.centre)


def test_a_detectors_forecasts_are_put_to_the_rows_that_they_are_for(module):
    forecasters, series = module("forecasters"), module("forecast_series").Series
    values = np.column_stack([autoregressive(300), autoregressive(300, 1) + 50.0])
    one = series("g", "s", values, ("a", "b"), targets=(1,))
    (found,) = forecasters.detected({"networks": ("lstm",)}, one, 3)
    detector = module("streamrnn").Detector(networks=("lstm",), horizons=(1, 4, 24), coverage=0.9, seed=3)
    for t in range(200):
        detector.learn_one({"a": values[t, 0], "b": values[t, 1]})
    for k, horizon in enumerate((1, 4, 24)):
        forecast = detector.forecast(horizon)["b"]
        row = 199 + horizon
        assert found.centre[row, k] == forecast.mean
        assert (found.lower[row, k], found.upper[row, k]) == (forecast.lower, forecast.upper)


def test_figures_are_means_over_series_then_groups_then_seeds(module):
    forecast = module("forecast")
    errors = {"trained": {0: (0.2, 0.4, 0.8), 1: (0.4, 0.6, 0.8)}, "frozen": {0: (0.6, 0.4, 0.9)}}
    places = (("nab", "a"), ("nab", "b"), ("ett", "c"))
    rows = [
        (name, seed, *place, "h1", value)
        for name, seeds in errors.items()
        for seed, values in seeds.items()
        for place, value in zip(places, values, strict=True)
    ]
    rows += [
        ("forecast", 0, *place, "coverage/h4", c) for place, c in zip(places, (0.9, 0.8, 0.91), strict=True)
    ]
    found = forecast.figures_of(rows)
    assert found["real/h1/trained"] == pytest.approx(((0.3 + 0.8) / 2 + (0.5 + 0.8) / 2) / 2)
    assert found["real/h1/trained_std"] == pytest.approx(np.std([0.55, 0.65], ddof=1))
    assert found["real/h1/frozen"] == pytest.approx((0.5 + 0.9) / 2) and "real/h1/frozen_std" not in found
    assert found["real/h1/trained_over_frozen"] == pytest.approx(0.6 / 0.7)
    assert found["nab/h1/trained"] == pytest.approx(0.4)
    # Of the means over seeds, .3, .5 and .8 against .6, .4 and .9, two are lower.
    assert (found["real/h1/wins"], found["real/h1/series"]) == (2.0, 3.0)
    assert found["real/coverage/h4"] == pytest.approx((0.85 + 0.91) / 2)
    assert found["real/coverage_within/h4"] == pytest.approx(2 / 3)


def test_starts_changes_and_simulated_series_have_figures_of_their_own(module):
    forecast = module("forecast")
    rows = [
        ("trained", 0, "nab", "a", "first1000/h1", 0.5),
        ("trained", 0, "nab", "a", "subset/h1", 0.6),
        ("trained", 0, "synthetic", "lorenz", "h1", 0.1),
        ("trained", 0, "synthetic", "switching", "h1", 0.3),
        ("trained", 0, "synthetic", "switching", "after_change/h1", 0.7),
    ]
    found = forecast.figures_of(rows)
    named = ("first1000/h1", "subset/h1", "synthetic/lorenz/h1", "synthetic/h1", "after_change/h1")
    assert [found[f"{name}/trained"] for name in named] == pytest.approx([0.5, 0.6, 0.1, 0.2, 0.7])
    assert "real/h1/trained" not in found


def test_slow_forecasters_see_the_start_of_the_first_series_of_each_group(module):
    forecast, series = module("forecast"), module("forecast_series").Series
    values, of = np.zeros((5000, 2)), {"channels": ("x", "y"), "targets": (0, 1)}
    groups = [
        series(g, n, values, **of) for g, n in (("nab", "a"), ("nab", "b"), ("asd", "c"), ("synthetic", "d"))
    ]
    names = ("ar", "adam", "snarimax")
    tasks = forecast.tasks_of(names, groups, seeds=2)
    ran = {name: [(t[1], t[2].name, len(t[2].values)) for t in tasks if t[0] == name] for name in names}
    assert ran["snarimax"] == [(0, "a", 3000), (0, "c", 3000)]
    assert [name for _, name, _ in ran["ar"]] == ["a", "b", "c", "d"]
    assert next(t[2] for t in tasks if t[0] == "snarimax" and t[2].name == "c").targets == (0,)
    assert [seed for seed, _, _ in ran["adam"]] == [0] * 4 + [1] * 4
    assert [t[2].name for t in tasks if t[0] == "ar" and t[3]] == ["a", "c"]


def test_a_forecaster_that_cannot_run_here_says_why(module):
    forecasters = module("forecasters")
    none = forecasters.FORECASTERS["last_value"].forecast
    assert "no_such_module" in forecasters.Forecaster(none, module="no_such_module").missing()
    assert "no_such_cell" in forecasters.Forecaster(none, {"networks": ("no_such_cell",)}).missing()
    assert forecasters.Forecaster(none, {"networks": ("lstm",)}).missing() is None


def test_the_script_writes_every_figure_of_a_quick_run(data_folder, tmp_path):
    figures = tmp_path / "forecast.json"
    options = ("--quick", "--jobs", 2, "--only", "last_value", "ar_mixture", "adam", "--json", figures)
    command = [sys.executable, BENCHMARKS / "forecast.py", data_folder, *map(str, options)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = json.loads(figures.read_text())
    for name in ("last_value", "ar_mixture", "adam"):
        for horizon in (1, 4, 24):
            assert found[f"real/h{horizon}/{name}"] > 0.0 and found[f"synthetic/h{horizon}/{name}"] > 0.0
        assert found[f"first1000/h1/{name}"] > 0.0 and found[f"subset/h1/{name}"] > 0.0
        assert found[f"after_change/h1/{name}"] > 0.0 and found[f"us/{name}"] > 0.0
    assert found["real/h1/last_value"] == 1.0
    assert 0.5 < found["real/coverage/h4/adam"] < 1.0
    assert "mean of the real groups" in printed and "trained_over_frozen" in printed
