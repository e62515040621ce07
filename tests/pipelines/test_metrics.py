"""What a daemon tells Prometheus: names, counts, bounds."""

from __future__ import annotations

import numpy as np
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from streamrnn import Fleet, Settings
from streamrnn.connectors.base import Read
from streamrnn.pipelines.coding import Coding
from streamrnn.pipelines.endpoints import Live
from streamrnn.pipelines.metrics import Metrics

HOSTILE = 'fl"ow\\\n# HELP x\n{a="b"} 1\x1b[31m\u202e'


def read_of(partitions):
    """A record of each of these partitions."""
    n = len(partitions)
    return Read(
        series=np.zeros(n, np.int32),
        times=1_700_000_000_000_000_000 + np.arange(n),
        values=np.ones((n, 1)),
        partitions=np.array(partitions, np.int32),
        offsets=np.arange(n),
        columns={},
    )


class Watched:
    """Metrics over a fleet, with a clock and a source that the test moves."""

    def __init__(self, names):
        self.now, self.lags, self.given = 100.0, {}, 0
        self.coding = Coding(Fleet(Settings()), names)
        self.coding.fleet.series([""])
        live = Live(
            source=None,
            channels=("value",),
            found=dict,
            place=lambda name: tuple(name.rsplit("-", 1)),
            lag=lambda: self.lags,
            rebalances=lambda: self.given,
        )
        self.metrics = Metrics(
            self.coding.partition_names,
            lambda: [self.coding.fleet],
            live,
            clock=lambda: self.now,
            wall=lambda: 1_700_000_100.0,
        )

    def score(self, partitions, fresh=None):
        read, n = read_of(partitions), len(partitions)
        found = self.coding.fleet.process(read)
        self.metrics.records(read, found, np.ones(n, np.bool_) if fresh is None else np.array(fresh))

    def beat(self, seconds=2.0):
        self.now += seconds
        self.metrics.beat()

    def samples(self, name):
        """Values by labels, as Prometheus reads them."""
        families = text_string_to_metric_families(generate_latest(self.metrics.registry).decode())
        found = [sample for family in families for sample in family.samples if sample.name == name]
        order = ("topic", "partition", "outcome", "stage")
        return {tuple(s.labels[name] for name in order if name in s.labels): s.value for s in found}


def test_records_are_counted_by_topic_partition_and_outcome():
    watched = Watched(["flow-0", "flow-7"])
    watched.score([0, 1, 1, 1], fresh=[True, True, True, False])
    watched.score([1])
    assert watched.samples("streamrnn_records_total") == {
        ("flow", "0", "warming"): 1.0,
        ("flow", "7", "warming"): 2.0,
        ("flow", "7", "late"): 1.0,
        ("flow", "7", "read_again"): 1.0,
    }
    assert watched.samples("streamrnn_event_time_delay_seconds") == {(): pytest.approx(100.0)}


def test_records_dropped_as_late_count_where_they_came_from():
    watched = Watched(["flow-0", "flow-7"])
    watched.score([0])
    watched.metrics.dropped(read_of([1, 0, 1]))
    watched.metrics.events(2)
    assert watched.samples("streamrnn_records_total") == {
        ("flow", "0", "warming"): 1.0,
        ("flow", "0", "dropped"): 1.0,
        ("flow", "7", "dropped"): 2.0,
    }
    assert watched.metrics.said().startswith("4 records")
    assert watched.samples("streamrnn_events_total") == {(): 2.0}


def test_hostile_names_are_escaped_and_read_back_as_they_are():
    watched = Watched([f"{HOSTILE}-0"])
    watched.score([0])
    watched.lags = {f"{HOSTILE}-0": 3}
    watched.beat()
    assert watched.samples("streamrnn_records_total") == {(HOSTILE, "0", "warming"): 1.0}
    assert watched.samples("streamrnn_consumer_lag_records") == {(HOSTILE, "0"): 3.0}


def test_names_without_end_share_one_line_and_none_is_uncounted(monkeypatch):
    monkeypatch.setattr("streamrnn.pipelines.metrics._MOST_PLACES", 3)
    watched = Watched([f"topic{i}-0" for i in range(10)])
    watched.score(list(range(10)))
    counted = watched.samples("streamrnn_records_total")
    assert len(counted) == 4 and sum(counted.values()) == 10
    assert counted["others", "", "warming"] == 7


def test_lag_is_looked_at_every_other_second_and_forgotten_with_the_partition():
    watched = Watched([])
    watched.lags, watched.given = {"flow-0": 5, "flow-1": 0}, 1
    watched.beat(1.0)
    assert watched.samples("streamrnn_consumer_lag_records") == {}
    watched.beat(1.0)
    assert watched.samples("streamrnn_consumer_lag_records") == {("flow", "0"): 5.0, ("flow", "1"): 0.0}
    watched.lags, watched.given = {"flow-1": 2}, 0
    watched.beat()
    assert watched.samples("streamrnn_consumer_lag_records") == {("flow", "1"): 2.0}
    assert watched.samples("streamrnn_rebalances_total") == {(): 1.0}


def test_stages_snapshots_and_state_are_told():
    watched = Watched([])
    watched.metrics.took("poll", 0.02)
    watched.metrics.took("poll", 0.5)
    watched.metrics.saved(0.2, 1000)
    watched.metrics.dead_letters(4)
    watched.now += 7.0
    assert watched.samples("streamrnn_stage_seconds_sum") == {("poll",): pytest.approx(0.52)}
    assert watched.samples("streamrnn_stage_seconds_count") == {("poll",): 2.0}
    assert watched.samples("streamrnn_checkpoint_seconds_count") == {(): 1.0}
    assert watched.samples("streamrnn_checkpoint_age_seconds") == {(): 7.0}
    assert watched.samples("streamrnn_dead_letter_total") == {(): 4.0}
    assert watched.samples("streamrnn_keys_active") == {(): 1.0}
    assert watched.samples("streamrnn_state_bytes") == {(): watched.coding.fleet.state_bytes}
