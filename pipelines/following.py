"""What goes along with the stream beside the models, and tells of events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamrnn.connectors.base import Read
from streamrnn.pipelines.store import EventRow
from streamrnn.records import Results

__all__ = ["Follower"]


class Follower:
    """Sees every record in a fixed order, and goes on after a restart as if there had been none.

    What it makes of the records must not depend on how they are cut into batches:
    after a crash they are read again in other batches, and the events that follow from
    them must have the same ids. Every hook does nothing here.
    """

    def arrived(self, batch: Read) -> None:
        """Records came, in the order of their arrival."""

    def scored(self, batch: Read, found: Results) -> None:
        """Records were scored, in the order of their times where a window puts them so."""

    def take_events(self) -> list[EventRow]:
        """What is to be stored; each is given once."""
        return []

    def to_bytes(self) -> bytes:
        """All that it knows, to go on from; part of every snapshot."""
        return b""

    @property
    def tunable(self) -> Mapping[str, Any]:
        """Its settings that the journal may change, as they are."""
        return {}

    def retune(self, changes: Mapping[str, Any]) -> None:
        """Some of those settings change here."""
