"""Parts of the judgement of one channel's record as contenders: memories of novelty; tail and alert."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numba
import numpy as np
from common import Contender
from numpy.typing import NDArray

from streamrnn import Batch, Fleet
from streamrnn.kernels import plan
from streamrnn.kernels.vector import float64_at, int64_at, load, shift, store
from streamrnn.scoring import alert, memory, tail
from streamrnn.space import address, aligned_bytes

_BEFORE = 10_000  # records: the memories are heard
_RATE = 1e-3
_HEARING = 4.0  # surprise that asks for an alert


@numba.njit(error_model="numpy", nogil=True)
def run_memories(model, row, scratch, said, n):  # noqa: ANN001, ANN201
    """Ask the memories about n records; ``said`` (n, 1 + networks): what came, and each forecast."""
    table = int64_at(model)
    networks = load(table, plan.MODEL_NETWORKS)
    for t in range(n):
        record = shift(float64_at(said), t * (1 + networks))
        store(float64_at(scratch + load(table, plan.MODEL_ACTUAL)), 0, load(record, 0))
        for i in range(networks):
            read = int64_at(model + load(table, plan.MODEL_READ_TABLES) + 8 * i * plan.READ_SIZE)
            store(float64_at(row + load(read, plan.READ_FORECAST)), 0, load(record, 1 + i))
        memory.strength(model, row, scratch, _BEFORE, abs(load(record, 0)))


@numba.njit(error_model="numpy", nogil=True)
def run_tail_and_alert(model, row, scores, n):  # noqa: ANN001, ANN201
    """Judge n records by their score and their own evidence, (n, 2)."""
    table = int64_at(model)
    of_tail = float64_at(row + load(table, plan.MODEL_TAIL))
    of_alert = float64_at(row + load(table, plan.MODEL_ALERT))
    event = int64_at(row + load(table, plan.MODEL_EVENT))
    for t in range(n):
        score, own = load(float64_at(scores), 2 * t), load(float64_at(scores), 2 * t + 1)
        alert.end_if_calm(event)
        surprise = tail.judge(of_tail, score, own)
        tail.learn(of_tail, score, own)
        detected = tail.p_value(surprise) <= _RATE
        alert.judge_event(of_alert, event, detected, surprise / _HEARING, 0.0, (0, t), False)


def judging_contenders(fleet: Fleet, batch: Batch) -> list[Contender]:
    """``one/memories_us`` and ``one/tail_and_alert_us``, on a warm series and what it goes on with."""
    results, table, row = fleet.process(batch), fleet.layout.table, fleet.row(0)
    scratch, n = aligned_bytes(fleet.layout.scratch.size), len(batch)
    rng = np.random.default_rng(0)
    came = rng.normal(size=(n, 1))
    said = np.hstack([came, came - 0.3 * rng.normal(size=(n, len(fleet.layout.networks)))])
    score = results.anomaly_score
    scores = np.ascontiguousarray(np.stack([score, score + 0.3 * rng.normal(size=n)], axis=1))
    return [
        _contender("one/memories_us", run_memories, [table, row, scratch, said], n),
        _contender("one/tail_and_alert_us", run_tail_and_alert, [table, row, scores], n),
    ]


def _contender(name: str, run: Callable[..., None], memory: list[NDArray[np.generic]], n: int) -> Contender:
    return Contender(name, partial(_held, run, memory, n), n)


def _held(run: Callable[..., None], memory: list[NDArray[np.generic]], n: int) -> None:
    run(*(address(part) for part in memory), n)
