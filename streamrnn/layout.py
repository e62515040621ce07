"""Where each number of a model lives in its row.

A model is one row of bytes; every segment starts at a multiple of 64. All
offsets follow from the settings alone, so nothing that a saved state says about
itself is ever used as an address.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.groups import FAST_CLIP, FAST_FORGETTING, forecaster_table, group_shape
from streamrnn.kernels import plan
from streamrnn.kernels.features import PER_CHANNEL, SHARED
from streamrnn.kernels.scaler import WINDOW
from streamrnn.networks import NetworkSpec
from streamrnn.presets import PRESETS, Preset
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
    recall,
    spell,
    tail,
    unrest,
)
from streamrnn.settings import Settings
from streamrnn.space import LANES, Int64Array, Space, aligned_bytes, round_up
from streamrnn.tables import FORGETTING, NetworkShape, ReadoutShape, Training, network_table, read_table


class ModelLayout:
    """The row of a model, its scratch, and the table that tells kernels where all is.

    Attributes
    ----------
    row, scratch : Space
        Named segments with their byte offsets.
    table : (n,) int64, aligned
        ``kernels/plan.py``'s table, those of the networks and readouts behind it.
    networks : tuple of NetworkShape
        Those that detection reads.
    groups : tuple of GroupShape
        Those of each channel's forecaster.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.row, self.scratch = Space(), Space()
        self.networks = tuple(
            NetworkShape(
                cell=spec.cell,
                hidden=settings.hidden if spec.units is None else spec.units,
                inputs=PER_CHANNEL * len(settings.channels) + SHARED,
                outputs=len(settings.channels),
                taps=settings.lags,
                layers=spec.layers,
                **_learning(spec, settings),
            )
            for spec in settings.specs
            if not spec.forecasts
        )
        self.groups = tuple(group_shape(spec, settings) for spec in settings.specs if spec.forecasts)
        model = self._model_segments()
        nets, reads = self._network_segments()
        groups = [forecaster_table(self.groups, settings, self.row, self.scratch)] if self.groups else []
        self.table = self._assemble(model, nets, reads, groups)

    @property
    def preset(self) -> Preset:
        """What the sizes that no setting names follow from."""
        return PRESETS[self.settings.preset]

    @property
    def row_bytes(self) -> int:
        """Bytes of one series' state."""
        return self.row.size

    @property
    def tags(self) -> tuple[tuple[object, ...], tuple[object, ...]]:
        """What selects the kernels of the networks, and of the forecasting groups."""
        return tuple(shape.tag for shape in self.networks), tuple(group.tag for group in self.groups)

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
            (plan.MODEL_ALERT, "alert", alert.state_size(self.preset.longest)),
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
        channels, preset = len(self.settings.channels), self.preset
        table[plan.MODEL_RECALLS] = preset.recalls
        pairs, table[plan.MODEL_PAIR_ROOM] = novelty.pairs_size(preset.pairs), preset.pairs
        table[plan.MODEL_LEVELS_SIZE] = hotelling.copy_size(channels)
        table[plan.MODEL_LEVELS_STRIDE] = round_up(channels, LANES)
        for index, name, count in (
            (plan.MODEL_PAST, "past", channels * autoregression.STRIDE),
            (plan.MODEL_AUTOREGRESSION, "autoregression", 2 * channels * autoregression.COPY),
            (plan.MODEL_LEVELS, "levels", 2 * hotelling.copy_size(channels)),
            (plan.MODEL_NOVELTY, "novelty", channels * novelty.VALUES),
            (plan.MODEL_PAIRS, "pairs", len(self.networks) * pairs if channels == 1 else 0),
            (plan.MODEL_CONTEXT, "context", novelty.VALUES if channels == 1 else 0),
            (plan.MODEL_FLAT, "flat", channels * flatline.STATE),
            (plan.MODEL_UNREST, "unrest", channels * unrest.STATE),
            (plan.MODEL_ANCHOR, "anchor", anchor.STATE),
            (plan.MODEL_FUSION, "fusion", fusion.STATE),
            (plan.MODEL_KEPT, "kept", preset.recalls * recall.kept_size(channels)),
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
        entry, table[plan.MODEL_MOST_EVENTS] = feedback.entry_size(channels), self.preset.events
        for index, name, count in (
            (plan.MODEL_FEEDBACK, "feedback", feedback.EXPECTED + channels),
            (plan.MODEL_TEMPLATES, "templates", self.preset.templates * entry),
            (plan.MODEL_KNOWN_EVENTS, "known_events", self.preset.events * entry),
            (plan.MODEL_TOLD, "told", alert.state_size(self.preset.longest)),
            (plan.MODEL_TOLD_EVENT, "told_event", alert.EVENT_STATE),
        ):
            table[index] = self.row.take(name, count)
        table[plan.MODEL_ENTRY] = self.scratch.take("entry", entry)

    def _network_segments(self) -> tuple[list[Int64Array], list[Int64Array]]:
        training = Training(rate=self.settings.learning_rate)
        nets, reads = [], []
        # The alerts of one channel hear slow readouts; with several channels nothing does.
        pace = (FORGETTING, 0.0) if len(self.settings.channels) == 1 else (FAST_FORGETTING[1], FAST_CLIP)
        for i, shape in enumerate(self.networks):
            read = ReadoutShape(
                shape.hidden, shape.outputs, self.settings.lags, self.settings.horizons, *pace
            )
            space = self.scratch if shape.shared else self.row
            nets.append(network_table(shape, training, space, self.scratch, f"network{i}"))
            if shape.shared:
                size = np.dtype(shape.dtype).itemsize
                nets[i][plan.NET_STATE] = self.row.take(f"network{i}.h", shape.padded, size)
            reads.append(read_table(read, self.row, self.scratch, f"readout{i}"))
        return nets, reads

    def _assemble(self, model: Int64Array, *tables: list[Int64Array]) -> Int64Array:
        """Put all tables one behind the other and tell the first where the others start."""
        horizons = np.array(self.settings.horizons, np.int64)
        nets, reads, groups = tables
        longest = max((net.size for net in nets), default=0)
        nets = [np.pad(net, (0, longest - net.size)) for net in nets]
        parts = [model, horizons, *nets, *reads, *groups]
        starts = np.cumsum([0, *(8 * part.size for part in parts)])
        model[plan.MODEL_HORIZON_LIST] = starts[1]
        model[plan.MODEL_NETWORK_TABLES] = starts[2]
        model[plan.MODEL_NETWORK_BYTES] = 8 * longest
        model[plan.MODEL_READ_TABLES] = starts[2 + len(nets)]
        model[plan.MODEL_ROW_BYTES] = self.row.size
        model[plan.MODEL_FORECASTER] = starts[2 + len(nets) + len(reads)] if groups else 0
        table = aligned_bytes(int(starts[-1])).view(np.int64)
        table[:] = np.concatenate(parts)
        return table

    def segment(self, row: NDArray[np.uint8], name: str, dtype: type[np.generic]) -> NDArray[Any]:
        """A named segment of a row, or of each of many, as an array that shares its memory."""
        return self.row.view(row, name, dtype)


def _learning(spec: NetworkSpec, settings: Settings) -> dict[str, Any]:
    """What of a network's shape follows from how it learns."""
    if spec.training == "shared":
        return {"k1": 1, "k2": 1, "adam": False, "shared": True}
    return {"k1": settings.k1, "k2": settings.k2, "recompute": settings.recompute}
