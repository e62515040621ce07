"""What users say of events: look-alikes are quiet or never are, and nothing else changes."""

from __future__ import annotations

from dataclasses import fields

import naive_feedback
import naive_model
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrnn import Batch, DataError, Detector, Fleet, Position, Results, Settings
from streamrnn.feedback import CONFIRMED, DISMISSED, Signature, alike

CHANGES = ("alert_strength", "alert_level", "event_partition", "event_offset")
SETTINGS = {"networks": ["lstm"], "hidden": 4}
FIRST = 600  # the record that is spoken of


def stream(spikes, n=1200, channels=1):
    """Noise with ``{record: height}``; heights are of the first channel, or of each."""
    values = np.random.default_rng(0).normal(size=(n, channels))
    for at, height in {FIRST: 12.0, **spikes}.items():
        values[at, : np.size(height)] = height
    return values


def make(channels=1, keys=("",), **changes):
    options = {"channels": [f"c{i}" for i in range(channels)], "false_alarms": 1e-3, **SETTINGS, **changes}
    fleet = Fleet(Settings(**options))
    fleet.series(keys)
    return fleet


def told_fleet(values, say=Fleet.not_an_anomaly, until=FIRST + 100, **changes):
    """A fleet that has seen the first records, and heard what was said of the spike."""
    fleet = make(values.shape[1], **changes)
    fleet.process(Batch.of_one_series(values[:until]))
    if say is not None:
        say(fleet, "", Position(0, FIRST))
    return fleet


def go_on(fleet, values, start=FIRST + 100, stop=None):
    return fleet.process(Batch.of_one_series(values[start:stop], None, start))


def strength(found, at):
    return found.alert_strength[at - FIRST - 100]


def assert_same(one, other, but=()):
    for field in fields(Results):
        if field.name not in but:
            first, second = getattr(one, field.name), getattr(other, field.name)
            np.testing.assert_array_equal(first, second, err_msg=field.name)


# ---------------------------------------------------------------- what looks like what

numbers = st.one_of(st.floats(-20, 20), st.just(np.nan))


@st.composite
def signatures(draw, n=6):
    """Some signatures of the same channels, close to each other or not."""
    channels = draw(st.integers(1, 3))
    shape = st.lists(numbers, min_size=channels, max_size=channels)
    first = [draw(shape) for _ in range(3)]
    found = []
    for _ in range(n):
        parts = np.array(first) * draw(st.floats(0.3, 1.6)) if draw(st.booleans()) else [draw(shape)] * 3
        shares = np.array(draw(st.lists(st.floats(0.01, 1), min_size=channels, max_size=channels)))
        found.append(Signature(*(list(part) for part in parts), shares / shares.sum()))
    return found


@given(signatures())
def test_what_looks_alike_is_what_the_twin_says(some):
    template, *others = some
    assert alike(template, others) == [naive_feedback.looks_like(other, template) for other in others]


TEMPLATE = Signature([30.0, 5.0], [10.0, 0.1], [8.0, 0.0], [0.9, 0.1])


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, True),
        ({"value": [32.4, 90.0]}, True),
        ({"value": [32.6, 5.0]}, False),
        ({"deviation": [12.4, 0.1]}, True),
        ({"deviation": [12.6, 0.1]}, False),
        ({"deviation": [-10.0, 0.1]}, False),
        ({"deviation": [4.1, 0.1]}, True),
        ({"deviation": [3.9, 0.1]}, False),
        ({"value": [15.0, 5.0]}, True),
        ({"share": [0.6, 0.4]}, False),
        ({"value": [np.nan, 5.0]}, False),
    ],
)
def test_a_look_alike_has_the_same_leading_channel_side_and_size(changed, expected):
    assert alike(TEMPLATE, [TEMPLATE._replace(**changed)]) == [expected]


@pytest.mark.parametrize("mark", [DISMISSED, CONFIRMED])
@pytest.mark.parametrize("case", [(1, 0.02), (2, "20/hour")], ids=["one", "two"])
def test_a_model_with_feedback_equals_its_twin(case, mark):
    channels, false_alarms = case
    values = stream({680: 12.2, 683: 40.0, 760: 11.0, 840: -12.0, 900: 12.0}, 960, channels)
    times = np.arange(960) * 60 * 10**9
    fleet = make(channels, false_alarms=false_alarms, networks=["gru"], hidden=3, k1=1, k2=4)
    twin = naive_model.Model(fleet.settings)
    said, found = [], []
    for start, stop in ((0, 660), (660, 960)):
        batch = Batch.of_one_series(values[start:stop], times[start:stop], start)
        found.append(fleet.process(batch))
        said += [twin.process(int(t), row) for t, row in zip(batch.times, batch.values, strict=True)]
        if start == 0:
            event = max(at for at in twin.feedback.known if at[1] <= FIRST)
            twin.feedback.say(event, mark, twin.alerts)
            say = fleet.not_an_anomaly if mark == DISMISSED else fleet.confirm
            say("", Position(*event))
    for name, key, nothing in (
        ("alert_strength", "strength", 0.0),
        ("alert_level", "alert_level", np.nan),
        ("event_offset", "event", -1),
    ):
        ours = np.concatenate([getattr(part, name) for part in found])
        twins = np.array([out.get(key, nothing) for out in said], float)
        np.testing.assert_allclose(ours, twins, rtol=1e-4, atol=1e-4, err_msg=name)


# ---------------------------------------------------------------- what becomes quiet


def test_a_look_alike_is_quiet_and_nothing_but_alerts_and_events_changes():
    values = stream({800: 12.5})
    found = go_on(told_fleet(values), values)
    before = go_on(told_fleet(values, None), values)
    assert strength(before, 800) > 0.5
    assert strength(found, 800) == 0.0
    assert not (found.alert_strength[100:140] >= 0.5).any()
    assert found.is_anomaly[100]
    assert_same(found, before, but=CHANGES)


@pytest.mark.parametrize("height", [20.0, -12.0, 5.5])
def test_what_is_larger_or_opposite_or_much_smaller_still_alerts(height):
    values = stream({800: height})
    assert strength(go_on(told_fleet(values, None), values), 800) > 0.5
    assert strength(go_on(told_fleet(values), values), 800) > 0.5


def test_something_larger_right_behind_a_look_alike_still_alerts():
    values = stream({800: 12.0, 805: 40.0})
    found = go_on(told_fleet(values), values)
    assert strength(found, 800) == 0.0
    assert strength(found, 805) > 0.5


def test_another_channel_still_alerts():
    values = stream({800: (12.0, 0.0), 900: (0.0, 12.0)}, channels=2)
    found, before = (go_on(told_fleet(values, say), values) for say in (Fleet.not_an_anomaly, None))
    assert strength(before, 800) > 0.5
    assert strength(found, 800) == 0.0
    assert strength(found, 900) > 0.5


def test_a_dismissed_stretch_is_quiet_when_it_comes_again():
    values = 0.3 * np.random.default_rng(0).normal(size=(2000, 1))
    values[FIRST : FIRST + 40] -= 9.0
    values[1400:1440] -= 10.0
    found, before = (go_on(told_fleet(values, say), values) for say in (Fleet.not_an_anomaly, None))
    again = slice(700, 740)
    assert (before.alert_strength[again] >= 0.5).any()
    assert not (found.alert_strength[again] >= 0.5).any()


def test_what_is_made_quiet_takes_nothing_from_other_alerts():
    values = stream({**dict.fromkeys(range(720, 1000, 25), 12.0), 1100: -14.0})
    found, before = (go_on(told_fleet(values, say), values) for say in (Fleet.not_an_anomaly, None))
    assert strength(found, 1100) >= strength(before, 1100) > 0.5


def test_forgetting_leaves_nothing_behind_even_where_look_alikes_came():
    values = stream({720: 12.5, 750: 12.5, 850: 12.0, 900: 20.0})
    told, untold = told_fleet(values), told_fleet(values, None)
    one, other = go_on(told, values, stop=800), go_on(untold, values, stop=800)
    assert not np.array_equal(one.alert_strength, other.alert_strength)
    told.forget_feedback("", Position(0, FIRST))
    assert_same(go_on(told, values, 800), go_on(untold, values, 800))
    layout = told.layout
    for name in layout.row.segments:
        if name not in ("known_events", "feedback"):  # which events may be spoken of
            segments = (layout.segment(fleet.row(0), name, np.uint8) for fleet in (told, untold))
            assert np.array_equal(*segments), name


def test_saying_it_and_taking_it_back_at_once_changes_no_bit():
    values = stream({})
    fleet = told_fleet(values, None)
    before = fleet.to_bytes()
    fleet.not_an_anomaly("", Position(0, FIRST))
    assert fleet.to_bytes() != before
    fleet.forget_feedback("", Position(0, FIRST))
    assert fleet.to_bytes() == before


# ---------------------------------------------------------------- what is never quiet


def test_a_confirmed_event_wins_over_a_dismissed_one_that_looks_the_same():
    values = stream({800: 12.2, 1100: 14.0})
    fleet = told_fleet(values, until=900)
    assert fleet.not_an_anomaly("", Position(0, FIRST)).alike == (Position(0, 800),)
    assert fleet.confirm("", Position(0, 800)).alike == (Position(0, FIRST),)
    assert go_on(fleet, values, start=900).alert_strength[200] > 0.5


def test_recent_alerts_take_nothing_off_a_confirmed_look_alike():
    spikes = dict(zip(range(750, 1200, 90), (14.8, 14.5, 14.0, 13.5, 13.0), strict=True))
    values = stream(spikes)
    found = go_on(told_fleet(values, Fleet.confirm), values)
    before = go_on(told_fleet(values, None), values)
    assert all(strength(found, at) > strength(before, at) > 0.0 for at in spikes)
    assert_same(found, before, but=CHANGES)


# ---------------------------------------------------------------- invariants


@pytest.mark.parametrize("size", [1, 7, 64])
def test_cutting_and_saving_change_no_bit(size):
    values = stream({720: 12.5, 800: 20.0, 860: 12.0})
    expected = go_on(told_fleet(values), values)
    fleet = told_fleet(values)
    for start in range(FIRST + 100, len(values), size):
        if start == FIRST + 100 or size > 1:
            fleet = Fleet.from_bytes(fleet.to_bytes())
        found = go_on(fleet, values, start, start + size)
        there = slice(start - FIRST - 100, start - FIRST - 100 + size)
        columns = {field.name: getattr(expected, field.name)[there] for field in fields(Results)}
        assert_same(found, Results(**columns))


def test_a_fleet_gives_the_same_bits_as_detectors_and_series_do_not_hear_of_each_other():
    values = stream({720: 12.5, 800: 20.0})
    fleet = make(1, ("a", "b"))
    n = len(values)

    def both(start, stop):
        part = np.repeat(values[start:stop], 2, axis=0)
        k = stop - start
        return fleet.process(
            Batch(np.tile([0, 1], k).astype(np.int32), np.full(2 * k, np.iinfo(np.int64).min), part,
                  np.zeros(2 * k, np.int32), np.repeat(np.arange(start, stop), 2))
        )  # fmt: skip

    both(0, 700)
    fleet.not_an_anomaly("a", Position(0, FIRST))
    together = both(700, n)
    for code, say in enumerate((True, False)):
        detector = Detector(name="x", false_alarms=1e-3, **SETTINGS)
        for row in values[:700]:
            detector.learn_one(row)
        if say:
            detector.not_an_anomaly(f"x-{FIRST}")
        alone = [detector.process_one(row).alert_strength for row in values[700:]]
        assert np.array_equal(alone, together.alert_strength[code::2])


@given(powers=st.tuples(st.integers(-200, 200), st.integers(-200, 200)))
def test_a_power_of_two_in_the_unit_changes_no_bit(powers):
    values = stream({720: 12.5, 800: 20.0, 860: (0.0, 12.0)}, 900, 2)
    factors = 2.0 ** np.array(powers)
    one, other = (go_on(told_fleet(some), some) for some in (values, values * factors))
    for name in ("alert_strength", "alert_level", "event_offset", "p_value", "is_anomaly"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


# ---------------------------------------------------------------- what is remembered


def test_the_newest_events_are_remembered_with_their_peaks():
    last = 4800
    values = stream({at: 15.0 + at / 10 for at in range(200, last + 1, 200)}, last + 50)
    fleet = make()
    found = fleet.process(Batch.of_one_series(values))
    opened = np.unique(found.event_offset[found.event_offset >= 0])
    remembered = fleet.layout.preset.events
    assert len(opened) > remembered
    with pytest.raises(
        DataError, match=f"event .*{opened[0]}.* is not known, or not any more.*here: .*{last}"
    ):
        fleet.not_an_anomaly("", Position(0, int(opened[0])))
    for offset in opened[-remembered:]:
        fleet.confirm("", Position(0, int(offset)))


def test_the_event_of_which_was_spoken_longest_ago_makes_room_and_the_answer_says_so():
    values = stream({at: 15.0 * (-1) ** at + at / 10 for at in range(205, 4000, 275)}, 4000)
    detector = Detector(name="x", false_alarms=1e-3, **SETTINGS)
    results = [detector.process_one(row) for row in values]
    ids = list(dict.fromkeys(result.event_id for result in results if result.event_id))[-9:]
    answers = [detector.not_an_anomaly(event_id) for event_id in ids]
    assert [answer.replaced for answer in answers] == [None] * 8 + [ids[0]]
    assert detector.not_an_anomaly(ids[3]).replaced is None  # said again
    with pytest.raises(
        DataError, match=f"nothing was said of event {ids[0]} that holds; spoken of: {ids[1]}"
    ):
        detector.forget_feedback(ids[0])


def test_who_speaks_of_what_is_not_there_is_told_so():
    detector = Detector(name="x")
    with pytest.raises(DataError, match="x-3 is not known: no record has come yet"):
        detector.not_an_anomaly("x-3")
    detector.learn_one(1.0)
    with pytest.raises(DataError, match="here: none yet"):
        detector.confirm("x-3")
    with pytest.raises(DataError, match="ids of its events look like x-1500"):
        detector.forget_feedback("pump-3")
    with pytest.raises(DataError, match="there is no series 'pump'"):
        make().confirm("pump", Position(0, 3))


def test_what_is_said_again_of_an_event_is_said_of_what_it_is_by_now():
    values = stream({800: 12.5})
    event = Position(0, FIRST)

    def say(fleet, *_):
        fleet.tell("", event, DISMISSED, Signature([-3.0], [-3.0], [-3.0], [1.0]))

    before, again = told_fleet(values, say), told_fleet(values, say)
    again.not_an_anomaly("", event)
    assert strength(go_on(before, values), 800) > 0.5
    assert strength(go_on(again, values), 800) == 0.0


def test_what_was_said_of_an_event_outlasts_its_being_remembered():
    values = stream({at: 15.0 + at / 10 for at in range(650, 2000, 50)}, 2000)
    fleet = told_fleet(values, until=640)
    go_on(fleet, values, 640)
    assert fleet.confirm("", Position(0, FIRST)).replaced is None
    fleet.forget_feedback("", Position(0, FIRST))
