"""Replay: a recorded stream through the engine, as fast as it goes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType

import numpy as np

from streamrnn.connectors.base import Read, Source
from streamrnn.fleet import Fleet
from streamrnn.records import Results

__all__ = ["Watcher", "replay"]

_POLL_S = 1.0


Watcher = Callable[[Read, Results], None]
"""Something that looks on: a writer of rows, a tally, the rows of a plot."""


class _Codes:
    """The fleet's codes of a source's series and partitions."""

    def __init__(self, fleet: Fleet, source: Source, first_partition: int) -> None:
        self._fleet, self._source, self._first = fleet, source, first_partition
        self._codes = np.empty(0, np.int32)

    def placed(self, batch: Read) -> Read:
        """A batch whose series and partitions are numbered as in the fleet."""
        new = self._source.keys[len(self._codes) :]
        if len(new):
            self._codes = np.append(self._codes, self._fleet.series(new))
        partitions = batch.partitions + np.int32(self._first)
        return replace(batch, series=self._codes[batch.series], partitions=partitions)


def replay(
    source: Source,
    fleet: Fleet,
    watchers: Sequence[Watcher],
    progress: Callable[[int], None],
    *,
    first_partition: int = 0,
) -> bool:
    """Score and learn all records of a source, in order.

    Parameters
    ----------
    source : Source
    fleet : Fleet
    watchers : sequence of Watcher
        Shown each batch and what was found in it.
    progress : callable
        Told after each batch how many records are done.
    first_partition : int
        Code of the source's first partition, where the fleet knows others from before.

    Returns
    -------
    bool
        False where Ctrl-C ended it; everything before is then scored and watched.

    Raises
    ------
    DataError
        Where nothing more can be read; everything before it is scored and watched.
    """
    records, codes = 0, _Codes(fleet, source, first_partition)
    try:
        while (batch := source.poll(_POLL_S)) is not None:
            with _whole():
                placed = codes.placed(batch)
                found = fleet.process(placed)
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
