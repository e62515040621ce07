"""Fleet: any number of keyed series, each with a model of its own. The only engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn import feedback
from streamrnn.call import Call
from streamrnn.errors import DataError
from streamrnn.feedback import Feedback, Position, Signature
from streamrnn.initial import initial_row
from streamrnn.kernels import plan, season
from streamrnn.kernels.compiling import bind
from streamrnn.kernels.step import newest_forecasts, process_batch
from streamrnn.layout import ModelLayout
from streamrnn.records import Batch, Results
from streamrnn.result import Season
from streamrnn.settings import Settings
from streamrnn.space import address, aligned_bytes
from streamrnn.state import SavedState, check_rows, decode, encode, merge_settings

__all__ = ["Fleet"]


class Fleet:
    """Models of many series in one slab of memory, stepped by one compiled call a batch.

    No series depends on another: a fleet of n series gives the same bits as n
    fleets of one, however the records are interleaved or cut into batches.

    Parameters
    ----------
    settings : Settings
        Shared by all series.

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

    def __init__(self, settings: Settings) -> None:
        self.layout = ModelLayout(settings)
        self._template = initial_row(self.layout)
        self._codes: dict[str, int] = {}
        self._slab = aligned_bytes(0)
        self._scratch = aligned_bytes(self.layout.scratch.size)
        self._scratch_address, self._table_address = address(self._scratch), address(self.layout.table)
        self._tags = self.layout.tags
        self._process = bind(process_batch, self._tags, 0, 0)
        self._filled = 0

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
    def keys(self) -> list[str]:
        """The series' keys, in the order of their codes."""
        return list(self._codes)

    @property
    def state_bytes(self) -> int:
        """Memory of all series' states: their number times ``layout.row_bytes``."""
        return len(self._codes) * self.layout.row_bytes

    def series(self, keys: Iterable[str]) -> NDArray[np.int32]:
        """Codes of the keys for ``Batch.series``; a key not seen before starts a new model.

        Returns
        -------
        codes : (n,) int32
        """
        codes = [self._codes.setdefault(key, len(self._codes)) for key in keys]
        self._make_room(len(self._codes))
        return np.array(codes, np.int32)

    def process(self, batch: Batch) -> Results:
        """Score and learn every record of a batch, in order.

        Raises
        ------
        DataError
            Where the batch's shape does not fit, or names a series that does not exist.
        """
        if not self._codes:
            self.series([""])
        call = self._call_for(batch)
        self.run(call)
        return call.results()

    def row(self, code: int) -> NDArray[np.uint8]:
        """The state of one series; shares the fleet's memory."""
        size = self.layout.row_bytes
        return self._slab[code * size : (code + 1) * size]

    def new_call(self, n: int) -> Call:
        """Room for n records of this fleet."""
        return Call(n, len(self.settings.channels), len(self.settings.horizons) - 1)

    def run(self, call: Call, rows: NDArray[np.uint8] | None = None) -> None:
        """Process a call's records on the fleet's states, or on other ``rows`` of them."""
        call.table[plan.CALL_ROWS] = address(self._slab if rows is None else rows)
        call.table[plan.CALL_SCRATCH] = self._scratch_address
        self._process(self._tags, self._table_address, call.address)

    def score(self, batch: Batch) -> Results:
        """What ``process`` would say of a batch, changing nothing."""
        call, rows = self._call_for(batch), aligned_bytes(self.state_bytes)
        rows[:] = self._slab[: self.state_bytes]
        self.run(call, rows)
        return call.results()

    def typical_step_ns(self, code: int) -> float:
        """Typical time between a series' records, nanoseconds; 0 before it is known."""
        return float(self.layout.segment(self.row(code), "clock", np.float64)[plan.CLOCK_STEP])

    def seasons(self, code: int) -> list[Season | None]:
        """The season that the forecaster of each channel of a series goes by; None: none.

        There is never one with ``season="off"``, nor where no network forecasts by itself.
        """
        if not self.layout.groups or self.settings.season == "off":
            return [None] * len(self.settings.channels)
        row = self.row(code)
        return [self._season(row, d) for d in range(len(self.settings.channels))]

    def forecast(self, code: int) -> NDArray[np.float64]:
        """Forecasts of a series made at its newest record.

        Returns
        -------
        forecasts : (channels, horizons, 4) float64
            Mean, scale, lower and upper, in sensor units; NaN before there is one.
        """
        return self.forecast_of(self.row(code))

    def forecast_of(self, row: NDArray[np.uint8]) -> NDArray[np.float64]:
        """``forecast`` of a state of this fleet, (row bytes,) uint8, wherever it lies."""
        shape = (len(self.settings.channels), len(self.settings.horizons), 4)
        out = np.empty(shape)
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
        return feedback.say(self.layout, self._row_of(key), event, feedback.DISMISSED, _itself)

    def confirm(self, key: str, event: Position) -> Feedback[Position]:
        """Have what looks like an event of a series never be quiet, however often it comes.

        It wins over ``not_an_anomaly``, and recent alerts take nothing off its strength.

        Raises
        ------
        DataError
            Where there is no such series, or it does not remember the event.
        """
        return feedback.say(self.layout, self._row_of(key), event, feedback.CONFIRMED, _itself)

    def forget_feedback(self, key: str, event: Position) -> None:
        """Take back what was said of an event.

        When nothing else was said of the series, all goes on to the bit as if nothing had been.

        Raises
        ------
        DataError
            Where there is no such series, or nothing was said of the event.
        """
        feedback.take_back(self.layout, self._row_of(key), event, _itself)

    def remembered(self, key: str, event: Position) -> Signature | None:
        """What an event of a series looked like; None where the series does not remember it.

        Raises
        ------
        DataError
            Where there is no such series.
        """
        return feedback.signature(self.layout, self._row_of(key), event)

    def spoken_of(self, key: str) -> dict[Position, int]:
        """The marks of a series' events of which something was said that holds.

        Raises
        ------
        DataError
            Where there is no such series.
        """
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

    def to_bytes(self) -> bytes:
        """All series' states, settings and keys, as versioned bytes (``state.py``)."""
        rows = self._slab[: self.state_bytes].reshape(len(self._codes), self.layout.row_bytes)
        return encode(SavedState(self.settings.to_dict(), self.keys, rows))

    @classmethod
    def from_bytes(cls, data: bytes, **changes: Any) -> Fleet:
        """A fleet that goes on, to the bit, where the saved one stopped.

        Parameters
        ----------
        data : bytes
            From ``to_bytes``.
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
        fleet = cls(Settings.from_dict(merge_settings(saved.settings, changes)))
        check_rows(fleet.layout, saved.rows)
        fleet.series(saved.keys)
        fleet._slab[: fleet.state_bytes] = saved.rows.ravel()
        return fleet

    def _season(self, row: NDArray[np.uint8], d: int) -> Season | None:
        state = self.layout.segment(row, f"channel{d}.season", np.int64)
        records, strength = int(state[season.PERIOD]), float(state.view(np.float64)[season.STRENGTH])
        return Season(records, strength) if records else None

    def _row_of(self, key: str) -> NDArray[np.uint8]:
        if key not in self._codes:
            raise DataError(f"there is no series {key!r}")
        return self.row(self._codes[key])

    def _call_for(self, batch: Batch) -> Call:
        batch.check(len(self._codes), len(self.settings.channels))
        call = self.new_call(len(batch))
        call.fill(batch)
        return call

    def _make_room(self, count: int) -> None:
        """Grow the slab by half again, so that adding series one by one copies little."""
        size = self.layout.row_bytes
        held, filled = len(self._slab) // size, self._filled
        if count > held:
            slab = aligned_bytes(max(count, held + held // 2) * size)
            slab[: len(self._slab)] = self._slab
            self._slab = slab
        for code in range(filled, count):
            self.row(code)[:] = self._template
        self._filled = count


def _itself(position: Position) -> Position:
    return position
