"""float64 functions of the record path against NumPy's long double, in units in the last place."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support import test_kernel

from streamrnn.kernels import scalar


def over_an_array(function):
    @test_kernel
    def run(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    def call(x):
        x = np.asarray(x, np.float64)
        out = np.empty_like(x)
        run(x, out)
        return out

    return call


@pytest.fixture(scope="module")
def own():
    """Our functions, each compiled once, over arrays."""
    return {name: over_an_array(getattr(scalar, name)) for name in ("exp", "log", "log1p", "asinh", "sinh")}


@pytest.fixture(scope="module")
def turns():
    @test_kernel
    def run(x, sine, cosine):
        for i in range(x.size):
            sine[i], cosine[i] = scalar.turn(x[i])

    def call(x):
        x = np.asarray(x, np.float64)
        sine, cosine = np.empty_like(x), np.empty_like(x)
        run(x, sine, cosine)
        return sine, cosine

    return call


def powers_of_ten(low, high, n=200_000):
    return 10.0 ** np.random.default_rng(0).uniform(low, high, n)


def evenly(low, high, n=300_000):
    return np.random.default_rng(1).uniform(low, high, n)


ARGUMENTS = {  # function: (arguments, NumPy's name, largest error in units in the last place)
    "exp": (np.concatenate([evenly(-707, 709), evenly(-1, 1)]), "exp", 0.9),
    "log": (np.concatenate([powers_of_ten(-307, 307), 1 + evenly(-0.3, 0.4)]), "log", 0.9),
    "log1p": (np.concatenate([powers_of_ten(-20, 0), powers_of_ten(0, 150)]), "log1p", 1.2),
    "asinh": (np.concatenate([powers_of_ten(-20, 6), -powers_of_ten(-3, 3)]), "arcsinh", 2.0),
    "sinh": (np.concatenate([powers_of_ten(-20, 0), evenly(-15, 15), evenly(-0.31, 0.31)]), "sinh", 3.0),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_errors_stay_within_a_few_units_in_the_last_place(own, name):
    x, numpy_name, most = ARGUMENTS[name]
    truth = getattr(np, numpy_name)(x.astype(np.longdouble))
    unit = np.spacing(np.abs(truth).astype(np.float64))
    assert np.max(np.abs(own[name](x) - truth) / unit) < most


def test_a_turn_is_sine_and_cosine(turns):
    x = np.concatenate([evenly(0, 1), np.arange(64) / 64, powers_of_ten(-20, -1), [np.nextafter(1, 0)]])
    sine, cosine = turns(x)
    angle = 2 * np.longdouble("3.14159265358979323846264338327950288") * x
    assert np.max(np.abs(sine - np.sin(angle))) < 1e-15
    assert np.max(np.abs(cosine - np.cos(angle))) < 1e-15


def test_quarter_turns_are_exact(turns):
    sine, cosine = turns([0.0, 0.25, 0.5, 0.75])
    assert np.array_equal(sine, [0, 1, 0, -1])
    assert np.array_equal(cosine, [1, 0, -1, 0])


def test_zeros_and_ones_are_exact(own):
    assert own["exp"]([0.0, -0.0]).tolist() == [1.0, 1.0]
    assert own["log"]([1.0]).tolist() == [0.0]
    for name in ("log1p", "asinh", "sinh"):
        assert own[name]([0.0, -0.0]).tolist() == [0.0, 0.0], name


def test_denormals_pass_through_what_is_linear_at_zero(own):
    tiny = np.array([5e-324, 1e-320, 1e-310])
    for name in ("log1p", "asinh", "sinh"):
        assert np.array_equal(own[name](tiny), tiny), name


def test_exp_is_flat_beyond_its_bounds_and_never_infinite_or_zero(own):
    low, high = own["exp"]([-708.0, 709.0])
    assert low > np.finfo(np.float64).tiny
    assert np.all(own["exp"]([-1e3, -1e308, -np.inf]) == low)
    assert np.all(own["exp"]([1e3, 1e308, np.inf]) == high)
    assert high == pytest.approx(math.exp(709.0), rel=1e-15)


def test_log_spans_all_normal_numbers(own):
    ends = [np.finfo(np.float64).tiny, np.finfo(np.float64).max]
    np.testing.assert_allclose(own["log"](ends), [math.log(x) for x in ends], rtol=1e-15)


def test_odd_functions_are_odd_to_the_bit(own):
    x = powers_of_ten(-12, 1.1)
    for name in ("asinh", "sinh"):
        assert np.array_equal(own[name](-x), -own[name](x)), name


def test_sinh_undoes_asinh_where_values_are_scaled(own):
    x = np.concatenate([powers_of_ten(-9, 6), -powers_of_ten(-9, 6)])
    np.testing.assert_allclose(own["sinh"](own["asinh"](x)), x, rtol=1e-14)


def test_nan_stays_nan(own):
    for name in ("exp", "log1p", "asinh", "sinh"):
        assert np.isnan(own[name]([np.nan]))[0], name


def test_bit_patterns_come_and_go():
    @test_kernel
    def there(x):
        return scalar.bits_of(x)

    @test_kernel
    def back(bits):
        return scalar.from_bits(bits)

    for x in (0.0, -0.0, 1.0, -2.5, 5e-324, 1.7e308, math.inf, -math.inf):
        bits = int(np.float64(x).view(np.int64))
        assert there(x) == bits
        assert np.float64(back(bits)).view(np.int64) == bits
