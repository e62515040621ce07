"""A line on a terminal that says how far a run is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

__all__ = ["Progress"]

_EVERY_S = 0.2


class Progress:
    """Shows records and records a second on one line; silent where nobody watches.

    Parameters
    ----------
    stream : text stream
        Where to write, if it is a terminal.
    clock : callable
        Seconds; another one in tests.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream if stream.isatty() else None
        self._clock = clock
        self._start: tuple[float, int, float] | None = None
        self._shown = 0.0
        self._wrote = False

    def say(self, text: str) -> None:
        """Show a text in place of the last."""
        if self._stream is not None:
            self._stream.write(f"\r\x1b[K{text}")
            self._stream.flush()
            self._wrote = True

    def show(self, records: int, share: float | None = None) -> None:
        """Show how many records are done and how long the rest takes, not too often.

        Parameters
        ----------
        records : int
        share : float or None
            How much of all is done, 0 to 1; None where that is not known.
        """
        now = self._clock()
        if self._start is None:  # what came before may have compiled the core
            self._start, self._shown = (now, records, share or 0.0), now
        elif now - self._shown >= _EVERY_S:
            self._shown = now
            began, earlier, before = self._start
            rate = (records - earlier) / (now - began)
            done = (share or 0.0) - before
            left = f", {(1.0 - (share or 0.0)) * (now - began) / done:,.0f} s left" if done > 0.0 else ""
            self.say(f"{records:,} records, {rate:,.0f} a second{left}")

    def clear(self) -> None:
        """Leave an empty line behind."""
        if self._wrote:
            self.say("")
