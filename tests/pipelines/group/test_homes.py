"""Keys that move between partitions, and topics that were cut anew."""

from __future__ import annotations

import logging

import pytest

from streamrnn.errors import StateError
from streamrnn.pipelines.group.homes import Homes


def test_a_key_of_two_partitions_is_said_once_for_each_move(caplog):
    homes, keys = Homes("anew"), ["pump-1"]
    with caplog.at_level(logging.WARNING, "streamrnn.group"):
        for _ in range(3):
            homes.meet("flow-0", keys)
            homes.meet("flow-1", ["pump-0", "pump-1"])
        homes.leave("flow-1")
        homes.meet("flow-2", ["pump-0"])  # that of flow-1 is another daemon's now
    assert homes.moved == len(caplog.records) == 1
    assert "'pump-1' comes in flow-1 and has a model in flow-0" in caplog.text


def test_a_topic_with_another_number_of_partitions_stops_who_wants_that():
    homes = Homes("stop")
    homes.count("flow", 0, 4)  # nothing was saved yet
    homes.count("flow", 4, 4)
    with pytest.raises(StateError, match="topic flow had 4 partitions and has 6"):
        homes.count("flow", 4, 6)


def test_what_is_said_is_bounded(caplog):
    homes = Homes("anew")
    homes.meet("flow-0", [f"pump-{i}" for i in range(100)])
    with caplog.at_level(logging.WARNING, "streamrnn.group"):
        homes.meet("flow-1", [f"pump-{i}" for i in range(100)])
    assert homes.moved == 100 and len(caplog.records) == 10
