from __future__ import annotations

import numpy as np
import pytest

from streamrnn import Settings
from streamrnn.pipelines import tally as tally_module
from streamrnn.pipelines.baselines import channel_summaries, season_of
from streamrnn.pipelines.tally import Tally

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
SLOPE = 39.0  # records: autoregression, which follows any slope, can then be compared on 29, too few to count


def channel_of(tally, seasonal=False):
    races = tally.races(slice(0, tally.n_series))
    (channel,) = channel_summaries(races, ("value",), [float("nan")], seasonal=seasonal)
    return channel


def ratios(channel):
    return {baseline.name: baseline.ratio for baseline in channel.baselines}


@pytest.mark.parametrize(
    ("step_s", "season"),
    [
        (0, 0),
        (1, 0),  # 86,400 records are too many to keep
        (8.64, 10_000),
        (60, 1440),
        (3600, 24),
        (3601, 24),
        (6 * 3600, 4),
        (12 * 3600, 0),
        (86_400, 7),
        (30 * 86_400, 0),
        (float("nan"), 0),
    ],
)
def test_the_season_is_a_day_or_of_daily_records_a_week(step_s, season):
    assert season_of(step_s * 1e9) == season


def test_a_daily_pattern_is_forecast_best_by_the_day_before(batch_of, results_of):
    day = np.random.default_rng(0).normal(size=24)
    values = np.tile(day, 10)
    tally = Tally(Settings(), season=24, step_ns=HOUR)
    tally.add(batch_of(values), results_of(240, yhat=values[:, None] + 0.5))
    channel = channel_of(tally, seasonal=True)
    seasonal = channel.baselines[1]
    assert (seasonal.name, seasonal.compared, seasonal.error) == ("seasonal", 216, 0.0)
    assert ratios(channel)["seasonal"] == np.inf
    assert ratios(channel)["last_value"] < 1
    assert (channel.wins, channel.ties, channel.loses, channel.hardest) == (0, 0, 1, "seasonal")


def test_a_season_ago_is_found_by_time_across_gaps_and_jitter(batch_of, results_of):
    values = np.arange(30.0)
    batch = batch_of(values)
    batch.times[:] += np.random.default_rng(1).integers(-HOUR // 3, HOUR // 3, 30)
    batch.times[0] = 0
    batch.times[15:] += 24 * HOUR - 15 * HOUR  # the next day at the hour of the first record
    tally = Tally(Settings(), season=24, step_ns=HOUR)
    tally.add(batch, results_of(30))
    seasonal = channel_of(tally, seasonal=True).baselines[1]
    assert (seasonal.compared, seasonal.error) == (15, 15.0)


def test_without_times_there_is_no_season(batch_of, results_of):
    batch = batch_of(np.arange(100.0))
    batch.times[:] = np.iinfo(np.int64).min
    tally = Tally(Settings(), season=24, step_ns=HOUR)
    tally.add(batch, results_of(100))
    assert channel_of(tally, seasonal=True).baselines[1].compared == 0


def test_the_season_is_kept_for_as_many_series_as_fit_into_its_memory(monkeypatch, batch_of, results_of):
    monkeypatch.setattr(tally_module, "SEASON_BYTES", 2 * 24 * 16)
    tally = Tally(Settings(), season=24, step_ns=HOUR)
    for code in range(5):
        batch = batch_of(np.zeros(50))
        batch.series[:] = code
        tally.add(batch, results_of(50))
    assert tally.seasonal_series == 2
    counts, _ = tally.races(slice(0, 5))
    assert (counts[:, 0, 3] > 0).tolist() == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("factor", "verdict"), [(0.97, (1, 0, 0)), (0.99, (0, 1, 0)), (1.019, (0, 1, 0)), (1.03, (0, 0, 1))]
)
def test_within_two_per_cent_of_the_hardest_baseline_is_a_tie(batch_of, results_of, factor, verdict):
    values, tally = np.arange(SLOPE), Tally(Settings())
    tally.add(batch_of(values), results_of(len(values), yhat=(values - factor)[:, None]))
    channel = channel_of(tally)
    assert ratios(channel)["last_value"] == pytest.approx(factor)
    assert channel.hardest == "last_value"  # a mean of the past lags behind a slope
    assert (channel.wins, channel.ties, channel.loses) == verdict


def test_of_few_values_no_verdict_is_said(batch_of, results_of):
    tally = Tally(Settings())
    tally.add(batch_of(np.arange(30.0)), results_of(30))
    channel = channel_of(tally)
    assert (channel.wins, channel.ties, channel.loses, channel.hardest) == (0, 0, 0, None)


def test_a_constant_series_is_a_tie(batch_of, results_of):
    tally = Tally(Settings())
    tally.add(batch_of(np.full(100, 5.0)), results_of(100, yhat=np.full((100, 1), 5.0)))
    channel = channel_of(tally)
    assert ratios(channel) == {"last_value": 1.0, "ewma": 1.0, "linear": 1.0}
    assert channel.ties == 1


def test_of_several_series_the_median_counts_whatever_their_units(batch_of, results_of):
    tally = Tally(Settings())
    for code, (scale, factor) in enumerate([(1e-6, 0.5), (1.0, 0.6), (1e9, 3.0)]):
        values = scale * np.arange(SLOPE)
        batch = batch_of(values)
        batch.series[:] = code
        tally.add(batch, results_of(len(values), yhat=(values - factor * scale)[:, None]))
    channel = channel_of(tally)
    assert ratios(channel)["last_value"] == pytest.approx(0.6)
    assert (channel.wins, channel.ties, channel.loses, channel.hardest) == (2, 0, 1, None)
