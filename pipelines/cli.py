"""The command line. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module

from streamrnn.errors import DataError, StreamrnnError
from streamrnn.pipelines.options import make_parser

__all__ = ["main"]

_FINE, _USAGE, _BAD_DATA, _INTERRUPTED = 0, 2, 3, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # a replaced stream may not know how
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    parser = make_parser()
    arguments = parser.parse_args(argv)
    arguments.argv = list(sys.argv[1:] if argv is None else argv)
    if arguments.command is None:
        parser.print_help(sys.stderr)
        return _USAGE
    try:
        return _command(arguments.command)(arguments)
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


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    """What carries a command out, imported when it is asked for."""
    module = import_module(f"streamrnn.pipelines.{name}_command")
    command: Callable[[argparse.Namespace], int] = module.run
    return command


def _complain(text: str) -> None:
    from streamrnn.connectors.text import printable

    print(f"streamrnn: {printable(text)}", file=sys.stderr)
