from __future__ import annotations

from math import exp, lgamma, log

import numpy as np
import pytest

from streamrnn import Settings
from streamrnn.pipelines.alarms import false_alarms, label_scores, poisson_interval
from streamrnn.pipelines.tally import CALIBRATED, LATE, PROVISIONAL, WARMING, Tally

HOUR = 3_600_000_000_000


def at_most(n, mean):
    """P(N <= n), term by term."""
    return sum(exp(k * log(mean) - mean - lgamma(k + 1)) for k in range(n + 1))


@pytest.mark.parametrize("n", [0, 1, 2, 5, 10, 37, 100, 1000])
def test_the_interval_leaves_two_and_a_half_per_cent_on_either_side(n):
    low, high = poisson_interval(n)
    assert at_most(n, high) == pytest.approx(0.025, rel=1e-9)
    if n:
        assert 1 - at_most(n - 1, low) == pytest.approx(0.025, rel=1e-6)
    else:
        assert low == 0


def test_the_interval_is_that_of_garwoods_table():
    assert [round(bound, 2) for bound in poisson_interval(1)] == [0.03, 5.57]
    assert [round(bound, 2) for bound in poisson_interval(20)] == [12.22, 30.89]


def test_beyond_ten_thousand_the_interval_goes_on_without_a_jump():
    below, above = poisson_interval(10_000), poisson_interval(10_001)
    for a, b in zip(below, above, strict=True):
        assert 0.9 < b - a < 1.1
    low, high = poisson_interval(10**9)
    assert low < 10**9 < high < 1.001 * 10**9


@pytest.fixture
def labelled(batch_of, results_of):
    """Scores of a run of 40 hours; hits, strengths and labels by place, statuses by run length."""

    def maker(labels, hits, *, strengths=(), events=(), status=None, false_alarms_asked=0.1):
        settings = Settings(false_alarms=false_alarms_asked)
        mask = np.zeros((3, 40), np.bool_)
        mask[0, list(labels)] = True
        mask[1, list(hits)] = True
        strength = np.zeros(40)
        for place, value in strengths:
            strength[place] = value
        offsets = np.full(40, -1)
        for start, end in events:
            offsets[start:end] = start
        found = results_of(
            40,
            is_anomaly=mask[1],
            alert_strength=strength,
            event_offset=offsets,
            event_partition=np.where(offsets >= 0, 0, -1).astype(np.int32),
            status=np.full(40, CALIBRATED, np.int8) if status is None else np.array(status, np.int8),
        )
        tally = Tally(settings)
        tally.add(batch_of(np.zeros(40)), found, mask[0])
        counts = tally.series(0)
        return label_scores(counts, false_alarms(counts, settings, float(HOUR)))

    return maker


def test_windows_are_found_by_a_detection_inside_of_them(labelled):
    scores = labelled([5, 6, 7, 8, 20, 21, 30], hits=[7, 8, 21, 33])
    assert (scores.windows, scores.scored, scores.found, scores.alerted) == (3, 3, 2, 0)
    assert scores.recall == pytest.approx(2 / 3)
    assert (scores.delay_records, scores.delay_s) == (1.5, 1.5 * 3600)
    assert np.isnan(scores.precision)


def test_windows_before_the_first_score_cannot_be_found(labelled):
    status = [WARMING] * 10 + [CALIBRATED] * 30
    scores = labelled([2, 3, 9, 10, 20], hits=[20], status=status)
    assert (scores.windows, scores.scored, scores.found, scores.recall) == (3, 2, 1, 0.5)


def test_late_records_do_not_cut_a_window(labelled):
    status = [CALIBRATED] * 40
    status[6] = LATE
    assert labelled([5, 7], hits=[], status=status).windows == 1


def test_precision_is_the_share_of_alerts_that_overlap_a_window(labelled):
    events = [(4, 10), (20, 25), (30, 33)]
    strengths = [(4, 0.4), (6, 0.7), (20, 0.8), (30, 0.4)]
    scores = labelled([5, 6], hits=[4, 6, 20, 30], strengths=strengths, events=events)
    assert (scores.alerts, scores.true_alerts, scores.precision) == (2, 1, 0.5)
    assert (scores.found, scores.alerted, scores.alert_recall) == (1, 1, 1.0)


def test_an_alert_that_spans_a_window_overlaps_it_but_one_that_calmed_down_before_does_not(labelled):
    spans = labelled([6], hits=[4, 8], strengths=[(4, 0.6)], events=[(4, 12)])
    assert (spans.true_alerts, spans.found) == (1, 0)
    calmed = labelled([8], hits=[4, 5], strengths=[(4, 0.6)], events=[(4, 12)])
    assert calmed.true_alerts == 0


def test_false_alarms_are_detections_without_a_label_on_calibrated_records(labelled):
    status = [PROVISIONAL] * 10 + [CALIBRATED] * 30
    scores = labelled([20, 21], hits=[3, 15, 16, 20], status=status)
    assert (scores.false_alarms, scores.unlabelled, scores.false_alarm_rate) == (2, 28, 2 / 28)
    assert scores.false_alarms_expected == pytest.approx(2.8)


def test_under_a_budget_false_alarms_are_alerts_that_overlap_no_window(labelled):
    events, strengths = [(4, 10), (20, 25), (30, 34)], [(4, 0.7), (20, 0.8), (30, 0.3)]
    scores = labelled(
        [5, 6], hits=[4, 5, 20, 21, 30], strengths=strengths, events=events, false_alarms_asked="12/day"
    )
    assert (scores.alerts, scores.true_alerts, scores.false_alarms) == (2, 1, 1)
    assert scores.false_alarms_expected == pytest.approx(0.5 * 38)
