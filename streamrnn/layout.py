"""Where each number of a model lives in its row.

A model is one row of bytes; every segment starts at a multiple of 64. All
offsets follow from the settings alone, so nothing that a saved state says about
itself is ever used as an address.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels import plan
from streamrnn.kernels.cells import CELLS
from streamrnn.kernels.cells.protocol import CellSpec
from streamrnn.kernels.features import PER_CHANNEL, SHARED
from streamrnn.kernels.scaler import WINDOW
from streamrnn.scoring import (
    alert,
    anchor,
    autoregression,
    feedback,
    flatline,
    fusion,
    hotelling,
    kinds,
    novelty,
    spell,
    tail,
    unrest,
)
from streamrnn.settings import Settings

ALIGNMENT = 64
UNIT = 16  # hidden sizes are rounded up to this, a vector of float32
LANES = 8  # and float64 rows to this

# The readout's constants (``docs/how-it-works.md`` tells what was measured).
FORGETTING = 0.9998
INNOVATION_CLIP = 3.0
TRACE_BOUND = 1000.0
PRIOR = 0.1

Int64Array = NDArray[np.int64]


def round_up(n: int, unit: int) -> int:
    """The smallest multiple of ``unit`` that is at least ``n``."""
    return -(-n // unit) * unit


@dataclass
class Space:
    """Hands out aligned segments of a row or of the scratch, by name."""

    size: int = 0
    segments: dict[str, tuple[int, int]] = field(default_factory=dict)

    def take(self, name: str, count: int, item_bytes: int = 8) -> int:
        """Reserve ``count`` items and return their byte offset."""
        offset = self.size
        self.segments[name] = (offset, count)
        self.size += round_up(max(count, 1) * item_bytes, ALIGNMENT)
        return offset


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
    def rows(self) -> int:
        """Rows of the cell's weights: h, its bias, the inputs, their bias."""
        return self.padded + self.inputs + 2

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
    def tag(self) -> object:
        """The value that selects this network's kernels."""
        return self.spec.tag(self.dtype(1))


def network_table(
    shape: NetworkShape, training: Training, row: Space, scratch: Space, name: str
) -> Int64Array:
    """Reserve a network's segments and return its table (``kernels/plan.py``)."""
    item = 8 if shape.double else 4
    slots, spec = shape.k2 + 1, shape.spec
    v_stride = round_up(shape.rows, UNIT)
    table = np.zeros(plan.NET_SIZE, np.int64)
    table[plan.NET_HIDDEN], table[plan.NET_PADDED] = shape.hidden, shape.padded
    table[plan.NET_INPUTS], table[plan.NET_OUTPUTS] = shape.inputs, shape.outputs
    table[plan.NET_SLOTS], table[plan.NET_K1], table[plan.NET_K2] = slots, shape.k1, shape.k2
    table[plan.NET_RECOMPUTE], table[plan.NET_FEEDBACK] = shape.recompute, spec.feedback
    table[plan.NET_V_STRIDE] = v_stride
    table[plan.NET_SAVED_STRIDE] = spec.saved * shape.padded
    table[plan.NET_ERRORS_STRIDE] = spec.errors * shape.padded
    table[plan.NET_PARAMETERS], table[plan.NET_HEAD] = shape.parameters, shape.head
    for index, segment, count, size in (
        (plan.NET_COUNTERS, "counters", plan.COUNT_SIZE, 8),
        (plan.NET_POWERS, "powers", 2, 8),
        (plan.NET_MASK, "mask", slots, 8),
        (plan.NET_WEIGHTS, "weights", shape.parameters, item),
        (plan.NET_MOMENT_1, "moment_1", shape.parameters, item),
        (plan.NET_MOMENT_2, "moment_2", shape.parameters, item),
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


def address(array: NDArray[Any]) -> int:
    """Where an array's memory starts; keep the array alive while a kernel uses it."""
    return int(array.__array_interface__["data"][0])


def aligned_bytes(size: int) -> NDArray[np.uint8]:
    """Zeroed bytes that start at a multiple of 64; slices keep the memory alive."""
    memory = np.zeros(size + ALIGNMENT, np.uint8)
    start = -address(memory) % ALIGNMENT
    return memory[start : start + size]


def read_table(
    shape: NetworkShape, lags: int, horizons: tuple[int, ...], row: Space, scratch: Space, name: str
) -> Int64Array:
    """Reserve the segments of a network's readout and return its table."""
    terms = shape.hidden + 1
    stride, outputs = round_up(terms, LANES), round_up(shape.outputs, LANES)
    width, slots = shape.outputs * lags, horizons[-1]
    table = np.zeros(plan.READ_SIZE, np.int64)
    for index, value in (
        (plan.READ_TERMS, terms),
        (plan.READ_STRIDE, stride),
        (plan.READ_HIDDEN, shape.hidden),
        (plan.READ_CHANNELS, shape.outputs),
        (plan.READ_LAGS, lags),
        (plan.READ_WIDTH, width),
        (plan.READ_OUTPUTS, outputs),
        (plan.READ_HORIZONS, len(horizons)),
        (plan.READ_SLOTS, slots),
    ):
        table[index] = value
    for index, segment, count in (
        (plan.READ_SHARED, "shared", terms * stride),
        (plan.READ_CROSS, "cross", terms * width),
        (plan.READ_OWN, "own", width * lags),
        (plan.READ_SHARED_WEIGHTS, "shared_weights", len(horizons) * terms * outputs),
        (plan.READ_OWN_WEIGHTS, "own_weights", len(horizons) * width),
        (plan.READ_X, "x", slots * stride),
        (plan.READ_REST, "rest", slots * width),
        (plan.READ_SHARED_GAIN, "shared_gain", slots * stride),
        (plan.READ_OWN_GAIN, "own_gain", slots * width),
        (plan.READ_FORECAST, "forecast", len(horizons) * outputs),
    ):
        table[index] = row.take(f"{name}.{segment}", count)
    table[plan.READ_PRODUCT] = scratch.take(f"{name}.product", max(stride, lags))
    table[plan.READ_ERRORS] = scratch.take(f"{name}.errors", outputs)
    numbers = table.view(np.float64)
    numbers[plan.READ_FORGET], numbers[plan.READ_CLIP] = FORGETTING, INNOVATION_CLIP
    numbers[plan.READ_TRACE], numbers[plan.READ_PRIOR] = TRACE_BOUND, PRIOR
    return table


class ModelLayout:
    """The row of a model, its scratch, and the table that tells kernels where all is.

    Attributes
    ----------
    row, scratch : Space
        Named segments with their byte offsets.
    table : (n,) int64, aligned
        ``kernels/plan.py``'s table, those of the networks and readouts behind it.
    networks : tuple of NetworkShape
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.row, self.scratch = Space(), Space()
        self.networks = tuple(
            NetworkShape(
                cell=cell,
                hidden=settings.hidden,
                inputs=PER_CHANNEL * len(settings.channels) + SHARED,
                outputs=len(settings.channels),
                k1=settings.k1,
                k2=settings.k2,
                recompute=settings.recompute,
            )
            for cell in settings.cells
        )
        model = self._model_segments()
        nets, reads = self._network_segments()
        self.table = self._assemble(model, nets, reads)

    @property
    def row_bytes(self) -> int:
        """Bytes of one series' state."""
        return self.row.size

    @property
    def cells(self) -> tuple[object, ...]:
        """The tags that select the networks' kernels."""
        return tuple(shape.tag for shape in self.networks)

    def _model_segments(self) -> Int64Array:
        channels, horizons = len(self.settings.channels), len(self.settings.horizons)
        slots, lags = self.settings.horizons[-1], self.settings.lags
        table = np.zeros(plan.MODEL_SIZE, np.int64)
        table[plan.MODEL_CHANNELS], table[plan.MODEL_HORIZONS] = channels, horizons
        table[plan.MODEL_LAGS], table[plan.MODEL_SLOTS] = lags, slots
        table[plan.MODEL_NETWORKS] = len(self.networks)
        for index, name, count in (
            (plan.MODEL_COUNTERS, "counters", plan.STEP_SIZE),
            (plan.MODEL_CLOCK, "clock", 1),
            (plan.MODEL_SEEN, "seen", channels),
            (plan.MODEL_WINDOW, "window", channels * WINDOW),
            (plan.MODEL_RAW, "raw", channels),
            (plan.MODEL_MEAN, "mean", channels),
            (plan.MODEL_VARIANCE, "variance", channels),
            (plan.MODEL_MAGNITUDE, "magnitude", channels),
            (plan.MODEL_REACH, "reach", channels),
            (plan.MODEL_VALUE, "value", channels),
            (plan.MODEL_SLOW, "slow", 3 * channels),
            (plan.MODEL_LAG_VALUES, "lag_values", channels * lags),
            (plan.MODEL_PAST_MEAN, "past_mean", slots * channels),
            (plan.MODEL_PAST_SCALE, "past_scale", slots * channels),
            (plan.MODEL_PAST_VALUE, "past_value", slots * channels),
            (plan.MODEL_PAST_FORECAST, "past_forecast", slots * horizons * channels),
            (plan.MODEL_SPREAD, "spread", horizons * channels),
            (plan.MODEL_QUANTILE, "quantile", horizons * channels),
            (plan.MODEL_RESIDUALS, "residuals", horizons * channels),
            (plan.MODEL_TAIL, "tail", tail.STATE),
            (plan.MODEL_KINDS, "kinds", channels * kinds.STATE),
            (plan.MODEL_SPELL, "spell", spell.STATE),
            (plan.MODEL_ALERT, "alert", alert.STATE),
            (plan.MODEL_EVENT, "event", alert.EVENT_STATE),
        ):
            table[index] = self.row.take(name, count)
        for index, name, count in (
            (plan.MODEL_ACTUAL, "actual", horizons * channels),
            (plan.MODEL_CHANGES, "changes", horizons * channels),
            (plan.MODEL_SURPRISES, "surprises", channels),
            (plan.MODEL_INPUTS, "inputs", PER_CHANNEL * channels + SHARED),
            (plan.MODEL_INTERVAL, "interval", 3),
        ):
            table[index] = self.scratch.take(name, count)
        self._evidence_segments(table)
        self._feedback_segments(table)
        numbers = table.view(np.float64)
        level, budget = self.settings.alarm_rate()
        numbers[plan.MODEL_LEVEL], numbers[plan.MODEL_BUDGET] = level, budget
        numbers[plan.MODEL_MISS] = 1.0 - self.settings.coverage
        table[plan.MODEL_LEARN_ANOMALIES] = self.settings.learn_anomalies
        return table

    def _evidence_segments(self, table: Int64Array) -> None:
        """What ``scoring`` keeps of a series, and its room in the scratch."""
        channels = len(self.settings.channels)
        table[plan.MODEL_LEVELS_SIZE] = hotelling.copy_size(channels)
        table[plan.MODEL_LEVELS_STRIDE] = round_up(channels, LANES)
        for index, name, count in (
            (plan.MODEL_PAST, "past", channels * autoregression.STRIDE),
            (plan.MODEL_AUTOREGRESSION, "autoregression", 2 * channels * autoregression.COPY),
            (plan.MODEL_LEVELS, "levels", 2 * hotelling.copy_size(channels)),
            (plan.MODEL_NOVELTY, "novelty", channels * novelty.VALUES),
            (plan.MODEL_PAIRS, "pairs", len(self.networks) * novelty.PAIRS if channels == 1 else 0),
            (plan.MODEL_CONTEXT, "context", novelty.VALUES if channels == 1 else 0),
            (plan.MODEL_FLAT, "flat", channels * flatline.STATE),
            (plan.MODEL_UNREST, "unrest", channels * unrest.STATE),
            (plan.MODEL_ANCHOR, "anchor", anchor.STATE),
            (plan.MODEL_FUSION, "fusion", fusion.STATE),
        ):
            table[index] = self.row.take(name, count)
        for index, name, count in (
            (plan.MODEL_CLEAN, "clean", round_up(channels, LANES)),
            (plan.MODEL_CLEAN_MAGNITUDES, "clean_magnitudes", channels),
            (plan.MODEL_AUTOREGRESSION_ROOM, "autoregression_room", 2 * channels * autoregression.SCRATCH),
            (plan.MODEL_LEVELS_ROOM, "levels_room", 4 * round_up(channels, LANES)),
            (plan.MODEL_FOUND, "found", fusion.KINDS),
            (plan.MODEL_T_SQUARED, "t_squared", 2),
        ):
            table[index] = self.scratch.take(name, count)

    def _feedback_segments(self, table: Int64Array) -> None:
        """What users said of a series' events, and what they may still speak of."""
        channels = len(self.settings.channels)
        entry = feedback.entry_size(channels)
        for index, name, count in (
            (plan.MODEL_FEEDBACK, "feedback", feedback.EXPECTED + channels),
            (plan.MODEL_TEMPLATES, "templates", feedback.MOST_TEMPLATES * entry),
            (plan.MODEL_KNOWN_EVENTS, "known_events", feedback.MOST_EVENTS * entry),
            (plan.MODEL_TOLD, "told", alert.STATE),
            (plan.MODEL_TOLD_EVENT, "told_event", alert.EVENT_STATE),
        ):
            table[index] = self.row.take(name, count)
        table[plan.MODEL_ENTRY] = self.scratch.take("entry", entry)

    def _network_segments(self) -> tuple[list[Int64Array], list[Int64Array]]:
        training = Training(rate=self.settings.learning_rate)
        nets, reads = [], []
        for i, shape in enumerate(self.networks):
            nets.append(network_table(shape, training, self.row, self.scratch, f"network{i}"))
            reads.append(
                read_table(
                    shape, self.settings.lags, self.settings.horizons, self.row, self.scratch, f"readout{i}"
                )
            )
        return nets, reads

    def _assemble(self, model: Int64Array, nets: list[Int64Array], reads: list[Int64Array]) -> Int64Array:
        """Put all tables one behind the other and tell the first where the others start."""
        horizons = np.array(self.settings.horizons, np.int64)
        parts = [model, horizons, *nets, *reads]
        starts = np.cumsum([0, *(8 * part.size for part in parts)])
        model[plan.MODEL_HORIZON_LIST] = starts[1]
        model[plan.MODEL_NETWORK_TABLES] = starts[2]
        model[plan.MODEL_READ_TABLES] = starts[2 + len(nets)]
        model[plan.MODEL_ROW_BYTES] = self.row.size
        table = aligned_bytes(int(starts[-1])).view(np.int64)
        table[:] = np.concatenate(parts)
        return table

    def segment(self, row: NDArray[np.uint8], name: str, dtype: type[np.generic]) -> NDArray[Any]:
        """A named segment of a row, as an array that shares its memory."""
        offset, count = self.row.segments[name]
        return row[offset : offset + count * np.dtype(dtype).itemsize].view(dtype)
