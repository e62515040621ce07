"""The forecaster alone as contenders: its kernels in a loop, and the detector with and without it."""

from __future__ import annotations

from functools import partial

import numba
import numpy as np
from common import Contender, stream

from streamrnn import Batch, Fleet, Settings, SettingsError
from streamrnn.groups import FAST_FORGETTING, GroupShape, seasonal_terms
from streamrnn.kernels import plan
from streamrnn.kernels.features import remember
from streamrnn.kernels.forecaster import learn_forecasts, make_forecasts
from streamrnn.kernels.residuals import open_slot
from streamrnn.kernels.vector import float64_at, int64_at, load, store
from streamrnn.layout import ModelLayout
from streamrnn.space import address, aligned_bytes

NETWORKS = {"diagonal": "diagonal_lstm:12", "dense": "lstm:12:kalman"}
HORIZONS = (1, 4, 24)
_WARM = 20_000  # records: every head and every covariance has moved


def multiply_adds(group: GroupShape, settings: Settings) -> int:
    """What one record costs a group of diagonal cells, as ``docs/how-it-works.md`` states it."""
    units, rows, weights = group.network.hidden, group.network.rows, group.elements
    horizons, lags = len(settings.horizons), group.regressors
    terms = units + 1 + seasonal_terms(settings)
    head = 2 * terms**2 + 2 * lags * terms + 2 * lags**2 + 2 * horizons * (terms + lags)
    heads = len(FAST_FORGETTING) * head
    if group.training == "frozen":
        return 4 * units * rows + heads
    kalman = weights * (3 * weights // group.blocks + 3) // 2
    learning = horizons * (weights + len(FAST_FORGETTING) * (lags + 1) + 2 * group.blocks)
    return units * (4 * rows + 5 * weights + kalman + learning) + heads


@numba.njit(error_model="numpy", nogil=True)
def run_forecaster(tags, model, row, scratch, values, n):  # noqa: ANN001, ANN201
    """Learn and forecast the last n - slots of n scaled values of one channel."""
    table = int64_at(model)
    slots, count = load(table, plan.MODEL_SLOTS), load(table, plan.MODEL_HORIZONS)
    horizons, u = int64_at(model + load(table, plan.MODEL_HORIZON_LIST)), float64_at(values)
    inputs = float64_at(scratch + load(table, plan.MODEL_INPUTS))
    for t in range(slots, n):
        for k in range(count):
            change = load(u, t) - load(u, t - load(horizons, k))
            store(float64_at(scratch + load(table, plan.MODEL_ACTUAL)), k, load(u, t))
            store(float64_at(scratch + load(table, plan.MODEL_CHANGES)), k, change)
        learn_forecasts(tags, model, row, scratch)
        remember(model, row, 0, load(u, t), False, inputs)
        make_forecasts(tags, model, row, scratch, open_slot(model, row), False)


def contenders(n: int) -> list[Contender]:
    """``forecaster/…/alone``, ``…/with`` and ``…/without``, of each kind of network that there is."""
    values = stream(n)
    bare = Settings(networks="none", horizons=HORIZONS)
    found = [_whole("forecaster/without", bare, values)]
    for name, network in NETWORKS.items():
        try:
            settings = Settings(networks=network, horizons=HORIZONS, season="off")
        except SettingsError:
            continue  # no such network in this version
        found += [
            _whole(f"forecaster/{name}/with", settings, values),
            _alone(f"forecaster/{name}/alone", settings, n),
        ]
    return found


def derived(least_us: dict[str, float]) -> dict[str, float]:
    """Microseconds of the kernels alone, and of the detector with a forecaster less that without."""
    figures = {}
    for name in NETWORKS:
        if f"forecaster/{name}/with" in least_us:
            figures[f"forecaster/{name}/us"] = least_us[f"forecaster/{name}/alone"]
            whole = least_us[f"forecaster/{name}/with"]
            figures[f"forecaster/{name}/added_us"] = whole - least_us["forecaster/without"]
    settings = Settings(networks=NETWORKS["diagonal"], horizons=HORIZONS, season="off")
    (group,) = ModelLayout(settings).groups
    rate = multiply_adds(group, settings) / figures["forecaster/diagonal/us"] * 1e-3
    return figures | {"forecaster/diagonal/multiply_adds_per_ns": rate}


def _warm(settings: Settings) -> Fleet:
    fleet = Fleet(settings)
    fleet.process(Batch.of_one_series(stream(_WARM)))
    return fleet


def _whole(name: str, settings: Settings, values: np.ndarray) -> Contender:
    return Contender(name, partial(_warm(settings).process, Batch.of_one_series(values)), len(values))


def _alone(name: str, settings: Settings, n: int) -> Contender:
    fleet = _warm(settings)
    layout, slots = fleet.layout, HORIZONS[-1]
    scratch, values = aligned_bytes(layout.scratch.size), stream(n + slots)[:, 0].copy()
    held = (layout.table, fleet.row(0), scratch, values)  # the addresses need them alive

    def run() -> None:
        run_forecaster(layout.tags[1], *map(address, held), len(values))

    return Contender(name, run, n)
