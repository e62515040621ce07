"""What a person on call hears, message by message, on a clock that the tests set."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from alert_world import NOON, SECOND, World, down
from made_incidents import MINUTE, START, part, story

from streamrnn import Batch, Fleet, Settings
from streamrnn.errors import DeliveryError
from streamrnn.pipelines.hours import hours
from streamrnn.pipelines.matchers import matchers
from streamrnn.pipelines.outbox import DEAD
from streamrnn.pipelines.routing import Inhibition, Route, Routing
from streamrnn.pipelines.rules import Span
from streamrnn.pipelines.store import SilenceRow

HOUR, DAY = 3600, 86_400
OPS = (Route(("ops",)),)


@pytest.fixture
def world(tmp_path):
    made = []

    def make(**options):
        made.append(World(tmp_path / f"state-{len(made)}.db", **options))
        return made[-1]

    yield make
    for one in made:
        one.store.close()


# What a person on call wants: the counts.


def test_a_level_shift_of_one_series_is_one_firing_and_one_resolved(world):
    plant = world()
    plant.play(story(400, range(100, 160)))
    assert plant.inbox.told == [("firing", 1), ("resolved", 1)]
    firing, resolved = plant.inbox.got
    assert firing.alerts[0].labels == resolved.alerts[0].labels
    assert firing.alerts[0].fingerprint == resolved.alerts[0].fingerprint
    assert (resolved.alerts[0].starts_at, resolved.alerts[0].ends_at) == (
        START + 100 * MINUTE,
        START + 159 * MINUTE,
    )


def test_a_fault_in_50_series_at_once_is_one_firing_and_one_resolved_not_50(world):
    plant = world(series=50)
    faults = [(s, t) for s in range(50) for t in range(100, 110 + s % 7)]
    plant.play(story(250, faults, series=50))
    assert plant.inbox.told == [("firing", 50), ("resolved", 50)]


def test_a_fault_that_spreads_over_50_series_within_minutes_is_two_messages_each(world):
    plant = world(series=50)
    faults = [(s, t) for s in range(50) for t in range(100 + s // 25, 110)]
    plant.play(story(250, faults, series=50))
    assert plant.inbox.told == [("firing", 25), ("firing", 25), ("resolved", 25), ("resolved", 25)]


def test_a_flapping_sensor_is_one_firing_and_one_resolved(world):
    plant = world()
    plant.play(story(1500, range(100, 1300, 40)))
    assert plant.inbox.told == [("firing", 1), ("resolved", 1)]
    assert "30 detections in 30 events" in plant.inbox.got[1].alerts[0].annotations["description"]


def test_a_sensor_dead_for_a_week_is_one_firing_and_one_resolved(world):
    plant = world()
    whole = story(300, [])
    plant.play(whole, minutes=range(100))
    plant.alerting.silent(0, (0, 99), START + 99 * MINUTE, "pumps-99-gap")
    plant.alerting.beat()
    plant.wait(7 * DAY, every=60)
    assert plant.inbox.told == [("firing", 1)]
    plant.play(whole, minutes=range(100, 200))
    assert plant.inbox.told == [("firing", 1), ("resolved", 1)]
    assert plant.inbox.got[0].alerts[0].labels["alertname"] == "SensorSilent"


@pytest.mark.parametrize("later", [0, 1])
@pytest.mark.parametrize("cuts", [[], [100], [99, 100, 131], [100, 131, 300, 310], range(10, 390, 7)])
def test_a_silence_comes_behind_the_record_before_it_however_batches_are_cut(world, cuts, later):
    batch, found = story(400, [95, 98, 220])
    plant, ends = world(), [*cuts, 400]
    for start, end in zip([0, *ends], ends, strict=False):
        for last in (99, 130, 299, 309):  # noticed among the records that come with it, or after it
            if start <= last + later < end:
                plant.alerting.silent(0, (0, last), START + last * MINUTE, f"gap:pumps-{last}")
        plant.alerting.records(part(batch, slice(start, end)), part(found, slice(start, end)), None)
    rows = sorted((row.id, row.sequence, row.open) for row in plant.store.incidents())
    assert rows == [("gap:pumps-299", 2, False), ("pumps-220", 2, False), ("pumps-95", 2, False)]


def shifted(values):
    values[3500:] += 15


def flapping(values):
    values[3500:4000:15] += 15


def stuck(values):
    values[3500:4200] = 7.0


@pytest.mark.parametrize("fault", [shifted, flapping, stuck])
def test_with_a_real_model_a_fault_is_one_firing_and_one_resolved_too(world, fault):
    rng = np.random.default_rng(0)
    values = 20 + 3 * np.sin(np.arange(4500) / 20) + rng.normal(size=4500) / 2
    fault(values)
    fleet = Fleet(Settings(channels=["temp"]))
    batch = Batch.of_one_series(values[:, None], START + MINUTE * np.arange(4500))
    found = fleet.process(batch)
    plant = world()
    plant.play((batch, found), minutes=range(3000, 4500), every=20)
    assert plant.inbox.told == [("firing", 1), ("resolved", 1)]


# Waits.


def test_the_first_try_comes_when_the_group_wait_is_over(world):
    plant = world()
    plant.alerting.records(*(part(x, slice(40, 41)) for x in story(41, [40])), None)
    plant.step()
    plant.wait(29)
    assert plant.inbox.tries == 0
    plant.wait(1)
    assert plant.inbox.tries == 1


def test_groups_of_the_same_labels_follow_each_other_not_before_the_interval(world):
    plant = world(series=2)
    plant.play(story(4, [(0, 0), (1, 1)], series=2))
    assert plant.inbox.told == [("firing", 1)]
    plant.wait(HOUR / 12)
    assert plant.inbox.told == [("firing", 1), ("firing", 1)]
    assert (plant.inbox.got[1].sent_at - plant.inbox.got[0].sent_at) / SECOND == 300


def test_labels_of_group_by_keep_incidents_apart(world):
    plant = world(series=3, routing=Routing(OPS, group_by=("series",)))
    plant.play(story(3, [(s, 1) for s in range(3)], series=3))
    assert plant.inbox.told == [("firing", 1)] * 3
    assert sorted(n.group_labels["series"] for n in plant.inbox.got) == ["pump-0", "pump-1", "pump-2"]


def test_what_fires_is_said_again_only_where_asked(world):
    plant = world(routing=Routing(OPS, repeat_ns=4 * HOUR * SECOND))
    plant.play(story(2, [1]))
    plant.wait(9 * HOUR, every=60)
    assert plant.inbox.told == [("firing", 1)] * 3
    assert len({n.id for n in plant.inbox.got}) == 3 and len({n.group_key for n in plant.inbox.got}) == 1


def test_an_incident_that_was_over_before_it_was_told_is_told_and_over(world):
    plant = world()
    batch, found = story(400, [100])
    plant.alerting.records(batch, found, None)
    plant.wait(31)
    assert plant.inbox.told == [("firing", 1), ("resolved", 1)]


def test_a_series_is_not_said_again_within_the_cool_down_unless_it_is_worse(world):
    plant = world(quiet=Span(records=5), routing=Routing(OPS, cooldown_ns=2 * HOUR * SECOND))
    plant.play(story(200, [10, 60, 90, 120]))
    assert plant.inbox.told == [("firing", 1), ("resolved", 1)]
    assert len(plant.store.incidents()) == 4
    batch, found = story(40, [10], surprise=7.0)
    moved = replace(batch, offsets=batch.offsets + 200, times=batch.times + 200 * MINUTE)
    found.event_offset[found.event_offset >= 0] += 200
    plant.play((moved, found))
    assert [n.alerts[0].labels["severity"] for n in plant.inbox.got[2:]] == ["critical"] * 2


# Who.


def test_a_silence_holds_messages_back_until_it_ends(world):
    plant = world()
    with plant.store.deciding():
        plant.store.silence_put(SilenceRow("s", NOON + 2 * HOUR * SECOND, {"matchers": ["series=pump-0"]}))
    plant.play(story(60, [30, 50]))
    assert plant.inbox.told == []
    plant.wait(2 * HOUR, every=30)
    assert plant.inbox.told == [("firing", 1)]


def test_what_was_over_while_silenced_is_never_said_and_what_was_said_is_said_to_be_over(world):
    plant = world(series=2)
    with plant.store.deciding():
        plant.store.silence_put(SilenceRow("s", NOON + 9 * HOUR * SECOND, {"matchers": ["series=pump-0"]}))
    plant.play(story(60, [(0, 30), (1, 30)], series=2))
    assert [n.alerts[0].labels["series"] for n in plant.inbox.got] == ["pump-1"]
    with plant.store.deciding():
        plant.store.silence_put(SilenceRow("t", NOON + 9 * HOUR * SECOND, {"matchers": ["site=north"]}))
    batch, found = story(200, [], series=2)
    plant.play((batch, found))
    plant.wait(9 * HOUR, every=60)
    assert plant.inbox.told == [("firing", 1), ("resolved", 1)]


def test_an_open_incident_inhibits_others_that_share_its_labels(world):
    rule = Inhibition(matchers(["kind=gap"]), matchers(["kind!=gap"]), ("site",))
    plant = world(series=2, routing=Routing(OPS, inhibitions=(rule,)))
    plant.alerting.silent(1, (0, 0), START, "pumps-0-gap")
    plant.play(story(10, [(0, 5)], series=1), minutes=[])
    batch, found = story(10, [(0, 5)], series=1)
    plant.alerting.records(batch, found, None)
    plant.wait(HOUR, every=10)
    assert [n.alerts[0].labels["alertname"] for n in plant.inbox.got] == ["SensorSilent"]
    plant.play(story(70, [], series=2))
    plant.wait(HOUR, every=10)
    assert plant.inbox.told == [("firing", 1), ("resolved", 1)]


def test_routes_are_tried_in_order_and_hours_are_those_of_their_zone(world):
    work = hours("Mon-Fri 09:00-17:00", "America/New_York")  # noon UTC is 08:00 there
    routes = (
        Route(("day",), severity=1, hours=work),
        Route(("log",), matchers(["site=north"]), go_on=True),
        Route(("night",), severity=2),
    )
    plant = world(channels=("day", "night", "log"), routing=Routing(routes))
    plant.play(story(3, [1], surprise=5.0))
    assert [len(plant.inboxes[name].got) for name in ("day", "night", "log")] == [0, 0, 1]
    plant.wait(HOUR, every=10)  # it is still open when the day begins
    assert [len(plant.inboxes[name].got) for name in ("day", "night", "log")] == [1, 0, 1]


def test_a_channel_hears_of_an_incident_when_it_becomes_as_severe_as_its_route(world):
    routes = (Route(("log",), go_on=True), Route(("duty",), severity=2))
    plant = world(channels=("log", "duty"), routing=Routing(routes))
    plant.play(story(300, range(50, 200)))
    assert plant.inboxes["log"].told == plant.inboxes["duty"].told == [("firing", 1), ("resolved", 1)]
    later = plant.inboxes["duty"].got[0].sent_at - plant.inboxes["log"].got[0].sent_at
    assert later / 60 / SECOND == 119


# Crashes of the process.


def test_records_that_are_read_again_after_a_crash_fire_nothing_twice(world):
    plant = world(series=3)
    whole = story(300, [(s, t) for s in range(3) for t in (50, 150)], series=3)
    plant.play(whole, minutes=range(40))
    saved = plant.alerting.state()
    plant.play(whole, minutes=range(40, 200))
    before = list(plant.inbox.got)
    plant.open(saved)  # killed, and read again from the snapshot
    plant.play(whole, minutes=range(40, 300))
    assert plant.inbox.got[: len(before)] == before
    assert plant.inbox.told == [("firing", 3), ("resolved", 3)] * 2
    assert len({n.id for n in plant.inbox.got}) == 4


def test_a_full_disk_loses_nothing_and_a_snapshot_keeps_what_is_owed(world, monkeypatch):
    from streamrnn.errors import StoreError

    plant = world()
    batch, found = story(50, [40])

    def full():
        raise StoreError("no room")

    monkeypatch.setattr(plant.store, "deciding", full)
    plant.alerting.records(batch, found, None)
    saved = plant.alerting.state()
    assert len(saved["owed"]) == 1
    monkeypatch.undo()
    plant.open(saved)
    plant.alerting.beat()
    plant.wait(31)
    assert plant.inbox.told == [("firing", 1)]


# Channels in trouble.


def test_a_day_without_network_delivers_all_afterwards_in_order_and_none_twice(world):
    plant = world(series=8, routing=Routing(OPS, group_by=("series",), cooldown_ns=0))
    rng = random.Random(5)
    faults = [(s, t) for s in range(8) for t in range(rng.randrange(50), 24 * 60, rng.randrange(150, 400))]
    whole = story(24 * 60, faults, series=8)
    plant.inbox.fault = down()
    plant.play(whole, every=30)
    assert plant.inbox.got == [] and plant.sender.counts.dead == 0
    tries = plant.inbox.tries
    assert tries < 24 * 60 / 8, "a channel that does not answer is left alone"
    plant.inbox.fault = None
    plant.wait(HOUR, every=10)
    states = {}
    for n in plant.inbox.got:
        (alert,) = n.alerts
        states.setdefault(alert.fingerprint, []).append(n.status)
    incidents = plant.store.incidents()
    assert len(states) == len(incidents) > 30
    assert all(said in (["firing", "resolved"], ["firing"]) for said in states.values())
    assert sum("resolved" in said for said in states.values()) == sum(not row.open for row in incidents)
    assert len({n.id for n in plant.inbox.got}) == len(plant.inbox.got)


def test_tries_follow_the_schedule_with_jitter_and_then_the_message_is_dead(world):
    plant, at = world(), []
    plant.inbox.fault = lambda n: at.append(n.sent_at) or down()
    plant.play(story(2, [1]))
    plant.wait(5 * DAY, every=60)
    waits = [(b - a) / SECOND for a, b in pairwise(at)]
    asked = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
    assert all(wish <= wait <= 1.2 * wish + 60 for wish, wait in zip(asked, waits, strict=True))
    assert plant.store.outbox_counts() == {DEAD: 1} and plant.sender.counts.dead == 1
    plant.inbox.fault = None
    (entry,) = plant.store.outbox_list(DEAD)
    assert plant.store.outbox_revive(entry.id, plant.now)
    plant.wait(1)
    assert plant.inbox.told == [("firing", 1)]


def test_retry_after_is_honoured(world):
    plant, at = world(), []
    plant.inbox.fault = lambda n: at.append(n.sent_at) or (down(120) if len(at) == 1 else None)
    plant.play(story(2, [1]))
    plant.wait(300)
    assert (at[1] - at[0]) / SECOND == pytest.approx(120, abs=1)


def test_a_channel_that_is_gone_is_disabled_until_it_is_enabled_again(world, caplog):
    plant = world(series=2, routing=Routing(OPS, group_by=("series",)))
    plant.inbox.fault = DeliveryError("ops: answered 410 (Gone)", retriable=False, gone=True)
    plant.play(story(30, [(0, 1), (1, 20)], series=2))
    assert plant.inbox.tries == 1 and plant.store.outbox_counts() == {DEAD: 2}
    assert "ops" in plant.store.channels_disabled() and "is disabled" in caplog.text
    plant.open()
    plant.inbox.fault = None
    with plant.store.deciding():
        assert plant.store.channel_enable("ops")
    for entry in plant.store.outbox_list(DEAD):
        plant.store.outbox_revive(entry.id, plant.now)
    plant.wait(1)
    assert len(plant.inbox.got) == 2


def test_a_channel_in_trouble_does_not_keep_another_waiting(world):
    plant = world(channels=("bad", "good"))
    plant.inboxes["bad"].fault = down()
    plant.play(story(200, [100]))
    assert plant.inboxes["good"].told == [("firing", 1), ("resolved", 1)]
    assert plant.inboxes["bad"].told == []


def test_a_mistake_of_a_channel_is_a_failed_try_whose_text_shows_no_secret(world):
    plant = world()
    plant.inbox.fault = KeyError("swordfish")
    plant.play(story(2, [1]))
    (entry,) = plant.store.outbox_list()
    assert "KeyError" in entry.error and "swordfish" not in entry.error


def test_alerts_say_why(world):
    plant = world()
    plant.play(story(2, [1]))
    alert = plant.inbox.got[0].alerts[0]
    assert alert.labels == {
        "alertname": "Anomaly",
        "pipeline": "plant",
        "series": "pump-0",
        "severity": "warning",
        "site": "north",
    }
    said = alert.annotations
    assert said["summary"] == "pump-0: temp is 20, expected 18 (spike)"
    assert (said["expected"], said["actual"]) == ("temp 18 (17 to 19)", "temp 20")
    assert said["why"] == "normal records look so odd about once in 10 weeks; would be normal at temp <= 19"
    assert said["description"] == "since 2023-11-14 22:14:20 UTC; 1 detection in 1 event; warning"
    assert said["replay"] == f"streamrnn explain {alert.fingerprint} --file plant.toml"
