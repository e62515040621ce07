"""The same bits whether a kernel is made for 32 registers of 64 bytes or for 16 of 32 bytes."""

from __future__ import annotations

import numpy as np
import pytest
from support import test_kernel

from streamrnn.kernels import emit, matrix, narrow, triangle
from streamrnn.kernels.vector import float32_at, float64_at

POINTERS = {np.float32: float32_at, np.float64: float64_at}
LANES = {np.float32: 16, np.float64: 8}
N = 30_000  # elements of each operand's memory


def kernels_for(dtype):
    """Kernels of addresses and sizes alone, each of its name: compiled where they are first called."""
    at = POINTERS[dtype]

    @test_kernel
    def matvec(of, a, b, out, rows, columns, backwards):
        matrix.matvec(at(a), columns + 3, at(b), rows, at(out), columns, backwards)
        return 0.0

    @test_kernel
    def matvec_transposed(of, a, b, out, rows, columns, backwards):
        matrix.matvec_transposed(at(a), columns + 3, at(b), columns, at(out), rows, backwards)
        return 0.0

    @test_kernel
    def weight_gradient(of, a, b, out, rows, columns, steps):
        return matrix.weight_gradient(at(a), rows + 5, at(b), columns + 7, steps, at(out), rows, columns)

    @test_kernel
    def narrow_weight_gradient(of, a, b, out, rows, columns, steps):
        return matrix.narrow_weight_gradient(
            at(a), rows + 5, at(b), columns + 7, steps, at(out), rows, columns, steps // 2, steps
        )

    @test_kernel
    def narrow_matvec(of, a, b, out, rows, columns, backwards):
        whole = rows - rows % of
        narrow.narrow_matvec(at(a), columns, at(b), whole, rows, at(out), backwards)
        return 0.0

    @test_kernel
    def one(of, a, b, out, size, apart, stride):
        befores, factors, vs, outs = (at(b),), (at(b + apart),), (at(b + 2 * apart),), (at(out),)
        triangle.downdate_and_multiply(at(a), befores, factors, vs, outs, size, stride, 1e-3, 1.5)
        return 0.0

    @test_kernel
    def two(of, a, b, out, size, apart, stride):
        befores, factors = (at(b), at(b + apart)), (at(b + 2 * apart), at(b + 3 * apart))
        vs, outs = (at(b + 4 * apart), at(b + 5 * apart)), (at(out), at(out + apart))
        triangle.downdate_and_multiply(at(a), befores, factors, vs, outs, size, stride, 1e-3, 1.5)
        return 0.0

    @test_kernel
    def three(of, a, b, out, size, apart, stride):
        befores = (at(b), at(b + apart), at(b + 2 * apart))
        factors = (at(b + 3 * apart), at(b + 4 * apart), at(b + 5 * apart))
        vs = (at(b + 6 * apart), at(b + 7 * apart), at(b + 8 * apart))
        outs = (at(out), at(out + apart), at(out + 2 * apart))
        triangle.downdate_and_multiply(at(a), befores, factors, vs, outs, size, stride, 1e-3, 1.5)
        return 0.0

    products = (matvec, matvec_transposed, weight_gradient, narrow_weight_gradient, narrow_matvec)
    return {kernel.__name__: kernel for kernel in (*products, one, two, three)}


MEMORY = {dtype: np.random.default_rng(7).normal(size=(3, N)).astype(dtype) for dtype in POINTERS}


@pytest.fixture(scope="module")
def shapes():
    """(dtype, whether wide) to kernels that were compiled for such registers."""
    found = {}
    for dtype in POINTERS:
        for wide in (True, False):
            found[dtype, wide] = kernels_for(dtype)
            with pytest.MonkeyPatch.context() as patch:
                for module in (matrix, narrow, triangle):
                    patch.setattr(module, "has_wide_registers", lambda _context, wide=wide: wide)
                a, b, out = MEMORY[dtype].copy()
                for kernel in found[dtype, wide].values():
                    kernel(1, a.ctypes.data, b.ctypes.data, out.ctypes.data, 0, 0, 0)
    return found


def same_bits(shapes, dtype, name, *sizes):
    """Everything that both write, and what they return."""
    results = []
    for wide in (True, False):
        a, b, out = MEMORY[dtype].copy()
        kernel = shapes[dtype, wide][name]
        said = kernel(LANES[dtype], a.ctypes.data, b.ctypes.data, out.ctypes.data, *sizes)
        results.append((a.tobytes(), out.tobytes(), float(said)))
    return results[0] == results[1]


both_types = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
rows_of_all_rests = pytest.mark.parametrize("rows", [1, 3, 6, 17, 22, 37])
BLOCKS = range(1, 38)  # vectors of a row: every sequence of blocks


@both_types
@rows_of_all_rests
@pytest.mark.parametrize("name", ["matvec", "narrow_matvec"])
def test_products(shapes, dtype, rows, name):
    for blocks in BLOCKS:
        for backwards in (0, 1):
            assert same_bits(shapes, dtype, name, rows, blocks * LANES[dtype], backwards), blocks


@both_types
def test_transposed_products(shapes, dtype):
    for n_rows in (1, 2, 3):
        for blocks in range(1, 10):
            for backwards in (0, 1):
                sizes = (n_rows * LANES[dtype], blocks * LANES[dtype], backwards)
                assert same_bits(shapes, dtype, "matvec_transposed", *sizes), sizes


@both_types
@rows_of_all_rests
@pytest.mark.parametrize("name", ["weight_gradient", "narrow_weight_gradient"])
def test_gradients_and_their_squares(shapes, dtype, rows, name):
    for blocks in range(1, 14):
        for steps in (0, 1, 9):
            assert same_bits(shapes, dtype, name, rows, blocks * LANES[dtype], steps), (blocks, steps)


@both_types
@pytest.mark.parametrize("name", ["one", "two", "three"])
def test_covariances(shapes, dtype, name):
    item, lanes = np.dtype(dtype).itemsize, LANES[dtype]
    for size in range(1, 20):
        for stride in (lanes, 3 * lanes):
            apart = (size * stride + lanes) * item
            assert same_bits(shapes, dtype, name, size, apart, stride), size


@both_types
def test_the_two_shapes_are_two(shapes, dtype):
    for name in shapes[dtype, True]:
        wide, few = (next(iter(shapes[dtype, one][name].inspect_llvm().values())) for one in (True, False))
        assert wide != few, name


@pytest.mark.parametrize(
    ("features", "wide"),
    [("", False), ("+avx2,-avx512f,+fma", False), ("+avx512fp16", False), ("+avx2,+avx512f,+fma", True)],
)
def test_the_features_of_the_processor_decide(features, wide):
    class Context:
        def codegen(self):
            return self

        def magic_tuple(self):
            return "x86_64-unknown-linux-gnu", "some-processor", features

    assert emit.has_wide_registers(Context()) is wide
