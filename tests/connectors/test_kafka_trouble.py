"""Brokers that crash, freeze and come back under the Kafka source and sink."""

import logging
import random
import time

import pytest
from kafka_support import BUSY_S, Polled, in_order, options, produce, source_of

from streamrnn.connectors.kafka_sink import KafkaSink
from streamrnn.errors import RetriableError


def test_a_broker_that_crashes_and_returns_under_load_costs_and_doubles_nothing(broker, client, caplog):
    topic = broker.new_topic(2)
    source = source_of(broker, topic, client=client, max_messages=500)
    sink = KafkaSink(options(broker, client=client), topic)
    polled = Polled(source)

    def said():
        return [r.message for r in caplog.records if "source" in r.message and r.levelno > logging.INFO]

    for block in range(10):
        values = [str(value).encode() for value in range(block * 500, block * 500 + 500)]
        sink.write_messages(values, [value[-1:] for value in values])
        if block == 4:
            broker.kill()
            polled.poll_while(lambda: not said())
        if block == 6:
            broker.start()
        polled.poll(0.2)
        source.commit(source.snapshot())
    sink.flush(30.0)
    polled.until(5000)
    polled.poll(0.5)
    assert sorted(polled.values) == list(range(5000)) and in_order(polled.places)
    polled.poll_while(lambda: source.trouble is not None)
    assert len(said()) == 2 and "is back" in said()[1], said()
    sink.close()
    source.close()


def test_a_source_without_messages_does_not_take_its_brokers_for_lost(broker, client, caplog):
    source = source_of(broker, broker.new_topic(), client=client, lost_after_s=3.0)
    polled = Polled(source).poll_while(lambda: not source.snapshot())
    caplog.clear()
    end = time.monotonic() + 6.0  # some times as long as until the brokers are asked
    polled.poll_while(lambda: time.monotonic() < end)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    source.close()


def frozen_and_resumed(broker, client, frozen_s, longest_poll_s, back_in_s):
    topic = broker.new_topic()
    produce(broker, topic, range(10))
    source = source_of(broker, topic, client=client)
    polled = Polled(source).until(10)
    broker.freeze()
    frozen = time.monotonic()
    while time.monotonic() - frozen < frozen_s or source.trouble is None:
        started = time.monotonic()
        polled.poll(0.2)
        source.commit(source.snapshot())
        assert time.monotonic() - started < longest_poll_s
        assert time.monotonic() - frozen < frozen_s + longest_poll_s
    broker.resume()
    produce(broker, topic, range(10, 20))
    polled.until(20, back_in_s)
    assert polled.values == list(range(20))
    source.close()


def test_a_frozen_broker_is_waited_for(broker, client):
    frozen_and_resumed(broker, client, 3.5, BUSY_S, BUSY_S)


@pytest.mark.soak
def test_a_frozen_broker_is_read_again_within_twice_the_session_timeout(broker, client):
    frozen_and_resumed(broker, client, 5.5, 3.0, 2 * 3.0)


def test_a_broker_that_is_frozen_at_the_start_is_no_error_and_is_read_when_it_goes_on(broker, client):
    topic = broker.new_topic()
    produce(broker, topic, [0, 1])
    broker.freeze()
    source = source_of(broker, topic, client=client, patience_s=0.3, connect_timeout_s=0.5)
    started = time.monotonic()
    while time.monotonic() - started < 1.2:
        assert len(source.poll(0.1)) == 0
    broker.resume()
    assert Polled(source).until(2).values == [0, 1]
    source.close()


def test_flushing_to_a_frozen_broker_is_an_error_and_loses_nothing(broker, client):
    topic = broker.new_topic()
    sink = KafkaSink(options(broker, client=client, buffer_bytes=100), topic)
    sink.write_messages([b"0"], [None])
    sink.flush(10.0)
    broker.freeze()
    sink.write_messages([b"1" * 80], [None])
    with pytest.raises(RetriableError, match="not sent yet"):
        sink.flush(0.5)
    with pytest.raises(RetriableError):
        sink.write_messages([b"2" * 80], [None])
    assert sink.trouble is not None
    broker.resume()
    sink.flush(10.0)
    sink.write_messages([b"2" * 80], [None])
    sink.close()
    source = source_of(broker, topic, client=client)
    assert Polled(source).until(3).values == [0.0, float("1" * 80), float("2" * 80)]
    source.close()


def test_closing_a_sink_before_a_frozen_broker_says_what_was_not_sent(broker, client, monkeypatch):
    monkeypatch.setattr("streamrnn.connectors.kafka_sink._CLOSE_S", 0.5)
    sink = KafkaSink(options(broker, client=client), broker.new_topic())
    sink.write_messages([b"0"], [None])
    sink.flush(10.0)
    broker.freeze()
    sink.write_messages([b"1"], [None])
    with pytest.raises(RetriableError, match="not sent yet"):
        sink.close()
    sink.close()


def test_a_join_of_the_group_that_outlasts_a_poll_is_finished(broker):
    topic = broker.new_topic()
    source = source_of(broker, topic, client="kafka-python")
    polled = Polled(source).poll_while(lambda: not source.snapshot())
    coordinator = source._client._consumer._coordinator
    while not coordinator.rejoining:
        coordinator._assignment_snapshot = {}  # as where new metadata sets off a join
        source.poll(0.001)
    coordinator._assignment_snapshot = coordinator._metadata_snapshot
    produce(broker, topic, [1])
    assert polled.until(1, 20.0).values == [1]
    source.close()


@pytest.mark.soak
def test_many_crashes_and_freezes_under_load_cost_and_double_nothing(broker, client):
    seed = random.randrange(2**32)
    logging.getLogger(__name__).warning("seed %d", seed)  # shown where it fails
    chance = random.Random(seed)
    topic = broker.new_topic(4)
    source = source_of(broker, topic, client=client, max_messages=700)
    sink = KafkaSink(options(broker, client=client), topic)
    polled, written = Polled(source), 0
    for _ in range(20):
        for _ in range(chance.randrange(1, 15)):
            values = [str(written + i).encode() for i in range(200)]
            sink.write_messages(values, [value[-1:] for value in values])
            written += len(values)
            polled.poll(chance.random() / 10)
            source.commit(source.snapshot())
        how = chance.choice(["kill", "freeze", "stop"])
        getattr(broker, how)()
        ends = time.monotonic() + chance.uniform(0.0, 7.0)
        while time.monotonic() < ends:
            polled.poll(0.1)
        broker.ensure_up()
        if chance.random() < 0.3:  # another source goes on where this one was
            positions = source.snapshot()
            source.close()
            polled.source = source = source_of(broker, topic, client=client, max_messages=700)
            source.seek(positions)
    sink.flush(60.0)
    polled.until(written, 60.0)
    polled.poll(1.0)
    assert sorted(polled.values) == list(range(written)) and in_order(polled.places)
    sink.close()
    source.close()
