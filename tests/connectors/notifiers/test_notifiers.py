"""What every channel must do: one suite over the registry, against real receivers."""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import re
import sys
import time
import tomllib
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from alert_schemas import ALERTMANAGER, PAGERDUTY, WEBHOOK, check
from notices import alert, notification
from receivers import Receiver, answer, hang

from streamrnn.connectors.notifications import Alert, from_json, to_json
from streamrnn.connectors.notifiers.http import SECRET
from streamrnn.connectors.notifiers.registry import NOTIFIERS, open_notifier
from streamrnn.errors import DeliveryError, SettingsError

SHORT_S = 0.3
ROUTING_KEY = "5ECRET" + "0" * 26
SIGNING = "whsec_5ECRETr8GKYqrTwjUPD8ILPZIo2LaLaS"
HOSTILE = [
    "\x1b[31mred\x07",
    "line\r\nX-Injected: yes\nand more",
    "\u202eright to left\u200b",
    "half\udcff\ud800",
    "<script>alert(1)</script> & <!channel> <https://evil|here> @everyone [a](https://evil)",
    "${labels.series} $HOME {0} %s",
    "nul\0nul",
    '"\\',
]


FIRING = notification()
RESOLVED = notification(alert(status="resolved"))


# How a channel of each kind reaches a receiver: its options, as plain values of a file.
def _by_http(port, **more):
    local = {"allow_addresses": ["127.0.0.1"], "allow_http": True, "deadline_s": 10.0}
    return {"url": f"http://127.0.0.1:{port}/T0P-5ECRET", "token": "T0KEN-5ECRET", **local, **more}


_CLIENT = """
import os, sys, urllib.request
request = urllib.request.Request(os.environ["URL"], sys.stdin.buffer.read(), method="POST")
try:
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request)
except urllib.error.HTTPError as error:
    sys.exit(75)
"""

PLAIN = {
    "webhook": lambda port: _by_http(port, secrets=[SIGNING]),
    "alertmanager": _by_http,
    "pagerduty": lambda port: _by_http(port, routing_key=ROUTING_KEY),
    "command": lambda port: {
        "command": [sys.executable, "-c", _CLIENT],
        "environment": {"URL": f"http://127.0.0.1:{port}/T0P-5ECRET"},
        "timeout_s": 10.0,
    },
    "apprise": lambda port: {
        "url": f"json://127.0.0.1:{port}/T0P-5ECRET",
        "allow_insecure": True,
        "deadline_s": 10.0,
    },
}
TIME_OUTS = {"command": "timeout_s"}


@pytest.fixture(params=sorted(NOTIFIERS))
def kind(request):
    return request.param


def options(kind, port=9, **changes):
    """Options as the pipeline file makes them: plain values, converted."""
    return msgspec.convert({**PLAIN[kind](port), **changes}, NOTIFIERS[kind].options)


@contextmanager
def channel(kind, *behaviours, **changes):
    """A channel and the receiver at its end."""
    with Receiver(list(behaviours) or [answer()]) as receiver:
        notifier = open_notifier(kind, options(kind, receiver.port, **changes))
        yield notifier, receiver
        notifier.close()


def test_every_kind_of_channel_is_tested(kind):
    assert kind in PLAIN


@pytest.mark.parametrize("message", [FIRING, RESOLVED], ids=["firing", "resolved"])
def test_a_notification_arrives_in_one_request(kind, message):
    with channel(kind) as (notifier, receiver):
        notifier.send(message)
    (request,) = receiver.requests
    if kind != "pagerduty" or message is FIRING:
        assert b"flow is low" in request.body


def test_one_channel_carries_many_notifications(kind):
    with channel(kind) as (notifier, receiver):
        for number in range(3):
            notifier.send(notification(id=f"n{number}"))
        notifier.close()
    assert len(receiver.requests) == 3


def test_what_the_outbox_kept_is_sent_as_the_original(kind):
    with channel(kind) as (notifier, receiver):
        notifier.send(FIRING)
        notifier.send(from_json(json.loads(json.dumps(to_json(FIRING)))))
    first, second = receiver.requests
    assert first.body == second.body


@pytest.fixture
def logged():
    """All that a log of everything gets (caplog listens to what never reaches the root, too)."""
    root, text = logging.getLogger(), io.StringIO()
    handler, level = logging.StreamHandler(text), root.level
    root.addHandler(handler)
    root.setLevel(1)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


def test_a_receiver_that_fails_is_tried_again_and_no_text_or_log_holds_a_secret(kind, logged):
    with channel(kind, answer("503 T0P-5ECRET")) as (notifier, receiver):
        with pytest.raises(DeliveryError, match="^night shift: ") as caught:
            notifier.send(FIRING)
        assert caught.value.retriable
        assert not caught.value.gone
        assert len(receiver.requests) == 1
    assert "5ECRET" not in str(caught.value)
    assert "5ECRET" not in logged.getvalue()


def test_a_receiver_that_hangs_is_left_in_time(kind):
    began = time.monotonic()
    with channel(kind, hang, **{TIME_OUTS.get(kind, "deadline_s"): SHORT_S}) as (notifier, _):
        with pytest.raises(DeliveryError, match="in time|within 0.3 s") as caught:
            notifier.send(FIRING)
        assert time.monotonic() - began < 8
    assert caught.value.retriable


def hostile(text):
    one = Alert(
        text, "firing", {"series": text, text: text}, {"summary": text, text: text}, 0, None, {text: 1.0}
    )
    return notification(one, id=text, group_key=text, receiver=text, group_labels={text: text})


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_arrives_without_power(kind, text):
    with channel(kind) as (notifier, receiver):
        notifier.send(hostile(text))
    (request,) = receiver.requests
    assert "x-injected" not in request.headers
    seen = "".join(_texts(json.loads(request.body)))
    for control in "\x1b\x07\r\0\u202e\udcff\ud800":
        assert control not in seen


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_harmless_in_messages_of_errors(kind, text):
    with channel(kind, answer("500 No")) as (notifier, _), pytest.raises(DeliveryError) as caught:
        notifier.send(hostile(text))
    assert str(caught.value).isprintable()


def test_very_long_text_and_very_many_alerts_stay_within_bounds(kind):
    one = dataclasses.replace(alert(), labels={"series": "\x1b" * 10**6, "x" * 10**6: "y"})
    one = dataclasses.replace(one, annotations={"summary": "é" * 10**6, "description": "\n" * 10**6})
    with channel(kind) as (notifier, receiver):
        notifier.send(notification(*[one] * 50))
    assert len(receiver.requests[0].body) < 1_000_000


def test_numbers_that_json_has_not_do_not_stop_it(kind):
    one = dataclasses.replace(alert(), values={"p_value": float("nan"), "surprise": float("inf")})
    with channel(kind) as (notifier, receiver):
        notifier.send(notification(one))
    json.loads(receiver.requests[0].body, parse_constant=pytest.fail)


def test_no_representation_shows_a_secret(kind):
    given = options(kind)
    assert "5ECRET" not in repr(given)
    secret = [f for f in dataclasses.fields(given) if "5ECRET" in str(getattr(given, f.name))]
    assert secret
    for one in secret:
        assert one.metadata == SECRET, f"{one.name} holds a secret and does not say so"


def test_options_are_frozen_and_keyword_only(kind):
    assert NOTIFIERS[kind].options.__dataclass_params__.frozen
    assert all(one.kw_only for one in dataclasses.fields(NOTIFIERS[kind].options))


def test_a_channel_may_be_closed_twice(kind):
    with channel(kind) as (notifier, _):
        notifier.close()
        notifier.close()


def test_a_channel_of_no_kind_is_refused():
    with pytest.raises(SettingsError, match="there is no channel of kind 'fax'; there are webhook, "):
        open_notifier("fax", None)


# The shapes that receivers know, whatever is said

SCHEMAS = {"webhook": WEBHOOK, "command": WEBHOOK, "alertmanager": ALERTMANAGER, "pagerduty": PAGERDUTY}
SAID = {
    "firing": FIRING,
    "resolved": RESOLVED,
    "both": notification(alert(), alert("70aa", "resolved", series="pump-8"), truncated=3),
    "bare": notification(Alert("f", "firing", {}, {}, 0, None, {})),
    **{f"hostile {place}": hostile(text) for place, text in enumerate(HOSTILE)},
}


@pytest.mark.parametrize("kind", SCHEMAS)
@pytest.mark.parametrize("said", SAID)
def test_a_body_is_what_a_strict_receiver_takes(kind, said):
    with channel(kind) as (notifier, receiver):
        notifier.send(SAID[said])
    check(json.loads(receiver.requests[0].body), SCHEMAS[kind])


def _texts(body):
    """All text in a body, names too."""
    if isinstance(body, dict):
        for name, value in body.items():
            yield name
            yield from _texts(value)
    elif isinstance(body, list):
        for value in body:
            yield from _texts(value)
    elif isinstance(body, str):
        yield body


# The page that shows them


def _shown():
    page = (Path(__file__).parents[3] / "docs" / "alerts.md").read_text()
    for table in re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        yield from tomllib.loads(table)["alerts"]["channel"]


def test_the_page_shows_every_kind_of_channel_with_options_that_it_has():
    shown = list(_shown())
    assert sorted(table["kind"] for table in shown) == sorted(NOTIFIERS)
    stand_ins = {"url": "https://ops.example", "secrets": [SIGNING], "routing_key": ROUTING_KEY}
    for table in shown:
        kind, _ = table.pop("kind"), table.pop("name")
        pointed = {
            name: stand_ins[name] for name, value in table.items() if "{" in str(value) and name in stand_ins
        }
        given = msgspec.convert({**table, **pointed}, NOTIFIERS[kind].options)
        assert set(table) <= {one.name for one in dataclasses.fields(given)}
        secret = {one.name for one in dataclasses.fields(given) if one.metadata == SECRET}
        assert set(pointed) <= secret
