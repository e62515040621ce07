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
        self._start: tuple[float, int] | None = None
        self._shown = 0.0
        self._wrote = False

    def say(self, text: str) -> None:
        """Show a text in place of the last."""
        if self._stream is not None:
            self._stream.write(f"\r\x1b[K{text}")
            self._stream.flush()
            self._wrote = True

    def show(self, records: int) -> None:
        """Show how many records are done, not too often."""
        now = self._clock()
        if self._start is None:  # what came before may have compiled the core
            self._start, self._shown = (now, records), now
        elif now - self._shown >= _EVERY_S:
            self._shown = now
            rate = (records - self._start[1]) / (now - self._start[0])
            self.say(f"{records:,} records, {rate:,.0f} a second")

    def clear(self) -> None:
        """Leave an empty line behind."""
        if self._wrote:
            self.say("")
