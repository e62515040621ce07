"""The tables of alerts: what they mean, and what is said of those that mean nothing."""

from __future__ import annotations

import json

import pytest
from alert_world import NOON, SECOND

from streamrnn.errors import SettingsError
from streamrnn.pipelines.hours import hours
from streamrnn.pipelines.matchers import matcher
from streamrnn.pipelines.routing import routing_of
from streamrnn.pipelines.rules import Span
from streamrnn.pipelines.settings import load_settings, schema

FILE = """
[source]
kind = "file"
path = "in.csv"

[alerts]
group_by = ["site"]
labels = {site = "north"}
resolve_after = "30m"
repeat_interval = "4h"

[alerts.severity]
critical_p = 1e-8
critical_after = "2h"

[[alerts.channel]]
name = "ops"
kind = "webhook"
url = {env = "HOOK"}

[[alerts.channel]]
name = "log"
kind = "command"
command = ["cat"]
environment = {TOKEN = {env = "HOOK"}}

[[alerts.route]]
channels = ["ops"]
match = ["site=~n.*"]
min_severity = "warning"
hours = "Mon-Fri 08:00-18:00"
tz = "Europe/Rome"

[[alerts.route]]
channels = ["log"]
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.setenv("HOOK", "https://ops.example/T0KEN")

    def loaded(text=FILE):
        (tmp_path / "p.toml").write_text(text)
        return load_settings(tmp_path / "p.toml")

    return loaded


def test_the_tables_become_rules(load):
    alerts = load().alerts
    rules, routing = alerts.rules(), routing_of(alerts)
    assert rules.quiet == Span(ns=1800 * SECOND) and rules.surprise == pytest.approx((4.0, 8.0))
    assert rules.lasts == (Span(records=20), Span(ns=7200 * SECOND))
    assert (routing.group_by, routing.repeat_ns) == (("site",), 4 * 3600 * SECOND)
    labels = {"site": "north", "severity": "critical"}
    assert routing.channels(labels, NOON) == ["ops"]  # 14:00 in Rome
    assert routing.channels(labels, NOON + 4 * 3600 * SECOND) == ["log"]
    assert routing.channels({**labels, "severity": "info"}, NOON) == ["log"]


def test_secrets_come_from_where_they_are_and_are_shown_to_nobody(load):
    alerts = load().alerts
    assert alerts.channel[0].options.url == "https://ops.example/T0KEN"
    assert alerts.channel[1].options.environment == {"TOKEN": "https://ops.example/T0KEN"}
    assert "T0KEN" not in repr(alerts)


def test_without_routes_every_channel_hears_of_everything(load):
    text = FILE.partition("[[alerts.route]]")[0]
    assert routing_of(load(text).alerts).channels({"severity": "info"}, 0) == ["ops", "log"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("group_by", "group_bye", "'group_bye' is no key of [alerts]; did you mean 'group_by'?"),
        ("channels", "chanels", "'chanels' is no key of [alerts.route]; did you mean 'channels'?"),
        (
            "critical_p",
            "critical_q",
            "'critical_q' is no key of [alerts.severity]; did you mean 'critical_p'",
        ),
        ('channels = ["log"]', 'channels = ["logs"]', "there is no channel 'logs'; did you mean 'log'?"),
        ('"webhook"', '"webhok"', "channel 'ops' has kind 'webhok'; did you mean 'webhook'?"),
        ("url =", "ulr =", "channel 'ops': 'ulr' is no option of a webhook; did you mean 'url'?"),
        ('url = {env = "HOOK"}', "", "channel 'ops' lacks url"),
        ('{env = "HOOK"}', '"http://ops.example/"', "channel 'ops': url does not begin with https://"),
        ('name = "log"', 'name = "ops"', "two are called 'ops'"),
        ("site=~n.*", "site=~n(", "'site=~n(' holds no regular expression"),
        ("site=~n.*", "north", "'north' is no matcher; give one such as site=north"),
        ("Mon-Fri 08:00-18:00", "8 to 6", "'8 to 6' are no hours; give some such as Mon-Fri 08:00-18:00"),
        ("Europe/Rome", "Europe/Roma", "tz is 'Europe/Roma', which is not known"),
        ("30m", "soon", "alerts.resolve_after"),
    ],
)
def test_what_means_nothing_is_refused_with_the_nearest_name(load, old, new, said):
    with pytest.raises(SettingsError) as caught:
        load(FILE.replace(old, new, 1))
    assert said in str(caught.value)


def test_the_json_schema_covers_channels_and_their_secrets():
    text = json.dumps(schema()["$defs"]["AlertTables"]["properties"]["channel"])
    for part in ('"webhook"', '"pagerduty"', '"allow_addresses"', '"env"'):
        assert part in text


@pytest.mark.parametrize(
    ("text", "labels", "fits"),
    [
        ("site=north", {"site": "north"}, True),
        ("site!=north", {"site": "north"}, False),
        ('site="two words"', {"site": "two words"}, True),
        ("series=~pump-[12]", {"series": "pump-12"}, False),
        ("series!~pump-.*", {"series": "fan-1"}, True),
        ("kind=", {}, True),
    ],
)
def test_matchers_mean_what_those_of_alertmanager_mean(text, labels, fits):
    assert matcher(text).matches(labels) is fits


NEW_YORK = "America/New_York"
MARCH_8 = 1_772_928_000 * SECOND  # 2026-03-08 00:00 UTC, a Sunday: at 07:00 UTC clocks there go forward


@pytest.mark.parametrize(
    ("text", "zone", "hour_utc", "holds"),
    [
        ("Sun 03:00-04:00", NEW_YORK, 6.9, False),
        ("Sun 03:00-04:00", NEW_YORK, 7.0, True),  # there is no 02:00 on that day
        ("Sat 22:00-06:00", NEW_YORK, 9.9, True),  # past midnight it is Saturday's night still
        ("Sat 22:00-06:00", NEW_YORK, 10.0, False),
        ("Sat-Sun", NEW_YORK, 27.9, True),
        ("Fri-Mon 00:00-24:00", "UTC", 5, True),
        ("Mon, Sun 01:00-02:00", "UTC", 1.5, True),
        ("08:00-18:00", "Asia/Kolkata", 2.5, True),
    ],
)
def test_hours_are_those_of_their_zone_over_changes_of_clocks_and_midnight(text, zone, hour_utc, holds):
    assert hours(text, zone).holds(MARCH_8 + round(hour_utc * 3600 * SECOND)) is holds
