"""Makes the pages that the code says itself, and the outputs that pages show.

``settings.md`` and ``json.md`` come from docstrings; in the other pages every block of
``sh`` that a block of ``text`` follows is run, and the second becomes what the first
printed. A block of ``toml`` whose first line is a comment is saved as the file that the
comment names. A test fails where any of it is stale; this script puts it right:

    python docs/generate.py
"""

from __future__ import annotations

import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args, get_type_hints

import msgspec

import streamrnn
from streamrnn.connectors.options import RecordOptions
from streamrnn.pipelines import alert_settings
from streamrnn.pipelines import settings as settings_file
from streamrnn.pipelines.alarms import FalseAlarms, LabelScores
from streamrnn.pipelines.baselines import BaselineSummary, ChannelSummary
from streamrnn.pipelines.evaluation import BaselineRanking, CalibrationLevel, Evaluation, SeriesRanking
from streamrnn.pipelines.events import Event, Part
from streamrnn.pipelines.options import RECORD, SETTINGS
from streamrnn.pipelines.seasons import ForecastSeason
from streamrnn.pipelines.summary import SeriesSummary, Summary
from streamrnn.pipelines.verdict import Racer, Verdict
from streamrnn.settings import Settings
from streamrnn.spill import Census

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "docs/command-line.md")  # with outputs
MADE = "<!-- Made by docs/generate.py from the code: change the docstrings there. -->\n"

# A file to save, or commands and what they print.
_BLOCK = re.compile(
    r"^```toml\n(?P<file># (?P<name>\S+)\n(?:(?!```).*\n)+)```\n|"
    r"^```sh\n(?P<command>(?:(?!```).*\n)+)```\n```text\n(?P<output>(?:(?!```).*\n)*)```\n",
    re.MULTILINE,
)


def pages() -> Iterator[tuple[Path, str]]:
    """Every page that is made here, whole or in part, and what it should hold."""
    yield ROOT / "docs/settings.md", settings_page()
    yield ROOT / "docs/json.md", json_page()
    for name in PAGES:
        yield ROOT / name, with_outputs((ROOT / name).read_text(encoding="utf-8"))


def described(owner: type, section: str = "Attributes") -> dict[str, tuple[str, str]]:
    """(type, text) of each name in a section of a class's docstring."""
    doc = inspect.cleandoc(owner.__doc__ or "")
    start = doc.index(f"{section}\n{'-' * len(section)}\n") + 2 * len(section) + 2
    body = re.split(r"\n\n(?=[A-Z][a-z]+\n---)", doc[start:])[0]
    found = {}
    for entry in re.split(r"\n(?=\S)", body):
        head, _, text = entry.partition("\n")
        names, _, kind = head.partition(" : ")
        for name in names.split(", "):
            found[name] = (kind, " ".join(text.split()))
    return found


def settings_page() -> str:
    """Every setting of a model, and every key that says how a table is read."""
    model, record = described(Settings, "Parameters"), described(RecordOptions)
    defaults = Settings()
    tables = {key: name for name, kind in settings_file.TABLES.items() for key in kind.__struct_fields__}
    lines = [
        MADE,
        "# Settings\n",
        "The same names serve the library (`Detector(hidden=16)`), the command line (`--hidden 16`) and the",
        "[settings file](command-line.md#a-settings-file). *Structural* settings say what the numbers of a",
        "state mean: changing one needs a new state. *Tunable* ones may change when a state is loaded.\n",
        "## The model and its decisions\n",
        "| setting | | type | default | what it is | command line | file |",
        "|---|---|---|---|---|---|---|",
    ]
    for field in fields(Settings):
        kind, text = model[field.name]
        change, _, text = text.partition(". ")
        option = f"`{_option(field.name)}`" if field.name in SETTINGS else ""
        table = f"`[{tables[field.name]}]`" if field.name in tables else ""
        default = f"`{_shown(getattr(defaults, field.name))}`"
        lines.append(_row(f"`{field.name}`", change.lower(), kind, default, text, option, table))
    lines += [
        "\n`channels` is not in the file: a table's value columns are the channels (`--values`), and a",
        "`Detector` takes them from its first record.\n",
        "## The table\n",
        "How records are read, `[record]` in the file. What is not given is found out.\n",
        "| key | type | what it is | command line |",
        "|---|---|---|---|",
    ]
    for name in RECORD:
        kind, text = record[name]
        kind = kind.removesuffix(" or None").replace("tuple of str", "name or list of names")
        lines.append(
            _row(f"`{name}`", kind, _HAND.get(name, text).replace('("none",)', "none"), f"`{_option(name)}`")
        )
    lines += ["\n## The daemon\n", "What [`streamrnn run`](daemon.md) reads beside these."]
    for title, kind in _DAEMON.items():
        doc = " ".join((kind.__doc__ or "").split()).partition(": ")[2]
        lines += [f"\n### `{title}`\n", *([f"{doc[0].upper()}{doc[1:]}\n"] if doc else [])]
        lines += ["| key | default | what it is |", "|---|---|---|"]
        lines += [_row(f"`{name}`", *cells) for name, cells in _keys(kind)]
    return "\n".join(lines) + "\n"


_DAEMON: dict[str, type[msgspec.Struct]] = {
    '[source] kind = "file"': settings_file.FileSourceTable,
    '[source] kind = "kafka"': settings_file.KafkaSourceTable,
    "[source.security]": settings_file.KafkaSecurityTable,
    "[record]": settings_file.Record,
    "[detect]": settings_file.Detect,
    '[[sink]] kind = "file"': settings_file.FileSinkTable,
    '[[sink]] kind = "kafka"': settings_file.KafkaSinkTable,
    "[dead_letter]": settings_file.DeadLetter,
    "[fleet]": settings_file.FleetTable,
    "[checkpoint]": settings_file.Checkpoint,
    "[alerts]": alert_settings.AlertTables,
    "[alerts.severity]": alert_settings.SeverityTable,
    "[[alerts.route]]": alert_settings.RouteTable,
    "[[alerts.inhibit]]": alert_settings.InhibitTable,
    "[serve]": settings_file.Serve,
    "[log]": settings_file.Log,
}


def _keys(kind: type[msgspec.Struct]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Keys of a table that replay does not know, each with its default and what it is."""
    hints = get_type_hints(kind, include_extras=True)
    both = {*RECORD, *(field.name for field in fields(Settings))}  # of tables that replay reads, too
    for field in msgspec.structs.fields(kind):
        if kind in settings_file.TABLES.values() and field.name in both:
            continue
        hint = hints[field.name]
        metas = reversed(getattr(hint, "__metadata__", ()))  # of a key before that of its type
        meta = next((m for m in metas if getattr(m, "description", None)), None)
        plain = hint.__origin__ if hasattr(hint, "__metadata__") else hint
        choices = " or ".join(f'"{choice}"' for choice in get_args(plain) if isinstance(choice, str))
        plain_default = isinstance(field.default, (str, bool, int, float))
        default = f"`{_toml(field.default)}`" if plain_default else ""
        yield field.name, (default, "; ".join(filter(None, [meta.description if meta else "", choices])))


def _toml(value: Any) -> str:
    return (
        str(value).lower()
        if isinstance(value, bool)
        else f'"{value}"'
        if isinstance(value, str)
        else str(value)
    )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('``', '`').replace('|', '&#124;') for cell in cells)} |"


# What no docstring says.
_HAND = {
    "streamrnn": "version of the package",
    "evaluation.ranking[].key": "name of the series",
    "fleet.state_bytes": "memory of the states that lie in it",
    "fleet.warning": "what there is to say of how many series came; null: nothing",
    "season.records": "records of the season that the seasonal baseline looks back; null: none",
    "season.length_s": "its length, seconds",
    "season.series": "of so many series, the first, the season was kept",
    "typical_step_s": "time between records, seconds; null: not known",
    "gaps.count": "steps of more than three typical ones",
    "gaps.longest_s": "the longest of them, seconds",
    "gaps.longest_start": "time of the record before it",
    "gaps.repeated_times": "records with the time of the one before them",
    "gaps.backward_times": "records with an earlier time than the one before them",
    "records": "how many there were",
    "channels[].channel": "its name",
    "first.record": "offset of the first record in its file",
    "first.time": "its time",
    "last.record": "offset of the last record in order",
    "last.time": "its time",
    "first_scored.record": "offset of the first record with a score; null for several series together",
    "first_scored.time": "its time",
    "first_calibrated.record": "offset of the first calibrated record; null for several series together",
    "first_calibrated.time": "its time",
    "rows.read": "records that were made of rows",
    "rows.rejected": "rows that could not be read",
    "rejects.rows": "rows that could not be read",
    "rejects.cells.*": "cells of each column that could not be read and count as missing",
    "rejects.first[]": "the first few, each in a line",
    "series[].key": "name of the series; empty where there is only one and no key",
    "series_not_listed": "series that are not in the list: it holds 1000",
    "statuses.*": "records of each status",
    "settings.*": "the [settings](settings.md), those not given too",
    "input.files[]": "base names of the files",
    "input.each_file_a_series": "whether each file is a series of its own",
    "input.format": "how the first file is written",
    "input.time[]": "the columns that make a record's time; null: none",
    "input.time_format": "how they are read",
    "input.tz": "zone of times without an offset",
    "input.values[]": "value columns",
    "input.key[]": "key columns",
    "input.label[]": "label columns; the first counts",
    "input.left_out.*": "every other column, and why",
    "input.notes[]": "what one should know, with the option to use",
    "events[].event_id": "id of the record that opened it",
    "events[].key": "name of its series",
    "events[].start": "time of the record that opened it",
    "events[].end": "time of its last detection; null: none yet",
    "events[].channels[].channel": "name of one of the three channels with the largest shares at the peak",
    "events[].kind": "what it looks like: spike, dip, level shift, drift, variance change, flat line or "
    "pattern; gap: more than 20 typical steps without a record, an event without a row",
    "events[].duration_s": "from its first to its last detection, seconds",
    "forecast[].key": "name of the series; the first 100 series are listed",
    "forecast[].times[]": "when the records to come are due; null where there are no times",
    "forecast[].channels.*.yhat[]": "the forecast of each",
    "forecast[].channels.*.yhat_lower[]": "lower end of its interval",
    "forecast[].channels.*.yhat_upper[]": "upper end of its interval",
    "hindsight.causal": "false: `--offline` looks into each record's future",
    "hindsight.anomalies": "records with `not_causal_is_anomaly`",
    "hindsight.series": "series that were read both ways",
    "hindsight.channels[].channel": "name of the channel",
    "hindsight.channels[].imputed": "missing values that have one in `not_causal_imputed`",
    "hindsight.channels[].learned": "series in which the network is nearer than the line between neighbours",
    "episodes[].what": "what is known to have happened (`--demo`)",
    "episodes[].start": "its first record",
    "episodes[].end": "its last record",
    "episodes[].found": "whether an event overlaps it",
    "episodes[].event_id": "that event",
    "episodes[].text": "the same in words, or why it was not found",
}
_OWNERS = {
    "false_alarms": FalseAlarms,
    "labels": LabelScores,
    "channels[]": ChannelSummary,
    "channels[].baselines.*": BaselineSummary,
    "channels[].forecast_season": ForecastSeason,
    "events[]": Event,
    "fleet": Census,
    "events[].channels[]": Part,
    "race.*": Racer,
    "verdict": Verdict,
    "evaluation": Evaluation,
    "evaluation.baselines.*": BaselineRanking,
    "evaluation.ranking[]": SeriesRanking,
    "evaluation.calibration[]": CalibrationLevel,
}
_SETS = (
    "statuses",
    "settings",
    "rejects.cells",
    "input.left_out",
    "forecast[].channels",
    "baselines",
    "race",
)


def json_page() -> str:
    """Every key of ``--json``, of a run that has them all, with what its docstring says."""
    lines = [
        MADE,
        "# The summary as JSON\n",
        "`streamrnn replay --json` prints one object, and `streamrnn evaluate --json` the same with",
        "`evaluation`. Times are ISO 8601 in UTC; what is not known is null.",
        "`x[]` is each element of a list, `x.*` each value of an object whose keys are names. `series[]`",
        "holds for each series what the top level holds for all: those with the most alerts first.\n",
        "| key | what it is |",
        "|---|---|",
    ]
    for said, paths in groupby(json_paths(), meaning):
        lines.append(_row(", ".join(f"`{path}`" for path in paths), said[:1].upper() + said[1:]))
    return "\n".join(lines) + "\n"


def json_paths() -> list[str]:
    """The paths of a replay's summary, a series' own left out where the top level has the same."""
    pumps = "pumps.csv --missing -999 --tz Europe/Rome --json"
    commands = [f"replay {pumps} --forecast 2", "replay --demo --offline --json", f"evaluate {pumps}"]
    with TemporaryDirectory() as folder:
        run(f"{_EXAMPLE}\n", folder)
        runs = [json.loads(run(f"{_STREAMRNN} {command}", folder)) for command in commands]
    paths = dict.fromkeys(path.replace(".*[]", ".*") for found in runs for path in _paths(found, ""))
    parents = {path[:i] for path in paths for i, c in enumerate(path) if c == "."}
    own = [path for path in paths if path not in parents]  # what is null in one run, an object in another
    return [p for p in own if not p.startswith("series[].") or p.removeprefix("series[].") not in paths]


def _paths(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        free = path.endswith(_SETS)
        for name, part in value.items():
            yield from _paths(part, f"{path}.*" if free else f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for part in value:
            yield from _paths(part, f"{path}[]")
    else:
        yield path


def meaning(path: str) -> str:
    """What a path is, by hand or by the docstring of the class that it is of."""
    if path in _HAND:
        return _HAND[path]
    parent, _, name = path.rpartition(".")
    name = name.removesuffix("[]")
    if not parent:
        owners: tuple[type, ...] = (Summary, SeriesSummary)
        found = {name: said for owner in owners for name, said in described(owner).items()}
    else:
        found = described(_OWNERS[parent]) if parent in _OWNERS else {}
    if name not in found:
        raise KeyError(f"nothing says what {path} is: add it to a docstring, or to {Path(__file__).name}")
    kind, text = found[name]
    return text.replace("NaN", "null").replace("None:", "null:") or kind


_STREAMRNN = "python -m streamrnn"
_EXAMPLE = "python examples/pumps.py pumps.csv"


def with_outputs(text: str) -> str:
    """A page whose outputs are what its commands print now, run in their order in a new folder."""
    with TemporaryDirectory() as folder:

        def renewed(block: re.Match[str]) -> str:
            if block["file"]:
                Path(folder, block["name"]).write_text(block["file"], encoding="utf-8")
                return block[0]
            return f"```sh\n{block['command']}```\n```text\n{run(block['command'], folder)}```\n"

        return _BLOCK.sub(renewed, text)


def run(commands: str, folder: str) -> str:
    """What a shell in a folder prints to commands of ``streamrnn`` and ``python``."""
    examples = Path(folder, "examples")
    if not examples.exists():
        examples.symlink_to(ROOT / "examples")
    python = shlex.quote(sys.executable)
    functions = f'python() {{ {python} "$@"; }}\nstreamrnn() {{ {python} -m streamrnn "$@"; }}\n'
    home = str(Path(streamrnn.__file__).parents[1])
    found = subprocess.run(
        ["bash", "-c", functions + commands],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": home, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return found.stdout


if __name__ == "__main__":
    for path, text in pages():
        path.write_text(text, encoding="utf-8")
