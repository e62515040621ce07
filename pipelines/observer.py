"""What looks on while a daemon's loop goes round."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.base import Positions, Read
from streamrnn.records import Results

__all__ = ["Observer"]


class Observer:
    """What looks on; every hook does nothing here."""

    def records(self, batch: Read, found: Results, fresh: NDArray[np.bool_]) -> None:
        """A batch was processed; ``fresh`` are the records not seen before a restart."""

    def dropped(self, batch: Read) -> None:
        """Records came too late and are written nowhere."""

    def dead_letters(self, count: int) -> None:
        """So many messages were no records."""

    def events(self, count: int) -> None:
        """So many events were stored that were not known before."""

    def committed(self, positions: Positions) -> None:
        """Everything before these positions is safe."""

    def saved(self, seconds: float, size: int) -> None:
        """A snapshot of so many bytes was written in so many seconds."""

    def took(self, stage: str, seconds: float) -> None:
        """A stage of the loop took so long: ``poll``, ``process``, ``write`` or ``commit``."""

    def beat(self) -> None:
        """The loop went round."""
