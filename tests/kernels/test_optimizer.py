"""The optimisers, with clipping by norm and by value, against their plain twins."""

from __future__ import annotations

import naive_learning
import numpy as np
import pytest
from support import Network, random_weights, relative_error, test_kernel

from streamrnn.kernels.optimizer import descend
from streamrnn.tables import NetworkShape, Training


@test_kernel
def _update(cell, net, row, scratch, squares, losses):
    descend(cell, net, row, scratch, squares, losses)


def apply(net: Network, gradient: np.ndarray, losses: int) -> None:
    """One update along ``gradient``, that of the sum of ``losses`` losses."""
    net.segment("gradient")[:] = gradient
    squares = net.shape.dtype(np.sum(gradient.astype(np.float64) ** 2))
    addresses = [memory.ctypes.data for memory in (net.table, net.row, net.scratch)]
    _update(net.shape.tag, *addresses, squares, losses)


def fresh(training: Training, double: bool = True) -> Network:
    net = Network(NetworkShape("lstm", 3, 2, 2, 1, 4, double=double), training)
    net.set_weights(random_weights(net.shape, np.random.default_rng(0)))
    return net


@pytest.mark.parametrize("layers", [1, 2])
def test_a_silent_unit_of_rectifiers_leaves_no_subnormal_moments(layers):
    """They would stay for good, and slow down all that is computed with them."""
    net = Network(NetworkShape("rnn_relu", 3, 2, 2, 1, 4, layers=layers), Training(beta_2=0.9))
    apply(net, random_gradient(net, np.random.default_rng(4), 0.1), 1)
    for _ in range(1000):
        apply(net, np.zeros_like(net.segment("gradient")), 1)
    assert not net.segment("moment_1").any()
    assert not net.segment("moment_2").any()


def random_gradient(net: Network, rng: np.random.Generator, size: float) -> np.ndarray:
    """A gradient whose padding is zero, as backpropagation leaves it."""
    other = Network(net.shape)
    other.segment("weights")[:] = 0
    other.set_weights({k: size * w for k, w in random_weights(net.shape, rng).items()})
    return other.segment("weights").copy()


TWINS = {"adam": naive_learning.Adam, "rmsprop": naive_learning.RMSprop, "sgd": naive_learning.SGD}


@pytest.mark.parametrize(("double", "tolerance"), [(True, 1e-12), (False, 1e-5)])
@pytest.mark.parametrize("optimizer", TWINS)
@pytest.mark.parametrize("clip_value", [np.inf, 0.5])
def test_updates_equal_the_twin_with_and_without_clipping(double, tolerance, optimizer, clip_value):
    training = Training(0.03, 0.8, 0.95, 1e-4, clip=2.0, clip_value=clip_value, optimizer=optimizer)
    net, rng = fresh(training, double), np.random.default_rng(1)
    twin = TWINS[optimizer](0.03, 0.8, 0.95, 1e-4, 2.0, clip_value)
    p, clipped = net.weights, 0
    for _ in range(60):
        losses = int(rng.integers(1, 5))
        gradient = random_gradient(net, rng, 10.0 ** rng.uniform(-2, 1))
        clipped += np.sqrt(np.sum(gradient**2.0)) / losses > training.clip
        apply(net, gradient, losses)
        p = twin.update(p, {k: g / losses for k, g in net.named(gradient).items()})
    assert 5 < clipped < 55
    for name, array in p.items():
        assert relative_error(net.weights[name], array) < tolerance, name
        for moment, of_twin in (("moment_1", twin.m), ("moment_2", twin.v)):
            if name in of_twin:
                assert relative_error(net.named(net.segment(moment))[name], of_twin[name]) < tolerance, name
    assert not np.any(net.padding(net.segment("weights")))


def test_the_step_is_that_of_the_mean_loss():
    """Twice the gradient of twice as many losses is the same step."""
    one, two = fresh(Training()), fresh(Training())
    gradient = random_gradient(one, np.random.default_rng(2), 0.01)
    apply(one, gradient, 1)
    apply(two, 2 * gradient, 2)
    assert np.array_equal(one.row, two.row)


def test_a_gradient_beyond_the_clip_counts_as_one_of_that_norm():
    one, two = fresh(Training(clip=1.0)), fresh(Training(clip=1.0))
    gradient = random_gradient(one, np.random.default_rng(3), 1.0)
    gradient *= 64.0 / np.sqrt(np.sum(gradient**2))
    apply(one, gradient, 1)
    apply(two, gradient / 64.0, 1)
    np.testing.assert_allclose(one.segment("weights"), two.segment("weights"), rtol=1e-12)


def test_the_first_step_has_the_length_of_the_rate_whatever_the_gradient():
    """m / (1 - beta_1) = g and v / (1 - beta_2) = g^2 (Kingma and Ba 2015, section 2.1)."""
    training = Training(rate=0.01, epsilon=1e-12, clip=1e9)
    net = fresh(training)
    before = net.segment("weights").copy()
    gradient = random_gradient(net, np.random.default_rng(4), 1.0)
    apply(net, gradient, 1)
    moved = net.segment("weights") - before
    np.testing.assert_allclose(moved, -training.rate * np.sign(gradient), rtol=1e-6)


def test_a_gradient_of_zeros_moves_nothing_at_first():
    net = fresh(Training())
    before = net.segment("weights").copy()
    apply(net, np.zeros(net.shape.parameters), 1)
    assert np.array_equal(net.segment("weights"), before)
    assert np.isfinite(net.segment("moment_1")).all()


def test_tiny_and_huge_gradients_stay_finite():
    net = fresh(Training(), double=False)
    for size in (1e-38, 1e-20, 1e15, 1e-30):
        gradient = random_gradient(net, np.random.default_rng(5), size).astype(np.float32)
        apply(net, gradient, 1)
        assert np.isfinite(net.segment("weights")).all(), size


def test_corrections_vanish_after_many_steps():
    """Running powers of beta reach zero and stay there, without a division by it."""
    net = fresh(Training(beta_1=0.5, beta_2=0.5))
    gradient = random_gradient(net, np.random.default_rng(6), 0.1)
    for _ in range(1200):
        apply(net, gradient, 1)
    assert np.all(net.segment("powers") < 1e-300)
    assert np.isfinite(net.segment("weights")).all()


@pytest.mark.parametrize("wild", [np.inf, -np.inf, np.nan, 1e200])
def test_an_update_whose_gradient_overflowed_is_left_out(wild):
    net = fresh(Training())
    apply(net, random_gradient(net, np.random.default_rng(2), 1.0), 1)
    before = net.row.copy()
    gradient = random_gradient(net, np.random.default_rng(3), 1.0)
    gradient[net.shape.padded] = wild
    with np.errstate(over="ignore"):
        apply(net, gradient, 1)
    assert np.array_equal(net.row, before)
