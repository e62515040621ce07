"""What an entry of the setting ``networks`` says: a cell, its units, how it learns."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from streamrnn.errors import SettingsError

CELLS = ("lstm", "gru", "diagonal_lstm", "rnn", "rnn_relu", "rnn_logistic", "jordan", "tdnn")
FORMS = "cell, cell:units, cell:unitsxlayers, cell:units:training, or ar:lags"

_TRAININGS = ("adam", "adam_heads", "kalman", "kalman_units", "frozen", "shared")
_SHARED_CELLS = ("gru", "rnn", "rnn_relu", "rnn_logistic")  # whose state is h alone
_OF_CELL = {"diagonal_lstm": "kalman"}  # how a cell learns where nothing else is said; the others: Adam
_ADAM_ALONE = ("jordan", "tdnn")  # what they see of the past is no h, which the filter asks for
_MOST_UNITS, _MOST_LAGS, MOST_LAYERS = 512, 64, 4


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
        ``"adam"``: a network of the detector, with a head of its own and slow readouts. ``"shared"``:
        the same with the prior's weights, one copy for all series, which never learn.
        The others: a network of each channel's forecaster, with fast heads. ``"adam_heads"``: Adam on
        what these heads missed, through a window of 8 steps; ``"kalman"``: a filter
        with a block of covariance for each gate of each unit; ``"kalman_units"``: one for each unit of
        a diagonal cell, which costs more and learns a little more; ``"frozen"``: none.
    lags : int
        Newest values that the heads of an autoregression see; 0: the setting ``lags``.
    layers : int
        Layers one above the other, of as many units each.
    """

    cell: str
    units: int | None = None
    training: str = "adam"
    lags: int = 0
    layers: int = 1

    @property
    def forecasts(self) -> bool:
        """Whether it belongs to the forecasters of the channels."""
        return self.training not in ("adam", "shared")


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
    >>> parse("lstm").forecasts, parse("ar:24").lags, parse("gru:12x2").layers
    (False, 24, 2)
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
    units, layers = _sizes(text, rest[0]) if rest else (None, 1)
    if training != "adam" and (layers > 1 or cell in _ADAM_ALONE):
        what = cell if cell in _ADAM_ALONE else "a network of several layers"
        raise SettingsError(f"networks has {text!r}; {what} learns by adam; give {cell}:{rest[0]}:adam")
    if training == "kalman_units" and cell != "diagonal_lstm":
        raise SettingsError(
            f"networks has {text!r}; kalman_units is for diagonal_lstm; give {cell}:12:kalman"
        )
    if training == "shared" and cell not in _SHARED_CELLS:
        raise SettingsError(f"networks has {text!r}; shared is for {', '.join(_SHARED_CELLS)}")
    return NetworkSpec(cell, units, training, layers=layers)


def _sizes(text: str, part: str) -> tuple[int, int]:
    """(units, layers) of ``12`` or ``12x2``."""
    units, x, layers = part.partition("x")
    sizes = [int(size) if size.isdecimal() else 0 for size in (units, layers if x else "1")]
    if not (1 <= sizes[0] <= _MOST_UNITS and 1 <= sizes[1] <= MOST_LAYERS):
        raise SettingsError(
            f"networks has {text!r}; after the first colon comes a number of units from 1 to {_MOST_UNITS}, "
            f"or such as 12x2 with layers from 1 to {MOST_LAYERS}"
        )
    return sizes[0], sizes[1]


def _number(text: str, parts: list[str], most: int) -> int | None:
    if not parts:
        return None
    if not parts[0].isdecimal() or not 1 <= int(parts[0]) <= most:
        raise SettingsError(f"networks has {text!r}; after the first colon comes a number from 1 to {most}")
    return int(parts[0])
