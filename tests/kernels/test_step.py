"""A whole model, record by record, against its plain twin."""

from __future__ import annotations

import naive_model
import numpy as np
import pytest

from streamrnn import Batch, Fleet, Settings
from streamrnn.kernels.plan import NO_TIME
from streamrnn.records import STATUSES

CASES = {
    "plain": {"channels": ["a"], "networks": ["lstm"], "false_alarms": 0.02},
    "budget": {"channels": ["a"], "networks": ["lstm"], "false_alarms": "20/hour", "k1": 2},
    "channels and horizons": {"channels": ["a", "b"], "networks": ["gru"], "horizons": [1, 3], "lags": 16},
    "two networks, recomputed": {"channels": ["a", "b"], "networks": ["lstm", "gru"], "recompute": True},
    "anomalies not learned": {
        "channels": ["a"], "networks": ["gru"], "horizons": [1, 2],
        "learn_anomalies": False, "false_alarms": 0.01,
    },
    "no network": {"channels": ["a"], "networks": "none"},
    "readout alone": {"channels": ["a"], "networks": ["gru"], "hidden": 0},
}  # fmt: skip


def records(channels, n=520, times=True):
    """Waves with noise, spikes, a step, holes, a gap, a stuck value, a late record and a duplicate."""
    rng = np.random.default_rng(0)
    t = np.arange(n)[:, None]
    values = np.sin(t * [0.21, 0.13][:channels]) + 0.2 * rng.normal(size=(n, channels))
    values[250], values[300:310] = 6.0, values[300:310] + 3.0
    values[360:] *= 2.0
    values[480:500, 0] = values[480, 0]
    values[rng.random(n) < 0.04, 0] = np.nan
    values[[120, 121]] = np.nan
    values[200, 0] = np.inf
    stamps = np.cumsum(rng.choice([59, 60, 60, 61], n)).astype(np.int64) * 1_000_000_000
    stamps[270:] += 3_600_000_000_000
    stamps[330] = stamps[328]
    stamps[340], values[340] = stamps[339], values[339]
    return values, stamps if times else np.full(n, NO_TIME)


@pytest.mark.parametrize(("channels", "step"), [(1, 30.0), (2, 8.0)])
def test_what_is_put_back_after_a_fault_equals_that_of_the_twin(channels, step):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(1300, channels))
    values[600] += 15.0
    values[900:1050] += step
    settings = Settings(channels=["a", "b"][:channels], networks="none", false_alarms=1e-3)
    found = Fleet(settings).process(Batch.of_one_series(values))
    twin = naive_model.Model(settings)
    said = [twin.process(NO_TIME, row) for row in values]
    assert twin.puts_back
    expected = [(out.get("surprise", np.nan), out.get("strength", 0.0)) for out in said]
    both = np.stack([found.surprise, found.alert_strength], axis=1)
    np.testing.assert_allclose(both, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("times", [True, False], ids=["times", "no times"])
@pytest.mark.parametrize("name", CASES)
def test_every_output_equals_that_of_the_twin(name, times):
    """float32 networks against float64 ones: what differs is their rounding, fed back for 420 records."""
    settings = Settings(**{"hidden": 3, "k1": 1, "k2": 4, "learning_rate": 0.01, **CASES[name]})
    values, stamps = records(len(settings.channels), times=times)
    found = Fleet(settings).process(Batch.of_one_series(values, stamps))
    twin = naive_model.Model(settings)
    said = [twin.process(int(time), row) for time, row in zip(stamps, values, strict=True)]
    assert [STATUSES[status] for status in found.status] == [out["status"] for out in said]
    assert {"warming", "provisional", "missing"} <= {out["status"] for out in said}

    def column(key, default):
        return np.array([out.get(key, default) for out in said], float)

    close = {"rtol": 1e-4, "atol": 1e-4}
    nothing = np.full((len(settings.channels), 3), np.nan)
    forecasts = column("yhat", nothing)
    for i, part in enumerate((found.yhat, found.yhat_lower, found.yhat_upper)):
        np.testing.assert_allclose(part, forecasts[:, :, i], **close)
    if len(settings.horizons) > 1:
        ahead = column("ahead", [nothing] * (len(settings.horizons) - 1))
        np.testing.assert_allclose(found.ahead, ahead.transpose(0, 2, 1, 3), **close)
    for key, part in (
        ("score", found.anomaly_score),
        ("surprise", found.surprise),
        ("level", found.level),
        ("alert_level", found.alert_level),
    ):
        np.testing.assert_allclose(part, column(key, np.nan), err_msg=key, **close)
    np.testing.assert_allclose(found.alert_strength, column("strength", 0.0), **close)
    np.testing.assert_allclose(found.share, column("share", np.full(len(settings.channels), np.nan)), **close)
    assert np.array_equal(found.is_anomaly, column("detection", False))
    assert np.array_equal(found.event_offset, column("event", -1))
    assert np.array_equal(found.event_kind, column("kind", 0))
    assert found.alert_strength.any()
