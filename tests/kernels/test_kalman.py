"""The filter's arithmetic against plain NumPy, and covariances that must stay positive definite."""

from __future__ import annotations

import naive_filters as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import test_kernel

from streamrnn.kernels import kalman
from streamrnn.kernels.triangle import downdate_and_multiply
from streamrnn.kernels.vector import float32_at, float64_at, load_vector, store_vector

LANES = {np.float32: 16, np.float64: 8}
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}
both_types = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])


def compile_for(dtype):
    at = {np.float32: float32_at, np.float64: float64_at}[dtype]

    @test_kernel
    def one(address, apart):
        return (at(address),)

    @test_kernel
    def two(address, apart):
        return at(address), at(address + apart)

    @test_kernel
    def three(address, apart):
        return at(address), at(address + apart), at(address + 2 * apart)

    def downdate_of(some):
        @test_kernel
        def downdate(matrix, before, factor, v, out, size, stride, bytes_apart, noise, cap):
            """``bytes_apart``: those of elements and of factors, from one observation to the next."""
            many, few = bytes_apart
            operands = some(before, many), some(factor, few), some(v, many), some(out, many)
            downdate_and_multiply(at(matrix), *operands, size, stride, noise, cap)

        return downdate

    downdate = tuple(downdate_of(some) for some in (one, two, three))

    @test_kernel
    def follow(covariance, before, factor, s, product, q_out, size, stride):
        shape = (size, stride)
        kalman.propagate(at(covariance), (at(before),), (at(factor),), (at(s),), (at(product),), shape)
        store_vector(at(q_out), 0, kalman.power(at(s), at(product), shape))

    @test_kernel
    def gain(variances, q, weights, apart, count, out):
        g = kalman.gain(float64_at(variances), load_vector(at(q), 0), at(weights), apart, count)
        store_vector(at(out), 0, g)

    @test_kernel
    def anew(covariance, size, lane, unit):
        kalman.start_anew(at(covariance), size, lane, unit)

    return downdate, follow, gain, anew


KERNELS = {dtype: compile_for(dtype) for dtype in LANES}


class Blocks:
    """As many blocks as a vector has lanes, and what a step of them reads and writes.

    Elements lie ``stride`` apart; what lies between them, and 64 elements on either side of
    the covariance, is NaN and must stay so.
    """

    def __init__(self, dtype, size, surplus=0):
        self.dtype, self.size, self.lanes = dtype, size, LANES[dtype]
        self.stride = self.lanes + surplus
        self.elements = size * (size + 1) // 2
        self.memory = np.full(self.elements * self.lanes + 128, np.nan, dtype)
        self.triangle = self.memory[64:-64].reshape(self.elements, self.lanes)
        names = ("before", "derivative", "product")
        self.vectors = {name: np.full((size, self.stride), np.nan, dtype) for name in names}
        self.factor, self.q = np.zeros(self.lanes, dtype), np.zeros(self.lanes, dtype)
        self.set("before", np.zeros((size, self.lanes)))

    def set(self, name, values):
        self.vectors[name][:, : self.lanes] = values

    def get(self, name):
        return self.vectors[name][:, : self.lanes].astype(np.float64)

    @property
    def covariances(self):
        """(lanes, size, size), whole."""
        whole = np.zeros((self.lanes, self.size, self.size))
        rows, columns = np.tril_indices(self.size)
        whole[:, rows, columns] = self.triangle.T
        whole[:, columns, rows] = self.triangle.T
        return whole

    @covariances.setter
    def covariances(self, whole):
        rows, columns = np.tril_indices(self.size)
        self.triangle[:] = whole[:, rows, columns].T

    def addresses(self, *names):
        return [self.vectors[name].ctypes.data for name in names]

    def follow(self):
        before, s, product = self.addresses("before", "derivative", "product")
        KERNELS[self.dtype][1](
            self.triangle.ctypes.data, before, self.factor.ctypes.data, s, product, self.q.ctypes.data,
            self.size, self.stride,
        )  # fmt: skip

    def leave(self, variances, weights):
        """What the next step is to take off: f = G / (1 + G q)."""
        out = np.zeros(self.lanes, self.dtype)
        KERNELS[self.dtype][2](
            variances.ctypes.data, self.q.ctypes.data, weights.ctypes.data, weights.shape[1],
            len(variances), out.ctypes.data,
        )  # fmt: skip
        self.factor[:] = out / (1.0 + out * self.q)
        self.vectors["before"][:] = self.vectors["product"]

    def nothing_else_was_written(self):
        margins = np.concatenate([self.memory[:64], self.memory[-64:]])
        between = [array[:, self.lanes :].ravel() for array in self.vectors.values()]
        return np.isnan(np.concatenate([margins, *between])).all()


def random_covariances(rng, lanes, size):
    root = rng.normal(size=(lanes, size, 2 * size))
    return root @ root.transpose(0, 2, 1) / (2 * size)


@both_types
@pytest.mark.parametrize("count", [1, 2, 3])
@given(size=st.integers(1, 44), surplus=st.integers(0, 40), seed=st.integers(0, 2**31))
@settings(max_examples=40)
def test_downdates_and_products_equal_numpy(dtype, count, size, surplus, seed):
    """As many observations as one pass over P takes: P - sum of f b b' + Q I, then each P v."""
    rng, blocks = np.random.default_rng(seed), Blocks(dtype, size, surplus)
    blocks.covariances = random_covariances(rng, blocks.lanes, size)
    given_, lanes = blocks.covariances, blocks.lanes
    before, v, out = np.full((3, count, size, blocks.stride), np.nan, dtype)
    before[..., :lanes], v[..., :lanes] = rng.normal(size=(2, count, size, lanes))
    factors = (rng.random((count, lanes)) * 0.1).astype(dtype)
    KERNELS[dtype][0][count - 1](
        *(array.ctypes.data for array in (blocks.triangle, before, factors, v, out)), size, blocks.stride,
        (before.strides[0], factors.strides[0]), 0.01, 1.1,
    )  # fmt: skip
    for lane in range(lanes):
        b, f = before[:, :, lane].astype(np.float64), factors[:, lane].astype(np.float64)
        expected = given_[lane] - np.einsum("c,ci,cj->ij", f[:-1], b[:-1], b[:-1])
        expected = naive.lowered(expected, b[-1], f[-1], 0.01, 1.1)
        np.testing.assert_allclose(blocks.covariances[lane], expected, atol=TOLERANCE[dtype])
        for s, product in zip(v[:, :, lane].astype(np.float64), out[:, :, lane], strict=True):
            room = TOLERANCE[dtype] * (np.abs(expected) @ np.abs(s)) + 1e-300
            assert np.all(np.abs(product - expected @ s) <= room)
    assert np.isnan(out[..., lanes:]).all()
    assert blocks.nothing_else_was_written()


@both_types
@pytest.mark.parametrize("size", range(1, 45))
def test_steps_of_a_block_equal_the_twin(dtype, size):
    """Propagation, q and gain of several records in turn, each going on from what the last one left."""
    rng, horizons = np.random.default_rng(size), 3
    blocks = Blocks(dtype, size, surplus=size % 3)
    blocks.covariances = np.tile(kalman.PRIOR * np.eye(size), (blocks.lanes, 1, 1))
    twins = [naive.Block(size) for _ in range(blocks.lanes)]
    for t in range(8):
        blocks.set("derivative", rng.normal(size=(size, blocks.lanes)))
        weights = rng.normal(size=(horizons, blocks.lanes + 5)).astype(dtype)
        variances = rng.random(horizons) * [1.0, 10.0, t > 3]  # the third had no target at first
        blocks.follow()
        blocks.leave(variances, weights)
        for lane, twin in enumerate(twins):
            q = twin.follow(blocks.get("derivative")[:, lane])
            w = weights[:, lane].astype(np.float64)
            total = sum(
                w[k] ** 2 / max(variances[k] - w[k] ** 2 * q, variances[k] / 10.0)
                for k in range(horizons) if variances[k] > 0.0
            )  # fmt: skip
            twin.factor = total / (1.0 + total * q)
    tolerance = TOLERANCE[dtype] * max(size, 8)  # roundings of 8 steps, each over a row
    for lane, twin in enumerate(twins):
        np.testing.assert_allclose(blocks.covariances[lane], twin.covariance, atol=tolerance)
        np.testing.assert_allclose(blocks.get("product")[:, lane], twin.product, atol=10 * tolerance)
        assert blocks.factor[lane] == pytest.approx(twin.factor, rel=tolerance)
    assert blocks.nothing_else_was_written()


@both_types
def test_without_a_target_yet_nothing_is_to_be_taken_off(dtype):
    blocks = Blocks(dtype, 3)
    blocks.q[:] = 5.0
    blocks.leave(np.zeros(2), np.ones((2, blocks.lanes), dtype))
    assert not blocks.factor.any()


@both_types
def test_a_new_start_touches_its_own_unit_only(dtype):
    rng = np.random.default_rng(0)
    blocks = Blocks(dtype, 11)
    blocks.covariances = given_ = random_covariances(rng, blocks.lanes, 11)
    blocks.triangle[:, 3] = np.nan
    KERNELS[dtype][3](blocks.triangle.ctypes.data, 11, 3, blocks.lanes)
    assert np.array_equal(blocks.covariances[3], kalman.PRIOR * np.eye(11))
    rest = np.arange(blocks.lanes) != 3
    assert np.array_equal(blocks.covariances[rest], given_[rest].astype(dtype))
    assert blocks.nothing_else_was_written()


def derivatives(kind, rng, shape):
    """(size, lanes) of one record."""
    random = rng.normal(size=shape)
    if kind == "spiky":
        return random * (1e3 if rng.random() < 0.01 else 1e-3)
    return {
        "zero": 0.0 * random,
        "random": random,
        "constant": np.tile(np.linspace(-1.0, 2.0, shape[0])[:, None], shape[1]),
        "nearly constant": 1.0 + 1e-4 * random,
        "huge": 3e4 * random,
        "tiny": 1e-20 * random,
        "of all sizes": random * 10.0 ** rng.uniform(-6, 4, size=shape),
    }[kind]


KINDS = ("zero", "random", "constant", "nearly constant", "spiky", "huge", "tiny", "of all sizes")


@both_types
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [9, 44])
def test_covariances_stay_positive_definite_whatever_the_derivatives(dtype, kind, size):
    """5000 records that each take off as much as they can, with noise of 1 in 1e4 and weights up to 3."""
    rng, blocks = np.random.default_rng(1), Blocks(dtype, size)
    blocks.covariances = np.tile(kalman.PRIOR * np.eye(size), (blocks.lanes, 1, 1))
    weights = rng.uniform(-3.0, 3.0, size=(2, blocks.lanes)).astype(dtype)
    for t in range(5000):
        blocks.set("derivative", derivatives(kind, rng, (size, blocks.lanes)))
        blocks.follow()
        blocks.leave(np.array([1e-4, 1.0]), weights)
        assert (blocks.q >= 0.0).all()
        if t % 1000 == 999:
            values = np.linalg.eigvalsh(blocks.covariances)
            assert values.min() > 0.0, t
            assert blocks.covariances.diagonal(axis1=1, axis2=2).max() <= np.float32(kalman.CAP)
