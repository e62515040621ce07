"""The combinations of networks that many tests need, compiled by one process; it begins before the others.

Half of what the first combination costs a process is what all have in common, and is compiled once
for all that follow. Other tests, and the daemons and commands that they start, find the kernels on disk.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support import float64_groups

from streamrnn import Batch, Fleet, Settings
from streamrnn.kernels.step import process_batch
from streamrnn.pooling import blank_prior

# Sizes, channels and horizons are numbers to a kernel, and so are the lags of an autoregression.
COMBINATIONS = [
    {},
    {"networks": ("lstm", "gru")},
    {"channels": ("a", "b")},
    {"preset": "light"},
    {"networks": ("gru", "diagonal_lstm", "ar")},
    {"networks": "gru"},
    {"networks": "none"},
    {"networks": "ar"},
    {"networks": ("rnn_relu", "jordan", "tdnn:4x2")},
    {"networks": ("lstm:4:kalman", "gru:4:adam_heads", "ar")},
    {"preset": "shared"},
    {"networks": ("diagonal_lstm", "diagonal_lstm:7:frozen", "ar")},
]
IN_FLOAT64 = [
    {"networks": ("lstm:4:kalman", "ar")},
    {"networks": ("gru:4:adam_heads", "ar")},
    {"networks": ("diagonal_lstm", "diagonal_lstm:7:frozen", "ar")},
]


def name_of(settings):
    return "+".join(Settings(**settings).networks) or "none"


def assert_it_forecasts(settings):
    """Compiled, the kernel forecasts, and another fleet of the same networks has it by then."""
    values = np.random.default_rng(0).normal(size=(40, len(settings.channels)))
    fleet = Fleet(settings)
    found = fleet.process(Batch.of_one_series(values))
    assert np.isfinite(found.yhat[20:]).all()
    compiled = len(process_batch.signatures)
    again = Fleet(settings).process(Batch.of_one_series(values))
    assert len(process_batch.signatures) == compiled
    assert np.array_equal(found.yhat, again.yhat, equal_nan=True)


@pytest.mark.parametrize("settings", COMBINATIONS, ids=name_of)
def test_a_combination_of_networks_is_compiled_once_and_forecasts(settings):
    asked = Settings(**settings)
    shared = any(spec.training == "shared" for spec in asked.specs)
    assert_it_forecasts(replace(asked, prior=blank_prior(asked)) if shared else asked)


@pytest.mark.parametrize("settings", IN_FLOAT64, ids=name_of)
def test_forecasters_in_float64_are_compiled_once_and_forecast(settings):
    with float64_groups():
        assert_it_forecasts(Settings(**settings))
