"""``streamrnn compare``: networks side by side on one input, and how they did to the terminal."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamrnn import __version__
from streamrnn.connectors.base import STANDARD
from streamrnn.connectors.rejects import Rejects
from streamrnn.connectors.sinks import open_sink, sink_class
from streamrnn.connectors.text import printable
from streamrnn.errors import SettingsError
from streamrnn.pipelines.arguments import check_picture, check_written, given_options
from streamrnn.pipelines.found import rejects_dict, rejects_text
from streamrnn.pipelines.progress import Progress

if TYPE_CHECKING:
    from streamrnn.connectors.options import RecordOptions
    from streamrnn.pipelines.compare import Comparison

__all__ = ["run"]

_FINE, _INTERRUPTED = 0, 130


def run(arguments: argparse.Namespace) -> int:
    """Compare what the arguments say, print how it went, and return the exit code.

    Raises
    ------
    StreamrnnError
        Where something is wrong with the arguments or the data.
    OSError
        Where a file cannot be written.
    """
    record, options, _ = given_options(arguments)
    paths = _paths(arguments)
    rejects = Rejects(arguments.rejects)
    progress = Progress(sys.stderr)
    progress.say("loading (the first run compiles for some seconds)")
    try:
        found = _compared(arguments, paths, record, options, rejects, progress)
    finally:
        progress.clear()
        rejects.close()
    if found is None:
        print("streamrnn: interrupted; nothing is compared", file=sys.stderr)
        return _INTERRUPTED
    comparison, read = found
    _report(arguments, comparison, read, rejects)
    return _FINE


def _paths(arguments: argparse.Namespace) -> tuple[str, ...]:
    """What to read, and a check of what is to be written, before anything is opened."""
    files, output, plot = arguments.files, arguments.output, arguments.plot
    if arguments.demo and files:
        raise SettingsError(f"--demo brings its own series; leave out {files[0]!r} or --demo")
    if not arguments.demo and not files:
        raise SettingsError("no file was given; give tables (CSV, Parquet), a folder, - for stdin, or --demo")
    if output == STANDARD and arguments.json:
        raise SettingsError("-o - and --json both want stdout; write the rows to a file")
    check_picture(plot)
    if output is not None:
        sink_class(output)
    check_written(
        {"-o": output, "--plot": plot, "--rejects": arguments.rejects}, (*files, arguments.settings)
    )
    if not arguments.demo:
        return tuple(files)
    from streamrnn.pipelines.demo import demo_file

    return (str(demo_file()),)


def _compared(
    arguments: argparse.Namespace,
    paths: tuple[str, ...],
    record: RecordOptions,
    options: dict[str, Any],
    rejects: Rejects,
    progress: Progress,
) -> tuple[Comparison, dict[str, Any]] | None:
    """The comparison, and how its input was read."""
    from streamrnn.pipelines.compare import compare, contenders
    from streamrnn.pipelines.input import Input

    contenders(arguments.contenders, options)  # a mistake is better said before a file is read
    given = Input(paths, record, rejects, arrange=arguments.arrange)
    try:
        progress.clear()
        _tell(arguments, f"{given.found_text()}\n")
        chosen = contenders(arguments.contenders, {**options, "channels": given.channels})
        comparison = compare(given, chosen, progress)
        return None if comparison is None else (comparison, given.found_dict())
    finally:
        given.close()


def _tell(arguments: argparse.Namespace, text: str) -> None:
    """Print for people: where rows go to stdout to stderr, and nothing beside JSON."""
    if not arguments.json:
        print(text, file=sys.stderr if arguments.output == STANDARD else sys.stdout, flush=True)


def _report(
    arguments: argparse.Namespace, comparison: Comparison, read: dict[str, Any], rejects: Rejects
) -> None:
    from streamrnn.pipelines.compare_text import comparison_rows, comparison_text

    if arguments.output is not None:
        sink = open_sink(arguments.output)
        try:
            sink.write(comparison_rows(comparison))
        finally:
            sink.close()
    if arguments.plot is not None:
        from streamrnn.pipelines import plot
        from streamrnn.pipelines.compare_plot import draw_comparison

        plot.save(draw_comparison(comparison), Path(arguments.plot))
    if arguments.json:
        print(json.dumps(_json(comparison, read, rejects), indent=2, allow_nan=False))
    parts: list[str] = [comparison_text(comparison)]
    if unread := rejects_text(rejects, arguments.rejects):
        parts.append(unread)
    written = [("rows", arguments.output), ("picture", arguments.plot)]
    named = [f"{what}: {printable(path)}" for what, path in written if path not in (None, STANDARD)]
    _tell(arguments, "\n\n".join([*parts, *(["\n".join(named)] if named else [])]))
    sys.stdout.flush()


def _json(comparison: Comparison, read: dict[str, Any], rejects: Rejects) -> dict[str, Any]:
    from streamrnn.pipelines.summary import for_json

    return {
        "streamrnn": __version__,
        "comparison": for_json(comparison.to_dict()),
        "input": read,
        "rejects": rejects_dict(rejects),
    }
