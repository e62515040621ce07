"""From scores to p-values: the twin, and what calibration means."""

from __future__ import annotations

import naive_scoring
import numpy as np
import pytest
from support import test_kernel

from streamrnn.kernels.vector import float64_at, load, store
from streamrnn.scoring import tail


@test_kernel
def _judge(state, scores, momentary, out, n):
    memory, target = float64_at(state), float64_at(out)
    for i in range(n):
        score, own = load(float64_at(scores), i), load(float64_at(momentary), i)
        store(target, i, tail.judge(memory, score, own))
        tail.learn(memory, score, own)


@test_kernel
def _p_values(surprises, out, n):
    for i in range(n):
        store(float64_at(out), i, tail.p_value(load(float64_at(surprises), i)))


class Judge:
    """A tail by itself that learns every score; the records' own evidence is the same, in another order."""

    def __init__(self):
        self.state = np.array(tail.initial_state())
        assert self.state.size == tail.STATE

    def __call__(self, scores):
        scores = np.ascontiguousarray(scores, np.float64)
        own, out = scores[::-1].copy(), np.empty_like(scores)
        _judge(self.state.ctypes.data, scores.ctypes.data, own.ctypes.data, out.ctypes.data, scores.size)
        return out


def parts_of(measure):
    return [measure.mean, measure.variance, measure.count, measure.counts.sum(), *measure.counts]


STREAMS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "heavy-tailed": lambda rng, n: rng.standard_t(4, size=n),
    "log-normal": lambda rng, n: np.exp(rng.normal(size=n)),
    "evidence": lambda rng, n: np.log1p(rng.standard_t(5, size=n) ** 2),
    "autocorrelated": lambda rng, n: np.convolve(rng.exponential(size=n + 7), np.ones(8) / 8, "valid"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_surprises_and_state_equal_the_twin(name):
    scores = STREAMS[name](np.random.default_rng(0), 4000)
    judge, twin = Judge(), naive_scoring.Tail()
    expected = []
    for pair in zip(scores, scores[::-1], strict=True):
        expected.append(twin.judge(*pair))
        twin.learn(*pair)
    np.testing.assert_allclose(judge(scores), expected, rtol=1e-7, atol=1e-9)
    state = [*(part for measure in twin.measures for part in parts_of(measure)), *twin.levels]
    np.testing.assert_allclose(judge.state, state, rtol=1e-8, atol=1e-9)  # the prior's counts are rounded


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("asked", [1e-1, 1e-2, 1e-3])
def test_p_values_are_met_as_often_as_they_say(name, asked):
    """Measured over asked, once calibrated (``status`` says when: after 3 / level records)."""
    surprises = Judge()(STREAMS[name](np.random.default_rng(1), 200_000))[int(3 / asked) :]
    measured = np.mean(surprises >= naive_scoring.surprise_of(asked))
    assert 0.7 <= measured / asked <= 1.4


@pytest.mark.parametrize("name", STREAMS)
def test_a_higher_score_is_never_less_surprising(name):
    judge = Judge()
    judge(STREAMS[name](np.random.default_rng(2), 5000))
    grid = np.linspace(-10.0, 100.0, 2000)
    surprises = []
    for score in grid:
        copy = Judge()
        copy.state[:] = judge.state
        surprises.append(copy([score])[0])
    assert np.min(np.diff(surprises)) >= 0.0
    assert surprises[0] < 0.01
    assert surprises[-1] > 3.0


def test_the_first_scores_have_a_p_value_already():
    """The prior is the score of normal errors, so nothing has to be waited for."""
    surprises = Judge()([1.0, 1.2, 0.9, 1.1, 50.0])  # the first record's own evidence is the 50
    assert np.all(surprises[1:4] < 1.5)
    assert surprises[0] > 3.0
    assert surprises[4] > 3.0


def test_a_score_is_judged_before_it_is_learned():
    judge = Judge()
    judge(np.random.default_rng(3).normal(size=1000))
    one, other = Judge(), Judge()
    one.state[:], other.state[:] = judge.state, judge.state
    assert one([8.0, 8.0])[0] == other([8.0, -3.0])[0]


def test_a_burst_among_the_first_scores_is_not_paid_for_by_silence():
    scores = np.random.default_rng(8).normal(size=20_000)
    scores[60:80] = 12.0 * 2.0 ** np.arange(20)
    surprises = Judge()(scores)
    assert np.mean(surprises[60:80] > 3.0) > 0.5
    assert 0.5 <= np.mean(surprises[1000:19_000] >= 3.0) / 1e-3 <= 2.0


def test_a_stream_that_changes_is_calibrated_again():
    rng = np.random.default_rng(4)
    scores = np.concatenate([rng.normal(size=20_000), 10.0 + 3.0 * rng.normal(size=60_000)])
    surprises = Judge()(scores)
    assert np.min(surprises[20_000:20_005]) > 3.0  # noticed at first
    for asked in (1e-2, 1e-3):
        assert 0.5 <= np.mean(surprises[40_000:] >= -np.log10(asked)) / asked <= 2.0


def test_a_constant_score_surprises_nobody():
    surprises = Judge()(np.full(5000, 2.5))
    assert np.isfinite(surprises).all()
    assert surprises[1000:].max() < 1.0


def test_wild_scores_leave_the_state_finite():
    judge = Judge()
    scores = np.random.default_rng(5).normal(size=3000)
    scores[::50] = np.tile([1e150, -1e150, 1e300, 0.0], 15)
    assert np.isfinite(judge(scores)).all()
    assert np.isfinite(judge.state).all()
    later = judge(np.random.default_rng(6).normal(size=20_000))
    assert np.mean(later[10_000:] > 2.0) < 0.02


def test_the_memory_is_bounded_and_its_total_is_the_sum_of_the_bins():
    judge = Judge()
    judge(np.random.default_rng(7).exponential(size=50_000))
    for measure in judge.state[: tail.LEVELS].reshape(2, -1):
        counts = measure[tail.HISTOGRAM :]
        assert measure[tail.TOTAL] == pytest.approx(counts.sum(), rel=1e-9)
        assert measure[tail.TOTAL] <= tail.MEMORY + 1.0
        assert counts.min() >= 0.0


def test_p_values_are_powers_of_ten():
    surprises = np.array([0.0, 0.5, 1.0, 2.0, 3.0, 10.0, 300.0])
    out = np.empty_like(surprises)
    _p_values(surprises.ctypes.data, out.ctypes.data, out.size)
    np.testing.assert_allclose(out, 10.0**-surprises, rtol=1e-13)
    assert out[0] == 1.0
