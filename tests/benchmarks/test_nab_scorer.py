"""NAB's score of a small corpus, computed by hand."""

import math
import runpy
from pathlib import Path

import numpy as np
import pytest

SCORER = runpy.run_path(str(Path(__file__).resolve().parents[2] / "benchmarks" / "nab_scorer.py"))
Corpus, LabelledFile = SCORER["Corpus"], SCORER["LabelledFile"]

HOURS = np.datetime64("2026-01-01T00") + np.arange(100) * np.timedelta64(1, "h")


def sigmoid(place):
    return 2 / (1 + math.exp(5 * place)) - 1


def labelled(*spans, times=HOURS):
    return LabelledFile.of(times, [[times[first], times[last]] for first, last in spans])


def corpus(*spans):
    return Corpus({"file": labelled(*spans)})


def detections(*rows):
    scores = np.zeros(100)
    scores[list(rows)] = 1.0
    return {"file": scores}


def test_a_window_is_worth_its_best_detection_and_a_false_row_its_distance():
    found = corpus((40, 49), (80, 89)).at(detections(42, 45, 54, 79), 0.5)
    caught = sigmoid(-8 / 10) / sigmoid(-1)  # row 42: eight rows are left, itself among them
    false = (
        sigmoid(5 / 9) - 1
    )  # rows 54 and 79, five and thirty behind the window's last: the latter costs all
    for name, (missed, cost) in {"standard": (1, 0.11), "low_fp": (1, 0.22), "low_fn": (2, 0.11)}.items():
        raw = caught + cost * false - missed
        outcome = found[name]
        assert outcome.score == pytest.approx(100 * (raw + 2 * missed) / (2 + 2 * missed), abs=1e-12)
        assert outcome.lost == pytest.approx(2 - raw, abs=1e-12)
        assert (outcome.found, outcome.false) == (1, 2)


def test_no_detection_scores_nothing_and_the_first_row_of_each_window_everything():
    windows = corpus((40, 49), (80, 89))
    for name in SCORER["PROFILES"]:
        assert windows.at(detections(), 0.5)[name].score == 0.0
        assert windows.at(detections(40, 80), 0.5)[name].score == pytest.approx(100.0)


def test_a_false_row_before_the_first_window_costs_the_whole():
    found = corpus((40, 49)).at(detections(20, 40), 0.5)["standard"]
    assert found.score == pytest.approx(100 * (1 - 0.11 + 1) / 2)


def test_rows_at_the_start_are_not_scored():
    file = labelled((10, 19), (40, 49))
    assert file.skipped == 15
    quiet, early = Corpus({"file": file}), detections(3, 14)
    assert quiet.at(early, 0.5)["standard"] == quiet.at(detections(), 0.5)["standard"]
    long = LabelledFile.of(np.arange(10_000).astype("datetime64[s]"), [])
    assert long.skipped == 750


def test_the_best_threshold_is_found_and_rows_of_one_score_stand_together():
    windows = corpus((40, 49), (80, 89))
    scores = detections()
    scores["file"][[40, 80]] = 0.7, 0.3
    scores["file"][[20, 21, 22]] = 0.3  # with the second window come three false rows
    best = windows.optimised(scores)
    assert best["standard"].threshold == 0.3 and best["standard"].false == 3
    assert best["standard"].score == pytest.approx(100 * (2 - 3 * 0.11 + 2) / 4)
    scores["file"][20:39] = 0.3  # nineteen are too many
    best = windows.optimised(scores)
    assert best["standard"].threshold == 0.7 and best["standard"].found == 1
    assert best["low_fp"].threshold == 0.7


def test_where_no_detection_is_best_the_threshold_is_infinite():
    windows = corpus((40, 49))
    best = windows.optimised(detections(*range(15, 40)))  # at a lower one all rows are detected
    assert best["low_fp"].threshold == math.inf and best["low_fp"].score == 0.0


def test_files_share_a_threshold_and_one_without_windows_counts():
    quiet = Corpus({"a": labelled((40, 49)), "b": labelled()})
    scores = {"a": detections(40)["file"], "b": detections(30)["file"]}
    assert quiet.windows == 1
    assert quiet.at(scores, 0.5)["standard"].score == pytest.approx(100 * (1 - 0.11 + 1) / 2)


def test_a_window_without_a_row_is_refused():
    with pytest.raises(ValueError, match="no row has the time 2025"):
        LabelledFile.of(HOURS, [[np.datetime64("2025-01-01T00"), HOURS[3]]])
