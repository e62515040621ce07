"""Alertmanager and PagerDuty: what each needs beside the shape of its bodies."""

from __future__ import annotations

import dataclasses
import json

import pytest
from notices import alert, notification
from receivers import Receiver

from streamrnn.connectors.notifiers.registry import NOTIFIERS, open_notifier
from streamrnn.errors import SettingsError

KEY = "0123456789abcdef0123456789abcdef"
SENT_AT = 1_767_225_700_000_000_000  # 2026-01-01T00:01:40Z


def requests(kind, *messages, path="", **options):
    with Receiver() as receiver:
        local = {"allow_http": True, "allow_addresses": ("127.0.0.1",)}
        url = f"http://127.0.0.1:{receiver.port}{path}"
        notifier = open_notifier(kind, NOTIFIERS[kind].options(url=url, **local, **options))
        for message in messages:
            notifier.send(message)
    return receiver.requests


def bodies(kind, *messages, **options):
    return [json.loads(request.body) for request in requests(kind, *messages, **options)]


# Alertmanager


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("", "/api/v2/alerts"),
        ("/", "/api/v2/alerts"),
        ("/behind/a/proxy/", "/behind/a/proxy/api/v2/alerts"),
        ("/api/v2/alerts", "/api/v2/alerts"),
    ],
)
def test_alerts_go_to_the_path_of_the_api(path, asked):
    (request,) = requests("alertmanager", notification(), path=path)
    assert request.line == f"POST {asked} HTTP/1.1"


def test_a_firing_alert_holds_beyond_alertmanagers_own_few_minutes():
    ((firing,),) = bodies("alertmanager", notification())
    assert (firing["startsAt"], firing["endsAt"]) == ("2026-01-01T00:00:00Z", "2026-01-08T00:01:40Z")
    ((short,),) = bodies("alertmanager", notification(), hold_s=60.0)
    assert short["endsAt"] == "2026-01-01T00:02:40Z"


def test_a_resolved_alert_ends_when_it_ended_under_the_labels_that_it_fired_with():
    (firing,), (resolved,) = bodies(
        "alertmanager", notification(), notification(alert(status="resolved"), id="n2")
    )
    assert resolved["endsAt"] == "2026-01-01T00:01:00Z"
    assert resolved["labels"] == firing["labels"]


@pytest.mark.parametrize("status", ["firing", "resolved"])
def test_an_alert_of_a_clock_that_is_ahead_starts_now_and_one_that_is_over_ends_now(status):
    ((ahead,),) = bodies("alertmanager", notification(alert(status=status), sent_at=0), hold_s=60.0)
    assert ahead["startsAt"] == "1970-01-01T00:00:00Z"
    assert ahead["endsAt"] == ("1970-01-01T00:01:00Z" if status == "firing" else "1970-01-01T00:00:00Z")


def test_names_that_alertmanager_does_not_take_are_spelled_and_stay_apart():
    one = dataclasses.replace(
        alert(), labels={"site-a": "1", "site.a": "2", "7": "3", "": "4", "größe": "5", "empty": ""}
    )
    ((body,),) = bodies("alertmanager", notification(one))
    assert body["labels"] == {
        "alertname": "streamrnn",
        "site_a": "1",
        "site_a_": "2",
        "_7": "3",
        "_": "4",
        "gr__e": "5",
    }


def test_a_hold_of_seconds_is_refused():
    with pytest.raises(SettingsError, match="hold_s is 5"):
        NOTIFIERS["alertmanager"].options(url="https://alerts.example", hold_s=5)


# PagerDuty


def test_a_group_is_triggered_and_resolved_under_one_key():
    fired, again, resolved = bodies(
        "pagerduty",
        notification(),
        notification(alert(), alert("70aa", "resolved"), id="n2"),
        notification(alert(status="resolved"), id="n3"),
        routing_key=KEY,
    )
    assert [one["event_action"] for one in (fired, again, resolved)] == ["trigger", "trigger", "resolve"]
    assert fired["dedup_key"] == again["dedup_key"] == resolved["dedup_key"]


def test_groups_have_keys_of_their_own_however_long_their_names():
    keys = [f"{'x' * 5000}{number}" for number in range(3)]
    events = bodies("pagerduty", *(notification(group_key=key) for key in keys), routing_key=KEY)
    assert len({event["dedup_key"] for event in events}) == 3


def test_the_worst_of_what_fires_decides_the_severity():
    alerts = (alert(severity="warning"), alert(severity="error"), alert("r", "resolved", severity="critical"))
    (event,) = bodies("pagerduty", notification(*alerts), routing_key=KEY)
    assert event["payload"]["severity"] == "error"


def test_a_severity_that_pagerduty_does_not_know_is_the_one_of_the_options():
    (event,) = bodies("pagerduty", notification(alert(severity="page")), routing_key=KEY, severity="warning")
    assert event["payload"]["severity"] == "warning"


def test_an_event_names_its_series_and_its_first_start_and_what_it_leaves_out():
    later = dataclasses.replace(alert(series="pump-8"), starts_at=SENT_AT)
    alerts = [later, *[alert()] * 29]
    (event,) = bodies("pagerduty", notification(*alerts, truncated=4), routing_key=KEY)
    payload = event["payload"]
    assert payload["source"] == "pump-7, pump-8"
    assert payload["timestamp"] == "2026-01-01T00:00:00Z"
    assert len(payload["custom_details"]["alerts"]) == 20
    assert payload["custom_details"]["not_shown"] == 14


def test_an_event_is_never_larger_than_pagerduty_takes():
    long = dict.fromkeys([f"note {number}" for number in range(20)], "€" * 4000)
    wordy = dataclasses.replace(alert(), annotations=long)
    (request,) = requests("pagerduty", notification(*[wordy] * 30), routing_key=KEY)
    assert 200_000 < len(request.body) < 400_000
    details = json.loads(request.body)["payload"]["custom_details"]
    assert (len(details["alerts"]), details["not_shown"]) == (1, 29)


def test_the_title_is_a_template_of_the_options():
    title = "${labels.severity}: ${labels.series}"
    (event,) = bodies("pagerduty", notification(), routing_key=KEY, title=title)
    assert event["payload"]["summary"] == "critical: pump-7"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"routing_key": ""}, "routing_key is empty"),
        ({"routing_key": KEY, "severity": "page"}, "severity is 'page'; give one of critical"),
        ({"routing_key": KEY, "title": "${labels.pump}"}, "title names"),
        ({"routing_key": KEY, "url": "http://events.example"}, "url does not begin with https"),
    ],
)
def test_options_of_pagerduty_that_cannot_be_are_refused(options, words):
    with pytest.raises(SettingsError, match=words):
        NOTIFIERS["pagerduty"].options(**options)
