"""float64 functions of the record path, with the same bits on every machine.

libm differs between systems, so the record path uses these: plain arithmetic in
a fixed order. Polynomials are fdlibm's (Sun Microsystems 1993; errors below one
unit in the last place before rounding); the tests compare with libm.
"""

from __future__ import annotations

from math import floor
from math import sqrt as square_root
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from streamrnn.kernels.compiling import inlined, kernel

_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_MANTISSA, _ONE_BITS, _ROOT_HALF_BITS = 0x000FFFFFFFFFFFFF, 0x3FF0000000000000, 0x3FE6A09E667F3BCD


@intrinsic
def bits_of(_typing: Any, x: Any) -> Any:
    """The bit pattern of a float64."""

    def emit(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), emit


@intrinsic
def from_bits(_typing: Any, bits: Any) -> Any:
    """The float64 with that bit pattern."""

    def emit(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), emit


@kernel
def log(x):
    """Natural logarithm of a positive normal number (fdlibm, e_log.c)."""
    bits = bits_of(x) + (_ONE_BITS - _ROOT_HALF_BITS)
    k = float((bits >> 52) - 1023)
    f = from_bits((bits & _MANTISSA) + _ROOT_HALF_BITS) - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01))
    odd = z * (
        6.666666666666735130e-01
        + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01))
    )
    half = 0.5 * f * f
    return k * _LN2_HIGH - ((half - (s * (half + even + odd) + k * _LN2_LOW)) - f)


@kernel
def exp(x):
    """Exponential (fdlibm, e_exp.c), of x held within [-708, 709]."""
    x = min(max(x, -708.0), 709.0)
    k = floor(x * 1.44269504088896338700 + 0.5)
    high = x - k * _LN2_HIGH
    low = k * _LN2_LOW
    r = high - low
    t = r * r
    c = r - t * (
        1.66666666666666019037e-01
        + t
        * (
            -2.77777777770155933842e-03
            + t
            * (
                6.61375632143793436117e-05
                + t * (-1.65339022054652515390e-06 + t * 4.13813679705723846039e-08)
            )
        )
    )
    y = 1.0 - ((low - (r * c) / (2.0 - c)) - high)
    half = int(k) >> 1  # in two factors, since 2^1024 is no float64
    return y * from_bits((half + 1023) << 52) * from_bits((int(k) - half + 1023) << 52)


@inlined
def log1p(x):
    """log(1 + x) for x >= 0: the rounding of 1 + x is put back (Goldberg 1991, theorem 4)."""
    u = 1.0 + x
    return log(u) - ((u - 1.0) - x) / u


@inlined
def asinh(x):
    """Inverse hyperbolic sine, accurate near 0."""
    a = abs(x)
    y = log1p(a + a * a / (1.0 + square_root(1.0 + a * a)))
    return y if x >= 0.0 else -y


@inlined
def sinh(x):
    """Hyperbolic sine; near 0 its series, where the difference of exponentials would cancel."""
    if abs(x) < 0.3:
        z = x * x
        return x * (
            1.0 + z / 6.0 * (1.0 + z / 20.0 * (1.0 + z / 42.0 * (1.0 + z / 72.0 * (1.0 + z / 110.0))))
        )
    y = exp(abs(x))
    y = 0.5 * (y - 1.0 / y)
    return y if x >= 0.0 else -y


@inlined
def _sin_octant(x):
    z = x * x
    return x + x * z * (
        -1.66666666666666324348e-01
        + z
        * (
            8.33333333332248946124e-03
            + z
            * (
                -1.98412698298579493134e-04
                + z
                * (
                    2.75573137070700676789e-06
                    + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)
                )
            )
        )
    )


@inlined
def _cos_octant(x):
    z = x * x
    return (
        1.0
        - 0.5 * z
        + z
        * z
        * (
            4.16666666666666019037e-02
            + z
            * (
                -1.38888888888741095749e-03
                + z
                * (
                    2.48015872894767294178e-05
                    + z
                    * (
                        -2.75573143513906633035e-07
                        + z * (2.08757232129817482790e-09 - z * 1.13596475577881948265e-11)
                    )
                )
            )
        )
    )


@kernel
def turn(fraction):
    """(sine, cosine) of a fraction of a full turn, 0 <= fraction < 1."""
    quarter = floor(fraction * 4.0 + 0.5)
    x = (fraction - 0.25 * quarter) * 6.283185307179586476925
    s, c = _sin_octant(x), _cos_octant(x)
    which = int(quarter) & 3
    if which == 1:
        return c, -s
    if which == 2:
        return -s, -c
    if which == 3:
        return -c, s
    return s, c
