"""What was found out about the input: one short table for people, one object for machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from streamrnn.connectors.file import FileSource
from streamrnn.connectors.rejects import Rejects
from streamrnn.connectors.text import printable
from streamrnn.pipelines.words import count

__all__ = ["found_dict", "found_text", "rejects_dict", "rejects_text"]

_MOST_NAMES = 12
_LONGEST_NAME = 160  # with the reason why it is left out


def found_text(sources: Sequence[FileSource], *, each: bool, tz: str | None) -> str:
    """The table, some lines: format, time, values, key, label, what is left out, what to know."""
    first = sources[0]
    lines = [printable(first.title) + (f" and {count(len(sources) - 1, 'more file')}" if sources[1:] else "")]
    if len(sources) > 1:
        how = "a series each" if each else "parts of one stream, in the order of their times"
        lines.append(f"  files     {how} (--files)")
    lines += [f"  {what:<10}{text}" for what, text in _rows(first, tz)]
    return "\n".join(printable(line) for line in lines)


def _rows(source: FileSource, tz: str | None) -> Iterator[tuple[str, str]]:
    schema = source.schema
    yield "format", source.table.describe()
    if schema.clock is None:
        yield "time", "none; records are numbered (--time names a column)"
    else:
        names = _listed(schema.named(schema.clock.places))
        yield "time", f"{names}: {schema.clock.describe()}; {_zone(tz)}"
    yield "values", f"{_listed(schema.channels)}" + (f" ({len(schema.values)})" if schema.values[1:] else "")
    if schema.key:
        yield "key", f"{_listed(schema.named(schema.key))} names the series"
    if schema.label:
        label, *others = schema.named(schema.label)
        unused = f"; {_listed(others)} kept aside too" if others else ""
        yield "label", f"{label}, seen only by this report{unused}"
    if schema.left_out:
        yield "left out", _listed([f"{name} ({why})" for name, why in schema.left_out.items()])
    for note in schema.notes:
        yield "note", note


def _zone(tz: str | None) -> str:
    return f"{tz} where no offset is written" if tz else "UTC where no offset is written (--tz)"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(map(_cut, names[:_MOST_NAMES])) + more


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..."


def found_dict(sources: Sequence[FileSource], *, each: bool, tz: str | None) -> dict[str, Any]:
    """The same for machines."""
    first = sources[0]
    schema, clock = first.schema, first.schema.clock
    return {
        "files": [source.title for source in sources],
        "each_file_a_series": each,
        "format": first.table.describe(),
        "time": None if clock is None else list(schema.named(clock.places)),
        "time_format": None if clock is None else clock.describe(),
        "tz": tz or "UTC",
        "values": list(schema.channels),
        "key": list(schema.named(schema.key)),
        "label": list(schema.named(schema.label)),
        "left_out": dict(schema.left_out),
        "notes": list(schema.notes),
    }


def rejects_text(rejects: Rejects, path: str | None) -> str:
    """What could not be read; empty where everything could."""
    parts = [count(rejects.rows, "row") + " left out"] if rejects.rows else []
    cells = sum(rejects.cells.values())
    parts += [count(cells, "cell") + " taken as missing"] if cells else []
    if not parts:
        return ""
    where = f"all are in {printable(path)}" if path else "--rejects FILE lists all"
    lines = [f"could not be read: {', '.join(parts)}; {where}", *(f"  {reject}" for reject in rejects.first)]
    return "\n".join(printable(line) for line in lines)


def rejects_dict(rejects: Rejects) -> Mapping[str, Any]:
    """The same for machines."""
    return {
        "rows": rejects.rows,
        "cells": dict(rejects.cells),
        "first": [str(reject) for reject in rejects.first],
    }
