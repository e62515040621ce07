from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from daemons import ONCE, Runner
from plants import planted

from streamrnn import Batch, Results
from streamrnn.connectors.file import FileSource
from streamrnn.connectors.options import RecordOptions
from streamrnn.pipelines.tally import CALIBRATED


@pytest.fixture
def frame():
    """Two days of two sensors, a reading every five minutes, with a few that are odd."""
    rng = np.random.default_rng(5)
    n = 576
    daily = np.sin(2 * np.pi * np.arange(n) / 288)
    a = 20 + 3 * daily + rng.normal(size=n) * 0.1
    b = 7 - daily + rng.normal(size=n) * 0.1
    a[500:510] += 30.0
    b[100] = np.nan
    times = pd.date_range("2024-03-30T23:00:00", periods=n, freq="5min", tz="UTC").tz_convert("Europe/Rome")
    stamps = [time.isoformat() for time in times]  # the offset changes in the night
    return pd.DataFrame({"time": stamps, "a": a, "site": ["north"] * n, "b": b})


@pytest.fixture
def table(frame, tmp_path):
    """``frame`` as a file."""
    path = tmp_path / "sensors.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def opened():
    """A FileSource that the test need not close."""
    sources = []

    def opener(path, batch_rows=16_384, **options):
        sources.append(FileSource(path, RecordOptions(**options), batch_rows=batch_rows))
        return sources[-1]

    yield opener
    for source in sources:
        source.close()


HOUR = 3_600_000_000_000


def _results_of(n, channels=1, **columns):
    """Results of n calibrated records where nothing is odd, but for the columns given."""
    flat, wide = np.zeros(n), np.zeros((n, channels))
    made = {
        "yhat": wide,
        "yhat_lower": wide - 1,
        "yhat_upper": wide + 1,
        "share": np.full((n, channels), 1 / channels),
        "ahead": np.zeros((n, channels, 0, 3)),
        "anomaly_score": flat,
        "p_value": np.ones(n),
        "surprise": flat,
        "alert_strength": flat,
        "level": np.full(n, 0.01),
        "alert_level": np.full(n, 0.5),
        "is_anomaly": np.zeros(n, np.bool_),
        "status": np.full(n, CALIBRATED, np.int8),
        "event_partition": np.full(n, -1, np.int32),
        "event_offset": np.full(n, -1, np.int64),
        "event_kind": np.zeros(n, np.int8),
    }
    return Results(**{**made, **columns})


def _batch_of(values, first=0):
    values = np.asarray(values, float).reshape(len(values), -1)
    times = (first + np.arange(len(values), dtype=np.int64)) * HOUR
    return Batch.of_one_series(values, times, first)


@pytest.fixture
def results_of():
    """Makes results."""
    return _results_of


@pytest.fixture
def batch_of():
    """Makes batches of hourly records."""
    return _batch_of


@pytest.fixture
def runner(tmp_path):
    """Makes daemons, each in a folder of its own."""

    def make(text=ONCE, name="run"):
        folder = tmp_path / name
        folder.mkdir()
        return Runner(folder, text)

    return make


@pytest.fixture
def plant(broker, tmp_path):
    """Makes daemons that read a topic of a real broker."""
    return planted(broker, tmp_path)
