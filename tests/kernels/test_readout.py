"""Two-stage recursive least squares against least squares on all regressors together."""

from __future__ import annotations

import naive_forecaster
import naive_learning
import numpy as np
import pytest
from support import test_kernel

from streamrnn.groups import FAST_CLIP
from streamrnn.kernels import plan
from streamrnn.kernels.readout import find_errors, predict, update_gains, update_weights
from streamrnn.kernels.vector import float64_at, int64_at, load, shift, store
from streamrnn.space import Space, aligned_bytes
from streamrnn.tables import INNOVATION_CLIP, PRIOR, ReadoutShape, read_table


@test_kernel
def _run(read, row, scratch, columns, counts):
    """Learn what each record tells of the forecasts before it, then forecast from it.

    ``columns`` = addresses of (h, lags, values, targets, learned, forecasts),
    ``counts`` = (first record, records, horizons' address).
    """
    table = int64_at(read)
    channels, width = load(table, plan.READ_CHANNELS), load(table, plan.READ_WIDTH)
    horizons, slots = load(table, plan.READ_HORIZONS), load(table, plan.READ_SLOTS)
    h, lags, values = float64_at(columns[0]), float64_at(columns[1]), float64_at(columns[2])
    targets, learned, out = float64_at(columns[3]), int64_at(columns[4]), float64_at(columns[5])
    made = float64_at(row + load(table, plan.READ_FORECAST))
    for t in range(counts[0], counts[0] + counts[1]):
        newest = (t + slots - 1) % slots
        true = shift(targets, t * horizons * channels)
        if load(learned, t) > 0:
            if load(learned, t) > 1:
                update_gains(read, row, scratch, newest, true)
            ahead = int64_at(counts[2])
            find_errors(read, row, scratch, newest, ahead, (true, channels))
            update_weights(read, row, scratch, newest, ahead)
        place = shift(h, t * load(table, plan.READ_HIDDEN))
        predict(read, row, t % slots, place, (shift(lags, t * width), lags), shift(values, t * channels))
        for k in range(horizons):
            for d in range(channels):
                forecast = load(made, k * channels + d)
                store(out, (t * horizons + k) * channels + d, forecast)


class Readout:
    """A readout by itself, with a row of its own."""

    def __init__(self, hidden=5, channels=2, lags=8, horizons=(1,), forget=0.995, clip=1.5, robust=0.0):
        shape = ReadoutShape(hidden, channels, lags, horizons, robust=robust)
        self.sizes, self.horizons = (hidden, channels, lags), np.array(horizons, np.int64)
        self.space, scratch = Space(), Space()
        table = read_table(shape, self.space, scratch, "r")
        numbers = table.view(np.float64)
        numbers[plan.READ_FORGET], numbers[plan.READ_CLIP] = forget, clip
        self.table = table.copy()
        self.row, self.scratch = aligned_bytes(self.space.size), aligned_bytes(scratch.size)
        shared = self.part("shared").reshape(hidden + 1, -1)
        shared[range(hidden + 1), range(hidden + 1)] = PRIOR
        own = self.part("own").reshape(channels, lags, lags)
        own[:, range(lags), range(lags)] = PRIOR
        self.t = 0

    def part(self, name):
        offset, count = self.space.segments[f"r.{name}"]
        return self.row[offset : offset + 8 * count].view(np.float64)

    def inverses(self):
        """(terms, terms) of the shared regressors, (channels, lags, lags) of what is left of the lags."""
        hidden, channels, lags = self.sizes
        shared = self.part("shared").reshape(hidden + 1, -1)[:, : hidden + 1]
        return shared, self.part("own").reshape(channels, lags, lags)

    def run(self, data, first=0, n=None):
        """Forecasts (n, horizons, channels) from ``first`` on."""
        columns = [np.ascontiguousarray(column) for column in data[:5]]
        forecasts = np.full((len(columns[0]), len(self.horizons), self.sizes[1]), np.nan)
        n = len(forecasts) - first if n is None else n
        addresses = tuple(column.ctypes.data for column in [*columns, forecasts])
        memory = (self.table.ctypes.data, self.row.ctypes.data, self.scratch.ctypes.data)
        _run(*memory, addresses, (first, n, self.horizons.ctypes.data))
        return forecasts[first : first + n]


def stream(readout, n, seed=0, missing=0.0, learned=None):
    """(h, lags, values, targets, learned) of ``n`` records; targets as changes since the forecast."""
    rng = np.random.default_rng(seed)
    hidden, channels, n_lags = readout.sizes
    h = np.tanh(rng.normal(size=(n, hidden)) @ rng.normal(size=(hidden, hidden)))
    values = np.zeros((n + n_lags, channels))
    for t in range(1, n + n_lags):
        values[t] = 0.9 * values[t - 1] + rng.standard_t(3, size=channels) * 0.3
    values += 0.5 * np.sin(np.arange(n + n_lags) / 20)[:, None]
    # (n, channels, lags): the newest value first
    lags = np.stack([values[n_lags - j : n + n_lags - j] for j in range(n_lags)], axis=2)
    values = values[n_lags:]
    targets = np.full((n, len(readout.horizons), channels), np.nan)
    for k, horizon in enumerate(readout.horizons):
        targets[horizon:, k] = values[horizon:] - values[:-horizon]
    targets[rng.random(targets.shape) < missing] = np.nan
    learns = np.full(n, 2, np.int64) if learned is None else np.asarray(learned, np.int64)
    learns[0] = 0
    return h, lags, values, targets, learns


def joint_forecasts(readout, data, forget, clip):
    """What least squares on [h, 1, lags] together forecasts for one step, a channel at a time."""
    h, lags, values, targets, learned = data
    expected = np.zeros((len(h), readout.sizes[1]))
    for d in range(readout.sizes[1]):
        x = np.hstack([h, np.ones((len(h), 1)), lags[:, d]])
        twin = naive_learning.JointLeastSquares(x.shape[1], 1, forget, PRIOR, clip)
        for t in range(len(h)):
            if learned[t]:
                twin.learn(0, x[t - 1], twin.gain(x[t - 1]), targets[t, 0, d])
            expected[t, d] = values[t, d] + twin.weights[0] @ x[t]
    return expected


@pytest.mark.parametrize(("hidden", "channels", "lags"), [(5, 2, 8), (1, 1, 8), (12, 3, 16)])
def test_two_stages_equal_least_squares_on_all_regressors(hidden, channels, lags):
    """Haykin, section 16.5: to rounding, over thousands of records, errors beyond the clip among them."""
    readout = Readout(hidden, channels, lags, forget=0.998, clip=1.0)
    data = stream(readout, 2500)
    assert np.sum(np.abs(np.diff(data[2], axis=0)) > 1.5) > 20  # clipping matters
    forecasts = readout.run(data)[:, 0]
    expected = joint_forecasts(readout, data, 0.998, 1.0)
    assert np.max(np.abs(forecasts - expected)) < 1e-9 * np.max(np.abs(expected))


def test_records_that_are_not_learned_from_are_skipped_by_both_forms():
    readout = Readout(forget=0.99)
    data = stream(readout, 1500, learned=2 * (np.random.default_rng(1).random(1500) < 0.8))
    expected = joint_forecasts(readout, data, 0.99, 1.5)
    assert np.max(np.abs(readout.run(data)[:, 0] - expected)) < 1e-9 * np.max(np.abs(expected))


def test_the_weights_of_longer_horizons_equal_delayed_joint_least_squares():
    """Horizon k learns from the regressors and the gain of k records ago."""
    readout = Readout(channels=1, horizons=(1, 2, 5), forget=0.995)
    data, n = stream(readout, 1200), 1200
    h, lags, _, targets, _ = data
    hidden = readout.sizes[0]
    x = np.hstack([h, np.ones((n, 1)), lags[:, 0]])
    twin = naive_learning.JointLeastSquares(x.shape[1], 3, 0.995, PRIOR, 1.5)
    gains, crosses = [], []
    for t in range(n):
        if t:
            gains.append(twin.gain(x[t - 1]))
        for k, horizon in enumerate(readout.horizons):
            if t >= horizon:
                twin.learn(k, x[t - horizon], gains[t - horizon], targets[t, k, 0])
        readout.run(data, first=t, n=1)
        crosses.append(readout.part("cross").reshape(hidden + 1, 8).copy())
    own = readout.part("own_weights").reshape(3, 8)
    shared = readout.part("shared_weights").reshape(3, -1)[:, : hidden + 1]
    for k, horizon in enumerate(readout.horizons):
        # a - G' b, with the G that the horizon's newest regressors had learned
        then = crosses[n - horizon]
        joint = np.concatenate([shared[k] - then @ own[k], own[k]])
        assert np.max(np.abs(joint - twin.weights[k])) < 1e-9 * np.max(np.abs(twin.weights[k]))


def test_forecasts_of_several_horizons_do_not_disturb_each_other():
    several, one = Readout(horizons=(1, 3)), Readout()
    data = stream(several, 400)
    only_first = (*data[:3], data[3][:, :1], data[4])
    assert np.array_equal(several.run(data)[:, 0], one.run(only_first)[:, 0])


def test_a_forecast_far_ahead_learns():
    readout = Readout(channels=1, horizons=(1, 20), forget=0.9995)
    data = stream(readout, 4000)
    forecasts, values = readout.run(data), data[2]
    errors = values[3000:, 0] - forecasts[2980:-20, 1, 0]
    persistence = values[3000:, 0] - values[2980:-20, 0]
    assert np.mean(np.abs(errors)) < 0.8 * np.mean(np.abs(persistence))


def test_a_record_never_learned_from_moves_nothing():
    """Not even the weights of later horizons, whose target comes when others are learned from again."""
    readout = Readout(horizons=(1, 3))
    learned = np.full(60, 2)
    learned[50:53] = 0
    data = stream(readout, 60, learned=learned)
    readout.run(data, 0, 53)
    names = ("shared", "cross", "own", "shared_weights", "own_weights")
    before = {name: readout.part(name).copy() for name in names}
    # Record 53 brings the target of horizon 3 for record 50, whose gain was never made.
    data[4][53] = 1
    data[3][53, 0] = np.nan
    readout.run(data, 53, 1)
    for name in names:
        assert np.array_equal(readout.part(name), before[name]), name


def test_a_missing_channel_stays_as_it_was_and_the_others_go_on():
    readout, other = Readout(channels=3, horizons=(1, 2)), Readout(channels=3, horizons=(1, 2))
    data = stream(readout, 300)
    for each in (readout, other):
        each.run(data, 0, 200)
    names = ("own", "own_weights")
    before = {name: readout.part(name).copy() for name in names}
    weights_before = readout.part("shared_weights").reshape(2, 3, 8).copy()
    data[3][200:, :, 1] = np.nan
    readout.run(data, 200, 50)
    assert np.array_equal(readout.part("own").reshape(3, -1)[1], before["own"].reshape(3, -1)[1])
    own = readout.part("own_weights").reshape(2, 3, 8)
    assert np.array_equal(own[:, 1], before["own_weights"].reshape(2, 3, 8)[:, 1])
    shared = readout.part("shared_weights").reshape(2, 3, 8)
    assert np.array_equal(shared[:, 1], weights_before[:, 1])
    # The others see the same bits as if it were not missing.
    full = stream(other, 300)
    other.run(full, 200, 50)
    for name in ("own_weights", "shared_weights"):
        mine, theirs = (each.part(name).reshape(2, 3, 8) for each in (readout, other))
        assert np.array_equal(mine[:, [0, 2]], theirs[:, [0, 2]]), name


def test_forecasts_stay_sane_while_targets_come_and_go():
    readout = Readout(channels=3, horizons=(1, 4))
    data = stream(readout, 3000, missing=0.4)
    forecasts = readout.run(data)
    assert np.isfinite(forecasts).all()
    error = data[2][1:] - forecasts[:-1, 0]
    assert np.mean(np.abs(error[1000:])) < 1.1 * np.mean(np.abs(np.diff(data[2], axis=0)))


@pytest.mark.parametrize("forget", [0.98, 0.9998])
def test_after_100_000_records_matrices_are_symmetric_to_the_bit_and_positive(forget):
    readout = Readout(hidden=6, channels=2, forget=forget)
    data = list(stream(readout, 100_000))
    data[0][:, 3] = 0.25  # a unit that never moves: collinear with the constant
    data[0][50_000:, 4] = 0.0  # and one that dies
    readout.run(data)
    for matrix in (readout.inverses()[0], *readout.inverses()[1]):
        assert np.array_equal(matrix, matrix.T)
        values = np.linalg.eigvalsh(matrix)
        assert values.min() > 0.0
        assert values.max() < 2e3 * len(values)
    padded = readout.part("shared").reshape(7, -1)[:, 7:]
    assert not np.any(padded)


def test_a_matrix_that_lost_its_sense_starts_anew():
    """Not a number, or negative: as bad memory could leave it, whatever the cause."""
    for bad in (np.nan, -1.0, np.inf):
        readout = Readout()
        data = stream(readout, 3000)
        readout.run(data, 0, 1000)
        readout.inverses()[0][0, 0] = bad
        readout.inverses()[1][1, 2, 2] = bad
        forecasts = readout.run(data, 1000)
        assert np.isfinite(forecasts).all(), bad
        for matrix in (readout.inverses()[0], *readout.inverses()[1]):
            assert np.isfinite(matrix).all(), bad
            assert np.linalg.eigvalsh(matrix).min() > 0.0


def test_chunks_of_any_size_give_the_same_bits():
    whole, cut = Readout(horizons=(1, 3)), Readout(horizons=(1, 3))
    data = stream(whole, 300)
    expected = whole.run(data)
    parts = [cut.run(data, first, 37) for first in range(0, 296, 37)]
    assert np.array_equal(np.concatenate(parts), expected[:296])


# ---------------------------------------------------------------- fast readouts


def fast(horizons=(1,), **changes):
    """A readout of one channel whose clip follows its own errors."""
    return Readout(channels=1, horizons=horizons, robust=FAST_CLIP, clip=INNOVATION_CLIP, **changes)


def with_outliers(data):
    """The same stream, with targets of all sizes between those that fit."""
    rng = np.random.default_rng(9)
    places = rng.random(data[3].shape) < 0.02
    data[3][places] += (rng.normal(size=data[3].shape) * 10.0 ** rng.uniform(0, 6, data[3].shape))[places]
    return data


@pytest.mark.parametrize("forget", [0.99, 0.998, 0.9998])
def test_a_fast_readout_equals_its_twin_whatever_the_outliers(forget):
    readout = fast((1, 3), forget=forget)
    data = with_outliers(stream(readout, 1500, missing=0.1))
    h, lags, values, targets, learned = data
    learned[np.isnan(targets[:, 0, 0])] = 1  # as ``heads.py`` does: no gains from a record without a target
    learned[0] = 0
    twin, kept, expected = naive_forecaster.Head(5, 8, 2, forget), [], []
    for t in range(len(h)):
        known = ~np.isnan(targets[t, :, 0])
        if t and known[0]:
            twin.learn_gains(kept[-1], np.array([True]))
        for k in np.flatnonzero(known) if t else ():
            record = kept[t - readout.horizons[k]]
            twin.move(k, record, twin.error(k, record, targets[t, k, 0]))
        kept.append(twin.regressors(h[t], lags[t]))
        expected.append(values[t] + twin.changes(kept[-1]))
    found = readout.run(data)
    assert np.max(np.abs(found - expected)) < 1e-9 * np.max(np.abs(expected))
    np.testing.assert_allclose(readout.part("scale"), [clip.scale for clip in twin.clips], rtol=1e-9)
    np.testing.assert_array_equal(readout.part("known"), [clip.known for clip in twin.clips])


@pytest.mark.parametrize("outlier", [1e2, -1e2, 1e6, 1e300])
def test_a_giant_outlier_moves_a_fast_readout_no_more_than_its_clip_allows(outlier):
    """By the gain times .875 times the mean error, which the outlier raises by 4 % at most."""
    readout = fast((1, 2))
    data = stream(readout, 600)
    readout.run(data, 0, 599)
    scale, before = readout.part("scale")[0], readout.part("own_weights")[:8].copy()
    data[3][599, 0] = outlier
    readout.run(data, 599, 1)
    allowed = FAST_CLIP * (scale + 0.01 * (4.0 * scale + 1e-6))
    gain = readout.part("own_gain").reshape(2, 8)[598 % 2]
    moved = readout.part("own_weights")[:8] - before
    np.testing.assert_allclose(moved, np.sign(outlier) * allowed * gain, rtol=1e-9, atol=1e-15)


def test_a_first_error_counts_as_three_at_most_and_a_mean_of_zero_may_grow_again():
    readout = fast()
    data = stream(readout, 60)
    for column in data[:4]:
        column[:] = 0.0
    data[3][1], data[4][0] = 1e9, 0
    readout.run(data, 0, 2)
    assert readout.part("scale")[0] == INNOVATION_CLIP
    still = fast()
    data[3][:] = 0.0
    still.run(data, 0, 50)
    assert still.part("scale")[0] == 0.0
    data[3][50:] = 1.0
    still.run(data, 50)
    assert still.part("scale")[0] > 0.01


def test_the_leverage_is_that_of_the_joint_problem():
    """z' P z with P before it learned z; 0 of a record that nothing was learned from."""
    readout = fast((1, 4), forget=0.998)
    learned = 2 * (np.random.default_rng(1).random(800) < 0.8)
    data = stream(readout, 800, learned=learned)
    x = np.hstack([data[0], np.ones((800, 1)), data[1][:, 0]])
    twin, expected = naive_learning.JointLeastSquares(x.shape[1], 1, 0.998, PRIOR, np.inf), np.zeros(800)
    for t in range(1, 800):
        if data[4][t]:
            expected[t - 1] = x[t - 1] @ twin.inverse @ x[t - 1]
            twin.gain(x[t - 1])
        readout.run(data, t - 1 if t == 1 else t, 2 if t == 1 else 1)
        ring = readout.part("leverage")
        for back in range(1, min(t, 4)):
            found = ring[(t - back) % 4]
            assert found == pytest.approx(expected[t - back], rel=1e-9, abs=1e-12), (t, back)
