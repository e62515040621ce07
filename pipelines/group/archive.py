"""The snapshot topic as a daemon uses it: shelves of the partitions that come, kept up with or not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from streamrnn.connectors.kafka_clients.base import Log
from streamrnn.errors import RetriableError
from streamrnn.pipelines.endpoints import topic_and_partition
from streamrnn.pipelines.group.blobs import Blobs
from streamrnn.pipelines.group.shelf import Shelf

__all__ = ["Archive"]

_ANSWER_S = 5.0
_READ_S = 3.0  # of snapshots at a stretch; what is read by then need not be read again
_WRITE_S = 60.0  # of a blob: its lane stands still meanwhile


class Archive:
    """Finds the shelves of partitions. What reads may run in a thread of its own, beside what writes.

    What partition n of any topic knows lies in partition n of the snapshot topic, or n
    modulo how many that has.

    Parameters
    ----------
    log : Log
    topic : str
        Its topic.
    folder : Path
        For what is large.
    standby : bool
        Whether to keep at hand what others write, to have it when they are gone.

    Attributes
    ----------
    standby : bool
    ours : callable
        The partitions that were taken up and have not left, asked by who reads: what we write ourselves need
        not be at hand, and is not put together.
    """

    def __init__(self, log: Log, topic: str, folder: Path, *, standby: bool) -> None:
        self._log, self._topic, self.standby = log, topic, standby
        self._blobs = Blobs(log, folder)
        self.ours: Callable[[], Collection[str]] = tuple
        self._count = log.partitions_of(topic, _ANSWER_S)
        if standby:
            log.follow(range(self._count))

    def shelves(self, homes: Iterable[str]) -> dict[str, Shelf]:
        """Of each partition what it owns, as its last owner left it.

        Raises
        ------
        RetriableError
            Where the topic cannot be read to its end now; a next call goes on from there.
        FatalConnectorError
            Where trying again does not help.
        """
        numbers = {home: int(topic_and_partition(home)[1]) % self._count for home in homes}
        if not self.standby:
            self._log.follow(set(numbers.values()))
        if not self._log.catch_up(_READ_S, set(numbers.values())):
            raise RetriableError(f"the end of topic {self._topic!r} is not reached yet")
        self._look(range(self._count) if self.standby else set(numbers.values()), homes=numbers)
        found = {
            home: Shelf(self._log, self._blobs, number, home, timeout_s=_WRITE_S)
            for home, number in numbers.items()
        }
        if not self.standby:
            self._log.follow(())  # what is large is with the shelves now
            self._look(())
        return found

    def partitions_of(self, topic: str) -> int:
        """How many partitions a topic has; raises as ``shelves``."""
        return self._log.partitions_of(topic, _ANSWER_S)

    def catch_up(self) -> bool:
        """As a standby, read on; whether all that others had written is read now. Raises as ``shelves``."""
        read = self._log.catch_up(_READ_S, range(self._count))
        self._look(range(self._count))
        return read

    def keep_up(self, timeout_s: float) -> None:
        """Read some of what others write, as a standby; raises as ``shelves``."""
        if self._log.read_on(timeout_s):
            self._look(range(self._count))

    def _look(self, numbers: Collection[int], homes: Collection[str] = ()) -> None:
        """Put together what these partitions of the topic hold of others, and of ``homes``."""
        self._blobs.look(numbers, set(self.ours()).difference(homes))

    def close(self) -> None:
        """Disconnect."""
        self._log.close()
