"""When a lane that is handed over is saved first."""

from __future__ import annotations

from unittest.mock import Mock

from streamrnn.pipelines.group.lane import Lane, _Eye
from streamrnn.pipelines.group.lane_source import LaneSource


def test_a_snapshot_is_written_where_reading_again_would_take_longer():
    assert not _Eye(Mock(), 0, Mock(safe=(1, 0.0))).saving_pays  # as it was found
    store = Mock(safe=(0, 0.0))
    eye = _Eye(Mock(), 0, store)
    assert eye.saving_pays  # nothing was saved yet
    store.safe = 1, 0.5
    eye.saved(0.1, 1000)
    assert not eye.saving_pays  # nothing came since
    for records, seconds, pays in ((10, 0.1, False), (1, 0.1, False), (9, 0.2, False), (10, 0.1, True)):
        eye.took("process", seconds)  # 10 ms a record at best, and as much to read it
        eye.scored(range(records))
        assert eye.saving_pays == pays
    eye.saved(0.1, 1000)
    assert eye.saving_pays  # it is on its way
    eye.took("process", 0.25)
    eye.scored(range(25))
    store.safe = 2, 0.5
    eye.committed({})
    assert not eye.saving_pays  # what came before it counts no more
    eye.took("process", 0.01)
    eye.scored(range(1))
    assert eye.saving_pays


def test_a_lane_whose_records_never_came_is_left_as_it_was_found():
    pipeline, source = Mock(), LaneSource("flow-0", Mock(channels=("temp",)), Mock())
    store = Mock(safe=(0, 0.0), saving=False)
    lane = Lane("flow-0", source, pipeline, store, 1, _Eye(Mock(), 0, store), Mock())
    assert lane.save(1.0)
    assert not pipeline.finish.called
    source.feed(None, 7)
    source.poll(0.0)
    assert lane.save(1.0)
    assert pipeline.finish.call_args.kwargs == {"save": True} and store.settle.called
    store.saving = True  # what is on its way is waited for
    assert lane.save(1.0)
    assert pipeline.finish.call_args.kwargs == {"save": False} and store.settle.call_count == 2
