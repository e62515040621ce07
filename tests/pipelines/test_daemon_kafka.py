"""The daemon between topics of a real broker: the bits of a replay, and nothing forgotten."""

from __future__ import annotations

import pytest
from daemons import get, port_of, stop
from kafka_support import CLIENTS
from plants import CSV, JSON, check_scores
from prometheus_client.parser import text_string_to_metric_families


def metric(port, name):
    """What a daemon tells of a metric, by topic, partition and outcome."""
    families = text_string_to_metric_families(get(port, "/metrics"))
    found = [s for family in families for s in family.samples if s.name == f"streamrnn_{name}"]
    labels = ("topic", "partition", "outcome")
    return {tuple(s.labels[label] for label in labels if label in s.labels): s.value for s in found}


@pytest.mark.parametrize(("client", "record"), [(CLIENTS[0], JSON), (CLIENTS[1], JSON), (CLIENTS[0], CSV)])
def test_scores_from_a_topic_have_the_bits_of_a_replay(plant, tmp_path, client, record):
    live = plant(300, client, record=record)
    process = live.start()
    port = port_of(process)
    live.wait_for(process, lambda: live.lines("out.jsonl") >= live.records)
    live.wait_for(process, lambda: set(metric(port, "consumer_lag_records").values()) == {0.0})
    counted = metric(port, "records_total")
    assert sum(counted.values()) == live.records
    assert {(topic, number) for topic, number, _ in counted} == {(live.topic, str(i)) for i in range(4)}
    assert metric(port, "rebalances_total")[()] >= 1
    code, err = stop(process)
    assert code == 0
    assert f"{live.records:,} records" in err and f"{live.letters} dead letters" in err
    check_scores(live, tmp_path)


def test_a_crash_long_before_the_first_snapshot_is_due_forgets_nothing(plant, tmp_path):
    live = plant(300, fed=True)
    pipeline = live.folder / "p.toml"
    pipeline.write_text(pipeline.read_text().replace("200ms", "1h"))
    process = live.start()
    for share in (0.3, 0.6):  # so that positions are committed between
        live.feed.more(share, 10_000)
        live.wait_for(process, lambda: live.lines("out.jsonl") >= live.feed.records)
    process.kill()
    process.communicate()
    live.feed.more(1.0, 10_000)
    process = live.start()
    live.wait_for(process, lambda: live.lines("out.jsonl") >= live.records)
    assert stop(process)[0] == 0
    check_scores(live, tmp_path)
