"""Events that are named as users called those before them."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest

from streamrnn import DataError, Detector, SettingsError
from streamrnn.event_kinds import EventKinds
from streamrnn.pipelines.plant import Plant
from streamrnn.result import Expectation, Result
from streamrnn.windows import WindowClassifier


def said(values, event=None, status="calibrated", record="pump-0"):
    channels = {name: Expectation(value, nan, nan, nan, nan) for name, value in values.items()}
    return Result(status, nan, nan, nan, event is not None, nan, event, "", record, channels)


def stretch(kind, rng, base=0.0):
    """50 records whose 20th opens an event; steps of 1/8, which lose no bit beside a base."""
    values = np.round(2.0 * rng.normal(size=50)) / 8.0 + base
    if kind == "spike":
        values[20] += 4.0
    elif kind == "shift":
        values[20:] += 4.0
    return values


def follow(kinds, values, event, series=""):
    for t, value in enumerate(values):
        kinds.follow(said({"flow": float(value)}, event if 20 <= t < 23 else None), series)


def test_events_are_named_as_users_called_those_before_them():
    rng, kinds, right = np.random.default_rng(0), EventKinds(seed=1), []
    for n in range(60):
        called = ("spike", "shift")[int(rng.integers(2))]
        follow(kinds, stretch(called, rng), f"a-{n}")
        probabilities = kinds.probabilities(f"a-{n}")
        right.append(bool(probabilities) and max(probabilities, key=probabilities.get) == called)
        kinds.learn(f"a-{n}", called)
    assert right[0] is False  # nothing is known before the first label
    assert np.mean(right[-30:]) >= 0.9
    rng = np.random.default_rng(1)
    follow(kinds, stretch("shift", rng), "b-1", "b")
    rng = np.random.default_rng(1)
    follow(kinds, stretch("shift", rng, base=1000.0), "c-1", "c")
    assert kinds.probabilities("b-1") == kinds.probabilities("c-1")  # at any level


def test_a_window_begins_before_its_event_and_may_end_behind_it(monkeypatch):
    windows = []
    monkeypatch.setattr(WindowClassifier, "learn", lambda self, window, kind: windows.append((window, kind)))
    kinds = EventKinds(before=3, after=4)
    for t in range(20):
        level = nan if t == 11 else 100.0 + t
        event = {1: "young", 10: "old", 11: "old"}.get(t)
        for series, shift in (("x", 0.0), ("y", 0.5)):
            named = event and f"{series}-{event}"
            kinds.follow(said({"flow": level + shift, "level": 5.0}, named), series)
        kinds.follow(said({"flow": 1e9, "level": 1e9}, "x-late", "late"), "x")  # not in its place: not heard
    assert kinds.events == ("x-young", "y-young", "x-old", "y-old")
    for event in kinds.events:
        kinds.learn(event, event)
    for (window, _), expected in zip(
        windows, [[0, 1, 2, 3, 4]] * 2 + [[-1, 0, 1, 2, nan, 4, 5]] * 2, strict=True
    ):
        np.testing.assert_array_equal(window["flow"], expected)
        np.testing.assert_array_equal(window["level"], np.zeros(len(expected)))


def test_only_the_newest_events_are_kept_and_others_are_refused():
    kinds, rng = EventKinds(memory=2), np.random.default_rng(0)
    for n in range(3):
        follow(kinds, stretch("spike", rng), f"a-{n}")
    assert kinds.events == ("a-1", "a-2")
    assert kinds.probabilities("a-2") == {}
    for ask in (lambda: kinds.probabilities("a-0"), lambda: kinds.learn("a-0", "spike")):
        with pytest.raises(DataError, match="no event 'a-0' among the 2 that are kept"):
            ask()
    with pytest.raises(SettingsError, match="each at least 1"):
        EventKinds(before=0)


@pytest.mark.soak
def test_faults_of_a_plant_are_named_better_than_by_rules():
    """Alerts of 40 sensors in the order of time, each named and then called what was planted."""
    sensors, n = 40, 12_000
    plant = Plant(sensors=sensors, channels=1, seed=0, start=0, step=60_000_000_000, every=1000)
    faults, block = plant.faults(0, n), plant.block(0, n)
    kinds, opened, right, rules = EventKinds(seed=1), [], [], []
    for sensor in range(sensors):
        detector, strongest = Detector(name=f"s{sensor}"), {}
        for t in np.flatnonzero(block.present[:, sensor]):
            result = detector.process_one(float(block.values[t, sensor, 0]))
            kinds.follow(result, sensor)
            if result.event_id:
                first, strength, _ = strongest.get(result.event_id, (t, 0.0, ""))
                strongest[result.event_id] = first, max(strength, result.alert_strength), result.event_kind
        opened += [(first, sensor, event, rule) for event, (first, s, rule) in strongest.items() if s >= 0.5]
    for first, sensor, event, rule in sorted(opened):
        planted = [f.kind for f in faults if f.sensor == sensor and f.first - 3 <= first <= f.last + 5]
        called = planted[0] if planted else "nothing"
        if called == "gap" or event not in kinds.events:
            continue
        probabilities = kinds.probabilities(event)
        if planted:
            right.append(bool(probabilities) and max(probabilities, key=probabilities.get) == called)
            rules.append(rule == called)
        kinds.learn(event, called)
    late = slice(len(right) // 2, None)
    print(len(right), np.mean(right[late]), np.mean(rules[late]))  # noqa: T201
    assert np.mean(right[late]) > 0.8
    assert np.mean(rules[late]) < 0.65
