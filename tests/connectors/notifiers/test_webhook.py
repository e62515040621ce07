"""The webhook's signatures, as those who verify them see them."""

from __future__ import annotations

import base64
import dataclasses
import json
import time

import pytest
from notices import alert, notification
from receivers import Receiver, answer
from standardwebhooks import Webhook, WebhookVerificationError

from streamrnn.connectors.notifiers.signatures import message_id
from streamrnn.connectors.notifiers.webhook import WebhookNotifier, WebhookOptions
from streamrnn.errors import DeliveryError, SettingsError

OLD = "whsec_" + base64.b64encode(b"o" * 24).decode()
NEW = "whsec_" + base64.b64encode(b"n" * 64).decode()
OTHER = "whsec_" + base64.b64encode(b"x" * 32).decode()


def sent(message, *behaviours, **options):
    """The request that a webhook gets."""
    with Receiver(list(behaviours) or [answer()]) as receiver:
        local = {"allow_http": True, "allow_addresses": ("127.0.0.1",)}
        url = f"http://127.0.0.1:{receiver.port}/hook"
        notifier = WebhookNotifier(WebhookOptions(url=url, **local, **options))
        for _ in range(len(behaviours) - 1):
            with pytest.raises(DeliveryError):
                notifier.send(message)
            message = dataclasses.replace(message, sent_at=message.sent_at + 1_000_000_000)
        notifier.send(message)
    return receiver.requests


def now(**changes):
    # The package that verifies takes no clock but the machine's.
    return notification(**{"sent_at": time.time_ns(), **changes})


def test_the_package_of_the_specification_verifies_what_we_sign():
    (request,) = sent(now(), secrets=(NEW,))
    assert Webhook(NEW).verify(request.body, request.headers) == json.loads(request.body)
    assert request.headers["webhook-id"] == "n1"


def test_while_a_secret_is_replaced_the_old_and_the_new_verify_and_no_other():
    (request,) = sent(now(), secrets=(OLD, NEW))
    for secret in (OLD, NEW):
        Webhook(secret).verify(request.body, request.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(request.body, request.headers)


def test_a_secret_without_its_prefix_is_the_same_secret():
    (request,) = sent(now(), secrets=(NEW.removeprefix("whsec_"),))
    Webhook(NEW).verify(request.body, request.headers)


@pytest.mark.parametrize("part", ["body", "webhook-id", "webhook-timestamp"])
def test_what_was_changed_on_the_way_does_not_verify(part):
    (request,) = sent(now(), secrets=(NEW,))
    headers, body = dict(request.headers), request.body
    if part == "body":
        body = body.replace(b"pump-7", b"pump-8")
    else:
        headers[part] = headers[part][:-1] + ("1" if headers[part][-1] != "1" else "2")
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(body, headers)


def test_a_repetition_has_the_same_id_and_body_and_is_signed_anew():
    first, second = sent(now(), answer("500 No"), answer(), secrets=(NEW,))
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert int(second.headers["webhook-timestamp"]) == int(first.headers["webhook-timestamp"]) + 1
    Webhook(NEW).verify(second.body, second.headers)


def test_an_id_that_a_signature_cannot_hold_is_hashed_always_to_the_same():
    (request,) = sent(now(id="pump 7.1\r\nX: \udcff"), secrets=(NEW,))
    assert request.headers["webhook-id"] == message_id("pump 7.1\r\nX: \udcff")
    assert request.headers["webhook-id"].isalnum()
    assert message_id("a.b") != message_id("a,b")
    Webhook(NEW).verify(request.body, request.headers)


def test_without_a_secret_nothing_is_signed():
    (request,) = sent(now())
    assert "webhook-signature" not in request.headers
    assert request.headers["webhook-id"] == "n1"


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("whsec_" + base64.b64encode(b"s" * 23).decode(), "has 23 bytes; give 24 to 64"),
        ("whsec_" + base64.b64encode(b"s" * 65).decode(), "has 65 bytes; give 24 to 64"),
        ("swordfish-swordfish-swordfish!", "is no base64"),
        ("schwertfisch-ä" * 3, "is no base64"),
        ("", "has 0 bytes"),
    ],
)
def test_a_secret_that_is_none_is_refused_and_not_shown(secret, words):
    with pytest.raises(SettingsError, match=words) as caught:
        WebhookOptions(url="https://ops.example/", secrets=(secret,))
    assert not secret or secret not in str(caught.value)


def test_the_body_says_what_the_alerts_have_in_common_and_when_they_were():
    both = notification(alert(), alert("70aa", "resolved", series="pump-8"), truncated=3)
    body = json.loads(sent(both, external_url="https://ops.example/board")[0].body)
    assert body["commonLabels"] == {"alertname": "anomaly", "severity": "critical"}
    assert body["commonAnnotations"]["summary"] == "flow is low"
    assert (body["status"], body["truncatedAlerts"], body["groupKey"]) == ("firing", 3, "group")
    assert [one["status"] for one in body["alerts"]] == ["firing", "resolved"]
    assert [one["startsAt"] for one in body["alerts"]] == ["2026-01-01T00:00:00Z"] * 2
    assert [one["endsAt"] for one in body["alerts"]] == ["0001-01-01T00:00:00Z", "2026-01-01T00:01:00Z"]
    assert body["externalURL"] == body["alerts"][0]["generatorURL"] == "https://ops.example/board"
    assert body["alerts"][0]["values"] == {"p_value": 1e-9}
