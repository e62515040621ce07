"""How scores rank: average precision, VUS-PR, and the window that it takes."""

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from streamrnn.pipelines.ranking import auc_pr, precision_recall, ranked, season_window, vus_pr


def stretches(n, *spans):
    labels = np.zeros(n, bool)
    for first, last in spans:
        labels[first : last + 1] = True
    return labels


def slow_vus_pr(labels, scores, window):
    """The definition, word for word: every width and threshold over all records."""
    n, edges = len(labels), np.diff(labels.astype(int), prepend=0, append=0)
    spans = list(zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1, strict=True))
    thresholds = np.sort(scores)[::-1][np.linspace(0, n - 1, 250).astype(int)]
    areas = []
    for width in range(window + 1):
        half, soft, grown = width // 2, labels.astype(float), []
        for first, last in spans:
            for distance in range(1, half + 1):
                for row in (first - distance, last + distance):
                    if 0 <= row < n:
                        soft[row] += math.sqrt(1 - distance / width)
            if grown and first - half <= grown[-1][1]:
                grown[-1][1] = last + half
            else:
                grown.append([first - half, last + half])
        soft = np.minimum(soft, 1.0)
        area, before = 0.0, 0.0
        for threshold in thresholds:
            hit = scores >= threshold
            touched = np.mean([hit[max(first, 0) : last + 1].any() for first, last in grown])
            positives = labels.sum() + (soft[hit].sum() - labels[hit].sum()) / 2
            recall = min(soft[hit].sum() / positives, 1.0) * touched
            area += (recall - before) * soft[hit].sum() / hit.sum()
            before = recall
        areas.append(area)
    return np.mean(areas)


def test_average_precision_is_that_of_scikit_learn_with_ties():
    rng = np.random.default_rng(0)
    labels = rng.random(500) < 0.1
    for digits in (0, 1, 8):
        scores = np.round(rng.normal(size=500) + labels, digits)
        assert auc_pr(labels, scores) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)


@pytest.mark.parametrize(
    "spans",
    [
        [(40, 59)],
        [(0, 3), (95, 99)],  # at both ends
        [(10, 10), (13, 13), (16, 30), (70, 70)],  # that grow together
        [(0, 99)],
    ],
)
@pytest.mark.parametrize("window", [0, 1, 2, 25, 150])
def test_vus_pr_is_what_its_definition_says(spans, window):
    rng = np.random.default_rng(1)
    labels = stretches(100, *spans)
    scores = np.round(rng.normal(size=100) + labels, 1)
    assert vus_pr(labels, scores, window) == pytest.approx(slow_vus_pr(labels, scores, window), abs=1e-12)


def test_vus_pr_of_more_records_than_thresholds_is_what_its_definition_says():
    rng = np.random.default_rng(2)
    labels = rng.random(700) < 0.05
    scores = rng.normal(size=700) + labels
    assert vus_pr(labels, scores, 12) == pytest.approx(slow_vus_pr(labels, scores, 12), abs=1e-12)


def test_a_detection_a_little_late_costs_vus_pr_less_than_one_far_off():
    labels = stretches(300, (100, 109))
    late, far = stretches(300, (108, 117)).astype(float), stretches(300, (250, 259)).astype(float)
    assert auc_pr(labels, late) < vus_pr(labels, late, 20)
    assert vus_pr(labels, far, 20) < 0.1 < vus_pr(labels, late, 20)


def test_without_a_labelled_record_there_is_nothing_to_rank():
    scores = np.arange(10.0)
    assert math.isnan(auc_pr(np.zeros(10, bool), scores))
    assert math.isnan(vus_pr(np.zeros(10, bool), scores))


def test_only_the_order_of_scores_counts():
    rng = np.random.default_rng(3)
    labels, scores = rng.random(400) < 0.1, rng.normal(size=400)
    assert vus_pr(labels, scores, 30) == vus_pr(labels, np.exp(scores), 30)


@pytest.mark.parametrize(("period", "window"), [(24, 24), (288, 288), (390, 125)])
def test_the_window_is_the_season_where_there_is_one_short_enough(period, window):
    assert season_window(np.sin(np.arange(30_000) * 2 * np.pi / period)) == window


@pytest.mark.parametrize(
    "values", [np.full(1000, 3.0), np.arange(1000.0), np.full(500, np.nan), np.zeros(2), np.arange(5.0)]
)
def test_without_a_season_the_window_is_the_usual_one(values):
    assert season_window(values) == 125


def test_precision_and_recall_are_those_of_every_threshold():
    rng = np.random.default_rng(4)
    labels, scores = rng.random(200) < 0.2, rng.integers(0, 9, 200).astype(float)
    precision, recall = precision_recall(labels, scores)
    for i, threshold in enumerate(sorted(set(scores), reverse=True)):
        hit = scores >= threshold
        assert precision[i] == (labels & hit).sum() / hit.sum()
        assert recall[i] == (labels & hit).sum() / labels.sum()


def test_records_without_a_score_rank_with_the_lowest_one():
    assert ranked(np.array([np.nan, 2.0, -1.0])).tolist() == [-1.0, 2.0, -1.0]
    assert ranked(np.full(2, np.nan)).tolist() == [0.0, 0.0]
