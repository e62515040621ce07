"""The tables by which kernels know a network and its readout (``kernels/plan.py``)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamrnn.kernels import plan
from streamrnn.kernels.cells import CELLS
from streamrnn.kernels.cells.protocol import CellSpec
from streamrnn.space import LANES, UNIT, Int64Array, Space, round_up

# The readout's constants (``docs/how-it-works.md`` tells what was measured).
FORGETTING = 0.9998
INNOVATION_CLIP = 3.0
TRACE_BOUND = 1000.0
PRIOR = 0.1


@dataclass(frozen=True)
class Training:
    """Constants of a network's training (``docs/how-it-works.md`` tells what was measured)."""

    rate: float = 1.5e-3
    beta_1: float = 0.9
    beta_2: float = 0.99
    epsilon: float = 1e-6
    clip: float = 1.0
    huber: float = 2.0


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

    @property
    def spec(self) -> CellSpec:
        return CELLS[self.cell]

    @property
    def padded(self) -> int:
        return round_up(self.hidden, UNIT)

    @property
    def columns(self) -> int:
        """Columns of the cell's weights: a block of padded units for each gate."""
        return len(self.spec.gates) * self.padded

    @property
    def reads(self) -> int:
        """What a step reads: h, 1, the inputs, 1."""
        return self.padded + self.inputs + 2

    @property
    def rows(self) -> int:
        """Rows of the cell's weights: h, its bias, the inputs, their bias; diagonal: h, inputs, bias."""
        return self.inputs + 2 if self.spec.diagonal else self.reads

    @property
    def filling(self) -> int:
        """Elements of the weights' rows that belong to no unit."""
        return 0 if self.spec.diagonal else (self.padded - self.hidden) * self.columns

    @property
    def head(self) -> int:
        return self.rows * self.columns

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
        return self.spec.tag(self.dtype(1))


def network_table(
    shape: NetworkShape, training: Training, row: Space, scratch: Space, name: str
) -> Int64Array:
    """Reserve a network's segments and return its table (``kernels/plan.py``)."""
    item = 8 if shape.double else 4
    slots, spec = shape.slots, shape.spec
    v_stride = round_up(shape.reads, UNIT)
    table = np.zeros(plan.NET_SIZE, np.int64)
    table[plan.NET_HIDDEN], table[plan.NET_PADDED] = shape.hidden, shape.padded
    table[plan.NET_INPUTS], table[plan.NET_OUTPUTS] = shape.inputs, shape.outputs
    table[plan.NET_SLOTS], table[plan.NET_K1], table[plan.NET_K2] = slots, shape.k1, slots - 1
    table[plan.NET_RECOMPUTE], table[plan.NET_FEEDBACK] = shape.recompute, spec.feedback
    table[plan.NET_V_STRIDE] = v_stride
    table[plan.NET_SAVED_STRIDE] = spec.saved * shape.padded
    table[plan.NET_ERRORS_STRIDE] = spec.errors * shape.padded
    table[plan.NET_PARAMETERS], table[plan.NET_HEAD] = shape.parameters, shape.head
    table[plan.NET_FULL], table[plan.NET_FILLING] = shape.hidden * shape.columns, shape.filling
    for index, segment, count, size in (
        (plan.NET_COUNTERS, "counters", plan.COUNT_SIZE, 8),
        (plan.NET_POWERS, "powers", 2, 8),
        (plan.NET_MASK, "mask", slots, 8),
        (plan.NET_WEIGHTS, "weights", shape.parameters, item),
        (plan.NET_MOMENT_1, "moment_1", shape.parameters * shape.adam, item),
        (plan.NET_MOMENT_2, "moment_2", shape.parameters * shape.adam, item),
        (plan.NET_V, "v", slots * v_stride, item),
        (plan.NET_SAVED, "saved", slots * spec.saved * shape.padded, item),
        (plan.NET_Y, "y", slots * shape.outputs, item),
        (plan.NET_TARGET, "target", slots * shape.outputs, item),
    ):
        table[index] = row.take(f"{name}.{segment}", count, size)
    for index, segment, count in (
        (plan.NET_ERRORS, "errors", slots * spec.errors * shape.padded),
        (plan.NET_GRADIENT, "gradient", shape.parameters),
        (plan.NET_DH, "dh", 2 * shape.padded),
        (plan.NET_CARRY, "carry", shape.padded),
    ):
        table[index] = scratch.take(f"{name}.{segment}", count, item)
    numbers = table.view(np.float64)
    numbers[plan.NET_RATE], numbers[plan.NET_CLIP] = training.rate, training.clip
    numbers[plan.NET_BETA_1], numbers[plan.NET_BETA_2] = training.beta_1, training.beta_2
    numbers[plan.NET_EPSILON], numbers[plan.NET_HUBER] = training.epsilon, training.huber
    return table


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
