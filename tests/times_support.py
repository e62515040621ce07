"""What the tests of times share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import settings

from streamrnn.connectors.times.finding import find_readings
from streamrnn.connectors.times.reader import TimeReader

SECOND = 1_000_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
quiet = settings(max_examples=60)


def read(cells, reading, tz=None, series=None):
    columns = cells if reading.parts else [cells]
    n = len(columns[0])
    series = np.zeros(n, np.int32) if series is None else np.asarray(series, np.int32)
    return TimeReader(reading, tz).read(columns, series)


def ns(text):
    """Nanoseconds of ISO text without an offset, by NumPy."""
    return int(np.datetime64(text, "ns").astype(np.int64))


def nanoseconds(instant):
    return (instant - EPOCH) // timedelta(microseconds=1) * 1000


def found(*cells):
    return [reading.formats for reading in find_readings(cells)]
