"""The machine's peak of float32 multiply-adds, as our own vectors reach it, and other bounds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numba
from common import Contender
from llvmlite.binding import get_host_cpu_features
from numpy import float32

from streamrnn.kernels.vector import float32_at, fma, load_vector, sqrt, store_vector, tanh, vector_sum
from streamrnn.space import aligned_bytes

# Independent sums of 64 bytes: 2 units of 4 cycles latency need 8 where that is one register, with some
# to spare. Where it is two of only 16 registers, 6 are as many as can stay there, and enough.
WIDE = bool(get_host_cpu_features().get("avx512f"))
CHAINS = 12 if WIDE else 6
LANES = 16
ROUNDS = 2_000_000  # some 3 ms: the first 100 us run at a lower clock
FLOP = 2 * LANES * CHAINS * ROUNDS
NAME = "peak"


@numba.njit(error_model="numpy", nogil=True)
def multiply_add(memory, rounds):  # noqa: ANN001, ANN201
    """Make x = x b + c of 12 vectors ``rounds`` times; ``memory`` holds b, c and the 12, updated.

    Without fast-math flags the compiler may neither shorten nor reorder the
    chains, and since their end is stored it cannot drop them.
    """
    p = float32_at(memory)
    b, c = load_vector(p, 0), load_vector(p, 16)
    x0, x1, x2 = load_vector(p, 32), load_vector(p, 48), load_vector(p, 64)
    x3, x4, x5 = load_vector(p, 80), load_vector(p, 96), load_vector(p, 112)
    x6, x7, x8 = load_vector(p, 128), load_vector(p, 144), load_vector(p, 160)
    x9, x10, x11 = load_vector(p, 176), load_vector(p, 192), load_vector(p, 208)
    for _ in range(rounds):
        x0, x1, x2 = fma(x0, b, c), fma(x1, b, c), fma(x2, b, c)
        x3, x4, x5 = fma(x3, b, c), fma(x4, b, c), fma(x5, b, c)
        x6, x7, x8 = fma(x6, b, c), fma(x7, b, c), fma(x8, b, c)
        x9, x10, x11 = fma(x9, b, c), fma(x10, b, c), fma(x11, b, c)
    store_vector(p, 32, x0)
    store_vector(p, 48, x1)
    store_vector(p, 64, x2)
    store_vector(p, 80, x3)
    store_vector(p, 96, x4)
    store_vector(p, 112, x5)
    store_vector(p, 128, x6)
    store_vector(p, 144, x7)
    store_vector(p, 160, x8)
    store_vector(p, 176, x9)
    store_vector(p, 192, x10)
    store_vector(p, 208, x11)


@numba.njit(error_model="numpy", nogil=True)
def multiply_add_few(memory, rounds):  # noqa: ANN001, ANN201
    """The same of 6 vectors."""
    p = float32_at(memory)
    b, c = load_vector(p, 0), load_vector(p, 16)
    x0, x1, x2 = load_vector(p, 32), load_vector(p, 48), load_vector(p, 64)
    x3, x4, x5 = load_vector(p, 80), load_vector(p, 96), load_vector(p, 112)
    for _ in range(rounds):
        x0, x1, x2 = fma(x0, b, c), fma(x1, b, c), fma(x2, b, c)
        x3, x4, x5 = fma(x3, b, c), fma(x4, b, c), fma(x5, b, c)
    store_vector(p, 32, x0)
    store_vector(p, 48, x1)
    store_vector(p, 64, x2)
    store_vector(p, 80, x3)
    store_vector(p, 96, x4)
    store_vector(p, 112, x5)


def contender() -> Contender:
    """The peak as a contender whose sample is one FLOP."""
    memory = aligned_bytes(4 * LANES * (CHAINS + 2)).view(float32)
    memory[:] = 1.0
    memory[:LANES], memory[LANES : 2 * LANES] = 0.9999, 1e-5
    kernel = multiply_add if WIDE else multiply_add_few
    return Contender(NAME, lambda: kernel(memory.ctypes.data, ROUNDS), FLOP)


def _repeated(change: Callable[..., Any]) -> Any:
    """A kernel that changes 4 vectors x ``rounds`` times, with a constant c: enough to fill a divider."""
    changed = numba.njit(error_model="numpy")(change)

    @numba.njit(error_model="numpy", nogil=True)
    def repeat(memory, rounds):  # noqa: ANN001, ANN202
        p = float32_at(memory)
        c, x0, x1 = load_vector(p, 0), load_vector(p, 16), load_vector(p, 32)
        x2, x3 = load_vector(p, 48), load_vector(p, 64)
        for _ in range(rounds):
            x0, x1, x2, x3 = changed(x0, c), changed(x1, c), changed(x2, c), changed(x3, c)
        store_vector(p, 16, x0 + x1 + x2 + x3)

    return repeat


@numba.njit(error_model="numpy", nogil=True)
def feedback(memory, rounds):  # noqa: ANN001, ANN201
    """Make y = sum c tanh(c y + c) ``rounds`` times: one vector of units that hear what they say."""
    p = float32_at(memory)
    c, y = load_vector(p, 0), float32(0.5)
    for _ in range(rounds):
        y = vector_sum(tanh(fma(y, c, c)) * c)
    store_vector(p, 16, c * y)


def bounds() -> list[Contender]:
    """Contenders whose sample is one division, one square root, one trip from an output to the next."""
    memory, rounds = aligned_bytes(4 * LANES * 5).view(float32), ROUNDS // 20
    memory[:] = 0.7
    return [
        Contender(name, partial(kernel, memory.ctypes.data, rounds), samples * rounds)
        for name, kernel, samples in (
            ("division", _repeated(lambda x, c: c / x), 4 * LANES),
            ("root", _repeated(lambda x, c: sqrt(x + c)), 4 * LANES),
            ("feedback", feedback, 1),
        )
    ]
