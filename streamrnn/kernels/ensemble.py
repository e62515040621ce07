"""Every network of a model in turn, each compiled for its own cell.

A model's networks are a tuple of cell tags of different types, over which no
loop can run: each function below handles the first and passes on the rest, and
Numba compiles one version for each length.

The networks of a model may be *shared*: their weights are those of a prior, one copy for all series
beside the scratch, and never learn. A row has their h alone. It goes into the one ring there
is before a step, always at the same slot, and comes out of it behind; readouts learn as ever.
"""

from __future__ import annotations

from math import nan
from typing import Any, NamedTuple

from numba.extending import overload

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import WITHIN, inlined, kernel, woven
from streamrnn.kernels.network import due, go_back, hidden_address, input_address, open_window, step, update
from streamrnn.kernels.readout import find_errors, predict, update_gains, update_weights
from streamrnn.kernels.slots import next_step
from streamrnn.kernels.vector import (
    float64_at,
    int64_at,
    lanes,
    load,
    load_vector,
    never_inline,
    pointer_like,
    shift,
    store,
    store_vector,
)

_SHARED_SLOT = 1  # of two, in which every step of a shared network is made


class Shared(NamedTuple):
    """Tag of the kernels of a shared network, around that of its cell."""

    cell: Any


def teach_all(cells: Any, i: int, model: int, row: int, scratch: int, places: Any) -> Any:
    """Let every network's readouts learn what came true, and tell the networks.

    ``places`` = (ring slot of the newest forecast, whether any channel has a
    target, the horizons). Returns how many steps to go back now.
    """


def go_back_all(cells: Any, i: int, model: int, row: int, scratch: int, places: Any) -> Any:
    """One step back of every network, ``places`` = (steps gone, steps to go); the losses of one."""


def update_all(cells: Any, i: int, model: int, row: int, scratch: int, places: Any) -> Any:
    """Move every network along its gradient; ``places``: the losses of one."""


def step_all(cells: Any, i: int, model: int, row: int, scratch: int, places: Any) -> Any:
    """Step every network and add up the forecasts in the ring; ``places`` = (its slot, masked)."""


@woven
def learn_all(cells, model, row, scratch, places):
    """Let every network and its readouts learn what came true.

    A step back waits for the one before. So the networks, which have all the same targets and
    windows, go back side by side: one computes while another waits.
    """
    losses, steps = 0, teach_all(cells, 0, model, row, scratch, places)
    for n in range(steps):
        losses += go_back_all(cells, 0, model, row, scratch, (n, steps))
    if losses > 0:
        update_all(cells, 0, model, row, scratch, losses)


@inlined
def _network_table(model, i):
    table = int64_at(model)
    return model + load(table, plan.MODEL_NETWORK_TABLES) + i * load(table, plan.MODEL_NETWORK_BYTES)


@inlined
def _read_table(model, i):
    return model + load(int64_at(model), plan.MODEL_READ_TABLES) + 8 * i * plan.READ_SIZE


@inlined
def target_ring(cell, row, net):
    """The ring of a network's targets."""
    return pointer_like(row + load(int64_at(net), plan.NET_TARGET), cell.one)


@inlined
def _teach_readout(model, row, scratch, i, places):
    """The readout of network ``i`` learns: gains, then the weights of each horizon."""
    newest, any_target, horizons = places
    table, read = int64_at(model), _read_table(model, i)
    channels = load(table, plan.MODEL_CHANNELS)
    changes = float64_at(scratch + load(table, plan.MODEL_CHANGES))
    if any_target:
        update_gains(read, row, scratch, newest, changes)
    find_errors(read, row, scratch, newest, horizons, (changes, channels))
    update_weights(read, row, scratch, newest, horizons)


@kernel
def teach_shared(tag, i, model, row, scratch, places):
    """The readout of shared network ``i`` learns; there is nothing to go back for."""
    never_inline()
    _teach_readout(model, row, scratch, i, places)
    return 0


@inlined
def leave_shared(tag, i, model, row, scratch, places):
    """Shared networks do not learn."""
    return 0


@kernel
def teach_first(cell, i, model, row, scratch, places):
    """Network ``i``'s readout learns; its targets join its ring."""
    never_inline()
    table, net = int64_at(model), _network_table(model, i)
    channels = load(table, plan.MODEL_CHANNELS)
    changes = float64_at(scratch + load(table, plan.MODEL_CHANGES))
    _teach_readout(model, row, scratch, i, places)
    net_table = int64_at(net)
    now = load(int64_at(row + load(net_table, plan.NET_COUNTERS)), plan.COUNT_SLOT)
    target = shift(target_ring(cell, row, net), now * channels)
    for d in range(channels):
        store(target, d, load(changes, d))
    return open_window(cell, net, row, scratch) if due(net, row, 1) else 0


@inlined
def go_back_first(cell, i, model, row, scratch, places):
    """Network ``i`` goes one step back."""
    n, steps = places
    return go_back(cell, _network_table(model, i), row, scratch, n, steps)


@inlined
def update_first(cell, i, model, row, scratch, losses):
    """Network ``i`` moves along its gradient."""
    update(cell, _network_table(model, i), row, scratch, losses)
    return 0


@kernel
def step_first(cell, i, model, row, scratch, places):
    """Network ``i`` takes one step and its readouts forecast."""
    never_inline()
    slot, masked = places
    table, net = int64_at(model), _network_table(model, i)
    now = next_step(net, row)
    _write_inputs(model, scratch, net, input_address(cell, net, row, now))
    target = shift(target_ring(cell, row, net), now * load(table, plan.MODEL_CHANNELS))
    for d in range(load(table, plan.MODEL_CHANNELS)):
        store(target, d, nan)  # until it comes true, and for good where it is not learned from
    step(cell, net, row, now, masked)
    _forecast(model, row, i, hidden_address(cell, net, row, now), slot)
    return 0


@kernel
def step_shared(tag, i, model, row, scratch, places):
    """Shared network ``i`` takes one step from the row's h, in the ring of all; its readouts forecast."""
    never_inline()
    slot, masked = places
    cell, net = tag.cell, _network_table(model, i)
    table = int64_at(net)
    store(int64_at(scratch + load(table, plan.NET_COUNTERS)), plan.COUNT_SLOT, _SHARED_SLOT - 1)
    _write_inputs(model, scratch, net, input_address(cell, net, scratch, _SHARED_SLOT))
    h = pointer_like(row + load(table, plan.NET_STATE), cell.one)
    before = hidden_address(cell, net, scratch, _SHARED_SLOT - 1)
    for j in range(0, load(table, plan.NET_PADDED), lanes(h)):
        store_vector(before, j, load_vector(h, j))
    step(cell, net, scratch, _SHARED_SLOT, masked)
    after = hidden_address(cell, net, scratch, _SHARED_SLOT)
    for j in range(0, load(table, plan.NET_PADDED), lanes(h)):
        store_vector(h, j, load_vector(after, j))
    _forecast(model, row, i, h, slot)
    return 0


@inlined
def _write_inputs(model, scratch, net, place):
    """The record's inputs, to a slot of a network."""
    inputs = float64_at(scratch + load(int64_at(model), plan.MODEL_INPUTS))
    for j in range(load(int64_at(net), plan.NET_INPUTS)):
        store(place, j, load(inputs, j))


@inlined
def _forecast(model, row, i, h, slot):
    """Forecasts of network ``i``'s readouts; they join the ring where no forecaster speaks to users."""
    table, read = int64_at(model), _read_table(model, i)
    values = float64_at(row + load(table, plan.MODEL_VALUE))
    lags = float64_at(row + load(table, plan.MODEL_LAG_VALUES))
    predict(read, row, slot, h, (lags, lags), values)
    if load(table, plan.MODEL_FORECASTER) > 0:
        return  # it says what users read
    channels, horizons = load(table, plan.MODEL_CHANNELS), load(table, plan.MODEL_HORIZONS)
    made = float64_at(row + load(int64_at(read), plan.READ_FORECAST))
    ring = shift(float64_at(row + load(table, plan.MODEL_PAST_FORECAST)), slot * horizons * channels)
    share = 1.0 / load(table, plan.MODEL_NETWORKS)
    for k in range(horizons):
        for d in range(channels):
            before = load(ring, k * channels + d) if i > 0 else 0.0
            store(ring, k * channels + d, before + share * load(made, k * channels + d))


def _one_by_one(all_of_them: Any, of_own: Any, of_shared: Any) -> None:
    """Let a function of all networks call another one for each; it returns the most that any gave.

    The networks of a model are all shared, or none is.
    """

    @overload(all_of_them, inline="always", jit_options=WITHIN, strict=False)
    def choose(cells: Any, i: Any, model: Any, row: Any, scratch: Any, places: Any) -> Any:
        shared = len(cells) > 0 and cells[0].instance_class is Shared
        first = of_shared if shared else of_own

        def none(cells, i, model, row, scratch, places):
            return 0

        def one(cells, i, model, row, scratch, places):
            return first(cells[0], i, model, row, scratch, places)

        def two(cells, i, model, row, scratch, places):
            found = first(cells[0], i, model, row, scratch, places)
            return max(found, first(cells[1], i + 1, model, row, scratch, places))

        def more(cells, i, model, row, scratch, places):
            found = first(cells[0], i, model, row, scratch, places)
            found = max(found, first(cells[1], i + 1, model, row, scratch, places))
            found = max(found, first(cells[2], i + 2, model, row, scratch, places))
            return max(found, all_of_them(cells[3:], i + 3, model, row, scratch, places))

        return (none, one, two, more)[min(len(cells), 3)]


_one_by_one(teach_all, teach_first, teach_shared)
_one_by_one(go_back_all, go_back_first, leave_shared)
_one_by_one(update_all, update_first, leave_shared)
_one_by_one(step_all, step_first, step_shared)
