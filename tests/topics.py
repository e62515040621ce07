"""Topics written and read in whole, for tests of the daemon."""

from __future__ import annotations

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition


def producer_of(broker):
    """What writes to topics; to make one takes longer than to write some hundred messages."""
    return Producer(
        {
            "bootstrap.servers": broker.address,
            "enable.idempotence": True,
            "queue.buffering.max.messages": 1_000_000,
            "reconnect.backoff.max.ms": 500,
        }
    )


def write_all(producer, topic, values, partitions):
    """Write messages to partitions of a topic and wait until they are there."""
    for value, partition in zip(values, partitions, strict=True):
        producer.produce(topic, value, partition=partition)
    assert producer.flush(60) == 0


def read_all(broker, topic):
    """All messages of a topic of one partition."""
    consumer = Consumer(
        {"bootstrap.servers": broker.address, "group.id": "whole", "enable.auto.commit": False}
    )
    try:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)
        consumer.assign([TopicPartition(topic, 0, 0)])
        values = []
        while len(values) < end:
            # No more than there are: for more it would wait.
            found = consumer.consume(min(end - len(values), 5000), 1.0)
            values += [message.value() for message in found if message.error() is None]
        return values
    finally:
        consumer.close()


def read_committed(broker, topic):
    """What readers of a topic of one partition see who pass by what is not committed, or was undone."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.address,
            "group.id": "whole",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 50,  # the end is told after it
            "isolation.level": "read_committed",
        }
    )
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        values = []
        while True:
            message = consumer.poll(1.0)  # one by one: the end is news at once
            if message is None:
                continue
            if message.error() is None:
                values.append(message.value())
            elif message.error().code() == KafkaError._PARTITION_EOF:
                return values
    finally:
        consumer.close()
