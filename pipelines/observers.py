"""Several observers of one pipeline."""

from __future__ import annotations

from functools import partial
from typing import Any

from streamrnn.pipelines.pipeline import Observer

__all__ = ["Observers"]


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
