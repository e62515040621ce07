"""What forecasts a channel: groups of networks with fast heads, and the mixture of what they say.

Detection reads the slow readouts of its own networks (``ensemble.py``), since a forecaster
that adapts fast absorbs the anomaly; what users read is said here. Each channel has its own
groups, which see the channel, the time of day, and other channels.
"""

from __future__ import annotations

from math import isnan
from typing import Any

from numba.extending import overload

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import WITHIN, inlined, kernel
from streamrnn.kernels.features import PER_CHANNEL
from streamrnn.kernels.heads import find_all_errors, head_table, update_all_weights
from streamrnn.kernels.mixture import learn_shares
from streamrnn.kernels.network import hidden_address, input_address, step
from streamrnn.kernels.readout import predict, switch_extra
from streamrnn.kernels.residuals import forecast_slot
from streamrnn.kernels.season import observe, seasonal_lag
from streamrnn.kernels.slots import next_step
from streamrnn.kernels.trainers.protocol import trainer_follow, trainer_learn
from streamrnn.kernels.vector import float64_at, int64_at, load, never_inline, shift, store

OF_CHANNEL = 5  # inputs of a channel's network: value, difference, deviations from three slow means
OF_TIME = 2  # sine and cosine of the time of day
_BEYOND = 0.5  # scaled: what an expert says may leave the range seen so far by this


@inlined
def _forecaster(model):
    return model + load(int64_at(model), plan.MODEL_FORECASTER)


@inlined
def _group(model, i):
    table = int64_at(_forecaster(model))
    return _forecaster(model) + load(table, plan.FORE_GROUP_TABLES) + i * load(table, plan.FORE_GROUP_BYTES)


# ---------------------------------------------------------------- learning


@kernel
def learn_first(group_tag, i, model, row, scratch, places):
    """Group ``i``'s network learns from its heads' errors, then its heads do."""
    never_inline()
    newest, horizons, shares, width = places
    group = _group(model, i)
    own = shift(shares, load(int64_at(group), plan.GROUP_FIRST))
    trainer_learn(group_tag.trainer, group_tag.cell, group, row, scratch, (newest, horizons, own, width))
    update_all_weights(group, row, scratch, newest, horizons)
    return 0


@kernel
def _mix(model, row, scratch, d, newest, horizons):
    """Errors of every head, then the shares of every horizon that has a target."""
    table, fore = int64_at(model), int64_at(_forecaster(model))
    channels, slots = load(table, plan.MODEL_CHANNELS), load(table, plan.MODEL_SLOTS)
    changes = shift(float64_at(scratch + load(table, plan.MODEL_CHANGES)), d)
    for i in range(load(fore, plan.FORE_GROUPS)):
        find_all_errors(_group(model, i), row, scratch, newest, horizons, changes)
    actual = shift(float64_at(scratch + load(table, plan.MODEL_ACTUAL)), d)
    count, width = load(table, plan.MODEL_HORIZONS), load(fore, plan.FORE_WIDTH)
    sizes = (load(fore, plan.FORE_EXPERTS), width)
    for k in range(count):
        truth = load(actual, k * channels)
        if isnan(truth):
            continue
        slot = forecast_slot(newest, load(horizons, k), slots)
        said = shift(float64_at(row + load(fore, plan.FORE_SAID)), (slot * count + k) * width)
        shares = shift(float64_at(row + load(fore, plan.FORE_SHARES)), k * width)
        state = shift(float64_at(row + load(fore, plan.FORE_MIXING)), 2 * k)
        learn_shares(shares, state, said, truth, load(horizons, k), sizes)


def learn_groups(groups: Any, i: int, model: int, row: int, scratch: int, places: Any) -> Any:
    """Let every group learn what came true, ``row`` being the channel's part of the row."""


def step_groups(groups: Any, i: int, model: int, row: int, scratch: int, places: Any) -> Any:
    """Step every group and let its heads forecast; ``places`` = (ring slot, masked, channel)."""


@kernel
def learn_forecasts(groups, model, row, scratch):
    """Let the forecasters of all channels learn what came true."""
    table = int64_at(model)
    fore = int64_at(_forecaster(model))
    newest = load(int64_at(row + load(table, plan.MODEL_COUNTERS)), plan.STEP_SLOT)
    horizons = int64_at(model + load(table, plan.MODEL_HORIZON_LIST))
    for d in range(load(table, plan.MODEL_CHANNELS)):
        own = row + d * load(fore, plan.FORE_BLOCK)
        _mix(model, own, scratch, d, newest, horizons)
        shares = float64_at(own + load(fore, plan.FORE_SHARES))
        learn_groups(groups, 0, model, own, scratch, (newest, horizons, shares, load(fore, plan.FORE_WIDTH)))


# ---------------------------------------------------------------- forecasting


@kernel
def _see(model, row, own, scratch, d):
    """Write the inputs that a channel's networks share, and take in its newest value."""
    table, fore = int64_at(model), int64_at(_forecaster(model))
    channels = load(table, plan.MODEL_CHANNELS)
    inputs = float64_at(scratch + load(table, plan.MODEL_INPUTS))
    values = float64_at(row + load(table, plan.MODEL_VALUE))
    x = float64_at(scratch + load(fore, plan.FORE_X))
    for j in range(OF_CHANNEL):
        store(x, j, load(inputs, d * PER_CHANNEL + j))
    for j in range(OF_TIME):
        store(x, OF_CHANNEL + j, load(inputs, channels * PER_CHANNEL + j))
    for n in range(load(fore, plan.FORE_OTHERS)):
        store(x, OF_CHANNEL + OF_TIME + n, load(values, n if n < d else n + 1))
    past = float64_at(own + load(fore, plan.FORE_PAST))
    for j in range(load(fore, plan.FORE_LAGS) - 1, 0, -1):
        store(past, j, load(past, j - 1))
    u = load(values, d)
    store(past, 0, u)
    farthest = float64_at(own + load(fore, plan.FORE_FARTHEST))
    store(farthest, 0, max(load(farthest, 0), abs(u)))
    if load(fore, plan.FORE_RING) > 0:
        _look_back(model, own, scratch, u)


@kernel
def _look_back(model, row, scratch, u):
    """Watch for a season; write the values one season before each horizon, 0 while there is none."""
    never_inline()
    table, fore = int64_at(model), int64_at(_forecaster(model))
    season, ring = row + load(fore, plan.FORE_SEASON), load(fore, plan.FORE_RING)
    observe(season, scratch + load(fore, plan.FORE_SEARCH), ring, u)
    horizons = int64_at(model + load(table, plan.MODEL_HORIZON_LIST))
    seasonal = float64_at(scratch + load(fore, plan.FORE_SEASONAL))
    known = True
    for k in range(load(table, plan.MODEL_HORIZONS)):
        before = seasonal_lag(season, ring, load(horizons, k))
        known = known and not isnan(before)
        store(seasonal, k, 0.0 if isnan(before) else before)
    was = int64_at(row + load(fore, plan.FORE_IN_SEASON))
    if known == (load(was, 0) == 1):
        return
    store(was, 0, 1 if known else 0)
    for i in range(load(fore, plan.FORE_GROUPS)):
        group = _group(model, i)
        for e in range(load(int64_at(group), plan.GROUP_HEADS)):
            switch_extra(head_table(group, e), row, known)


@inlined
def _write_regressors(model, group, row, own, scratch, d):
    """The lags that a group's heads see: of the channel, then of the others."""
    table, fore, sizes = int64_at(model), int64_at(_forecaster(model)), int64_at(group)
    lags, others = load(sizes, plan.GROUP_LAGS), load(sizes, plan.GROUP_OTHER_LAGS)
    out = float64_at(scratch + load(sizes, plan.GROUP_REGRESSORS))
    past = float64_at(own + load(fore, plan.FORE_PAST))
    for j in range(lags):
        store(out, j, load(past, j))
    everybody = float64_at(row + load(table, plan.MODEL_LAG_VALUES))
    if others > 0:
        for n in range(load(fore, plan.FORE_OTHERS)):
            other = (n if n < d else n + 1) * load(table, plan.MODEL_LAGS)
            for j in range(others):
                store(out, lags + n * others + j, load(everybody, other + j))
    return out


@kernel
def step_first(group_tag, i, model, row, scratch, places):
    """Group ``i`` takes one step; what its heads say joins the ring."""
    never_inline()
    cell = group_tag.cell
    slot, masked, d = places
    table, fore, group = int64_at(model), int64_at(_forecaster(model)), _group(model, i)
    own = row + d * load(fore, plan.FORE_BLOCK)
    net = group + load(int64_at(group), plan.GROUP_NET)
    now = next_step(net, own)
    place, x = input_address(cell, net, own, now), float64_at(scratch + load(fore, plan.FORE_X))
    for j in range(load(fore, plan.FORE_INPUTS)):
        store(place, j, load(x, j))
    step(cell, net, own, now, masked)
    trainer_follow(group_tag.trainer, cell, group, own, (slot, masked))
    regressors = _write_regressors(model, group, row, own, scratch, d)
    values = shift(float64_at(row + load(table, plan.MODEL_VALUE)), d)
    seasonal = float64_at(scratch + load(fore, plan.FORE_SEASONAL))
    count, width = load(table, plan.MODEL_HORIZONS), load(fore, plan.FORE_WIDTH)
    said = shift(float64_at(own + load(fore, plan.FORE_SAID)), slot * count * width)
    most = load(float64_at(own + load(fore, plan.FORE_FARTHEST)), 0) + _BEYOND
    for e in range(load(int64_at(group), plan.GROUP_HEADS)):
        read = head_table(group, e)
        predict(read, own, slot, hidden_address(cell, net, own, now), (regressors, seasonal), values)
        made = float64_at(own + load(int64_at(read), plan.READ_FORECAST))
        expert = load(int64_at(group), plan.GROUP_FIRST) + e
        for k in range(count):
            store(said, k * width + expert, min(max(load(made, k), -most), most))
    return 0


@kernel
def _say(model, row, own, d, slot):
    """The forecasts of all horizons: what the experts said, mixed."""
    table, fore = int64_at(model), int64_at(_forecaster(model))
    channels, count, width = (
        load(table, plan.MODEL_CHANNELS),
        load(table, plan.MODEL_HORIZONS),
        load(fore, plan.FORE_WIDTH),
    )
    u = load(float64_at(row + load(table, plan.MODEL_VALUE)), d)
    said = shift(float64_at(own + load(fore, plan.FORE_SAID)), slot * count * width)
    shares = float64_at(own + load(fore, plan.FORE_SHARES))
    ring = shift(float64_at(row + load(table, plan.MODEL_PAST_FORECAST)), slot * count * channels)
    for k in range(count):
        store(said, k * width + load(fore, plan.FORE_EXPERTS) - 1, u)
        forecast = 0.0  # one by one: just written, they cannot be read as vectors without a wait
        for e in range(load(fore, plan.FORE_EXPERTS)):
            forecast += load(shares, k * width + e) * load(said, k * width + e)
        store(ring, k * channels + d, forecast)


@kernel
def make_forecasts(groups, model, row, scratch, slot, masked):
    """Step the forecasters of all channels; what they say goes to the ring of forecasts."""
    table = int64_at(model)
    fore = int64_at(_forecaster(model))
    for d in range(load(table, plan.MODEL_CHANNELS)):
        own = row + d * load(fore, plan.FORE_BLOCK)
        _see(model, row, own, scratch, d)
        step_groups(groups, 0, model, row, scratch, (slot, masked, d))
        _say(model, row, own, d, slot)


def _one_by_one(all_of_them: Any, first: Any) -> None:
    """Let a function of all groups call ``first`` for each."""

    @overload(all_of_them, jit_options=WITHIN, strict=False)
    def choose(groups: Any, i: Any, model: Any, row: Any, scratch: Any, places: Any) -> Any:
        def none(groups, i, model, row, scratch, places):
            return 0

        def some(groups, i, model, row, scratch, places):
            first(groups[0], i, model, row, scratch, places)
            return all_of_them(groups[1:], i + 1, model, row, scratch, places)

        return some if len(groups) > 0 else none


_one_by_one(learn_groups, learn_first)
_one_by_one(step_groups, step_first)
