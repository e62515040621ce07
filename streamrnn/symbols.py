"""Symbols as columns and back: categorical channels as inputs and targets of ``SequenceModel``."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamrnn.errors import DataError, SettingsError
from streamrnn.recurrent import require_one_of

__all__ = ["Symbols"]

_POLICIES = ("refuse", "missing", "other")


class Symbols:
    """An alphabet: each symbol is a column, 1 where it stands and 0 elsewhere.

    As inputs the columns stand beside others; as targets of ``"cross_entropy"`` they are its classes.
    None and NaN are missing: a row of NaN, which as an input is a step passed over, and as a target no loss.

    Parameters
    ----------
    alphabet : iterable of hashable
        The symbols, in the order of their columns.
    unknown : str
        What a symbol is that is not in the alphabet: ``"refuse"``, an error; ``"missing"``; or
        ``"other"``, a column of its own behind the others, which all unknown ones share.

    Raises
    ------
    SettingsError
        Where the alphabet is empty or names a symbol twice, or the policy is none.

    Examples
    --------
    >>> states = Symbols(["off", "idle", "on"])
    >>> states.columns(["on", None, "off"])
    array([[ 0.,  0.,  1.],
           [nan, nan, nan],
           [ 1.,  0.,  0.]])
    >>> states.symbols([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]])
    ['on', 'off']
    """

    def __init__(self, alphabet: Iterable[Hashable], *, unknown: str = "refuse") -> None:
        require_one_of("unknown", unknown, _POLICIES)
        self.alphabet, self.unknown = tuple(alphabet), unknown
        self._places = {symbol: place for place, symbol in enumerate(self.alphabet)}
        if len(self._places) < len(self.alphabet) or not self.alphabet:
            raise SettingsError(f"alphabet is {self.alphabet!r}; give at least one symbol, and each once")

    @property
    def count(self) -> int:
        """How many columns there are."""
        return len(self.alphabet) + (self.unknown == "other")

    def columns(self, sequence: Iterable[Any]) -> NDArray[np.float64]:
        """The columns of a sequence of symbols, (time, count) float64.

        Raises
        ------
        DataError
            Where a symbol is unknown, and to be refused.
        """
        places = [self._place(t, symbol) for t, symbol in enumerate(sequence)]
        return np.array([*np.eye(self.count), np.full(self.count, np.nan)])[places]

    def symbols(self, columns: ArrayLike) -> list[Hashable]:
        """The symbol of each row's largest column; None for a row with a NaN, and for ``"other"``.

        Parameters
        ----------
        columns : (time, count) array
            Probabilities, or what ``columns`` gave.

        Raises
        ------
        DataError
            Where the number of columns is another one.
        """
        rows = np.asarray(columns, np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.count:
            raise DataError(f"columns have the shape {rows.shape}; give (time, {self.count})")
        names = (*self.alphabet, None)  # argmax of a row with a NaN is that NaN's place
        return [None if np.isnan(row).any() else names[int(row.argmax())] for row in rows]

    def _place(self, t: int, symbol: Any) -> int:
        # pandas' NA is neither equal to itself nor not.
        if symbol is None or type(symbol).__name__ in ("NAType", "NaTType") or symbol != symbol:
            return self.count
        if symbol in self._places or self.unknown == "other":
            return self._places.get(symbol, len(self.alphabet))
        if self.unknown == "missing":
            return self.count
        raise DataError(
            f"symbol {symbol!r} in row {t} is not in the alphabet, {', '.join(map(str, self.alphabet))}; "
            "add it, or give unknown='other' or 'missing'"
        )
