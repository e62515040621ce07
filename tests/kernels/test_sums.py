"""What several steps at once need: four sums in one go, copies newest first, one multiply-add."""

from __future__ import annotations

import numpy as np
import pytest
from support import test_kernel

from streamrnn.kernels.sums import copy_backwards, fma_of_numbers, store_four_sums
from streamrnn.kernels.vector import float32_at, float64_at, lanes, load, load_vector, store, vector_sum

POINTERS = {np.float32: float32_at, np.float64: float64_at}
both_types = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


@both_types
def test_four_sums_at_once_are_those_one_by_one_to_the_bit(dtype):
    at = POINTERS[dtype]

    @test_kernel
    def run(x, together, single, more):
        p, n = at(x), lanes(at(x))
        vectors = (load_vector(p, 0), load_vector(p, n), load_vector(p, 2 * n), load_vector(p, 3 * n))
        store_four_sums(at(together), 1, vectors, more)
        for i in range(4):
            store(at(single), i, vector_sum(load_vector(p, i * n)) + dtype(more))

    rng = np.random.default_rng(1)
    for more in (0.0, 0.3):
        x = rng.normal(size=64).astype(dtype)
        together, single = np.full(6, 7.0, dtype), np.empty(4, dtype)
        run(x.ctypes.data, together.ctypes.data, single.ctypes.data, more)
        assert np.array_equal(together[1:5], single)
        assert together[0] == together[5] == 7.0
        assert np.allclose(
            single, x[: 64 if dtype is np.float32 else 32].reshape(4, -1).sum(axis=1) + more, 1e-4
        )


@both_types
def test_copied_backwards_a_series_comes_newest_first_and_touches_nothing_else(dtype):
    at = POINTERS[dtype]

    @test_kernel
    def run(x, newest, out, count):
        copy_backwards(at(out), at(x + newest), count)

    x = np.arange(40, dtype=dtype)
    for count in range(20):
        out = np.full(24, -1, dtype)
        run(x.ctypes.data, 30 * x.itemsize, out.ctypes.data + 2 * x.itemsize, count)
        assert np.array_equal(out[2 : 2 + count], x[30 : 30 - count : -1])
        assert np.all(out[:2] == -1)
        assert np.all(out[2 + count :] == -1)


def test_a_multiply_add_rounds_once():
    @test_kernel
    def run(x, out):
        p = float32_at(x)
        store(float32_at(out), 0, fma_of_numbers(load(p, 0), load(p, 1), load(p, 2)))

    x, out = np.array([1 + 2**-12, 1 + 2**-12, -1 - 2**-11], np.float32), np.empty(1, np.float32)
    run(x.ctypes.data, out.ctypes.data)
    assert out[0] == 2.0**-24  # rounded twice it would be 0
