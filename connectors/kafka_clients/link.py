"""Whether the brokers are there: said once when they are lost, once when they are back."""

from __future__ import annotations

import logging
import random
import time

from streamrnn.connectors.kafka_clients.options import KafkaOptions

__all__ = ["Link"]

_log = logging.getLogger("streamrnn.kafka")


class Link:
    """Keeps when the brokers were last heard of, and when to try again.

    Parameters
    ----------
    options : KafkaOptions
    purpose : str
        What the log says it is for, as in ``"source"``.

    Attributes
    ----------
    trouble : str or None
        What is wrong now, in words; None where nothing is.
    """

    def __init__(self, options: KafkaOptions, purpose: str) -> None:
        self._options = options
        self._purpose = purpose
        self._failures = 0
        self._said = False
        self._retry_at = 0.0
        self.heard_at = time.monotonic()
        self.trouble: str | None = None

    @property
    def quiet_s(self) -> float:
        """How long ago something was heard of the brokers."""
        return time.monotonic() - self.heard_at

    def alive(self) -> None:
        """Something came."""
        if self._said:
            title = self._options.title
            _log.warning("Kafka %s: %s is back after %.1f s", self._purpose, title, self.quiet_s)
        self._failures, self._said, self._retry_at = 0, False, 0.0
        self.heard_at = time.monotonic()
        self.trouble = None

    def failed(self, error: Exception) -> None:
        """An attempt failed; the next is due after a pause that doubles, with jitter."""
        options = self._options
        pause = min(options.max_backoff_s, options.backoff_s * 2 ** min(self._failures, 30))
        self._failures += 1
        self._retry_at = time.monotonic() + pause * random.uniform(0.5, 1.0)
        self.trouble = str(error)
        if not self._said and self.quiet_s > options.lost_after_s:
            self._said = True
            _log.warning("Kafka %s: %s; trying on", self._purpose, error)

    def wait(self, timeout_s: float) -> bool:
        """Sleep until the next attempt is due, at most so long; whether it is due."""
        pause = self._retry_at - time.monotonic()
        if pause > 0:
            time.sleep(max(0.0, min(pause, timeout_s)))
        return pause <= timeout_s
