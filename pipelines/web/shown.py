"""What a page shows beside a run's summary and its kept rows, collected batch by batch."""

from __future__ import annotations

from streamrnn.connectors.base import Read
from streamrnn.pipelines.web.calibration import Calibration
from streamrnn.pipelines.web.closeups import Closeups
from streamrnn.records import Results

__all__ = ["Shown"]


class Shown:
    """Looks on while a run goes.

    Parameters
    ----------
    channels : tuple of str

    Attributes
    ----------
    calibration : Calibration
    closeups : Closeups
    """

    def __init__(self, channels: tuple[str, ...]) -> None:
        self.calibration, self.closeups = Calibration(), Closeups(channels)

    def add(self, batch: Read, found: Results) -> None:
        """Take in the next records and what was found in them."""
        self.calibration.add(batch, found)
        self.closeups.add(batch, found)
