"""Vector arithmetic, lane by lane, against float64 NumPy and libm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import test_kernel

from streamrnn.kernels import vector as vec
from streamrnn.kernels.rectifier import unless_nearer
from streamrnn.kernels.vector import (
    address_of,
    float32_at,
    float64_at,
    int64_at,
    lanes,
    load,
    load_vector,
    pointer_like,
    shift,
    splat,
    store,
    store_vector,
    vector_sum,
)

POINTERS = {np.float32: float32_at, np.float64: float64_at}
LANES = {np.float32: 16, np.float64: 8}
both_types = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


def elementwise(function, dtype):
    """A NumPy function that runs ``function`` on vectors of ``dtype``."""
    at = POINTERS[dtype]

    @test_kernel
    def run(x, out, n):
        source, target = at(x), at(out)
        for i in range(0, n, lanes(source)):
            store_vector(target, i, function(load_vector(source, i)))

    def call(x):
        x = np.asarray(x)
        padded = np.zeros(-(-x.size // 16) * 16, dtype)
        padded[: x.size] = x
        out = np.empty_like(padded)
        run(padded.ctypes.data, out.ctypes.data, padded.size)
        return out[: x.size]

    return call


@pytest.fixture(scope="module")
def single():
    """The float32 functions, each compiled once."""
    names = ("tanh", "sigmoid", "exp", "log", "sqrt")
    return {name: elementwise(getattr(vec, name), np.float32) for name in names}


@pytest.fixture(scope="module")
def finite():
    """Float32 numbers of every exponent and sign, and a fine grid where gates live."""
    bits = np.random.default_rng(0).integers(0, 2**32, 500_000, np.uint64).astype(np.uint32)
    numbers = bits.view(np.float32)
    return np.concatenate([numbers[np.isfinite(numbers)], np.linspace(-12, 12, 500_001, dtype=np.float32)])


def in_ulp(value, truth):
    """Largest error in units in the last place of the true float32."""
    unit = np.spacing(np.abs(truth).astype(np.float32)).astype(np.float64)
    return np.max(np.abs(value.astype(np.float64) - truth) / unit)


# ---------------------------------------------------------------- accuracy


def test_tanh_is_within_3e_7_of_libm(single, finite):
    truth = np.tanh(finite.astype(np.float64))
    error = np.abs(single["tanh"](finite) - truth)
    assert error.max() < 3e-7
    ordinary = np.abs(finite) > 1e-35  # below, x times a small coefficient is a denormal
    assert np.max(error[ordinary] / np.abs(truth[ordinary])) < 3.2e-7
    assert np.max(np.abs(single["tanh"](finite))) < 1.0


def test_tanh_is_odd_to_the_bit(single, finite):
    assert np.array_equal(single["tanh"](-finite), -single["tanh"](finite))


def test_sigmoid_is_within_2e_7_of_libm_and_strictly_inside_0_and_1(single, finite):
    values = single["sigmoid"](finite)
    truth = 1.0 / (1.0 + np.exp(-np.clip(finite.astype(np.float64), -100, 100)))
    assert np.max(np.abs(values - truth)) < 1.8e-7
    assert 0.0 < values.min() < values.max() < 1.0


def test_exp_is_within_one_unit_in_the_last_place_of_libm(single, finite):
    x = finite[(finite > -87.33) & (finite < 88.37)]
    assert in_ulp(single["exp"](x), np.exp(x.astype(np.float64))) < 1.05


def test_log_is_within_one_unit_in_the_last_place_of_libm(single, finite):
    x = np.concatenate([np.abs(finite), np.linspace(0.5, 2.0, 400_001, dtype=np.float32)])
    x = x[(x >= np.finfo(np.float32).tiny) & (x != 1.0)]
    assert in_ulp(single["log"](x), np.log(x.astype(np.float64))) < 0.85
    assert single["log"](np.ones(1))[0] == 0.0


def test_sqrt_is_correctly_rounded(single, finite):
    x = np.abs(finite)
    assert np.array_equal(single["sqrt"](x), np.sqrt(x))


@both_types
@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 7, 8, 9, 16, 21])
def test_copy_writes_so_many_elements_and_no_other(dtype, count):
    at = POINTERS[dtype]

    @test_kernel
    def run(out, source, n):
        vec.copy(at(out), at(source), n)

    source, out = np.arange(1, 41).astype(dtype), np.zeros(40, dtype)
    run(out[4:].ctypes.data, source.ctypes.data, count)
    assert np.array_equal(out[4 : 4 + count], source[:count])
    assert not out[:4].any()
    assert not out[4 + count :].any()


@both_types
def test_unless_nearer_silences_what_is_nearer_to_0_and_keeps_nan(dtype):
    @test_kernel
    def far(x):
        return unless_nearer(x, 1e-30)

    x = np.array([1e-31, -1e-31, 1e-29, -1e-29, 0.0, np.inf, -np.inf, np.nan], dtype)
    expected = np.where(np.abs(x) < 1e-30, 0.0, x)
    assert np.array_equal(elementwise(far, dtype)(x), expected, equal_nan=True)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "exp", "log", "sqrt"])
def test_float64_functions_are_those_of_libm(name):
    rng = np.random.default_rng(1)
    x = 5.0 * rng.normal(size=4000)
    x = np.abs(x) if name in ("log", "sqrt") else x
    truth = 1.0 / (1.0 + np.exp(-x)) if name == "sigmoid" else getattr(np, name)(x)
    values = elementwise(getattr(vec, name), np.float64)(x)
    np.testing.assert_allclose(values, truth, rtol=1e-14, atol=3e-16)


# ---------------------------------------------------------------- edges


def test_zeros_keep_their_sign(single):
    for name in ("tanh", "sqrt"):
        values = single[name](np.array([0.0, -0.0]))
        assert np.array_equal(np.signbit(values), [False, True]), name
    assert np.all(single["sigmoid"](np.array([0.0, -0.0])) == 0.5)
    assert np.all(single["exp"](np.array([0.0, -0.0])) == 1.0)


def test_beyond_their_bounds_functions_are_flat(single):
    huge = np.array([20.0, 1e3, 3e38, np.inf])
    assert np.unique(single["tanh"](huge)).size == 1
    assert np.array_equal(single["tanh"](-huge), -single["tanh"](huge))
    assert np.unique(single["sigmoid"](huge)).size == 1
    assert np.unique(single["exp"](huge[1:])).size == 1
    assert np.isfinite(single["exp"](huge)).all()
    assert single["exp"](-huge[1:]).min() >= np.finfo(np.float32).tiny  # never a denormal


def test_log_of_what_has_none_is_that_of_the_smallest_normal_number(single):
    least = single["log"](np.array([np.finfo(np.float32).tiny]))[0]
    assert np.all(single["log"](np.array([0.0, -0.0, -1.0, -np.inf, 1e-40])) == least)
    assert np.isfinite(single["log"](np.array([np.inf])))


def test_nan_becomes_the_upper_bound(single):
    """Clamping maps it there, so a gate stays a number; the border refuses NaN long before."""
    for name in ("tanh", "sigmoid", "exp", "log"):
        values = single[name](np.array([np.nan, np.inf]))
        assert values[0] == values[1], name
    assert np.isnan(single["sqrt"](np.array([np.nan, -1.0]))).all()


def test_tiny_values_pass_through_tanh(single):
    tiny = np.array([1e-30, -1e-20, 1e-10], np.float32)
    np.testing.assert_allclose(single["tanh"](tiny), tiny, rtol=2e-7)


# ---------------------------------------------------------------- memory and arithmetic


@test_kernel
def _operators(a, b, c, out):
    """Every operator and every mix of vectors and numbers."""
    x, y, z = load_vector(a, 0), load_vector(b, 0), load_vector(c, 0)
    n = lanes(a)
    store_vector(out, 0, x + y)
    store_vector(out, n, x - 0.1)
    store_vector(out, 2 * n, 0.1 * y)
    store_vector(out, 3 * n, 1.0 / z)
    store_vector(out, 4 * n, vec.fma(x, y, z))
    store_vector(out, 5 * n, vec.fma(0.1, y, -0.1))
    store_vector(out, 6 * n, splat(a, 0.1) / z)


def fma(a, b, c, dtype):
    """a b + c with one rounding (float32: a product of two has 48 bits and fits a long double)."""
    wide = np.longdouble
    return (wide(a) * wide(b) + wide(c)).astype(dtype)


@both_types
def test_arithmetic_is_that_of_numpy_to_the_bit(dtype):
    rng, n, at = np.random.default_rng(2), LANES[dtype], POINTERS[dtype]

    @test_kernel
    def run(a, b, c, out):
        _operators(at(a), at(b), at(c), at(out))

    for _ in range(50):
        a, b, c = (rng.normal(size=n).astype(dtype) for _ in range(3))
        if dtype is np.float64:  # 26 bits each, so that the exact product fits
            a, b = a.astype(np.float32).astype(dtype), b.astype(np.float32).astype(dtype)
        out = np.empty(7 * n, dtype)
        run(a.ctypes.data, b.ctypes.data, c.ctypes.data, out.ctypes.data)
        tenth = dtype(0.1)
        expected = [a + b, a - tenth, tenth * b, dtype(1) / c, fma(a, b, c, dtype)]
        assert np.array_equal(out[: 5 * n], np.concatenate(expected))
        assert np.array_equal(out[6 * n :], tenth / c)
        assert np.max(np.abs(out[5 * n : 6 * n] - (0.1 * b.astype(np.float64) - 0.1))) < 1e-6


@both_types
def test_fma_rounds_once(dtype):
    """(1 + e)^2 - (1 + 2 e) is e^2: it is lost where the product is rounded first."""
    tiny = np.finfo(dtype).eps
    fused = elementwise(_square_minus(tiny), dtype)(np.array([1.0 + tiny], dtype))
    assert fused[0] == tiny**2


def _square_minus(tiny):
    limit = float(-(1.0 + 2.0 * tiny))

    @test_kernel
    def function(x):
        return vec.fma(x, x, limit)

    return function


@both_types
def test_a_sum_is_a_fixed_tree_to_the_bit(dtype):
    """Upper half onto lower half, and again; not NumPy's order, nor the compiler's."""
    at, rng = POINTERS[dtype], np.random.default_rng(3)

    @test_kernel
    def total(x):
        return vector_sum(load_vector(at(x), 0))

    differs = 0
    for _ in range(200):
        x = (rng.normal(size=LANES[dtype]) * 10.0 ** rng.integers(-3, 4, LANES[dtype])).astype(dtype)
        tree = x
        while tree.size > 1:
            tree = tree[: tree.size // 2] + tree[tree.size // 2 :]
        assert total(x.ctypes.data) == tree[0]
        differs += tree[0] != np.add.accumulate(x)[-1]
    assert differs > 20  # so the order did matter


@both_types
@given(offset=st.integers(0, 40), data=st.randoms(use_true_random=False))
@settings(max_examples=20)
def test_vectors_are_read_and_written_at_any_element(dtype, offset, data):
    n = LANES[dtype]
    source = np.array([data.random() for _ in range(64)], dtype)
    target = np.full(64, -1.0, dtype)
    copiers[dtype](source.ctypes.data, target.ctypes.data, offset)
    expected = np.full(64, -1.0, dtype)
    expected[offset : offset + n] = source[offset : offset + n]
    assert np.array_equal(target, expected)


def _copier(dtype):
    at = POINTERS[dtype]

    @test_kernel
    def copy(source, target, offset):
        store_vector(at(target), offset, load_vector(shift(at(source), offset), 0))

    return copy


copiers = {dtype: _copier(dtype) for dtype in POINTERS}


@test_kernel
def _scalars(singles, doubles, wholes):
    """Read, convert and write single elements; the last is an address minus its own base."""
    a, b, c = float32_at(singles), float64_at(doubles), int64_at(wholes)
    store(a, 1, load(b, 0))
    store(b, 1, load(a, 0))
    store(c, 1, load(c, 0) + 1)
    store(pointer_like(doubles, load(b, 0)), 2, load(c, 0))
    store(c, 2, address_of(shift(b, 3)) - doubles)


def test_single_elements_are_converted_to_the_type_of_their_place():
    singles, doubles = np.zeros(4, np.float32), np.zeros(4)
    wholes = np.array([2**53, 0, 0], np.int64)
    singles[0], doubles[0] = 0.1, 0.1
    _scalars(singles.ctypes.data, doubles.ctypes.data, wholes.ctypes.data)
    assert singles[1] == np.float32(0.1)
    assert doubles[1] == np.float64(np.float32(0.1))
    assert doubles[2] == 2.0**53
    assert list(wholes[1:]) == [2**53 + 1, 24]
