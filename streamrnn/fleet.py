"""Fleet: any number of keyed series, each with a model of its own. The only engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn import feedback, views
from streamrnn.call import Call
from streamrnn.errors import DataError
from streamrnn.feedback import Feedback, Position, Signature
from streamrnn.forgetting import Forgetting
from streamrnn.initial import initial_row, initial_scratch
from streamrnn.kernels import plan
from streamrnn.kernels.compiling import bind
from streamrnn.kernels.step import newest_forecasts, process_batch
from streamrnn.layout import ModelLayout
from streamrnn.records import Batch, Results
from streamrnn.result import Season
from streamrnn.rows import Rows
from streamrnn.settings import Settings
from streamrnn.shards import Lot, lots, shards, sorting
from streamrnn.space import Int64Array, address, aligned_bytes
from streamrnn.spill import Census, Keeping, rows_within
from streamrnn.state import HERE, SavedState, check_rows, decode, encode, merge_settings

__all__ = ["Fleet"]


class Fleet:
    """Models of many series in one slab of memory, stepped by one compiled call a batch.

    No series depends on another: a fleet of n series gives the same bits as n
    fleets of one, however the records are interleaved or cut into batches.

    Parameters
    ----------
    settings : Settings
        Shared by all series.
    keeping : Keeping, optional
        A bound on memory, and what is beyond it; a time to live; threads.

    Examples
    --------
    >>> import numpy as np
    >>> from streamrnn import Batch, Fleet, Settings
    >>> fleet = Fleet(Settings())
    >>> a, b = fleet.series(["pump-1", "pump-2"])
    >>> rng = np.random.default_rng(0)
    >>> batch = Batch.of_one_series(rng.normal(size=(200, 1)))
    >>> results = fleet.process(batch)
    >>> int(results.status[-1]), bool(results.p_value[-1] <= 1)
    (1, True)
    """

    def __init__(self, settings: Settings, keeping: Keeping | None = None) -> None:
        self._keeping = keeping or Keeping()
        self._codes: dict[str, int] = {}
        self._keys: list[str] = []
        self._lay_out(settings)
        self._process = bind(process_batch, self._tags, 0, 0)
        most = rows_within(self._keeping.budget_bytes, self.layout.row_bytes)
        self._rows = Rows(self._template, self._keys, self._check, most, self._keeping.spill)
        self._forgetting = Forgetting(self._keeping.ttl_ns, one_stream=self._keeping.one_stream)
        self._forgotten = 0

    def _lay_out(self, settings: Settings) -> None:
        self.layout = ModelLayout(settings)
        self._template = initial_row(self.layout)
        count = self._keeping.workers.count
        self._scratch = [initial_scratch(self.layout) for _ in range(count)]
        self._scratch_address, self._table_address = address(self._scratch[0]), address(self.layout.table)
        self._tags = self.layout.tags

    @staticmethod
    def bytes_per_series(settings: Settings) -> int:
        """Memory of one series' state, known before anything runs.

        Examples
        --------
        >>> from streamrnn import Fleet, Settings
        >>> Fleet.bytes_per_series(Settings()) < 200_000
        True
        """
        return ModelLayout(settings).row_bytes

    @property
    def settings(self) -> Settings:
        """The settings that all series share."""
        return self.layout.settings

    @property
    def keys(self) -> Sequence[str]:
        """The series' keys, in the order of their codes; grows."""
        return self._keys

    @property
    def state_bytes(self) -> int:
        """Memory of the states that lie in it: their number times ``layout.row_bytes``."""
        return self._rows.in_memory * self.layout.row_bytes

    @property
    def held_bytes(self) -> int:
        """The same with what is free for more."""
        return self._rows.held_bytes

    @property
    def census(self) -> Census:
        """How many series there are, and what became of them."""
        return Census(len(self._keys), *self._rows.counts(), self._forgotten)

    def series(self, keys: Iterable[str]) -> NDArray[np.int32]:
        """Codes of the keys, (n,) int32, for ``Batch.series``; a key not seen before starts a new model."""
        codes = []
        for key in keys:
            codes.append(self._codes.setdefault(key, len(self._keys)))
            if len(self._codes) > len(self._keys):
                self._keys.append(key)
        self._rows.make_room(len(self._keys))
        return np.array(codes, np.int32)

    def process(self, batch: Batch) -> Results:
        """Score and learn every record of a batch, those of each series in order.

        Series by series: while a series' row is in the processor's cache, a record costs a third.

        Raises
        ------
        DataError
            Where the batch's shape does not fit, or names a series that does not exist.
        StoreError, StateError
            Where a series can't be put into the store or taken from it; some records of the
            batch may be learned then: go on from a saved state.
        """
        if not self._codes:
            self.series([""])
        batch.check(len(self._codes), len(self.settings.channels))
        anew = self._forgetting.take(batch, len(self._codes))
        if not anew.any() and (batch.series == batch.series[:1]).all():
            return self._in_order(batch)
        there = self._rows.addresses[batch.series] != 0
        order, lives = sorting(batch.series, anew, there)
        call = self.new_call(len(batch)).fill(batch, order)
        for lot in lots(batch.series[order], lives, self._rows.most):
            if lot.anew:
                self._forget(lot.series)
            self._rows.bring(lot.series)
            self._run_lot(call, lot)
        self._sweep()
        return call.results(order)

    def _in_order(self, batch: Batch) -> Results:
        """``process`` of one series, or none."""
        call = self.new_call(len(batch)).fill(batch)
        self.run(call)
        self._sweep()
        return call.results()

    def row(self, code: int) -> NDArray[np.uint8]:
        """The state of one series; shares the fleet's memory, while it is there."""
        return self._rows.row(code)

    def new_call(self, n: int) -> Call:
        """Room for n records of this fleet."""
        return Call(n, len(self.settings.channels), len(self.settings.horizons) - 1)

    def run(self, call: Call, addresses: Int64Array | None = None) -> None:
        """Process a call's records on the fleet's states, or on others.

        Parameters
        ----------
        call : Call
        addresses : (series,) int64, optional
            Of the rows to use, by the codes of their series; nothing is checked then.

        Raises
        ------
        DataError
            Where the call names a series that does not exist, or more than fit into memory at once.
        """
        if addresses is None:
            self._rows.bring_all(call.columns[plan.CALL_SERIES], len(self._codes))
            addresses = self._rows.addresses
        call.table[plan.CALL_ROWS], call.table[plan.CALL_SCRATCH] = address(addresses), self._scratch_address
        self._process(self._tags, self._table_address, call.address)

    def score(self, batch: Batch) -> Results:
        """What ``process`` would say of a batch, changing nothing; no series is forgotten meanwhile."""
        batch.check(len(self._codes), len(self.settings.channels))
        codes = np.unique(batch.series)
        rows = aligned_bytes(len(codes) * self.layout.row_bytes).reshape(len(codes), -1)
        addresses = np.zeros(len(self._codes), np.int64)
        for place, code in enumerate(codes.tolist()):
            rows[place] = self._rows.peek(code)
            addresses[code] = address(rows[place])
        call = self.new_call(len(batch)).fill(batch)
        self.run(call, addresses)
        return call.results()

    def typical_step_ns(self, code: int) -> float:
        """Typical time between a series' records, nanoseconds; 0 before it is known."""
        return views.typical_step_ns(self.layout, self._rows.peek(code))

    def seasons(self, code: int) -> list[Season | None]:
        """The season that the forecaster of each channel of a series goes by; None: none.

        There is never one with ``season="off"``, nor where no network forecasts by itself.
        """
        return views.seasons(self.layout, self._rows.peek(code))

    def forecast(self, code: int) -> NDArray[np.float64]:
        """Forecasts of a series made at its newest record.

        Returns
        -------
        forecasts : (channels, horizons, 4) float64
            Mean, scale, lower and upper, in sensor units; NaN before there is one.
        """
        return self.forecast_of(self._rows.peek(code))

    def forecast_of(self, row: NDArray[np.uint8]) -> NDArray[np.float64]:
        """``forecast`` of a state of this fleet, (row bytes,) uint8, wherever it lies."""
        out = np.empty((len(self.settings.channels), len(self.settings.horizons), 4))
        newest_forecasts(self._table_address, address(row), address(out))
        return out

    def not_an_anomaly(self, key: str, event: Position) -> Feedback[Position]:
        """Have what looks like an event of a series raise no alert from here on.

        Scores, p-values and detections stay what they are; a larger deviation, or one to
        the other side, still alerts. A series holds what was said of 8 events.

        Parameters
        ----------
        key : str
        event : Position
            Partition and offset of the record that opened it, as in
            ``Results.event_partition`` and ``event_offset``.

        Raises
        ------
        DataError
            Where there is no such series, or it does not remember the event.
        """
        return feedback.say(self.layout, self._row_of(key), event, feedback.DISMISSED, Position._make)

    def confirm(self, key: str, event: Position) -> Feedback[Position]:
        """Have what looks like an event of a series never be quiet, however often it comes.

        It wins over ``not_an_anomaly``, and recent alerts take nothing off its strength.

        Raises
        ------
        DataError
            Where there is no such series, or it does not remember the event.
        """
        return feedback.say(self.layout, self._row_of(key), event, feedback.CONFIRMED, Position._make)

    def forget_feedback(self, key: str, event: Position) -> None:
        """Take back what was said of an event.

        When nothing else was said of the series, all goes on to the bit as if nothing had been.

        Raises
        ------
        DataError
            Where there is no such series, or nothing was said of the event.
        """
        feedback.take_back(self.layout, self._row_of(key), event, Position._make)

    def remembered(self, key: str, event: Position) -> Signature | None:
        """What an event of a series looked like, None where it forgot; DataError without a series."""
        return feedback.signature(self.layout, self._rows.peek(self._code_of(key)), event)

    def spoken_of(self, key: str) -> dict[Position, int]:
        """The marks of a series' events that something was said of; DataError without a series."""
        return feedback.spoken(self.layout, self._row_of(key))

    def tell(self, key: str, event: Position, mark: int, seen: Signature) -> Position | None:
        """Mark an event whose signature was kept elsewhere: its series may have forgotten it.

        Parameters
        ----------
        key : str
        event : Position
        mark : int
            ``feedback.DISMISSED``, ``CONFIRMED`` or ``FORGOTTEN``.
        seen : Signature

        Returns
        -------
        replaced : Position or None
            The event of which it was said longest ago, if there was no room left for both.

        Raises
        ------
        DataError
            Where there is no such series.
        """
        if mark == feedback.FORGOTTEN:
            feedback.forget(self.layout, self._row_of(key), event)
            return None
        return feedback.tell(self.layout, self._row_of(key), event, mark, seen)

    def to_bytes(self, *, whole: bool = True) -> bytes:
        """All series' states, settings and keys, as versioned bytes (``state.py``).

        Parameters
        ----------
        whole : bool
            With the states that lie in the store; without them the bytes are of use only
            beside the store as it is now.
        """
        places = self._rows.places(len(self._keys), whole=whole)
        found = list(map(self._rows.peek, np.flatnonzero(places == HERE).tolist()))
        return encode(SavedState(self.settings.saved(), self._keys, found, places, self._forgetting.state()))

    @classmethod
    def from_bytes(
        cls, data: bytes | memoryview, keeping: Keeping | None = None, *, adopt: bool = False, **changes: Any
    ) -> Fleet:
        """A fleet that goes on, to the bit, where the saved one stopped.

        Parameters
        ----------
        data : bytes or memoryview, from ``to_bytes``
        keeping : Keeping, optional
            Need not be as it was.
        adopt : bool
            Whether series may stay in ``data``, if it can be written to; then it is of no other use.
        **changes
            Tunable settings to change.

        Raises
        ------
        StateError
            Where the bytes are damaged, foreign or of another version.
        SettingsError
            Where a change is structural.
        """
        saved = decode(data)
        fleet = cls(Settings.from_dict(merge_settings(saved.settings, changes)), keeping)
        rows = np.asarray(saved.rows)
        check_rows(fleet.layout, rows)
        fleet.series(saved.keys)
        fleet._rows.go_on(saved.places, rows, adopt=adopt)
        fleet._forgetting.go_on(saved.columns)
        return fleet

    def retune(self, **changes: Any) -> None:
        """Go on with tunable settings changed.

        Raises
        ------
        SettingsError
            Where a change is structural, or a value out of range.
        """
        self._lay_out(Settings.from_dict(merge_settings(self.settings.saved(), changes)))
        self._rows.template = self._template

    def live_for(self, ttl_ns: int) -> None:
        """Change ``Keeping.ttl_ns`` from here on; who was heard of before is not measured."""
        self._forgetting.retune(ttl_ns)

    @property
    def lives(self) -> Int64Array:
        """(series,) how often each began anew since this object was made."""
        return self._rows.lives[: len(self._keys)]

    def _run_lot(self, call: Call, lot: Lot) -> None:
        """Process some records of a sorted call, with all workers that there are."""
        parts = [call.part(*bounds) for bounds in shards(lot, len(self._scratch))]
        for part, scratch in zip(parts, self._scratch, strict=False):
            part[plan.CALL_ROWS], part[plan.CALL_SCRATCH] = address(self._rows.addresses), address(scratch)
        tables = self._tags, self._table_address
        self._keeping.workers.run([partial(self._process, *tables, address(part)) for part in parts])

    def _sweep(self) -> None:
        if len(over := self._forgetting.sweep()):
            self._forget(over)
            self._rows.trim()

    def _forget(self, codes: Int64Array) -> None:
        self._rows.renew(codes)
        self._forgotten += len(codes)

    def _check(self, row: NDArray[np.uint8]) -> None:
        check_rows(self.layout, row[None])

    def _code_of(self, key: str) -> int:
        if key not in self._codes:
            raise DataError(f"there is no series {key!r}")
        return self._codes[key]

    def _row_of(self, key: str) -> NDArray[np.uint8]:
        return self.row(self._code_of(key))
