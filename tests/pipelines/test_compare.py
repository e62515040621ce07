"""Contenders side by side: the sums behind a comparison, and the command."""

import io
import json

import numpy as np
import pandas as pd
import pytest

from streamrnn import Batch, SettingsError
from streamrnn.connectors.file import FileSource
from streamrnn.connectors.options import RecordOptions
from streamrnn.connectors.rejects import Rejects
from streamrnn.networks import CELLS
from streamrnn.pipelines.cli import main
from streamrnn.pipelines.compare import compare, contenders
from streamrnn.pipelines.compare_errors import SIMPLE, Errors
from streamrnn.pipelines.input import Input
from streamrnn.pipelines.progress import Progress
from streamrnn.pipelines.tally import CALIBRATED, LATE, MISSING, WARMING
from streamrnn.presets import PRESETS

AR = "ar:24"  # in every comparison; alone, it is the cheapest


@pytest.fixture
def run(capsys):
    """Run the command line in this process: (exit code, stdout, stderr)."""

    def runner(*arguments):
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return runner


@pytest.fixture
def labelled_table(frame, tmp_path):
    path = tmp_path / "labelled.csv"
    odd = np.isin(np.arange(len(frame)), range(500, 510))
    frame.assign(fault=np.where(odd, "broken", "normal")).to_csv(path, index=False)
    return path


def interleaved(values, n_series, seed=3):
    """A batch of records of several series in a random order."""
    n = len(values)
    series = np.random.default_rng(seed).integers(0, n_series, n).astype(np.int32)
    whole = np.arange(n, dtype=np.int64)
    return Batch(series, whole, values, np.zeros(n, np.int32), whole)


def forecasts(results_of, rng, n, status):
    """What a fleet with forecasts 1 and 3 records ahead might find."""
    return results_of(n, 2, yhat=rng.normal(size=(n, 2)), ahead=rng.normal(size=(n, 2, 1, 3)), status=status)


def plain_due(values, found, horizon, season):
    """Forecasts of one series' records made so many records before: the simple ones, then those of fleets."""
    n, filled = len(values), pd.DataFrame(values).ffill().to_numpy()
    level = pd.DataFrame(values).ewm(alpha=0.3, adjust=False, ignore_na=True).mean().to_numpy()
    due = [np.full(values.shape, np.nan) for _ in range(len(SIMPLE) + len(found))]
    for i in range(horizon, n):
        due[0][i], due[2][i] = filled[i - horizon], level[i - horizon]
        ago = i - season * -(-horizon // season)
        due[1][i] = filled[ago] if ago >= 0 else np.nan
        for j, one in enumerate(found):
            due[3 + j][i] = one.yhat[i] if horizon == 1 else one.ahead[i - horizon, :, 0, 0]
    due[1] = np.where(np.isnan(due[1]), due[0], due[1])
    return due


def some(found, rows):
    return type(found)(**{name: column[rows] for name, column in vars(found).items()})


def noisy_run(results_of, n=400):
    """Values with gaps in three series, and what two fleets found; some records warm up, some are late."""
    rng = np.random.default_rng(4)
    values = rng.normal(size=(n, 2)).cumsum(axis=0)
    values[rng.random((n, 2)) < 0.1] = np.nan
    status = np.where(rng.random(n) < 0.05, LATE, CALIBRATED).astype(np.int8)
    status[:60], status[200] = WARMING, MISSING
    return interleaved(values, 3), [forecasts(results_of, rng, n, status) for _ in range(2)]


@pytest.mark.parametrize("horizon", [1, 3])
def test_every_forecaster_is_judged_by_the_values_that_all_have_forecast(results_of, horizon):
    batch, found = noisy_run(results_of)
    errors = Errors(2, (1, 3), season=7)
    errors.add(batch, found)
    k = (1, 3).index(horizon)
    for code in range(3):
        rows = np.flatnonzero((batch.series == code) & (found[0].status < LATE))
        values, own = batch.values[rows], [some(one, rows) for one in found]
        due = np.stack(plain_due(values, own, horizon, 7))
        compared = ~np.isnan(due).any(axis=0) & ~np.isnan(values)
        compared &= (own[0].status == CALIBRATED)[:, None]
        assert (errors.counts[code, k] == compared.sum(axis=0)).all() and compared.sum() > 100
        plain = np.where(compared, np.abs(due - values), 0.0).sum(axis=1)
        assert errors.sums[code, :, k] == pytest.approx(plain, rel=1e-12)


def test_errors_do_not_depend_on_the_cut(results_of):
    batch, found = noisy_run(results_of)
    whole, cut = Errors(2, (1, 3), 7), Errors(2, (1, 3), 7)
    whole.add(batch, found)
    for start in range(0, len(batch), 9):
        rows = slice(start, start + 9)
        cut.add(some(batch, rows), [some(one, rows) for one in found])
    assert (whole.counts == cut.counts).all()
    assert whole.sums == pytest.approx(cut.sums, rel=1e-12)


def test_values_that_no_fleet_takes_are_missing_here_too(results_of):
    values = np.array([1.0, 2.0, np.inf, -1e101, 3.0])[:, None]
    errors = Errors(1, (1,), season=0)
    errors.add(interleaved(values, 1), [results_of(5)])
    assert errors.counts.ravel().tolist() == [2]
    last, _, _, fleet = errors.sums.ravel()
    assert (last, fleet) == (1.0 + 1.0, 2.0 + 3.0)


def test_without_entries_there_is_one_network_of_each_cell_and_every_preset_that_needs_no_prior():
    chosen = contenders([], {"hidden": 6, "networks": ["gru"], "channels": ["a", "b"]})
    presets = [preset for preset in PRESETS if preset != "shared"]
    assert list(chosen) == [AR, *CELLS, *presets]
    for cell in CELLS:
        assert (chosen[cell].networks, chosen[cell].hidden) == ((cell,), 6)
    for preset in presets:
        assert chosen[preset].preset == preset
    assert chosen["default"].networks == ("lstm",)  # that of several channels


def test_an_entry_twice_or_unknown_is_refused():
    with pytest.raises(SettingsError, match="--networks names 'gru' twice"):
        contenders(["gru", "gru"], {})
    with pytest.raises(SettingsError, match="did you mean 'lstm'"):
        contenders(["lsmt"], {})


def test_the_figures_are_those_of_a_replay(run, labelled_table, tmp_path):
    rows = tmp_path / "rows.csv"
    code, out, err = run("compare", labelled_table, "--label", "fault", "--networks", AR, "-o", rows)
    assert (code, err) == (0, "")
    code, told, _ = run("replay", labelled_table, "--label", "fault", "--networks", AR, "--json")
    replayed, found = json.loads(told), pd.read_csv(rows).set_index("name")
    channels = replayed["channels"]
    own = np.mean([channel["mean_absolute_error"] for channel in channels])
    last = np.mean([channel["baselines"]["last_value"]["error"] for channel in channels])
    ratio = np.mean([channel["baselines"]["last_value"]["ratio"] for channel in channels])
    assert found.loc[AR, "mae"] == pytest.approx(own)
    assert found.loc["last_value", "mae"] == pytest.approx(last)
    assert found.loc[AR, "ratio"] == pytest.approx(ratio)
    ewma = np.mean([channel["baselines"]["ewma"]["error"] for channel in channels])
    assert found.loc["ewma", "mae"] == pytest.approx(ewma)
    labels, race = replayed["labels"], replayed["race"]
    assert found.loc[AR, "alerts"] == labels["alerts"]
    assert found.loc[AR, "precision"] == pytest.approx(labels["precision"], nan_ok=True)
    assert found.loc[AR, "recall"] == labels["alert_recall"]
    for name in SIMPLE:
        assert found.loc[name, "alerts"] == race[name]["alerts"]
        assert found.loc[name, "found"] == race[name]["found"]
    assert "found  precision  recall" in out


def test_only_the_times_differ_from_run_to_run(run, table):
    told = []
    for _ in range(2):
        code, out, err = run("compare", table, "--networks", AR, "--horizons", "1,6", "--json")
        assert (code, err) == (0, "")
        comparison = json.loads(out)["comparison"]
        times = [contender.pop("cpu_us") for contender in comparison["contenders"]]
        assert times[:3] == [None] * 3 and times[3] > 0.0
        told.append(comparison)
    assert told[0] == told[1]
    assert set(told[0]["compared"]) == {"1", "6"} and not told[0]["labelled"]
    assert [one["name"] for one in told[0]["contenders"]] == [*SIMPLE, AR]
    assert told[0]["contenders"][0]["errors"]["6"]["ratio"] == 1.0


def test_every_contender_has_a_model_for_every_series(frame, tmp_path, run):
    path = tmp_path / "two.csv"
    both = [frame.assign(site="north"), frame.assign(site="south", a=lambda f: 1000 * f["a"])]
    pd.concat(both).sort_values("time", kind="stable").to_csv(path, index=False)
    code, out, err = run("compare", path, "--key", "site", "--networks", f"none,{AR}", "--json")
    assert (code, err) == (0, "")
    comparison = json.loads(out)["comparison"]
    assert (comparison["series"], comparison["records"]) == (2, 2 * len(frame))
    assert [one["name"] for one in comparison["contenders"]][3:] == [AR, "none"]


def test_the_clock_runs_only_while_a_fleet_processes(table):
    ticks = iter(range(1000))
    given = Input([str(table)], RecordOptions(), Rejects(None))
    try:
        chosen = contenders([AR], {"channels": given.channels})
        comparison = compare(given, chosen, Progress(io.StringIO()), lambda: float(next(ticks)))
    finally:
        given.close()
    assert comparison.contenders[3].cpu_us == pytest.approx(1e6 / comparison.records)  # one batch: one tick


def test_a_picture_shows_labels_and_horizons(run, labelled_table, tmp_path):
    picture = tmp_path / "field.png"
    options = ("--label", "fault", "--networks", AR, "--horizons", "6", "--plot", picture)
    code, out, _ = run("compare", labelled_table, *options)
    assert code == 0 and f"picture: {picture}" in out
    assert picture.read_bytes().startswith(b"\x89PNG")
    for words in ("/last h6", "h6: 6 records ahead", "precision by alerts", "smallest error: "):
        assert words in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no file was given"),
        (["TABLE", "--demo"], "--demo brings its own series"),
        (["TABLE", "-o", "-", "--json"], "-o - and --json both want stdout"),
        (["TABLE", "-o", "TABLE"], "a file that is read"),
        (["TABLE", "--plot", "field.txt"], "--plot is 'field.txt'"),
        (["TABLE", "--networks", "gru:0"], "networks has 'gru:0'"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_read(run, table, arguments, message):
    before = table.read_bytes()
    code, out, err = run("compare", *(str(table) if part == "TABLE" else part for part in arguments))
    assert (code, out) == (2, "") and message in err
    assert table.read_bytes() == before


def test_ctrl_c_ends_a_comparison_without_figures(run, table, tmp_path, monkeypatch):
    poll = FileSource.poll

    def poll_once(self, timeout_s):
        if self.snapshot()[self.name]:
            raise KeyboardInterrupt
        return poll(self, timeout_s)

    monkeypatch.setattr(FileSource, "poll", poll_once)
    code, out, err = run("compare", table, "--networks", AR, "-o", tmp_path / "out.csv")
    assert (code, err) == (130, "streamrnn: interrupted; nothing is compared\n")
    assert "comparison" not in out and not (tmp_path / "out.csv").exists()


def test_an_own_season_is_what_the_seasonal_forecast_looks_back(run, tmp_path):
    path = tmp_path / "square.csv"
    wave = np.tile([0.0, 0.0, 0.0, 5.0, 5.0, 5.0], 60)
    pd.DataFrame({"level": wave + np.random.default_rng(1).normal(size=360) * 0.01}).to_csv(path, index=False)
    found = {}
    for season in ("6", "off"):
        code, out, err = run("compare", path, "--networks", AR, "--season", season, "--json")
        assert (code, err) == (0, "")
        comparison = json.loads(out)["comparison"]
        found[season] = {one["name"]: one for one in comparison["contenders"]}
    assert found["6"]["seasonal"]["errors"]["1"]["ratio"] < 0.05
    assert found["6"]["seasonal"]["alerts"] is None  # no times: no race of alerts
    assert "seasonal" not in found["off"]
