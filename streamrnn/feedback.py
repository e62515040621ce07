"""What users say of events: verbs on one series' row (``scoring/feedback.py`` tells what they do)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import DataError
from streamrnn.layout import ModelLayout
from streamrnn.scoring import feedback as kernel
from streamrnn.space import address

__all__ = [
    "CONFIRMED",
    "DISMISSED",
    "FORGOTTEN",
    "Feedback",
    "Position",
    "Signature",
    "alike",
    "forget",
    "say",
    "signature",
    "spoken",
    "take_back",
    "tell",
]

FORGOTTEN, DISMISSED, CONFIRMED = 0, kernel.DISMISSED, kernel.CONFIRMED

Id = TypeVar("Id")
Row = NDArray[np.uint8]
Entries = NDArray[Any]


class Position(NamedTuple):
    """What names an event: the position of the record that opened it.

    Attributes
    ----------
    partition : int
        Code of the source's partition.
    offset : int

    Examples
    --------
    >>> import numpy as np
    >>> from streamrnn import Batch, Fleet, Position, Settings
    >>> fleet = Fleet(Settings(false_alarms=1e-3))
    >>> codes = fleet.series(["tank"])
    >>> values = 20 + np.arange(500.0) % 12
    >>> values[400] = 40
    >>> found = fleet.process(Batch.of_one_series(values[:, None]))
    >>> event = Position(int(found.event_partition[400]), int(found.event_offset[400]))
    >>> fleet.not_an_anomaly("tank", event).alike
    ()
    """

    partition: int
    offset: int


class Signature(NamedTuple):
    """What an event looked like at its peak, (channels,) float64 each.

    Attributes
    ----------
    value : sequence of float
        Sensor units; NaN = missing.
    deviation : sequence of float
        From what was forecast for the record that opened the event; sensor units.
    onset : sequence of float
        Deviation of that record.
    share : sequence of float
        Of the evidence, 0 to 1.
    """

    value: Sequence[float]
    deviation: Sequence[float]
    onset: Sequence[float]
    share: Sequence[float]


@dataclass(frozen=True)
class Feedback(Generic[Id]):
    """What came of something that was said of an event.

    Attributes
    ----------
    alike : tuple
        Remembered events that look the same, in their order: of ``not_an_anomaly``
        those that it would have made quiet, of ``confirm`` those that it keeps loud.
    replaced : str, Position or None
        The event of which it was said longest ago, if there was no room left for both:
        what was said of that one holds no more.

    Examples
    --------
    >>> import numpy as np
    >>> from streamrnn import Detector
    >>> values = 20 + np.random.default_rng(1).random(500)
    >>> values[[300, 400]] = 40
    >>> detector = Detector(name="tank", false_alarms=1e-3)
    >>> _ = detector.process_many(values)
    >>> detector.not_an_anomaly("tank-300").alike
    ('tank-400',)
    """

    alike: tuple[Id, ...]
    replaced: Id | None = None


def say(
    layout: ModelLayout, row: Row, event: Position, mark: int, name: Callable[[Position], Id]
) -> Feedback[Id]:
    """Mark a remembered event; ``name`` says what its user calls a position.

    Raises
    ------
    DataError
        Where the row does not remember it.
    """
    seen = signature(layout, row, event)
    if seen is None:
        remembered = ", ".join(str(name(_position(entry))) for entry in _known(layout, row))
        raise DataError(
            f"event {name(event)} is not known, or not any more; a series remembers its newest "
            f"{layout.preset.events} events, here: {remembered or 'none yet'}"
        )
    replaced = tell(layout, row, event, mark, seen)
    others = tuple(name(position) for position in _looking_like(layout, row, mark, event))
    return Feedback(others, None if replaced is None else name(replaced))


def take_back(layout: ModelLayout, row: Row, event: Position, name: Callable[[Position], Id]) -> None:
    """Forget what was said of an event; ``name`` says what its user calls a position.

    Raises
    ------
    DataError
        Where nothing was.
    """
    spoken_of = ", ".join(str(name(_position(entry))) for entry in _templates(layout, row))
    if not forget(layout, row, event):
        raise DataError(
            f"nothing was said of event {name(event)} that holds; spoken of: {spoken_of or 'none'}"
        )


def tell(layout: ModelLayout, row: Row, event: Position, mark: int, seen: Signature) -> Position | None:
    """Have a row treat what looks like an event's signature as ``mark`` says.

    Returns
    -------
    replaced : Position or None
        The event whose template had to go.
    """
    head, templates = _head(layout, row), _entries(layout, row, "templates")
    count, replaced = int(head[kernel.TEMPLATES]), None
    if not count:  # the told copy of the alert layer begins as the first
        for name in ("", "_event"):
            source = "event" if name else "alert"
            layout.segment(row, f"told{name}", np.int64)[:] = layout.segment(row, source, np.int64)
    held = _place(templates[:count], event)
    if held is None and count == layout.preset.templates:
        replaced = _position(templates[0])
        held = 0
    if held is not None:
        templates[held : count - 1] = templates[held + 1 : count].copy()
        count -= 1
    templates[count] = _entry(layout, event, mark, seen)
    head[kernel.TEMPLATES] = count + 1
    return replaced


def forget(layout: ModelLayout, row: Row, event: Position) -> bool:
    """Take back what was said of an event; False where nothing was."""
    head, templates = _head(layout, row), _entries(layout, row, "templates")
    count = int(head[kernel.TEMPLATES])
    held = _place(templates[:count], event)
    if held is None:
        return False
    templates[held : count - 1] = templates[held + 1 : count].copy()
    templates[count - 1] = np.zeros((), templates.dtype)
    head[kernel.TEMPLATES] = count - 1
    if count == 1:
        head[[kernel.RINGING, kernel.HUSHED]] = 0
        for name in ("told", "told_event"):
            layout.segment(row, name, np.int64)[:] = 0
    return True


def signature(layout: ModelLayout, row: Row, event: Position) -> Signature | None:
    """What an event looked like that the row remembers, or of which something was said; else None."""
    entries = np.concatenate([_known(layout, row), _templates(layout, row)])  # it may have grown since
    held = _place(entries, event)
    if held is None:
        return None
    return Signature(*(entries[name][held].tolist() for name in Signature._fields))


def spoken(layout: ModelLayout, row: Row) -> dict[Position, int]:
    """The marks of all events of which something was said that holds."""
    return {_position(entry): int(entry["mark"]) for entry in _templates(layout, row)}


def _looking_like(layout: ModelLayout, row: Row, mark: int, event: Position) -> tuple[Position, ...]:
    """Remembered events that are treated as ``mark`` says because this one is."""
    known, templates = _known(layout, row), _templates(layout, row)
    by_all, by_this = _said(known, templates), _said(known, templates[_positions_are(templates, event)])
    return tuple(
        other
        for entry, together, alone in zip(known, by_all, by_this, strict=True)
        if (other := _position(entry)) != event and together == alone == mark
    )


def alike(seen: Signature, others: Sequence[Signature]) -> list[bool]:
    """Which of some signatures look like that of a template.

    Examples
    --------
    >>> dismissed = Signature([30.0], [10.0], [10.0], [1.0])
    >>> alike(dismissed, [dismissed._replace(value=[31.0]), dismissed._replace(value=[33.0])])
    [True, False]
    """
    entries = np.zeros(len(others) + 1, _dtype(len(seen.value)))
    for entry, one in zip(entries, (seen, *others), strict=True):
        for name, values in zip(Signature._fields, one, strict=True):
            entry[name] = values
    entries["mark"] = DISMISSED
    return [bool(said) for said in _said(entries[1:], entries[:1])]


def _dtype(channels: int) -> np.dtype[Any]:
    numbers = [(name, np.float64, (channels,)) for name in Signature._fields]
    whole = [(name, np.int64) for name in ("partition", "offset", "mark")]
    return np.dtype([*whole, ("strength", np.float64), ("surprise", np.float64), *numbers])


def _head(layout: ModelLayout, row: Row) -> NDArray[np.int64]:
    head: NDArray[np.int64] = layout.segment(row, "feedback", np.int64)
    return head


def _entries(layout: ModelLayout, row: Row, name: str) -> Entries:
    return layout.segment(row, name, np.int64).view(_dtype(len(layout.settings.channels)))


def _templates(layout: ModelLayout, row: Row) -> Entries:
    """Oldest first."""
    return _entries(layout, row, "templates")[: int(_head(layout, row)[kernel.TEMPLATES])]


def _known(layout: ModelLayout, row: Row) -> Entries:
    """Entries of the newest events, oldest first."""
    begun, most = int(_head(layout, row)[kernel.EVENTS]), layout.preset.events
    return _entries(layout, row, "known_events")[np.arange(max(begun - most, 0), begun) % most]


def _place(entries: Entries, event: Position) -> int | None:
    same = _positions_are(entries, event)
    return int(np.flatnonzero(same)[0]) if same.any() else None


def _positions_are(entries: Entries, event: Position) -> NDArray[np.bool_]:
    same = (entries["partition"] == event.partition) & (entries["offset"] == event.offset)
    return np.asarray(same, np.bool_)


def _position(entry: Any) -> Position:
    return Position(int(entry["partition"]), int(entry["offset"]))


def _entry(layout: ModelLayout, event: Position, mark: int, seen: Signature) -> Entries:
    entry = np.zeros((), _dtype(len(layout.settings.channels)))
    entry["partition"], entry["offset"], entry["mark"] = *event, mark
    for name, values in zip(Signature._fields, seen, strict=True):
        entry[name] = values
    return entry


def _said(entries: Entries, templates: Entries) -> list[int]:
    """Marks by the kernel that judges records."""
    channels = entries.dtype["value"].shape[0]
    entries, templates = np.ascontiguousarray(entries), np.ascontiguousarray(templates)
    out = np.zeros(len(entries), np.int64)
    kernel.judge_entries(
        address(entries), len(entries), address(templates), len(templates), channels, address(out)
    )
    return [int(mark) for mark in out]
