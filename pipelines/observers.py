"""Who looks on while a pipeline runs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.base import Positions, Read
from streamrnn.pipelines.feedback import Said
from streamrnn.records import Results

__all__ = ["Observer", "Observers"]


class Observer:
    """What looks on; every hook does nothing here."""

    def scored(self, batch: Read) -> None:
        """Records were scored, also those that came too late; ``records`` follows for what is written."""

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

    def changed(self, settings: Mapping[str, Any]) -> None:
        """Tunable settings changed; what comes next is judged by the new ones."""

    def told(self, said: Said) -> None:
        """A user's word on an event holds from here on."""

    def took(self, stage: str, seconds: float) -> None:
        """A stage of the loop took so long: ``poll``, ``process``, ``write`` or ``commit``."""

    def beat(self) -> None:
        """The loop went round."""


class Observers(Observer):
    """Hands every hook to several observers, in their order.

    Parameters
    ----------
    *each : Observer
    """

    def __init__(self, *each: Observer) -> None:
        self._each = each
        for hook in (name for name in vars(Observer) if not name.startswith("_")):
            setattr(self, hook, partial(self._all, hook))

    def _all(self, hook: str, *values: Any) -> None:
        for one in self._each:
            getattr(one, hook)(*values)
