"""The forecasters' tables: groups of networks with fast heads, one block of the row a channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from streamrnn.kernels import plan, season
from streamrnn.kernels.forecaster import OF_CHANNEL, OF_TIME
from streamrnn.kernels.kalman import triangle
from streamrnn.kernels.periodicity import scratch_size
from streamrnn.kernels.trainers import Descent, Frozen, RealTime, Window
from streamrnn.kernels.trainers.window import TOGETHER
from streamrnn.networks import NetworkSpec
from streamrnn.settings import Settings
from streamrnn.space import LANES, Int64Array, Space, round_up
from streamrnn.tables import NetworkShape, ReadoutShape, Training, network_table, read_table

# Heads that forget within 100, 500 and 5000 records; the clip is .7 of a normal error's deviation.
FAST_FORGETTING = (0.99, 0.998, 0.9998)
FAST_CLIP = 0.7 * 1.25
MOST_OTHERS = 8  # other channels that a forecaster sees: the first ones
WINDOW = 8  # steps back in time where derivatives are not exact
SEASON_RING = 2048  # finds periods up to 682 records
OTHER_LAGS = 4  # newest values of each that the heads see


class Group(NamedTuple):
    """Tag that selects a group's kernels: those of its cell and of its trainer."""

    cell: Any
    trainer: Any


@dataclass(frozen=True)
class GroupShape:
    """What fixes the memory of one group of one channel."""

    network: NetworkShape
    training: str
    lags: int
    others: int

    @property
    def tag(self) -> Group:
        return Group(self.network.tag, self.trainer)

    @property
    def trainer(self) -> Any:
        """The tag of what trains the network."""
        if self.training == "frozen":
            return Frozen()
        if self.training == "adam_heads":
            return Descent()
        return RealTime() if self.network.spec.diagonal else Window()

    @property
    def filters(self) -> bool:
        """Whether a Kalman filter trains the network."""
        return isinstance(self.trainer, (RealTime, Window))

    @property
    def other_lags(self) -> int:
        """Newest values of each other channel that the heads see."""
        return OTHER_LAGS if self.others else 0

    @property
    def regressors(self) -> int:
        """Lags of all channels that the heads see, rounded up."""
        return round_up(self.lags + self.others * self.other_lags, LANES)

    @property
    def elements(self) -> int:
        """Weights of a unit."""
        net = self.network
        return (net.rows if net.spec.diagonal else net.hidden + net.inputs + 2) * len(net.spec.gates)

    @property
    def blocks(self) -> int:
        """Blocks of a unit's covariance: one, or one for each gate."""
        one = self.training == "kalman_units"
        return 1 if one else len(self.network.spec.gates)


def season_ring(settings: Settings) -> int:
    """Values in which a channel's season is looked for, or that hold a given one twice; 0: none."""
    if settings.season == "off":
        return 0
    if settings.season == "auto":
        return SEASON_RING
    return max(season.FIRST, 1 << (2 * int(settings.season) - 1).bit_length())


def seasonal_terms(settings: Settings) -> int:
    """Values one season ago that each head sees: one for each horizon."""
    return len(settings.horizons) if season_ring(settings) else 0


def group_shape(spec: NetworkSpec, settings: Settings) -> GroupShape:
    """The shape of one entry of ``networks`` that forecasts."""
    others = min(len(settings.channels) - 1, MOST_OTHERS)
    hidden = settings.hidden if spec.units is None else spec.units
    descends = spec.training == "adam_heads"
    goes_back = descends or (spec.cell not in ("ar", "diagonal_lstm") and spec.training != "frozen")
    network = NetworkShape(
        cell="diagonal_lstm" if spec.cell == "ar" else spec.cell,
        hidden=hidden,
        inputs=OF_CHANNEL + OF_TIME + others,
        outputs=0,
        k1=1,
        k2=1,
        adam=descends,
        older=WINDOW + settings.horizons[-1] - 2 if goes_back else 0,
    )
    return GroupShape(network, spec.training, spec.lags or settings.lags, others)


def _group_tables(
    group: GroupShape, settings: Settings, spaces: tuple[Space, Space], name: str, first: int
) -> Int64Array:
    """A group's table, its network's and those of its heads, one behind the other."""
    row, scratch = spaces
    horizons, net = settings.horizons, group.network
    item = np.dtype(net.dtype).itemsize
    table = np.zeros(plan.GROUP_SIZE, np.int64)
    network = network_table(net, Training(rate=settings.learning_rate), row, scratch, name)
    shapes = [
        ReadoutShape(
            net.hidden, 1, group.regressors, horizons, forget, FAST_CLIP, extra=seasonal_terms(settings)
        )
        for forget in FAST_FORGETTING
    ]
    reads = [read_table(shape, row, scratch, f"{name}.head{e}") for e, shape in enumerate(shapes)]
    for index, value in (
        (plan.GROUP_HEADS, len(reads)),
        (plan.GROUP_HORIZONS, len(horizons)),
        (plan.GROUP_SLOTS, horizons[-1]),
        (plan.GROUP_STRIDE, len(settings.channels)),
        (plan.GROUP_HIDDEN, net.hidden),
        (plan.GROUP_PADDED, net.padded),
        (plan.GROUP_FIRST, first),
        (plan.GROUP_LAGS, group.lags),
        (plan.GROUP_OTHER_LAGS, group.other_lags),
        (plan.GROUP_NET, 8 * plan.GROUP_SIZE),
        (plan.GROUP_READS, 8 * (plan.GROUP_SIZE + plan.NET_SIZE)),
        (plan.GROUP_BLOCKS, group.blocks),
        (plan.GROUP_BLOCK, group.elements // group.blocks),
        (plan.GROUP_APART, group.blocks * net.padded),
        (plan.GROUP_ELEMENTS, group.elements),
        (plan.GROUP_WINDOW, WINDOW),
    ):
        table[index] = value
    if group.training != "frozen":
        _error_segments(table, group, settings, row, name)
    if group.filters:
        _filter_segments(table, group, settings, row, name)
    if isinstance(group.trainer, Descent):
        table[plan.GROUP_MOVE] = scratch.take(f"{name}.move", net.parameters, item)
    if isinstance(group.trainer, Window):
        size = min(TOGETHER, len(horizons)) * group.elements * net.padded
        table[plan.GROUP_DERIVATIVE] = scratch.take(f"{name}.derivative", size, item)
        table[plan.GROUP_MOVE] = scratch.take(f"{name}.move", size, item)
    for index, segment, count in (
        (plan.GROUP_REGRESSORS, "regressors", group.regressors),
        (plan.GROUP_WEIGHT_64, "weight_64", net.padded),
        (plan.GROUP_ROOM, "room", (net.padded + 1) * (LANES + 1)),
        (plan.GROUP_ONES, "ones", LANES),
    ):
        table[index] = scratch.take(f"{name}.{segment}", count)
    return np.concatenate([table, network, *reads])


def _error_segments(table: Int64Array, group: GroupShape, settings: Settings, row: Space, name: str) -> None:
    """What a group keeps of its heads' weights and errors."""
    net, horizons = group.network, len(settings.horizons)
    table[plan.GROUP_WEIGHT] = row.take(f"{name}.weight", horizons * net.padded, np.dtype(net.dtype).itemsize)
    table[plan.GROUP_ERROR_POWER] = row.take(f"{name}.error_power", horizons)


def _filter_segments(table: Int64Array, group: GroupShape, settings: Settings, row: Space, name: str) -> None:
    """What the Kalman filter of a group keeps."""
    net, slots, horizons = group.network, settings.horizons[-1], len(settings.horizons)
    per_unit = group.blocks * triangle(group.elements // group.blocks)
    item, exact = np.dtype(net.dtype).itemsize, isinstance(group.trainer, RealTime)
    observed = 1 if exact else min(TOGETHER, horizons)
    for index, segment, count, size in (
        (plan.GROUP_COVARIANCE, "covariance", per_unit * net.padded, item),
        (plan.GROUP_OF_C, "of_c", exact * group.elements * net.padded, item),
        (plan.GROUP_OF_H, "of_h", exact * group.elements * net.padded, item),
        (plan.GROUP_PRODUCT, "product", exact * slots * group.elements * net.padded, item),
        (plan.GROUP_POWER, "power", exact * slots * group.blocks * net.padded, item),
        (plan.GROUP_BEFORE, "before", observed * group.elements * net.padded, item),
        (plan.GROUP_FACTOR, "factor", observed * group.blocks * net.padded, item),
        (plan.GROUP_VARIANCE, "variance", horizons, 8),
    ):
        table[index] = row.take(f"{name}.{segment}", count, size)


def forecaster_table(
    groups: tuple[GroupShape, ...], settings: Settings, row: Space, scratch: Space
) -> Int64Array:
    """Reserve the forecasters of all channels; the first one's table, with its groups' behind it.

    Every channel's segments, named ``channel0.…`` and so on, lie as the first one's do,
    ``FORE_BLOCK`` bytes further each. They share the scratch.
    """
    row.close_vector()
    start = row.size
    table = _channel_table(groups, settings, (row, scratch), 0)
    table[plan.FORE_BLOCK] = row.size - start
    for d in range(1, len(settings.channels)):
        row.close_vector()
        _channel_table(groups, settings, (row, Space()), d)
    return table


def _channel_table(
    groups: tuple[GroupShape, ...], settings: Settings, spaces: tuple[Space, Space], d: int
) -> Int64Array:
    """One channel's forecaster."""
    row, scratch = spaces
    horizons, slots = len(settings.horizons), settings.horizons[-1]
    experts, ring = len(groups) * len(FAST_FORGETTING) + 1, season_ring(settings)
    width, lags, inputs = (
        round_up(experts, LANES),
        max(group.lags for group in groups),
        groups[0].network.inputs,
    )
    table = np.zeros(plan.FORE_SIZE, np.int64)
    for index, name, count in (
        (plan.FORE_PAST, "past", lags),
        (plan.FORE_FARTHEST, "farthest", 1),
        (plan.FORE_SHARES, "shares", horizons * width),
        (plan.FORE_MIXING, "mixing", 2 * horizons),
        (plan.FORE_SAID, "said", slots * horizons * width),
        (plan.FORE_SEASON, "season", season.state_size(ring) if ring else 0),
        (plan.FORE_IN_SEASON, "in_season", 1),
    ):
        table[index] = row.take(f"channel{d}.{name}", count)
    parts = [
        _group_tables(group, settings, spaces, f"channel{d}.group{i}", i * len(FAST_FORGETTING))
        for i, group in enumerate(groups)
    ]
    for index, value in (
        (plan.FORE_GROUPS, len(groups)),
        (plan.FORE_EXPERTS, experts),
        (plan.FORE_WIDTH, width),
        (plan.FORE_INPUTS, inputs),
        (plan.FORE_OTHERS, groups[0].others),
        (plan.FORE_LAGS, lags),
        (plan.FORE_RING, ring),
        (plan.FORE_GROUP_TABLES, 8 * plan.FORE_SIZE),
        (plan.FORE_GROUP_BYTES, parts[0].nbytes),
        (plan.FORE_X, scratch.take("forecaster.x", inputs)),
        (plan.FORE_SEASONAL, scratch.take("forecaster.seasonal", horizons)),
        (plan.FORE_SEARCH, scratch.take("forecaster.search", scratch_size(ring) if ring else 0)),
    ):
        table[index] = value
    return np.concatenate([table, *parts])
