"""Series that have said nothing for so long that they are forgotten.

The clock of a partition is the newest event time that two of its series, one after the
other, have reached: one odd clock alone moves nothing. What is forgotten depends on
the records of a partition and their order, not on how they are cut into batches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import StateError
from streamrnn.kernels.plan import NO_TIME
from streamrnn.records import Batch
from streamrnn.space import Int64Array

__all__ = ["Forgetting"]

# Of a partition: its clock, where that began, and of its newest timed record the series, the time and
# the time of the newest record before it that was of another series.
_CLOCK = np.dtype([(name, np.int64) for name in ("clock", "began", "series", "last", "other")])
# Of a series: what its partition's clock showed behind its newest record, and the partition; -1: none yet.
_SERIES = np.dtype([("heard", np.int64), ("clock", np.int64)])


class Forgetting:
    """Says which series begin anew.

    Parameters
    ----------
    ttl_ns : int
    one_stream : bool
        Whether all partitions have one clock.
    """

    def __init__(self, ttl_ns: int, *, one_stream: bool = False) -> None:
        self.ttl_ns, self._one_stream = ttl_ns, one_stream
        self._clocks = np.empty(0, _CLOCK)
        self._series = np.empty(0, _SERIES)
        self._swept = np.empty(0, np.int64)  # what each clock showed when its series were last looked at

    def retune(self, ttl_ns: int) -> None:
        """Go on with another time; what was heard while there was none is not known."""
        self.ttl_ns = ttl_ns
        if not ttl_ns:
            self._clocks, self._series, self._swept = self._clocks[:0], self._series[:0], self._swept[:0]

    def take(self, batch: Batch, codes: int) -> NDArray[np.bool_]:
        """(n,) before which records their series begin anew; there are ``codes`` series."""
        if not self.ttl_ns:
            return np.zeros(len(batch), np.bool_)
        which = np.zeros(len(batch), np.int64) if self._one_stream else batch.partitions.astype(np.int64)
        self._make_room(codes, int(which.max(initial=-1)) + 1)
        before, after = np.empty(len(batch), np.int64), np.empty(len(batch), np.int64)
        for clock in np.unique(which).tolist():
            rows = np.flatnonzero(which == clock)
            before[rows], after[rows] = self._walk(clock, batch.series[rows], batch.times[rows])
        order = np.argsort(batch.series, kind="stable")
        series = batch.series[order]
        heads = np.flatnonzero(np.append(True, series[1:] != series[:-1])) if len(batch) else order
        known = np.empty(len(batch), _SERIES)
        known["heard"][1:], known["clock"][1:] = after[order[:-1]], which[order[:-1]]
        known[heads] = self._series[series[heads]]
        anew = np.zeros(len(batch), np.bool_)
        same = known["clock"] == which[order]
        anew[order] = same & self._is_over(known["heard"], before[order], which[order])
        tails = order[np.append(heads[1:], len(batch)) - 1] if len(batch) else order
        self._series["heard"][batch.series[tails]] = after[tails]
        self._series["clock"][batch.series[tails]] = which[tails]
        return anew

    def sweep(self) -> Int64Array:
        """Codes of series that are over and will begin anew if they ever speak again; each is told once."""
        clocks = self._clocks["clock"]
        ahead = (clocks != NO_TIME) & (
            (self._swept == NO_TIME) | (_gone(self._swept, clocks) > np.uint64(self.ttl_ns // 16))
        )
        if not ahead.any():
            return np.empty(0, np.int64)
        self._swept[ahead] = clocks[ahead]
        of = self._series["clock"]
        there = np.flatnonzero((of >= 0) & ahead[np.maximum(of, 0)])
        known = self._series[there]
        over = there[self._is_over(known["heard"], clocks[known["clock"]], known["clock"])]
        self._series["clock"][over] = -1
        return over

    def state(self) -> dict[str, NDArray[Any]]:
        """All that it knows, (…,) int64 arrays by name; nothing where nothing is forgotten."""
        if not self.ttl_ns:
            return {}
        return {"clocks": self._clocks.view(np.int64), "heard": self._series.view(np.int64)}

    def go_on(self, state: Mapping[str, Int64Array]) -> None:
        """Go on from a ``state``.

        Raises
        ------
        StateError
            Where it cannot be one.
        """
        if not self.ttl_ns or not state:
            return
        try:
            self._clocks = state["clocks"].copy().view(_CLOCK)
            self._series = state["heard"].copy().view(_SERIES)
        except (KeyError, ValueError) as error:
            raise StateError(f"the state is damaged: {error!r}") from None
        if (self._series["clock"] >= len(self._clocks)).any() or (self._series["clock"] < -1).any():
            raise StateError("the state is damaged: a series has a clock that there is not")
        self._swept = np.full(len(self._clocks), NO_TIME)

    def _walk(
        self, clock: int, series: NDArray[np.int32], times: Int64Array
    ) -> tuple[Int64Array, Int64Array]:
        """(before, after) what a partition's clock shows at each of its rows."""
        known = self._clocks[clock]
        timed = times != NO_TIME
        spoke = np.append(known["series"], series[timed])
        at = np.append(known["last"], times[timed])
        first = np.append(False, spoke[1:] != spoke[:-1])  # of a run of one series
        run = np.maximum.accumulate(np.where(first, np.arange(len(spoke)), 0))
        other = np.where(run > 0, at[run - 1], known["other"])
        shows = np.maximum.accumulate(np.append(known["clock"], np.minimum(at, other)[1:]))
        after = shows[np.cumsum(timed)]
        before = np.append(known["clock"], after[:-1])
        if known["began"] == NO_TIME and (shows != NO_TIME).any():
            known["began"] = shows[shows != NO_TIME][0]
        self._clocks[clock] = shows[-1], known["began"], spoke[-1], at[-1], other[-1]
        return before, after

    def _is_over(self, heard: Int64Array, now: Int64Array, clock: Int64Array) -> NDArray[np.bool_]:
        # Whoever spoke before there was a clock is measured from where that began.
        since = np.maximum(heard, self._clocks["began"][clock])
        over = (now != NO_TIME) & (now > since) & (_gone(since, now) > np.uint64(self.ttl_ns))
        return np.asarray(over)

    def _make_room(self, codes: int, clocks: int) -> None:
        more = np.zeros(max(0, codes - len(self._series)), _SERIES)
        more["clock"] = -1
        self._series = np.append(self._series, more)
        new = np.zeros(max(0, clocks - len(self._clocks)), _CLOCK)
        for name in ("clock", "began", "last", "other"):
            new[name] = NO_TIME
        new["series"] = -1
        self._clocks = np.append(self._clocks, new)
        self._swept = np.append(self._swept, np.full(len(new), NO_TIME))


def _gone(since: Int64Array, now: Int64Array) -> NDArray[np.uint64]:
    """From one time to a later one, ns; no difference of two times is too large for it."""
    return now.view(np.uint64) - since.view(np.uint64)
