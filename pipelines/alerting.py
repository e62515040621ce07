"""The intake's part in alerts: from what was found in records to incidents in the store.

It writes down what became of incidents and goes on; who is told is decided elsewhere
(``grouping.py``), in a thread of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from shlex import quote
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.base import Read
from streamrnn.errors import StateError, StoreError
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.captures import Recorder
from streamrnn.pipelines.coding import Coding
from streamrnn.pipelines.feedback import Said
from streamrnn.pipelines.grouping import fingerprint
from streamrnn.pipelines.incident import GAP, Change, Incident
from streamrnn.pipelines.incidents import Incidents
from streamrnn.pipelines.observers import Observer
from streamrnn.pipelines.outputs import some_results
from streamrnn.pipelines.rules import Rules
from streamrnn.pipelines.says_why import values, why
from streamrnn.pipelines.store import IncidentRow, Store
from streamrnn.records import Batch, Results

__all__ = ["Alerting", "Identity"]

_LOG = logging.getLogger("streamrnn.alerts")
_NAMES = {GAP: "SensorSilent"}  # of alerts, by kind
_NAME = "Anomaly"
_KEPT_CAPTURES, _KEPT_NS = 200, 30 * 86_400_000_000_000
_MOST_CAPTURES = 20  # of one batch: a fault in a thousand series must not hold up the intake


@dataclass(frozen=True)
class Identity:
    """What stands on every alert of a pipeline.

    Attributes
    ----------
    pipeline : str
        Its name.
    file : str
        Its file, for the command that replays the moment.
    labels : mapping of str to str
        As the user has them.
    """

    pipeline: str
    file: str
    labels: Mapping[str, str]


class _Silence(NamedTuple):
    """A series fell silent: its code, the position and the time of its last record, the event's id."""

    series: int
    position: tuple[int, int]
    time: int
    id: str


class Alerting(Observer):
    """Follows the incidents of a run.

    Parameters
    ----------
    store : Store
        The run's own, of the thread that scores.
    coding : Coding
    rules : Rules
    identity : Identity
    wall : callable
        Wall clock, ns UTC; only where records have no times.
    wake : callable
        Called when there is news.
    recorder : Recorder
    state : mapping, optional
        From ``state()``, as the snapshot has it.
    """

    def __init__(
        self,
        store: Store,
        coding: Coding,
        *,
        rules: Rules,
        identity: Identity,
        wall: Callable[[], int],
        wake: Callable[[], None],
        recorder: Recorder,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self._store, self._coding, self._identity = store, coding, identity
        self._wall, self._wake, self._recorder = wall, wake, recorder
        self.incidents = Incidents(rules, state)
        self._silences: list[_Silence] = []
        # Told and not yet stored: a full disk is waited for, and a snapshot keeps them.
        self._owed = {row["id"]: IncidentRow(**row) for row in (state or {}).get("owed", ())}
        self._captures: dict[str, tuple[int, bytes]] = {}
        self._hindered = False
        self._keys: Sequence[str] = ()

    def state(self) -> dict[str, Any]:
        """What a snapshot keeps."""
        self.beat()
        return {**self.incidents.state(), "owed": [asdict(row) for row in self._owed.values()]}

    def records(self, batch: Read, found: Results, fresh: NDArray[np.bool_]) -> None:
        """Take in a batch, read again or not: what is known of its incidents already is not stored twice.

        Silences that were told of come in between, each behind its series' last record
        before it: else the ids of incidents would depend on how batches are cut.
        """
        rest, changes = np.ones(len(batch), np.bool_), list[Change]()
        while self._silences:
            silences = {silence.series: silence for silence in reversed(self._silences)}  # the first of each
            before = rest & ~_behind(batch, silences.values())
            changes += self._found(batch, found, before)
            rest &= ~before
            changes += self._fallen(silences.values())
        self._take(changes + self._found(batch, found, rest))

    def scored(self, batch: Read) -> None:
        """Keep what a capture needs."""
        self._recorder.records(batch)

    def silent(self, series: int, position: tuple[int, int], time: int, id: str) -> None:
        """A series fell silent behind a record at (partition, offset); ``id`` is of the gap's event.

        It is taken in with the next records, or with the next beat.
        """
        self._silences.append(_Silence(series, position, time, id))

    def changed(self, settings: Mapping[str, Any]) -> None:
        """Tunable settings changed."""
        self._recorder.changed(settings)

    def told(self, said: Said) -> None:
        """A user's word on an event holds from here on."""
        self._recorder.told(said)

    def saved(self, seconds: float, size: int) -> None:
        """A snapshot was written."""
        self._recorder.rebase(self._coding.fleet)

    def beat(self) -> None:
        """Take in silences where no records came with them; try again what could not be stored."""
        changes = self._fallen(list(self._silences))
        if changes or self._owed:
            self._take(changes)

    def _found(self, batch: Read, found: Results, rows: NDArray[np.bool_]) -> list[Change]:
        """What some rows of a batch bring."""
        names = self._coding.partition_names
        if rows.all():
            return self.incidents.add(batch, found, names)
        some = Batch(
            batch.series[rows],
            batch.times[rows],
            batch.values[rows],
            batch.partitions[rows],
            batch.offsets[rows],
        )
        return self.incidents.add(some, some_results(found, rows), names)

    def _fallen(self, silences: Collection[_Silence]) -> list[Change]:
        """What silences bring, which do not wait any more."""
        taken = set(silences)
        self._silences = [silence for silence in self._silences if silence not in taken]
        return [change for silence in silences for change in self.incidents.silent(*silence)]

    def _take(self, changes: Sequence[Change]) -> None:
        for number, change in enumerate(changes):
            incident = change.incident
            self._owed[incident.id] = self._row(incident)
            if change.peaks and incident.kind != GAP and number < _MOST_CAPTURES:
                self._capture(incident)
        if self._owed:
            self._write()

    def _row(self, incident: Incident) -> IncidentRow:
        fleet, identity = self._coding.fleet, self._identity
        if incident.series >= len(self._keys):
            self._keys = fleet.keys
        key = self._keys[incident.series]
        said = why(incident, key, fleet.settings.channels, fleet.typical_step_ns(incident.series))
        labels = {
            **identity.labels,
            "alertname": _NAMES.get(incident.kind, _NAME),
            "pipeline": identity.pipeline,
            **({"series": key} if key else {}),
            **({"kind": incident.kind} if incident.kind else {}),
        }
        replay = f"streamrnn explain {fingerprint(incident.id)} --file {quote(identity.file)}"
        body = {
            "labels": labels,
            "severity": incident.severity,
            "annotations": {**asdict(said), "replay": replay},
            "values": values(incident),
            "starts_at": self._moment(incident.start),
            "ends_at": self._moment(incident.end),
            "events": incident.events,
            "detections": incident.detections,
        }
        return IncidentRow(incident.id, incident.start, incident.sequence, incident.open, True, body)

    def _moment(self, time: int) -> int:
        return self._wall() if time == NO_TIME else time

    def _capture(self, incident: Incident) -> None:
        try:
            data = self._recorder.take(incident.series, self._coding.fleet, incident.peak)
        except (StateError, StoreError) as error:
            _LOG.warning("no capture of %s: %s", incident.id, error)
            return
        if data is not None:
            self._captures[incident.id] = (incident.peak.time, data)

    def _write(self) -> None:
        """Store what is owed, in one transaction with its captures."""
        if not self._owed:
            return
        try:
            with self._store.deciding():
                newer = self._store.incidents_put(self._owed.values())
                for id in newer & self._captures.keys():
                    self._store.capture_put(id, *self._captures[id])
                if newer & self._captures.keys():
                    newest = max(time for time, _ in self._captures.values())
                    self._store.captures_forget(_KEPT_CAPTURES, newest - _KEPT_NS if newest > 0 else NO_TIME)
        except StoreError as error:
            if not self._hindered:
                _LOG.warning("alerts wait: %s", error)
            self._hindered, self._captures = True, {}
            return
        self._hindered, self._owed, self._captures = False, {}, {}
        if newer:
            self._wake()


def _behind(batch: Batch, silences: Collection[_Silence]) -> NDArray[np.bool_]:
    """(n,) which records came behind one of some silences of their series, at most one of each."""
    behind = np.zeros(len(batch), np.bool_)
    for series, (partition, offset), _, _ in silences:
        rows = np.flatnonzero(batch.series == series)
        before = (batch.partitions[rows] == partition) & (batch.offsets[rows] <= offset)
        behind[rows[np.max(np.flatnonzero(before), initial=-1) + 1 :]] = True
    return behind
