"""A column of a table's sample: what it holds, asked once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from streamrnn.connectors.text import is_missing, numbers
from streamrnn.connectors.times.finding import find_clock, find_epoch, find_readings
from streamrnn.connectors.times.formats import Reading
from streamrnn.records import Float64Array, Int64Array

__all__ = ["Column"]

_MOSTLY = 0.5  # a column with fewer readable cells is of another kind; above, the rest are errors
_FEW = 10  # values that a label may have
_TRUE = frozenset({"true", "yes", "y", "t", "anomaly", "anomalous", "abnormal", "attack", "outlier", "fault"})
_FALSE = frozenset({"false", "no", "n", "f", "normal", "ok", "none", "benign", "regular"})
_FEWEST = 4  # values of a column that tell a stand-in for "no value" from a switch
_REPEATED = 0.002  # share of the rows that have it


class Column:
    """One column of a sample: consecutive rows from the head, then parts from further in.

    Parameters
    ----------
    name : str
    cells : sequence of str
        Text, also of what is stored as numbers or times.
    decimal : str
        Decimal mark of the text.
    values : (n,) float64, optional
        Where the table holds numbers and not text.
    times : (n,) int64, optional
        Where it holds times, ns UTC.
    """

    def __init__(
        self,
        name: str,
        cells: Sequence[str],
        *,
        decimal: str = ".",
        values: Float64Array | None = None,
        times: Int64Array | None = None,
    ) -> None:
        self.name = name
        self.cells = cells
        self.times = times
        self._decimal = decimal
        self._values = values

    @cached_property
    def word(self) -> str:
        """The name without marks, in lower case, to compare."""
        return re.sub(r"[\W_]", "", self.name.lower())

    @cached_property
    def present(self) -> list[str]:
        """The cells that are not missing."""
        return [cell for cell in self.cells if not is_missing(cell)]

    @cached_property
    def values(self) -> Float64Array:
        """(n,) float64: the numbers, NaN where there is none."""
        return numbers(self.cells, self._decimal)[0] if self._values is None else self._values

    @cached_property
    def known(self) -> Float64Array:
        """The finite numbers among ``values``."""
        return self.values[np.isfinite(self.values)]

    @property
    def is_empty(self) -> bool:
        """Whether no row has anything here."""
        if self.times is not None:
            return False
        return not len(self.known) if self._values is not None else not self.present

    @cached_property
    def is_numeric(self) -> bool:
        """Whether most cells that hold something hold a number."""
        if self.times is not None or self.is_empty:
            return False
        if self._values is not None:
            return True
        return int((~np.isnan(self.values)).sum()) >= _MOSTLY * len(self.present)

    @cached_property
    def is_whole(self) -> bool:
        """Whether all numbers are whole."""
        return self.is_numeric and bool((self.known == np.floor(self.known)).all())

    @cached_property
    def is_constant(self) -> bool:
        """Whether all rows that hold a number hold the same."""
        return self.is_numeric and len(np.unique(self.known)) <= 1

    @cached_property
    def readings(self) -> list[Reading]:
        """Ways to read the column as times: none, one, or several where it is ambiguous."""
        if self.times is not None or self.is_empty or self._values is not None:
            return []
        return find_readings(self.present)

    @cached_property
    def day_time(self) -> Reading | None:
        """How the column writes times of day, if it does."""
        typed = self.times is not None or self._values is not None
        return find_clock(self.present) if self.present and not typed else None

    @cached_property
    def epoch(self) -> Reading | None:
        """How the column counts seconds since 1970, if it does."""
        return find_epoch(self.known) if self.is_numeric and len(self.known) else None

    def counts_rows(self, consecutive: int) -> bool:
        """Whether the column goes up by one from row to row, and so says nothing."""
        head = self.values[:consecutive]
        return self.is_whole and len(head) > 2 and bool((np.diff(head) == 1.0).all())

    def climbs(self, consecutive: int) -> bool:
        """Whether the numbers never fall."""
        head = self.values[:consecutive]
        return self.is_numeric and len(head) > 2 and bool((np.diff(head) >= 0.0).all())

    @cached_property
    def label(self) -> dict[str, bool] | None:
        """What each cell says of its record, where the column can be a label; None where not.

        Numbers are left to ``values``: 0 is normal.
        """
        if self.is_numeric:
            return {} if self.is_whole and len(np.unique(self.known)) <= _FEW else None
        words = {cell.strip().lower().replace(" ", "") for cell in self.present}
        if not words <= _TRUE | _FALSE:
            return None
        return {word: word in _TRUE for word in words}

    @cached_property
    def stand_in(self) -> float | None:
        """A number that seems to mean "no value", such as -200: alone, far off, and it comes again."""
        values, counts = np.unique(self.known, return_counts=True)
        if len(values) < _FEWEST:
            return None
        for place, nearest in ((0, 1), (-1, -2)):
            value, count = float(values[place]), int(counts[place])
            low, high = np.quantile(self.known[self.known != value], (0.01, 0.99))
            alone = abs(value - values[nearest]) > high - low
            if alone and value.is_integer() and count >= max(3, _REPEATED * len(self.known)):
                return value
        return None

    def share_at_end(self, value: float) -> float:
        """Share of the rows that hold a value, where it is the smallest or the largest; else 0."""
        held = int((self.known == value).sum())
        at_end = held > 1 and value in (self.known.min(), self.known.max())
        return held / len(self.values) if at_end else 0.0
