"""The options of the command line, as argparse knows them."""

from __future__ import annotations

import argparse
import csv

from streamrnn import __version__

__all__ = ["PICTURES", "SETTINGS", "make_parser"]

PICTURES = (".png", ".svg", ".pdf")
SETTINGS = ("false_alarms", "horizons", "networks", "hidden", "seed", "coverage", "learn_anomalies")
_EXIT_CODES = (
    "exit codes: 0 fine; 1 an anomaly was found, only with --fail-on-anomaly; 2 wrong usage or settings; "
    "3 data that cannot be read; 130 interrupted"
)


def make_parser() -> argparse.ArgumentParser:
    """The parser of everything after ``streamrnn``."""
    parser = argparse.ArgumentParser(
        prog="streamrnn",
        description="Anomalies in live sensor streams, found by recurrent networks that learn online.",
        epilog=_EXIT_CODES,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"streamrnn {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    replay = commands.add_parser(
        "replay",
        help="score a recorded series, record by record, and say what was found",
        description="Score a CSV file record by record, as if it came live, and say what was found.",
        epilog="example: streamrnn replay flow.csv -o scored.csv --plot scored.png; " + _EXIT_CODES,
        allow_abbrev=False,
    )
    _add_files(replay)
    _add_settings(replay)
    return parser


def _add_files(replay: argparse.ArgumentParser) -> None:
    replay.add_argument("files", nargs="*", metavar="FILE", help="a CSV file with a header; - is stdin")
    replay.add_argument("--demo", action="store_true", help="replay a real series with four known episodes")
    replay.add_argument(
        "--time",
        metavar="COLUMN",
        help="the column of times, ISO 8601 (default: found; none: no times)",
    )
    replay.add_argument(
        "--values",
        metavar="A,B",
        type=_names,
        help="the columns of values (default: all other numbers)",
    )
    replay.add_argument("-o", "--output", metavar="FILE", help="write every row with its scores; - is stdout")
    replay.add_argument("--plot", metavar="FILE", help=f"draw a picture ({', '.join(PICTURES)})")
    replay.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    replay.add_argument(
        "--fail-on-anomaly", action="store_true", help="exit with 1 if any record has is_anomaly"
    )


def _add_settings(replay: argparse.ArgumentParser) -> None:
    group = replay.add_argument_group("settings of the detector")
    group.add_argument(
        "--false-alarms",
        metavar="N",
        help="how many you accept: alerts in the series' own time (1/week, 3/day; the default is 1/week) "
        "or the share of normal records (1e-4; the default without times is 1e-3)",
    )
    group.add_argument("--horizons", metavar="1,6", type=_numbers, help="how many records ahead to forecast")
    group.add_argument(
        "--networks", metavar="lstm,gru", type=_names, help="cells of the networks (default: lstm)"
    )
    group.add_argument("--hidden", metavar="N", type=int, help="hidden units of each network (default: 12)")
    group.add_argument("--seed", metavar="N", type=int, help="seed of the initial weights (default: 0)")
    group.add_argument(
        "--coverage", metavar="SHARE", type=float, help="share of values in intervals (default: .95)"
    )
    group.add_argument(
        "--learn-anomalies",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="learn from records that alarm, after they are scored (default: yes)",
    )


def _names(text: str) -> tuple[str, ...]:
    """Names between commas; a name that holds one stands in double quotes."""
    names = tuple(next(csv.reader([text], skipinitialspace=True), ()))
    if not names or not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of names; give one or several, such as a,b")
    return names


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no list of whole numbers; give one or several, such as 1,6"
        ) from None
