"""What an entry of the setting ``networks`` says: a cell, its units, how it learns."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from streamrnn.errors import SettingsError

CELLS = ("lstm", "gru", "diagonal_lstm")
FORMS = "cell, cell:units, cell:units:training, or ar:lags"

_TRAININGS = ("adam", "adam_heads", "kalman", "kalman_units", "frozen")
_OF_CELL = {"diagonal_lstm": "kalman"}  # how a cell learns where nothing else is said; the others: Adam
_MOST_UNITS, _MOST_LAGS = 512, 64


@dataclass(frozen=True)
class NetworkSpec:
    """One entry of ``networks``.

    Attributes
    ----------
    cell : str
        ``"ar"`` for an autoregression: fast heads without a network.
    units : int or None
        None: the setting ``hidden``.
    training : str
        ``"adam"``: a network of the detector, with a head of its own and slow readouts.
        The others: a network of each channel's forecaster, with fast heads. ``"adam_heads"``: Adam on
        what these heads missed, through a window of 8 steps; ``"kalman"``: a filter
        with a block of covariance for each gate of each unit; ``"kalman_units"``: one for each unit of
        a diagonal cell, which costs more and learns a little more; ``"frozen"``: none.
    lags : int
        Newest values that the heads of an autoregression see; 0: the setting ``lags``.
    """

    cell: str
    units: int | None = None
    training: str = "adam"
    lags: int = 0

    @property
    def forecasts(self) -> bool:
        """Whether it belongs to the forecasters of the channels."""
        return self.training != "adam"


def parse(text: str) -> NetworkSpec:
    """What an entry such as ``"diagonal_lstm:48:frozen"`` says.

    Raises
    ------
    SettingsError
        Where it is none; the message says what fits.

    Examples
    --------
    >>> parse("diagonal_lstm:48:frozen").training
    'frozen'
    >>> parse("lstm").forecasts, parse("ar:24").lags
    (False, 24)
    """
    cell, *rest = text.split(":")
    if cell == "ar" and len(rest) <= 1:
        lags = _number(text, rest, _MOST_LAGS) or 8
        return NetworkSpec("ar", 0, "frozen", lags)
    if cell not in CELLS or len(rest) > 2:
        near = difflib.get_close_matches(cell, (*CELLS, "ar"), 1)
        hint = f"; did you mean {near[0]!r}?" if near and near[0] != cell else ""
        raise SettingsError(
            f"networks has {text!r}; give {FORMS}, with cells {', '.join(CELLS)} "
            f"and trainings {', '.join(_TRAININGS)}{hint}"
        )
    training = rest[1] if len(rest) == 2 else _OF_CELL.get(cell, "adam")
    if training not in _TRAININGS:
        raise SettingsError(f"networks has {text!r}; a network learns by {', '.join(_TRAININGS)}")
    if training == "kalman_units" and cell != "diagonal_lstm":
        raise SettingsError(
            f"networks has {text!r}; kalman_units is for diagonal_lstm; give {cell}:12:kalman"
        )
    return NetworkSpec(cell, _number(text, rest[:1], _MOST_UNITS), training)


def _number(text: str, parts: list[str], most: int) -> int | None:
    if not parts:
        return None
    if not parts[0].isdecimal() or not 1 <= int(parts[0]) <= most:
        raise SettingsError(f"networks has {text!r}; after the first colon comes a number from 1 to {most}")
    return int(parts[0])
