"""Files of lines, each line a message: JSON lines as a source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamrnn.connectors.base import Positions, Read
from streamrnn.connectors.growing import CutOffError
from streamrnn.connectors.messages import DeadLetter, Decoder, Messages
from streamrnn.connectors.tables.opening import Opened
from streamrnn.errors import DataError
from streamrnn.kernels.plan import NO_TIME

__all__ = ["LineSource"]

_BLOCK_BYTES = 1 << 20
_BATCH_LINES = 4096


class LineSource:
    """Records of one file whose lines are messages.

    Parameters
    ----------
    path : str
        ``"-"`` is stdin.
    decoder : Decoder
    opened : Opened, optional
        The file, where it is open already.
    batch_lines : int
        Most lines of one poll; results do not depend on it.

    Attributes
    ----------
    title : str
        The file's base name, safe to show.
    dead : list of DeadLetter
        Lines that are no records, since they were last taken away.

    Raises
    ------
    DataError
        Where the file cannot be opened or read.
    """

    def __init__(
        self,
        path: str,
        decoder: Decoder,
        opened: Opened | None = None,
        *,
        batch_lines: int = _BATCH_LINES,
    ) -> None:
        self._path, self._decoder, self._batch_lines = path, decoder, batch_lines
        self._opened = opened or Opened(path)
        self.title = self._opened.title
        self.partition_names: Sequence[str] = (f"{self.title}-{self._opened.fingerprint}",)
        self.dead: list[DeadLetter] = []
        self._restart()

    @property
    def keys(self) -> Sequence[str]:
        """Names of the series by their codes."""
        return self._decoder.keys

    def poll(self, timeout_s: float) -> Read | None:
        """The next records, maybe none of many lines; None where no further line is there."""
        lines = self._take(self._batch_lines)
        if not lines:
            return None
        n = len(lines)
        decoded = self._decoder.decode(
            Messages(
                values=list(lines),
                keys=[None] * n,
                times=np.full(n, NO_TIME, np.int64),
                partitions=np.zeros(n, np.int32),
                offsets=np.arange(self._offset, self._offset + n, dtype=np.int64),
                partition_names=self.partition_names,
            )
        )
        self._offset += n
        self.dead += decoded.dead
        return decoded.read

    def snapshot(self) -> Positions:
        """Number of the line to go on with, blank ones not counted; the first is 0."""
        return {self.partition_names[0]: self._offset}

    def seek(self, positions: Positions) -> None:
        """Go on at a line; DataError where stdin would have to be read twice, or there is no such row."""
        target = positions.get(self.partition_names[0], 0)
        if target < self._offset:
            if not self._opened.repeatable:
                raise DataError(f"{self.title} cannot be read twice; save it to a file first")
            self._opened.close()
            self._opened = Opened(self._path)
            self._restart()
        while self._offset < target:
            lines = self._take(min(target - self._offset, self._batch_lines))
            if not lines:
                raise CutOffError(f"{self.title} has {self._offset} lines; there is no line {target}")
            self._offset += len(lines)

    def commit(self, positions: Positions) -> None:
        """Nothing: a file keeps what was read from it."""

    def close(self) -> None:
        """Close the file; stdin stays open."""
        self._opened.close()

    def _restart(self) -> None:
        self._lines: list[bytes] = []
        self._rest = b""
        self._offset = 0

    def _take(self, count: int) -> list[bytes]:
        """At most ``count`` lines that hold something; none where no further one is there."""
        while not self._lines:
            data = self._opened.stream.read(_BLOCK_BYTES)
            whole = (self._rest + data).split(b"\n")
            self._rest = whole.pop() if data else b""
            self._lines = [line for line in whole if line.strip()]
            if not data:
                break
        taken, self._lines = self._lines[:count], self._lines[count:]
        return taken
