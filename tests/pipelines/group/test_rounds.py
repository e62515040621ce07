"""Lanes of a daemon take turns."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from streamrnn.pipelines.group.member import Member


@pytest.mark.parametrize("count", [0, 1, 5])
def test_one_lane_of_a_round_may_save_and_each_may_in_its_turn(count):
    member, saved = Member(), []
    for name in range(count):
        pipeline = Mock()
        pipeline.turn = lambda pipeline=pipeline, name=name: saved.append(name if pipeline.may_save else None)
        member.lanes[str(name)] = Mock(pipeline=pipeline)
    for _ in range(count):
        saved.append("round")
        member._turn_all()
    rounds = [saved[at + 1 : at + 1 + count] for at in range(0, len(saved), count + 1)]
    assert all(sum(name is not None for name in one) == 1 for one in rounds)
    assert {name for one in rounds for name in one} - {None} == set(range(count))
