"""river's own checks with nothing skipped, and our invariants through the adapters."""

from __future__ import annotations

import copy
import math
import pickle
import random
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import river
from river import anomaly, checks, datasets, evaluate, metrics, preprocessing

from streamrnn import DataError, Detector, SettingsError
from streamrnn.adapters.river import RNNDetector, RNNForecaster, RNNRegressor

COLUMNS = ["Time", *(f"V{i}" for i in range(1, 29)), "Amount"]
COUNTS = {RNNDetector: 27, RNNForecaster: 16, RNNRegressor: 26}
MODELS = list(COUNTS)


class CreditCardLookalike:
    """Stands in for river's CreditCard, a download: its columns, 1 % odd records."""

    def __init__(self, n=0):
        self.n = n

    def take(self, n):
        return CreditCardLookalike(n)

    def __iter__(self):  # anew each time: river's checks go over a dataset more than once
        rng, time = np.random.default_rng(7), 0.0
        for _ in range(self.n):
            odd = int(rng.random() < 0.01)
            time += rng.exponential()
            v = rng.normal(size=28) + odd * rng.normal(4, 2, size=28)
            yield dict(zip(COLUMNS, [time, *map(float, v), float(rng.gamma(1, 80))], strict=True)), odd


def records(n=150, seed=0):
    rng = np.random.default_rng(seed)
    for t in range(n):
        yield {"flow": math.sin(t / 5) + 0.1 * rng.normal(), "level": math.cos(t / 7) + 0.1 * rng.normal()}


def learn(model, x, y=1.0):
    if isinstance(model, RNNDetector):
        model.learn_one(x)
    elif isinstance(model, RNNForecaster):
        model.learn_one(y, x)
    else:
        model.learn_one(x, y)


def ask(model, x):
    if isinstance(model, RNNDetector):
        return [model.score_one(x)]
    return model.forecast(3) if isinstance(model, RNNForecaster) else [model.predict_one(x)]


def checks_of(kind):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "CreditCard", CreditCardLookalike)
        return list(checks.yield_checks(kind()))


def every_check():
    for kind in MODELS:
        seen = Counter()
        for check in checks_of(kind):
            seen[check.__name__] += 1
            yield pytest.param(kind, check, id=f"{kind.__name__}-{check.__name__}-{seen[check.__name__]}")


@pytest.mark.parametrize(("kind", "check"), list(every_check()))
def test_a_check_of_river_passes(kind, check):
    random.seed(1)  # river's checks drop features by chance
    check(kind().clone())


@pytest.mark.parametrize("kind", MODELS)
def test_no_check_of_river_is_skipped_and_all_are_known(kind):
    assert kind()._unit_test_skips() == set()
    found = len(checks_of(kind))
    assert found == COUNTS[kind] if river.__version__.startswith("0.26.") else found >= COUNTS[kind]


def test_scores_have_the_bits_of_the_detector():
    model, detector = RNNDetector(), Detector(channels=["flow", "level"])
    for x in records():
        expected = detector.process_one(x).anomaly_score
        assert model.score_one(x) == (0.0 if math.isnan(expected) else expected)
        model.learn_one(x)
    assert model.detector.to_bytes() == detector.to_bytes()


def test_forecasts_have_the_bits_of_the_detector():
    model = RNNForecaster(horizon=3)
    detector = Detector(channels=["y", "x.flow"], horizons=(1, 2, 3))
    for x in records():
        model.learn_one(x["level"], {"flow": x["flow"]})
        detector.learn_one({"y": x["level"], "x.flow": x["flow"]})
    assert model.forecast(3) == [detector.forecast(h)["y"].mean for h in (1, 2, 3)]
    assert model.forecast(2) == model.forecast(3)[:2]


def test_a_regression_is_the_forecast_after_this_record_and_the_last_target():
    model, detector, last = RNNRegressor(), Detector(channels=["y", "x.flow"]), math.nan
    for x in records():
        flow, predicted = {"flow": x["flow"]}, model.predict_one({"flow": x["flow"]})
        detector.learn_one({"y": last, "x.flow": x["flow"]})
        expected = detector.forecast()["y"].mean
        if math.isfinite(expected):
            assert predicted == expected
        model.learn_one(flow, x["level"])
        last = x["level"]
    assert model.detector.to_bytes() == detector.to_bytes()


@pytest.mark.parametrize("kind", MODELS)
def test_a_pickle_is_stable_and_goes_on_to_the_bit(kind):
    model = kind()
    for t, x in enumerate(records(60)):
        learn(model, x, x["flow"])
        if t in {0, 20, 50}:  # while features are gathered, and after
            assert pickle.dumps(model) == pickle.dumps(model)
            model, other = pickle.loads(pickle.dumps(model)), model
            assert pickle.dumps(model) == pickle.dumps(other)
    whole = kind()
    for x in records(60):
        learn(whole, x, x["flow"])
    assert pickle.dumps(model) == pickle.dumps(whole)
    for x in records(20, seed=1):
        assert ask(model, x) == ask(whole, x)
        learn(model, x)
        learn(whole, x)


@pytest.mark.parametrize("kind", MODELS)
def test_questions_change_nothing(kind):
    model = kind()
    ask(model, {"other": 1.0})
    for x in records(50):
        learn(model, x)
        before = pickle.dumps(model)
        ask(model, {**x, "flow": 1e308, "other": 5})
        assert pickle.dumps(model) == before


@pytest.mark.parametrize("kind", MODELS)
def test_copies_go_on_apart_and_clones_start_over(kind):
    model = kind(hidden=5, seed=3)
    for x in records(40):
        learn(model, x)
    twin, clone = copy.deepcopy(model), model.clone()
    before = pickle.dumps(twin)
    learn(model, {"flow": 3.0, "level": 2.0})
    assert pickle.dumps(twin) == before
    full = model.clone(include_attributes=True)
    assert ask(full, {"flow": 1.0}) == ask(model, {"flow": 1.0})
    assert (clone.settings, clone.seed, clone.detector) == ({"hidden": 5}, 3, None)


@pytest.mark.parametrize("kind", MODELS)
def test_equal_seeds_give_equal_bits_and_other_seeds_others(kind):
    models = [kind(), kind(seed=0), kind(seed=1)]
    for x in records(60):
        for model in models:
            learn(model, x, x["level"])
    states = [model.detector.to_bytes() for model in models]
    assert states[0] == states[1] != states[2]


@pytest.mark.parametrize("kind", MODELS)
def test_a_change_of_unit_changes_no_bit(kind):
    model, other, unit = kind(), kind(), 2.0**20
    for t, x in enumerate(records(120)):
        scaled = {"flow": x["flow"] * unit, "level": x["level"] / unit}
        answers = np.array(ask(model, x))
        np.testing.assert_array_equal(
            answers if kind is RNNDetector else answers * unit, ask(other, scaled), err_msg=f"record {t}"
        )
        learn(model, x, x["level"])
        learn(other, scaled, x["level"] * unit)


@pytest.mark.parametrize("kind", MODELS)
def test_a_feature_that_emerges_early_is_as_if_known_from_the_start(kind):
    late, early = kind(gather=10), kind(gather=10)
    for t, x in enumerate(records(60)):
        given = {"flow": x["flow"]} if t < 9 else x
        learn(late, given)
        learn(early, {"level": None, **given})
        assert ask(late, x) == ask(early, x)
    assert late.detector.to_bytes() == early.detector.to_bytes()
    assert late.n_ignored == 0


@pytest.mark.parametrize("kind", MODELS)
def test_a_feature_that_emerges_late_is_ignored_and_counted(kind):
    model, plain = kind(gather=10), kind(gather=10)
    for t, x in enumerate(records(60)):
        learn(model, x if t < 10 else {**x, "new": 5.0})
        learn(plain, x)
    assert model.n_ignored == 50
    assert model.detector.to_bytes() == plain.detector.to_bytes()


@pytest.mark.parametrize("kind", MODELS)
def test_missing_infinite_and_huge_values_leave_finite_answers(kind):
    model, odd = kind(), [None, math.nan, math.inf, -math.inf, 1e308, np.float32(2), True]
    for t, x in enumerate(records(200)):
        learn(model, {**x, "flow": odd[t % 7]} if t % 3 else {}, odd[t % 7] if t % 2 else 1.0)
        assert all(math.isfinite(answer) for answer in ask(model, x if t % 5 else {}))


@pytest.mark.parametrize("kind", MODELS)
def test_a_feature_or_time_that_cannot_be_read_is_refused_and_changes_nothing(kind):
    model = kind(time="when")
    for x in [{}, *records(3)]:
        learn(model, x)
        before = pickle.dumps(model)
        with pytest.raises(DataError, match="is 'red'"):
            learn(model, {"flow": 1.0, "colour": "red"})
        with pytest.raises(DataError, match="time is 'noon'"):
            learn(model, {"flow": 1.0, "when": "noon"})
        assert pickle.dumps(model) == before


@pytest.mark.parametrize("kind", [RNNForecaster, RNNRegressor])
def test_a_target_that_is_no_number_is_refused_and_changes_nothing(kind):
    model = kind()
    learn(model, {"flow": 1.0})
    before = pickle.dumps(model)
    with pytest.raises(DataError, match="'y' is 'high'"):
        learn(model, {"flow": 1.0}, "high")
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("kind", MODELS)
def test_the_time_of_a_record_can_be_a_feature(kind):
    model, start = kind(time="time"), datetime(2026, 1, 1, tzinfo=UTC)
    for t, x in enumerate(records(50)):
        learn(model, {**x, "time": start + timedelta(minutes=t)})
        ask(model, {**x, "time": start + timedelta(minutes=t + 1)})
        if t in {9, 40}:
            before, model = pickle.dumps(model), pickle.loads(pickle.dumps(model))
            assert pickle.dumps(model) == before
    assert model.detector._fleet.typical_step_ns(0) == pytest.approx(60e9)
    assert not any("time" in channel for channel in model.detector.settings.channels)


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        (RNNDetector, {"hidden": -1}, "hidden is -1"),
        (RNNDetector, {"score": "odd"}, "score is 'odd'; give one of anomaly_score, surprise, probability"),
        (RNNRegressor, {"gather": 0}, "gather is 0; give a whole number from 1 to 1000"),
        (RNNForecaster, {"horizon": 0}, "horizon is 0; give a whole number from 1 to 1000"),
        (RNNForecaster, {"horizons": [2]}, "horizons cannot be set here"),
        (RNNDetector, {"channels": ["a"]}, "channels cannot be set here"),
        (RNNRegressor, {"hiden": 4}, "did you mean 'hidden'"),
    ],
)
def test_a_wrong_setting_is_refused_at_once(kind, settings, words):
    with pytest.raises(SettingsError, match=words):
        kind(**settings)


def test_a_forecast_beyond_the_horizon_is_refused_with_what_to_do():
    with pytest.raises(SettingsError, match="make the model with horizon=13"):
        RNNForecaster().forecast(13)


def test_before_anything_is_known_answers_are_zero_then_the_last_value():
    assert RNNDetector().score_one({"a": 1.0}) == 0
    assert RNNRegressor().predict_one({"a": 1.0}) == 0
    model = RNNForecaster()
    assert model.forecast(2) == [0, 0]
    model.learn_one(7.0)
    assert model.forecast(2) == [7, 7]


@pytest.mark.parametrize("score", ["anomaly_score", "surprise", "probability"])
def test_every_kind_of_score_ranks_odd_records_first(score):
    model, found = RNNDetector(score=score), []
    for x, odd in CreditCardLookalike().take(1500):
        found.append((model.score_one(x), odd))
        model.learn_one(x)
    usual = np.median([value for value, odd in found[200:] if not odd])
    assert all(value > usual for value, odd in found[200:] if odd)
    assert all(value >= 0 and (score != "probability" or value <= 1) for value, _ in found)


def test_it_works_in_pipelines_filters_and_progressive_validation():
    model = preprocessing.StandardScaler() | RNNDetector(score="probability")
    auc = evaluate.progressive_val_score(CreditCardLookalike().take(1500), model, metrics.ROCAUC())
    assert auc.get() > 0.9
    guard = anomaly.ThresholdFilter(
        RNNDetector(score="surprise"), threshold=3, protect_anomaly_detector=False
    )
    assert not guard.classify(guard.score_one({"a": 1.0}))


def test_a_regression_uses_the_features_of_the_record_it_predicts():
    rng, model, errors, y = np.random.default_rng(0), RNNRegressor(), [], 0.0
    for _ in range(1500):
        x = float(rng.normal())
        y = 0.7 * y + 2 * x + 0.1 * float(rng.normal())
        errors.append(abs(y - model.predict_one({"x": x})))
        model.learn_one({"x": x}, y)
    assert np.mean(errors[500:]) < 0.8  # 1.6 for the best forecast that does not see x


def test_river_s_own_evaluations_run_a_forecaster_and_a_regressor():
    found = evaluate.evaluate(
        datasets.AirlinePassengers(), RNNForecaster(horizon=6, time="month"), metrics.MAE(), 6
    )
    assert len(found.metrics) == 6 and found.metrics[0].get() < 40
    score = evaluate.progressive_val_score(datasets.TrumpApproval(), RNNRegressor(), metrics.MAE())
    assert score.get() < 0.3


def test_importing_the_module_does_not_load_rivers_heavy_parts():
    code = (
        "import streamrnn.adapters.river, sys; "
        "print({'river.time_series', 'river.anomaly', 'sklearn'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
