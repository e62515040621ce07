"""Which sink the name of a file asks for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

from streamrnn.connectors.base import STANDARD, Sink
from streamrnn.errors import SettingsError

__all__ = ["SINKS", "open_sink", "sink_class"]

_CSV, _JSONL, _PARQUET = "csv_sink.CsvSink", "jsonl.JsonlSink", "parquet.ParquetSink"
# Module and class by suffix; a module is imported when a file asks for it.
SINKS = {
    ".csv": _CSV,
    ".csv.gz": _CSV,
    ".jsonl": _JSONL,
    ".jsonl.gz": _JSONL,
    ".ndjson": _JSONL,
    ".parquet": _PARQUET,
    ".pq": _PARQUET,
}


def sink_class(path: str | Path) -> Callable[[str | Path], Sink]:
    """The class of the sink that a file name asks for; opens nothing.

    ``-`` (stdout), devices and named pipes are CSV where they have no suffix.

    Raises
    ------
    SettingsError
        Where the suffix is not one of ``SINKS``.

    Examples
    --------
    >>> sink_class("scored.csv.gz").__name__
    'CsvSink'
    """
    name = str(path).lower()
    found = [home for suffix, home in SINKS.items() if name.endswith(suffix)]
    if not found and (name == STANDARD or _is_special(Path(path))):
        found = [_CSV]
    if not found:
        raise SettingsError(f"cannot tell the format of {str(path)!r}; end its name in {', '.join(SINKS)}")
    module, _, class_name = found[0].partition(".")
    sink = getattr(import_module(f"streamrnn.connectors.{module}"), class_name)
    return cast(Callable[[str | Path], Sink], sink)


def open_sink(path: str | Path) -> Sink:
    r"""A sink for a file, by its suffix.

    Raises
    ------
    SettingsError
        Where the suffix is unknown, the file cannot be opened for writing, or
        a library that its format needs is not installed.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "scored.jsonl"
    >>> sink = open_sink(file)
    >>> sink.write({"flow": [100.59]})
    >>> sink.close()
    >>> file.read_text()
    '{"flow":100.59}\n'
    """
    return sink_class(path)(path)


def _is_special(path: Path) -> bool:
    """Whether a name without a suffix is something else than a file to be made or replaced."""
    return not path.suffix and path.exists() and not path.is_file()
