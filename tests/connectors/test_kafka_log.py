"""A compacted topic as a store of values by key, on a real broker."""

from __future__ import annotations

import time

import pytest
from kafka_support import options

from streamrnn.connectors.kafka_clients.base import open_consumer, open_log
from streamrnn.errors import FatalConnectorError, RetriableError, SettingsError


@pytest.fixture
def opened(broker):
    """Opens logs of a topic, and closes them at the end."""
    logs = []

    def make(topic):
        logs.append(open_log(options(broker, client="confluent"), topic))
        return logs[-1]

    yield make
    for log in logs:
        log.close()


def test_the_newest_value_of_a_key_is_found_in_its_partition_alone(broker, opened):
    topic = broker.new_topic(3, compacted=True)
    log = opened(topic)
    log.write(1, [(b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"b", None)], 10.0)
    log.write(2, [(b"c", b"4")], 10.0)
    reader = opened(topic)
    reader.follow([0, 1])
    assert reader.catch_up(10.0, [0, 1])
    assert dict(reader.entries(1)) == {b"a": b"3"} and not reader.entries(0)
    reader.follow([1, 2])
    assert reader.catch_up(10.0, [2])
    assert dict(reader.entries(2)) == {b"c": b"4"} and dict(reader.entries(1)) == {b"a": b"3"}
    log.write(2, [(b"c", b"5")], 10.0)
    assert reader.catch_up(10.0, [2])
    assert dict(reader.entries(2)) == {b"c": b"5"}
    assert reader.partitions_of(topic, 10.0) == 3


def test_the_end_is_reached_though_the_last_offset_is_no_message(broker, opened):
    from confluent_kafka import Producer

    topic = broker.new_topic(1, compacted=True)
    producer = Producer({"bootstrap.servers": broker.address, "transactional.id": topic})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, b"1", b"a")
    producer.commit_transaction(30)  # which has a marker written behind it, some time after it returns
    log = opened(topic)
    log.follow([0])
    end = time.monotonic() + 30.0
    while not log.entries(0) and time.monotonic() < end:
        assert log.catch_up(10.0, [0])
    assert dict(log.entries(0)) == {b"a": b"1"}


def test_a_broker_that_freezes_is_waited_for_no_longer_than_asked(broker, opened):
    topic = broker.new_topic(1, compacted=True)
    log = opened(topic)
    log.follow([0])
    broker.freeze()
    with pytest.raises(RetriableError):
        log.write(0, [(b"a", b"1")], 0.5)
    with pytest.raises(RetriableError):
        log.catch_up(0.5, [0])
    broker.resume()
    log.write(0, [(b"a", b"2")], 30.0)
    assert log.catch_up(30.0, [0])
    assert dict(log.entries(0)) == {b"a": b"2"}


def test_a_topic_that_is_not_there_is_named(broker):
    with pytest.raises(FatalConnectorError, match="topic 'nowhere' is unknown"):
        open_log(options(broker, client="confluent"), "nowhere")


def test_kafka_python_says_that_it_hands_nothing_over(broker):
    with pytest.raises(SettingsError, match="client 'confluent' only"):
        open_consumer(options(broker, "any"), leaving=lambda change: None)
