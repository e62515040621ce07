"""Both ways through finished sequences, against plain twins and PyTorch."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from support import golden, relative_error

from streamrnn.bidirectional import BidirectionalModel
from streamrnn.errors import DataError, SettingsError
from streamrnn.sequences import SequenceModel

HUBER = 0.7


def made(cell="gru", **options) -> BidirectionalModel:
    options = {"units": 4, "inputs": 2, "outputs": 3, "double": True, "huber": HUBER, **options}
    model = BidirectionalModel(cell, **options)
    rng = np.random.default_rng(1)
    model.weights = {name: 0.7 * rng.normal(size=w.shape) for name, w in model.weights.items()}
    return model


def sequence(loss: str = "squared", steps: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Inputs with a masked step, targets with missing ones."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(steps, 2)), rng.normal(size=(steps, 3))
    if loss == "cross_entropy":
        y = rng.dirichlet(np.ones(3), steps)
    x[3, 1] = np.nan
    y[5, 1] = np.nan
    y[6] = np.nan
    return x, y


def direction(p, cell, n, reverse, x, masks):
    """The h of each step of one direction of a layer; ``x`` has the steps in front of complex directions."""
    suffix = f"_l{n}_reverse" if reverse else f"_l{n}"
    own = {name.removesuffix(suffix) + "_l0": a for name, a in p.items() if name.endswith(suffix)}
    units = own["weight_hh_l0"].shape[-1] if cell != "diagonal_lstm" else own["weight_hh_l0"].shape[-2] // 4
    own |= {"head_weight": np.zeros((1, units)), "head_bias": np.zeros(1)}
    order = slice(None, None, -1) if reverse else slice(None)
    steps = naive.sequence(naive.CELLS[cell], own, x[order], masks[order])
    return [step.state[0] for step in steps][order]


def run_twin(p, cell, layers, x, between=False):
    """The outputs of each step."""
    masks = np.isnan(x).any(axis=1)
    seen = np.where(masks[:, None], 0.0, x)
    for n in range(layers):
        ways = []
        for reverse in (False, True):
            inputs, passed = seen, masks
            if between:  # each step reads its neighbour, the first one nothing
                shift = -1 if reverse else 1
                inputs, passed = np.roll(seen, shift, axis=0), np.roll(masks, shift)
                passed[-1 if reverse else 0] = True
            ways.append(direction(p, cell, n, reverse, inputs, passed))
        seen = np.stack([naive._beside(f, b) for f, b in zip(*ways, strict=True)])
    return [naive._affine(p, "head_weight", "head_bias", h) for h in seen]


@pytest.mark.parametrize(
    ("cell", "layers", "loss", "between"),
    [
        ("gru", 1, "squared", False),
        ("gru", 2, "gaussian", False),
        ("gru", 3, "cross_entropy", False),
        ("gru", 1, "huber", True),
        ("lstm", 2, "squared", False),
        pytest.param("rnn", 2, "squared", False, marks=pytest.mark.soak),
        pytest.param("diagonal_lstm", 2, "squared", False, marks=pytest.mark.soak),
    ],
)
def test_the_gradient_through_both_directions_equals_that_of_the_twin(cell, layers, loss, between):
    model = made(cell, loss=loss, layers=layers, between=between)
    x, y = sequence(loss)

    def of(p):
        said = run_twin(p, cell, layers, x, between)
        return sum(naive.LOSSES[loss](made, target, HUBER) for made, target in zip(said, y, strict=True))

    truth, found = naive.complex_step(of, model.weights), model.gradients(x, y)
    assert set(found) == set(truth)
    for name, array in truth.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-8, atol=1e-10, err_msg=name)
    losses = 7 if loss == "cross_entropy" else 23
    assert model.evaluate(x, y) == pytest.approx(of(model.weights) / losses, rel=1e-12)


GOLDEN = {
    "lstm_bidirectional": ("lstm", 1),
    "gru_bidirectional": ("gru", 1),
    "gru_bidirectional_stacked": ("gru", 2),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_with_pytorchs_weights_outputs_and_gradients_are_pytorchs(name):
    """Of sum(output**2): twice the half squares of a head that is the identity, with targets 0."""
    arrays, (cell, layers) = golden(name), GOLDEN[name]
    wide = arrays["output"].shape[1]
    model = BidirectionalModel(
        cell, units=wide // 2, layers=layers, inputs=arrays["x"].shape[1], outputs=wide, double=True
    )
    theirs = {key: a for key, a in arrays.items() if key.startswith(("weight", "bias"))}
    model.weights = {**theirs, "head_weight": np.eye(wide), "head_bias": np.zeros(wide)}
    assert set(model.weights) == {*theirs, "head_weight", "head_bias"}
    for key, array in theirs.items():
        assert np.array_equal(model.weights[key], array), key
    assert np.abs(model.predict(arrays["x"]) - arrays["output"]).max() < 1e-12
    found = model.gradients(arrays["x"], np.zeros_like(arrays["output"]))
    for key in theirs:
        assert relative_error(2.0 * found[key], arrays[f"grad_{key}"]) < 1e-12, key


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_layer_has_twice_the_parameters_of_one_that_reads_one_way(cell):
    sizes = [
        sum(
            a.size for name, a in kind(cell, units=7, inputs=3).weights.items() if not name.startswith("head")
        )
        for kind in (BidirectionalModel, SequenceModel)
    ]
    assert sizes[0] == 2 * sizes[1]


def test_what_is_said_of_a_step_depends_on_those_before_and_after_it():
    x, _ = sequence()
    for between in (False, True):
        model = made(between=between)
        said = model.predict(x)
        for t in (0, 5, 8):
            other = x.copy()
            other[t] += 1.0
            changed = np.any(model.predict(other) != said, axis=1)
            assert changed.sum() == 9 - between and changed[t] != between


def test_one_step_of_the_optimiser_moves_all_parts_by_one_norm():
    clip = 0.05
    model = made(layers=2, optimizer="sgd", beta_1=0.0, rate=0.1, clip=clip)
    x, y = sequence()
    before, gradient = model.weights, model.gradients(x, y)
    loss = model.evaluate(x, y)
    assert model.learn(x, y) == loss
    norm = np.sqrt(sum(np.sum(g**2) for g in gradient.values())) / 23
    assert norm > clip
    for name, array in before.items():
        moved = array - 0.1 * clip / norm * gradient[name] / 23
        np.testing.assert_allclose(model.weights[name], moved, rtol=1e-10, atol=1e-14, err_msg=name)


def test_with_both_sides_in_sight_it_says_what_a_missing_value_was():
    """Of a sine with a phase of its own in each sequence: from all the others, the one left out."""
    rng = np.random.default_rng(0)
    x = np.sin(rng.uniform(0, 7, size=(160, 1)) + 0.8 * np.arange(20))[..., None]
    holes = np.concatenate([x, np.zeros_like(x)], axis=2)  # a masked step would not tell how long a hole is
    for n, one in enumerate(holes):
        at = rng.integers(1, 17) if n < 150 else 9
        one[at : at + 2] = 0.0, 1.0
    model = BidirectionalModel("gru", units=8, inputs=2, between=True, rate=0.01, double=True)
    model.fit(holes[:150], x[:150], epochs=8)
    said = np.array([model.predict(one) for one in holes[150:]])
    errors = np.abs(said - x[150:])[:, 9:11]
    between = np.abs(np.linspace(x[150:, 8], x[150:, 11], 4, axis=1)[:, 1:3] - x[150:, 9:11])
    assert errors.mean() < 0.5 * between.mean()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "tdnn"}, "cell is 'tdnn'; give one of lstm"),
        ({"between": True, "layers": 2}, "between asks for one layer"),
        ({"units": 0}, "at least 1"),
        ({"optimizer": "sdg"}, "optimizer is 'sdg'"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(options, message):
    with pytest.raises(SettingsError, match=message):
        BidirectionalModel(**options)


def test_sequences_that_do_not_fit_are_refused():
    model, (x, y) = made(), sequence()
    with pytest.raises(DataError, match=r"inputs have the shape \(9, 1\)"):
        model.predict(x[:, :1])
    with pytest.raises(DataError, match=r"targets have the shape \(9, 2\)"):
        model.learn(x, y[:, :2])
    with pytest.raises(DataError, match="9 steps with 8 targets"):
        model.learn(x, y[:8])
