"""What messages say, and what they never say."""

from __future__ import annotations

import dataclasses
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notices import alert, notification
from receivers import Receiver, answer

from streamrnn.connectors.notifiers.apprise import AppriseNotifier, AppriseOptions, harmless
from streamrnn.connectors.notifiers.templates import Message, TextOptions
from streamrnn.connectors.notifiers.texts import block, line, rfc3339
from streamrnn.errors import DeliveryError, SettingsError

ANY_TEXT = st.text(st.characters(), max_size=300)


@given(ANY_TEXT)
def test_a_line_is_one_line_of_bounded_length_that_can_be_printed(text):
    assert line(text, 50).isprintable()
    assert len(line(text, 50)) <= 50
    line(text).encode()


@given(ANY_TEXT)
def test_a_block_keeps_its_line_ends_alone(text):
    safe = block(text, 50)
    assert len(safe) <= 50
    assert all(part.isprintable() for part in safe.split("\n"))


@given(st.text(st.characters(categories=["L", "N", "P", "Zs", "S"]), max_size=40))
def test_text_that_can_be_printed_is_left_alone(text):
    if text.isprintable():
        assert line(text) == block(text) == text


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (2**63 - 1, "2262-04-11T23:47:16.854775807Z"),
        (-(2**63), "1677-09-21T00:12:43.145224192Z"),
        (1_500_000_000, "1970-01-01T00:00:01.5Z"),
    ],
)
def test_times_keep_their_nanoseconds(ns, text):
    assert rfc3339(ns) == text


def message(**options):
    return Message(TextOptions(**options))


def test_what_alerts_share_is_said_once_and_what_differs_is_listed():
    group = notification(*[alert(series=f"pump-{number}") for number in (1, 2, 2, 3, 4, 5)], truncated=10)
    title = "${status} ${count} ${labels.severity}: ${labels.series} (${receiver})"
    assert message(title=title).title(group) == (
        "firing 16 critical: pump-1, pump-2, pump-3 and 2 more (night shift)"
    )


def test_a_body_has_a_paragraph_for_each_alert_and_counts_the_rest():
    group = notification(*[alert(series=f"pump-{number}") for number in range(12)], truncated=5)
    paragraphs = message(body="${labels.series}: ${values.p_value}").body(group).split("\n\n")
    assert paragraphs[0] == "pump-0: 1e-09"
    assert len(paragraphs) == 11
    assert paragraphs[-1] == "and 7 more"


def test_a_body_is_bounded_and_still_counts_the_rest():
    long = dataclasses.replace(alert(), annotations={"why": "x" * 10**5})
    text = message(body="${annotations.why}\n" * 20).body(notification(long, truncated=7))
    assert len(text) < 21_000
    assert text.endswith("…\n\nand 7 more")


def test_lines_without_anything_to_say_are_left_out_and_those_without_names_stay():
    body = "why: ${annotations.why}\nexpected ${annotations.expected}\nCall the desk; it costs $$1."
    assert message(body=body).body(notification()) == "why: flow 91 %\nCall the desk; it costs $1."


def test_a_resolved_alert_says_when_it_ended():
    resolved = notification(alert(status="resolved"))
    assert message(body="${status} ${ends_at}").body(resolved) == "resolved 2026-01-01T00:01:00Z"
    assert message(title="${status}").title(resolved) == "resolved"


def test_what_is_put_in_is_not_read_again():
    sly = notification(alert(series="${annotations.why} $$ {0} %s"))
    assert message(title="${labels.series}").title(sly) == "${annotations.why} $$ {0} %s"


def test_a_title_stays_one_line():
    assert message(title="one\n${labels.series}").title(notification(alert(series="a\nb"))) == r"one a\nb"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("${labels.serie}", r"did you mean \$\{labels.series\}\?"),
        ("${series}", r"did you mean \$\{labels.series\}\?"),
        ("${xyz}", "there are status, "),
        ("${labels}", "title names"),
        ("${labels.__class__}", "title names"),
        ("${status.upper}", "title names"),
        ("$status", "begins no"),
        ("5 $", "begins no"),
        ("${status", "begins no"),
        ("${}", "begins no"),
    ],
)
def test_a_template_that_names_what_there_is_not_is_refused_at_the_start(template, words):
    with pytest.raises(SettingsError, match=words):
        TextOptions(title=template)


def test_a_label_of_ones_own_may_be_named_where_it_is_announced():
    text = message(title="${labels.Site ID}", labels=("Site ID",))
    assert text.title(notification(alert(**{"Site ID": "north"}))) == "north"
    assert text.title(notification()) == ""


# Apprise


@pytest.mark.parametrize(
    "act",
    ["<!channel>", "<!here|x>", "<@U123>", "<#C1>", "<https://evil|x>", "@everyone", "@HERE", "@channel",
     "[x](https://evil)", "<b>", "</b>", "<a href=x>"],
)  # fmt: skip
def test_no_chat_finds_a_mention_a_link_or_a_tag(act):
    assert act not in harmless(f"pump {act} 7")
    assert harmless(f"pump {act} 7").replace("\u200b", "") == f"pump {act} 7"


@pytest.mark.parametrize("text", ["temp <= 68", "a@b.example", "x < y > z", "channels[2] (of 3)", "5 @ 3"])
def test_harmless_text_is_left_alone(text):
    assert harmless(text) == text


def test_apprise_gets_plain_text_and_what_it_is_about():
    with Receiver() as receiver:
        url = f"json://127.0.0.1:{receiver.port}/"
        notifier = AppriseNotifier(
            AppriseOptions(url=url, allow_insecure=True, title="@here ${labels.series}")
        )
        notifier.send(notification(alert(series="<!channel>")))
        notifier.send(notification(alert(status="resolved")))
    fired, resolved = (json.loads(request.body) for request in receiver.requests)
    assert fired["title"] == "@here <\u200b!channel>"  # what the operator writes is meant
    assert (fired["type"], resolved["type"]) == ("failure", "success")


def test_a_text_too_long_for_a_service_is_cut_to_its_bound(monkeypatch):
    from apprise.plugins.custom_json import NotifyJSON

    monkeypatch.setattr(NotifyJSON, "body_maxlen", 100)
    with Receiver() as receiver:
        url = f"json://127.0.0.1:{receiver.port}/"
        notifier = AppriseNotifier(AppriseOptions(url=url, allow_insecure=True, body="x" * 500))
        notifier.send(notification())
    (request,) = receiver.requests
    assert 0 < len(json.loads(request.body)["message"]) <= 100


def test_apprise_follows_no_redirect():
    with (
        Receiver() as other,
        Receiver([answer("302 Found", f"Location: http://127.0.0.1:{other.port}/")]) as first,
    ):
        notifier = AppriseNotifier(AppriseOptions(url=f"json://127.0.0.1:{first.port}/", allow_insecure=True))
        with pytest.raises(DeliveryError, match="^night shift: JSON did not take it"):
            notifier.send(notification())
    assert other.requests == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("json://ops.example/T0P-5ECRET", "json:// speaks without TLS"),
        ("jsons://ops.example/T0P-5ECRET?verify=no", "jsons:// speaks without TLS or checks no certificate"),
        ("nothing://T0P-5ECRET", "none that Apprise knows"),
        ("T0P-5ECRET", "none that Apprise knows"),
    ],
)
def test_a_service_that_is_insecure_or_unknown_is_refused_and_not_shown(url, words):
    with pytest.raises(SettingsError, match=words) as caught:
        AppriseNotifier(AppriseOptions(url=url))
    assert "5ECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops", "jsons://ops.example"]
)
def test_a_service_over_tls_is_taken(url):
    AppriseNotifier(AppriseOptions(url=url)).close()


def test_without_the_extra_the_message_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(SettingsError, match=r"pip install 'streamrnn\[apprise\]'"):
        AppriseNotifier(AppriseOptions(url="json://ops.example"))
