"""One partition as a source: given its messages by hand, with a decoder of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from streamrnn.connectors.base import Positions, Read, nothing
from streamrnn.connectors.fields import FieldDecoder
from streamrnn.connectors.messages import DeadLetter, Messages

__all__ = ["LaneSource"]


class LaneSource:
    """Decodes messages of one partition when it is polled.

    Parameters
    ----------
    name : str
        Of the partition.
    decoder : FieldDecoder
    commit : callable
        Told what is committed.
    """

    def __init__(self, name: str, decoder: FieldDecoder, commit: Callable[[Positions], None]) -> None:
        self.name, self.decoder, self._commit = name, decoder, commit
        self.partition_names: Sequence[str] = (name,)
        self._waiting: deque[tuple[Messages | None, int]] = deque()
        self._next: int | None = None
        self._dead: list[DeadLetter] = []

    @property
    def keys(self) -> Sequence[str]:
        """Names of the series by their codes; grows."""
        return self.decoder.keys

    @property
    def waits(self) -> bool:
        """Whether messages are still to be polled."""
        return bool(self._waiting)

    def feed(self, messages: Messages | None, position: int) -> None:
        """Messages came, all of this partition, or none did; where to go on behind them."""
        if messages is not None or self._next is None:
            self._waiting.append((messages, position))

    def poll(self, timeout_s: float) -> Read:
        """What came, at once; an empty batch where nothing did."""
        if not self._waiting:
            return nothing(len(self.decoder.channels))
        messages, self._next = self._waiting.popleft()
        if messages is None:
            return nothing(len(self.decoder.channels))
        decoded = self.decoder.decode(messages)
        self._dead += decoded.dead
        return decoded.read

    def take_dead_letters(self) -> list[DeadLetter]:
        """Messages polled that are no records; each is given once."""
        dead, self._dead = self._dead, []
        return dead

    def snapshot(self) -> Positions:
        """Where to go on after what was polled; nothing before that is known."""
        return {} if self._next is None else {self.name: self._next}

    def seek(self, positions: Positions) -> None:
        """Go on from a snapshot."""
        self._next = positions[self.name]

    def commit(self, positions: Positions) -> None:
        """Say that everything before these positions is dealt with."""
        self._commit(positions)

    def close(self) -> None:
        """Nothing to give back."""
