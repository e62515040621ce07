"""The grammar of an entry of ``networks``."""

from __future__ import annotations

import pytest

from streamrnn import Settings, SettingsError
from streamrnn.kernels import cells
from streamrnn.networks import CELLS, NetworkSpec, parse


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("lstm", NetworkSpec("lstm", None, "adam")),
        ("gru:7", NetworkSpec("gru", 7, "adam")),
        ("lstm:512:frozen", NetworkSpec("lstm", 512, "frozen")),
        ("gru:1:adam", NetworkSpec("gru", 1, "adam")),
        ("diagonal_lstm", NetworkSpec("diagonal_lstm", None, "kalman")),
        ("diagonal_lstm:48", NetworkSpec("diagonal_lstm", 48, "kalman")),
        ("diagonal_lstm:12:kalman", NetworkSpec("diagonal_lstm", 12, "kalman")),
        ("diagonal_lstm:12:kalman_units", NetworkSpec("diagonal_lstm", 12, "kalman_units")),
        ("gru:7:kalman", NetworkSpec("gru", 7, "kalman")),
        ("diagonal_lstm:12:frozen", NetworkSpec("diagonal_lstm", 12, "frozen")),
        ("diagonal_lstm:12:adam", NetworkSpec("diagonal_lstm", 12, "adam")),
        ("gru:12x2", NetworkSpec("gru", 12, "adam", layers=2)),
        ("rnn:1x1", NetworkSpec("rnn", 1, "adam")),
        ("tdnn:512x4:adam", NetworkSpec("tdnn", 512, "adam", layers=4)),
        ("diagonal_lstm:3x2:adam", NetworkSpec("diagonal_lstm", 3, "adam", layers=2)),
        ("rnn_relu:7:kalman", NetworkSpec("rnn_relu", 7, "kalman")),
        ("ar", NetworkSpec("ar", 0, "frozen", 8)),
        ("ar:1", NetworkSpec("ar", 0, "frozen", 1)),
        ("ar:64", NetworkSpec("ar", 0, "frozen", 64)),
    ],
)
def test_an_entry_says_cell_units_training_or_lags(text, spec):
    assert parse(text) == spec


def test_every_cell_can_be_asked_for():
    assert set(CELLS) == set(cells.CELLS)


@pytest.mark.parametrize("cell", [*CELLS, "ar"])
def test_only_what_adam_trains_belongs_to_the_detector(cell):
    assert parse(cell).forecasts == (parse(cell).training != "adam")
    if cell not in ("ar", "jordan", "tdnn"):
        assert parse(f"{cell}:3:frozen").forecasts
    if cell != "ar":
        assert not parse(f"{cell}:3:adam").forecasts


FORMS = (
    "; give cell, cell:units, cell:unitsxlayers, cell:units:training, or ar:lags, with cells "
    "lstm, gru, diagonal_lstm, rnn, rnn_relu, rnn_logistic, jordan, tdnn "
    "and trainings adam, adam_heads, kalman, kalman_units, frozen, shared"
)
UNITS = (
    "; after the first colon comes a number of units from 1 to 512, or such as 12x2 with layers from 1 to 4"
)
LAGS = "; after the first colon comes a number from 1 to 64"
TRAININGS = "; a network learns by adam, adam_heads, kalman, kalman_units, frozen, shared"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lstn", FORMS + "; did you mean 'lstm'?"),
        ("diagonal-lstm:3", FORMS + "; did you mean 'diagonal_lstm'?"),
        ("arr", FORMS + "; did you mean 'ar'?"),
        ("transformer", FORMS),
        ("", FORMS),
        ("LSTM:x", FORMS),
        ("lstm:3:adam:4", FORMS),
        ("ar:3:frozen", FORMS),
        ("lstm:0", UNITS),
        ("lstm:513", UNITS),
        ("lstm:", UNITS),
        ("lstm:-3", UNITS),
        ("lstm: 3", UNITS),
        ("lstm:3.0", UNITS),
        ("lstm:²", UNITS),
        ("lstm:frozen", UNITS),
        ("diagonal_lstm:x:frozen", UNITS),
        ("lstm:3x0", UNITS),
        ("lstm:3x5", UNITS),
        ("lstm:x2", UNITS),
        ("lstm:3x", UNITS),
        ("lstm:3x2x2", UNITS),
        ("ar:0", LAGS),
        ("ar:65", LAGS),
        ("ar:", LAGS),
        ("lstm:3:sgd", TRAININGS),
        ("lstm:3:", TRAININGS),
        ("lstm:3:Adam", TRAININGS),
        ("gru:3x2:kalman", "; a network of several layers learns by adam; give gru:3x2:adam"),
        ("diagonal_lstm:3x2", "; a network of several layers learns by adam; give diagonal_lstm:3x2:adam"),
        ("jordan:3:frozen", "; jordan learns by adam; give jordan:3:adam"),
        ("tdnn:3:kalman", "; tdnn learns by adam; give tdnn:3:adam"),
        ("gru:3:kalman_units", "; kalman_units is for diagonal_lstm; give gru:12:kalman"),
    ],
)
def test_a_wrong_entry_is_refused_with_what_fits(text, message):
    with pytest.raises(SettingsError) as caught:
        parse(text)
    assert str(caught.value) == f"networks has {text!r}{message}"


def test_settings_read_every_entry_and_pass_the_message_on():
    networks = ("lstm", "diagonal_lstm:3", "ar")
    assert Settings(networks=networks).specs == tuple(map(parse, networks))
    assert Settings(networks="none").specs == ()
    with pytest.raises(SettingsError, match="networks has 'ar:99'; after the first colon"):
        Settings(networks=("lstm", "ar:99"))
