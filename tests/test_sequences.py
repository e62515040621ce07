"""Training on whole sequences, against plain twins and the textbook's numbers."""

from __future__ import annotations

import naive
import naive_learning
import numpy as np
import pytest

from streamrnn.diagnostics import plot_gradient_norms
from streamrnn.errors import DataError, SettingsError
from streamrnn.sequences import SequenceModel, output_feedback

LOSSES = ("squared", "huber", "cross_entropy", "gaussian")
HUBER = 0.7


def made(cell="gru", loss="squared", **options) -> SequenceModel:
    options = {"units": 4, "inputs": 2, "outputs": 3, "double": True, "huber": HUBER, **options}
    model = SequenceModel(cell, loss=loss, **options)
    rng = np.random.default_rng(1)
    model.weights = {name: 0.7 * rng.normal(size=w.shape) for name, w in model.weights.items()}
    return model


def sequence(loss: str, steps: int = 9, seed: int = 2, outputs: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Inputs with a masked step, targets with missing ones."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(steps, 2)), rng.normal(size=(steps, outputs))
    if loss == "cross_entropy":
        y = rng.dirichlet(np.ones(outputs), steps)
    x[3, 1] = np.nan
    y[5, 1] = np.nan
    y[6] = np.nan
    return x, y


def twin_loss(model: SequenceModel, cell: str, loss: str, x: np.ndarray, y: np.ndarray, layers: int = 1):
    """The sum of the losses as a function of the weights."""
    masks = np.isnan(x).any(axis=1)

    def of(p):
        steps = naive.sequence(naive.twin(cell, layers), p, np.where(masks[:, None], 0.0, x), masks)
        return sum(naive.LOSSES[loss](step.y, target, HUBER) for step, target in zip(steps, y, strict=True))

    return of


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("cell", "layers"),
    [("gru", 1), *(pytest.param(*case, marks=pytest.mark.soak) for case in (("jordan", 1), ("lstm", 2)))],
)
def test_the_gradient_of_every_loss_equals_complex_step_derivatives_of_the_twin(cell, layers, loss):
    model = made(cell, loss, layers=layers)
    x, y = sequence(loss)
    of = twin_loss(model, cell, loss, x, y, layers)
    truth = naive.complex_step(of, model.weights)
    found = model.gradients(x, y)
    assert set(found) == set(truth)
    for name, array in truth.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-8, atol=1e-10, err_msg=name)
    losses = {"cross_entropy": 7, "gaussian": 23, "squared": 23, "huber": 23}[loss]
    assert model.evaluate(x, y) == pytest.approx(of(model.weights) / losses, rel=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_what_it_says_are_probabilities_or_means_and_scales_or_the_outputs(loss):
    model = made(loss=loss)
    said = model.predict(sequence(loss)[0])
    if loss == "cross_entropy":
        np.testing.assert_allclose(said.sum(axis=1), 1.0)
    assert said.shape == (9, 6 if loss == "gaussian" else 3)
    assert (said[:, 3:] > 0).all()


def test_a_scale_that_has_shrunk_to_its_least_shrinks_no_further():
    model = made(loss="gaussian", optimizer="sgd", rate=1.0, clip=1e9)
    x, y = sequence("gaussian")
    model.weights = {"head_bias": np.array([0.0, 0.0, 0.0, -400.0, -12.5, -1e9])}
    assert np.isfinite(model.evaluate(x, y))
    assert np.all(model.gradients(x, y)["head_bias"][3:] == 0.0)
    assert model.predict(x)[:, 3:] == pytest.approx(np.exp(-12.0))


# ---------------------------------------------------------------- learning


def test_learning_from_a_whole_sequence_is_one_step_along_its_mean_gradient():
    model, x, y = made(optimizer="sgd", beta_1=0.0, rate=0.1, clip=np.inf), *sequence("squared")
    before, gradient = model.weights, model.gradients(x, y)
    loss = model.evaluate(x, y)
    assert model.learn(x, y) == loss
    for name, array in before.items():
        np.testing.assert_allclose(model.weights[name], array - 0.1 * gradient[name] / 23, rtol=1e-12)


@pytest.mark.parametrize("cut", [False, True])
def test_truncated_learning_follows_its_twin(cut):
    """Windows of k2 steps every k1; also where a sequence goes on in a second call."""
    model = made(k1=2, k2=5, loss="huber", rate=0.02, beta_2=0.99, epsilon=1e-6, clip=0.3)
    twin = naive_learning.Learner(
        naive.CELLS["gru"],
        model.weights,
        naive_learning.Adam(0.02, 0.9, 0.99, 1e-6, 0.3),
        k1=2,
        k2=5,
        huber=HUBER,
    )
    x, y = (np.random.default_rng(3).normal(size=(30, n)) for n in (2, 3))
    for inputs, target in zip(x, y, strict=True):
        twin.advance(inputs)
        twin.learn(target)
    if cut:
        for part in (slice(0, 12), slice(12, 17), slice(17, 30)):
            model.learn(x[part], y[part], fresh=part.start == 0)
    else:
        model.learn(x, y)
    for name, array in twin.p.items():
        np.testing.assert_allclose(model.weights[name], array, rtol=1e-9, err_msg=name)


def test_what_is_left_of_a_sequence_at_its_end_is_learned_from_too():
    """7 = 2 x 3 + 1 steps: three updates, of which the last has one loss."""
    model, whole = (made(k1=3, k2=3, optimizer="sgd", rate=0.1, clip=np.inf) for _ in range(2))
    x, y = sequence("squared", steps=7)
    y[:6], y[6] = np.nan, 1.0
    before = model.weights["head_bias"]
    model.learn(x, y)
    error = whole.predict(x)[-1] - y[-1]
    np.testing.assert_allclose(model.weights["head_bias"], before - 0.1 * error / 3, rtol=1e-12)


def test_a_batch_is_one_step_along_the_mean_of_all_its_losses():
    one, sum_of = (made(optimizer="sgd", beta_1=0.0, rate=0.1, clip=np.inf) for _ in range(2))
    pairs = [sequence("squared", steps=n, seed=n) for n in (9, 7, 12)]
    gradients = [sum_of.gradients(*pair) for pair in pairs]
    before = one.weights
    one.fit([x for x, _ in pairs], [y for _, y in pairs], batch=3)
    count = sum(np.sum(~np.isnan(y)) for _, y in pairs)
    for name, array in before.items():
        mean = sum(gradient[name] for gradient in gradients) / count
        np.testing.assert_allclose(one.weights[name], array - 0.1 * mean, rtol=1e-10, atol=1e-14)


def test_a_longer_sequence_keeps_what_the_optimiser_knew():
    model, roomy = made(), made()
    roomy.gradients(*sequence("squared", steps=20))
    for steps in (7, 20, 9):
        pair = sequence("squared", steps=steps)
        assert model.learn(*pair) == roomy.learn(*pair)
    assert all(np.array_equal(w, roomy.weights[name]) for name, w in model.weights.items())


def test_no_sequence_knows_of_the_one_before():
    model, (x, _) = made(), sequence("squared")
    first = model.predict(x)
    model.predict(10.0 + x)
    assert np.array_equal(model.predict(x), first)


# ---------------------------------------------------------------- output feedback


@pytest.mark.parametrize("ahead", [0, 1])
def test_output_feedback_gives_the_textbooks_numbers(ahead):
    """y(t) = f(w x(t) + g y(t-1)), and with ``ahead`` y(t+1) = f(w x(t) + g y(t)): targets one step later."""
    model = output_feedback(ahead=ahead, double=True)
    model.weights = {"weight_ih_l0": np.array([[0.3]]), "weight_hh_l0": np.array([[0.4]])}
    x, targets = np.array([[0.05], [0.1], [0.0]]), np.array([[np.nan], [0.6], [0.75], [np.nan]])
    y = targets[1 - ahead :][:3]
    said = model.predict(x)[:2]
    np.testing.assert_allclose(said, [[0.50375], [0.55762]], atol=1e-5)
    delta = -model.deltas(x, y)[:2, 0]
    np.testing.assert_allclose(delta, [0.02881, 0.04746], atol=1e-5)
    rate = 0.5
    assert rate * delta[1] * x[1, 0] == pytest.approx(0.002373, abs=1e-5)
    assert rate * delta[1] * said[0, 0] == pytest.approx(0.011953, abs=1e-5)
    gradient = model.gradients(x, y)
    assert -gradient["weight_ih_l0"][0, 0] == pytest.approx(delta @ x[:2, 0])
    assert -gradient["weight_hh_l0"][0, 0] == pytest.approx(delta[1] * said[0, 0])


def test_without_a_head_the_units_are_the_outputs_and_only_the_cell_learns():
    model = output_feedback(inputs=2, outputs=3, double=True, rate=0.05)
    x, y = sequence("squared")
    losses = model.fit([x] * 5, [1.0 / (1.0 + np.exp(-y))] * 5, epochs=20)
    assert losses[-1] < 0.8 * losses[0]
    assert not any(name.startswith("head") for name in (*model.weights, *model.gradients(x, y)))
    said = model.predict(1e6 * x)
    assert said.min() >= 0.0 and said.max() <= 1.0


# ---------------------------------------------------------------- diagnostics


def test_gradients_of_a_small_recurrent_weight_fade_and_of_a_large_one_grow():
    """Held where f' is 1/4, each step back multiplies by weight / 4 (Bengio et al. 1994)."""
    x, y = np.zeros((12, 1)), np.full((12, 1), np.nan)
    y[-1] = 1.5
    for weight in (2.0, 8.0):
        model, x[0] = output_feedback(double=True), weight / 2.0
        model.weights = {
            "weight_ih_l0": [[1.0]], "weight_hh_l0": [[weight]], "bias_hh_l0": [-weight / 2.0]
        }  # fmt: skip
        norms = model.gradient_norms(x, y)
        np.testing.assert_allclose(norms, 0.25 * (weight / 4.0) ** np.arange(12.0), rtol=1e-12)


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "lstmm"}, "cell is 'lstmm'; give one of lstm, gru"),
        ({"loss": "l1"}, "loss is 'l1'; give one of squared"),
        ({"optimizer": "sdg"}, "optimizer is 'sdg'; give one of adam"),
        ({"k1": 3}, "k1 is 3 and k2 None"),
        ({"k1": 3, "k2": 2}, "k1 is 3 and k2 2"),
        ({"units": 0}, "at least 1"),
        ({"head": False, "units": 2, "loss": "gaussian"}, "units is 2; without a head they are the 6"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(options, message):
    with pytest.raises(SettingsError, match=message):
        made(**options)


def test_sequences_that_do_not_fit_are_refused():
    model, x, y = made(), *sequence("squared")
    with pytest.raises(DataError, match=r"inputs have the shape \(9, 1\)"):
        model.predict(x[:, :1])
    with pytest.raises(DataError, match=r"targets have the shape \(9, 2\); give \(9, 3\)"):
        model.learn(x, y[:, :2])
    with pytest.raises(DataError, match="inputs have the shape"):
        model.learn(x[:0], y[:0])
    with pytest.raises(DataError, match="1 sequences with 2 targets"):
        model.fit([x], [y, y])
    with pytest.raises(SettingsError, match="fresh=False asks for k1 and k2"):
        model.learn(x, y, fresh=False)
    with pytest.raises(SettingsError, match="batch is 2"):
        made(k1=1, k2=2).fit([x], [y], batch=2)


def test_the_plot_shows_a_line_a_network_on_a_logarithmic_scale(tmp_path):
    figure = plot_gradient_norms({"fades": 0.5 ** np.arange(20.0), "nothing": np.zeros(20)})
    (ax,) = figure.axes
    assert ax.get_yscale() == "log"
    assert [line.get_label() for line in ax.lines] == ["fades", "nothing"]
    assert np.array_equal(ax.lines[0].get_ydata(), 0.5 ** np.arange(20.0))
    figure.savefig(tmp_path / "norms.png")
