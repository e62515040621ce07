"""Priors: what is pooled, what begins from it, and that nothing else has a say in that."""

from __future__ import annotations

import zlib
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from fleets import DictSpill, assert_same, run, some
from hypothesis import given
from hypothesis import strategies as st

from streamrnn import Batch, DataError, Detector, Fleet, Prior, Settings, SettingsError, StateError, pooling
from streamrnn.adapters.weights import weights_of
from streamrnn.initial import initial_row
from streamrnn.layout import ModelLayout
from streamrnn.pipelines.threads import Threads
from streamrnn.pooled import fitting, readouts
from streamrnn.pooling import blank_prior, fit_prior
from streamrnn.spill import Keeping

MINUTE = 60 * 10**9
LINEAR = Settings(hidden=0, season="off")
SHARED = Settings(preset="shared")
MIXED = Settings(
    channels=("a", "b"), networks=("gru", "diagonal_lstm:5", "ar:8"), hidden=5, horizons=(1, 3), k2=4
)


def alike(code, n, channels=1):
    """A wave and noise, faster or slower by the series."""
    rng = np.random.default_rng(code)
    t = np.arange(n)[:, None] + 9.0 * np.arange(channels)
    return np.sin(t * (0.2 + 0.02 * (code % 7)) + code) + 0.1 * rng.normal(size=(n, channels))


def batch_of(series, factor=1.0):
    """All records of some series of (n, channels) values, one series behind the other."""
    lengths = [len(values) for values in series]
    offsets = np.concatenate([np.arange(n) for n in lengths])
    codes = np.repeat(np.arange(len(series), dtype=np.int32), lengths)
    values = np.concatenate(series) * factor
    return Batch(codes, offsets * MINUTE, values, np.zeros(len(codes), np.int32), offsets)


@pytest.fixture(scope="module")
def prior():
    return fit_prior([batch_of([alike(code, 1500) for code in range(6)])], LINEAR)


@pytest.fixture(scope="module")
def mixed():
    return fit_prior([batch_of([alike(code, 700, 2) for code in range(3)])], MIXED)


@pytest.fixture(scope="module")
def shared():
    return blank_prior(SHARED)  # of a fitted one only the numbers are others


def sealed(body):
    return body + zlib.crc32(body).to_bytes(4, "little")


# ---------------------------------------------------------------- bytes


def test_neither_batches_nor_units_nor_seeds_of_linear_models_change_a_byte_of_a_prior(prior):
    series = [alike(code, 1500) for code in range(6)]
    batch = batch_of(series, 2.0**40)
    mixed_up = np.random.default_rng(0).permutation(len(batch))
    mixed_up = mixed_up[np.argsort(batch.times[mixed_up], kind="stable")]
    parts = [some(batch, rows) for rows in np.array_split(mixed_up, 7)]
    assert fit_prior(parts, replace(LINEAR, seed=9)).data == prior.data
    assert (prior.series, prior.records) == (6, 9000)
    assert Prior.from_bytes(prior.data) == prior and prior.digest in str(Settings(prior=prior).to_dict())


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_and_any_cut_of_a_prior_is_noticed(prior, place, bit):
    at = int(place * len(prior.data))
    changed = bytearray(prior.data)
    changed[at] ^= 1 << bit
    for data in (bytes(changed), prior.data[:at]):
        with pytest.raises(StateError):
            Prior.from_bytes(data)


def test_a_prior_of_another_format_says_what_to_do(prior):
    with pytest.raises(StateError, match="fit it anew"):
        Prior.from_bytes(sealed(prior.data[:8] + b"\x02" + prior.data[9:-4]))
    with pytest.raises(StateError, match="no prior"):
        Prior.from_bytes(Fleet(LINEAR).to_bytes())


def test_numbers_that_are_too_few_or_not_finite_never_reach_a_row(prior):
    short = Prior.from_bytes(sealed(prior.data[:-12]))
    with pytest.raises(StateError, match="its settings need"):
        Fleet(replace(LINEAR, prior=short))
    broken = Prior.from_bytes(sealed(prior.data[:-12] + np.float64(np.nan).tobytes()))
    with pytest.raises(StateError, match="not finite"):
        Fleet(replace(LINEAR, prior=broken))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"networks": ("lstm",)}, "networks lstm, gru, diagonal_lstm, here it is lstm"),
        ({"preset": "light"}, "with preset default"),
        ({"hidden": 5}, "with hidden 0, here it is 5"),
        ({"lags": 16}, "lags"),
        ({"horizons": (1, 6)}, "with horizons 1, here it is 1, 6"),
        ({"channels": ("a", "b")}, "records of 1 values, here each has 2"),
    ],
)
def test_a_prior_of_other_settings_is_refused_with_both(prior, changes, words):
    asked = {**LINEAR.to_dict(), "networks": (), "prior": prior, **changes}
    with pytest.raises(SettingsError, match=words):
        Fleet(Settings(**asked))


def test_what_is_no_prior_is_refused_as_a_setting():
    with pytest.raises(SettingsError, match=r"Prior.from_bytes"):
        Settings(prior="prior.bin")
    with pytest.raises(SettingsError, match="prior is int"):
        Settings(prior=3)


def test_series_that_are_too_short_make_no_prior():
    with pytest.raises(DataError, match="no series has 200 records"):
        fit_prior([batch_of([alike(0, 199)])], LINEAR)


# ---------------------------------------------------------------- one model


@pytest.mark.parametrize("which", ["prior", "shared"])
def test_a_fleet_that_begins_from_a_prior_gives_the_bits_of_detectors_also_spilled_and_saved(which, request):
    prior = request.getfixturevalue(which)
    options = {"preset": "shared"} if which == "shared" else {"hidden": 0, "season": "off"}
    settings = Settings(**options, prior=prior)
    values = [alike(code, 400) for code in range(20, 26)]
    batch = batch_of(values)
    order = np.argsort(batch.times, kind="stable")
    whole = run(_fleet(settings), some(batch, order))
    keeping = Keeping(2 * Fleet.bytes_per_series(settings), DictSpill())
    assert_same(run(_fleet(settings, keeping), some(batch, order), cuts=(3, 700, 1111)), whole)
    with closing(Threads(3)) as workers:
        assert_same(run(_fleet(settings, Keeping(workers=workers)), some(batch, order), cuts=(900,)), whole)
    began = _fleet(settings)
    first = run(began, some(batch, order[:1000]))
    again = Fleet.from_bytes(began.to_bytes())  # without the file
    assert again.settings.prior == prior
    rest = run(again, some(batch, order[1000:]))
    assert_same({name: np.concatenate([first[name], rest[name]]) for name in first}, whole)
    for code, mine in enumerate(values):
        detector = Detector(prior=prior, **options)
        times = (np.arange(400) * MINUTE).astype("datetime64[ns]")
        found = detector.process_many(mine, times)
        rows = batch.series[order] == code
        np.testing.assert_array_equal(found["anomaly_score"], whole["anomaly_score"][rows])
        np.testing.assert_array_equal(found["yhat"], whole["yhat"][rows, 0])


def _fleet(settings, keeping=None):
    fleet = Fleet(settings, keeping)
    fleet.series(f"s{code}" for code in range(6))
    return fleet


def test_a_shared_network_says_what_a_copy_in_each_row_would_that_never_learns(shared):
    values = [alike(code, 250) for code in range(90, 93)]
    for series in values:
        series[100:103] = np.nan  # masked steps
    batch = batch_of(values)
    batch = some(batch, np.argsort(batch.times, kind="stable"))
    copied = replace(fitting(SHARED), prior=blank_prior(fitting(SHARED)), learning_rate=0.0)
    assert_same(run(_fleet(replace(SHARED, prior=shared)), batch), run(_fleet(copied), batch))


def test_the_row_of_a_series_has_no_weights_that_it_shares_and_fits_what_is_said_of_it(shared):
    layout = ModelLayout(replace(SHARED, prior=shared))
    assert layout.row.segments["network0.h"][1] == 16 and "network0.weights" not in layout.row.segments
    assert Fleet.bytes_per_series(SHARED) < 14_000 < Fleet.bytes_per_series(Settings(preset="light"))


def test_shared_networks_need_a_prior_and_stand_alone_and_have_cells_whose_state_is_h():
    with pytest.raises(SettingsError, match="share the weights of a prior"):
        Fleet(SHARED)
    with pytest.raises(SettingsError, match="make all shared, or none"):
        Settings(networks=("rnn:7:shared", "gru"))
    with pytest.raises(SettingsError, match="shared is for gru, rnn"):
        Settings(networks=("lstm:7:shared",))


def test_weights_that_all_series_share_are_nobodys_to_set(shared):
    fleet = Fleet(replace(SHARED, prior=shared))
    fleet.series(["a"])
    with pytest.raises(DataError, match="all series share"):
        weights_of(fleet, "a")


def test_a_forgotten_series_and_one_that_is_new_after_a_restart_begin_from_the_prior(prior):
    settings = replace(LINEAR, prior=prior)
    values = [alike(code, 300) for code in (30, 31)]
    expected = run(Fleet(settings), batch_of(values[1:]))
    fleet = Fleet(settings)
    run(fleet, batch_of(values[:1]))
    late = Fleet.from_bytes(fleet.to_bytes())
    late.series(["s1"])
    late._forget(np.array([0]))
    for code in (0, 1):
        batch = batch_of(values[1:])
        found = run(late, replace(batch, series=np.full(300, code, np.int32)))
        assert_same(found, expected)


def test_a_detector_that_saw_nothing_keeps_its_prior(prior):
    detector = Detector.from_bytes(Detector(prior=prior, hidden=0, season="off").to_bytes())
    detector.process_many(alike(40, 120))
    assert detector.settings.prior == prior and detector.clone().settings.prior == prior
    assert detector.process_one(0.0).status == "provisional"


def test_another_prior_is_refused_for_a_saved_state_and_the_same_one_accepted(prior):
    other = fit_prior([batch_of([alike(code, 300) for code in range(2)])], LINEAR)
    warm, cold = (Fleet(replace(LINEAR, prior=one)).to_bytes() for one in (prior, None))
    assert Fleet.from_bytes(warm, prior=prior).settings.prior == prior
    for state, asked in ((warm, other), (cold, prior), (warm, None)):
        with pytest.raises(SettingsError, match="prior is"):
            Fleet.from_bytes(state, prior=asked)
    fleet = Fleet.from_bytes(warm)
    fleet.retune(false_alarms=1e-2)
    assert fleet.settings.prior == prior


def test_a_power_of_two_in_the_unit_changes_no_bit_of_a_series_that_begins_from_a_prior(mixed):
    settings, values = replace(MIXED, prior=mixed), alike(50, 300, 2)
    one = Fleet(settings).process(batch_of([values]))
    for power in (-60, 30):
        other = Fleet(settings).process(batch_of([values * 2.0**power]))
        for name in ("anomaly_score", "p_value", "alert_strength", "status"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        np.testing.assert_array_equal(one.yhat * 2.0**power, other.yhat)


# ---------------------------------------------------------------- what it is worth


@pytest.mark.parametrize("which", ["prior", "mixed"])
def test_a_series_like_those_of_a_prior_is_forecast_better_from_the_start(which, request):
    pooled = request.getfixturevalue(which)
    cold = LINEAR if which == "prior" else MIXED
    errors = []
    for settings in (cold, replace(cold, prior=pooled)):
        missed = []
        for code in range(60, 66):
            batch = batch_of([alike(code, 200, len(cold.channels))])
            found = Fleet(settings).process(batch)
            missed.append(np.nanmean(np.abs(found.yhat - batch.values)[20:]))
        errors.append(np.mean(missed))
    assert errors[1] < 0.98 * errors[0]


def test_a_prior_shortens_the_warm_up_but_not_the_way_to_calibrated(prior):
    batch = batch_of([alike(70, 1000)])
    first = {}
    for name, begun in (("cold", None), ("warm", prior)):
        settings = replace(LINEAR, prior=begun, false_alarms=1e-2)
        status = Fleet(settings).process(batch).status
        first[name] = [int(np.argmax(status == which)) for which in (1, 2)]
    assert first["cold"][0] == 150 and first["warm"][0] == 100
    assert first["warm"][1] >= 100 + 300  # 3 / level records that are normal, each scored


@pytest.mark.parametrize("settings", [LINEAR, replace(MIXED, season="off")], ids=["one channel", "two"])
def test_a_prior_of_one_series_that_counts_for_all_begins_as_that_series_ended(settings, monkeypatch):
    layout = ModelLayout(settings)
    fleet = Fleet(settings)
    fleet.process(batch_of([alike(80, 600, len(settings.channels))]))
    row, start = fleet.row(0), initial_row(layout)
    for readout in readouts(layout):
        share = pooling._remembered(layout, row, readout.forget) * pooling._noise(layout, row)
        monkeypatch.setattr(pooling, "_WORTH", 1e9 * share)
        pooling._pool_readout(layout, readout, [row], start)
        mine, theirs = (pooling._segments(layout, readout, one) for one in (start, row))
        terms = readout.hidden + 1
        np.testing.assert_allclose(mine[0][:terms, :terms] * 1e9, theirs[0][:terms, :terms], rtol=1e-3)
        for k, at in ((1, slice(terms)), (4, slice(None))):
            np.testing.assert_allclose(mine[k][at], theirs[k][at], rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(mine[3][..., :terms], theirs[3][..., :terms], rtol=1e-3, atol=1e-5)
