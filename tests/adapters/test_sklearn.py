"""scikit-learn's own checks, and our invariants through the adapter."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from streamrnn import Detector, SettingsError
from streamrnn.adapters.sklearn import RNNOutlierDetector


def wave(n=400, seed=0):
    rng, t = np.random.default_rng(seed), np.arange(n)
    return np.column_stack([np.sin(t / 5), np.cos(t / 7)]) + 0.1 * rng.normal(size=(n, 2))


# Two of them shuffle or split few rows, all of which score 0: a longer sequence
# would depend on its order, and is tested to, below.
@parametrize_with_checks([RNNOutlierDetector()])
def test_a_check_of_scikit_learn_passes(estimator, check):
    check(estimator)


def test_an_odd_row_is_minus_one_and_has_the_lowest_score():
    X = wave(600)
    X[550] += 3
    model = RNNOutlierDetector().fit(X[:500])
    scores, labels = model.score_samples(X[500:]), model.predict(X[500:])
    assert scores.argmin() == 50 and labels[50] == -1
    assert (labels[:50] == 1).mean() > 0.9 and (labels[75:] == 1).all() and set(labels) == {-1, 1}
    np.testing.assert_array_equal(labels == -1, model.decision_function(X[500:]) < 0)


def test_scores_are_those_of_the_detector():
    X = wave()
    model = RNNOutlierDetector().fit(X[:300])
    detector = Detector(channels=["x0", "x1"], false_alarms=0.01)
    expected = np.nan_to_num([detector.process_one(x).surprise for x in X])
    np.testing.assert_array_equal(model.fit_scores_, -expected[:300])
    np.testing.assert_array_equal(model.score_samples(X[300:]), -expected[300:])


def test_pieces_give_what_one_long_stream_gives():
    X = wave()
    whole, pieces, found = RNNOutlierDetector().fit(X), RNNOutlierDetector(), []
    for start, end in ((0, 1), (1, 17), (17, 250), (250, 400)):
        if start:
            found.append(pieces.score_samples(X[start:end]))
        pieces.partial_fit(X[start:end])
        assert not start or np.array_equal(found[-1], pieces.fit_scores_)
    np.testing.assert_array_equal(np.concatenate(found), whole.fit_scores_[1:])
    assert pieces.detector_.to_bytes() == whole.detector_.to_bytes()


def test_questions_change_nothing_and_rows_after_do_not_matter():
    X = wave()
    model = RNNOutlierDetector().fit(X[:300])
    before = pickle.dumps(model)
    scores = model.score_samples(X[300:])
    assert pickle.dumps(model) == before
    np.testing.assert_array_equal(model.score_samples(X[300:340]), scores[:40])
    assert not np.array_equal(model.score_samples(X[:299:-1])[::-1], scores)  # order is information


def test_a_pickle_goes_on_to_the_bit_and_a_clone_starts_over():
    X = wave()
    model = RNNOutlierDetector(random_state=3).fit(X[:200])
    other = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        model.partial_fit(X[200:]).fit_scores_, other.partial_fit(X[200:]).fit_scores_
    )
    assert not hasattr(clone(model), "detector_")


def test_seeds_decide():
    X = wave(200)
    states = [RNNOutlierDetector(random_state=s).fit(X).detector_.to_bytes() for s in (None, None, 1, 1, 2)]
    assert states[0] == states[1] != states[2] == states[3] != states[4]


def test_missing_values_are_missing_and_scores_stay_finite():
    X = wave()
    X[100:140, 0] = np.nan
    X[150] = np.nan
    model = RNNOutlierDetector().fit(X)
    assert np.isfinite(model.fit_scores_).all() and model.fit_scores_[150] == 0
    assert np.isfinite(model.score_samples(wave(50, seed=1))).all()


def test_an_index_of_times_is_used_and_names_are_checked():
    index = pd.date_range("2026-01-01", periods=200, freq="1min")
    frame = pd.DataFrame(wave(200), index, columns=["flow", "level"])
    model = RNNOutlierDetector().fit(frame)
    assert model.detector_._fleet.typical_step_ns(0) == pytest.approx(60e9)
    assert list(model.feature_names_in_) == ["flow", "level"]
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.rename(columns={"flow": "other"}))


def test_arrow_tables_are_read_as_frames_are():
    X = pd.DataFrame(wave(), columns=["flow", "level"])
    X.iloc[100:110, 0] = np.nan
    table, expected = pa.Table.from_pandas(X), RNNOutlierDetector().fit(X)
    model = RNNOutlierDetector().fit(table)
    np.testing.assert_array_equal(model.fit_scores_, expected.fit_scores_)
    np.testing.assert_array_equal(model.predict(table), expected.predict(X))
    assert model.detector_.to_bytes() == expected.detector_.to_bytes()


def test_a_change_of_unit_changes_no_bit():
    X = wave()
    model, other = RNNOutlierDetector().fit(X), RNNOutlierDetector().fit(X * [2.0**20, 2.0**-9])
    np.testing.assert_array_equal(model.fit_scores_, other.fit_scores_)


def test_rows_older_than_those_learned_are_late_until_the_clock_was_set_back():
    frame = pd.DataFrame(wave(300), pd.date_range("2026-01-01", periods=300, freq="1min"))
    model = RNNOutlierDetector().fit(frame)
    scores = model.score_samples(frame)
    assert (scores[:19] == 0).all() and (scores[30:] < 0).mean() > 0.9
    assert (model.fit_scores_[200:] < 0).mean() > 0.9


def test_it_works_in_a_pipeline_and_with_the_numbers_of_a_search():
    X = wave(200)
    assert make_pipeline(StandardScaler(), RNNOutlierDetector()).fit(X).predict(X).shape == (200,)
    for parameters in ParameterGrid({"hidden": np.array([4, 12]), "false_alarms": np.array([0.01])}):
        assert RNNOutlierDetector(**parameters).fit(X).offset_ == -2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"false_alarms": "1/week"}, "give a share of rows such as 0.01"),
        ({"false_alarms": None}, "give a share of rows such as 0.01"),
        ({"hidden": -1}, "hidden is -1"),
    ],
)
def test_a_wrong_setting_is_refused_when_fitted(settings, words):
    with pytest.raises(SettingsError, match=words):
        RNNOutlierDetector(**settings).fit(wave(10))


def test_without_scikit_learn_the_message_names_the_command():
    code = "import sys; sys.modules['sklearn'] = None; import streamrnn.adapters.sklearn"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'streamrnn[sklearn]'" in run.stderr
