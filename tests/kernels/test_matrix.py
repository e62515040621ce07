"""Matrix products of random sizes against float64 NumPy, and the bits that must not move."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import test_kernel

from streamrnn.kernels.matrix import matvec, matvec_transposed, narrow_weight_gradient, weight_gradient
from streamrnn.kernels.narrow import narrow_matvec, transpose
from streamrnn.kernels.vector import float32_at, float64_at

POINTERS = {np.float32: float32_at, np.float64: float64_at}
LANES = {np.float32: 16, np.float64: 8}
TOLERANCE = {np.float32: 1e-6, np.float64: 1e-15}  # of the sum of magnitudes
both_types = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
random_sizes = settings(max_examples=60)
seeds = st.integers(0, 2**31)
blocks = st.integers(1, 37)  # of one vector: every split into 16, 8, 4 and 1


def compile_for(dtype):
    at = POINTERS[dtype]

    @test_kernel
    def product(matrix, stride, v, rows, out, columns, backwards):
        matvec(at(matrix), stride, at(v), rows, at(out), columns, backwards)

    @test_kernel
    def transposed(matrix, stride, d, columns, out, rows, backwards):
        matvec_transposed(at(matrix), stride, at(d), columns, at(out), rows, backwards)

    @test_kernel
    def gradient(v, v_stride, d, d_stride, steps, out, rows, columns):
        return weight_gradient(at(v), v_stride, at(d), d_stride, steps, at(out), rows, columns)

    @test_kernel
    def narrow_product(matrix, columns, v, whole, rows, out, backwards):
        narrow_matvec(at(matrix), columns, at(v), whole, rows, at(out), backwards)

    @test_kernel
    def narrow_gradient(v, v_stride, d, d_stride, steps, out, rows, columns, first, slots):
        return narrow_weight_gradient(
            at(v), v_stride, at(d), d_stride, steps, at(out), rows, columns, first, slots
        )

    @test_kernel
    def turned(matrix, stride, rows, columns, out):
        transpose(at(matrix), stride, rows, columns, at(out))

    return product, transposed, gradient, narrow_product, narrow_gradient, turned


KERNELS = {dtype: compile_for(dtype) for dtype in POINTERS}


def guarded(size, dtype, offset=0):
    """An array of NaN with 64 more elements on either side; ``offset`` moves its start."""
    memory = np.full(size + 144, np.nan, dtype)
    start = 64 + offset
    return memory, memory[start : start + size]


def untouched(memory, inner):
    return np.count_nonzero(~np.isnan(memory)) == np.count_nonzero(~np.isnan(inner))


@both_types
@given(
    rows=st.integers(1, 70),
    n_blocks=blocks,
    surplus=st.integers(0, 20),
    backwards=st.integers(0, 1),
    seed=seeds,
)
@random_sizes
def test_matvec_equals_numpy(dtype, rows, n_blocks, surplus, backwards, seed):
    rng, columns = np.random.default_rng(seed), n_blocks * LANES[dtype]
    matrix = rng.normal(size=(rows, columns + surplus)).astype(dtype)
    v = rng.normal(size=rows).astype(dtype)
    memory, out = guarded(columns, dtype)
    KERNELS[dtype][0](
        matrix.ctypes.data, columns + surplus, v.ctypes.data, rows, out.ctypes.data, columns, backwards
    )
    wide = matrix[:, :columns].astype(np.float64)
    allowed = TOLERANCE[dtype] * (np.abs(v) @ np.abs(wide))
    assert np.all(np.abs(out - v.astype(np.float64) @ wide) <= allowed)
    assert untouched(memory, out)


@both_types
@given(n_rows=st.integers(1, 5), n_blocks=st.integers(1, 20), backwards=st.integers(0, 1), seed=seeds)
@random_sizes
def test_matvec_transposed_equals_numpy(dtype, n_rows, n_blocks, backwards, seed):
    rng, lanes = np.random.default_rng(seed), LANES[dtype]
    rows, columns = n_rows * lanes, n_blocks * lanes
    matrix = rng.normal(size=(rows, columns + 3)).astype(dtype)
    d = rng.normal(size=columns).astype(dtype)
    memory, out = guarded(rows, dtype)
    KERNELS[dtype][1](
        matrix.ctypes.data, columns + 3, d.ctypes.data, columns, out.ctypes.data, rows, backwards
    )
    wide = matrix[:, :columns].astype(np.float64)
    allowed = TOLERANCE[dtype] * (np.abs(wide) @ np.abs(d))
    assert np.all(np.abs(out - wide @ d.astype(np.float64)) <= allowed)
    assert untouched(memory, out)


@both_types
@given(
    n_whole=st.integers(0, 4),
    rest=st.integers(0, 20),
    n_blocks=st.integers(1, 15),
    backwards=st.integers(0, 1),
    seed=seeds,
)
@random_sizes
def test_narrow_matvec_equals_numpy(dtype, n_whole, rest, n_blocks, backwards, seed):
    rng, whole, columns = np.random.default_rng(seed), n_whole * LANES[dtype], n_blocks * LANES[dtype]
    matrix = rng.normal(size=(whole + rest, columns)).astype(dtype)
    v = rng.normal(size=whole + rest).astype(dtype)
    memory, out = guarded(columns, dtype)
    KERNELS[dtype][3](
        matrix.ctypes.data, columns, v.ctypes.data, whole, whole + rest, out.ctypes.data, backwards
    )
    wide = matrix.astype(np.float64)
    assert np.all(np.abs(out - v.astype(np.float64) @ wide) <= TOLERANCE[dtype] * (np.abs(v) @ np.abs(wide)))
    assert untouched(memory, out)


@both_types
def test_transpose_moves_every_element_to_its_place(dtype):
    rows, columns = 2 * LANES[dtype], 3 * LANES[dtype]
    matrix = np.arange(rows * (columns + 5), dtype=dtype).reshape(rows, -1)
    memory, out = guarded(rows * columns, dtype)
    KERNELS[dtype][5](matrix.ctypes.data, columns + 5, rows, columns, out.ctypes.data)
    assert np.array_equal(out.reshape(columns, rows), matrix[:, :columns].T)
    assert untouched(memory, out)


@both_types
@pytest.mark.parametrize("kernel", [2, 4], ids=["wide", "narrow"])
@given(steps=st.integers(0, 20), rows=st.integers(1, 40), n_blocks=st.integers(1, 14), seed=seeds)
@random_sizes
def test_weight_gradient_equals_numpy_and_returns_its_squares(dtype, kernel, steps, rows, n_blocks, seed):
    rng, columns = np.random.default_rng(seed), n_blocks * LANES[dtype]
    slots = steps + int(rng.integers(1, 4))
    v, d = (rng.normal(size=(slots, n)).astype(dtype) for n in (rows + 5, columns + 7))
    memory, out = guarded(rows * columns, dtype)
    first = int(rng.integers(slots)) if kernel == 4 else 0  # only the narrow one knows of a ring
    ring = (first, slots) if kernel == 4 else ()
    squares = KERNELS[dtype][kernel](
        v.ctypes.data, rows + 5, d.ctypes.data, columns + 7, steps, out.ctypes.data, rows, columns, *ring
    )
    seen = (first + np.arange(steps)) % slots
    left, right = v[seen, :rows].astype(np.float64), d[seen, :columns].astype(np.float64)
    allowed = TOLERANCE[dtype] * (np.abs(left).T @ np.abs(right)).ravel()
    assert np.all(np.abs(out - (left.T @ right).ravel()) <= allowed)
    assert squares == pytest.approx(np.sum(out.astype(np.float64) ** 2), rel=50 * TOLERANCE[dtype])
    assert untouched(memory, out)


@both_types
@given(rows=st.integers(1, 40), n_blocks=blocks, offsets=st.tuples(*[st.integers(0, 15)] * 3), seed=seeds)
@random_sizes
def test_alignment_changes_no_bit(dtype, rows, n_blocks, offsets, seed):
    rng, columns = np.random.default_rng(seed), n_blocks * LANES[dtype]
    rows *= LANES[dtype] if rows < 4 else 1
    matrix, v = rng.normal(size=rows * columns), rng.normal(size=max(rows, columns))
    results = []
    for shifts in ((0, 0, 0), offsets):
        places = [
            guarded(size, dtype, by)[1]
            for size, by in zip((matrix.size, v.size, columns), shifts, strict=True)
        ]
        places[0][:], places[1][:] = matrix, v
        KERNELS[dtype][0](
            places[0].ctypes.data, columns, places[1].ctypes.data, rows, places[2].ctypes.data, columns, 0
        )
        results.append(places[2].copy())
        if rows % LANES[dtype] == 0:
            out = guarded(rows, dtype, shifts[2])[1]
            KERNELS[dtype][1](
                places[0].ctypes.data, columns, places[1].ctypes.data, columns, out.ctypes.data, rows, 0
            )
            results[-1] = np.concatenate([results[-1], out])
    assert np.array_equal(*results)


@both_types
def test_a_wide_product_adds_row_after_row_in_one_chain(dtype):
    rng, lanes = np.random.default_rng(5), LANES[dtype]
    matrix, v = rng.normal(size=(30, 16 * lanes)).astype(dtype), rng.normal(size=30).astype(dtype)
    whole = np.empty(16 * lanes, dtype)
    KERNELS[dtype][0](matrix.ctypes.data, 16 * lanes, v.ctypes.data, 30, whole.ctypes.data, 16 * lanes, 0)
    sums = np.zeros(16 * lanes, dtype)
    for k in range(30):  # one chain: row after row, each with one rounding
        sums = (np.longdouble(v[k]) * matrix[k].astype(np.longdouble) + sums).astype(dtype)
    if dtype is np.float32:
        assert np.array_equal(whole, sums)
    np.testing.assert_allclose(whole, sums, rtol=1e-5 if dtype is np.float32 else 1e-12, atol=1e-15)


@both_types
def test_transposed_rows_are_fixed_trees_over_the_lanes(dtype):
    """Each lane adds every ``lanes``-th product in turn, then upper halves fall onto lower ones."""
    rng, lanes = np.random.default_rng(6), LANES[dtype]
    matrix, d = rng.normal(size=(lanes, 5 * lanes)).astype(dtype), rng.normal(size=5 * lanes).astype(dtype)
    out = np.empty(lanes, dtype)
    KERNELS[dtype][1](matrix.ctypes.data, 5 * lanes, d.ctypes.data, 5 * lanes, out.ctypes.data, lanes, 0)
    sums = np.zeros((lanes, lanes), dtype)
    for block in np.split(np.arange(5 * lanes), 5):
        wide = d[block].astype(np.longdouble) * matrix[:, block].astype(np.longdouble)
        sums = (wide + sums).astype(dtype)
    while sums.shape[1] > 1:
        half = sums.shape[1] // 2
        sums = sums[:, :half] + sums[:, half:]
    if dtype is np.float32:
        assert np.array_equal(out, sums[:, 0])
    np.testing.assert_allclose(out, sums[:, 0], rtol=1e-4 if dtype is np.float32 else 1e-12, atol=1e-15)


@both_types
def test_a_nan_stays_in_its_own_column(dtype):
    lanes = LANES[dtype]
    matrix, v = np.ones((3, 2 * lanes), dtype), np.ones(3, dtype)
    matrix[1, 4] = np.nan
    out = np.empty(2 * lanes, dtype)
    KERNELS[dtype][0](matrix.ctypes.data, 2 * lanes, v.ctypes.data, 3, out.ctypes.data, 2 * lanes, 0)
    assert list(np.flatnonzero(np.isnan(out))) == [4]
    assert np.all(np.delete(out, 4) == 3.0)
