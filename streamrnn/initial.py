"""The row of a model that has seen nothing: seeded weights and neutral state."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from streamrnn import pooled
from streamrnn.groups import FAST_FORGETTING, GroupShape, seasonal_terms
from streamrnn.kernels import plan, season
from streamrnn.kernels.kalman import PRIOR as FILTER_PRIOR
from streamrnn.kernels.kalman import triangle
from streamrnn.kernels.scaler import REACH
from streamrnn.layout import ModelLayout
from streamrnn.parameters import blocks
from streamrnn.scoring import alert, anchor, autoregression, fusion, novelty, spell, tail
from streamrnn.space import ALIGNMENT, LANES, aligned_bytes, round_up
from streamrnn.splitmix import uniform
from streamrnn.tables import PRIOR, NetworkShape

_HEAD_SCALE = 0.3  # a head that starts small starts near the last value


def initial_parameters(shape: NetworkShape, seed: int) -> NDArray[np.float64]:
    """Weights from U(±1/sqrt H) or the cell's bound, biases 0 but where the cell says else; padding 0."""
    parameters = np.zeros(shape.parameters)
    found = blocks(shape, parameters)
    weights = [block for name, block in found.items() if "weight" in name]
    draws = uniform(seed, sum(block.size for block in weights))
    ends = np.cumsum([block.size for block in weights])[:-1]
    for block, part in zip(weights, np.split(draws, ends), strict=True):
        block[:] = ((2.0 * part - 1.0) * _bound(shape, block)).reshape(block.shape)
    found["head_weight"] *= _HEAD_SCALE
    for gate, value in shape.spec.bias.items():
        for n in range(shape.layers):
            found[f"bias_ih_l{n}"][shape.spec.gates.index(gate)] = value
    return parameters


def _bound(shape: NetworkShape, block: NDArray[np.float64]) -> float:
    """Largest initial weight of a block; PyTorch's, of its recurrent layers and of its convolutions."""
    sees_past = shape.spec.context == "inputs" and block.ndim == 4
    seen = block.shape[0] * block.shape[1] if sees_past else shape.hidden
    return shape.spec.bound or 1.0 / sqrt(max(seen, 1))


def fill_network(shape: NetworkShape, segments: dict[str, NDArray[np.generic]], seed: int) -> None:
    """Set a network's weights, its constant inputs and its optimiser's powers."""
    segments["weights"][:] = initial_parameters(shape, seed)
    segments["powers"][:] = 1.0
    fill_ring(shape, segments)


def fill_ring(shape: NetworkShape, segments: dict[str, NDArray[np.generic]]) -> None:
    """Set what never changes in a ring of zeros: the constant inputs; and that no target is known."""
    start = 0
    for part in shape.parts:
        v = segments["v"][start:][: shape.slots * part.v_stride].reshape(shape.slots, part.v_stride)
        v[:, shape.padded] = 1.0  # what the two biases multiply
        v[:, part.reads - 1] = 1.0
        start += v.size
    segments["target"][:] = np.nan


def initial_row(layout: ModelLayout) -> NDArray[np.uint8]:
    """A fresh row, by the settings' prior where there is one; every series of a fleet starts from a copy.

    Raises
    ------
    SettingsError, StateError
        Where the prior does not fit the settings.
    """
    row = _row_of_nothing(layout)
    if layout.settings.prior is not None:
        pooled.write(layout, row, layout.settings.prior)
    return row


def initial_scratch(layout: ModelLayout) -> NDArray[np.uint8]:
    """Scratch for a worker, with the networks that all series share.

    Raises
    ------
    SettingsError, StateError
        Where the prior that they come from is missing, or does not fit the settings.
    """
    scratch = aligned_bytes(layout.scratch.size)
    shared = [(i, shape) for i, shape in enumerate(layout.networks) if shape.shared]
    for i, shape in shared:
        names = ("v", "target")
        fill_ring(shape, {n: layout.scratch.view(scratch, f"network{i}.{n}", shape.dtype) for n in names})
    if shared:
        pooled.write_shared(layout, scratch)
    return scratch


def _row_of_nothing(layout: ModelLayout) -> NDArray[np.uint8]:
    row = aligned_bytes(layout.row_bytes)
    settings = layout.settings
    layout.segment(row, "counters", np.int64)[plan.STEP_TIME] = plan.NO_TIME
    for name in ("mean", "past_mean", "raw"):
        layout.segment(row, name, np.float64)[:] = np.nan
    layout.segment(row, "reach", np.float64)[:] = REACH
    layout.segment(row, "spread", np.float64)[:] = 1.0
    # Rounded, since libm's last bit differs between systems.
    quantile = round(NormalDist().inv_cdf(0.5 + 0.5 * settings.coverage), 6)
    layout.segment(row, "quantile", np.float64)[:] = quantile
    channels = len(settings.channels)
    layout.segment(row, "autoregression", np.float64)[:] = autoregression.initial_copy() * 2 * channels
    layout.segment(row, "event", np.int64)[:] = alert.initial_event(layout.preset.longest)
    layout.segment(row, "anchor", np.float64)[:] = anchor.initial_state()
    layout.segment(row, "fusion", np.float64)[:] = fusion.initial_state()
    layout.segment(row, "tail", np.float64)[:] = tail.initial_state()
    layout.segment(row, "spell", np.float64)[:] = spell.initial_state()
    if channels == 1:
        size = novelty.pairs_size(layout.preset.pairs)
        pairs = layout.segment(row, "pairs", np.float64).reshape(-1, size)
        pairs[:, novelty.CODES :].view(np.float32)[:] = novelty.NOWHERE
    for i, shape in enumerate(layout.networks):
        if not shape.shared:
            _fill_network(layout, row, f"network{i}", shape, settings.seed + i)
        _fill_readout(layout, row, f"readout{i}", (shape.hidden, shape.outputs, settings.lags))
    if layout.groups:
        for d in range(channels):
            _fill_forecaster(layout, row, d)
    return row


def _fill_network(
    layout: ModelLayout, row: NDArray[np.uint8], name: str, shape: NetworkShape, seed: int
) -> None:
    dtypes: dict[str, type[np.generic]] = {
        "weights": shape.dtype, "v": shape.dtype, "target": shape.dtype, "powers": np.float64,
    }  # fmt: skip
    segments = {part: layout.segment(row, f"{name}.{part}", dtype) for part, dtype in dtypes.items()}
    fill_network(shape, segments, seed)


def _fill_readout(
    layout: ModelLayout, row: NDArray[np.uint8], name: str, sizes: tuple[int, int, int], extra: int = 0
) -> None:
    hidden, channels, lags = sizes
    stride = round_up(hidden + 1 + extra, LANES)
    shared = layout.segment(row, f"{name}.shared", np.float64).reshape(-1, stride)
    shared[range(hidden + 1), range(hidden + 1)] = PRIOR
    own = layout.segment(row, f"{name}.own", np.float64).reshape(channels, lags, lags)
    own[:, range(lags), range(lags)] = PRIOR


def _fill_forecaster(layout: ModelLayout, row: NDArray[np.uint8], d: int) -> None:
    """Channel ``d``'s forecaster, whose networks start as every other channel's do."""
    experts = len(layout.groups) * len(FAST_FORGETTING) + 1
    shares = layout.segment(row, f"channel{d}.shares", np.float64)
    shares.reshape(len(layout.settings.horizons), -1)[:, :experts] = 1.0 / experts
    for i, group in enumerate(layout.groups):
        net, name = group.network, f"channel{d}.group{i}"
        _fill_network(layout, row, name, net, layout.settings.seed + len(layout.networks) + i)
        for e in range(len(FAST_FORGETTING)):
            sizes = (net.hidden, 1, group.regressors)
            _fill_readout(layout, row, f"{name}.head{e}", sizes, seasonal_terms(layout.settings))
        if group.training != "frozen":
            layout.segment(row, f"{name}.error_power", np.float64)[:] = 1.0
        if group.filters:
            _fill_filter(layout, row, name, group)
    if isinstance(layout.settings.season, int):
        state = layout.segment(row, f"channel{d}.season", np.int64)
        state[season.PERIOD], state[season.GIVEN] = layout.settings.season, 1


def _fill_filter(layout: ModelLayout, row: NDArray[np.uint8], name: str, group: GroupShape) -> None:
    size, dtype = group.elements // group.blocks, group.network.dtype
    lanes = ALIGNMENT // np.dtype(dtype).itemsize
    covariance = layout.segment(row, f"{name}.covariance", dtype).reshape(-1, triangle(size), lanes)
    covariance[:, [triangle(i + 1) - 1 for i in range(size)]] = FILTER_PRIOR
