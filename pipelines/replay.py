"""Replay: a recorded stream through the engine, as fast as it goes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from streamrnn.columns import output_columns
from streamrnn.connectors.base import Sink, Source, joined
from streamrnn.fleet import Fleet
from streamrnn.pipelines.progress import Progress
from streamrnn.records import Batch, Results

__all__ = ["Watcher", "replay"]

_POLL_S = 1.0
_FLUSH_S = 10.0


class Watcher(Protocol):
    """Something that looks on: a tally, the rows of a plot."""

    def add(self, batch: Batch, found: Results) -> None:
        """Take in the next records and what was found in them."""


def replay(
    source: Source, fleet: Fleet, sink: Sink | None, watchers: Sequence[Watcher], progress: Progress
) -> bool:
    """Score and learn all records of a source, in order.

    Returns
    -------
    bool
        False where Ctrl-C ended it; everything before is then scored, written and watched.

    Raises
    ------
    DataError
        Where a record cannot be read; everything before it is scored, written and watched.
    """
    records = 0
    try:
        while (batch := source.poll(_POLL_S)) is not None:
            with _whole():
                found = fleet.process(batch)
                if sink is not None:
                    columns = output_columns(found, batch, fleet.settings, source.name)
                    sink.write(joined(batch.columns, columns))
                for watcher in watchers:
                    watcher.add(batch, found)
                records += len(batch)
            progress.show(records)
    except KeyboardInterrupt:
        return False
    finally:
        progress.clear()
        if sink is not None:
            sink.flush(_FLUSH_S)
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
