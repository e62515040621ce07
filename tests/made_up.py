"""Small made-up tables, each with what is to be found in it; their traits are those of real files."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import pytest

from streamrnn.connectors.file import FileSource
from streamrnn.connectors.options import RecordOptions
from streamrnn.connectors.rejects import Rejects
from streamrnn.kernels.plan import NO_TIME

START = datetime(2024, 1, 29, 22, 0)  # 29 is no month: the order of day and month is plain
N = 40


def wave(base=20.0, n=N, decimal="."):
    """Numbers that neither rest nor count."""
    return [f"{base + i * i % 13 / 10:.1f}".replace(".", decimal) for i in range(n)]


def stamps(form="%Y-%m-%d %H:%M:%S", n=N, step_s=600, start=START):
    return [(start + timedelta(seconds=step_s * i)).strftime(form) for i in range(n)]


def table(*columns, sep=",", end="\n"):
    return end.join(sep.join(row) for row in zip(*columns, strict=True)) + end


def quoted(cells):
    return [f'"{cell}"' for cell in cells]


@dataclass(frozen=True)
class Case:
    """A table and what is found: format, columns by role, the first record; notes by what they hold."""

    name: str
    text: str | bytes
    time: str | None = "time"
    reading: str = "ISO 8601"
    values: str = "v"
    first: tuple[float | None, ...] = (20.0,)
    at: str | None = "2024-01-29T22:00:00"
    format: str = "UTF-8, commas, header in line 1"
    key: str = ""
    keys: tuple[str, ...] = ("",)
    label: str = ""
    labels: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    n: int = N
    rejected: int = 0
    cells: int = 0


ISO, V = stamps(), wave()
DE = stamps("%d.%m.%Y %H:%M")
COMMA = wave(decimal=",")
EPOCH = 1_706_565_600  # START, UTC
REST = "always {} in the rows looked at".format


def check(case, path, **options):
    """Read a case as a file, and compare all that was found and the first record."""
    path.write_bytes(case.text if isinstance(case.text, bytes) else case.text.encode())
    rejects = Rejects()
    source = FileSource(path, RecordOptions(**options), rejects)
    batches = list(iter(lambda: source.poll(0.0), None))
    source.close()
    schema = source.schema
    clock = schema.clock
    assert source.table.describe() == case.format
    assert (None if clock is None else ", ".join(schema.named(clock.places))) == case.time
    assert clock is None or clock.describe() == case.reading
    assert ", ".join(schema.channels) == case.values
    assert ", ".join(schema.named(schema.key)) == case.key
    assert ", ".join(schema.named(schema.label)) == case.label
    assert schema.left_out == case.left_out
    assert len(schema.notes) == len(case.notes), schema.notes
    for note, part in zip(schema.notes, case.notes, strict=True):
        assert part in note
    assert sum(map(len, batches)) == case.n
    assert (rejects.rows, sum(rejects.cells.values())) == (case.rejected, case.cells), rejects.first
    time, values = int(batches[0].times[0]), batches[0].values[0].tolist()
    assert (None if time == NO_TIME else np.datetime64(time, "ns")) == (
        None if case.at is None else np.datetime64(case.at, "ns")
    )
    assert values == pytest.approx([float("nan") if x is None else x for x in case.first], nan_ok=True)
    assert tuple(source.keys) == case.keys
    assert sum(int(b.labels.sum()) for b in batches if b.labels is not None) == case.labels
