"""What a network says of the time to come: its own outputs fed back, drawn, and made a fan of."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn.errors import DataError, SettingsError
from streamrnn.generation import forecast_fan
from streamrnn.sequences import SequenceModel


def made(loss="squared", **options) -> SequenceModel:
    options = {"units": 4, "inputs": 3, "outputs": 2, "double": True, **options}
    model = SequenceModel("gru", loss=loss, **options)
    rng = np.random.default_rng(1)
    model.weights = {name: 0.7 * rng.normal(size=w.shape) for name, w in model.weights.items()}
    return model


PAST = np.random.default_rng(2).normal(size=(8, 3))
KNOWN = np.random.default_rng(3).normal(size=(5, 1))


@pytest.mark.parametrize("loss", ["squared", "gaussian", "cross_entropy"])
def test_a_trajectory_is_what_would_be_said_if_it_had_come(loss):
    model = made(loss)
    path = model.generate(5, after=PAST, known=KNOWN)
    came = PAST
    for value, beside in zip(path, KNOWN, strict=True):
        said = model.predict(came)[-1]
        expected = said == said.max() if loss == "cross_entropy" else said[:2]
        np.testing.assert_array_equal(value, expected)
        came = np.vstack([came, [*value, *beside]])


def test_asking_changes_nothing_and_goes_on_from_where_the_stream_is():
    model, other = (made(k1=1, k2=4) for _ in range(2))
    target = PAST[:, :2]
    for one in (model, other):
        one.learn(PAST[:5], target[:5])
    first = model.generate(5, known=KNOWN)
    assert np.array_equal(model.generate(5, known=KNOWN), first)
    for one in (model, other):
        one.learn(PAST[5:], target[5:], fresh=False)
    assert all(np.array_equal(w, other.weights[name]) for name, w in model.weights.items())
    assert not np.array_equal(model.generate(5, known=KNOWN), first)


def test_samples_follow_the_distribution_that_the_network_states():
    model = made("gaussian")
    drawn = model.generate(3, after=PAST, known=KNOWN[:3], samples=800, seed=5)
    mean, scale = np.split(model.predict(PAST)[-1], 2)
    np.testing.assert_allclose(drawn[:, 0].mean(axis=0), mean, atol=0.15 * scale.max())
    np.testing.assert_allclose(drawn[:, 0].std(axis=0), scale, rtol=0.1)
    assert np.array_equal(model.generate(3, after=PAST, known=KNOWN[:3], samples=9, seed=5), drawn[:9])
    assert not np.array_equal(model.generate(3, after=PAST, known=KNOWN[:3], samples=9, seed=6), drawn[:9])


def test_drawn_classes_come_as_often_as_their_probabilities_say():
    model = made("cross_entropy")
    drawn = model.generate(2, after=PAST, known=KNOWN[:2], samples=800)
    assert np.array_equal(drawn.sum(axis=-1), np.ones((800, 2)))
    np.testing.assert_allclose(drawn[:, 0].mean(axis=0), model.predict(PAST)[-1], atol=0.06)


def test_the_fan_of_an_autoregression_widens_as_theory_says_and_holds_what_comes():
    """x(t+1) = .8 x(t) + noise: the spread n ahead is sqrt(1 + .8^2 + ... + .8^2(n-1))."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(260, 40))
    x = np.zeros((260, 40, 1))
    for t in range(1, 40):
        x[:, t, 0] = 0.8 * x[:, t - 1, 0] + noise[:, t]
    model = SequenceModel("gru", units=6, loss="gaussian", rate=0.01, ahead=1, double=True)
    model.fit(x[:200], x[:200], epochs=6)
    inside, spreads = [], []
    for one in x[200:]:
        drawn = model.generate(6, after=one[:30], samples=60)
        low, high = forecast_fan(drawn, [0.05, 0.95])
        inside.append((low <= one[30:36]) & (one[30:36] <= high))
        spreads.append(drawn.std(axis=0)[:, 0])
    theory = np.sqrt(np.cumsum(0.64 ** np.arange(6)))
    np.testing.assert_allclose(np.mean(spreads, axis=0), theory, rtol=0.2)
    assert 0.82 < np.mean(inside) < 0.95  # 360 values that belong together: .9 give or take .03


def test_what_cannot_be_generated_is_refused():
    model = made()
    with pytest.raises(DataError, match="no sequence to go on from"):
        model.generate(5, known=KNOWN)
    with pytest.raises(DataError, match=r"known has the shape \(5, 0\); give \(5, 1\)"):
        model.generate(5, after=PAST)
    with pytest.raises(SettingsError, match="samples asks for a loss that says a distribution: gaussian"):
        model.generate(5, after=PAST, known=KNOWN, samples=3)
    with pytest.raises(SettingsError, match="steps is 0"):
        model.generate(0, after=PAST, known=KNOWN[:0])
    with pytest.raises(SettingsError, match="samples is 0"):
        made("gaussian").generate(5, after=PAST, known=KNOWN, samples=0)
    with pytest.raises(SettingsError, match="outputs is 4 and inputs 3; those fed back are inputs"):
        made(outputs=4).generate(5, after=PAST)
