"""A column of a table's sample: what it holds, asked once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from streamrnn.connectors.text import is_missing, numbers, unit_of, without_unit
from streamrnn.connectors.times.finding import find_clock, find_epoch, find_readings
from streamrnn.connectors.times.formats import Reading
from streamrnn.records import Float64Array, Int64Array

__all__ = ["Column", "label_word"]

_MOSTLY = 0.5  # a column with fewer readable cells is of another kind; above, the rest are errors
_FEW = 10  # values that a label may have
_FEWEST_COUNTED = 10  # rows that tell an even count from a short ramp
_TRUE = frozenset({"true", "yes", "y", "t", "anomaly", "anomalous", "abnormal", "attack", "outlier", "fault"})
_FALSE = frozenset({"false", "no", "n", "f", "normal", "ok", "none", "benign", "regular"})
_FEWEST = 4  # values of a column that tell a stand-in for "no value" from a switch
# The last numbers of the types in which devices keep values, and what is written for them.
_RANGES = frozenset(
    {-1.0, *(2.0**bits - 1 for bits in (8, 15, 16, 31, 32)), *(-(2.0**bits) for bits in (7, 15, 31))}
)
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
    def words(self) -> tuple[str, ...]:
        """The words of the name, in lower case: ``created_at`` and ``CreatedAt`` have two."""
        parts = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", self.name)
        return tuple(word for word in re.split(r"[\W_]+", parts.lower()) if word)

    @cached_property
    def present(self) -> list[str]:
        """The cells that are not missing."""
        return [cell for cell in self.cells if not is_missing(cell)]

    @cached_property
    def _read(self) -> tuple[Float64Array, str]:
        """The numbers, and the unit that was taken away from each cell."""
        if self._values is not None:
            return self._values, ""
        values, bad = numbers(self.cells, self._decimal)
        unit = unit_of(self.cells, self._decimal) if len(bad) == len(self.present) > 0 else ""
        return (numbers(without_unit(self.cells, unit), self._decimal)[0] if unit else values), unit

    @property
    def values(self) -> Float64Array:
        """(n,) float64: the numbers, NaN where there is none."""
        return self._read[0]

    @property
    def unit(self) -> str:
        """What stands behind each number, such as ``°C``; empty where nothing does."""
        return self._read[1]

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

    @cached_property
    def is_still(self) -> bool:
        """Whether all rows say the same."""
        return len(self.cells) > 1 and len(set(self.cells)) == 1

    def steps(self, consecutive: int, codes: Int64Array | None = None) -> Float64Array:
        """(n,) float64: from row to row, of each series where codes are given, where rows follow each other.

        NaN between what has no difference.
        """
        head = self.values[:consecutive]
        with np.errstate(all="ignore"):  # infinities, and what is too far apart
            if codes is None:
                return np.diff(head)
            order = np.argsort(codes, kind="stable")
            steps: Float64Array = np.diff(head[order])[np.diff(codes[order]) == 0]
            return steps

    def counts_rows(self, consecutive: int, codes: Int64Array | None = None) -> bool:
        """Whether the column goes up by one from row to row (of a series), and so says nothing."""
        steps = self.steps(consecutive, codes)
        return self.is_whole and len(steps) > 1 and bool((steps == 1.0).all())

    def counts_evenly(self, consecutive: int) -> float | None:
        """The step by which the column goes up from row to row, where it is always the same."""
        steps = self.steps(consecutive)
        if not self.is_numeric or len(steps) < _FEWEST_COUNTED - 1 or not np.isfinite(steps).all():
            return None
        head = self.values[:consecutive]
        step = float(head[-1] / len(steps) - head[0] / len(steps))
        even = head[0] + step * np.arange(len(head))
        # Numbers that were rounded before they were written are off by a part of a step.
        return step if step > 0.0 and bool((np.abs(head - even) < 0.01 * step).all()) else None

    def climbs(self, consecutive: int) -> bool:
        """Whether the numbers never fall."""
        steps = self.steps(consecutive)
        return self.is_numeric and len(steps) > 1 and bool((steps >= 0.0).all())

    @cached_property
    def label(self) -> dict[str, bool] | None:
        """What each cell says of its record, where the column can be a label; None where not.

        Numbers are left to ``values`` and ``normal``. Words are, where one of them
        says normal; then all others are kinds of anomalies.
        """
        if self.is_numeric:
            return {} if self.is_whole and len(np.unique(self.known)) <= _FEW else None
        words = {label_word(cell) for cell in self.present}
        if len(words) > _FEW or not (words <= _TRUE | _FALSE or words & _FALSE):
            return None
        return {word: word not in _FALSE for word in words}

    @property
    def normal(self) -> float:
        """The number of a label that says normal: 0, or 1 where -1 is the other, as scikit-learn has it."""
        return 1.0 if set(np.unique(self.known).tolist()) == {-1.0, 1.0} else 0.0

    @cached_property
    def stand_ins(self) -> list[float]:
        """Numbers that seem to mean "no value", such as -200: far off all others, and they come again."""
        found: list[float] = []
        while (value := _stand_in(self.known[~np.isin(self.known, found)])) is not None:
            found.append(value)
        return sorted(found)

    def share_at_end(self, value: float) -> float:
        """Share of the rows that hold a value, where none is beyond it but other stand-ins; else 0."""
        held = int((self.known == value).sum())
        others = self.known[~np.isin(self.known, [other for other in self.stand_ins if other != value])]
        at_end = held > 1 and value in (others.min(), others.max())
        return held / len(self.values) if at_end else 0.0


def _stand_in(known: Float64Array) -> float | None:
    """The number at one end of some that seems to mean "no value"; the further one off first."""
    values, counts = np.unique(known, return_counts=True)
    if len(values) < _FEWEST:
        return None
    with np.errstate(over="ignore"):
        gaps = values[1] - values[0], values[-1] - values[-2]
        place = 0 if gaps[0] > gaps[1] else -1
        low, high = np.quantile(known[(known != values[0]) & (known != values[-1])], (0.01, 0.99))
        far = max(gaps) > high - low
    often = counts[place] >= max(3, _REPEATED * len(known))
    return float(values[place]) if far and often and _like_a_stand_in(float(values[place])) else None


def label_word(cell: str) -> str:
    """A word of a label as it is compared."""
    return cell.strip().lower().replace(" ", "")


def _like_a_stand_in(value: float) -> bool:
    """Whether people write a number for "no value": -1, 99.9, -9999, -200, or the end of a type's range."""
    digits = re.sub(r"[.-]", "", f"{value:.10g}").strip("0")
    nines = digits in {"9" * len(digits), "7" * len(digits), "8" * len(digits)} and abs(value) >= 77
    round_ = abs(value) >= 100 and value % 100 == 0
    return value in _RANGES or nines or round_ or abs(value) >= 1e15
