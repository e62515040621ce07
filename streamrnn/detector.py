"""Detector: one series, with river's verbs. The library's front door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streamrnn import feedback
from streamrnn.columns import TEXT_COLUMNS, output_columns
from streamrnn.errors import DataError, SettingsError
from streamrnn.feedback import Feedback, Position
from streamrnn.fleet import Fleet
from streamrnn.kernels import plan
from streamrnn.layout import ModelLayout
from streamrnn.records import KINDS, STATUSES, Batch
from streamrnn.result import Expectation, Forecast, Result, Season
from streamrnn.settings import Settings
from streamrnn.space import address, aligned_bytes
from streamrnn.state import decode, encode, merge_settings, one_row
from streamrnn.values import channels_of, frame_columns, frame_of, nanoseconds, values_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Detector"]

_WIDE = (plan.CALL_VALUES, plan.CALL_YHAT, plan.CALL_LOWER, plan.CALL_UPPER, plan.CALL_SHARE)
_FLAT = (
    plan.CALL_STATUS,
    plan.CALL_SCORE,
    plan.CALL_P_VALUE,
    plan.CALL_SURPRISE,
    plan.CALL_DETECTION,
    plan.CALL_STRENGTH,
    plan.CALL_EVENT_OFFSET,
    plan.CALL_EVENT_KIND,
    plan.CALL_OFFSETS,
)


class Detector:
    """An online recurrent anomaly detector for one series of one or many channels.

    Feed it records in order; it scores each against the forecast that it made
    for it, then learns. A record is a number, a mapping, an array or a pandas
    row; None and NaN are missing values. The first record names the channels.

    Parameters
    ----------
    name : str
        Part of the ids of records and events.
    **settings
        See ``Settings``; ``false_alarms="1/week"`` is the one to know.

    Raises
    ------
    SettingsError
        Where a setting is unknown or out of range.

    Examples
    --------
    >>> from streamrnn import Detector
    >>> detector = Detector(false_alarms=1e-3)
    >>> for t in range(300):
    ...     result = detector.process_one(20 + (t % 12))
    >>> result.status, result.is_anomaly
    ('provisional', False)
    >>> detector.process_one(40.0).is_anomaly
    True
    """

    def __init__(self, *, name: str = "series", **settings: Any) -> None:
        self.name = name
        if settings.get("channels") is None:
            settings.pop("channels", None)
        self._options = dict(settings)
        checked = Settings.from_dict(settings)  # say at once what is wrong
        self._fleet: Fleet | None = None
        if "channels" in settings:
            self._take(Fleet(checked))

    @property
    def settings(self) -> Settings:
        """The settings; ``channels`` is a placeholder until the first record."""
        return self._fleet.settings if self._fleet else Settings.from_dict(self._options)

    @property
    def n_records(self) -> int:
        """How many records have come."""
        return int(self._counters[plan.STEP_RECORDS]) if self._fleet else 0

    @property
    def seasons(self) -> dict[str, Season | None]:
        """The season that each channel's forecaster goes by, None: none; empty before the first record."""
        if self._fleet is None:
            return {}
        return dict(zip(self.settings.channels, self._fleet.seasons(0), strict=True))

    def process_one(self, x: Any, time: Any = None) -> Result:
        """Score one record, then learn it.

        Parameters
        ----------
        x : float, mapping, array-like or pandas row
        time : datetime, numpy.datetime64 or pandas.Timestamp, optional
            Without an offset it is taken as UTC.

        Raises
        ------
        DataError
            Where x or time cannot be read; nothing is learned then.
        """
        fleet = self._started(x)
        self._fill(x, time)
        fleet.run(self._call, self._row_at)
        return self._result()

    def learn_one(self, x: Any, time: Any = None) -> None:
        """``process_one`` without its result."""
        fleet = self._started(x)
        self._fill(x, time)
        fleet.run(self._call, self._row_at)

    def score_one(self, x: Any, time: Any = None) -> float:
        """The ``anomaly_score`` that the record would get now, learning nothing; NaN while warming."""
        return float(self._tried(x, time)._call.columns[plan.CALL_SCORE][0])

    def judge_one(self, x: Any, time: Any = None) -> Result:
        """What ``process_one`` would say of the record now, learning nothing."""
        return self._tried(x, time)._result()

    def process_many(self, data: Any, time: Any = None) -> pd.DataFrame:
        """Score and learn many records; the same results as one by one.

        Parameters
        ----------
        data : DataFrame, Series, Arrow table or array of shape (n,) or (n, channels)
            An Arrow table is whatever has Arrow's C interface (``__arrow_c_stream__``
            or ``__arrow_c_array__``): of pyarrow, polars and others; it needs pyarrow.
        time : str or array-like, optional
            A column of the data, or n times. Without it a DatetimeIndex serves.

        Returns
        -------
        DataFrame
            The input's columns, then the output columns; the input's index.

        Raises
        ------
        DataError
            Where a column or the times cannot be read; nothing is learned then.
        """
        import pandas as pd

        frame = frame_of(data)
        names, values, times = frame_columns(frame, time)
        fleet = self._started(dict.fromkeys(names, 0.0))
        order = [names.index(channel) for channel in self._check_names(names)]
        batch = Batch.of_one_series(values[:, order], times, self.n_records)
        found = output_columns(fleet.process(batch), batch, fleet.settings, [self.name])
        kept = {f"input.{c}" if c in found else str(c): frame[c].array for c in frame.columns}
        texts = {name: pd.array(found[name], dtype="str") for name in TEXT_COLUMNS}
        return pd.DataFrame({**kept, **found, **texts}, index=frame.index)

    def forecast(self, horizon: int = 1) -> dict[str, Forecast]:
        """Each channel's value ``horizon`` records after the newest one.

        Raises
        ------
        DataError
            Before the first record.
        SettingsError
            Where the horizon is not among the settings' ``horizons``.
        """
        self._check_horizon(horizon)
        if self._fleet is None:
            raise DataError("there is nothing to forecast from: no record has come yet")
        return _forecasts(self._fleet, self._fleet.row(0), horizon)

    def forecast_after(self, x: Any, time: Any = None, *, horizon: int = 1) -> dict[str, Forecast]:
        """What ``forecast`` would say if x were the newest record, learning nothing.

        Raises
        ------
        DataError
            Where x or time cannot be read.
        SettingsError
            Where the horizon is not among the settings' ``horizons``.
        """
        self._check_horizon(horizon)
        tried = self._tried(x, time)
        return _forecasts(tried._started(x), tried._trial, horizon)

    def not_an_anomaly(self, event_id: str) -> Feedback[str]:
        """Have what looks like this event raise no alert from here on.

        ``alert_strength`` is 0 for it; scores, p-values and ``is_anomaly`` stay what they
        are. A larger deviation, or one to the other side, still alerts. Of 8 events
        something may be said; then the first one goes, and the answer says so.

        Parameters
        ----------
        event_id : str
            Of one of the newest 16 events, from ``Result.event_id``.

        Raises
        ------
        DataError
            Where the event is not remembered.

        Examples
        --------
        >>> from streamrnn import Detector
        >>> detector = Detector(name="tank", false_alarms=1e-3)
        >>> for t in range(400):
        ...     detector.learn_one(20 + (t % 12))
        >>> detector.process_one(40.0).event_id
        'tank-400'
        >>> detector.not_an_anomaly("tank-400").alike  # no other was like it
        ()
        >>> for t in range(320):
        ...     detector.learn_one(20 + (t % 12))
        >>> detector.judge_one(41.0).alert_strength, detector.judge_one(60.0).alert_strength > 0.5
        (0.0, True)
        """
        return self._say(event_id, feedback.DISMISSED)

    def confirm(self, event_id: str) -> Feedback[str]:
        """Have what looks like this event never be quiet, however often it comes.

        It wins over ``not_an_anomaly``, and recent alerts take nothing off its strength.

        Raises
        ------
        DataError
            Where the event is not remembered.
        """
        return self._say(event_id, feedback.CONFIRMED)

    def forget_feedback(self, event_id: str) -> None:
        """Take back what was said of this event.

        When nothing else was said, all goes on to the bit as if nothing had been.

        Raises
        ------
        DataError
            Where nothing was said of it.
        """
        layout, row = self._memory(event_id)
        feedback.take_back(layout, row, self._position(event_id), self._event_id)

    def to_bytes(self) -> bytes:
        """The whole detector as versioned bytes."""
        if self._fleet is None:
            settings = {**self.settings.saved(), "channels": None}
            return encode(one_row(settings, self.name, np.zeros(0, np.uint8)))
        return self._fleet.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes, **changes: Any) -> Detector:
        """A detector that goes on, to the bit, where the saved one stopped.

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
        name = saved.keys[0] if saved.keys else "series"
        detector = cls(name=name, **{**merge_settings(saved.settings, changes), "channels": None})
        if saved.settings["channels"] is not None:
            detector._take(Fleet.from_bytes(data, **changes))
        return detector

    def clone(self) -> Detector:
        """An independent copy with the same settings and state."""
        return Detector.from_bytes(self.to_bytes())

    def __reduce__(self) -> tuple[Any, ...]:
        return Detector.from_bytes, (self.to_bytes(),)

    def __repr__(self) -> str:
        given = "".join(f", {k}={v!r}" for k, v in self._options.items())
        return f"Detector(name={self.name!r}{given}; {self.n_records} records)"

    def _started(self, x: Any) -> Fleet:
        """The fleet of one; the first record names its channels."""
        if self._fleet is None:
            return self._take(Fleet(Settings.from_dict({**self._options, "channels": channels_of(x)})))
        return self._fleet

    def _take(self, fleet: Fleet) -> Fleet:
        """Work on this fleet of one, with room for one record at hand."""
        fleet.series([self.name])
        self._fleet = fleet
        self._call = fleet.new_call(1)
        self._row_at = np.array([address(fleet.row(0))])  # of the one row, which never moves
        self._trial = aligned_bytes(fleet.layout.row_bytes)
        self._trial_at = np.array([address(self._trial)])
        self._counters = fleet.layout.segment(fleet.row(0), "counters", np.int64)
        for name in (plan.CALL_SERIES, plan.CALL_PARTITIONS):
            self._call.columns[name][0] = 0
        return fleet

    def _check_names(self, names: list[str]) -> tuple[str, ...]:
        channels = self.settings.channels
        if set(names) != set(channels):
            raise DataError(
                f"the data has channels {', '.join(names)}; this detector has {', '.join(channels)}"
            )
        return channels

    def _fill(self, x: Any, time: Any) -> None:
        """Put one record into the call; where it cannot be read, nothing has changed."""
        values = values_of(x, self.settings.channels)
        stamp = plan.NO_TIME if time is None else nanoseconds(time)
        columns = self._call.columns
        columns[plan.CALL_VALUES][0] = values
        columns[plan.CALL_TIMES][0] = stamp
        columns[plan.CALL_OFFSETS][0] = self.n_records

    def _tried(self, x: Any, time: Any) -> Detector:
        """A detector whose call and trial row hold what this record would have done to this one."""
        if self._fleet is None:  # only a record that is learned names the channels
            options = {**self._options, "channels": channels_of(x)}
            return Detector(name=self.name, **options)._tried(x, time)
        self._fill(x, time)
        self._trial[:] = self._fleet.row(0)
        self._fleet.run(self._call, self._trial_at)
        return self

    def _say(self, event_id: str, mark: int) -> Feedback[str]:
        layout, row = self._memory(event_id)
        return feedback.say(layout, row, self._position(event_id), mark, self._event_id)

    def _memory(self, event_id: str) -> tuple[ModelLayout, NDArray[np.uint8]]:
        if self._fleet is None:
            raise DataError(f"event {event_id} is not known: no record has come yet")
        return self._fleet.layout, self._fleet.row(0)

    def _event_id(self, event: Position) -> str:
        return f"{self.name}-{event.offset}"

    def _position(self, event_id: str) -> Position:
        name, _, offset = event_id.rpartition("-")
        if name != self.name or not offset.isdecimal():
            raise DataError(
                f"event {event_id!r} is none of this detector; ids of its events look like {self.name}-1500"
            )
        return Position(0, int(offset))

    def _check_horizon(self, horizon: int) -> None:
        horizons = self.settings.horizons
        if horizon not in horizons:
            raise SettingsError(
                f"horizon {horizon} is not forecast; ask for it with horizons={(*horizons, horizon)}"
            )

    def _result(self) -> Result:
        wide = [self._call.columns[name][0].tolist() for name in _WIDE]
        flat = [self._call.columns[name].item(0) for name in _FLAT]
        status, score, p_value, surprise, detection, strength, event, kind, offset = flat
        return Result(
            status=STATUSES[status],
            anomaly_score=score,
            p_value=p_value,
            surprise=surprise,
            is_anomaly=bool(detection),
            alert_strength=strength,
            event_id=f"{self.name}-{event}" if event >= 0 else None,
            event_kind=KINDS[kind],
            record_id=f"{self.name}-{offset}",
            channels={
                channel: Expectation(*values)
                for channel, *values in zip(self.settings.channels, *wide, strict=True)
            },
        )


def _forecasts(fleet: Fleet, row: NDArray[np.uint8], horizon: int) -> dict[str, Forecast]:
    """What one state of a fleet forecasts for a horizon, by channel."""
    settings = fleet.settings
    made = fleet.forecast_of(row)[:, settings.horizons.index(horizon)].tolist()
    return {channel: Forecast(*values) for channel, values in zip(settings.channels, made, strict=True)}
