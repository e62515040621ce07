"""Every network of a model in turn, each compiled for its own cell.

A model's networks are a tuple of cell tags of different types, over which no
loop can run: each function below handles the first and passes on the rest, and
Numba compiles one version for each length.
"""

from __future__ import annotations

from math import nan
from typing import Any

from numba.extending import overload

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.network import hidden_address, input_address, learn, step
from streamrnn.kernels.readout import predict, update_gains, update_weights
from streamrnn.kernels.residuals import forecast_slot
from streamrnn.kernels.slots import next_slot
from streamrnn.kernels.vector import float64_at, int64_at, load, never_inline, pointer_like, shift, store

_FLAGS: Any = {"error_model": "numpy"}


def learn_all(cells: Any, i: int, model: int, row: int, scratch: int, places: Any) -> None:
    """Let every network and its readouts learn what came true.

    ``places`` = (ring slot of the newest forecast, whether any channel has a
    target, the horizons that reach back far enough).
    """


def step_all(cells: Any, i: int, model: int, row: int, inputs: Any, slot: int, masked: bool) -> None:
    """Step every network on the inputs and add up its forecasts into the ring's ``slot``."""


@inlined
def _network_table(model, i):
    return model + load(int64_at(model), plan.MODEL_NETWORK_TABLES) + 8 * i * plan.NET_SIZE


@inlined
def _read_table(model, i):
    return model + load(int64_at(model), plan.MODEL_READ_TABLES) + 8 * i * plan.READ_SIZE


@inlined
def target_ring(cell, row, net):
    """The ring of a network's targets."""
    return pointer_like(row + load(int64_at(net), plan.NET_TARGET), cell.one)


@kernel
def learn_first(cell, i, model, row, scratch, places):
    """Network ``i`` learns: gains, weights of each horizon, then backpropagation."""
    never_inline()
    newest, any_target, horizons, slots = places
    table, net, read = int64_at(model), _network_table(model, i), _read_table(model, i)
    channels = load(table, plan.MODEL_CHANNELS)
    changes = float64_at(scratch + load(table, plan.MODEL_CHANGES))
    if any_target:
        update_gains(read, row, scratch, newest, changes)
    for k in range(load(table, plan.MODEL_HORIZONS)):
        slot = forecast_slot(newest, load(horizons, k), slots)
        update_weights(read, row, scratch, slot, k, shift(changes, k * channels))
    net_table = int64_at(net)
    now = load(int64_at(row + load(net_table, plan.NET_COUNTERS)), plan.COUNT_SLOT)
    target = shift(target_ring(cell, row, net), now * channels)
    for d in range(channels):
        store(target, d, load(changes, d))
    learn(cell, net, row, scratch)


@kernel
def step_first(cell, i, model, row, inputs, slot, masked):
    """Network ``i`` takes one step and its readouts forecast."""
    never_inline()
    table, net, read = int64_at(model), _network_table(model, i), _read_table(model, i)
    net_table = int64_at(net)
    counters = int64_at(row + load(net_table, plan.NET_COUNTERS))
    now = next_slot(load(counters, plan.COUNT_SLOT), load(net_table, plan.NET_SLOTS))
    place = input_address(cell, net, row, now)
    for j in range(load(net_table, plan.NET_INPUTS)):
        store(place, j, load(inputs, j))
    target = shift(target_ring(cell, row, net), now * load(table, plan.MODEL_CHANNELS))
    for d in range(load(table, plan.MODEL_CHANNELS)):
        store(target, d, nan)  # until it comes true, and for good where it is not learned from
    step(cell, net, row, masked)
    values = float64_at(row + load(table, plan.MODEL_VALUE))
    lags = float64_at(row + load(table, plan.MODEL_LAG_VALUES))
    predict(read, row, slot, hidden_address(cell, net, row, now), lags, values)
    channels, horizons = load(table, plan.MODEL_CHANNELS), load(table, plan.MODEL_HORIZONS)
    made = float64_at(row + load(int64_at(read), plan.READ_FORECAST))
    outputs = load(int64_at(read), plan.READ_OUTPUTS)
    ring = shift(float64_at(row + load(table, plan.MODEL_PAST_FORECAST)), slot * horizons * channels)
    share = 1.0 / load(table, plan.MODEL_NETWORKS)
    for k in range(horizons):
        for d in range(channels):
            before = load(ring, k * channels + d) if i > 0 else 0.0
            store(ring, k * channels + d, before + share * load(made, k * outputs + d))


@overload(learn_all, inline="always", jit_options=_FLAGS, strict=False)
def _learn_all(cells: Any, i: Any, model: Any, row: Any, scratch: Any, places: Any) -> Any:
    def one(cells, i, model, row, scratch, places):
        learn_first(cells[0], i, model, row, scratch, places)

    def two(cells, i, model, row, scratch, places):
        learn_first(cells[0], i, model, row, scratch, places)
        learn_first(cells[1], i + 1, model, row, scratch, places)

    def more(cells, i, model, row, scratch, places):
        learn_first(cells[0], i, model, row, scratch, places)
        learn_first(cells[1], i + 1, model, row, scratch, places)
        learn_first(cells[2], i + 2, model, row, scratch, places)
        learn_all(cells[3:], i + 3, model, row, scratch, places)

    def none(cells, i, model, row, scratch, places):
        pass

    return (none, one, two, more)[min(len(cells), 3)]


@overload(step_all, inline="always", jit_options=_FLAGS, strict=False)
def _step_all(cells: Any, i: Any, model: Any, row: Any, inputs: Any, slot: Any, masked: Any) -> Any:
    def one(cells, i, model, row, inputs, slot, masked):
        step_first(cells[0], i, model, row, inputs, slot, masked)

    def two(cells, i, model, row, inputs, slot, masked):
        step_first(cells[0], i, model, row, inputs, slot, masked)
        step_first(cells[1], i + 1, model, row, inputs, slot, masked)

    def more(cells, i, model, row, inputs, slot, masked):
        step_first(cells[0], i, model, row, inputs, slot, masked)
        step_first(cells[1], i + 1, model, row, inputs, slot, masked)
        step_first(cells[2], i + 2, model, row, inputs, slot, masked)
        step_all(cells[3:], i + 3, model, row, inputs, slot, masked)

    def none(cells, i, model, row, inputs, slot, masked):
        pass

    return (none, one, two, more)[min(len(cells), 3)]
