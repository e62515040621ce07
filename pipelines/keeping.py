"""How a run keeps its series, from ``[fleet]``; and what is said where there are too many."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from streamrnn.connectors.text import printable
from streamrnn.fleet import Fleet
from streamrnn.pipelines.durations import bytes_of, seconds
from streamrnn.pipelines.fleet_settings import FleetTable
from streamrnn.pipelines.following import Follower
from streamrnn.pipelines.metrics import Metrics
from streamrnn.pipelines.observers import Observer
from streamrnn.pipelines.spill import SqliteSpill
from streamrnn.pipelines.threads import Threads
from streamrnn.records import Batch
from streamrnn.spill import Keeping

__all__ = ["Lifetime", "Runaway", "census_dict", "keeping_of", "show_census", "ttl_ns"]

_LOG = logging.getLogger("streamrnn.fleet")
_SHOWN = 60  # characters of a key


def keeping_of(
    table: FleetTable, opened: ExitStack, spill: SqliteSpill | None, *, one_stream: bool
) -> Keeping:
    """What a fleet is made with.

    Parameters
    ----------
    table : FleetTable
    opened : ExitStack
        Closes threads.
    spill : SqliteSpill or None
        Where series go that exceed the budget.
    one_stream : bool
        Whether all partitions are parts of one stream.
    """
    workers = Threads(table.threads)
    opened.callback(workers.close)
    return Keeping(
        budget_bytes=0 if table.budget is None else bytes_of(table.budget),
        spill=spill,
        ttl_ns=ttl_ns(table.ttl),
        one_stream=one_stream,
        workers=workers,
    )


def ttl_ns(ttl: str | None) -> int:
    """A time to live in nanoseconds; 0 where there is none."""
    return round(1e9 * seconds(ttl)) if ttl else 0


class Lifetime(Follower):
    """Has the journal change the time to live, at a position: what is read again goes as it went.

    Parameters
    ----------
    fleet : Fleet
        Made with this time to live.
    ttl : str or None
        None and nothing: for ever.
    """

    def __init__(self, fleet: Fleet, ttl: str | None) -> None:
        self._fleet, self._ttl = fleet, ttl or ""

    def to_bytes(self) -> bytes:
        """The time to live."""
        return self._ttl.encode()

    @property
    def tunable(self) -> Mapping[str, Any]:
        """The time to live."""
        return {"ttl": self._ttl}

    def retune(self, changes: Mapping[str, Any]) -> None:
        """Go on with another one."""
        self._ttl = changes["ttl"]
        self._fleet.live_for(ttl_ns(self._ttl))


def census_dict(fleet: Fleet) -> dict[str, Any]:
    """How many series there are, and what became of them, by name."""
    return {**fleet.census._asdict(), "state_bytes": fleet.state_bytes}


class Runaway(Observer):
    """Warns where series come without end, as where a key is an id of each message.

    Once when there are more than fit into the budget, and again each time they have doubled.

    Parameters
    ----------
    fleet : Fleet
    budget : str or None
        Without one there is no warning.

    Attributes
    ----------
    warning : str
        The last one; empty before.
    """

    def __init__(self, fleet: Fleet, budget: str | None) -> None:
        self._fleet, self.warning = fleet, ""
        self._fit = self._next = 0 if budget is None else bytes_of(budget) // fleet.layout.row_bytes

    def scored(self, batch: Batch) -> None:
        """Warn if it is time."""
        known = len(self._fleet.keys)
        if not self._fit or known <= self._next:
            return
        self._next = 2 * known
        newest = printable(self._fleet.keys[-1][:_SHOWN])
        self.warning = (
            f"{known:,} series so far, of which {self._fit:,} fit into fleet.budget; the others lie on disk, "
            f"and each record of theirs costs a read. The newest is {newest!r}: does the key name a series?"
        )
        _LOG.warning("%s", self.warning)


def show_census(metrics: Metrics, fleets: Callable[[], Sequence[Fleet]]) -> None:
    """Have metrics tell where series are and what became of them."""
    for name, what in (
        ("known", "Series that were ever seen"),
        ("in_memory", "Series whose state lies in memory"),
        ("in_store", "Series whose state was spilled to disk"),
    ):
        metrics.show(f"series_{name}", what, partial(_counted, fleets, name))
    for name, what in (
        ("spilled", "States of series put on disk"),
        ("restored", "States of series taken from disk"),
        ("forgotten", "Series forgotten for their silence"),
    ):
        metrics.count(f"series_{name}", what, partial(_counted, fleets, name))


def _counted(fleets: Callable[[], Sequence[Fleet]], name: str) -> int:
    return sum(getattr(fleet.census, name) for fleet in fleets())
