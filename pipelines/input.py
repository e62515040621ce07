"""The files of a run as one source, and what was found out about them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from streamrnn.connectors.base import Source
from streamrnn.connectors.file import FileSource
from streamrnn.connectors.files import Files, SortedSource, in_order, listed
from streamrnn.connectors.options import RecordOptions
from streamrnn.connectors.rejects import Rejects
from streamrnn.errors import SettingsError
from streamrnn.pipelines.found import found_dict, found_text

__all__ = ["Input"]


class Input:
    """What a run reads.

    Parameters
    ----------
    paths : sequence of str
        Files and folders; ``"-"`` is stdin.
    record : RecordOptions
    rejects : Rejects
    arrange : str
        Several files: ``"one"``, ``"each"`` or ``"auto"``.

    Attributes
    ----------
    source : Source
    first : FileSource
        The first file; the others are like it.
    title : str
        What people call the input, safe to show.

    Raises
    ------
    DataError
        Where a file cannot be read, or has other columns than the first.
    SettingsError
        Where the options do not fit.
    """

    def __init__(
        self, paths: Sequence[str], record: RecordOptions, rejects: Rejects, *, arrange: str = "auto"
    ) -> None:
        self._tz = record.tz
        files: list[FileSource] = []
        try:
            names = listed(paths)
            for path in names:
                files.append(FileSource(path, record, rejects))
                if len(names) > 1:
                    files[-1].pause()
            _watch_the_same(files, names, record, rejects)
            ordered, each = in_order(files)
            self._each = each if arrange == "auto" else arrange == "each"
            self._files = ordered if arrange == "auto" else files
            if self._each and files[0].schema.key and files[1:]:
                raise SettingsError("--files each and a key column both say what a series is; add --key none")
            self.first = self._files[0]
            several = len(files) > 1
            self.source: Source = Files(self._files, each=self._each) if several else self.first
            if record.sort:
                self.source = SortedSource(self.source)
        except BaseException:
            for file in files:
                file.close()
            raise
        more = f" and {len(files) - 1} more" if several else ""
        self.title = f"{self.first.title}{more}"

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the value columns."""
        return self.first.schema.channels

    @property
    def is_one_stream(self) -> bool:
        """Whether all files are parts of one stream, not each a series of its own."""
        return not self._each

    @property
    def share_read(self) -> float | None:
        """How much is read, 0 to 1; None where that is not known."""
        shares = []
        for file in self._files:
            share = file.share_read
            shares.append(share)
        return None if len(shares) > 1 else shares[0]

    def found_text(self) -> str:
        """What was found out, for people."""
        return found_text(self._files, each=self._each, tz=self._tz)

    def found_dict(self) -> dict[str, Any]:
        """The same for machines."""
        return found_dict(self._files, each=self._each, tz=self._tz)

    def close(self) -> None:
        """Close all files."""
        with suppress(OSError):
            self.source.close()


def _watch_the_same(
    files: list[FileSource], paths: Sequence[str], record: RecordOptions, rejects: Rejects
) -> None:
    """Have all files watch what any of them does: a sensor that rests for a day is still watched."""
    watched = {name for file in files for name in file.schema.channels}
    named = [name for name in files[0].schema.names if name in watched]
    if record.values is not None or len(named) < len(watched):
        return
    for i, (file, path) in enumerate(zip(files, paths, strict=True)):
        roles = {*file.schema.named(file.schema.label), *file.schema.named(file.schema.key)}
        if set(file.schema.channels) != watched and watched <= {*file.schema.names} - roles:
            files[i] = FileSource(path, replace(record, values=tuple(named)), rejects)
            files[i].pause()
