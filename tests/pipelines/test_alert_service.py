"""The thread that tells people, with real threads and a real clock."""

from __future__ import annotations

import threading
import time

import pytest
from alert_world import Inbox

from streamrnn.errors import DeliveryError
from streamrnn.pipelines.alert_service import AlertService
from streamrnn.pipelines.outbox import DEAD
from streamrnn.pipelines.routing import Route, Routing
from streamrnn.pipelines.store import IncidentRow, Store

BOTH = Routing((Route(("a", "b")),), wait_ns=0, interval_ns=0, cooldown_ns=0)


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "state.db") as opened:
        yield opened


def put(store, number):
    body = {"labels": {"series": f"pump-{number}"}, "severity": "info", "annotations": {}, "values": {}}
    with store.deciding():
        store.incidents_put(
            [IncidentRow(f"p-{number}", number, 1, True, True, {**body, "starts_at": 1, "ends_at": 1})]
        )


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)


def test_a_channel_that_hangs_keeps_neither_another_nor_the_intake_waiting(store, tmp_path):
    hangs, quick, free = Inbox(), Inbox(), threading.Event()
    hangs.fault = lambda n: free.wait(60) and None
    service = AlertService(tmp_path / "state.db", BOTH, {"a": hangs, "b": quick})
    service.start()
    for number in range(20):
        put(store, number)
        service.wake()
        until(lambda n=number: sum(len(m.alerts) for m in quick.got) == n + 1)
    assert hangs.tries == 1 and hangs.got == []
    free.set()
    until(lambda: sum(len(m.alerts) for m in hangs.got) == 20)
    service.stop()
    assert set(store.outbox_counts()) == {"delivered"}


def test_a_reload_uses_other_channels_and_those_that_were_disabled(store, tmp_path):
    gone, new = Inbox(), Inbox()
    gone.fault = DeliveryError("a: answered 410 (Gone)", retriable=False, gone=True)
    service = AlertService(tmp_path / "state.db", Routing((Route(("a",)),), wait_ns=0), {"a": gone})
    service.start()
    put(store, 1)
    service.wake()
    until(lambda: store.outbox_counts() == {DEAD: 1})
    assert list(store.channels_disabled()) == ["a"]
    service.reload(Routing((Route(("a",)),), wait_ns=0, interval_ns=0), {"a": new})
    until(lambda: not store.channels_disabled())
    put(store, 2)
    service.wake()
    until(lambda: len(new.got) == 1)
    service.stop()


def test_what_waits_for_company_is_told_when_the_process_leaves(store, tmp_path):
    inbox = Inbox()
    service = AlertService(tmp_path / "state.db", Routing((Route(("a",)),)), {"a": inbox})
    service.start()
    put(store, 1)
    service.stop()
    assert inbox.told == [("firing", 1)]
