"""Weights in PyTorch's and in Keras' layout, as plain arrays."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from support import golden, relative_error

from streamrnn import Batch, DataError, Fleet, Settings
from streamrnn.adapters.weights import from_keras, set_weights, to_keras, weights_of
from streamrnn.bidirectional import BidirectionalModel
from streamrnn.parameters import blocks
from streamrnn.tables import NetworkShape

# ---------------------------------------------------------------- sizes


def count(cell, hidden=7, inputs=3, **options):
    """Parameters of the layers alone, without the head and what fills up vectors."""
    shape = NetworkShape(cell, hidden, inputs, 1, 1, 1, **options)
    found = blocks(shape, np.zeros(shape.parameters))
    return sum(block.size for name, block in found.items() if not name.startswith("head"))


def test_lstm_has_four_times_and_gru_three_times_the_parameters_of_the_vanilla_layer():
    vanilla = count("rnn")
    assert vanilla == 7 * 7 + 7 * 3 + 2 * 7  # PyTorch's, with both biases
    assert (count("lstm"), count("gru")) == (4 * vanilla, 3 * vanilla)
    assert count("rnn_relu") == count("rnn_logistic") == vanilla


@pytest.mark.parametrize(("name", "cell", "layers"), [
    ("elman_tanh", "rnn", 1), ("lstm", "lstm", 1), ("gru", "gru", 1),
    ("elman_stacked", "rnn", 2), ("lstm_stacked", "lstm", 2), ("gru_stacked", "gru", 3),
])  # fmt: skip
def test_a_network_has_as_many_parameters_as_pytorchs(name, cell, layers):
    arrays = golden(name)
    theirs = sum(a.size for key, a in arrays.items() if key.startswith(("weight", "bias")))
    hidden, inputs = arrays["output"].shape[1], arrays["x"].shape[1]
    assert count(cell, hidden, inputs, layers=layers) == theirs


def test_jordan_and_tdnn_have_weights_of_outputs_and_of_earlier_inputs_in_the_place_of_those_of_h():
    assert count("jordan") == 7 * 3 + 7 * 1 + 7
    assert count("tdnn", taps=4) == 7 * 3 * 4 + 7


# ---------------------------------------------------------------- in and out of a fleet


NETWORKS = ("lstm", "gru", "diagonal_lstm")  # compiled for other tests, too


@pytest.fixture
def fleet():
    fleet = Fleet(Settings(networks=NETWORKS))
    fleet.series(["a", "b"])
    return fleet


@pytest.mark.parametrize("network", [0, 1, 2])
def test_weights_that_are_set_are_those_that_come_out(fleet, network):
    rng = np.random.default_rng(0)
    given = {
        name: rng.normal(size=array.shape).astype(np.float32)
        for name, array in weights_of(fleet, "b", network).items()
    }
    untouched = weights_of(fleet, "a", network)
    set_weights(fleet, "b", given, network)
    for name, array in weights_of(fleet, "b", network).items():
        assert np.array_equal(array, given[name]), name
    for name, array in weights_of(fleet, "a", network).items():
        assert np.array_equal(array, untouched[name]), name


def test_a_series_goes_on_as_the_one_that_its_weights_are_of(fleet):
    other = Fleet(Settings(networks=NETWORKS, seed=9))
    other.series(["b"])
    for network in range(3):
        set_weights(fleet, "b", weights_of(other, "b", network), network)
    values = np.sin(np.arange(300) / 7)[:, None]
    one = fleet.process(
        Batch(np.ones(300, np.int32), np.arange(300), values, np.zeros(300, np.int32), np.arange(300))
    )
    two = other.process(
        Batch(np.zeros(300, np.int32), np.arange(300), values, np.zeros(300, np.int32), np.arange(300))
    )
    assert np.array_equal(one.yhat, two.yhat, equal_nan=True)


@pytest.mark.parametrize(
    ("where", "arrays", "message"),
    [
        (("c", 0), {}, "there is no series 'c'"),
        (("a", 3), {}, "network is 3 and channel None; give a place in networks, lstm, gru, diagonal_lstm"),
        (("a", 0), {"weight_ih_l1": [1.0]}, "the network has no weight_ih_l1; it has weight_hh_l0"),
        (("a", 0), {"head_bias": [1.0, 2.0]}, r"head_bias has the shape \(2,\); give \(1,\)"),
        (("a", 0), {"head_bias": [np.nan]}, "head_bias holds a number that is not finite"),
        (("a", 0), {"head_bias": [1e300]}, "head_bias holds a number that is not finite"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_nothing_is_set(fleet, where, arrays, message):
    for code in range(len(fleet.keys)):
        fleet.row(code)  # begins with the first look at it
    before = fleet.to_bytes()
    with pytest.raises(DataError, match=message):
        set_weights(fleet, where[0], {"head_weight": np.zeros((1, 12)), **arrays}, where[1])
    assert fleet.to_bytes() == before


# ---------------------------------------------------------------- Keras


def keras_step(cell, weights, x, state):
    """A layer's step as Keras' documentation gives it (keras.layers.LSTM, GRU, SimpleRNN)."""
    kernel, recurrent, bias = weights
    if cell == "gru":
        x_z, x_r, x_n = np.split(x @ kernel + bias[0], 3)
        h_z, h_r, h_n = np.split(state[0] @ recurrent + bias[1], 3)
        z, r = naive.sigmoid(x_z + h_z), naive.sigmoid(x_r + h_r)
        return (z * state[0] + (1.0 - z) * np.tanh(x_n + r * h_n),)
    z = x @ kernel + state[0] @ recurrent + bias
    if cell == "lstm":
        i, f, c, o = np.split(z, 4)
        carry = naive.sigmoid(f) * state[1] + naive.sigmoid(i) * np.tanh(c)
        return naive.sigmoid(o) * np.tanh(carry), carry
    return (
        {"rnn": np.tanh, "rnn_relu": lambda v: np.maximum(v, 0.0), "rnn_logistic": naive.sigmoid}[cell](z),
    )


def keras_weights(cell, sizes, seed=0):
    rng, gates = np.random.default_rng(seed), {"lstm": 4, "gru": 3}.get(cell, 1)
    units = 5
    bias = (2, gates * units) if cell == "gru" else (gates * units,)
    return [
        [
            rng.normal(size=(seen, gates * units)),
            rng.normal(size=(units, gates * units)),
            rng.normal(size=bias),
        ]
        for seen in sizes
    ]


@pytest.mark.parametrize("cell", ["rnn", "rnn_relu", "rnn_logistic", "lstm", "gru"])
def test_weights_of_keras_compute_what_keras_computes(cell):
    layers = keras_weights(cell, (3, 5))
    p = {**from_keras(cell, layers), "head_weight": np.eye(5), "head_bias": np.zeros(5)}
    x = np.random.default_rng(1).normal(size=(12, 3))
    expected = x
    for weights in layers:
        state, seen = (np.zeros(5), np.zeros(5)), []
        for row in expected:
            state = keras_step(cell, weights, row, state)
            seen.append(state[0])
        expected = np.array(seen)
    outputs = np.array([made.y for made in naive.sequence(naive.twin(cell, 2), p, x)])
    assert relative_error(outputs, expected) < 1e-12


def test_weights_of_keras_bidirectional_layers_compute_what_keras_computes():
    """Forward kernel, recurrent kernel, bias, then the backward ones (keras.layers.Bidirectional)."""
    layers = [
        a + b for a, b in zip(keras_weights("gru", (3, 10), 0), keras_weights("gru", (3, 10), 1), strict=True)
    ]
    model = BidirectionalModel("gru", units=5, layers=2, inputs=3, outputs=10, double=True)
    model.weights = {**from_keras("gru", layers), "head_weight": np.eye(10), "head_bias": np.zeros(10)}
    x = np.random.default_rng(2).normal(size=(7, 3))
    expected = x
    for weights in layers:
        ways = []
        for way, own in ((1, weights[:3]), (-1, weights[3:])):
            state, seen = (np.zeros(5),), []
            for row in expected[::way]:
                state = keras_step("gru", own, row, state)
                seen.append(state[0])
            ways.append(np.array(seen)[::way])
        expected = np.concatenate(ways, axis=1)
    assert relative_error(model.predict(x), expected) < 1e-12


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("both", [False, True])
def test_weights_go_to_keras_and_back(cell, both):
    layers = keras_weights(cell, (3, 5))
    if both:
        layers = [a + b for a, b in zip(layers, keras_weights(cell, (3, 5), 1), strict=True)]
    back = to_keras(cell, from_keras(cell, layers))
    for given, found in zip(layers, back, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(given, found, strict=True))


def test_what_keras_does_not_have_is_refused():
    with pytest.raises(
        DataError, match="Keras has no jordan; give one of rnn, rnn_relu, rnn_logistic, lstm, gru"
    ):
        to_keras("jordan", {})
    kernel, recurrent, _ = keras_weights("gru", (3,))[0]
    with pytest.raises(
        DataError,
        match=r"l0 has .* shapes \(3, 15\), \(5, 15\) and \(15,\); a gru of 5 units has .* \(2, 15\)",
    ):
        from_keras("gru", [[kernel, recurrent, np.zeros(15)]])  # reset_after=False is another cell
    with pytest.raises(DataError, match="layer 1 has 2 arrays; give 3, or 6 of a Bidirectional"):
        from_keras("gru", [*keras_weights("gru", (3,)), [kernel, recurrent]])
