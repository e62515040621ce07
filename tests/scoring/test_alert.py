"""Detections, events, alert strength and the budget that steers the level."""

from __future__ import annotations

import naive_scoring
import numpy as np
import pytest
from support import test_kernel

from streamrnn.kernels.scalar import log
from streamrnn.kernels.vector import float64_at, int64_at, load, store
from streamrnn.scoring import alert


@test_kernel
def _judge(state, event, columns, allowed, fixed):
    """Judge every surprise as ``step.py`` does; columns: surprises, then what is written."""
    surprises, lasting, detected, strengths, opened, normal, levels, raised, n = columns
    for i in range(n):
        surprise = load(float64_at(surprises), i)
        alert.end_if_calm(int64_at(event))
        level = alert.level_now(float64_at(state), fixed, allowed)
        limit = -log(level) / 2.302585092994046
        store(int64_at(normal), i, alert.is_normal(float64_at(state), surprise, limit, False))
        detection = surprise >= limit
        store(float64_at(raised), i, alert.alert_level_now(float64_at(state), int64_at(event)))
        strength = alert.judge_event(
            float64_at(state),
            int64_at(event),
            detection,
            surprise / 3.0,
            allowed,
            (7, i),
            load(int64_at(lasting), i) > 0,
        )
        store(int64_at(detected), i, detection)
        store(float64_at(strengths), i, strength)
        store(float64_at(levels), i, level)
        is_open = load(int64_at(event), alert.OPEN) > 0
        store(int64_at(opened), i, load(int64_at(event), alert.OFFSET) if is_open else -1)


class Judge:
    """An alert layer by itself. ``allowed`` events a record steer the level; else it is ``fixed``."""

    def __init__(self, allowed=0.0, fixed=1e-3):
        self.state, self.event = np.zeros(alert.state_size()), np.array(alert.initial_event())
        self.allowed, self.fixed = allowed, fixed

    def __call__(self, surprises, lasting=()):
        surprises = np.ascontiguousarray(surprises, np.float64)
        n = surprises.size
        goes_on = np.zeros(n, np.int64)
        goes_on[list(lasting)] = 1
        self.detected, self.opened, self.normal = (np.empty(n, np.int64) for _ in range(3))
        self.strength, self.level, self.raised = np.empty(n), np.empty(n), np.empty(n)
        columns = (
            surprises, goes_on, self.detected, self.strength, self.opened, self.normal, self.level,
            self.raised,
        )  # fmt: skip
        addresses = tuple(column.ctypes.data for column in columns)
        _judge(self.state.ctypes.data, self.event.ctypes.data, (*addresses, n), self.allowed, self.fixed)
        return self

    @property
    def events(self):
        """Offsets of the records that opened an event."""
        return sorted(set(self.opened[self.opened >= 0]))

    @property
    def reached(self):
        """How many events reached the alert level."""
        return len({self.opened[i] for i in np.flatnonzero(self.strength >= self.raised)})


def quiet(n, **loud):
    """Surprises of 0.3 with others at ``_<place>``."""
    surprises = np.full(n, 0.3)
    for place, value in loud.items():
        surprises[int(place[1:])] = value
    return surprises


def normal_surprises(n, seed=0, stretch=1.0):
    """-log10 of uniform p-values; stretched where the tail thinks too little of odd scores."""
    return -stretch * np.log10(1.0 - np.random.default_rng(seed).random(n))


@pytest.mark.parametrize("allowed", [0.0, 1e-4, 3e-3])
@pytest.mark.parametrize("stretch", [1.0, 1.6])
def test_everything_equals_the_twin(allowed, stretch):
    surprises = normal_surprises(20_000, 1, stretch)
    surprises[5000:5300] += 4.0  # a long fault
    surprises[9000:9200:5] += 3.0
    judge, twin = Judge(allowed)(surprises), naive_scoring.Alerts(allowed)
    for i, surprise in enumerate(surprises):
        limit = naive_scoring.surprise_of(twin.level(1e-3))
        assert judge.level[i] == pytest.approx(twin.level(1e-3), rel=1e-9)
        twin.end_if_calm()
        assert judge.normal[i] == twin.is_normal(surprise, limit)
        assert judge.raised[i] == pytest.approx(twin.alert_level, rel=1e-9)
        assert judge.detected[i] == (surprise >= limit)
        strength = twin.judge(surprise >= limit, surprise / 3.0, (7, i))
        assert judge.strength[i] == pytest.approx(strength, rel=1e-9)
        assert judge.opened[i] == (twin.position[1] if twin.open else -1)
    state = [twin.recent, twin.steer, twin.raised, twin.normal, twin.withheld]
    np.testing.assert_allclose(judge.state[: len(state)], state, rtol=1e-9, atol=1e-12)


# ---------------------------------------------------------------- events


def test_a_detection_is_a_surprise_at_or_over_the_level():
    judge = Judge(fixed=1e-3)(quiet(10, _3=2.9999999, _5=3.0000001, _7=12.0))
    assert list(np.flatnonzero(judge.detected)) == [5, 7]


def test_an_event_opens_with_a_detection_and_ends_after_quiet():
    judge = Judge()(quiet(60, _10=4.0))
    assert list(np.flatnonzero(judge.opened >= 0)) == list(range(10, 11 + alert.QUIET))
    assert judge.events == [10]
    assert judge.event[alert.PARTITION] == 7


def test_a_detection_before_the_quiet_is_over_goes_on_with_the_event():
    gap = alert.QUIET
    judge = Judge()(quiet(100, **{"_10": 4.0, f"_{10 + gap}": 4.0}))
    assert judge.events == [10]
    assert np.flatnonzero(judge.opened >= 0)[-1] == 10 + 2 * gap


def test_a_detection_after_the_quiet_is_another_event():
    second = 11 + alert.QUIET
    judge = Judge()(quiet(100, **{"_10": 4.0, f"_{second}": 4.0}))
    assert judge.events == [10, second]
    assert np.count_nonzero(judge.strength) == 1  # the second is no worse


def test_a_stricter_level_still_opens_events_at_a_strength_of_a_half():
    """The level never rescales the strength: p = .001 is a half."""
    judge = Judge(fixed=1e-6)(quiet(30, _5=3.3))
    assert not judge.detected.any()
    assert judge.events == [5]
    assert judge.strength[5] == pytest.approx(1.1 / 2.1)


def test_a_looser_level_opens_events_below_a_strength_of_a_half():
    judge = Judge(fixed=1e-2)(quiet(30, _5=2.4))
    assert judge.events == [5]
    assert judge.strength[5] == pytest.approx(0.8 / 1.8)
    assert judge.reached == 0


def test_an_event_speaks_again_only_where_it_is_worse_after_a_pause():
    after = 10 + alert.PAUSE + 1
    steady = {f"_{i}": 4.0 for i in range(10, after)}
    for place, value, speaks in ((after, 4.0, [10]), (after, 6.0, [10, after]), (after - 1, 6.0, [10])):
        judge = Judge()(quiet(60, **{**steady, f"_{place}": value}))
        assert list(np.flatnonzero(judge.strength)) == speaks


def test_what_asks_for_the_same_all_the_time_speaks_once():
    """Although the discount that its own alert began fades, and whatever the window has forgotten."""
    judge = Judge()(quiet(6000, **{f"_{i}": 6.0 for i in range(3000, 6000)}))
    assert list(np.flatnonzero(judge.strength)) == [3000]


def test_after_the_longest_window_what_was_worse_is_forgotten():
    for between, speaks in ((alert.LONGEST, [5000, 5000 + alert.LONGEST + 1]), (alert.LONGEST - 1, [5000])):
        judge = Judge()(quiet(6000, _5000=6.0, **{f"_{5000 + between + 1}": 5.0}))
        assert list(np.flatnonzero(judge.strength)) == speaks


def test_strength_is_between_0_and_1_and_mostly_0():
    judge = Judge()(normal_surprises(50_000, 2, 2.0))
    assert judge.strength.min() == 0.0
    assert judge.strength.max() < 1.0
    assert np.count_nonzero(judge.strength) < 0.02 * 50_000


def test_where_much_is_alarming_less_is_alarming():
    places = range(0, 3000, 60)
    judge = Judge()(quiet(3000, **{f"_{i}": 3.5 for i in places}))
    strengths = judge.strength[list(places)]
    assert strengths[0] > 0.53
    assert np.all(strengths[20:] < strengths[0])


def test_a_young_series_alerts_only_for_what_is_very_odd():
    grown = int(alert.YOUTH)
    for place, value, alerts in ((5, 9.0, 0), (5, 120.0, 1), (grown, 9.0, 1)):
        judge = Judge()(quiet(grown + 50, **{f"_{place}": value}))
        assert judge.events == [place]  # an event it is all the same
        assert judge.reached == alerts


def test_records_that_are_no_detection_are_counted():
    judge = Judge()(quiet(100, _3=5.0, _50=5.0))
    assert judge.state[alert.NORMAL] == 98.0


# ---------------------------------------------------------------- what the tail may learn


def test_what_is_clearly_odd_is_kept_from_the_tail_but_not_for_ever():
    judge = Judge()(np.concatenate([normal_surprises(500, 3) % 2.0, np.full(400, 9.0)]))
    assert judge.normal[:500].all()
    withheld = 400 - judge.normal[500:].sum()
    assert alert.MOST_WITHHELD <= withheld < 2.0 * alert.MOST_WITHHELD
    assert not judge.normal[500 : 500 + int(alert.MOST_WITHHELD)].any()


def test_the_tail_of_a_normal_stream_is_learned():
    """Keeping out what is just over the level would teach the tail that nothing ever is."""
    judge = Judge(fixed=1e-2)(normal_surprises(100_000, 4))
    just_over = judge.detected & (normal_surprises(100_000, 4) < 3.0)
    assert just_over.sum() > 500
    assert judge.normal[just_over > 0].all()
    assert np.mean(judge.normal) > 0.999


# ---------------------------------------------------------------- budget


@pytest.mark.parametrize("allowed", [2e-4, 5e-4])
@pytest.mark.parametrize("stretch", [0.95, 1.0, 1.3])
def test_a_budget_of_detections_is_met_in_the_long_run(allowed, stretch):
    """Events that open at a detection, though the p-values are wrong by a power."""
    surprises = normal_surprises(1_000_000, 5, stretch)
    judge = Judge(allowed)
    judge(surprises[:200_000])
    judge(surprises[200_000:])
    opened = len(set(judge.opened[judge.detected > 0]))
    assert 0.75 <= opened / (800_000 * allowed) <= 1.25


def test_a_budget_of_alerts_is_not_overrun_in_the_long_run():
    surprises, allowed = normal_surprises(1_000_000, 5, 1.6), 1e-4
    judge = Judge(allowed)
    judge(surprises[:200_000])
    reached = judge(surprises[200_000:]).reached
    assert 0.5 <= reached / (800_000 * allowed) <= 1.25
    assert (judge.strength >= 0.5).sum() > 3 * reached


def test_the_level_stays_within_its_bounds():
    for allowed, stretch in ((1e-4, 5.0), (1e-4, 0.1), (0.5, 1.0), (1e-12, 1.0)):
        judge = Judge(allowed)(normal_surprises(20_000, 6, stretch))
        low, high = alert._STEER_BOUNDS
        assert judge.level.min() >= min(allowed * np.exp(low), alert.LARGEST_LEVEL) * (1 - 1e-12)
        assert judge.level.max() <= min(allowed * np.exp(high), alert.LARGEST_LEVEL) * (1 + 1e-12)


def test_a_fixed_level_is_never_steered():
    judge = Judge(fixed=2e-3)(normal_surprises(20_000, 7, 3.0))
    assert np.all(judge.level == 2e-3)
    assert judge.state[alert.STEER] == 0.0


def test_what_goes_on_holds_its_event_open_but_not_for_ever():
    surprises = np.zeros(1000)
    surprises[100] = 6.0
    held = np.flatnonzero(Judge()(surprises, lasting=range(100, 250)).opened >= 0)
    assert (held[0], held[-1]) == (100, 249 + alert.QUIET)
    held = np.flatnonzero(Judge()(surprises, lasting=range(100, 1000)).opened >= 0)
    assert (held[0], held[-1]) == (100, 100 + alert.LASTING - 1 + alert.QUIET)


def test_what_goes_on_opens_no_event():
    assert not Judge()(np.zeros(300), lasting=range(300)).events
