"""Incidents: what a person should hear of a series as one happening.

An incident opens where an event of a series reaches the alert level, or where the
series falls silent. All that the series does from then on belongs to it, until the
series has been quiet for long enough. Nothing here looks at a clock: incidents follow
from records and their order alone, so records that are read again after a crash give
the same incidents, under the same ids.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels.plan import NO_TIME
from streamrnn.kernels.tally import LOUD
from streamrnn.pipelines.events import Part, parts_of
from streamrnn.pipelines.incident import GAP, Change, Incident, Peak
from streamrnn.pipelines.rules import SEVERITIES, Rules
from streamrnn.pipelines.runs import Runs
from streamrnn.records import KINDS, STATUSES, Batch, Int64Array, Results

__all__ = ["Incidents"]

_SCORED = tuple(STATUSES.index(name) for name in ("provisional", "calibrated"))
_WITHOUT_TIMES = 60  # records that stand for a duration where a series has no times
_MANY = 8  # times as many events are worth saying
_WORSE = 0.3  # so much more surprise (half the p-value) is worth saying


@dataclass(frozen=True)
class _Open:
    """An open incident and what it takes to go on.

    Attributes
    ----------
    event : (int, int)
        Position of the newest event's first record.
    told : int
        Events as they were last told.
    silent_since : int
        Time of the last record before its last silence, ns UTC; ``NO_TIME``: there was none.
    """

    incident: Incident
    event: tuple[int, int]
    told: int
    silent_since: int = NO_TIME


class Incidents:
    """The open incidents of many series, batch by batch.

    Memory: at most one incident a series, and 33 bytes a series beside it.

    Parameters
    ----------
    rules : Rules
    state : mapping, optional
        From ``state()``, to go on from.

    Examples
    --------
    >>> from streamrnn import Batch, Fleet, Settings
    >>> values = np.sin(np.arange(3000.0) / 9)[:, None] + np.random.default_rng(0).normal(0, 0.1, (3000, 1))
    >>> values[2000:2005] += 9
    >>> fleet, incidents = Fleet(Settings()), Incidents(Rules())
    >>> batch = Batch.of_one_series(values)
    >>> changes = incidents.add(batch, fleet.process(batch), ["pump.csv"])
    >>> [(change.what, change.incident.id) for change in changes[-2:]]
    [('opened', 'pump.csv-2000'), ('resolved', 'pump.csv-2000')]
    """

    def __init__(self, rules: Rules, state: Mapping[str, Any] | None = None) -> None:
        self.rules = rules
        self._open: dict[int, _Open] = {}
        self._is_open = np.zeros(0, np.bool_)
        # Of series with an open incident: scored records since its first and its last detection,
        # and the time of the last.
        self._passed, self._calm = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._last = np.zeros(0, np.int64)
        self._heard = np.zeros(0, np.int64)  # before their last silence
        for saved in (state or {}).get("open", ()):
            self._put_back(**saved)

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def state(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {
            "open": [
                {**asdict(known), "calm": int(self._calm[code]), "passed": int(self._passed[code])}
                for code, known in self._open.items()
            ]
        }

    def add(self, batch: Batch, found: Results, names: Sequence[str]) -> list[Change]:
        """Take in the next records; what became of incidents, each series' changes in their order.

        Parameters
        ----------
        batch : Batch
        found : Results
        names : sequence of str
            Of partitions, by their codes.
        """
        alerts = found.alert_strength >= found.alert_level
        if not len(self._open) and not alerts.any():
            return []
        self._make_room(int(batch.series.max(initial=0)) + 1)
        concerned = self._is_open.copy()
        concerned[batch.series[alerts]] = True
        rows = np.flatnonzero(concerned[batch.series])
        if not len(rows):
            return []
        rows = rows[np.argsort(batch.series[rows], kind="stable")]
        return list(self._walk(_Rows(batch, found, names, alerts), rows))

    def silent(self, series: int, position: tuple[int, int], time: int, name: str) -> list[Change]:
        """A series fell silent after the record at a position: (partition, offset).

        Parameters
        ----------
        series : int
        position : (int, int)
        time : int
            Of the record, ns UTC.
        name : str
            Id of the event of kind gap.
        """
        self._make_room(series + 1)
        known = self._open.get(series)
        if known is not None:
            self._open[series] = replace(known, silent_since=time)
            self._calm[series], self._heard[series] = 0, time
            return []
        peak = Peak(*position, time, math.nan, math.nan, math.nan, math.nan)
        incident = Incident(name, series, GAP, time, time, True, SEVERITIES[1], 1, 0, 0, 1, peak)
        self._keep(_Open(incident, position, 1, silent_since=time))
        return [Change("opened", incident, True)]

    def _walk(self, of: _Rows, rows: NDArray[np.int64]) -> Iterator[Change]:
        """The changes that rows bring, sorted by series; only those that matter are looked at one by one."""
        series, times = of.batch.series[rows], of.batch.times[rows]
        loud = of.found.is_anomaly[rows] | (of.found.alert_strength[rows] >= LOUD)
        # What came before a silence, and is only scored now, does not speak of what came after.
        scored = np.isin(of.found.status[rows], _SCORED) & (
            (times > self._heard[series]) | (times == NO_TIME)
        )
        starts = np.flatnonzero(np.diff(series, prepend=-1))
        runs = Runs(starts, len(rows))
        passed = runs.counted(scored) + self._passed[series]
        newest = runs.newest(loud)  # place of the last detection among these rows; -1: before them
        calm = runs.counted(scored & ~loud, since=newest) + np.where(newest < 0, self._calm[series], 0)
        last = np.where(newest < 0, self._last[series], times[newest])
        is_over = scored & ~loud & (of.found.event_offset[rows] < 0) & self._quiet_enough(calm, times, last)
        began: dict[int, int] = {}  # records passed before the incident, where it opens here
        for i in np.flatnonzero(loud | runs.first(is_over)).tolist():
            code = int(series[i])
            records = int(passed[i]) - began.get(code, 0)
            change = self._detected(of, int(rows[i]), records) if loud[i] else self._over(code)
            if change is not None:
                if change.what == "opened":
                    began[code] = int(passed[i]) - 1
                yield change
        codes, ends = series[starts], runs.ends
        before = np.array([began.get(code, 0) for code in codes.tolist()]) if began else 0
        is_open = self._is_open[codes]
        self._passed[codes] = np.where(is_open, passed[ends] - before, 0)
        self._calm[codes] = np.where(is_open, calm[ends], 0)
        self._last[codes] = np.where(is_open, last[ends], NO_TIME)

    def _quiet_enough(self, calm: Int64Array, times: Int64Array, last: Int64Array) -> NDArray[np.bool_]:
        quiet = self.rules.quiet
        if quiet.records:
            return calm >= quiet.records
        untimed = (times == NO_TIME) | (last == NO_TIME)
        return np.where(untimed, calm >= _WITHOUT_TIMES, np.where(untimed, 0, times - last) >= quiet.ns)

    def _detected(self, of: _Rows, row: int, records: int) -> Change | None:
        """A record of a series is a detection."""
        code = int(of.batch.series[row])
        known = self._open.get(code)
        event = (int(of.found.event_partition[row]), int(of.found.event_offset[row]))
        if known is None:
            return self._opened(of, row, event) if of.alerts[row] else None
        incident, time = known.incident, int(of.batch.times[row])
        surprise = float(of.found.surprise[row])
        peaks = not surprise < incident.peak.surprise + _WORSE  # that of a silence is NaN
        grown = replace(
            incident,
            end=time,
            events=incident.events + (event != known.event),
            detections=incident.detections + 1,
            records=records,
            peak=of.peak(row) if peaks else incident.peak,
            looks=of.looks(row),
        )
        severity = self.rules.severity(grown.peak.surprise, records, grown.lasted_ns)
        if SEVERITIES.index(severity) > SEVERITIES.index(incident.severity):
            grown = replace(grown, severity=severity)
        tell = peaks or grown.severity != incident.severity or grown.events >= _MANY * known.told
        if tell:
            grown = replace(grown, sequence=grown.sequence + 1)
            known = replace(known, told=grown.events)
        self._open[code] = replace(known, incident=grown, event=event)
        return Change("worse", grown, peaks) if tell else None

    def _opened(self, of: _Rows, row: int, event: tuple[int, int]) -> Change:
        """An event reached the alert level and nothing was open."""
        peak, code = of.peak(row), int(of.batch.series[row])
        incident = Incident(
            id=f"{of.names[event[0]]}-{event[1]}",
            series=code,
            kind="",
            start=peak.time,
            end=peak.time,
            open=True,
            severity=self.rules.severity(peak.surprise, 1, 0),
            events=1,
            detections=1,
            records=1,
            sequence=1,
            peak=peak,
            looks=of.looks(row),
        )
        self._keep(_Open(incident, event, 1))
        return Change("opened", incident, True)

    def _over(self, code: int) -> Change | None:
        """A series has been quiet for long enough."""
        if code not in self._open:
            return None
        incident = self._open.pop(code).incident
        self._is_open[code] = False
        return Change("resolved", replace(incident, open=False, sequence=incident.sequence + 1), False)

    def _keep(self, known: _Open, passed: int = 0, calm: int = 0) -> None:
        """Have an incident be open, and what the next batch goes on from."""
        code = known.incident.series
        self._open[code] = known
        self._is_open[code] = True
        self._passed[code], self._calm[code], self._last[code] = passed, calm, known.incident.end
        self._heard[code] = known.silent_since

    def _put_back(
        self,
        *,
        incident: dict[str, Any],
        event: Sequence[int],
        told: int,
        silent_since: int,
        calm: int,
        passed: int,
    ) -> None:
        *numbers, parts = incident.pop("peak")
        peak = Peak._make([*numbers, tuple(Part(*part) for part in parts)])
        known = _Open(Incident(**incident, peak=peak), (event[0], event[1]), told, silent_since)
        self._make_room(known.incident.series + 1)
        self._keep(known, passed, calm)

    def _make_room(self, series: int) -> None:
        more = series - len(self._is_open)
        if more > 0:
            self._is_open = np.append(self._is_open, np.zeros(more, np.bool_))
            self._passed = np.append(self._passed, np.zeros(more, np.int64))
            self._calm = np.append(self._calm, np.zeros(more, np.int64))
            self._last = np.append(self._last, np.full(more, NO_TIME))
            self._heard = np.append(self._heard, np.full(more, NO_TIME))


@dataclass(frozen=True)
class _Rows:
    """A batch and all that is known of it."""

    batch: Batch
    found: Results
    names: Sequence[str]
    alerts: NDArray[np.bool_]

    def looks(self, row: int) -> str:
        return KINDS[self.found.event_kind[row]]

    def peak(self, row: int) -> Peak:
        batch, found = self.batch, self.found
        return Peak(
            partition=int(batch.partitions[row]),
            offset=int(batch.offsets[row]),
            time=int(batch.times[row]),
            surprise=float(found.surprise[row]),
            p_value=float(found.p_value[row]),
            score=float(found.anomaly_score[row]),
            strength=float(found.alert_strength[row]),
            parts=parts_of(batch, found, row),
        )
