"""The command line. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamrnn import __version__
from streamrnn.errors import DataError, SettingsError, StreamrnnError
from streamrnn.pipelines.options import PICTURES, SETTINGS, make_parser
from streamrnn.settings import Settings

if TYPE_CHECKING:
    from streamrnn.pipelines.job import Job, Outcome

__all__ = ["main"]

_FINE, _ANOMALY, _USAGE, _BAD_DATA, _INTERRUPTED = 0, 1, 2, 3, 130
_STANDARD = "-"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # a replaced stream may not know how
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    parser = make_parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help(sys.stderr)
        return _USAGE
    try:
        return _replay(arguments)
    except StreamrnnError as error:
        _complain(f"error: {error}")
        return _BAD_DATA if isinstance(error, DataError) else _USAGE
    except KeyboardInterrupt:
        _complain("interrupted before the first record")
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough; Python would complain when it flushes the rest at exit.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FINE
    except OSError as error:
        _complain(f"error: cannot write {error.filename or 'to stdout'}: {error.strerror or error}")
        return _USAGE


def _complain(text: str) -> None:
    from streamrnn.connectors.text import printable

    print(f"streamrnn: {printable(text)}", file=sys.stderr)


def _replay(arguments: argparse.Namespace) -> int:
    options = {name: value for name in SETTINGS if (value := getattr(arguments, name)) is not None}
    Settings.from_dict(options)  # whatever is wrong with them is better said before a file is read
    path = _path(arguments)
    _check_files(arguments, path)
    from streamrnn.pipelines.progress import Progress

    progress = Progress(sys.stderr)
    progress.say("loading (the first run compiles for some seconds)")
    try:
        from streamrnn.pipelines.job import Job, carry_out

        job = Job(
            path=path,
            time=arguments.time,
            values=arguments.values,
            options=options,
            output=arguments.output,
            plot=arguments.plot,
        )
        outcome = carry_out(job, progress)
    finally:
        progress.clear()
    return _report(arguments, job, outcome)


def _path(arguments: argparse.Namespace) -> str | None:
    """The one file to read; None for the demonstration."""
    files: list[str] = arguments.files
    if arguments.demo:
        if files:
            raise SettingsError(f"--demo brings its own series; leave out {files[0]!r} or --demo")
        return None
    if not files:
        raise SettingsError("no file was given; give a CSV file, - for stdin, or --demo")
    if len(files) > 1:
        given = ", ".join(map(repr, files))
        raise SettingsError(f"replay reads one file for now; run it for each of {given}")
    return files[0]


def _check_files(arguments: argparse.Namespace, path: str | None) -> None:
    """Refuse files that would overwrite each other, before anything is opened."""
    output, plot = arguments.output, arguments.plot
    if output == _STANDARD and arguments.json:
        raise SettingsError("-o - and --json both want stdout; write the rows to a file")
    if plot is not None and Path(plot).suffix.lower() not in PICTURES:
        raise SettingsError(f"--plot is {plot!r}; give a name that ends in {', '.join(PICTURES)}")
    written = [(name, p) for name, p in (("-o", output), ("--plot", plot)) if p not in (None, _STANDARD)]
    for name, file in written:
        if path not in (None, _STANDARD) and _same(file, str(path)):
            raise SettingsError(f"{name} is {file!r}, the file that is read; give another name")
        if not Path(file).absolute().parent.is_dir():
            raise SettingsError(f"{name} is {file!r}, in a folder that does not exist; make it first")
    if len(written) > 1 and _same(output, plot):
        raise SettingsError(f"-o and --plot are both {output!r}; give two names")


def _same(a: str, b: str) -> bool:
    if Path(a).exists() and Path(b).exists():
        return Path(a).samefile(b)
    return Path(a).resolve() == Path(b).resolve()


def _report(arguments: argparse.Namespace, job: Job, outcome: Outcome) -> int:
    """Print what was found and return the exit code."""
    if not outcome.finished:
        records = f"{outcome.summary.records:,} records"
        where = "" if job.output in (None, _STANDARD) else f"; they are scored and in {job.output}"
        _complain(f"interrupted after {records}{where}")
        return _INTERRUPTED
    if arguments.json:
        print(json.dumps(_json(outcome), indent=2, allow_nan=False))
    else:
        print(_text(job, outcome), file=sys.stderr if job.output == _STANDARD else sys.stdout)
    sys.stdout.flush()
    return _ANOMALY if arguments.fail_on_anomaly and outcome.summary.detections else _FINE


def _json(outcome: Outcome) -> dict[str, Any]:
    found = {"streamrnn": __version__, **outcome.summary.to_dict()}
    if outcome.episodes:
        found["episodes"] = [verdict.to_dict(outcome.summary.source) for verdict in outcome.episodes]
    return found


def _text(job: Job, outcome: Outcome) -> str:
    from streamrnn.connectors.text import printable
    from streamrnn.pipelines.demo import verdicts_text
    from streamrnn.pipelines.text import summary_text

    parts = [summary_text(outcome.summary)]
    if outcome.episodes:
        parts.append(verdicts_text(outcome.episodes))
    written = [("scored rows", job.output), ("picture", job.plot)]
    lines = [f"{what}: {printable(path)}" for what, path in written if path not in (None, _STANDARD)]
    if job.path is None and job.plot is None:
        lines.append("to see it: streamrnn replay --demo --plot demo.png")
    return "\n\n".join([*parts, *(["\n".join(lines)] if lines else [])])
