from __future__ import annotations

import numpy as np
import pytest

from streamrnn import Settings
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.gaps import steps_of, total_steps
from streamrnn.pipelines.tally import DUPLICATE, LATE, Tally

SECOND = 1_000_000_000


def tally_of(batch_of, results_of, *series):
    tally = Tally(Settings())
    for code, (times, status) in enumerate(series):
        batch = batch_of(np.zeros(len(times)))
        batch.times[:] = times
        batch.series[:] = code
        tally.add(batch, results_of(len(times), status=np.array(status, np.int8)))
    return tally


def regular(n, step=60):
    return np.arange(n, dtype=np.int64) * step * SECOND, np.full(n, 2)


def test_the_typical_step_of_a_regular_series_is_exact(batch_of, results_of):
    for step in (1, 7, 60, 3600, 86_400):
        tally = tally_of(batch_of, results_of, regular(50, step))
        steps = steps_of(tally.series(0))
        assert (steps.typical_ns, steps.gaps, steps.longest_ns) == (step * SECOND, 0, 0)


def test_jitter_and_gaps_do_not_move_the_typical_step_much(batch_of, results_of):
    rng = np.random.default_rng(0)
    steps_s = np.where(rng.random(500) < 0.2, 3000, 60 + rng.normal(size=500))
    times = np.cumsum(steps_s * SECOND).astype(np.int64)
    tally = tally_of(batch_of, results_of, (times, np.full(500, 2)))
    assert steps_of(tally.series(0)).typical_ns == pytest.approx(60 * SECOND, rel=0.05)


@pytest.mark.parametrize(("missing", "gaps"), [(1, 0), (2, 0), (3, 1), (30, 1)])
def test_a_gap_is_a_step_of_more_than_three_typical_ones(batch_of, results_of, missing, gaps):
    times, status = regular(100)
    times[40:] += missing * 60 * SECOND
    steps = steps_of(tally_of(batch_of, results_of, (times, status)).series(0))
    assert steps.gaps == gaps
    if gaps:
        assert (steps.longest_ns, steps.longest_start) == ((missing + 1) * 60 * SECOND, times[39])
    else:
        assert (steps.longest_ns, steps.longest_start) == (0, NO_TIME)


def test_repeated_and_backward_times_are_counted_and_are_no_steps(batch_of, results_of):
    times = np.array([0, 60, 60, 60, 30, 120, 180], np.int64) * SECOND
    status = [2, 2, 2, DUPLICATE, LATE, 2, 2]
    steps = steps_of(tally_of(batch_of, results_of, (times, status)).series(0))
    assert (steps.repeated, steps.backwards, steps.typical_ns) == (2, 1, 60 * SECOND)


def test_records_without_a_time_make_no_step(batch_of, results_of):
    times, status = regular(10)
    times[3:6] = NO_TIME
    steps = steps_of(tally_of(batch_of, results_of, (times, status)).series(0))
    assert (steps.gaps, steps.longest_ns) == (1, 4 * 60 * SECOND)


def test_what_is_a_gap_depends_on_each_series_own_step(batch_of, results_of):
    slow = regular(50, 3600)
    quick, status = regular(500, 60)
    quick[250:] += 600 * SECOND
    tally = tally_of(batch_of, results_of, slow, (quick, status))
    steps = total_steps(tally)
    assert steps.gaps == 1
    assert steps.range_ns == (60 * SECOND, 3600 * SECOND)
    assert (steps.longest_ns, steps.longest_start) == (660 * SECOND, quick[249])
