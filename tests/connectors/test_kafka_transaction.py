"""Messages and offsets in one transaction of a real broker."""

from __future__ import annotations

import pytest
from kafka_support import options, produce, source_of
from topics import read_committed

from streamrnn.connectors.kafka_transaction import KafkaTransaction
from streamrnn.errors import FatalConnectorError, RetriableError


class Copy:
    """A source of one topic, and a transaction that writes to another."""

    def __init__(self, broker):
        self.broker, self.topic, self.to = broker, broker.new_topic(1), broker.new_topic(1)
        produce(broker, self.topic, range(3))
        self.source = self.joined()
        self.former = None

    def joined(self):
        source = source_of(self.broker, self.topic, client="confluent")
        while not source.snapshot():
            source.poll(0.2)
        return source

    def membership(self):
        return self.former or self.source.membership()

    def transaction(self, name):
        patient = {"session_timeout_s": 400.0}  # longer than a transaction may be open
        chosen = options(self.broker, group=f"group-{self.topic}", client="confluent", **patient)
        return KafkaTransaction(chosen, name, [self.to], self.membership)

    def seen(self):
        return read_committed(self.broker, self.to)


@pytest.fixture
def copy(broker):
    made = Copy(broker)
    yield made
    made.source.close()


def until_committed(transaction, positions, tries=60):
    for _ in range(tries):
        try:
            transaction.commit(positions)
        except RetriableError:
            continue
        return
    pytest.fail("it was never committed")


def test_what_is_written_is_seen_with_its_offsets_once_it_is_committed(copy):
    transaction, at = copy.transaction(copy.to), f"{copy.topic}-0"
    assert transaction.committed([at]) == {}
    transaction.topic(copy.to).write_messages([b"a", b"b"], [None, b"key"])
    assert copy.seen() == []
    until_committed(transaction, {at: 2})
    assert (copy.seen(), transaction.committed([at])) == ([b"a", b"b"], {at: 2})
    transaction.topic(copy.to).write_messages([b"c"], [None])
    transaction.close()  # undoes it
    assert (copy.seen(), copy.transaction(copy.to).committed([at])) == ([b"a", b"b"], {at: 2})


def test_an_aborted_transaction_is_sent_again_whole(copy):
    transaction, at = copy.transaction(copy.to), f"{copy.topic}-0"
    transaction.topic(copy.to).write_messages([b"a"], [None])
    copy.former = copy.membership()
    copy.source.close()
    copy.source = copy.joined()
    with pytest.raises(RetriableError):
        transaction.commit({at: 1})
    transaction.topic(copy.to).write_messages([b"b"], [None])
    assert copy.seen() == []
    copy.former = None  # the group knows us by another
    until_committed(transaction, {at: 2})
    assert (copy.seen(), transaction.committed([at])) == ([b"a", b"b"], {at: 2})
    transaction.close()


def test_the_next_of_a_name_ends_what_is_open_and_fences_who_had_it(copy):
    first, at = copy.transaction(copy.to), f"{copy.topic}-0"
    first.topic(copy.to).write_messages([b"a"], [None])
    second = copy.transaction(copy.to)
    second.topic(copy.to).write_messages([b"b"], [None])
    until_committed(second, {at: 1})
    with pytest.raises(FatalConnectorError, match="another daemon of group"):
        until_committed(first, {at: 1})
    assert copy.seen() == [b"b"]
    first.close()
    second.close()


def test_messages_beyond_the_buffer_ask_for_a_commit(copy):
    transaction = copy.transaction(copy.to)
    values = [bytes(900_000)] * 40
    transaction.topic(copy.to).write_messages(values, [None] * 40)
    assert transaction.full
    until_committed(transaction, {f"{copy.topic}-0": 1})
    assert not transaction.full
    assert len(copy.seen()) == 40
    transaction.close()
