"""The readout alone, for several numbers of channels, beside the multiply-adds that its formula counts."""

from __future__ import annotations

import numba
import numpy as np
from common import Contender

from streamrnn.kernels import plan
from streamrnn.kernels.readout import find_errors, predict, update_gains, update_weights
from streamrnn.kernels.vector import float64_at, int64_at, load, shift
from streamrnn.space import Space, aligned_bytes
from streamrnn.tables import PRIOR, ReadoutShape, read_table

CHANNELS = (1, 8, 38)
HIDDEN, LAGS, RECORDS = 12, 8, 1000


def multiply_adds(channels: int, hidden: int = HIDDEN, lags: int = LAGS, horizons: int = 1) -> int:
    """What one record costs, as ``docs/how-it-works.md`` states it."""
    shared = 2 * (hidden + 1) ** 2
    own = channels * (2 * lags * (hidden + 1) + 2 * lags**2)
    return shared + own + horizons * channels * (2 * (hidden + 1) + 2 * lags)


@numba.njit(error_model="numpy", nogil=True)
def run_readout(read, row, scratch, states, columns, horizons, n):  # noqa: ANN001, ANN201
    """Learn and forecast n records; ``columns`` (n, channels, lags + 1): lags, then the change."""
    table = int64_at(read)
    width, channels = load(table, plan.READ_WIDTH), load(table, plan.READ_CHANNELS)
    states, data, ahead = float64_at(states), float64_at(columns), int64_at(horizons)
    for t in range(n):
        record = shift(data, t * (width + channels))
        update_gains(read, row, scratch, 0, shift(record, width))
        find_errors(read, row, scratch, 0, ahead, (shift(record, width), channels))
        update_weights(read, row, scratch, 0, ahead)
        predict(
            read,
            row,
            0,
            shift(states, t * load(table, plan.READ_HIDDEN)),
            (record, record),
            shift(record, width),
        )


def contenders() -> list[Contender]:
    """``readout/D`` for each number of channels."""
    return [_readout(channels) for channels in CHANNELS]


def _readout(channels: int) -> Contender:
    row, scratch = Space(), Space()
    shape = ReadoutShape(HIDDEN, channels, LAGS, (1,))
    table = read_table(shape, row, scratch, "r").copy()
    memory, room = aligned_bytes(row.size), aligned_bytes(scratch.size)
    for name, size, blocks in (("shared", HIDDEN + 1, 1), ("own", LAGS, channels)):
        offset, count = row.segments[f"r.{name}"]
        matrices = memory[offset : offset + 8 * count].view(np.float64).reshape(blocks, size, -1)
        matrices[:, range(size), range(size)] = PRIOR
    rng = np.random.default_rng(0)
    h = rng.normal(size=(RECORDS, HIDDEN)) * 0.3
    columns = rng.normal(size=(RECORDS, channels * (LAGS + 1)))
    held = (table, memory, room, h, columns, np.ones(1, np.int64))  # the addresses need them alive
    addresses = [a.ctypes.data for a in held]

    def run() -> None:
        assert held
        run_readout(*addresses, RECORDS)

    return Contender(f"readout/{channels}", run, RECORDS)


def derived(times_ns: dict[str, float]) -> dict[str, float]:
    """Multiply-adds a nanosecond: if the formula holds, not fewer for many channels than for one."""
    return {
        f"readout/{channels}/multiply_adds_per_ns": multiply_adds(channels) / times_ns[f"readout/{channels}"]
        for channels in CHANNELS
    }
