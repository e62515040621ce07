"""The grammar of an entry of ``networks``."""

from __future__ import annotations

import pytest

from streamrnn import Settings, SettingsError
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
        ("ar", NetworkSpec("ar", 0, "frozen", 8)),
        ("ar:1", NetworkSpec("ar", 0, "frozen", 1)),
        ("ar:64", NetworkSpec("ar", 0, "frozen", 64)),
    ],
)
def test_an_entry_says_cell_units_training_or_lags(text, spec):
    assert parse(text) == spec


@pytest.mark.parametrize("cell", [*CELLS, "ar"])
def test_only_what_adam_trains_belongs_to_the_detector(cell):
    assert parse(cell).forecasts == (parse(cell).training != "adam")
    if cell != "ar":
        assert parse(f"{cell}:3:frozen").forecasts
        assert not parse(f"{cell}:3:adam").forecasts


FORMS = (
    "; give cell, cell:units, cell:units:training, or ar:lags, "
    "with cells lstm, gru, diagonal_lstm and trainings adam, adam_heads, kalman, kalman_units, frozen"
)
UNITS = "; after the first colon comes a number from 1 to 512"
LAGS = "; after the first colon comes a number from 1 to 64"
TRAININGS = "; a network learns by adam, adam_heads, kalman, kalman_units, frozen"


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
        ("ar:0", LAGS),
        ("ar:65", LAGS),
        ("ar:", LAGS),
        ("lstm:3:sgd", TRAININGS),
        ("lstm:3:", TRAININGS),
        ("lstm:3:Adam", TRAININGS),
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
