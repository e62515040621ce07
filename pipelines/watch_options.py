"""The options of ``streamrnn watch``."""

from __future__ import annotations

import argparse

__all__ = ["add_watch"]


def add_watch(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    watch = commands.add_parser(
        "watch",
        help="look at a pipeline that runs",
        description="Open the live page of a pipeline that runs ([serve] page = true), or say its address "
        "where there is no browser. With --plain look at it in the terminal, until it ends or Ctrl-C.",
        epilog="exit codes: 0 fine; 2 wrong usage or settings, or nothing answers; 130 interrupted",
        allow_abbrev=False,
    )
    watch.add_argument("file", metavar="PIPELINE.toml", help="the pipeline file")
    watch.add_argument("--plain", action="store_true", help="print values, surprise and the newest events")
    watch.add_argument(
        "--series", metavar="NAME", help="which series to print (default: the most surprising of late)"
    )
