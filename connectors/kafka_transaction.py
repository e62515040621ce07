"""Topics and the offsets of a group, written together or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from streamrnn.connectors.kafka_clients.base import Headers, Partition, Transaction, open_transaction
from streamrnn.connectors.kafka_clients.options import KafkaOptions
from streamrnn.errors import RetriableError

__all__ = ["KafkaTransaction", "TransactionTopic"]

_COMMIT_S = 5.0
_CLOSE_S = 5.0
_ANSWER_S = 5.0


class KafkaTransaction:
    """Messages to some topics, committed in one transaction with the offsets that they stand for.

    Whoever opens one of a name ends what an earlier one of that name had open, and
    fences that one: it can commit nothing any more.

    Parameters
    ----------
    options : KafkaOptions
        Of the group whose offsets are committed; client ``"confluent"``.
    name : str
        The transactional id.
    topics : iterable of str
        To which is written; they must exist.
    membership : callable
        What the group knows us by, as ``KafkaSource.membership``.

    Raises
    ------
    RetriableError
        Where no broker answers.
    FencedError
        Where another one of our name begins at the same moment.
    FatalConnectorError
        Where they refuse us, or don't know a topic.
    """

    def __init__(
        self, options: KafkaOptions, name: str, topics: Iterable[str], membership: Callable[[], object]
    ) -> None:
        self._options, self._membership = options, membership
        self._client: Transaction | None = open_transaction(options, name, list(topics))

    @property
    def full(self) -> bool:
        """Whether it should be committed before more is written."""
        return self._opened().full

    def topic(self, name: str) -> TransactionTopic:
        """One of the topics, to write to."""
        return TransactionTopic(self, name)

    def write(
        self,
        topic: str,
        values: Sequence[bytes],
        keys: Sequence[bytes | None],
        headers: Sequence[Headers] | None = None,
    ) -> None:
        """Take messages, all or none.

        Raises
        ------
        RetriableError
            Where the transaction before is not ended yet: none was taken.
        FencedError
            Where another one of our name has begun.
        FatalConnectorError
            Where trying again does not help.
        """
        messages = list(zip(values, keys, headers or [()] * len(values), strict=True))
        self._opened().write(topic, messages)

    def commit(self, positions: Mapping[str, int]) -> None:
        """Commit what was written, and these positions with it; nothing happens where all is committed.

        Raises
        ------
        RetriableError
            Where it is not done in some seconds. What was written is kept, and committed by a
            next call; an aborted transaction is sent again.
        FencedError, FatalConnectorError
            As ``write``.
        """
        offsets = {_place(name): offset for name, offset in positions.items()}
        self._opened().commit(offsets, self._membership, _COMMIT_S)

    def committed(self, names: Iterable[str]) -> dict[str, int]:
        """The group's offsets of those partitions that have one; raises RetriableError."""
        places = {_place(name): name for name in names}
        deadline = time.monotonic() + self._options.patience_s
        while True:
            try:
                found = self._opened().committed(list(places), _ANSWER_S)
            except RetriableError:
                if time.monotonic() >= deadline:
                    raise
            else:
                return {places[place]: offset for place, offset in found.items()}

    def close(self) -> None:
        """Abort what is not committed, and disconnect; may be called twice."""
        client, self._client = self._client, None
        if client is not None:
            client.close(_CLOSE_S)

    def _opened(self) -> Transaction:
        if self._client is None:
            raise RetriableError("the transaction is closed")
        return self._client


class TransactionTopic:
    """A topic of a transaction, with the methods of ``KafkaSink``."""

    def __init__(self, transaction: KafkaTransaction, topic: str) -> None:
        self._transaction, self.topic = transaction, topic

    def write_messages(
        self,
        values: Sequence[bytes],
        keys: Sequence[bytes | None],
        headers: Sequence[Headers] | None = None,
    ) -> None:
        """Take messages, all or none; raises as ``KafkaTransaction.write``."""
        self._transaction.write(self.topic, values, keys, headers)

    def flush(self, timeout_s: float) -> None:
        """Nothing: the transaction's commit does it."""

    def close(self) -> None:
        """Nothing: the transaction is closed by whoever opened it."""


def _place(name: str) -> Partition:
    topic, _, number = name.rpartition("-")
    return topic, int(number)
