"""The Kafka source and sink against a real broker, with either client."""

import time

from kafka_support import BUSY_S, Polled, in_order, options, produce, source_of

from streamrnn.connectors.dead_letters import SCHEMA_VERSION, KafkaDeadLetters
from streamrnn.connectors.kafka_sink import KafkaSink
from streamrnn.connectors.messages import DeadLetter
from streamrnn.kernels.plan import NO_TIME


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
    # The group may join again at once: the metadata of a new topic comes in parts.
    assert set(kinds[::2]) == {"assigned"} and set(kinds[1::2]) <= {"revoked"}
    assert kinds[-1] == "assigned" and source.assignment_changes() == []
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


def test_partitions_that_begin_once_more_come_again_though_nothing_else_does(broker, client):
    topic, names = (made := broker.new_topic(12)), {f"{made}-{i}" for i in range(12)}
    produce(broker, topic, range(100))
    source = source_of(broker, topic, client=client)
    polled = Polled(source).until(100)
    polled.poll(0.5)  # from here on each fetch waits for records
    assert source.restart([*names, "of-others-1"]) == sorted(names)
    assert not source.snapshot()
    assert sorted(polled.until(200).values) == sorted([*range(100), *range(100)])
    assert source.snapshot().keys() == names
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


def test_lag_is_what_is_not_yet_read_and_rises_with_what_is_written(broker, client):
    topic = broker.new_topic()
    name = f"{topic}-0"
    produce(broker, topic, range(100))
    source = source_of(broker, topic, client=client, max_messages=10)
    assert source.lag() == {}
    polled = Polled(source).until(30)
    assert source.lag() == {name: 100 - len(polled.values)}
    assert polled.until(100) and source.lag() == {name: 0}
    produce(broker, topic, range(100, 150))
    polled.until(110)
    assert source.lag() == {name: 150 - len(polled.values)} != {name: 0}
    assert polled.until(150) and source.lag() == {name: 0}
    source.close()


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


def test_messages_without_a_time_have_none():
    from streamrnn.connectors.kafka_clients.base import times_of

    assert times_of([1_700_000_000_123, -1]).tolist() == [1_700_000_000_123_000_000, NO_TIME]
