"""Evidence from forecast errors, against its plain twin."""

from __future__ import annotations

import naive_scoring
import numpy as np
import pytest
from support import test_kernel

from streamrnn.kernels.vector import float64_at, load, store
from streamrnn.scoring import residual


@test_kernel
def _score(state, z, channels, out, n):
    """The score of n records of errors (n, channels), in units of their usual size."""
    errors, scores = float64_at(z), float64_at(out)
    for i in range(n):
        total, largest = 0.0, 0.0
        for d in range(channels):
            error = load(errors, i * channels + d)
            part = residual.channel_evidence(error * error)
            total += part
            largest = max(largest, part)
        store(scores, i, residual.combine(float64_at(state), total / channels, largest))


def score(z, state=None):
    z = np.ascontiguousarray(z, np.float64)
    state = np.zeros(residual.STATE) if state is None else state
    out = np.empty(len(z))
    _score(state.ctypes.data, z.ctypes.data, z.shape[1], out.ctypes.data, len(z))
    return out


@pytest.mark.parametrize("channels", [1, 3, 38])
def test_scores_equal_the_twin(channels):
    z = np.random.default_rng(0).standard_t(2, size=(2000, channels))
    z[500:520] *= 1e4
    twin = naive_scoring.Evidence()
    np.testing.assert_allclose(score(z), [twin.score(row) for row in z], rtol=1e-12)


def test_no_error_is_no_evidence():
    assert np.all(score(np.zeros((10, 2))) == 0.0)


def test_evidence_grows_with_the_error_and_not_with_its_sign():
    sizes = np.array([0.0, 1e-8, 0.1, 1.0, 3.0, 30.0, 1e6, 1e150])
    scores = np.array([score([[z]])[0] for z in sizes])
    assert np.all(np.diff(scores) > 0)
    assert np.isfinite(scores).all()
    assert np.array_equal(scores, [score([[-z]])[0] for z in sizes])


def test_one_wild_value_counts_without_being_able_to_hide_what_follows():
    """log(1 + z^2): a million times the usual error is some 28, and half gone after a few records."""
    z = np.zeros((30, 1))
    z[0] = 1e6
    scores = score(z)
    assert 25.0 < scores[0] < 40.0
    assert scores[int(residual.SPAN)] < 0.25 * scores[0]


def test_several_odd_records_in_a_row_are_odder_than_one():
    z = np.ones((20, 1))
    z[10:] = 4.0
    scores = score(z)
    assert np.all(np.diff(scores[10:]) > 0)


def test_one_odd_channel_of_many_is_seen():
    """The mean of all and the largest: between the two."""
    z = np.zeros((1, 10))
    z[0, 3] = 5.0
    part = np.log1p(25.0)
    evidence = 0.5 * (part / 10 + part)
    assert score(z)[0] == pytest.approx(evidence * (1.0 + 2.0 / (residual.SPAN + 1.0)), rel=1e-12)
