"""Whether the rows of a table stand in the order of their times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from streamrnn.connectors.tables.clock import Clock
from streamrnn.connectors.tables.keys import codes_of
from streamrnn.errors import SettingsError
from streamrnn.kernels.plan import NO_TIME
from streamrnn.records import Int64Array

if TYPE_CHECKING:
    from streamrnn.connectors.tables.schema import Sample

__all__ = ["order_notes", "steps_of"]

_NEARLY_ALL = 0.9  # share of steps that go back above which the newest row is first
_FEWEST = 3
_MANY = 0.05  # share of steps that are worth a word
_FAR = 10  # usual steps back, with which another series begins


def steps_of(sample: Sample, clock: Clock, key: Sequence[int]) -> Int64Array:
    """(n,) int64, ns: the steps between consecutive rows of each series, as they stand."""
    times = clock.read_sample(sample.columns)[: sample.consecutive]
    codes = codes_of(sample.columns, key, len(times))
    known = np.flatnonzero(times != NO_TIME)
    order = known[np.argsort(codes[known], kind="stable")]
    steps: Int64Array = np.diff(times[order])[np.diff(codes[order]) == 0]
    return steps


def order_notes(sample: Sample, clock: Clock | None, key: Sequence[int]) -> list[str]:
    """What to know of rows that are not in the order of their times; nothing where they are.

    Raises
    ------
    SettingsError
        Where nearly all go backwards.
    """
    steps = np.empty(0, np.int64) if clock is None else steps_of(sample, clock, key)
    if not len(steps):
        return []
    back, again = float((steps < 0).mean()), float((steps == 0).mean())
    if (steps < 0).sum() >= max(_FEWEST, _NEARLY_ALL * (steps != 0).sum()):
        raise SettingsError(
            f"{sample.title}: its times run backwards, the newest row is first; "
            "--sort puts all rows in the order of their times"
        )
    notes = []
    usual = float(np.median(np.abs(steps)))
    restarts = int((steps < -_FAR * usual).sum()) if usual else 0
    if back > _MANY:
        notes.append(
            f"times go back in {back:.0%} of the steps, such rows are late; --sort puts them in order"
        )
    elif restarts and not key:
        notes.append(
            "times start again further down, such rows are late; several series stand one behind the other "
            "(--key names the column that tells them apart), or --sort puts all in order"
        )
    if again > _MANY:
        notes.append(
            f"times repeat in {again:.0%} of the steps, such rows are duplicates; "
            "if they are of several series, --key names the column that tells these apart"
        )
    return notes
