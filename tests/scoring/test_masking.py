"""A fault that ends leaves no masking behind it: what comes then is as odd as it would have been.

Each stream is run twice, with the fault and without; in both a spike comes some time after it.
"""

from __future__ import annotations

import numpy as np
import pytest
from made_faults import AT, DAY, STEP_NS, noisy, stream, with_fault

from streamrnn import Batch, Fleet, Settings

SEEDS = (1, 2, 3)
ENDS = {"step and back": 200, "stuck for a day": DAY, "doubled deviation and back": 200}
SPIKE = {"wave": 2.5, "smooth wave": 1.0, "noise": 6.0}


def scored(values):
    times = 1_700_000_000 * 10**9 + STEP_NS * np.arange(len(values))
    return Fleet(Settings()).process(Batch.of_one_series(np.round(values, 2)[:, None], times))


def spikes(name, fault, gap):
    """(surprise, alert strength) of the spike, clean and after the fault: (2, 2, seeds)."""
    found = []
    for seed in SEEDS:
        clean = stream(name, seed)
        at = AT + ENDS[fault] + gap
        clean[at] += SPIKE[name]
        values = with_fault(fault, clean, seed, name)
        runs = [scored(one[: at + 1]) for one in (clean, values)]
        found.append([(run.surprise[at], run.alert_strength[at]) for run in runs])
    return np.array(found).transpose(1, 2, 0)


@pytest.mark.parametrize("name", SPIKE)
@pytest.mark.parametrize("fault", ENDS)
@pytest.mark.parametrize("gap", [220, 400])
def test_after_a_long_fault_a_spike_is_about_as_odd_as_without(name, fault, gap):
    clean, after = spikes(name, fault, gap)
    least, on_average = (0.7, 0.85) if name != "noise" else (0.65, 0.75)
    if name == "noise" and fault == "step and back":  # it showed the spike's own value, which is then not new
        least, on_average = 0.55, 0.6
    assert (after[0] >= least * clean[0]).all()
    assert after[0].mean() >= on_average * clean[0].mean()
    if fault == "stuck for a day":
        assert (after[1][clean[1] >= 0.5] >= 0.5).all()


@pytest.mark.parametrize("channels", [3])
def test_a_fault_of_several_channels_leaves_no_masking_either(channels):
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(AT + 600, channels))
    clean[-1, 1] += 7.0
    values = clean.copy()
    values[AT : AT + 200, 0] += 30.0
    settings = Settings(channels=tuple("abc"))
    before, after = (
        Fleet(settings).process(Batch.of_one_series(one)).surprise[-1] for one in (clean, values)
    )
    assert after >= 0.8 * before


def test_a_step_that_stays_is_learned_for_good():
    """Nothing is put back after it: the new level stays usual."""
    values = 50.0 + noisy(1)
    values[AT:] += 5.0
    found = scored(values)
    assert not found.is_anomaly[AT + 600 :].any()
    assert np.median(found.surprise[AT + 600 :]) < 1.0


def test_what_comes_every_day_becomes_usual():
    """A fault that comes again is a habit: only the first is taken back."""
    values = 50.0 + noisy(1)
    for start in range(2000, len(values), 500):
        values[start : start + 120] += 6.0
    surprise = scored(values).surprise
    assert surprise[5000:5120].max() < 0.6 * surprise[2000:2120].max()
