"""The tables by which kernels know a network and its readout (``kernels/plan.py``)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

import numpy as np

from streamrnn.kernels import losses, plan
from streamrnn.kernels.cells import CELLS, GRID_CELLS
from streamrnn.kernels.cells.at_once import TAKEN
from streamrnn.kernels.cells.protocol import CellSpec
from streamrnn.kernels.cells.stack import Stack
from streamrnn.kernels.ensemble import Shared
from streamrnn.space import LANES, UNIT, Int64Array, Space, round_up

# The readout's constants (``docs/how-it-works.md`` tells what was measured).
FORGETTING = 0.9998
INNOVATION_CLIP = 3.0
TRACE_BOUND = 1000.0
PRIOR = 0.1


@dataclass(frozen=True)
class Training:
    """Constants of a network's training (``docs/how-it-works.md`` tells what was measured).

    ``beta_1`` is also the momentum of ``"sgd"``, ``beta_2`` what ``"rmsprop"`` keeps of its mean
    square. The gradient is held by value, then by norm; both are those of the mean loss.
    """

    rate: float = 1.5e-3
    beta_1: float = 0.9
    beta_2: float = 0.99
    epsilon: float = 1e-6
    clip: float = 1.0
    huber: float = 2.0
    clip_value: float = inf
    optimizer: str = "adam"
    loss: str = "huber"

    @property
    def steps(self) -> tuple[float, ...]:
        """What moments keep, what joins them, the decay of their corrections, epsilon (``optimizer.py``)."""
        first, second = self.beta_1, self.beta_2
        return {
            "adam": (first, second, 1.0 - first, 1.0 - second, first, second, self.epsilon),
            "rmsprop": (0.0, second, 1.0, 1.0 - second, 0.0, 0.0, self.epsilon),
            "sgd": (first, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
        }[self.optimizer]

    def losses(self, outputs: int) -> tuple[int, int, float]:
        """(which of ``losses.py``, how many of the outputs count, Huber's threshold)."""
        return {
            "huber": (losses.HUBER, outputs, self.huber),
            "squared": (losses.HUBER, outputs, inf),
            "cross_entropy": (losses.CROSS_ENTROPY, 1, inf),
            "gaussian": (losses.GAUSSIAN, outputs // 2, inf),
        }[self.loss]


@dataclass(frozen=True)
class NetworkShape:
    """What fixes the memory of one network."""

    cell: str
    hidden: int
    inputs: int
    outputs: int
    k1: int
    k2: int
    recompute: bool = False
    double: bool = False
    adam: bool = True  # whether Adam trains it
    older: int = 0  # steps that the ring keeps beyond k2
    taps: int = 8  # steps whose inputs a cell sees that sees earlier ones
    layers: int = 1
    shared: bool = False  # whether all series have the same weights, which lie beside the scratch

    @property
    def spec(self) -> CellSpec:
        return CELLS.get(self.cell) or GRID_CELLS[self.cell]

    @property
    def padded(self) -> int:
        return round_up(self.hidden, UNIT)

    @property
    def columns(self) -> int:
        """Columns of the cell's weights: a block of padded units for each gate."""
        return len(self.spec.gates) * self.padded

    @property
    def context(self) -> int:
        """What a step reads that is neither h nor its inputs."""
        return {"outputs": self.outputs, "inputs": (self.taps - 1) * self.inputs}.get(self.spec.context, 0)

    @property
    def reads(self) -> int:
        """What a slot of v holds: h, 1, the inputs, the context, 1."""
        return self.padded + self.inputs + self.context + 2

    @property
    def own_rows(self) -> int:
        """Rows of the cell's weights before those of its inputs: of h and its bias; diagonal: of h."""
        return {"hidden": self.padded + 1, "own": 1}.get(self.spec.context, 0)

    @property
    def rows(self) -> int:
        """Rows of the cell's weights: its own, the inputs, the context, their bias."""
        return self.own_rows + self.inputs + self.context + 1

    @property
    def filling(self) -> int:
        """Elements of the weights' rows that belong to no unit."""
        return (self.padded - self.hidden) * self.columns if self.spec.context == "hidden" else 0

    @property
    def v_stride(self) -> int:
        return round_up(self.reads, UNIT) + self.padded * self.spec.slopes

    @property
    def parts(self) -> tuple[NetworkShape, ...]:
        """Each layer as a network by itself, from the inputs up; the inputs of the others are padded h."""
        if self.layers == 1:
            return (self,)
        return tuple(
            replace(self, layers=1, inputs=self.padded if n else self.inputs) for n in range(self.layers)
        )

    @property
    def head(self) -> int:
        """Elements of the weights of all layers, behind which the head's lie."""
        return sum(part.rows * part.columns for part in self.parts)

    @property
    def parameters(self) -> int:
        return self.head + self.outputs * self.padded + round_up(self.outputs, UNIT)

    @property
    def dtype(self) -> type[np.float32] | type[np.float64]:
        return np.float64 if self.double else np.float32

    @property
    def slots(self) -> int:
        """Steps that the ring keeps, and one whose h is yet to come."""
        return self.k2 + self.older + 1

    @property
    def tag(self) -> object:
        """The value that selects this network's kernels."""
        one = self.dtype(1)
        if self.shared:
            return Shared(self.spec.tag(one))
        return self.spec.tag(one) if self.layers == 1 else Stack(one, self.spec.tag(one))


def network_table(
    shape: NetworkShape, training: Training, row: Space, scratch: Space, name: str
) -> Int64Array:
    """Reserve a network's segments and return its table (``kernels/plan.py``).

    Returns
    -------
    table : (layers * NET_SIZE,) int64
        The first layer's, by which the driver knows the network, and those of the others.
    """
    item, layers, slots, spec = 8 if shape.double else 4, shape.layers, shape.slots, shape.spec
    table = np.zeros(plan.NET_SIZE, np.int64)
    for index, segment, count, size in (
        (plan.NET_COUNTERS, "counters", plan.COUNT_SIZE, 8),
        (plan.NET_POWERS, "powers", 2, 8),
        (plan.NET_MASK, "mask", slots, 8),
        (plan.NET_WEIGHTS, "weights", shape.parameters, item),
        (plan.NET_MOMENT_1, "moment_1", shape.parameters * shape.adam, item),
        (plan.NET_MOMENT_2, "moment_2", shape.parameters * shape.adam, item),
        (plan.NET_V, "v", slots * sum(part.v_stride for part in shape.parts), item),
        (plan.NET_SAVED, "saved", layers * slots * spec.saved * shape.padded, item),
        (plan.NET_Y, "y", slots * shape.outputs, item),
        (plan.NET_TARGET, "target", slots * shape.outputs, item),
    ):
        table[index] = row.take(f"{name}.{segment}", count, size)
    for index, segment, count in (
        (plan.NET_ERRORS, "errors", layers * slots * spec.errors * shape.padded),
        (plan.NET_GRADIENT, "gradient", shape.parameters),
        (plan.NET_TOP_DH, "dh", 2 * layers * shape.padded),
        (plan.NET_CARRY, "carry", layers * shape.padded),
    ):
        table[index] = scratch.take(f"{name}.{segment}", count, item)
    if shape.padded <= spec.turned_to:
        table[plan.NET_TURNED] = scratch.take(f"{name}.turned", layers * shape.padded**2, item)
    if layers == 1 and shape.context > 0 and training.losses(shape.outputs)[:2] == (losses.HUBER, 1):
        heard = 2 * round_up(slots, UNIT) + shape.padded
        table[plan.NET_HEARD] = scratch.take(f"{name}.heard", heard, item)
    if layers > 1:
        table[plan.NET_BY_INPUTS] = scratch.take(f"{name}.by_inputs", shape.padded, item)
    _write_sizes(shape, table)
    _write_training(training, shape.outputs, table)
    return _layer_tables(shape, table)


def _write_sizes(shape: NetworkShape, table: Int64Array) -> None:
    """The sizes that all layers share."""
    spec, stack = shape.spec, shape.layers > 1
    for index, value in (
        (plan.NET_HIDDEN, shape.hidden),
        (plan.NET_PADDED, shape.padded),
        (plan.NET_OUTPUTS, shape.outputs),
        (plan.NET_LAYERS, shape.layers),
        (plan.NET_SLOTS, shape.slots),
        (plan.NET_K1, shape.k1),
        (plan.NET_K2, shape.slots - 1),
        (plan.NET_FEEDBACK, spec.context == "outputs"),
        (plan.NET_RECOMPUTE, shape.recompute),
        (plan.NET_ERRORS_KEPT, shape.inputs + shape.context > TAKEN),
        (plan.NET_SAVED_STRIDE, spec.saved * shape.padded),
        (plan.NET_ERRORS_STRIDE, shape.layers * spec.errors * shape.padded),
        (plan.NET_PARAMETERS, shape.parameters),
        (plan.NET_FULL, shape.hidden * shape.columns),
        (plan.NET_FILLING, 0 if stack else shape.filling),  # a stack has such rows in several places
    ):
        table[index] = value


def _write_training(training: Training, outputs: int, table: Int64Array) -> None:
    numbers = table.view(np.float64)
    table[plan.NET_LOSS], table[plan.NET_COUNTED], numbers[plan.NET_HUBER] = training.losses(outputs)
    numbers[plan.NET_RATE] = training.rate
    numbers[plan.NET_BETA_1 : plan.NET_EPSILON + 1] = training.steps
    numbers[plan.NET_CLIP], numbers[plan.NET_CLIP_VALUE] = training.clip, training.clip_value


def _layer_tables(shape: NetworkShape, common: Int64Array) -> Int64Array:
    """Each layer's table, from what all have in common: where the layer's own part of each segment is."""
    item, last = 8 if shape.double else 4, shape.layers - 1
    weights = v = 0
    tables = []
    for n, part in enumerate(shape.parts):
        table = common.copy()
        table[plan.NET_INPUTS], table[plan.NET_CONTEXT] = part.inputs, part.context
        table[plan.NET_V_STRIDE] = part.v_stride
        table[plan.NET_HEAD] = shape.head - weights
        for index, elements in (
            (plan.NET_WEIGHTS, weights),
            (plan.NET_GRADIENT, weights),
            (plan.NET_V, v),
            (plan.NET_SAVED, n * shape.slots * shape.spec.saved * shape.padded),
            (plan.NET_ERRORS, n * shape.spec.errors * shape.padded),
            (plan.NET_CARRY, n * shape.padded),
        ):
            table[index] += elements * item
        table[plan.NET_TURNED] += (n * shape.padded**2 * item) if common[plan.NET_TURNED] else 0
        table[plan.NET_DH] = common[plan.NET_TOP_DH] + (last - n) * 2 * shape.padded * item
        tables.append(table)
        weights += part.rows * part.columns
        v += shape.slots * part.v_stride
    for table in tables:
        table[plan.NET_TOP], table[plan.NET_TOP_STRIDE] = (
            tables[-1][plan.NET_V],
            tables[-1][plan.NET_V_STRIDE],
        )
    return np.concatenate(tables)


@dataclass(frozen=True)
class ReadoutShape:
    """What fixes the memory and the pace of one readout.

    ``robust`` is the clip of errors in units of their own mean magnitude; 0: a clip of
    ``INNOVATION_CLIP``.
    """

    hidden: int
    channels: int
    lags: int
    horizons: tuple[int, ...]
    forget: float = FORGETTING
    robust: float = 0.0
    extra: int = 0  # shared regressors besides h and 1, silent until they are switched on


def read_table(shape: ReadoutShape, row: Space, scratch: Space, name: str) -> Int64Array:
    """Reserve the segments of a readout and return its table."""
    terms, lags, horizons = shape.hidden + 1 + shape.extra, shape.lags, shape.horizons
    stride, outputs = round_up(terms, LANES), len(horizons) * shape.channels
    width, slots = shape.channels * lags, horizons[-1]
    table = np.zeros(plan.READ_SIZE, np.int64)
    for index, value in (
        (plan.READ_TERMS, terms),
        (plan.READ_STRIDE, stride),
        (plan.READ_HIDDEN, shape.hidden),
        (plan.READ_EXTRA, shape.extra),
        (plan.READ_CHANNELS, shape.channels),
        (plan.READ_LAGS, lags),
        (plan.READ_WIDTH, width),
        (plan.READ_HORIZONS, len(horizons)),
        (plan.READ_SLOTS, slots),
    ):
        table[index] = value
    for index, segment, count in (
        (plan.READ_SHARED, "shared", terms * stride),
        (plan.READ_CROSS, "cross", terms * width),
        (plan.READ_OWN, "own", width * lags),
        (plan.READ_SHARED_WEIGHTS, "shared_weights", outputs * stride),
        (plan.READ_OWN_WEIGHTS, "own_weights", outputs * lags),
        (plan.READ_X, "x", slots * stride),
        (plan.READ_REST, "rest", slots * width),
        (plan.READ_SHARED_GAIN, "shared_gain", slots * stride),
        (plan.READ_OWN_GAIN, "own_gain", slots * width),
        (plan.READ_FORECAST, "forecast", outputs),
        (plan.READ_LEVERAGE, "leverage", slots * shape.channels),
        (plan.READ_SCALE, "scale", outputs if shape.robust else 0),
        (plan.READ_KNOWN, "known", outputs if shape.robust else 0),
    ):
        table[index] = row.take(f"{name}.{segment}", count)
    table[plan.READ_PRODUCT] = scratch.take(f"{name}.product", max(stride, lags))
    table[plan.READ_ERRORS] = scratch.take(f"{name}.errors", outputs)
    table[plan.READ_PARTS] = scratch.take(f"{name}.parts", outputs)
    numbers = table.view(np.float64)
    numbers[plan.READ_FORGET], numbers[plan.READ_CLIP] = shape.forget, INNOVATION_CLIP
    numbers[plan.READ_ROBUST] = shape.robust
    numbers[plan.READ_TRACE], numbers[plan.READ_PRIOR] = TRACE_BOUND, PRIOR
    return table
