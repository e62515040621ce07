"""Networks on a grid of time and channels, against a plain twin in both dimensions."""

from __future__ import annotations

import naive
import numpy as np
import pytest

from streamrnn.errors import DataError, SettingsError
from streamrnn.grid import GridModel
from streamrnn.recurrent import Recurrent

HUBER = 0.7


def made(cell="gru", **options) -> GridModel:
    options = {"units": 4, "inputs": 2, "outputs": 3, "double": True, "huber": HUBER, **options}
    model = GridModel(cell, **options)
    rng = np.random.default_rng(1)
    model.weights = {name: 0.5 * rng.normal(size=w.shape) for name, w in model.weights.items()}
    return model


def grid(loss: str = "squared", steps: int = 5, channels: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Inputs with a masked place, targets with missing ones."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(steps, channels, 2)), rng.normal(size=(steps, channels, 3))
    if loss == "cross_entropy":
        y = rng.dirichlet(np.ones(3), (steps, channels))
    x[2, 1, 0] = np.nan
    y[1, 2, 1] = np.nan
    y[3, 0] = np.nan
    return x, y


def _grid_products(p, x, state):
    """As an LSTM's, beside the neighbour's state, which is the last of x."""
    seen, beside = x[..., :-4], x[..., -4:]
    return naive._from_x(p, seen) + naive._from_h(p, state), beside


def _grid_activate(products, state):
    """s = f s(t-1, c) + e s(t, c-1) + i g, h = o tanh(s)."""
    i, f, e, g, o = np.split(products[0], 5, axis=-1)
    s = naive.sigmoid(f) * state[1] + naive.sigmoid(e) * products[1] + naive.sigmoid(i) * np.tanh(g)
    return naive.sigmoid(o) * np.tanh(s), s


CELLS = {**naive.CELLS, "grid_lstm": naive.Cell(2, _grid_products, _grid_activate)}


def run_twin(p, cell, x, reverse=""):
    """y[t][c] of one network: place by place, each from its two predecessors."""
    own = {
        name.removesuffix(reverse): a for name, a in p.items() if name.endswith("_reverse") == bool(reverse)
    }
    own["weight_ih_l0"] = np.concatenate([own["weight_ih_l0"], own.pop("weight_ch_l0")], axis=-1)
    twin, heard = CELLS[cell], 2 if cell == "grid_lstm" else 1
    steps, channels, _ = x.shape
    states, said = {}, {}
    for t in range(steps):
        for c in range(channels)[:: -1 if reverse else 1]:
            before = states.get((t - 1, c), twin.zero_state(own))
            neighbour = states.get((t, c + 1 if reverse else c - 1), (np.zeros(4),) * heard)[:heard]
            masked = bool(np.isnan(x[t, c]).any())
            seen = np.zeros(2) if masked else x[t, c]
            step = naive.step(twin, own, naive._beside(seen, *neighbour), before, masked)
            states[t, c], said[t, c] = step.state, step.y
    return said


@pytest.mark.parametrize(
    ("cell", "loss", "both"),
    [
        ("rnn_logistic", "squared", False),  # its kernels are compiled for other tests, too
        ("rnn_logistic", "gaussian", True),
        ("gru", "cross_entropy", False),
        ("gru", "huber", True),
        ("grid_lstm", "squared", True),
        pytest.param("rnn", "squared", False, marks=pytest.mark.soak),
        pytest.param("lstm", "squared", True, marks=pytest.mark.soak),
        pytest.param("diagonal_lstm", "squared", False, marks=pytest.mark.soak),
    ],
)
def test_the_gradient_through_time_and_channels_equals_that_of_the_twin(cell, loss, both):
    model = made(cell, loss=loss, both=both)
    x, y = grid(loss)

    def of(p):
        ways = [run_twin(p, cell, x, reverse) for reverse in ("", "_reverse")[: 1 + both]]
        return sum(
            naive.LOSSES[loss](sum(said[t, c] for said in ways), y[t, c], HUBER)
            for t in range(len(x))
            for c in range(x.shape[1])
        )

    truth, found = naive.complex_step(of, model.weights), model.gradients(x, y)
    assert set(found) == set(truth)
    for name, array in truth.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-8, atol=1e-10, err_msg=name)
        assert np.abs(array).max() > 1e-4, name
    losses = 18 if loss == "cross_entropy" else 56
    assert model.evaluate(x, y) == pytest.approx(of(model.weights) / losses, rel=1e-12)


def reached(model, at):
    """Places whose outputs change with the input at one place."""
    x, _ = grid()
    x[2, 1, 0] = 0.0
    said = model.predict(x)
    x[at] += 1.0
    return np.any(model.predict(x) != said, axis=2)


def test_a_place_hears_of_all_before_it_in_both_dimensions_and_of_no_other():
    t, c = np.indices((5, 4))
    assert np.array_equal(reached(made(), (1, 1)), (t >= 1) & (c >= 1))
    assert np.array_equal(reached(made(both=True), (1, 1)), t >= 1)


def test_parameters_do_not_grow_with_the_grid_and_cost_does(monkeypatch):
    steps, run = [], Recurrent.run

    def counted(self, x, *rest):
        steps.append(len(x))
        return run(self, x, *rest)

    monkeypatch.setattr(Recurrent, "run", counted)
    rng, model, costs = np.random.default_rng(0), made(), []
    sizes = {name: w.size for name, w in model.weights.items()}
    for channels in (3, 6, 12):
        steps.clear()
        model.learn(rng.normal(size=(7, channels, 2)), rng.normal(size=(7, channels, 3)))
        costs.append(sum(steps))
    assert costs == [2 * 7 * channels for channels in (3, 6, 12)]  # there, and there again for the way back
    assert {name: w.size for name, w in model.weights.items()} == sizes
    assert sum(sizes.values()) == 3 * (4 * (2 + 4 + 4) + 2 * 4) + 3 * (4 + 1)


@pytest.mark.parametrize("both", [False, True])
def test_one_step_of_the_optimiser_moves_all_parts_by_one_norm(both):
    clip = 0.05
    model = made(both=both, optimizer="sgd", beta_1=0.0, rate=0.1, clip=clip)
    x, y = grid()
    before, gradient = model.weights, model.gradients(x, y)
    loss = model.evaluate(x, y)
    assert model.learn(x, y) == loss
    norm = np.sqrt(sum(np.sum(g**2) for g in gradient.values())) / 56
    assert norm > clip
    for name, array in before.items():
        moved = array - 0.1 * clip / norm * gradient[name] / 56
        np.testing.assert_allclose(model.weights[name], moved, rtol=1e-10, atol=1e-14, err_msg=name)


def test_what_is_learned_on_few_channels_holds_on_many():
    """A front that moves from sensor to sensor: only the neighbour tells when it arrives."""
    rng = np.random.default_rng(0)

    def fronts(n, channels):
        t, c = np.arange(30)[:, None], np.arange(channels)
        start = rng.integers(2, 10, size=(n, 1, 1))
        x = (t >= start + c).astype(float)[..., None]
        return x[:, :-1], x[:, 1:, 1:], x  # what comes next, of all that have a neighbour

    x, y, _ = fronts(80, 5)
    model = GridModel("gru", units=6, rate=0.02, double=True)
    targets = np.concatenate([np.full_like(y[:, :, :1], np.nan), y], axis=2)
    model.fit(x, targets, epochs=6)
    x, y, _ = fronts(20, 12)
    said = np.array([model.predict(one) for one in x])[:, :, 1:]
    assert np.mean((said > 0.5) == (y > 0.5)) > 0.99
    last_value = x[:, :, 1:]
    assert np.mean((last_value > 0.5) == (y > 0.5)) < 0.97


def test_what_does_not_fit_is_refused():
    with pytest.raises(SettingsError, match="cell is 'jordan'"):
        GridModel("jordan")
    with pytest.raises(SettingsError, match="at least 1"):
        GridModel(units=0)
    model, (x, y) = made(), grid()
    with pytest.raises(DataError, match=r"inputs have the shape \(5, 4\); give \(time, channels, 2\)"):
        model.predict(x[:, :, 0])
    with pytest.raises(DataError, match=r"targets have the shape \(5, 4, 2\)"):
        model.learn(x, y[:, :, :2])
    with pytest.raises(DataError, match=r"a grid of \(5, 4\) places with targets for \(5, 3\)"):
        model.learn(x, y[:, :3])
