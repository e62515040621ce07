"""Fleets of small linear models, and streams for them: cheap, since other tests compile the same kernels."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from streamrnn import Batch, Settings
from streamrnn.kernels.plan import NO_TIME

SETTINGS = Settings(hidden=0, season="off")
SECOND = 10**9
COLUMNS = (
    "yhat", "yhat_lower", "yhat_upper", "share", "ahead", "anomaly_score", "p_value", "surprise",
    "alert_strength", "level", "alert_level", "is_anomaly", "status", "event_partition", "event_offset",
    "event_kind",
)  # fmt: skip


def records(n, n_series, seed=0, step_s=60.0):
    """Records of some series in random order, their times going on together."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.exponential(step_s / n_series, n)) * SECOND
    times[rng.random(n) < 0.02] = NO_TIME
    return Batch(
        rng.integers(0, n_series, n).astype(np.int32), times.astype(np.int64), rng.normal(size=(n, 1)),
        np.zeros(n, np.int32), np.arange(n, dtype=np.int64),
    )  # fmt: skip


def some(batch, rows):
    return Batch(*(getattr(batch, name)[rows] for name in vars(batch)))


def run(fleet, batch, cuts=()):
    """The columns of all results, the batch cut anywhere."""
    bounds = [0, *sorted(cuts), len(batch)]
    parts = [fleet.process(some(batch, slice(*each))) for each in pairwise(bounds)]
    return {name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS}


def assert_same(one, other):
    for name in COLUMNS:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


class DictSpill:
    """A store in memory."""

    def __init__(self):
        self.states = {}

    def put(self, key, state):
        self.states[key] = state

    def get(self, key):
        return self.states.get(key)

    def drop(self, key):
        self.states.pop(key, None)
