"""The classifier of windows: kinds of events learned from labels as they come, under river's own checks."""

from __future__ import annotations

import copy
import pickle
import random
from collections import Counter

import numpy as np
import pytest
from river import checks, evaluate, metrics

from streamrnn import DataError, SettingsError
from streamrnn.adapters.river import RNNClassifier
from streamrnn.pipelines.plant import Plant
from streamrnn.windows import WindowClassifier

KINDS = {"spike", "dip", "level shift", "drift", "variance change", "flat line", "pattern"}
BEFORE, AFTER = 8, 32


def every_check():
    seen = Counter()
    for check in checks.yield_checks(RNNClassifier()):
        seen[check.__name__] += 1
        yield pytest.param(check, id=f"{check.__name__}-{seen[check.__name__]}")


@pytest.mark.parametrize("check", list(every_check()))
def test_a_check_of_river_passes(check):
    random.seed(1)  # river's checks drop features by chance
    check(RNNClassifier(units=4, replays=1).clone())


def test_no_check_of_river_is_skipped():
    assert RNNClassifier()._unit_test_skips() == set()


def events(n, seed=0):
    """Windows around faults of a simulated plant in their order, each minus its start, and their kinds."""
    plant = Plant(sensors=60, channels=1, seed=seed, start=0, step=60_000_000_000, every=1000)
    faults = [f for f in plant.faults(1000, 14_000) if f.kind in KINDS][:n]
    block = plant.block(0, 15_000)
    for fault in faults:
        window = block.values[fault.first - BEFORE : fault.first + AFTER, fault.sensor, 0]
        yield {"temperature": window - np.median(window[:BEFORE])}, fault.kind


def test_it_learns_the_kinds_of_events_from_labels_as_they_come():
    """Tested, then learned, one after the other; of the last 150 most are right, of seven kinds."""
    model, right, labels = RNNClassifier(seed=1), [], []
    for window, kind in events(400):
        right.append(model.predict_one(window) == kind)
        model.learn_one(window, kind)
        labels.append(kind)
    most_frequent = max(Counter(labels).values()) / len(labels)
    assert set(labels) == KINDS and most_frequent < 0.25
    assert np.mean(right[-150:]) > 0.7
    assert np.mean(right[-150:]) > np.mean(right[:50]) + 0.1


def made(kind, rng):
    """A short window that looks like a kind."""
    window = 0.3 * rng.normal(size=20)
    at = rng.integers(4, 14)
    if kind == "spike":
        window[at] += 6.0
    elif kind == "shift":
        window[at:] += 6.0
    return {"flow": window, "level": rng.normal(size=20)}


def stream(kinds, n, seed):
    rng = np.random.default_rng(seed)
    for kind in rng.choice(kinds, n):
        yield made(kind, rng), kind


def accuracy(model, kinds, seed=99):
    return np.mean([model.predict_one(window) == kind for window, kind in stream(kinds, 60, seed)])


def test_a_label_that_appears_later_joins_those_that_were_learned():
    model = RNNClassifier(seed=1)
    for window, kind in stream(["nothing", "spike"], 60, 0):
        model.learn_one(window, kind)
    assert accuracy(model, ["nothing", "spike"]) > 0.9
    for window, _ in stream(["shift"], 20, 1):
        model.learn_one(window, "shift")
    assert accuracy(model, ["nothing", "spike", "shift"]) > 0.9
    said = model.predict_proba_one(made("shift", np.random.default_rng(5)))
    assert set(said) == {"nothing", "spike", "shift"} and sum(said.values()) == pytest.approx(1.0)


def test_it_follows_a_user_who_calls_things_differently_from_now_on():
    model = RNNClassifier(seed=1, memory=32)
    for window, kind in stream(["spike", "shift"], 60, 0):
        model.learn_one(window, kind)
    for window, kind in stream(["spike", "shift"], 60, 1):
        model.learn_one(window, {"spike": "flush", "shift": "leak"}[kind])
    rng = np.random.default_rng(2)
    assert (
        model.predict_one(made("spike", rng)) == "flush" and model.predict_one(made("shift", rng)) == "leak"
    )


def test_rivers_evaluation_takes_windows():
    pairs = [(window, str(kind)) for window, kind in stream(["nothing", "spike", "shift"], 150, 3)]
    score = evaluate.progressive_val_score(pairs, RNNClassifier(seed=1), metrics.Accuracy())
    assert score.get() > 0.75


# ---------------------------------------------------------------- state


def fed(n=12, **options):
    model = RNNClassifier(seed=1, **options)
    for window, kind in stream(["nothing", "spike"], n, 0):
        model.learn_one(window, str(kind))
    return model


ASKED = made("spike", np.random.default_rng(7))


@pytest.mark.parametrize("way", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_goes_on_to_the_bit_and_shares_nothing(way):
    model = fed()
    other = way(model)
    before = model.predict_proba_one(ASKED)
    assert other.predict_proba_one(ASKED) == before
    for window, kind in stream(["nothing", "spike"], 5, 4):
        other.learn_one(window, str(kind))
    assert model.predict_proba_one(ASKED) == before != other.predict_proba_one(ASKED)
    for window, kind in stream(["nothing", "spike"], 5, 4):
        model.learn_one(window, str(kind))
    assert model.predict_proba_one(ASKED) == other.predict_proba_one(ASKED)


def test_nothing_grows_with_the_stream():
    sizes = [fed(n, memory=8, replays=0)._raw_memory_usage for n in (30, 90)]
    assert sizes[0] == sizes[1]


def test_no_kind_is_forgotten_for_another_that_comes_all_the_time():
    model = WindowClassifier(memory=6, replays=0)
    for n in range(30):
        model.learn({"a": [float(n)]}, "rare" if n in (1, 2) else "frequent")
    assert Counter(kind for _, kind in model._memory) == {1: 2, 0: 4}


# ---------------------------------------------------------------- what windows may hold


def test_windows_may_be_of_any_length_miss_values_and_bring_new_channels():
    model = fed()
    for window in (
        {"flow": 1.0, "level": None}, {"flow": [np.nan, np.nan], "level": [1, None]}, {"level": [np.inf] * 3},
        {"flow": [1e308] * 40, "level": [-1e308] * 40}, {"new": [1.0, 2.0]}, {}, {"flow": np.zeros(1000)},
    ):  # fmt: skip
        model.learn_one(window, "spike")
        said = model.predict_proba_one(window)
        assert np.isfinite(list(said.values())).all()
    for window, kind in stream(["nothing", "spike"], 60, 6):
        model.learn_one(window, str(kind))
    assert accuracy(model, ["nothing", "spike"]) > 0.8


def test_before_the_first_label_nothing_is_said_and_none_is_no_label():
    model = RNNClassifier()
    model.learn_one({"flow": [1.0]}, None)
    assert model.predict_one({"flow": [1.0]}) is None and model.predict_proba_one({"flow": [1.0]}) == {}


@pytest.mark.parametrize("window", [{"flow": [1.0], "level": [1.0, 2.0]}, {"flow": "high"}, {"flow": []}])
def test_what_is_no_window_is_refused_and_changes_nothing(window):
    model, twin = fed(), fed()
    with pytest.raises(DataError):
        model.learn_one(window, "new")
    with pytest.raises(DataError):
        model.predict_proba_one(window)
    assert model.predict_proba_one(ASKED) == twin.predict_proba_one(ASKED)


def test_what_a_model_may_grow_to_is_bounded():
    model = WindowClassifier(units=1, replays=0)
    with pytest.raises(DataError, match="more than 256 channels"):
        model.learn({str(n): [1.0] for n in range(257)}, "kind")
    model._kinds = list(range(256))
    with pytest.raises(DataError, match="more than 256 kinds"):
        model.learn({"a": [1.0]}, "one more")
    with pytest.raises(SettingsError, match="memory and longest"):
        WindowClassifier(memory=0)
