"""A stream whose outputs and state must have the same bits on every machine.

``python -m golden_stream`` prints their hashes, and what the compiler was
allowed to use, as JSON; followed by cells, the hash of networks of these alone.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import fields

import numpy as np
from numba import njit
from support import Network, test_kernel

from streamrnn import Batch, Fleet, Settings
from streamrnn.kernels import scalar
from streamrnn.kernels.cells import CELLS
from streamrnn.kernels.vector import float64_at, lanes, load_vector, store_vector
from streamrnn.pipelines.tally import Tally
from streamrnn.splitmix import uniform
from streamrnn.tables import NetworkShape

BESIDE_TANH = ("rnn_logistic", "rnn_relu")  # all but the activation is that of rnn


def records(n: int = 700) -> Batch:
    """Two channels with waves, noise, steps, holes and absurd values; no libm in the making."""
    noise = uniform(1, 4 * n).reshape(4, n)
    t = np.arange(n)
    values = np.stack([(t % 24) / 6.0 + noise[0], (t * t % 97) / 30.0 + 2.0 * noise[1] * noise[2]], axis=1)
    values[400:] += [5.0, 0.0]
    values[noise[3] < 0.03, 1] = np.nan
    values[[100, 333]] = np.nan
    values[[200, 201, 500], 0] = [1e308, np.inf, -40.0]
    times = np.cumsum(np.where(noise[3] > 0.97, 600, 60)) * 1_000_000_000
    return Batch.of_one_series(values, times.astype(np.int64))


def fleet_hash() -> str:
    """Of every output of a fleet and of its state."""
    settings = Settings(
        channels=["a", "b"], networks=["lstm", "gru"], hidden=20, k1=2, k2=7, horizons=[1, 3], seed=5
    )
    fleet, digest = Fleet(settings), hashlib.sha256()
    results = fleet.process(records())
    for field in fields(results):
        digest.update(np.ascontiguousarray(getattr(results, field.name)).tobytes())
    digest.update(fleet.row(0).tobytes())
    digest.update(fleet.forecast(0).tobytes())
    return digest.hexdigest()


def race_hash() -> str:
    """Of what simple forecasts say beside a fleet, and what they know."""
    settings = Settings(channels=["a", "b"], networks=["lstm", "gru"], hidden=20, k1=2, k2=7, seed=5)
    tally, digest = Tally(settings, season=24, step_ns=60e9), hashlib.sha256()
    tally.add(records(), Fleet(settings).process(records()))
    for column in (*tally.races(slice(0, 1)), tally.race.scores, *tally.race._rows):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


def networks_hash(cells: Iterable[str] = sorted({*CELLS} - {*BESIDE_TANH})) -> str:
    """Of larger networks alone: all blockings of the matrix kernels, learning included."""
    digest = hashlib.sha256()
    for cell in cells:
        for hidden, inputs, outputs in ((5, 3, 2), (48, 1, 1), (72, 20, 3)):
            net = Network(NetworkShape(cell, hidden, inputs, outputs, 2, 6), seed=9)
            x = 4.0 * uniform(2, 50 * inputs).reshape(50, inputs) - 2.0
            truth = 2.0 * uniform(3, 50 * outputs).reshape(50, outputs) - 1.0
            digest.update(net.run(x, truth, learning=True).tobytes())
            digest.update(net.row.tobytes())
    return digest.hexdigest()


@test_kernel
def _scalars(x, out):
    for i in range(x.size):
        out[i, 0], out[i, 1] = scalar.exp(x[i]), scalar.log(abs(x[i]) + 1e-9)
        out[i, 2], out[i, 3] = scalar.asinh(x[i]), scalar.sinh(0.02 * x[i])
        out[i, 4], out[i, 5] = scalar.turn(abs(x[i]) * 0.001)


def scalars_hash() -> str:
    x = 1400.0 * uniform(4, 5000) - 700.0
    out = np.empty((x.size, 6))
    _scalars(x, out)
    return hashlib.sha256(out.tobytes()).hexdigest()


def widest_registers() -> str:
    """``zmm`` (AVX-512) or ``ymm`` (AVX2): what a kernel on 64-byte vectors was compiled to."""

    @njit
    def copy(source, target):
        a, b = float64_at(source), float64_at(target)
        for i in range(0, 64, lanes(a)):
            store_vector(b, i, load_vector(a, i) + load_vector(b, i))

    memory = np.zeros(128)
    copy(memory.ctypes.data, memory[64:].ctypes.data)
    assembly = "".join(copy.inspect_asm().values())
    return "zmm" if "%zmm" in assembly else "ymm" if "%ymm" in assembly else "none"


def hashes() -> dict[str, str]:
    return {
        "fleet": fleet_hash(),
        "race": race_hash(),
        "networks": networks_hash(),
        "scalars": scalars_hash(),
    }


if __name__ == "__main__":
    cells = sys.argv[1:]
    said = {"networks": networks_hash(cells)} if cells else hashes()
    print(json.dumps({"registers": widest_registers(), **said}))  # noqa: T201
