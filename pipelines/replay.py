"""Replay: a recorded stream through the engine, as fast as it goes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from streamrnn.connectors.base import Read, Source
from streamrnn.pipelines.coding import Coding
from streamrnn.records import Results

__all__ = ["Watcher", "replay"]

_POLL_S = 1.0


Watcher = Callable[[Read, Results], None]
"""Something that looks on: a writer of rows, a tally, the rows of a plot."""


def replay(
    source: Source,
    coding: Coding,
    watchers: Sequence[Watcher],
    progress: Callable[[int], None],
) -> bool:
    """Score and learn all records of a source, in order.

    Parameters
    ----------
    source : Source
    coding : Coding
        With the fleet.
    watchers : sequence of Watcher
        Shown each batch and what was found in it.
    progress : callable
        Told after each batch how many records are done.

    Returns
    -------
    bool
        False where Ctrl-C ended it; everything before is then scored and watched.

    Raises
    ------
    DataError
        Where nothing more can be read; everything before it is scored and watched.
    """
    records = 0
    try:
        while (batch := source.poll(_POLL_S)) is not None:
            with _whole():
                placed = coding.placed(batch, source)
                found = coding.fleet.process(placed)
                for watch in watchers:
                    watch(placed, found)
                records += len(placed)
            progress(records)
    except KeyboardInterrupt:
        return False
    source.commit(source.snapshot())
    return True


@contextmanager
def _whole() -> Iterator[None]:
    """Let Ctrl-C wait until what is in here is done, so that no row is written by half."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupted = False

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupted:
        raise KeyboardInterrupt
