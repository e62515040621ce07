"""Symbols as inputs and targets of networks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from streamrnn.errors import DataError, SettingsError
from streamrnn.sequences import SequenceModel
from streamrnn.symbols import Symbols

STATES = ["off", "idle", "on"]


@pytest.mark.parametrize("unknown", ["refuse", "missing", "other"])
def test_symbols_come_back_from_their_columns(unknown):
    states = Symbols(STATES, unknown=unknown)
    sequence = ["on", "off", None, "idle", float("nan"), "on", pd.NA]
    columns = states.columns(sequence)
    assert columns.shape == (7, states.count)
    assert np.array_equal(np.nansum(columns, axis=1), [1, 1, 0, 1, 0, 1, 0])
    assert states.symbols(columns) == ["on", "off", None, "idle", None, "on", None]
    assert states.columns([]).shape == (0, states.count)


def test_what_is_not_in_the_alphabet_follows_the_policy_that_is_named():
    assert Symbols(STATES).count == Symbols(STATES, unknown="missing").count == 3
    with pytest.raises(
        DataError, match="symbol 'odd' in row 1 is not in the alphabet, off, idle, on; add it"
    ):
        Symbols(STATES).columns(["off", "odd"])
    assert np.isnan(Symbols(STATES, unknown="missing").columns(["odd"])).all()
    other = Symbols(STATES, unknown="other")
    assert other.count == 4
    assert np.array_equal(other.columns(["odd", "strange", "off"]).argmax(axis=1), [3, 3, 0])
    assert other.symbols([[0.1, 0.1, 0.1, 0.7]]) == [None]


def test_what_is_no_alphabet_and_no_columns_is_refused():
    with pytest.raises(SettingsError, match="each once"):
        Symbols(["a", "a"])
    with pytest.raises(SettingsError, match="at least one"):
        Symbols([])
    with pytest.raises(SettingsError, match="unknown is 'ignore'; give one of refuse, missing, other"):
        Symbols("ab", unknown="ignore")
    with pytest.raises(DataError, match=r"columns have the shape \(1, 2\); give \(time, 3\)"):
        Symbols(STATES).symbols([[0.5, 0.5]])


def grammar(n, rng):
    """a b c or a b d, by whether the word began with x or y: only what came three symbols ago tells."""
    return [
        s
        for _ in range(n)
        for first in rng.choice(["x", "y"], 1)
        for s in (first, "a", "b", "cd"[first == "y"])
    ]


def test_a_network_learns_a_grammar_of_symbols_and_goes_on_in_it():
    rng, letters = np.random.default_rng(0), Symbols("xyabcd", unknown="missing")
    model = SequenceModel(
        "gru", units=12, inputs=6, outputs=6, loss="cross_entropy", rate=0.01, ahead=1, double=True
    )
    words = [letters.columns(grammar(6, rng)) for _ in range(100)]
    words[3][5] = words[7][8] = np.nan
    losses = model.fit(words, words, epochs=6)
    best = np.log(2) * 5 / 23  # the first symbol of each word but the first is a toss-up
    assert losses[-1] < best + 0.05 < losses[0]
    for first, last in (("x", "c"), ("y", "d")):
        came = letters.columns(["x", "a", "b", "c", first])
        assert letters.symbols(model.generate(3, after=came)) == ["a", "b", last]
    drawn = model.generate(8, after=letters.columns(["x", "a", "b", "c"]), samples=40)
    spelled = {"".join(letters.symbols(one)[:4]) for one in drawn}
    assert {"xabc", "yabd"} <= spelled
