"""A file followed as it grows: rotated, cut off, or not there yet."""

from __future__ import annotations

import glob
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from streamrnn.connectors.base import STANDARD, Positions, Read, nothing
from streamrnn.connectors.messages import DeadLetter
from streamrnn.connectors.tables.opening import Opened
from streamrnn.connectors.text import printable

__all__ = ["FollowSource", "Part"]

_LOG = logging.getLogger("streamrnn.follow")
_NAP_S = 0.05
_FEWEST_LINES = 2  # a header and a record, or two records: what tells one file from the next


class Part(Protocol):
    """One file from its beginning to where it was replaced."""

    dead: list[DeadLetter]

    @property
    def partition_names(self) -> Sequence[str]:
        """Its one name."""

    @property
    def keys(self) -> Sequence[str]:
        """Names of the series by their codes."""

    def poll(self, timeout_s: float) -> Read | None:
        """The next records; None where no further line is whole yet."""

    def snapshot(self) -> Positions:
        """The row to go on with."""

    def seek(self, positions: Positions) -> None:
        """Go on at a row."""

    def close(self) -> None:
        """Close the file."""


class FollowSource:
    """Records of a file as they are written to it.

    Where the file is replaced (rotated) or cut off, what is left of the old one
    is read first, if it is still open or lies beside the new one; each file is a
    partition of its own, named by its base name and a fingerprint of its head.

    Parameters
    ----------
    path : str
        Need not exist yet.
    channels : tuple of str
    part : callable
        Opens a file as a ``Part``.
    ends : bool
        Whether to end at the end of the file instead of waiting for more.

    Attributes
    ----------
    partition_names : list of str
    """

    def __init__(
        self, path: str, channels: tuple[str, ...], part: Callable[[Opened], Part], *, ends: bool = False
    ) -> None:
        self._path, self._part, self.channels, self._ends = path, part, channels, ends
        self.partition_names: list[str] = []
        self._dead: list[DeadLetter] = []
        self._keys: dict[str, int] = {}
        self._positions: Positions = {}
        self._opened: Opened | None = None
        self._current: Part | None = None
        self._began = False

    @property
    def keys(self) -> Sequence[str]:
        """Names of the series by their codes."""
        return list(self._keys)

    def poll(self, timeout_s: float) -> Read | None:
        """The next records; none where nothing came in time; None at the end, where there is one."""
        if self._current is None and not self._next():
            time.sleep(min(timeout_s, _NAP_S))
            return nothing(len(self.channels))
        current, opened = self._current, self._opened
        if current is None or opened is None:
            return nothing(len(self.channels))
        read = current.poll(timeout_s)
        if read is None and (self._ends or opened.is_replaced(self._path)):
            opened.finish()  # a last line without its end will not grow any more
            read = current.poll(timeout_s)
            if read is None:
                self._positions |= current.snapshot()
                self._began = not opened.cut_off  # a copy made before may hold what was not read
                self._leave()
                return None if self._ends else nothing(len(self.channels))
        self._positions |= current.snapshot()
        if read is None:
            time.sleep(min(timeout_s, _NAP_S))
            return nothing(len(self.channels))
        return self._placed(read, current)

    def take_dead_letters(self) -> list[DeadLetter]:
        """Lines polled that are no records; each is given once."""
        dead, self._dead = self._dead, []
        return dead

    def snapshot(self) -> Positions:
        """Of each file the row to go on with."""
        return dict(self._positions)

    def seek(self, positions: Positions) -> None:
        """Go on behind rows that were read before."""
        if self._current is not None:
            self._leave()
        self._positions = dict(positions)
        self._began = False

    def commit(self, positions: Positions) -> None:
        """Nothing: a file keeps what was read from it."""

    def close(self) -> None:
        """Close the file."""
        if self._current is not None:
            self._leave()

    def _leave(self) -> None:
        if self._current is not None:
            self._current.close()
        self._current = self._opened = None

    def _next(self) -> bool:
        """Open the file to go on with, once there is enough of it; False where there is not."""
        if self._path == STANDARD:
            return self._begin(Opened(self._path))
        home = Path(self._path)
        found = None if self._began or not self._positions else self._found_again()
        if found is None and not home.is_file():
            return False
        opened = found or Opened(self._path, growing=True)
        if opened.whole_lines < _FEWEST_LINES and not self._ends:
            opened.close()
            return False
        opened.title = printable(home.name)  # also where it was moved to another name
        return self._begin(opened)

    def _begin(self, opened: Opened) -> bool:
        self._began = True
        self._opened, self._current = opened, self._part(opened)
        (name,) = self._current.partition_names
        if name in self._positions:
            self._current.seek(self._positions)
        self.partition_names.append(name)
        _LOG.info("reading %s from row %d on", name, self._positions.get(name, 0))
        return True

    def _found_again(self) -> Opened | None:
        """The file that was read last, wherever it was moved to; None where it is gone."""
        self._began = True
        last, home = next(reversed(self._positions)), Path(self._path)
        for file in [home, *sorted(home.parent.glob(f"{glob.escape(home.name)}?*"))]:
            if file.is_file():
                opened = Opened(str(file), growing=True)
                if last == f"{printable(home.name)}-{opened.fingerprint}":
                    return opened
                opened.close()
        row = self._positions[last]
        _LOG.warning("%s is gone; rows behind %d that it may have had are not read", last, row)
        return None

    def _placed(self, read: Read, current: Part) -> Read:
        """Records with the codes of all files together."""
        at = len(self.partition_names) - 1
        self._dead += current.dead
        current.dead.clear()
        codes = [self._keys.setdefault(name, len(self._keys)) for name in current.keys]
        series = np.array(codes, np.int32)[read.series]
        return replace(read, series=series, partitions=np.full(len(read), at, np.int32))
