"""Node-decoupled extended Kalman filter (Puskorius and Feldkamp 1991; 1994, section IV).

The weights of a network are the state that is estimated, and the covariance of their
error keeps only the blocks of weights that belong together: those of a unit, or of one
gate of a unit. Units are the lanes of a vector, so one instruction works on the same
element of 16 blocks; of each symmetric block only the lower triangle is kept, row by
row, element (i, l) of all units at ``(i (i + 1) / 2 + l)`` vectors.

With S the derivatives of what is observed by the weights of a block, P their covariance:

    P <- P - f (P' S')(P' S')' + Q I,   then   P S   and   q = S' P S

where the downdate is the one that the step before had left to do: so each step goes
over the covariance once. Q is added to diagonal elements that are below a cap; a
covariance only ever loses f (PS)(PS)' with f q < 1 and gains Q I, so it stays definite.
"""

from __future__ import annotations

from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.triangle import downdate_and_multiply
from streamrnn.kernels.vector import (
    fma,
    load,
    load_vector,
    never_inline,
    smaller,
    splat,
    store,
    vector_sum,
)

PRIOR = 3.0  # initial variance of a weight
NOISE = 1e-5  # Q: added to it each record
CAP = 10.0  # the largest variance
_LARGEST_POWER = 1e12  # q beyond it: the derivatives have run away
_ROUNDING = 1e-3  # of a q that should be 0


def triangle(size: int) -> int:
    """Elements of the lower triangle of a block."""
    return size * (size + 1) // 2


triangle_of = inlined(triangle)


@kernel
def propagate(covariance, befores, factors, derivatives, products, shape):
    """One block of one vector of units: P less what the step before left to do, then each P S.

    Reads and writes ``covariance`` (triangle); reads ``befores`` and ``derivatives``, writes
    ``products``: tuples of as many pointers as there are observations, each to (elements) of
    vectors ``stride`` apart; each of ``factors`` points to f of the units. ``shape`` =
    (elements, stride).
    """
    never_inline()
    size, stride = shape
    downdate_and_multiply(covariance, befores, factors, derivatives, products, size, stride, NOISE, CAP)


@inlined
def power(derivative, product, shape):
    """Q = S' P S of a vector of units."""
    size, stride = shape
    even, odd = splat(derivative, 0.0), splat(derivative, 0.0)
    for e in range(0, size - 1, 2):
        even = fma(load_vector(derivative, e * stride), load_vector(product, e * stride), even)
        odd = fma(load_vector(derivative, (e + 1) * stride), load_vector(product, (e + 1) * stride), odd)
    if size % 2:
        at = (size - 1) * stride
        even = fma(load_vector(derivative, at), load_vector(product, at), even)
    return even + odd


@inlined
def is_sound(q):
    """Whether a unit's q is that of a positive covariance and of derivatives within bounds."""
    return -_ROUNDING <= q <= _LARGEST_POWER


@inlined
def are_sound(least, total):
    """The same of many: the smallest q or 0 of each lane, and the sum of all (NaN if one is)."""
    return vector_sum(least) >= -_ROUNDING and vector_sum(total) <= _LARGEST_POWER


@kernel
def start_anew(covariance, size, lane, unit):
    """Give one unit's block its prior again."""
    for i in range(size):
        for e in range(i + 1):
            at = (i * (i + 1) // 2 + e) * unit + lane
            store(covariance, at, PRIOR if e == i else 0.0)


@inlined
def larger(a, b):
    """The larger of two vectors, lane by lane."""
    return smaller(a * -1.0, b * -1.0) * -1.0


@inlined
def gain(variances, q, weights, apart, count):
    """G = sum over k of w_k^2 / max(V_k - w_k^2 q, V_k / 10), of a vector of units.

    ``variances`` (count) has V_k, 0 where horizon k never had a target; ``weights`` has w_k,
    how much forecast k moves with the units, ``apart`` elements from one k to the next.
    """
    total = splat(weights, 0.0)
    for k in range(count):
        v = load(variances, k)
        if v > 0.0:
            w = load_vector(weights, k * apart)
            squared = w * w
            left = larger(splat(weights, v) - squared * q, splat(weights, 0.1 * v))
            total = total + squared / left
    return total
