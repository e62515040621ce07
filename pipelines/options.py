"""The options of the command line, as argparse knows them."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from typing import Any

from streamrnn import __version__
from streamrnn.networks import CELLS
from streamrnn.pipelines.alert_options import add_alerts
from streamrnn.pipelines.simulate_options import add_simulate
from streamrnn.pipelines.watch_options import add_watch
from streamrnn.presets import PRESETS

__all__ = ["FILES", "FLEET", "PAGES", "PICTURES", "RECORD", "SETTINGS", "make_parser"]

PICTURES = (".png", ".svg", ".pdf")
PAGES = (".html", ".htm")
SETTINGS = (
    *("false_alarms", "horizons", "preset", "networks", "hidden", "season"),
    *("seed", "prior", "coverage", "learn_anomalies"),
)
SHARED = tuple(
    name for name in SETTINGS if name not in ("preset", "networks", "prior")
)  # by all of a comparison
FITTED = ("horizons", "preset", "networks", "hidden", "season", "seed")  # what a prior depends on
RECORD = (
    *("time", "time_format", "tz", "values", "key", "label", "missing"),
    *("delimiter", "decimal", "encoding", "sort"),
)
FLEET = ("budget", "ttl", "threads")
FILES = ("auto", "one", "each")
_EXIT_CODES = (
    "exit codes: 0 fine; 1 an anomaly was found, only with --fail-on-anomaly; 2 wrong usage or settings; "
    "3 data that cannot be read; 130 interrupted"
)
_EXAMPLE = "example: streamrnn replay flow.csv -o scored.csv --plot scored.png; "


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
        description="Score tables record by record, as if they came live, and say what was found. "
        "How a table is written and what its columns mean is found out and said; each can be given.",
        epilog=_EXAMPLE + _EXIT_CODES,
        allow_abbrev=False,
    )
    _add_input(replay)
    replay.add_argument("--demo", action="store_true", help="replay a real series with four known episodes")
    _add_record(replay.add_argument_group("what the table is (default: found out)"))
    _add_output(replay.add_argument_group("what to make of it"))
    _add_settings(replay.add_argument_group("settings of the detector"))
    add_fleet(replay.add_argument_group("many series"))
    _add_evaluate(commands)
    _add_compare(commands)
    run = commands.add_parser(
        "run",
        help="run a pipeline as a daemon: from a source to outputs, safe under kill -9",
        description="Run a pipeline until its source ends or SIGTERM comes. SIGHUP reads [detect] again; "
        "a second SIGTERM leaves at once. After any end, however sudden, it goes on where it was.",
        epilog=_EXIT_CODES,
        allow_abbrev=False,
    )
    run.add_argument("file", metavar="PIPELINE.toml", help="the pipeline file")
    run.add_argument(
        "--dry-run", action="store_true", help="read and score, but write nothing and keep no state"
    )
    init = commands.add_parser(
        "init",
        help="write a pipeline file to begin with",
        description="Write a commented pipeline file, and beside it its JSON Schema for editors.",
        allow_abbrev=False,
    )
    init.add_argument(
        "file", nargs="?", default="pipeline.toml", metavar="PIPELINE.toml", help="default: %(default)s"
    )
    init.add_argument("--kafka", action="store_true", help="read from Kafka; without it, follow a file")
    check = commands.add_parser(
        "check",
        help="see whether a pipeline file is right and everything that it names can be reached",
        description="Check a pipeline file: its settings, its source, its outputs. Nothing is written.",
        epilog=_EXIT_CODES,
        allow_abbrev=False,
    )
    check.add_argument("file", metavar="PIPELINE.toml", help="the pipeline file")
    _add_capacity(commands)
    _add_prior(commands)
    add_alerts(commands)
    add_simulate(commands)
    add_watch(commands)
    return parser


def _add_evaluate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    evaluate = commands.add_parser(
        "evaluate",
        help="score labelled series, and say how good what was found is",
        description="Score tables as replay does, and say how good what was found is by their labels, "
        "which the model never sees: precision, recall and F1 of records with their false alarms, windows "
        "found and delay, VUS-PR and AUC-PR of the scores, calibration of the p-values. Scores are kept: "
        "memory grows by some 75 bytes a record.",
        epilog=_EXIT_CODES,
        allow_abbrev=False,
    )
    _add_input(evaluate)
    _add_record(evaluate.add_argument_group("what the table is (default: found out)"))
    output = evaluate.add_argument_group("what to make of it")
    output.add_argument(
        "--plot", metavar="FILE", help=f"draw calibration, precision and recall ({', '.join(PICTURES)})"
    )
    output.add_argument(
        "--json",
        metavar="FILE.json",
        nargs="?",
        const="-",
        help="write everything as one JSON object; without a name to stdout, in place of the text",
    )
    _add_settings(evaluate.add_argument_group("settings of the detector"))
    add_fleet(evaluate.add_argument_group("many series"))


def _add_capacity(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    capacity = commands.add_parser(
        "capacity",
        help="say what so many series will need, and whether this machine has it",
        description="Say how much memory so many series take, by the formula, and how much processor time, "
        "by scoring some of them here for some seconds; and whether this machine has as much.",
        epilog=_EXIT_CODES,
        allow_abbrev=False,
    )
    add = capacity.add_argument
    add("--series", metavar="N", type=int, required=True, help="how many series")
    add(
        "--rate",
        metavar="N/UNIT",
        default="1/s",
        help="records of each: 1/s, 6/min, 4/h (default: %(default)s)",
    )
    add("--channels", metavar="N", type=int, default=1, help="values of a record (default: %(default)s)")
    add("--budget", metavar="SIZE", help="memory for the states of series, such as 2GB (default: no bound)")
    add("--json", action="store_true", help="print one JSON object")
    _add_settings(capacity.add_argument_group("settings of the detector"))


def _add_prior(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    prior = commands.add_parser(
        "prior",
        help="pool what series have in common, for others to begin from",
        description="Priors: files that new series begin from instead of nothing (--prior).",
        allow_abbrev=False,
    )
    verbs = prior.add_subparsers(dest="verb", metavar="VERB", title="verbs", required=True)
    fit = verbs.add_parser(
        "fit",
        help="fit one on recorded series",
        description="Pool the networks' weights and other numbers without a unit of recorded series into a "
        "file. All their records are held in memory: some 40 bytes each, and 8 a value. Each series of a "
        "prior needs 200 records at least; ten series of 2,000 are a good number.",
        epilog=_EXIT_CODES,
        allow_abbrev=False,
    )
    _add_input(fit)
    fit.add_argument("-o", "--output", metavar="FILE", default="prior.bin", help="default: %(default)s")
    fit.add_argument("--json", action="store_true", help="print one JSON object of what was fitted")
    _add_record(fit.add_argument_group("what the table is (default: found out)"))
    _add_settings(fit.add_argument_group("settings of those that will begin from it"), FITTED)


def _add_compare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    compare = commands.add_parser(
        "compare",
        help="run networks side by side on a series: error, cost, memory, detection",
        description="Let several networks, and simple forecasts beside them, score and learn the same "
        "records in one pass, and say how well each forecast, what it cost, and with labels what it found.",
        epilog=_EXIT_CODES,
        allow_abbrev=False,
    )
    _add_input(compare)
    compare.add_argument("--demo", action="store_true", help="compare on the real series of replay --demo")
    _add_record(compare.add_argument_group("what the table is (default: found out)"))
    output = compare.add_argument_group("what to make of it")
    output.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="write a row for each contender: .csv, .jsonl, .parquet; - is stdout",
    )
    output.add_argument(
        "--plot", metavar="FILE", help=f"draw errors beside what they cost ({', '.join(PICTURES)})"
    )
    output.add_argument("--json", action="store_true", help="print everything as one JSON object")
    settings = compare.add_argument_group("the contenders, and settings of all")
    settings.add_argument(
        "--networks",
        dest="contenders",
        metavar="lstm,gru:16",
        type=_names,
        default=(),
        help="a contender each: a preset, or networks as replay has them, several of one with a plus between "
        "them (default: one of each cell, and every preset)",
    )
    _add_settings(settings, SHARED)


def _add_input(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="CSV (also .gz) or Parquet files, folders of them, or - for stdin",
    )
    command.add_argument(
        "--settings",
        metavar="FILE",
        help="a TOML file with tables [record], [model], [detect] and [fleet]; options here win over it",
    )
    command.add_argument(
        "--files",
        dest="arrange",
        choices=FILES,
        default="auto",
        help="several files: one (parts of the same series, in this order), each (a series each) or auto: "
        "one where their times follow each other, else each",
    )


def _add_record(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--time",
        metavar="A,B",
        type=_names,
        help="the column of times, or those that make one (none: no times)",
    )
    add(
        "--time-format", metavar="FORMAT", help="iso, s, ms, us, ns, excel, or one like '%%d/%%m/%%Y %%H:%%M'"
    )
    add("--tz", metavar="ZONE", help="zone of times without an offset, such as Europe/Rome (default: UTC)")
    add("--values", metavar="A,B", type=_names, help="the columns of values (default: all other numbers)")
    add(
        "--key", metavar="A,B", type=_names, help="the columns that name a record's series (none: one series)"
    )
    add(
        "--label",
        metavar="A,B",
        type=_names,
        help="columns that mark known anomalies; only the report sees them",
    )
    add(
        "--missing",
        metavar="A,B",
        type=_names,
        action="extend",
        help='what else means "no value", such as --missing -200',
    )
    add("--delimiter", metavar="MARK", help="what separates cells: a character, tab or space")
    add("--decimal", metavar="MARK", choices=(".", ","), help="the decimal mark, a point or a comma")
    add("--encoding", metavar="NAME", help="such as utf-8, cp1252 or utf-16")
    add(
        "--sort",
        action="store_true",
        default=None,
        help="put rows in the order of their times first, in memory",
    )
    add("--rejects", metavar="FILE", help="write what cannot be read, with line and reason")


def _add_output(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "-o",
        "--output",
        metavar="FILE",
        help="write every row with its scores: .csv, .jsonl, .parquet; - is stdout",
    )
    add("--long", action="store_true", help="write one row for each channel of a record")
    add("--plot", metavar="FILE", help=f"draw a picture ({', '.join(PICTURES)})")
    add("--report", metavar="FILE.html", help="write a page to look at, complete in one file (extra: web)")
    add("--json", action="store_true", help="print the summary as one JSON object")
    add("--forecast", metavar="N", type=int, help="append a forecast of the N records after the last")
    add(
        "--offline",
        action="store_true",
        help="read each series back from its end, too: columns not_causal_... that look into the future",
    )
    add("--save-state", metavar="FILE", help="keep what was learned, to go on from it")
    add("--load-state", metavar="FILE", help="go on from a state that was saved")
    add("--fail-on-anomaly", action="store_true", help="exit with 1 if any record has is_anomaly")


def _add_settings(group: argparse._ArgumentGroup, names: Sequence[str] = SETTINGS) -> None:
    def add(option: str, **what: Any) -> None:
        if option.removeprefix("--").replace("-", "_") in names:
            group.add_argument(option, **what)

    add(
        "--false-alarms",
        metavar="N",
        help="how many you accept: alerts in the series' own time (1/week, 3/day; the default is 1/week) "
        "or the share of normal records (1e-4; the default without times is 1e-3)",
    )
    add("--horizons", metavar="1,6", type=_numbers, help="how many records ahead to forecast")
    add(
        "--preset",
        choices=PRESETS,
        help="networks for a purpose; forecast: the best forecasts (default: default)",
    )
    add(
        "--networks",
        metavar="lstm,gru",
        type=_names,
        help="the networks themselves: cell, cell:units, cell:unitsxlayers or cell:units:training, with "
        f"cells {', '.join(CELLS)}, and ar:24; or none",
    )
    add(
        "--hidden",
        metavar="N",
        type=int,
        help="hidden units of each network that does not say its own (default: 12; 0: linear forecasters)",
    )
    add(
        "--season",
        metavar="RECORDS",
        type=_season,
        help="records of a season; auto looks for one, up to 682 records, off does not (default: auto)",
    )
    add("--seed", metavar="N", type=int, help="seed of the initial weights (default: 0)")
    add(
        "--prior",
        metavar="FILE",
        help="what new series begin from, of streamrnn prior fit with the same settings (default: nothing)",
    )
    add("--coverage", metavar="SHARE", type=float, help="share of values in intervals (default: .95)")
    add(
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


def _season(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def add_fleet(group: argparse._ArgumentGroup) -> None:
    """Options of ``[fleet]``."""
    add = group.add_argument
    add(
        "--budget",
        metavar="SIZE",
        help="memory for the states of series, such as 2GB; those that do not fit lie on disk meanwhile "
        "(default: all in memory)",
    )
    add(
        "--ttl",
        metavar="TIME",
        help="forget a series that says nothing for so long while others go on, such as 30d (default: never)",
    )
    add("--threads", metavar="N", type=int, help="threads that score (default: 1)")


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no list of whole numbers; give one or several, such as 1,6"
        ) from None
