"""How often small p-values came in a run, in bounded memory."""

from __future__ import annotations

import numpy as np

from streamrnn.connectors.base import Read
from streamrnn.pipelines.evaluation import CalibrationLevel, calibration_level
from streamrnn.records import STATUSES, Results

__all__ = ["Calibration"]

_CALIBRATED = STATUSES.index("calibrated")
_STEPS = 4  # of a power of ten
_POWERS = 6


class Calibration:
    """Counts the p-values of calibrated records: all but those with a label.

    Where there are no labels, records that are odd count too.

    Attributes
    ----------
    records : int
        How many were counted.
    labelled : bool
        Whether there were labels.

    Examples
    --------
    >>> from streamrnn import Batch, Fleet, Settings
    >>> fleet, calibration = Fleet(Settings(channels=["level"], false_alarms=0.1)), Calibration()
    >>> batch = Batch.of_one_series(np.random.default_rng(0).normal(size=(1000, 1)))
    >>> calibration.add(Read(**vars(batch), columns={}), fleet.process(batch))
    >>> [level.level for level in calibration.levels()[::4]][:3], calibration.records > 800
    ([1.0, 0.1, 0.01], True)
    """

    def __init__(self) -> None:
        self._counts = np.zeros(_STEPS * _POWERS + 1, np.int64)
        self.labelled = False

    def add(self, batch: Read, found: Results) -> None:
        """Take in the next records."""
        counted = found.status == _CALIBRATED
        if batch.labels is not None:
            self.labelled = True
            counted &= ~batch.labels
        # A p-value at a level counts as at most that level, though its logarithm was rounded.
        places = np.floor(_STEPS * found.surprise[counted] + 1e-9)
        places = np.clip(np.nan_to_num(places), 0, len(self._counts) - 1).astype(np.int64)
        self._counts += np.bincount(places, minlength=len(self._counts))

    @property
    def records(self) -> int:
        """How many were counted."""
        return int(self._counts.sum())

    def levels(self) -> list[CalibrationLevel]:
        """From 1 down to 1e-6, four to a power of ten."""
        at_most = np.cumsum(self._counts[::-1])[::-1].tolist()
        return [calibration_level(10.0 ** (-k / _STEPS), self.records, n) for k, n in enumerate(at_most)]
