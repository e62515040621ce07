"""A file followed as it grows: rotated, cut off, or not there yet."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from streamrnn.connectors.base import STANDARD, Positions, Read, nothing
from streamrnn.connectors.growing import CutOffError
from streamrnn.connectors.messages import DeadLetter
from streamrnn.connectors.rotation import beside, newer
from streamrnn.connectors.tables.opening import Opened
from streamrnn.connectors.text import printable
from streamrnn.errors import DataError

__all__ = ["FollowSource", "Part"]

_LOG = logging.getLogger("streamrnn.follow")
_NAP_S = 0.05
_FEWEST_LINES = 2  # a header and a record, or two records: what tells one file from the next
_KEPT = 16  # files whose positions are kept: the one that is read, and some before it


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
    is read first, if it is still open or lies beside the new one, then every file
    that was rotated since, in order. Each file is a partition of its own, named by
    its base name and a fingerprint of its head; where one before it had that name
    (it was written anew with the same first lines), a number follows: ``-1f2e3d4c.2``.

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
        self._began = self._cut = False
        self._left: tuple[int, tuple[int, int]] | None = None  # when it was last written to, which it was

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
                self._cut = opened.cut_off
                self._began = not self._cut  # a copy made before may hold what was not read
                self._left = None if self._cut else (opened.written_ns, opened.identity)
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
        self._began, self._cut, self._left = False, False, None

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
        began, self._began = self._began, True
        if not began and self._positions and self._go_on():
            return True
        return self._begin_rotated() or self._begin_newest()

    def _go_on(self) -> bool:
        """Open the file that was read last, wherever it was moved to; False where it is gone."""
        last, home = next(reversed(self._positions)), Path(self._path)
        reason = "it is not there any more"
        fingerprint = last.rpartition("-")[2]
        for file in [*([] if self._cut or not home.is_file() else [home]), *beside(home)]:
            opened = Opened(str(file), growing=True)
            if opened.fingerprint == fingerprint.partition(".")[0]:
                opened.fingerprint = fingerprint
                try:
                    return self._begin(opened)
                except CutOffError as error:
                    reason = f"it was cut off or written anew, and is read as another file ({error})"
            opened.close()
        row = self._positions[last]
        _LOG.warning("%s: %s; rows behind %d that were not read are lost", last, reason, row)
        return False

    def _begin_rotated(self) -> bool:
        """Open the oldest file that came after the one that was left and was rotated too; False: none was."""
        if self._left is None:
            return False
        for file, may_be_older in newer(Path(self._path), *self._left):
            opened = Opened(str(file), growing=True)
            if opened.whole_lines and not (may_be_older and self._named(opened) in self._positions):
                self._tell_apart(opened)
                try:
                    return self._begin(opened)
                except DataError:
                    if opened.whole_lines >= _FEWEST_LINES:
                        raise
            opened.close()  # nothing was written to it, or no record
        return False

    def _begin_newest(self) -> bool:
        """Open the file of our path as one that was never read."""
        home = Path(self._path)
        if not home.is_file():
            return False
        opened = Opened(self._path, growing=True)
        if opened.whole_lines < _FEWEST_LINES and not self._ends:
            opened.close()
            return False
        self._tell_apart(opened)
        return self._begin(opened)

    def _tell_apart(self, opened: Opened) -> None:
        """Give a file a name that no file before it had."""
        fingerprint, generation = opened.fingerprint, 1
        while self._named(opened) in self._positions:
            generation += 1
            opened.fingerprint = f"{fingerprint}.{generation}"

    def _named(self, opened: Opened) -> str:
        return f"{printable(Path(self._path).name)}-{opened.fingerprint}"

    def _begin(self, opened: Opened) -> bool:
        if self._path != STANDARD:
            opened.title = printable(Path(self._path).name)  # also where it was moved to another name
        part = self._part(opened)
        (name,) = part.partition_names
        if name in self._positions:
            part.seek(self._positions)
        self._opened, self._current = opened, part
        self._positions.setdefault(name, 0)
        for old in list(self._positions)[:-_KEPT]:
            del self._positions[old]
        self.partition_names.append(name)
        _LOG.info("reading %s from row %d on", name, self._positions[name])
        return True

    def _placed(self, read: Read, current: Part) -> Read:
        """Records with the codes of all files together."""
        at = len(self.partition_names) - 1
        self._dead += current.dead
        current.dead.clear()
        codes = [self._keys.setdefault(name, len(self._keys)) for name in current.keys]
        series = np.array(codes, np.int32)[read.series]
        return replace(read, series=series, partitions=np.full(len(read), at, np.int32))
