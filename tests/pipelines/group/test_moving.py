"""Alerts of one partition from one store to another."""

from __future__ import annotations

import pytest

from streamrnn.pipelines.store import GroupRow, IncidentRow, MemberRow, SilenceRow, Store
from streamrnn.pipelines.store.moving import home_of

HOMES = ("flow-3", "flow-31", "flow-3-1")  # partition 1 of a topic flow-3 begins like partition 3 of flow


def fill(store):
    """An open incident in each partition, told of in a message that waits; a silence of all."""
    with store.deciding():
        for home in HOMES:
            for id in (f"{home}-500", f"gap:{home}-7"):
                store.incidents_put([IncidentRow(id, 5, 1, True, False, {"labels": {}})])
                store.group_put(GroupRow(f"of-{id}", "alike", "firing", 9, 1, {"channel": "ops"}))
                store.member_put(MemberRow(id, f"of-{id}", "ops", 1, {}))
                store.outbox_put(f"of-{id}.000001", "ops", {"of": home}, 3)
        store.silence_put(SilenceRow("quiet", 10, {"matchers": []}))


@pytest.mark.parametrize("home", HOMES)
def test_a_partition_takes_its_alerts_along_and_leaves_those_of_others(tmp_path, home):
    with Store(tmp_path / "a.db") as a, Store(tmp_path / "b.db") as b:
        fill(a)
        b.home_put(a.home_rows(home))
        assert {home_of(row.id) for row in b.incidents()} == {home}
        assert {entry.payload["of"] for entry in b.outbox_due(5)} == {home}
        assert len(b.incidents()) == len(b.outbox_due(5)) == 2 and len(b.silences(5)) == 1
        assert [len(b.members(f"of-{id}")) for id in (f"{home}-500", f"gap:{home}-7")] == [1, 1]
        assert b.home_rows(home) == a.home_rows(home)
        a.home_drop(home)
        assert {home_of(row.id) for row in a.incidents()} == set(HOMES) - {home}
        assert {entry.payload["of"] for entry in a.outbox_due(5)} == set(HOMES) - {home}
        assert len(a.silences(5)) == 1


def test_what_was_delivered_does_not_travel(tmp_path):
    with Store(tmp_path / "a.db") as a, Store(tmp_path / "b.db") as b:
        fill(a)
        a.outbox_mark("of-flow-3-500.000001", "delivered", 1, 4)
        b.home_put(a.home_rows("flow-3"))
        assert [entry.id for entry in b.outbox_due(5)] == ["of-gap:flow-3-7.000001"]


def test_a_silence_that_was_ended_here_stays_ended(tmp_path):
    with Store(tmp_path / "a.db") as a, Store(tmp_path / "b.db") as b:
        fill(a)
        with b.deciding():
            b.silence_put(SilenceRow("quiet", 4, {"matchers": []}))
        b.home_put(a.home_rows("flow-3"))
        assert b.silences(5) == []
