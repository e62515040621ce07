"""``streamrnn replay``: arguments to a job, and what came of it to the terminal."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamrnn import __version__
from streamrnn.connectors.base import STANDARD
from streamrnn.connectors.sinks import sink_class
from streamrnn.connectors.text import printable
from streamrnn.errors import SettingsError
from streamrnn.pipelines.arguments import check_page, check_picture, check_written, given_options
from streamrnn.pipelines.found import rejects_dict, rejects_text
from streamrnn.pipelines.progress import Progress

if TYPE_CHECKING:
    from streamrnn.pipelines.job import Job, Outcome

__all__ = ["run"]

_FINE, _ANOMALY, _INTERRUPTED = 0, 1, 130
_MOST_AHEAD = 1000
_FORECASTS_SHOWN = 3
_FILES = ("output", "plot", "report", "rejects", "settings", "save_state", "load_state")


def run(arguments: argparse.Namespace) -> int:
    """Replay what the arguments say, print what was found, and return the exit code.

    Raises
    ------
    StreamrnnError
        Where something is wrong with the arguments or the data.
    OSError
        Where the output cannot be written.
    """
    record, options, fleet = given_options(arguments)
    paths = _paths(arguments)
    _check_files(arguments, paths)
    progress = Progress(sys.stderr)
    progress.say("loading (the first run compiles for some seconds)")
    try:
        from streamrnn.pipelines.job import Job, carry_out

        same = (
            "arrange",
            "output",
            "long",
            "plot",
            "report",
            "rejects",
            "save_state",
            "load_state",
            "offline",
        )
        job = Job(
            paths=paths,
            record=record,
            options=options,
            fleet=fleet,
            forecast=arguments.forecast or 0,
            command=_command(arguments, paths),
            **{name: getattr(arguments, name) for name in same},
        )
        outcome = carry_out(job, progress, lambda found: _tell(arguments, f"{found}\n"))
    finally:
        progress.clear()
    return _report(arguments, job, outcome)


def _tell(arguments: argparse.Namespace, text: str) -> None:
    """Print for people: where rows go to stdout to stderr, and nothing beside JSON."""
    if not arguments.json:
        print(text, file=sys.stderr if arguments.output == STANDARD else sys.stdout, flush=True)


def _paths(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The files to read; none for the demonstration."""
    files: list[str] = arguments.files
    if arguments.demo:
        if files:
            raise SettingsError(f"--demo brings its own series; leave out {files[0]!r} or --demo")
    elif not files:
        raise SettingsError("no file was given; give tables (CSV, Parquet), a folder, - for stdin, or --demo")
    if arguments.forecast is not None and not 1 <= arguments.forecast <= _MOST_AHEAD:
        raise SettingsError(
            f"--forecast is {arguments.forecast}; give a number of records from 1 to {_MOST_AHEAD}"
        )
    return tuple(files)


def _command(arguments: argparse.Namespace, paths: Sequence[str]) -> tuple[str, ...]:
    """The arguments as they were given, files without their folders, which are nobody else's business."""
    files = {
        path: Path(path).name for path in (*paths, *(getattr(arguments, name) for name in _FILES)) if path
    }
    shown = []
    for word in arguments.argv:
        option, equals, value = word.partition("=")
        shown.append(f"{option}={files[value]}" if equals and value in files else files.get(word, word))
    return tuple(shown)


def _check_files(arguments: argparse.Namespace, paths: Sequence[str]) -> None:
    """Refuse files that would overwrite each other, before anything is opened."""
    output, plot = arguments.output, arguments.plot
    if output == STANDARD and arguments.json:
        raise SettingsError("-o - and --json both want stdout; write the rows to a file")
    check_picture(plot)
    check_page(arguments.report)
    if output is not None:
        sink_class(output)
    names = {
        "-o": output,
        "--plot": plot,
        "--report": arguments.report,
        "--rejects": arguments.rejects,
        "--save-state": arguments.save_state,
    }
    check_written(names, (*paths, arguments.settings))


def _report(arguments: argparse.Namespace, job: Job, outcome: Outcome) -> int:
    """Print what was found and return the exit code."""
    if not outcome.finished:
        records = f"{outcome.summary.total.records:,} records"
        where = "" if job.output in (None, STANDARD) else f"; they are scored and in {printable(job.output)}"
        print(f"streamrnn: interrupted after {records}{where}", file=sys.stderr)
        return _INTERRUPTED
    if arguments.json:
        print(json.dumps(_json(outcome), indent=2, allow_nan=False))
    _tell(arguments, _text(job, outcome))
    sys.stdout.flush()
    return _ANOMALY if arguments.fail_on_anomaly and outcome.summary.total.detections else _FINE


def _json(outcome: Outcome) -> dict[str, Any]:
    summary = outcome.summary
    found = {"streamrnn": __version__, **summary.to_dict(), "rejects": rejects_dict(outcome.rejects)}
    if outcome.ahead:
        found["forecast"] = [ahead.to_dict(summary.settings.channels) for ahead in outcome.ahead]
    if outcome.hindsight:
        found["hindsight"] = outcome.hindsight
    if outcome.episodes:
        found["episodes"] = [verdict.to_dict(summary.partition_names) for verdict in outcome.episodes]
    return found


def _text(job: Job, outcome: Outcome) -> str:
    from streamrnn.pipelines.ahead import ahead_text
    from streamrnn.pipelines.demo import verdicts_text
    from streamrnn.pipelines.looking_back import hindsight_text
    from streamrnn.pipelines.text import summary_text

    parts = [summary_text(outcome.summary)]
    if outcome.hindsight:
        names = [printable(name) for name in outcome.summary.settings.channels]
        parts.append(hindsight_text(outcome.hindsight, names))
    if outcome.episodes:
        parts.append(verdicts_text(outcome.episodes))
    parts += [
        ahead_text(ahead, outcome.summary.settings.channels) for ahead in outcome.ahead[:_FORECASTS_SHOWN]
    ]
    if unread := rejects_text(outcome.rejects, job.rejects):
        parts.append(unread)
    written = [
        ("scored rows", job.output),
        ("picture", job.plot),
        ("report", job.report),
        ("state", job.save_state),
    ]
    lines = [f"{what}: {printable(path)}" for what, path in written if path not in (None, STANDARD)]
    if not job.paths and job.plot is None and job.report is None:
        lines.append("to see it: streamrnn replay --demo --plot demo.png, or --report demo.html")
    return "\n\n".join([*parts, *(["\n".join(lines)] if lines else [])])
