"""``streamrnn evaluate``: a replay of labelled files, and how good what it found is."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamrnn import __version__
from streamrnn.connectors.base import STANDARD
from streamrnn.connectors.text import printable
from streamrnn.errors import SettingsError
from streamrnn.pipelines.arguments import check_picture, check_written, given_options
from streamrnn.pipelines.found import rejects_dict, rejects_text
from streamrnn.pipelines.progress import Progress

if TYPE_CHECKING:
    from streamrnn.pipelines.evaluation import Evaluation
    from streamrnn.pipelines.job import Outcome

__all__ = ["run"]

_FINE, _INTERRUPTED = 0, 130


def run(arguments: argparse.Namespace) -> int:
    """Replay the files, print how good what was found is, and return the exit code.

    Raises
    ------
    StreamrnnError
        Where something is wrong with the arguments or the data, or nothing has a label.
    OSError
        Where a file cannot be written.
    """
    record, options, fleet = given_options(arguments)
    _check(arguments)
    progress = Progress(sys.stderr)
    progress.say("loading (the first run compiles for some seconds)")
    try:
        from streamrnn.pipelines.job import Job, carry_out

        same = ("arrange", "plot", "rejects")
        job = Job(
            paths=tuple(arguments.files),
            record=record,
            options=options,
            fleet=fleet,
            evaluate=True,
            **{name: getattr(arguments, name) for name in same},
        )
        outcome = carry_out(job, progress, lambda found: _tell(arguments, f"{found}\n"))
    finally:
        progress.clear()
    if outcome.evaluation is None:
        records = f"{outcome.summary.total.records:,} records"
        print(f"streamrnn: interrupted after {records}; nothing is evaluated", file=sys.stderr)
        return _INTERRUPTED
    _report(arguments, outcome, outcome.evaluation)
    return _FINE


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what cannot be read or written, before anything is opened."""
    figures = arguments.json
    if figures not in (None, STANDARD) and Path(figures).suffix.lower() != ".json":
        raise SettingsError(
            f"--json is {figures!r}; give a name that ends in .json, or for stdout nothing after it "
            "(then it stands behind the files)"
        )
    if not arguments.files:
        raise SettingsError("no file was given; give tables (CSV, Parquet), a folder, or - for stdin")
    check_picture(arguments.plot)
    written = {"--json": figures, "--plot": arguments.plot, "--rejects": arguments.rejects}
    check_written(written, (*arguments.files, arguments.settings))


def _tell(arguments: argparse.Namespace, text: str) -> None:
    """Print for people; nothing beside JSON."""
    if arguments.json != STANDARD:
        print(text, flush=True)


def _report(arguments: argparse.Namespace, outcome: Outcome, evaluation: Evaluation) -> None:
    if arguments.json is not None:
        text = json.dumps(_json(outcome, evaluation), indent=2, allow_nan=False)
        if arguments.json == STANDARD:
            print(text)
        else:
            Path(arguments.json).write_text(f"{text}\n", encoding="utf-8")
    lines = list(_lines(outcome, evaluation))
    if unread := rejects_text(outcome.rejects, arguments.rejects):
        lines += ["", unread]
    written = [("figures", arguments.json), ("picture", arguments.plot)]
    named = [f"{what}: {printable(path)}" for what, path in written if path not in (None, STANDARD)]
    _tell(arguments, "\n".join([*lines, *([""] if named else []), *named]))
    sys.stdout.flush()


def _json(outcome: Outcome, evaluation: Evaluation) -> dict[str, Any]:
    from streamrnn.pipelines.summary import for_json

    return {
        "streamrnn": __version__,
        "evaluation": for_json(evaluation.to_dict()),
        **outcome.summary.to_dict(),
        "rejects": rejects_dict(outcome.rejects),
    }


def _lines(outcome: Outcome, evaluation: Evaluation) -> Iterator[str]:
    from streamrnn.pipelines.text import label_facts, verdict_facts

    total = outcome.summary.total
    facts = list(_record_facts(evaluation))
    if total.labels is not None:
        facts += label_facts(total.labels, total.false_alarms)
    facts += [*_ranking_facts(evaluation), *verdict_facts(outcome.summary)]
    width = max(len(label) for label, _ in facts)
    yield "evaluation"
    yield from (f"  {label.ljust(width)}  {fact}" for label, fact in facts)
    yield ""
    yield from _calibration_lines(evaluation)


def _record_facts(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    from streamrnn.pipelines.words import count, percent

    scored = count(evaluation.scored, "record")
    yield "scored", f"{scored}, {evaluation.labelled:,} of them labelled ({percent(evaluation.base_rate)})"
    found = f"precision {percent(evaluation.precision)}, recall {percent(evaluation.recall)}"
    false = f"false alarms at {percent(evaluation.false_alarm_rate)} of those without a label"
    yield "detections", f"{found}, F1 {evaluation.f1:.3g}; {false}"
    yield "", f"an alarm at every record: F1 {evaluation.always_alarm_f1:.3g}, false alarms at 100%"


def _ranking_facts(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    from streamrnn.pipelines.verdict import RACER_WORDS
    from streamrnn.pipelines.words import count

    if not evaluation.n_ranked:
        yield "ranking", "no record is labelled"
        return
    areas = f"VUS-PR {evaluation.vus_pr:.3f}, AUC-PR {evaluation.auc_pr:.3f}"
    where = f"window of {count(evaluation.ranking[0].window, 'record')}"
    if evaluation.n_ranked > 1:
        where = f"means over {count(evaluation.n_ranked, 'series', 'series')} with labels"
    yield "ranking", f"{areas} ({where}); random scores: AUC-PR {evaluation.random_auc_pr:.3g}"
    if evaluation.baselines:
        named = [(RACER_WORDS[one.name], one.vus_pr, one.auc_pr) for one in evaluation.baselines]
        told = ", ".join(f"{name} {vus:.3f} and {auc:.3f}" for name, vus, auc in named)
        yield "", f"the same of {told}; no networks: the same scores"


def _calibration_lines(evaluation: Evaluation) -> Iterator[str]:
    from streamrnn.pipelines.words import table

    yield "calibration: p-values of calibrated records without a label"
    rows = [["p at most", "asked", "came", "ratio", "95% interval"]]
    for level in evaluation.calibration:
        interval = f"{level.ratio_low:.2g} to {level.ratio_high:.2g}"
        told = (f"{level.ratio:.2f}", interval) if level.enough else ("", "too few records to tell")
        rows.append([f"{level.level:g}", f"{level.expected:,.1f}", f"{level.realised:,}", *told])
    yield from table(rows, numeric=frozenset(rows[0][:4]))
