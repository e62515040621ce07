"""How often a pipeline commits and saves."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Pace"]


@dataclass(frozen=True)
class Pace:
    """How often what is done, seconds.

    Attributes
    ----------
    commit_s : float
        Between flushes of the outputs, after which positions are committed.
    snapshot_s : float
        Between snapshots of all state.
    keep_s : float
        Events older than the newest by more than this are forgotten.
    """

    commit_s: float = 1.0
    snapshot_s: float = 300.0
    keep_s: float = 30 * 86_400.0
