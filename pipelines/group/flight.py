"""A snapshot on its way to the topic, while its lane goes on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from streamrnn.connectors.kafka_clients.background import Background
from streamrnn.errors import RetriableError

__all__ = ["Flight"]

_LOG = logging.getLogger("streamrnn.group")


class Flight:
    """Writes it in a thread of its own, again and again until it is there.

    Parameters
    ----------
    write : callable
        Raises RetriableError where it was not in time.
    journal : int
        Number of the last command that the snapshot knows of.
    """

    def __init__(self, write: Callable[[], object], journal: int) -> None:
        self._write, self.journal = write, journal
        self._failed = False
        self._writing = Background(self._timed)

    def landed(self, timeout_s: float = 0.0) -> float | None:
        """The seconds that it took; None where it is not there yet. Raises what is not worth another try."""
        if not self._writing.wait(timeout_s):
            return None
        try:
            return self._writing.result()
        except RetriableError as error:
            if not self._failed:
                _LOG.warning("a snapshot is not taken, the one before it still counts: %s", error)
            self._failed = True
            self._writing = Background(self._timed)
            return None

    def _timed(self) -> float:
        began = time.monotonic()
        self._write()
        return time.monotonic() - began
