"""A rate of false alarms that somebody applies: what is asked for, heard, and dropped at a start."""

from __future__ import annotations

import logging

import pytest

from streamrnn import Fleet, Settings
from streamrnn.errors import SettingsError
from streamrnn.pipelines.applied import ask_rate, drop_rates
from streamrnn.pipelines.coding import Coding
from streamrnn.pipelines.feedback import hear
from streamrnn.pipelines.journal import RELOAD, Journal
from streamrnn.pipelines.store import Store
from streamrnn.pipelines.web.feed_events import said_before

SETTINGS = Settings(false_alarms=1e-3)


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "state.db") as store:
        yield store


@pytest.fixture
def coding():
    return Coding(Fleet(SETTINGS), ["plant"])


def test_a_rate_is_journalled_behind_all_that_was_polled_and_all_that_was_written(store, coding):
    assert ask_rate(store, SETTINGS, "3/day").false_alarms == "3/day"
    ask_rate(store, SETTINGS, 0.01)
    hear(store, Journal(store), coding, {"plant": 70}, {"plant": 90})
    assert not store.requests()
    assert [(entry.kind, entry.payload) for entry in store.journal()] == [
        (RELOAD, {"false_alarms": "3/day"}),
        (RELOAD, {"false_alarms": 0.01}),
    ]
    assert [entry.positions for entry in store.journal()] == [{"plant": 90}] * 2


def test_a_rate_that_holds_already_or_is_about_to_is_journalled_once(store, coding):
    for rate in (1e-3, "3/day", "3/day"):
        ask_rate(store, SETTINGS, rate)
    hear(store, Journal(store), coding, {"plant": 70}, {})
    assert [entry.payload for entry in store.journal()] == [{"false_alarms": "3/day"}]


@pytest.mark.parametrize("rate", ["", "often", "3/fortnight", "-1/day", 0.0, 0.9, float("nan")])
def test_a_rate_that_is_none_is_refused_with_what_to_give(store, rate):
    with pytest.raises(SettingsError, match="give a budget such as '1/week'"):
        ask_rate(store, SETTINGS, rate)
    assert not store.requests()


@pytest.mark.parametrize("rate", ["often", 0.9, [1], {"a": 1}])
def test_what_others_wrote_into_the_store_and_is_no_rate_never_reaches_the_journal(
    store, coding, caplog, rate
):
    store.request_put({"false_alarms": rate})
    hear(store, Journal(store), coding, {"plant": 70}, {})
    assert not store.requests() and not store.journal()
    assert "not applied" in caplog.text


def test_a_start_drops_the_rates_that_wait_and_nothing_else(store, coding, caplog):
    feedback = {"series": "a", "partition": "plant", "offset": 3, "mark": 1, "seen": []}
    store.request_put(feedback)
    ask_rate(store, SETTINGS, "3/day")
    assert said_before(store, coding, 0) == {"plant-3": 1}
    with caplog.at_level(logging.WARNING):
        drop_rates(store)
    assert [request.body for request in store.requests()] == [feedback]
    assert "'3/day' was asked for before this start; the pipeline file holds" in caplog.text
