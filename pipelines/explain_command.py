"""``streamrnn explain``: the records of a past alert once more, with the same numbers to the bit."""

from __future__ import annotations

import argparse
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from streamrnn.connectors.text import printable
from streamrnn.errors import DataError, StateError
from streamrnn.fleet import Fleet
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.alerts_command import found, store_of
from streamrnn.pipelines.captures import Capture, opened
from streamrnn.pipelines.feedback import Said
from streamrnn.pipelines.grouping import fingerprint
from streamrnn.pipelines.store import IncidentRow
from streamrnn.pipelines.words import count, iso, moment, number, percent, table
from streamrnn.records import Batch, Results

__all__ = ["run"]

_FINE, _BAD_DATA = 0, 3
_BEFORE = 5  # records shown before the one that matters
_NUMBERS = ("surprise", "p_value", "anomaly_score", "alert_strength")


@dataclass(frozen=True)
class _Replayed:
    """The records of a series up to its worst, with all that was found in them."""

    batch: Batch
    found: Results
    channels: tuple[str, ...]


def run(arguments: argparse.Namespace) -> int:
    """Replay and show; 3 where the numbers are not those of the alert.

    Raises
    ------
    StreamrnnError
        Where there is no such alert, or its capture is gone or damaged.
    """
    with store_of(arguments.file, readonly=True) as store:
        incident = found(store, arguments.id)
        data = store.capture(incident.id)
    if data is None:
        raise DataError(
            f"the capture of {fingerprint(incident.id)} is gone, or was never made: more records came since "
            "the snapshot before it than alerts.capture, or newer alerts took its place"
        )
    capture = opened(data)
    replayed = _replayed(capture)
    same = _is_same(capture, replayed)
    if arguments.json:
        print(json.dumps(_as_dict(incident, replayed, same=same), indent=1))
    else:
        print(printable_lines(_lines(incident, replayed, same=same)))
    return _FINE if same else _BAD_DATA


def _replayed(capture: Capture) -> _Replayed:
    """Score the capture's records as they were scored at first."""
    fleet = Fleet.from_bytes(capture.fleet)
    batches, results = [], []
    for part in capture.parts:
        if isinstance(part, Mapping):
            fleet = Fleet.from_bytes(fleet.to_bytes(), **part)
        elif isinstance(part, Said):
            part.apply(fleet)
        elif len(part):
            batches.append(part)
            results.append(fleet.process(part))
    if not batches:
        raise StateError("the capture holds no record")
    return _Replayed(_joined(batches), _joined(results), tuple(fleet.settings.channels))


def _joined(parts: list[Any]) -> Any:
    """Batches, or results, one behind the other."""
    names = vars(parts[0])
    return type(parts[0])(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _is_same(capture: Capture, replayed: _Replayed) -> bool:
    """Whether the last record is the alert's, and every bit of its numbers."""
    peak = capture.peak
    position = (int(replayed.batch.partitions[-1]), int(replayed.batch.offsets[-1]))
    before = (peak.surprise, peak.p_value, peak.score, peak.strength)
    now = [float(getattr(replayed.found, name)[-1]) for name in _NUMBERS]
    return position == (peak.partition, peak.offset) and struct.pack("4d", *before) == struct.pack("4d", *now)


def _lines(incident: IncidentRow, replayed: _Replayed, *, same: bool) -> list[str]:
    batch, results = replayed.batch, replayed.found
    said = incident.body["annotations"]
    rows = [["time", "record", *replayed.channels, "p_value", "surprise", "anomaly"]]
    for i in range(max(len(batch) - _BEFORE - 1, 0), len(batch)):
        cells = [number(float(value)) for value in batch.values[i]]
        judged = [f"{results.p_value[i]:.3g}", number(float(results.surprise[i]))]
        mark = "yes" if results.is_anomaly[i] else ""
        rows.append([moment(int(batch.times[i])), str(int(batch.offsets[i])), *cells, *judged, mark])
    parts = [["channel", "value", "expected", "lower", "upper", "share"]]
    for d, channel in enumerate(replayed.channels):
        columns = (batch.values, results.yhat, results.yhat_lower, results.yhat_upper)
        numbers = [number(float(column[-1, d])) for column in columns]
        parts.append([channel, *numbers, percent(float(results.share[-1, d]))])
    return [
        said["summary"],
        *(said[name] for name in ("description", "why") if said[name]),
        "",
        *table(rows, numeric=frozenset(rows[0][1:-1])),
        "",
        *table(parts, numeric=frozenset(parts[0][1:])),
        "",
        f"replayed {count(len(batch), 'record')} since the snapshot before: " + _verdict(same=same),
    ]


def _verdict(*, same: bool) -> str:
    return "the same numbers to the bit" if same else "OTHER NUMBERS than the alert's; please report this"


def printable_lines(lines: list[str]) -> str:
    """Lines that are safe to show."""
    return "\n".join(map(printable, lines))


def _as_dict(incident: IncidentRow, replayed: _Replayed, *, same: bool) -> dict[str, Any]:
    batch, results = replayed.batch, replayed.found
    time = int(batch.times[-1])
    columns = {
        "value": batch.values,
        "yhat": results.yhat,
        "yhat_lower": results.yhat_lower,
        "yhat_upper": results.yhat_upper,
        "share": results.share,
    }
    return {
        "id": incident.id,
        "fingerprint": fingerprint(incident.id),
        "same": same,
        "records": len(batch),
        "time": None if time == NO_TIME else iso(time),
        "offset": int(batch.offsets[-1]),
        **{name: _plain(getattr(results, name)[-1]) for name in _NUMBERS},
        "channels": {
            channel: {name: _plain(column[-1, d]) for name, column in columns.items()}
            for d, channel in enumerate(replayed.channels)
        },
        "annotations": incident.body["annotations"],
    }


def _plain(value: Any) -> float | None:
    """A number as JSON knows it."""
    return float(value) if np.isfinite(value) else None
