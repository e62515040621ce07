"""Encoder and decoder against plain twins: errors flow from what is written into what was read."""

from __future__ import annotations

import naive
import numpy as np
import pytest

from streamrnn.encoder_decoder import EncoderDecoder
from streamrnn.errors import DataError, SettingsError

HUBER = 0.7


def made(cell="gru", **options) -> EncoderDecoder:
    options = {"units": 4, "inputs": 2, "outputs": 3, "double": True, "huber": HUBER, **options}
    model = EncoderDecoder(cell, **options)
    rng = np.random.default_rng(1)
    model.weights = {name: 0.7 * rng.normal(size=w.shape) for name, w in model.weights.items()}
    return model


def pair(read: int = 7, written: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is read, with a masked step; what is written, with missing targets; what is known beforehand."""
    rng = np.random.default_rng(2)
    x, y, known = (rng.normal(size=size) for size in ((read, 2), (written, 3), (written, 2)))
    x[2, 1] = np.nan
    y[1, 1] = np.nan
    y[3] = np.nan
    return x, y, known


def heard_of(y: np.ndarray) -> np.ndarray:
    """The last known target before each step, 0 at first."""
    heard = np.zeros_like(y)
    for t in range(1, len(y)):
        heard[t] = np.where(np.isnan(y[t - 1]), heard[t - 1], y[t - 1])
    return heard


def run_twin(p, cell, layers, x, rows):
    """Every step that is written: the decoder starts from the state in which the encoder ended."""
    twin = naive.twin(cell, layers)
    own = {
        side: {name.removeprefix(f"{side}."): a for name, a in p.items() if name.startswith(side)}
        for side in ("encoder", "decoder")
    }
    encoder = {**own["encoder"], "head_weight": np.zeros((1, 4)), "head_bias": np.zeros(1)}
    masks = np.isnan(x).any(axis=1)
    state = naive.sequence(twin, encoder, np.where(masks[:, None], 0.0, x), masks)[-1].state
    steps = []
    for row in rows:
        steps.append(naive.step(twin, own["decoder"], row, state))
        state = steps[-1].state
    return steps


@pytest.mark.parametrize(
    ("cell", "layers", "loss", "feedback"),
    [
        ("gru", 1, "squared", True),
        ("gru", 1, "gaussian", False),
        ("lstm", 1, "huber", False),
        pytest.param("lstm", 2, "gaussian", True, marks=pytest.mark.soak),
        pytest.param("gru", 2, "squared", True, marks=pytest.mark.soak),
        pytest.param("rnn", 1, "squared", True, marks=pytest.mark.soak),
        pytest.param("diagonal_lstm", 1, "squared", True, marks=pytest.mark.soak),
    ],
)
def test_the_gradient_of_both_equals_complex_step_derivatives_of_the_twin(cell, layers, loss, feedback):
    model = made(cell, loss=loss, feedback=feedback, known=2, layers=layers)
    x, y, known = pair()
    rows = np.concatenate([heard_of(y), known], axis=1) if feedback else known

    def of(p):
        steps = run_twin(p, cell, layers, x, rows)
        return sum(naive.LOSSES[loss](made.y, t, HUBER) for made, t in zip(steps, y, strict=True))

    truth, found = naive.complex_step(of, model.weights), model.gradients(x, y, known)
    assert set(found) == set(truth)
    assert sum(name.startswith("encoder") for name in found) == 4 * layers - (cell == "diagonal_lstm")
    for name, array in truth.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-8, atol=1e-10, err_msg=name)
        assert np.abs(array).max() > 1e-4 or "encoder" not in name
    assert model.evaluate(x, y, known) == pytest.approx(of(model.weights) / 11, rel=1e-12)


def test_the_decoder_says_what_its_twin_says_and_hears_its_own_outputs():
    model = made(feedback=True)
    x, _, _ = pair()
    said = model.predict(x, 6)
    rows = np.concatenate([np.zeros((1, 3)), said[:-1]])
    steps = run_twin(model.weights, "gru", 1, x, rows)
    np.testing.assert_allclose(said, [step.y for step in steps], rtol=1e-12)


def test_without_feedback_a_longer_future_begins_as_a_shorter_one_does():
    model = made(known=2)
    x, _, known = pair()
    assert np.array_equal(model.predict(x, 3, known[:3]), model.predict(x, 5, known)[:3])


@pytest.mark.parametrize("per", ["step", "sequence"])
def test_the_step_is_along_the_mean_over_losses_or_sequences_held_by_the_norm_of_both(per):
    clip = 0.05
    model = made(per=per, optimizer="sgd", beta_1=0.0, rate=0.1, clip=clip, clip_value=0.5)
    x, y, _ = pair()
    before, gradient = model.weights, model.gradients(x, y)
    model.learn(x, y)
    mean = {name: np.clip(g / (11 if per == "step" else 1), -0.5, 0.5) for name, g in gradient.items()}
    norm = np.sqrt(sum(np.sum(g**2) for g in mean.values()))
    assert norm > clip
    for name, array in before.items():
        moved = array - 0.1 * clip / norm * mean[name]
        np.testing.assert_allclose(model.weights[name], moved, rtol=1e-10, atol=1e-14, err_msg=name)


def test_it_learns_to_say_backwards_what_it_read():
    """Only the encoder sees the numbers: without its gradient nothing could be learned."""
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0], size=(300, 3, 1))
    model = EncoderDecoder("gru", units=12, rate=0.01, double=True)
    before = np.mean([model.evaluate(one, one[::-1]) for one in x[:50]])
    losses = model.fit(x, x[:, ::-1], epochs=6)
    assert before > 0.4 and losses[-1] < 0.02
    right = [np.sign(model.predict(one, 3)) == one[::-1] for one in x[:50]]
    assert np.mean(right) > 0.95


def test_trajectories_are_drawn_from_the_decoders_distribution_and_their_seed():
    model = made(loss="gaussian", feedback=True)
    x, _, _ = pair()
    drawn = model.generate(x, 4, samples=400, seed=3)
    said = model.predict(x, 4)[0]
    assert drawn.shape == (400, 4, 3)
    np.testing.assert_allclose(drawn[:, 0].mean(axis=0), said[:3], atol=0.2 * said[3:].max())
    np.testing.assert_allclose(drawn[:, 0].std(axis=0), said[3:], rtol=0.15)
    assert np.array_equal(model.generate(x, 4, samples=2, seed=3), drawn[:2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "jordan"}, "cell is 'jordan'; give one of lstm, gru, diagonal_lstm, rnn"),
        ({"cell": "tdnn"}, "cell is 'tdnn'; give one of"),
        ({"per": "epoch"}, "per is 'epoch'; give one of step, sequence"),
        ({"loss": "l1"}, "loss is 'l1'"),
        ({"known": -1}, "known at least 0"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(options, message):
    with pytest.raises(SettingsError, match=message):
        EncoderDecoder(**options)


def test_sequences_that_do_not_fit_are_refused():
    model, (x, y, known) = made(known=2), pair()
    with pytest.raises(DataError, match=r"inputs have the shape \(7, 1\); give \(time, 2\)"):
        model.learn(x[:, :1], y, known)
    with pytest.raises(DataError, match=r"targets have the shape \(5, 2\)"):
        model.learn(x, y[:, :2], known)
    with pytest.raises(DataError, match=r"known has the shape \(4, 2\); give \(5, 2\)"):
        model.learn(x, y, known[:4])
    with pytest.raises(DataError, match=r"known has the shape \(\); give \(5, 2\)"):
        model.learn(x, y)
    with pytest.raises(DataError, match="1 sequences with 2 targets"):
        model.fit([x], [y, y], [known])
    with pytest.raises(SettingsError, match="steps is 0"):
        model.predict(x, 0, known[:0])
    with pytest.raises(SettingsError, match="give feedback=True"):
        model.generate(x, 5, known, samples=3)


def test_a_gradient_that_leaves_the_range_of_float32_moves_nothing_and_one_near_it_is_held():
    model = EncoderDecoder("gru", units=4)
    x, y = np.ones((3, 1)), np.ones((2, 1))
    before = model.weights
    model.learn(x, 1e30 * y)
    moved = model.weights
    assert all(np.isfinite(w).all() for w in moved.values())
    assert any(not np.array_equal(w, before[name]) for name, w in moved.items())
    with np.errstate(over="ignore", invalid="ignore"):
        model.learn(x, 3e38 * y)
    assert all(np.isfinite(w).all() for w in model.weights.values())
