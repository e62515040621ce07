"""What is known of an incident."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.events import Part

__all__ = ["GAP", "Change", "Incident", "Peak"]

GAP = "gap"  # the kind of a silence


class Peak(NamedTuple):
    """The record with the largest surprise of an incident, to within half its p-value.

    Attributes
    ----------
    partition, offset, time : int
        Where and when; ns UTC.
    surprise, p_value, score, strength : float
        Of the record; NaN where a silence was never scored.
    parts : tuple of Part
        The channels with the largest shares in it.
    """

    partition: int
    offset: int
    time: int
    surprise: float
    p_value: float
    score: float
    strength: float
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Incident:
    """Trouble of one series, from its first detection to its last.

    Attributes
    ----------
    id : str
        Id of the event that opened it.
    series : int
        Code of its series.
    kind : str
        ``GAP``, or empty.
    start, end : int
        Of the record that opened it and of its last detection, ns UTC; ``NO_TIME``: not known.
    open : bool
    severity : str
        The worst so far: ``"info"``, ``"warning"`` or ``"critical"``.
    events, detections : int
        So many belong to it.
    records : int
        Scored records from the first to the last detection.
    sequence : int
        1, 2, ... with each change that was told.
    peak : Peak
    looks : str
        What kind of event its newest detection was of: spike, level shift and so on.
    """

    id: str
    series: int
    kind: str
    start: int
    end: int
    open: bool
    severity: str
    events: int
    detections: int
    records: int
    sequence: int
    peak: Peak
    looks: str = ""

    @property
    def lasted_ns(self) -> int:
        """From its first to its last detection; 0 where times are not known."""
        return 0 if NO_TIME in (self.start, self.end) else self.end - self.start


class Change(NamedTuple):
    """An incident that is new, worse or over.

    Attributes
    ----------
    what : str
    incident : Incident
    peaks : bool
        Whether its peak is new: of the batch that brought the change.
    """

    what: Literal["opened", "worse", "resolved"]
    incident: Incident
    peaks: bool
