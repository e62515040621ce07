"""What simple forecasts would have raised beside the detector, in bounded memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from streamrnn.kernels import plan
from streamrnn.kernels import race as kernel
from streamrnn.kernels import tally as columns_kernel
from streamrnn.pipelines.kernel_columns import KernelColumns
from streamrnn.records import Float64Array, Int64Array
from streamrnn.scoring import alert, tail
from streamrnn.settings import Settings
from streamrnn.space import address

__all__ = ["RACED_CHANNELS", "Race"]

RACED_CHANNELS = 8  # the first, so that the race costs no more however many there are
RACE_BYTES = 64 * 2**20
_BASELINES = columns_kernel.N_BASELINES


class Race:
    """The alerts of the detector and of every baseline, counted on the same records.

    The first series race, as many as fit into 64 MB (some 3,000), each on its first 8
    channels.

    Parameters
    ----------
    settings : Settings

    Attributes
    ----------
    scores : (SIMPLE, n) float64
        Of the newest batch: what last value, season and EWMA rank its records by; NaN: nothing.
    """

    def __init__(self, settings: Settings) -> None:
        self._channels = min(len(settings.channels), RACED_CHANNELS)
        self._model = np.zeros(plan.MODEL_SIZE, np.int64)
        self._model[plan.MODEL_CLOCK] = 8 * kernel.CLOCK
        numbers = self._model.view(np.float64)
        numbers[plan.MODEL_LEVEL], numbers[plan.MODEL_BUDGET] = settings.alarm_rate()
        self.scores: Float64Array = np.empty((kernel.SIMPLE, 0))
        self._rows = self._empty(1)
        self._table = self._rows.table(self._model)

    @property
    def n_series(self) -> int:
        """Series that race: at most as many as there are."""
        return len(self._rows.counters)

    def add(self, columns: KernelColumns, n_series: int) -> None:
        """Take in the next records of so many series; what was found in them; the baselines' errors."""
        self._make_room(n_series)
        sides = _Sides(columns)
        kernel.race_alarms(address(self._table), address(sides.table))
        self.scores = sides.scores[: kernel.SIMPLE]

    def counters(self, code: int | None = None) -> Int64Array:
        """(SIDES, COUNTERS) what each side has raised, in one series or in all."""
        return _of(self._rows.counters, code)

    def agreement(self, code: int | None = None) -> Int64Array:
        """(baselines, AGREEMENT) how many alerts are the same as the detector's, in one series or in all."""
        return _of(self._rows.agreement, code)

    def _make_room(self, n_series: int) -> None:
        held = self.n_series
        wanted = min(n_series, self._most())
        if wanted <= held:
            return
        wider = self._empty(wanted)
        for old, new in zip(self._rows, wider, strict=True):
            new[:held] = old
        self._rows, self._table = wider, wider.table(self._model)

    def _most(self) -> int:
        return int(RACE_BYTES // sum(column[0].nbytes for column in self._rows))

    def _empty(self, n: int) -> _Rows:
        clocks = np.zeros((n, kernel.CLOCK + 1), np.int64)
        clocks[:, plan.STEP_TIME] = plan.NO_TIME
        counters = np.zeros((n, kernel.SIDES, columns_kernel.COUNTERS), np.int64)
        counters[:, :, columns_kernel.EVENT_OFFSET] = -1
        rows = _Rows(
            clocks=clocks,
            errors=np.zeros((n, kernel.SIMPLE, self._channels, kernel.ERRORS)),
            means=np.zeros((n, kernel.SIMPLE, kernel.MEANS)),
            tails=np.zeros((n, kernel.SIMPLE, tail.STATE)),
            alerts=np.zeros((n, _BASELINES, alert.state_size())),
            events=np.zeros((n, _BASELINES, alert.EVENT_STATE), np.int64),
            counters=counters,
            agreement=np.zeros((n, _BASELINES, kernel.AGREEMENT), np.int64),
        )
        rows.tails[:], rows.events[:] = tail.initial_state(), alert.initial_event()
        return rows


class _Rows(NamedTuple):
    """The numbers of all series, in the order of their addresses in the kernel's table."""

    clocks: Int64Array
    errors: Float64Array
    means: Float64Array
    tails: Float64Array
    alerts: Float64Array
    events: Int64Array
    counters: Int64Array
    agreement: Int64Array

    def table(self, model: Int64Array) -> Int64Array:
        """Sizes and addresses; valid while this object and the model live."""
        sizes = [len(self.counters), self.errors.shape[2], address(model)]
        return np.array([*sizes, *map(address, self)], np.int64)


def _of(counts: Int64Array, code: int | None) -> Int64Array:
    found: Int64Array = counts.sum(axis=0) if code is None else counts[code]
    return found


class _Sides:
    """The columns of all sides: the detector's, and what each baseline writes in place of some.

    Attributes
    ----------
    table : (SIDES, COLUMN_SIZE) int64
    scores : (baselines, n) float64
    """

    def __init__(self, columns: KernelColumns) -> None:
        self.table = np.tile(columns.table, (kernel.SIDES, 1))
        shape = (_BASELINES, int(columns.table[columns_kernel.COLUMN_RECORDS]))
        self.scores = np.full(shape, np.nan)
        written = {
            columns_kernel.COLUMN_HIT: np.zeros(shape, np.int64),
            columns_kernel.COLUMN_EVENT_PARTITION: np.full(shape, -1),
            columns_kernel.COLUMN_EVENT_OFFSET: np.full(shape, -1),
            columns_kernel.COLUMN_STRENGTH: np.zeros(shape),
            columns_kernel.COLUMN_ALERT_LEVEL: np.full(shape, np.nan),
            columns_kernel.COLUMN_SCORE: self.scores,
        }
        self._written = written  # keeps their memory alive
        for which, column in written.items():
            self.table[1:, which] = [address(row) for row in column]
