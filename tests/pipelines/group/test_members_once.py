"""Daemons that share a group and write exactly once: what readers of what is committed see."""

from __future__ import annotations

import pytest
from groups import Once, check_kills, table, taken_over
from kills import a_seed, soak_kills


def test_readers_see_each_row_once_whoever_joins_is_killed_or_fenced(grouped):
    group = grouped(table(400), Once, session="1500ms", every="300ms")
    first = group.start()
    group.feed(0.4)
    group.wait_for(lambda: taken_over(first) == 4, first)
    second = group.start()
    group.wait_for(lambda: taken_over(second) == 2, first, second)
    group.feed(0.6)
    first.kill()  # with rows that are not committed
    group.wait_for(lambda: taken_over(second) == 4, second)
    group.fence(0)
    group.feed(1.0)
    group.wait_until_scored(second)
    assert "fenced and dropped" in second.log.read_text()
    assert group.check() == 0, "some came twice"


@pytest.mark.soak
def test_hundreds_of_kills_of_members_show_readers_nothing_twice(grouped):
    group = grouped(table(6000), Once, every="2s")
    assert check_kills(group, a_seed(), soak_kills()) == 0, "some came twice"
