"""What the tests of Kafka share: a simple decoder, producing, polling until something holds."""

import time

import numpy as np

from streamrnn.connectors.base import Read
from streamrnn.connectors.kafka import KafkaOptions, KafkaSource
from streamrnn.connectors.kafka_sink import KafkaSink
from streamrnn.connectors.messages import DeadLetter, Decoded

CLIENTS = ("kafka-python", "confluent")
# Seconds that a busy machine may add; soak runs, alone on theirs, hold the promised times.
BUSY_S = 60.0


class FloatDecoder:
    """A message's value is a number as text; its key names the series."""

    def __init__(self):
        self.keys = []

    def decode(self, messages):
        good, dead, values = [], [], []
        for i, value in enumerate(messages.values):
            try:
                values.append(float(value))
                good.append(i)
            except (TypeError, ValueError):
                name = messages.partition_names[messages.partitions[i]]
                letter = DeadLetter(name, int(messages.offsets[i]), "not a number", value, messages.keys[i])
                dead.append(letter)
        keys = [(messages.keys[i] or b"").decode() for i in good]
        self.keys += [key for key in dict.fromkeys(keys) if key not in self.keys]
        read = Read(
            series=np.array([self.keys.index(key) for key in keys], np.int32),
            times=messages.times[good],
            values=np.array(values, np.float64).reshape(-1, 1),
            partitions=messages.partitions[good],
            offsets=messages.offsets[good],
            columns={"value": values},
        )
        return Decoded(read, dead)


def options(broker, *topics, **others):
    """Options with short times."""
    chosen = {"group": f"group-{topics[0] if topics else ''}", "session_timeout_s": 3.0, "lost_after_s": 1.5}
    chosen |= {"patience_s": 2.0, "connect_timeout_s": 3.0, "max_backoff_s": 0.5}
    address = broker if isinstance(broker, str) else broker.address
    return KafkaOptions(brokers=(address,), topics=topics, **{**chosen, **others})


def source_of(broker, *topics, **others):
    return KafkaSource(options(broker, *topics, **others), FloatDecoder())


def produce(broker, topic, values, keys=None, client="confluent"):
    """Write messages and wait until they are acknowledged."""
    sink = KafkaSink(options(broker, client=client), topic)
    sink.write_messages([str(value).encode() for value in values], keys or [None] * len(values))
    sink.flush(30.0)
    sink.close()


def in_order(places):
    """Whether each partition's offsets run from their first one up, one by one."""
    of = {}
    for name, offset in places:
        of.setdefault(name, []).append(offset)
    return all(offsets == list(range(offsets[0], offsets[0] + len(offsets))) for offsets in of.values())


class Polled:
    """Everything that a source gives, in order."""

    def __init__(self, source):
        self.source = source
        self.values, self.places, self.times, self.series = [], [], [], []

    def until(self, n, timeout_s=90.0):
        """Poll until n records have come."""
        return self.poll_while(lambda: len(self.values) < n, timeout_s)

    def poll_while(self, condition, timeout_s=90.0):
        """Poll while a condition holds; fails where it still does after the time."""
        deadline = time.monotonic() + timeout_s
        while condition():
            assert time.monotonic() < deadline, f"{len(self.values)} records; {self.source.trouble}"
            self.poll(0.1)
        return self

    def poll(self, timeout_s):
        read = self.source.poll(timeout_s)
        names = self.source.partition_names
        self.values += read.values[:, 0].tolist()
        self.times += read.times.tolist()
        self.series += [self.source.keys[code] for code in read.series]
        self.places += [(names[p], o) for p, o in zip(read.partitions, read.offsets.tolist(), strict=True)]
