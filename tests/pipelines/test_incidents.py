"""Incidents: what follows from records alone, however they come."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_incidents import MINUTE, START, part, story

from streamrnn.pipelines.incidents import Incidents
from streamrnn.pipelines.rules import Rules, Span

RULES = Rules(quiet=Span(records=60))
NAMES = ("pumps",)


def told(batch, found, rules=RULES):
    return Incidents(rules).add(batch, found, NAMES)


def whats(changes):
    return [change.what for change in changes]


def test_a_detection_at_the_alert_level_opens_an_incident_under_the_id_of_its_event():
    (change,) = told(*story(50, [40]))
    assert (change.what, change.incident.id, change.incident.start) == (
        "opened",
        "pumps-40",
        START + 40 * MINUTE,
    )
    assert change.incident.peak.parts[0][:4] == (0, 1.0, 20.0, 18.0)


def test_an_alert_that_is_no_detection_opens_one_too_and_holds_it_open():
    batch, found = story(200, [40, 90])
    found = replace(found, is_anomaly=np.zeros(200, bool))
    opened, resolved = told(batch, found)
    assert (opened.what, opened.incident.id) == ("opened", "pumps-40")
    assert (resolved.what, resolved.incident.end) == ("resolved", START + 90 * MINUTE)


def test_an_event_below_the_alert_level_opens_none():
    assert told(*story(50, [40], alert=False)) == []


def test_it_is_over_when_the_series_was_quiet_for_long_enough_and_ends_at_its_last_detection():
    batch, found = story(200, [40, 41, 45])
    assert whats(told(part(batch, slice(105)), part(found, slice(105)))) == ["opened"]
    opened, resolved = told(part(batch, slice(106)), part(found, slice(106)))
    assert (resolved.what, resolved.incident.id) == ("resolved", opened.incident.id)
    assert resolved.incident.end == START + 45 * MINUTE
    assert (resolved.incident.detections, resolved.incident.records, resolved.incident.events) == (3, 6, 1)


def test_quiet_may_be_a_duration():
    hour = Rules(quiet=Span(ns=60 * MINUTE))
    batch, found = story(200, [40])
    assert whats(told(part(batch, slice(100)), part(found, slice(100)), hour)) == ["opened"]
    assert whats(told(part(batch, slice(101)), part(found, slice(101)), hour)) == ["opened", "resolved"]


def test_without_times_a_duration_of_quiet_is_sixty_records():
    batch, found = story(101, [40], step=0)
    changes = told(batch, found, Rules(quiet=Span(ns=10**18)))
    assert whats(changes) == ["opened", "resolved"]
    assert changes[1].incident.lasted_ns == 0


def test_an_event_that_goes_on_keeps_its_incident_open_whatever_counts_as_quiet():
    changes = told(*story(200, [40, 55, 70]), Rules(quiet=Span(records=5)))
    assert whats(changes) == ["opened", "resolved"]
    assert changes[1].incident.end == START + 70 * MINUTE


def test_missing_values_are_not_quiet():
    batch, found = story(320, [40], missing=range(50, 250))
    assert whats(told(part(batch, slice(301)), part(found, slice(301)))) == ["opened", "resolved"]
    assert whats(told(part(batch, slice(300)), part(found, slice(300)))) == ["opened"]


def test_a_flapping_series_is_one_incident_whose_events_are_counted():
    opened, *worse, resolved = told(*story(1200, range(100, 1000, 50)))
    assert (opened.what, resolved.what, resolved.incident.events) == ("opened", "resolved", 18)
    assert [(c.incident.events, c.incident.severity) for c in worse] == [(4, "critical")]
    assert [c.incident.sequence for c in (opened, *worse, resolved)] == [1, 2, 3]


def test_a_series_that_falls_ill_again_has_a_second_incident():
    changes = told(*story(500, [40, 300]))
    assert [(c.what, c.incident.id) for c in changes] == [
        ("opened", "pumps-40"),
        ("resolved", "pumps-40"),
        ("opened", "pumps-300"),
        ("resolved", "pumps-300"),
    ]


@pytest.mark.parametrize(("surprise", "severity"), [(3.5, "info"), (4.0, "warning"), (6.0, "critical")])
def test_how_odd_it_is_makes_it_severe(surprise, severity):
    (change,) = told(*story(50, [40], surprise=surprise))
    assert change.incident.severity == severity


def test_how_long_it_lasts_makes_it_severe_and_is_told():
    changes = told(*story(300, range(40, 200), surprise=3.5))
    assert [(c.what, c.incident.severity, c.incident.records) for c in changes] == [
        ("opened", "info", 1),
        ("worse", "warning", 20),
        ("worse", "critical", 120),
        ("resolved", "critical", 160),
    ]


def test_a_silent_series_is_one_incident_until_it_has_been_well_for_a_while():
    batch, found = story(400, [205])
    incidents = Incidents(RULES)
    (opened,) = incidents.silent(0, (0, 99), START + 99 * MINUTE, "pumps-99-gap")
    assert (opened.what, opened.incident.kind, opened.incident.severity) == ("opened", "gap", "warning")
    assert incidents.silent(0, (0, 99), START + 99 * MINUTE, "pumps-99-gap") == []
    changes = incidents.add(part(batch, slice(200, 265)), part(found, slice(200, 265)), NAMES)
    assert whats(changes) == ["worse"]
    changes = incidents.add(part(batch, slice(265, 400)), part(found, slice(265, 400)), NAMES)
    assert [(c.what, c.incident.id) for c in changes] == [("resolved", "pumps-99-gap")]


def test_records_from_before_a_silence_that_are_scored_after_it_was_noticed_do_not_end_it():
    batch, found = story(300, [])
    incidents = Incidents(RULES)
    incidents.silent(0, (0, 199), START + 199 * MINUTE, "pumps-199-gap")
    assert incidents.add(part(batch, slice(0, 200)), part(found, slice(0, 200)), NAMES) == []
    incidents = Incidents(RULES, json.loads(json.dumps(incidents.state())))
    assert incidents.add(part(batch, slice(200, 259)), part(found, slice(200, 259)), NAMES) == []
    assert whats(incidents.add(part(batch, slice(259, 260)), part(found, slice(259, 260)), NAMES)) == [
        "resolved"
    ]


odd_minutes = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 299)), max_size=40)


@given(odd_minutes, st.lists(st.integers(0, 900), max_size=12), st.sampled_from([30, 5]))
def test_any_cutting_into_batches_gives_the_same_changes_and_state_also_over_restarts(odd, cuts, quiet):
    rules = Rules(quiet=Span(records=quiet))
    batch, found = story(300, odd, series=3)
    whole = Incidents(rules)
    changes = whole.add(batch, found, NAMES)
    pieces, again = Incidents(rules), []
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), 900], strict=True):
        again += pieces.add(part(batch, slice(start, end)), part(found, slice(start, end)), NAMES)
        pieces = Incidents(rules, json.loads(json.dumps(pieces.state())))
    for code in range(3):
        of_series = [[c for c in these if c.incident.series == code] for these in (changes, again)]
        assert of_series[0] == of_series[1]
    assert _states(pieces) == _states(whole)


def _states(incidents):
    return sorted(json.dumps(known) for known in incidents.state()["open"])


@given(odd_minutes)
def test_series_do_not_depend_on_each_other(odd):
    batch, found = story(300, odd, series=3)
    together = told(batch, found)
    for code in range(3):
        rows = np.flatnonzero(batch.series == code)
        assert told(part(batch, rows), part(found, rows)) == [
            c for c in together if c.incident.series == code
        ]


def test_ten_thousand_open_incidents_take_bounded_memory():
    batch, found = story(4, [(s, 1) for s in range(10_000)], series=10_000)
    incidents = Incidents(RULES)
    assert len(incidents.add(batch, found, NAMES)) == len(incidents) == 10_000
    state = len(json.dumps(incidents.state()))
    more = part(batch, slice(20_000, 40_000)), part(found, slice(20_000, 40_000))
    for _ in range(20):
        incidents.add(*more, NAMES)
    assert abs(len(json.dumps(incidents.state())) - state) < 0.02 * state < 200_000
