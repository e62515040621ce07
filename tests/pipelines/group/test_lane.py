"""When a lane that is handed over is saved first."""

from __future__ import annotations

from unittest.mock import Mock

from streamrnn.pipelines.group.lane import Lane, _Eye
from streamrnn.pipelines.group.lane_source import LaneSource


def test_a_snapshot_is_written_where_reading_again_would_take_longer():
    assert not _Eye(Mock(), 0, 0.0).saving_pays  # as it was found
    eye = _Eye(Mock(), 0, None)
    assert eye.saving_pays  # nothing was saved yet
    eye.saved(0.5, 1000)
    assert not eye.saving_pays  # nothing came since
    for records, seconds, pays in ((10, 0.1, False), (1, 0.1, False), (9, 0.2, False), (10, 0.1, True)):
        eye.took("process", seconds)  # 10 ms a record at best, and as much to read it
        eye.scored(range(records))
        assert eye.saving_pays == pays
    eye.saved(0.5, 1000)
    assert not eye.saving_pays


def test_a_lane_whose_records_never_came_is_left_as_it_was_found():
    pipeline, source = Mock(), LaneSource("flow-0", Mock(channels=("temp",)), Mock())
    lane = Lane("flow-0", source, pipeline, Mock(), 1, _Eye(Mock(), 0, None), Mock())
    assert lane.save(1.0)
    assert not pipeline.finish.called
    source.feed(None, 7)
    source.poll(0.0)
    assert lane.save(1.0)
    assert pipeline.finish.call_args.kwargs == {"save": True}
