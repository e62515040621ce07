"""How good what was found is: of made results, and through the command line."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from streamrnn import Batch
from streamrnn.pipelines.cli import main
from streamrnn.pipelines.evaluation import Evaluator
from streamrnn.pipelines.evaluation_plot import draw_evaluation
from streamrnn.pipelines.ranking import vus_pr
from streamrnn.pipelines.tally import CALIBRATED, LATE, MISSING, PROVISIONAL, WARMING


def labelled_rows(n, *spans):
    labels = np.zeros(n, bool)
    for first, last in spans:
        labels[first : last + 1] = True
    return labels


def random_results(results_of, n, seed=0):
    """Scores, p-values and detections at random; the first 50 records warm up."""
    rng = np.random.default_rng(seed)
    status = np.full(n, CALIBRATED, np.int8)
    status[:50], status[50:150] = WARMING, PROVISIONAL
    score = np.where(status == WARMING, np.nan, rng.normal(size=n))
    p = np.where(status == WARMING, np.nan, rng.random(n))
    hits = (rng.random(n) < 0.1) & (status != WARMING)
    return results_of(n, anomaly_score=score, p_value=p, is_anomaly=hits, status=status)


def evaluated(batch, found, labels, keys=("",)):
    evaluator = Evaluator()
    evaluator.add(batch, found, labels)
    return evaluator.evaluation(keys)


def test_records_are_counted_one_by_one_where_they_have_a_score(batch_of, results_of):
    found, labels = random_results(results_of, 1000), labelled_rows(1000, (20, 99), (400, 449))
    evaluation = evaluated(batch_of(np.zeros(1000)), found, labels)
    scored = slice(50, 1000)
    expected = precision_recall_fscore_support(labels[scored], found.is_anomaly[scored], average="binary")
    assert (evaluation.precision, evaluation.recall, evaluation.f1) == pytest.approx(expected[:3])
    assert (evaluation.scored, evaluation.labelled) == (950, 100)
    assert evaluation.base_rate == 100 / 950
    always = precision_recall_fscore_support(labels[scored], np.ones(950, bool), average="binary")
    assert evaluation.always_alarm_f1 == pytest.approx(always[2])
    false = (found.is_anomaly & ~labels)[scored].sum()
    assert evaluation.false_detections == false
    assert evaluation.false_alarm_rate == false / 850


def test_scores_rank_all_records_and_those_without_one_lowest(batch_of, results_of):
    found, labels = random_results(results_of, 1000), labelled_rows(1000, (20, 99), (400, 449))
    evaluation = evaluated(batch_of(np.sin(np.arange(1000) * 2 * np.pi / 40)), found, labels)
    scores = np.nan_to_num(found.anomaly_score, nan=np.nanmin(found.anomaly_score))
    assert evaluation.auc_pr == pytest.approx(average_precision_score(labels, scores))
    assert evaluation.vus_pr == pytest.approx(vus_pr(labels, scores, 40))
    assert evaluation.random_auc_pr == labels.mean()
    (series,) = evaluation.ranking
    assert (series.window, series.records, series.labelled) == (40, 1000, 130)


def test_p_values_are_those_of_calibrated_records_without_a_label(batch_of, results_of):
    found, labels = random_results(results_of, 5000), labelled_rows(5000, (1000, 1999))
    evaluation = evaluated(batch_of(np.zeros(5000)), found, labels)
    normal = found.p_value[(found.status == CALIBRATED) & ~labels]
    for level in evaluation.calibration:
        assert level.realised == (normal <= level.level).sum()
        assert level.expected == pytest.approx(level.level * 3850)
        assert level.ratio_low <= level.ratio == level.realised / level.expected <= level.ratio_high
    assert [level.enough for level in evaluation.calibration] == [True, True, True, False]


def test_of_several_series_the_areas_are_means_over_those_that_have_labels(results_of):
    n = 900
    series = (np.arange(n) % 3).astype(np.int32)
    labels = labelled_rows(n, (300, 359)) & (series != 1)
    whole = np.arange(n, dtype=np.int64)
    batch = Batch(series, whole, np.zeros((n, 1)), np.zeros(n, np.int32), whole)
    found = random_results(results_of, n)
    evaluation = evaluated(batch, found, labels, keys=("a", "b", "c"))
    assert [ranking.key for ranking in evaluation.ranking] == ["a", "c"]
    own = []
    for code in (0, 2):
        scores = found.anomaly_score[series == code]
        scores = np.nan_to_num(scores, nan=np.nanmin(scores))
        own.append(average_precision_score(labels[series == code], scores))
    assert evaluation.auc_pr == pytest.approx(np.mean(own))
    assert evaluation.n_ranked == len(evaluation.curves) == 2


def test_an_evaluation_does_not_depend_on_the_cut(results_of):
    n = 500
    rng = np.random.default_rng(1)
    series, whole = rng.integers(0, 4, n).astype(np.int32), np.arange(n, dtype=np.int64)
    batch = Batch(series, whole, rng.normal(size=(n, 1)), np.zeros(n, np.int32), whole)
    found, labels = random_results(results_of, n), rng.random(n) < 0.1
    keys = ("a", "b", "c", "d")
    evaluator = Evaluator()
    for start in range(0, n, 7):
        rows = slice(start, start + 7)
        part = Batch(*(getattr(batch, name)[rows] for name in vars(batch)))
        evaluator.add(part, type(found)(**{k: v[rows] for k, v in vars(found).items()}), labels[rows])
    assert evaluator.evaluation(keys).to_dict() == evaluated(batch, found, labels, keys).to_dict()


def test_late_records_are_left_out_and_missing_ones_rank_lowest(batch_of, results_of):
    status = np.full(6, CALIBRATED, np.int8)
    status[2], status[3] = LATE, MISSING
    score = np.array([1.0, 2.0, 9.0, np.nan, 3.0, 0.5])
    found = results_of(6, anomaly_score=score, status=status)
    evaluation = evaluated(batch_of(np.zeros(6)), found, labelled_rows(6, (2, 4)))
    assert evaluation.ranking[0].records == 5
    assert evaluation.auc_pr == pytest.approx(average_precision_score([0, 0, 1, 1, 0], [1, 2, 0.5, 3, 0.5]))


def test_without_records_or_labels_nothing_is_known_and_nothing_fails(batch_of, results_of):
    nothing = Evaluator().evaluation(())
    assert math.isnan(nothing.vus_pr) and math.isnan(nothing.precision) and nothing.ranking == []
    quiet = evaluated(batch_of(np.zeros(10)), results_of(10), None)
    assert math.isnan(quiet.f1) and math.isnan(quiet.vus_pr) and quiet.false_alarm_rate == 0.0
    for evaluation in (nothing, quiet):
        draw_evaluation(evaluation, title="$none").canvas.draw()


@pytest.fixture
def run(capsys):
    """Run the command line in this process: (exit code, stdout, stderr)."""

    def runner(*arguments):
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return runner


@pytest.fixture
def labelled_table(tmp_path, frame):
    """``frame`` with a label where sensor a is odd."""
    path = tmp_path / "labelled.csv"
    odd = labelled_rows(len(frame), (500, 509))
    frame.assign(fault=np.where(odd, "broken", "normal")).to_csv(path, index=False)
    return path


def test_the_command_says_what_the_scores_of_a_replay_say(run, labelled_table, tmp_path):
    scored, figures, picture = (tmp_path / name for name in ("scored.csv", "found.json", "found.png"))
    assert run("replay", labelled_table, "--label", "fault", "-o", scored)[0] == 0
    options = ("--label", "fault", "--json", figures, "--plot", picture)
    code, out, err = run("evaluate", labelled_table, *options)
    assert (code, err) == (0, "")
    rows, found = pd.read_csv(scored), json.loads(figures.read_text())
    evaluation, labels = found["evaluation"], rows["fault"] == "broken"
    scores = rows["anomaly_score"].fillna(rows["anomaly_score"].min())
    assert evaluation["auc_pr"] == pytest.approx(average_precision_score(labels, scores))
    assert evaluation["scored"] == rows["anomaly_score"].notna().sum()
    assert evaluation["true_detections"] == (rows["is_anomaly"] & labels).sum()
    assert found["labels"]["windows"] == 1 and found["records"] == 576
    assert picture.read_bytes().startswith(b"\x89PNG")
    for words in ("evaluation\n", "VUS-PR", "AUC-PR", "an alarm at every record", "calibration: p-values"):
        assert words in out
    assert f"figures: {figures}" in out and f"picture: {picture}" in out


def test_without_a_name_the_json_alone_goes_to_stdout(run, labelled_table):
    code, out, err = run("evaluate", labelled_table, "--label", "fault", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["evaluation"]["n_ranked"] == 1


def test_a_table_without_labels_cannot_be_evaluated(run, table):
    code, out, err = run("evaluate", table)
    assert (code, out) == (2, "")
    assert "sensors.csv has no column of labels that could be found; name it with --label" in err


def test_json_never_overwrites_a_table(run, labelled_table, tmp_path):
    before = labelled_table.read_bytes()
    code, _, err = run("evaluate", "--json", labelled_table)
    assert code == 2 and "give a name that ends in .json" in err
    code, _, err = run("evaluate", "--label", "fault")
    assert code == 2 and "no file was given" in err
    lines = tmp_path / "table.json"
    lines.write_bytes(before)
    code, _, err = run("evaluate", lines, "--json", lines)
    assert code == 2 and "a file that is read" in err
    assert lines.read_bytes() == labelled_table.read_bytes() == before


def test_the_evaluation_of_a_labelled_table_can_be_repeated_from_a_settings_file(
    run, labelled_table, tmp_path
):
    settings = tmp_path / "settings.toml"
    settings.write_text('[record]\nlabel = "fault"\n[detect]\nfalse_alarms = 0.01\n')
    code, out, _ = run("evaluate", labelled_table, "--settings", settings, "--json")
    assert code == 0
    assert json.loads(out)["settings"]["false_alarms"] == 0.01
