"""What users tell a daemon, most of it of events: asked for beside it, journalled, applied at a position."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from streamrnn.connectors.base import Positions
from streamrnn.feedback import Position, Signature
from streamrnn.fleet import Fleet
from streamrnn.pipelines.applied import hear_rate, is_rate
from streamrnn.pipelines.coding import Coding
from streamrnn.pipelines.journal import Journal, behind
from streamrnn.pipelines.store import Store

__all__ = ["Said", "hear", "obeyed"]

_LOG = logging.getLogger("streamrnn.feedback")


@dataclass(frozen=True)
class Said:
    """What was said of an event of a series.

    Attributes
    ----------
    key : str
    partition, offset : int
        Position of the record that opened the event; the partition by its code.
    mark : int
        ``DISMISSED``, ``CONFIRMED`` or ``FORGOTTEN``.
    seen : Signature
    """

    key: str
    partition: int
    offset: int
    mark: int
    seen: Signature

    def apply(self, fleet: Fleet) -> None:
        """Have the series of a fleet know it from here on."""
        replaced = fleet.tell(self.key, Position(self.partition, self.offset), self.mark, self.seen)
        if replaced is not None:
            _LOG.warning(
                "series %s holds what was said of its newest events alone; what was said of that at offset "
                "%d holds no more", self.key, replaced.offset,
            )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """As JSON and msgpack can hold it."""
        return {**asdict(self), "seen": [list(part) for part in self.seen]}

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> Self:
        """From ``to_dict``."""
        return cls(**{**held, "seen": Signature(*held["seen"])})


def hear(store: Store, journal: Journal, coding: Coding, polled: Positions, committed: Positions) -> None:
    """Journal what was asked for, to take effect behind all that was polled and all that was written.

    Where a series still remembers an event, what it knows of it is better than what was stored.
    Stopped halfway, this journals the same again, which changes nothing.

    Raises
    ------
    StoreError
        Where it cannot be written; what is left waits.
    """
    positions = behind(polled, committed)
    for request in store.requests():
        if is_rate(request.body):
            hear_rate(journal, request.body, coding.fleet.settings, positions)
        else:
            journal.feedback(_as_remembered(request.body, coding), positions)
        store.request_drop(request.id)


def obeyed(payload: Mapping[str, Any], coding: Coding) -> Said | None:
    """Apply what the journal says was said; None where nothing is known of its series."""
    said = _said_of(payload, coding)
    if said is None:
        _LOG.warning("nothing is known of the series of event %s-%d", payload["partition"], payload["offset"])
    else:
        said.apply(coding.fleet)
    return said


def _as_remembered(body: Mapping[str, Any], coding: Coding) -> Mapping[str, Any]:
    said = _said_of(body, coding)
    if said is None:
        return body
    seen = coding.fleet.remembered(said.key, Position(said.partition, said.offset)) or said.seen
    return {**body, "seen": [list(part) for part in seen]}


def _said_of(payload: Mapping[str, Any], coding: Coding) -> Said | None:
    names = coding.partition_names
    if payload["series"] not in coding.fleet.keys or payload["partition"] not in names:
        return None
    code, seen = names.index(payload["partition"]), Signature(*payload["seen"])
    return Said(payload["series"], code, payload["offset"], payload["mark"], seen)
