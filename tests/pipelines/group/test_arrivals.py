"""Shelves of partitions that were given, read beside the loop."""

from __future__ import annotations

import queue
import time
from contextlib import closing

import pytest

from streamrnn.errors import RetriableError, StateError
from streamrnn.pipelines.group.arrivals import Arrivals


class FakeArchive:
    """An archive whose answers are given by hand; each is names to shelves, or an error."""

    standby = False

    def __init__(self):
        self.asked, self.answers = queue.Queue(), queue.Queue()

    def shelves(self, homes):
        self.asked.put(sorted(homes))
        answer = self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer


def shelves_of(arrivals, count):
    """What there is, once it is so many."""
    end = time.monotonic() + 10.0
    while len(found := arrivals.shelves()) != count:
        assert time.monotonic() < end, found
        time.sleep(0.001)
    return found


def test_nobody_waits_while_shelves_are_read_and_those_that_left_meanwhile_are_not_taken_up():
    archive = FakeArchive()
    with closing(Arrivals(archive)) as arrivals:
        arrivals.expect(["flow-0", "flow-1"])
        assert archive.asked.get(timeout=10) == ["flow-0", "flow-1"]
        assert arrivals.shelves() == {}  # it is still being read
        arrivals.leave(["flow-1"])
        archive.answers.put({"flow-0": "a", "flow-1": "b"})
        assert shelves_of(arrivals, 1) == {"flow-0": "a"}
        arrivals.leave(["flow-0"])
        assert arrivals.shelves() == arrivals.expected == {}


def test_a_partition_that_left_and_came_again_while_it_was_read_is_read_again():
    archive = FakeArchive()
    with closing(Arrivals(archive)) as arrivals:
        arrivals.expect(["flow-0"])
        archive.asked.get(timeout=10)
        arrivals.leave(["flow-0"])
        arrivals.expect(["flow-0"])
        archive.answers.put({"flow-0": "of then"})
        assert archive.asked.get(timeout=10) == ["flow-0"]
        assert arrivals.shelves() == {}
        archive.answers.put({"flow-0": "of now"})
        assert shelves_of(arrivals, 1) == {"flow-0": "of now"}


def test_what_may_pass_is_tried_again_and_what_may_not_is_raised_where_it_is_asked_for():
    archive = FakeArchive()
    with closing(Arrivals(archive)) as arrivals:
        arrivals.expect(["flow-0"])
        archive.answers.put(RetriableError("the broker is away"))
        archive.answers.put({"flow-0": "a"})
        assert shelves_of(arrivals, 1) == {"flow-0": "a"}
        arrivals.expect(["flow-1"])
        archive.answers.put(StateError("damaged"))
        with pytest.raises(StateError, match="damaged"):
            shelves_of(arrivals, 2)


def test_a_standby_is_ready_once_it_has_read_all_and_then_keeps_up():
    archive = FakeArchive()
    archive.standby, archive.kept = True, queue.Queue()
    archive.catch_up = archive.answers.get
    archive.keep_up = archive.kept.put
    with closing(Arrivals(archive)) as arrivals:
        archive.answers.put(False)
        assert not arrivals.ready.is_set()
        archive.answers.put(True)
        assert arrivals.ready.wait(10)
        assert archive.kept.get(timeout=10) < 1.0  # seconds in which it hears of nothing else
