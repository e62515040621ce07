"""Which partition each key comes from, and how many partitions a topic has: what must not change unsaid."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from streamrnn.connectors.text import printable
from streamrnn.errors import StateError

__all__ = ["Homes"]

_LOG = logging.getLogger("streamrnn.group")
_SAID = 10  # keys that are named; more are counted


class Homes:
    """Notices keys that move between the partitions of one daemon, and topics that were cut anew.

    A key has a model in each partition where it comes, so that no model depends on which
    daemon has which partitions; records of one sensor belong into one partition.

    Parameters
    ----------
    policy : str
        ``"anew"``: it is said, and goes on; ``"stop"``: StateError.

    Attributes
    ----------
    moved : int
        Keys that came in more than one partition.

    Examples
    --------
    >>> homes = Homes("anew")
    >>> homes.meet("flow-0", ["pump-1", "pump-2"])
    >>> homes.meet("flow-1", ["pump-2"])
    >>> homes.moved
    1
    """

    def __init__(self, policy: str) -> None:
        self._policy = policy
        self._home: dict[str, str] = {}
        self._met: dict[str, int] = {}
        self.moved = 0

    def meet(self, home: str, keys: Sequence[str]) -> None:
        """All keys of a partition so far; the new ones are looked at.

        Raises
        ------
        StateError
            Where one moved and the policy is ``"stop"``.
        """
        known = self._met.get(home, 0)
        self._met[home] = len(keys)
        for key in keys[known:]:
            before = self._home.setdefault(key, home)
            if before != home:
                self._home[key] = home
                self._say(
                    f"key {printable(repr(key))} comes in {home} and has a model in {before}: each learns of "
                    "its own records alone; have the producer choose partitions by key"
                )

    def leave(self, home: str) -> None:
        """A partition is no longer ours."""
        self._met.pop(home, None)
        self._home = {key: of for key, of in self._home.items() if of != home}

    def count(self, topic: str, before: int, now: int) -> None:
        """How many partitions a topic had when its state was saved, and has; raises as ``meet``."""
        if before not in (0, now):
            self._say(
                f"topic {printable(topic)} had {before} partitions and has {now}: keys that come in another "
                "one than before have no model there"
            )

    def _say(self, what: str) -> None:
        self.moved += 1
        if self._policy == "stop":
            raise StateError(f'{what} (source.moved = "anew" goes on, and they begin anew)')
        if self.moved <= _SAID:
            _LOG.warning("%s", what)
