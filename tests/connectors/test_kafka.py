"""The Kafka source and sink against a real broker, with either client."""

import logging
import random
import time

import pytest
from kafka_support import CLIENTS, FloatDecoder, Polled, options, produce, source_of

from streamrnn.connectors.dead_letters import SCHEMA_VERSION, KafkaDeadLetters
from streamrnn.connectors.kafka import KafkaOptions, KafkaSecurity, KafkaSource
from streamrnn.connectors.kafka_sink import KafkaSink
from streamrnn.connectors.messages import DeadLetter
from streamrnn.errors import FatalConnectorError, RetriableError, SettingsError
from streamrnn.kernels.plan import NO_TIME

# Seconds that a busy machine may add; soak runs, alone on theirs, hold the promised times.
BUSY_S = 60.0


@pytest.fixture(params=CLIENTS)
def client(request):
    return request.param


def in_order(places):
    """Whether each partition's offsets run from their first one up, one by one."""
    of = {}
    for name, offset in places:
        of.setdefault(name, []).append(offset)
    return all(offsets == list(range(offsets[0], offsets[0] + len(offsets))) for offsets in of.values())


def test_every_message_comes_once_and_each_partition_in_order(broker, client):
    topic = broker.new_topic(3)
    keys = [f"pump {i % 7}".encode() for i in range(2000)]
    produce(broker, topic, range(2000), keys, client)
    source = source_of(broker, topic, client=client, max_messages=300)
    polled = Polled(source).until(2000)
    polled.poll(0.3)
    assert sorted(polled.values) == list(range(2000)) and in_order(polled.places)
    assert set(polled.series) == {f"pump {i}" for i in range(7)}
    assert sum(source.snapshot().values()) == 2000
    assert set(source.partition_names) <= {f"{topic}-{i}" for i in range(3)}
    now = time.time_ns()
    assert all(now - 60e9 < stamp <= now for stamp in polled.times)
    kinds = [change.kind for change in source.assignment_changes()]
    assert kinds == ["assigned"] and source.assignment_changes() == []
    source.close()
    source.close()


def test_a_poll_keeps_to_its_time_and_returns_nothing_where_nothing_comes(broker, client):
    topic = broker.new_topic()
    source = source_of(broker, topic, client=client)
    polled = Polled(source).poll_while(lambda: not source.snapshot())
    started = time.monotonic()
    polled.poll(0.4)
    assert 0.3 < time.monotonic() - started < BUSY_S and polled.values == []
    source.close()


def test_positions_and_commits_decide_where_the_next_source_goes_on(broker, client):
    topic = broker.new_topic()
    produce(broker, topic, range(100))
    source = source_of(broker, topic, client=client, max_messages=40)
    polled = Polled(source).until(60)
    positions = source.snapshot()
    source.commit({f"{topic}-0": 50})
    polled.until(100)
    source.close()
    assert positions == {f"{topic}-0": len(polled.values[: positions[f"{topic}-0"]])}

    sought = source_of(broker, topic, client=client)
    sought.seek({f"{topic}-0": 30})
    assert Polled(sought).until(70).values == list(range(30, 100))
    sought.seek({f"{topic}-0": 90})
    assert Polled(sought).until(10).values == list(range(90, 100))
    sought.close()

    committed = source_of(broker, topic, client=client)
    assert Polled(committed).until(50).values == list(range(50, 100))
    committed.close()


def test_a_source_without_positions_starts_at_the_end_where_it_is_told_so(broker, client):
    topic = broker.new_topic()
    produce(broker, topic, range(5))
    source = source_of(broker, topic, client=client, start="latest")
    polled = Polled(source).poll_while(lambda: not source.snapshot())
    assert source.snapshot() == {f"{topic}-0": 5}
    produce(broker, topic, [5, 6])
    assert polled.until(2).values == [5, 6]
    source.close()


def test_messages_that_are_no_records_are_dead_letters_and_count_as_read(broker, client):
    topic, dead_topic = broker.new_topic(), broker.new_topic()
    sink = KafkaSink(options(broker, client=client), topic)
    sink.write_messages([b"1", b"\xff", b"2"], [b"a", b"k", None])
    sink.close()
    source = source_of(broker, topic, client=client)
    polled = Polled(source).until(2)
    dead = source.take_dead_letters()
    assert dead == [DeadLetter(f"{topic}-0", 1, "not a number", b"\xff", b"k")]
    assert source.take_dead_letters() == [] and source.snapshot() == {f"{topic}-0": 3}
    assert polled.series == ["a", ""]
    source.close()

    letters = KafkaDeadLetters(KafkaSink(options(broker, client=client), dead_topic))
    letters.write([*dead, DeadLetter("far-0", 7, "too large", b"x" * 950_000, None)])
    letters.close()
    assert headers_of(broker, dead_topic) == [
        (b"\xff", b"k", [str(SCHEMA_VERSION).encode(), f"{topic}-0".encode(), b"1", b"not a number"]),
        (b"x" * 900_000, None, [str(SCHEMA_VERSION).encode(), b"far-0", b"7", b"too large", b"950000"]),
    ]


def headers_of(broker, topic):
    from kafka import KafkaConsumer

    reader = KafkaConsumer(topic, bootstrap_servers=broker.address, auto_offset_reset="earliest")
    found = []
    while len(found) < 2:
        for records in reader.poll(5000).values():
            found += [(r.value, r.key, [value for _, value in r.headers]) for r in records]
    reader.close()
    return found


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


def frozen_and_resumed(broker, client, longest_poll_s, back_in_s):
    topic = broker.new_topic()
    produce(broker, topic, range(10))
    source = source_of(broker, topic, client=client)
    polled = Polled(source).until(10)
    broker.freeze()
    frozen = time.monotonic()
    while time.monotonic() - frozen < 5.5:
        started = time.monotonic()
        polled.poll(0.2)
        source.commit(source.snapshot())
        assert time.monotonic() - started < longest_poll_s
    assert source.trouble is not None
    broker.resume()
    produce(broker, topic, range(10, 20))
    polled.until(20, back_in_s)
    assert polled.values == list(range(20))
    source.close()


def test_a_frozen_broker_is_waited_for(broker, client):
    frozen_and_resumed(broker, client, BUSY_S, BUSY_S)


@pytest.mark.soak
def test_a_frozen_broker_is_read_again_within_twice_the_session_timeout(broker, client):
    frozen_and_resumed(broker, client, 3.0, 2 * 3.0)


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


def test_two_members_share_the_partitions_and_lose_none(broker, client):
    topic = broker.new_topic(2)
    produce(broker, topic, range(200), [str(i).encode() for i in range(200)])
    first = source_of(broker, topic, client=client)
    one = Polled(first).until(200)
    second = source_of(broker, topic, client=client)
    two = Polled(second)
    changes = []
    deadline = time.monotonic() + BUSY_S

    def apart():
        changes.extend(first.assignment_changes())
        one.poll(0.05)
        assert time.monotonic() < deadline
        return len(changes) < 3 or not second.snapshot()

    two.poll_while(apart)
    assert [change.kind for change in changes][:3] == ["assigned", "revoked", "assigned"]
    before = len(one.values)
    produce(broker, topic, range(200, 300), [str(i).encode() for i in range(200, 300)])
    two.poll_while(
        lambda: one.poll(0.05) or len({*one.values[before:], *two.values} & set(range(200, 300))) < 100
    )
    assert before == 200 and len(one.values) == len(set(one.values))
    (theirs,) = second.snapshot()
    first.commit(first.snapshot())  # of the partition that is ours, not of theirs
    first.close()
    two.poll_while(lambda: len(second.snapshot()) < 2)
    assert second.snapshot()[theirs] >= 100 - 50
    second.close()


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
    while time.monotonic() - started < 3.0:
        assert len(source.poll(0.1)) == 0
    assert "no-such-host.invalid:9092" in source.trouble
    assert len([r for r in caplog.records if "trying on" in r.message]) == 1
    source.close()


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


def test_messages_without_a_time_have_none():
    from streamrnn.connectors.kafka_clients.base import times_of

    assert times_of([1_700_000_000_123, -1]).tolist() == [1_700_000_000_123_000_000, NO_TIME]


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
