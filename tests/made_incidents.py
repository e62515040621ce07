"""Batches with results by hand: what a detector would have said of some series, minute by minute."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from streamrnn.kernels.plan import NO_TIME
from streamrnn.records import STATUSES, Batch, Results

START, MINUTE = 1_700_000_000_000_000_000, 60_000_000_000
CALIBRATED, MISSING = STATUSES.index("calibrated"), STATUSES.index("missing")
QUIET = 20  # records that end an event


def story(minutes, odd, series=1, *, alert=True, surprise=5.0, missing=(), step=MINUTE):
    """(batch, results) of some series, a record each in every minute.

    ``odd`` are the detections: minutes, or (series, minute). Events go as in the kernel:
    from a detection to ``QUIET`` records after the last.
    """
    n = minutes * series
    codes = np.tile(np.arange(series, dtype=np.int32), minutes)
    minute = np.repeat(np.arange(minutes), series)
    times = START + step * minute if step else np.full(n, NO_TIME)
    is_anomaly = np.zeros((minutes, series), bool)
    for place in odd:
        s, t = place if isinstance(place, tuple) else (0, place)
        is_anomaly[t, s] = True
    offsets = np.arange(n).reshape(minutes, series)
    event, strength = np.full((minutes, series), -1), np.zeros((minutes, series))
    for s in range(series):
        last = first = None
        for t in range(minutes):
            if is_anomaly[t, s] and (last is None or t - last > QUIET):
                first, strength[t, s] = offsets[t, s], 0.6 if alert else 0.3
            last = t if is_anomaly[t, s] else last
            event[t, s] = first if last is not None and t - last <= QUIET else -1
    status = np.full((minutes, series), CALIBRATED, np.int8)
    for t in missing:
        status[t] = MISSING
    batch = Batch(
        codes, times.astype(np.int64), np.full((n, 1), 20.0), np.zeros(n, np.int32), offsets.ravel()
    )
    one = np.ones((n, 1))
    odd_ones = is_anomaly.ravel()
    surprises = np.where(odd_ones, surprise, 0.5)
    return batch, Results(
        yhat=one * 18,
        yhat_lower=one * 17,
        yhat_upper=one * 19,
        share=one,
        ahead=np.empty((n, 1, 0, 3)),
        anomaly_score=surprises * 2,
        p_value=10.0**-surprises,
        surprise=surprises,
        alert_strength=strength.ravel(),
        level=np.full(n, 1e-4),
        alert_level=np.full(n, 0.5),
        is_anomaly=odd_ones,
        status=status.ravel(),
        event_partition=np.where(event.ravel() < 0, -1, 0).astype(np.int32),
        event_offset=event.ravel().astype(np.int64),
        event_kind=(event.ravel() >= 0).astype(np.int8),
    )


def part(of, rows):
    """Some rows of a batch or of results."""
    return type(of)(**{field.name: getattr(of, field.name)[rows] for field in fields(of)})
