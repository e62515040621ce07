"""The demonstration: hourly readings of a real flow meter, with four episodes that are known.

The series is ``WaterFlow`` of the river package, given by Tecnojest s.r.l. Its
docstring describes "four anomalous segments": three "low value moments" ("water
losses or human intervention for maintenance") and a "small peak in the water
inflow after the first 2 segments" ("a pumping operation into the main pipeline").
Their hours were read off the series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from streamrnn.errors import DataError
from streamrnn.pipelines.events import Event
from streamrnn.pipelines.kept import SeriesRows
from streamrnn.pipelines.summary import record_id
from streamrnn.pipelines.words import duration, iso, moment, number, table
from streamrnn.records import STATUSES

__all__ = ["EPISODES", "Episode", "Verdict", "demo_file", "verdicts", "verdicts_text"]

_WARMING = STATUSES.index("warming")
_SCORED = (STATUSES.index("provisional"), STATUSES.index("calibrated"))


@dataclass(frozen=True)
class Episode:
    """Something that is known to have happened.

    Attributes
    ----------
    what : str
    start, end : int
        Of its first and last record, ns UTC.
    """

    what: str
    start: int
    end: int


def _episode(what: str, start: str, end: str) -> Episode:
    stamps = (int(datetime.fromisoformat(text).timestamp()) * 1_000_000_000 for text in (start, end))
    return Episode(what, *stamps)


EPISODES = (
    _episode("low flow", "2022-03-24T08:00:00+01:00", "2022-03-25T01:00:00+01:00"),
    _episode("low flow", "2022-03-29T08:00:00+02:00", "2022-03-29T21:00:00+02:00"),
    _episode("small peak", "2022-04-03T05:00:00+02:00", "2022-04-03T07:00:00+02:00"),
    _episode("low flow", "2022-04-27T15:00:00+02:00", "2022-04-28T05:00:00+02:00"),
)


def demo_file() -> Path:
    """The series' file, found without importing river.

    Raises
    ------
    DataError
        Where river is not installed or has no such file.
    """
    spec = find_spec("river")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder, "datasets", "water-flow.csv")
        if path.is_file():
            return path
    raise DataError("the demonstration's series comes with the river package; run: pip install river")


@dataclass(frozen=True)
class Verdict:
    """What became of an episode.

    Attributes
    ----------
    episode : Episode
    event : Event or None
        The strongest event that overlaps it; None where it was not found.
    text : str
        How it was found, or why it was not.
    """

    episode: Episode
    event: Event | None
    text: str

    def to_dict(self, partition_names: Sequence[str]) -> dict[str, Any]:
        """The same of types that JSON knows; ``partition_names`` are what ids start with."""
        event = self.event
        return {
            "what": self.episode.what,
            "start": iso(self.episode.start),
            "end": iso(self.episode.end),
            "found": event is not None,
            "event_id": None if event is None else record_id(partition_names, event.partition, event.first),
            "text": self.text,
        }


def verdicts(events: Sequence[Event], rows: SeriesRows) -> list[Verdict]:
    """Of each known episode whether it was found."""
    found = [(episode, _overlapping(episode, events)) for episode in EPISODES]
    return [
        Verdict(episode, event, _missed(episode, rows) if event is None else _hit(episode, event))
        for episode, event in found
    ]


def verdicts_text(episodes: Sequence[Verdict]) -> str:
    """The verdicts in aligned lines."""
    found = sum(verdict.event is not None for verdict in episodes)
    lines = [f"Known episodes: {found} of {len(episodes)} found (times are UTC)"]
    rows = [["start", "end", "what", ""]]
    for verdict in episodes:
        episode = verdict.episode
        rows.append([moment(episode.start), moment(episode.end), episode.what, verdict.text])
    return "\n".join([*lines, *table(rows)])


def _overlapping(episode: Episode, events: Sequence[Event]) -> Event | None:
    return next((e for e in events if e.start <= episode.end and e.end >= episode.start), None)


def _hit(episode: Episode, event: Event) -> str:
    late = event.start - episode.start
    when = "at its first reading"
    if late:
        when = f"{duration(late)} after it began" if late > 0 else f"in an event since {moment(event.start)}"
    return f"found {when} (strength {event.strength:.2f}, surprise {event.surprise:.1f})"


def _missed(episode: Episode, rows: SeriesRows) -> str:
    """Why an episode was not found, from the data."""
    inside = np.flatnonzero((rows.times >= episode.start) & (rows.times <= episode.end))
    if not len(inside):
        return "not found: the run ended before it"
    status, surprise = rows.column("status"), rows.column("surprise")[inside]
    if (status[inside] == _WARMING).all():
        seen = int(rows.column("offset")[inside[0]])
        scored = rows.column("offset")[np.isin(status, _SCORED)]
        needed = f" of the {int(scored[0])} records it needs" if len(scored) else " records"
        return f"not found: still warming up, the detector had seen {seen}{needed}"
    peak = inside[int(np.argmax(np.nan_to_num(surprise, nan=-1.0)))]
    level = -np.log10(rows.column("level")[peak])
    return (
        f"not found: its largest surprise was {number(rows.column('surprise')[peak])}, "
        f"a detection needed {number(level)} then"
    )
