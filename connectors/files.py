"""Several files as one source: parts of the same series one after the other, or a series each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from streamrnn.connectors.base import STANDARD, Positions, Read, Source, together
from streamrnn.connectors.file import FileSource
from streamrnn.connectors.tables.opening import reading
from streamrnn.connectors.text import printable, shown
from streamrnn.errors import DataError, SettingsError
from streamrnn.kernels.plan import NO_TIME

__all__ = ["Files", "SortedSource", "in_order", "listed"]

_SORTED = "sorted"  # the name under which a sorted source keeps its place
_MOST_NAMES = 12
SUFFIXES = (".csv", ".tsv", ".txt", ".dat", ".parquet", ".pq")


def listed(paths: Sequence[str]) -> list[str]:
    """The files that paths stand for: a folder for all tables in it and below, by name.

    Raises
    ------
    DataError
        Where a folder holds none, or a name is none.
    SettingsError
        Where stdin stands beside other files, or a file is given twice.
    """
    files: list[str] = []
    for path in paths:
        with reading(path):
            files += _tables_in(path) if path != STANDARD and Path(path).is_dir() else [path]
    if STANDARD in files and len(files) > 1:
        raise SettingsError("- (stdin) is read alone; leave out the other files")
    known: set[Path] = set()
    for path in files:
        place = Path(path).resolve()
        if place in known:
            raise SettingsError(f"{printable(path)} is given twice; leave out one of them")
        known.add(place)
    return files


def _tables_in(path: str) -> list[str]:
    folder = Path(path)
    found = sorted(file for file in folder.rglob("*") if _is_table(file, folder))
    if not found:
        names = ", ".join(SUFFIXES)
        raise DataError(f"{printable(path)} is a folder without tables ({names}, each also .gz)")
    return [str(file) for file in found]


def _is_table(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    name = path.name.lower().removesuffix(".gz")
    return not hidden and name.endswith(SUFFIXES) and path.is_file()


def in_order(sources: list[FileSource]) -> tuple[list[FileSource], bool]:
    """Several files in the order to read them, and whether each is a series of its own.

    Files with keys are parts of one stream. Files whose times follow each other
    without overlap are parts too, in the order of their times. All others are
    series of their own: without times nothing says that one continues another.
    """
    if sources[0].schema.key:
        return sources, False
    spans = [source.span for source in sources]
    known = [span for span in spans if span is not None]
    if len(known) < len(spans):
        return sources, True
    order = sorted(range(len(sources)), key=lambda i: known[i])
    follows = all(known[a][1] < known[b][0] for a, b in pairwise(order))
    return ([sources[i] for i in order], False) if follows else (sources, True)


class Files:
    """Files with the same columns, read one after the other.

    Parameters
    ----------
    sources : list of FileSource
        In the order to read them.
    each : bool
        Whether each file is a series of its own, named by its title.

    Raises
    ------
    DataError
        Where one has other columns than the first.
    """

    def __init__(self, sources: list[FileSource], *, each: bool) -> None:
        self._sources, self._each = sources, each
        self._at, self._begun = 0, False
        self.keys: list[str] = []
        self._codes: dict[str, int] = {}
        first = sources[0]
        for source in sources:
            _check_alike(first, source)
            source.pause()
        self.partition_names = tuple(source.name for source in sources)
        self._titles = _told_apart([source.title for source in sources])

    def poll(self, timeout_s: float) -> Read | None:
        """The next records; None after the last file.

        Raises
        ------
        DataError
            Where a file can be read no further.
        """
        while self._at < len(self._sources):
            source = self._sources[self._at]
            if not self._begun:
                source.restart()
                self._begun = True
            read = source.poll(timeout_s)
            if read is not None:
                return self._placed(read, source)
            source.close()
            self._at, self._begun = self._at + 1, False
        return None

    def snapshot(self) -> Positions:
        """Of each file the number of the row to go on with."""
        return {name: row for source in self._sources for name, row in source.snapshot().items()}

    def seek(self, positions: Positions) -> None:
        """Go on at the rows of a snapshot."""
        begun = [i for i, source in enumerate(self._sources) if positions.get(source.name, 0)]
        self._at, self._begun = (begun[-1], True) if begun else (0, False)
        for i, source in enumerate(self._sources):
            source.restart()
            source.seek(positions)
            if i != self._at or not self._begun:
                source.pause()  # or too many are open

    def commit(self, positions: Positions) -> None:
        """Nothing: a file keeps what was read from it."""

    def close(self) -> None:
        """Close all files."""
        for source in self._sources:
            source.close()

    def _placed(self, read: Read, source: FileSource) -> Read:
        """Records with the codes of all files together."""
        names = [self._titles[self._at]] if self._each else source.keys
        for name in names:
            if name not in self._codes:
                self._codes[name] = len(self._codes)
                self.keys.append(name)
        codes = np.array([self._codes[name] for name in names], np.int32)
        first = self._sources[0].schema
        order = [source.schema.channels.index(channel) for channel in first.channels]
        return replace(
            read,
            series=codes[read.series],
            values=np.ascontiguousarray(read.values[:, order]),
            partitions=np.full(len(read), self._at, np.int32),
            columns={name: read.columns[name] for name in first.names},
        )


def _check_alike(first: FileSource, other: FileSource) -> None:
    a, b = first.schema, other.schema
    what = {
        "columns": (set(a.names), set(b.names), "replay files with the same columns together"),
        "value columns": (set(a.channels), set(b.channels), "say which are values with --values"),
        "key columns": (
            set(a.named(a.key)),
            set(b.named(b.key)),
            "say which it is with --key (none: no key)",
        ),
    }
    for name, (here, there, help_) in what.items():
        if here != there:
            more = _names_of(there - here) or "none"
            less = _names_of(here - there) or "none"
            raise DataError(
                f"{other.title} has other {name} than {first.title} (more: {more}; less: {less}); {help_}"
            )


def _names_of(names: set[str]) -> str:
    """Names for a message, not more than it can take."""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(map(shown, sorted(names)[:_MOST_NAMES])) + more


def _told_apart(titles: list[str]) -> list[str]:
    """Titles, numbered where two files have the same."""
    counts: dict[str, int] = {}
    told = []
    for title in titles:
        counts[title] = counts.get(title, 0) + 1
        told.append(title if counts[title] == 1 else f"{title} ({counts[title]})")
    return told


class SortedSource:
    """All records of a source in the order of their times; holds them in memory.

    Records of the same time keep their order; those without a time come last.

    Parameters
    ----------
    source : Source
    batch_rows : int
        Records of one poll.
    """

    def __init__(self, source: Source, batch_rows: int = 16_384) -> None:
        self._source, self._batch_rows = source, batch_rows
        self._all: Read | None = None
        self._at = 0

    @property
    def partition_names(self) -> Sequence[str]:
        """Those of the source."""
        return self._source.partition_names

    @property
    def keys(self) -> Sequence[str]:
        """Those of the source."""
        return self._source.keys

    def poll(self, timeout_s: float) -> Read | None:
        """The next records; the first call reads all of them."""
        if self._all is None:
            reads = []
            while (read := self._source.poll(timeout_s)) is not None:
                reads.append(read)
            if not reads:
                return None
            self._all = _sorted(reads)
        if self._at >= len(self._all):
            return None
        part = slice(self._at, self._at + self._batch_rows)
        self._at += self._batch_rows
        return self._all.some(part)

    def snapshot(self) -> Positions:
        """How many records were polled."""
        return {_SORTED: self._at}

    def seek(self, positions: Positions) -> None:
        """Go on at a record, counted in the order of times."""
        self._at = positions.get(_SORTED, 0)

    def commit(self, positions: Positions) -> None:
        """Nothing: a file keeps what was read from it."""

    def close(self) -> None:
        """Close the source."""
        self._source.close()


def _sorted(reads: list[Read]) -> Read:
    whole = together(reads)
    return whole.some(np.lexsort((whole.times, whole.times == NO_TIME)))
