"""Where a fleet keeps the series for which it has no room in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from streamrnn.errors import SettingsError

__all__ = ["Census", "Keeping", "SpillStore", "Workers", "rows_within"]


class SpillStore(Protocol):
    """Keeps states of series by their keys, bit by bit; what it is given is safe when the verb returns.

    Each verb raises StoreError where it cannot be done, and then has done nothing.
    """

    def put(self, key: str, state: bytes) -> None:
        """Keep a state in place of whatever was kept under the key."""

    def get(self, key: str) -> bytes | None:
        """The state of a key; None where there is none. Raises StateError where it is damaged."""

    def drop(self, key: str) -> None:
        """Forget what was kept under a key, if anything was."""


class Workers(Protocol):
    """Runs tasks at the same time."""

    @property
    def count(self) -> int:
        """Tasks that are worth making of one batch."""

    def run(self, tasks: Sequence[Callable[[], None]]) -> None:
        """Run all tasks and return when all are done."""


class _OneByOne:
    """No threads: one task after the other."""

    count = 1

    def run(self, tasks: Sequence[Callable[[], None]]) -> None:
        for task in tasks:
            task()


@dataclass(frozen=True)
class Keeping:
    """How a fleet keeps its series. But for ``ttl_ns`` none of it changes a bit of what is found.

    Attributes
    ----------
    budget_bytes : int
        Memory of the states, at most; 0: no bound. The names of all series that were ever
        seen lie beside it, some 300 bytes each.
    spill : SpillStore or None
        Takes the least recently used series where there are more than fit.
    ttl_ns : int
        A series that says nothing while the event time of its partition goes on by more than
        this is forgotten: should it speak again, it begins anew. Event time has gone on to a moment
        when records of two series, one after the other, have reached it. 0: never.
    one_stream : bool
        Whether all partitions are parts of one stream, such as files one after the other.
    workers : Workers
        Run a batch at the same time, each some of the series.

    Raises
    ------
    SettingsError
        Where there is a budget and nowhere to put what exceeds it.

    Examples
    --------
    >>> import numpy as np
    >>> from streamrnn import Batch, Fleet, Settings
    >>> from streamrnn.pipelines.spill import SqliteSpill
    >>> settings = Settings(hidden=0)
    >>> spill = SqliteSpill()
    >>> fleet = Fleet(settings, Keeping(3 * Fleet.bytes_per_series(settings), spill))
    >>> codes = np.repeat(fleet.series(f"pump-{i}" for i in range(10)), 5)
    >>> times, values = np.arange(50), np.ones((50, 1))
    >>> _ = fleet.process(Batch(codes, times, values, np.zeros(50, np.int32), times))
    >>> fleet.census.in_memory, fleet.census.in_store
    (3, 7)
    >>> spill.close()
    """

    budget_bytes: int = 0
    spill: SpillStore | None = None
    ttl_ns: int = 0
    one_stream: bool = False
    workers: Workers = field(default_factory=_OneByOne)

    def __post_init__(self) -> None:
        if self.budget_bytes and self.spill is None:
            raise SettingsError("a budget needs a place for the series that do not fit: give spill, too")


def rows_within(budget_bytes: int, row_bytes: int) -> int:
    """States that fit into a budget; 0 where there is none, and so any number.

    Raises
    ------
    SettingsError
        Where not even one fits.
    """
    if budget_bytes and budget_bytes < row_bytes:
        raise SettingsError(
            f"the budget is {budget_bytes:,} bytes, one series needs {row_bytes:,}; give more"
        )
    return budget_bytes // row_bytes


class Census(NamedTuple):
    """How many series there are, and what became of them.

    Attributes
    ----------
    known : int
        Have a name.
    in_memory, in_store : int
        Have a state there.
    spilled, restored, forgotten : int
        How often a state was put into the store, came back from it, and was forgotten for its silence.
    """

    known: int
    in_memory: int
    in_store: int
    spilled: int
    restored: int
    forgotten: int
