"""Notifications as the outbox keeps them."""

from __future__ import annotations

import json

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrnn.connectors.notifications import Alert, Notification, from_json, to_json
from streamrnn.errors import StateError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
MAPPINGS = st.dictionaries(TEXTS, TEXTS, max_size=3)
TIMES = st.integers(-(2**62), 2**62)
STATUSES = st.sampled_from(["firing", "resolved"])
ALERTS = st.builds(
    Alert,
    fingerprint=TEXTS,
    status=STATUSES,
    labels=MAPPINGS,
    annotations=MAPPINGS,
    starts_at=TIMES,
    ends_at=st.none() | TIMES,
    values=st.dictionaries(TEXTS, st.floats(allow_nan=False, allow_infinity=False), max_size=3),
)
NOTIFICATIONS = st.builds(
    Notification,
    id=TEXTS,
    group_key=TEXTS,
    status=STATUSES,
    receiver=TEXTS,
    alerts=st.lists(ALERTS, min_size=1, max_size=3).map(tuple),
    truncated=st.integers(0, 100),
    group_labels=MAPPINGS,
    sent_at=TIMES,
)


@given(NOTIFICATIONS)
def test_a_notification_comes_back_from_any_json_library_as_it_was(notification):
    plain = to_json(notification)
    assert from_json(json.loads(json.dumps(plain))) == notification
    assert from_json(orjson.loads(orjson.dumps(plain))) == notification
    assert from_json(msgspec.json.decode(msgspec.json.encode(plain))) == notification


def test_text_that_utf8_cannot_hold_and_numbers_that_json_cannot_hold_do_not_stop_it():
    alert = Alert(
        "f", "firing", {"k\ud800": "v\udcff"}, {}, 0, None, {"p": float("inf"), "q": float("nan"), "r": 1.0}
    )
    plain = to_json(Notification("i", "g\udcff", "firing", "r", (alert,), 0, {}, 0))
    again = from_json(orjson.loads(orjson.dumps(plain)))
    assert again.group_key == r"g\udcff"
    assert again.alerts[0].labels == {r"k\ud800": r"v\udcff"}
    assert again.alerts[0].values == {"r": 1.0}


@pytest.mark.parametrize("change", [{"id": 3}, {"status": "open"}, {"alerts": [{}]}])
def test_what_is_no_notification_is_refused(change):
    plain = to_json(Notification("i", "g", "firing", "r", (), 0, {}, 0))
    with pytest.raises(StateError, match="a stored notification is damaged"):
        from_json(plain | change)
