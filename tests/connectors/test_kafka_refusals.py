"""What the Kafka source and sink refuse, and with which words."""

import threading
import time

import pytest
from kafka_support import FloatDecoder, Polled, options, produce, source_of

from streamrnn.connectors.kafka import KafkaOptions, KafkaSecurity, KafkaSource
from streamrnn.connectors.kafka_clients.base import open_consumer, open_producer
from streamrnn.connectors.kafka_sink import KafkaSink
from streamrnn.errors import FatalConnectorError, RetriableError, SettingsError


def test_an_unknown_topic_is_an_error_after_a_time(broker, client):
    source = source_of(broker, "no-such-topic", client=client, patience_s=1.0)
    with pytest.raises(FatalConnectorError, match="topic 'no-such-topic' is unknown"):
        Polled(source).until(1, 10.0)
    source.close()
    sink = KafkaSink(options(broker, client=client, patience_s=1.0), "no-such-topic")
    sink.write_messages([b"1"], [None])
    with pytest.raises(FatalConnectorError, match="create it"):
        sink.flush(10.0)


def test_an_unknown_host_is_said_once_and_waited_for(client, caplog):
    source = source_of(
        "no-such-host.invalid:9092", "t", client=client, connect_timeout_s=1.0, lost_after_s=0.5
    )
    Polled(source).poll_while(lambda: source.trouble is None)
    started = time.monotonic()
    while time.monotonic() - started < 1.5:
        assert len(source.poll(0.1)) == 0
    assert "no-such-host.invalid:9092" in source.trouble
    assert len([r for r in caplog.records if "trying on" in r.message]) == 1
    source.close()


def test_attempts_that_fail_leave_no_threads_behind():
    away = KafkaOptions(brokers=("no-such-host.invalid:9092",), topics=("t",), connect_timeout_s=0.1)
    before = set(threading.enumerate())
    with pytest.raises(RetriableError, match="cannot connect"):
        open_consumer(away)
    with pytest.raises(RetriableError, match="cannot connect"):
        open_producer(away, "t")
    assert set(threading.enumerate()) <= before


def test_a_position_beyond_the_end_is_an_error_and_one_before_the_first_is_said(broker, client, caplog):
    topic = broker.new_topic()
    produce(broker, topic, range(10))
    source = source_of(broker, topic, client=client, patience_s=0.5)
    source.seek({f"{topic}-0": 11})
    with pytest.raises(FatalConnectorError, match="position 11 of .* lies beyond its end 10"):
        Polled(source).until(1)
    source.close()
    delete_before(broker, topic, 4)
    source = source_of(broker, topic, client=client)
    source.seek({f"{topic}-0": 2})
    assert Polled(source).until(6).values == [4, 5, 6, 7, 8, 9]
    assert f"{topic}-0 has lost the offsets 2 to 3" in caplog.text
    source.close()


def delete_before(broker, topic, offset):
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": broker.address})
    for future in admin.delete_records([TopicPartition(topic, 0, offset)]).values():
        future.result(10)


def test_a_message_over_the_bound_is_an_error_with_words(broker, client):
    sink = KafkaSink(options(broker, client=client, max_message_bytes=2000), broker.new_topic())
    sink.write_messages([b"x" * 5000], [None])
    with pytest.raises(FatalConnectorError, match="max_message_bytes is 2000"):
        sink.flush(10.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"brokers": ()}, "brokers is"),
        ({"brokers": ("localhost",)}, "host:port"),
        ({"brokers": ("a:1",), "client": "librdkafka"}, "kafka-python, confluent"),
        ({"brokers": ("a:1",), "start": "first"}, "earliest, latest"),
        ({"brokers": ("a:1",), "group": ""}, "group is empty"),
        ({"brokers": ("a:1",), "session_timeout_s": 0.0}, "session_timeout_s is 0.0"),
    ],
)
def test_wrong_options_are_refused_with_words(given, message):
    with pytest.raises(SettingsError, match=message):
        KafkaOptions(**given)


def test_a_source_needs_topics_and_sasl_needs_a_login():
    with pytest.raises(SettingsError, match="topics is empty"):
        KafkaSource(KafkaOptions(brokers=("a:1",)), FloatDecoder())
    with pytest.raises(SettingsError, match="needs a username and a password"):
        KafkaSecurity(protocol="SASL_SSL", username="sensor")
