"""The Numenta Anomaly Benchmark: one causal pass over each file, one setting for all.

NAB_DIR holds NAB's data/ and labels/combined_windows.json; a part of the files is enough. The
score of a row is its ``alert_strength``: under *optimised* with the best threshold of each profile,
as NAB has it, under *shipped* with the one that alerts, .5. Each is the mean over the seeds, with the
standard deviation of one run beside.

    python benchmarks/nab.py NAB_DIR --results results --control frozen --json nab.json
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from statistics import fmean

import numpy as np
import pandas as pd
from common import Report, Requirement, arguments
from detection import CONTROLS, SHIPPED, detected, detection_arguments, in_processes, spread
from nab_scorer import PROFILES, Array, Corpus, LabelledFile, Outcome

from streamrnn.pipelines.ranking import ranked

ALERT = 0.5  # the alert_strength that alerts
QUICK_FILES = 3
TABLE = ("optimised", "optimised_sd", "shipped", "shipped_sd", "found", "false")

REQUIRED = (
    Requirement(f"{SHIPPED}/standard/optimised", ">=", 78.0),
    Requirement(f"{SHIPPED}/standard/shipped", ">=", 77.0),
    Requirement(f"{SHIPPED}/low_fp/optimised", ">=", 69.0),
    Requirement(f"{SHIPPED}/low_fn/optimised", ">=", 83.0),
)

Task = tuple[Path, str, int]


def read(path: Path) -> pd.DataFrame:
    """A file of NAB: timestamp, value."""
    return pd.read_csv(path, dtype={"value": np.float64}, parse_dates=["timestamp"])


def labelled(folder: Path) -> dict[str, LabelledFile]:
    """The files that are there and have labels, by their names in these."""
    spans = json.loads((folder / "labels" / "combined_windows.json").read_text())
    files = {}
    for name in sorted(spans):
        path = folder / "data" / name
        if path.exists():
            windows = [[np.datetime64(pd.Timestamp(time)) for time in span] for span in spans[name]]
            files[name] = LabelledFile.of(read(path)["timestamp"].to_numpy(), windows)
    if not files:
        raise SystemExit(f"{folder / 'data'} has none of the files that the labels name")
    return files


def strengths(task: Task) -> Array:
    """(n,) alert_strength of a file's rows."""
    path, control, seed = task
    return ranked(detected(read(path), control, seed)["alert_strength"].to_numpy())


def figures_of(runs: list[tuple[dict[str, Outcome], dict[str, Outcome]]], row: str) -> dict[str, float]:
    """Mean and spread of several seeds' outcomes at both thresholds."""
    found = {}
    for profile in PROFILES:
        best, shipped = ([run[which][profile] for run in runs] for which in (0, 1))
        name = f"{row}/{profile}"
        found |= spread(f"{name}/optimised", (outcome.score for outcome in best))
        found |= spread(f"{name}/shipped", (outcome.score for outcome in shipped))
        found[f"{name}/threshold"] = fmean(outcome.threshold for outcome in best)
        found[f"{name}/found"] = fmean(outcome.found for outcome in shipped)
        found[f"{name}/false"] = fmean(outcome.false for outcome in shipped)
    return found


def write_results(folder: Path, detector: str, scores: dict[str, Array], data: Path) -> None:
    """Scores in NAB's layout, DETECTOR/CATEGORY/DETECTOR_FILE.csv."""
    for name, score in scores.items():
        category, file = name.split("/")
        path = folder / detector / category / f"{detector}_{file}"
        path.parent.mkdir(parents=True, exist_ok=True)
        read(data / name)[["timestamp", "value"]].assign(anomaly_score=score).to_csv(path, index=False)


def print_files(corpus: Corpus, scores: dict[str, Array]) -> None:
    """What each file loses at the shipped threshold, the most first."""
    rows = []
    for name, file in corpus.files.items():
        outcome = Corpus({name: file}).at(scores, ALERT)["standard"]
        rows.append((outcome.lost, name, file.windows, outcome))
    print(f"\n{'standard profile, shipped threshold, first seed':54}   lost  windows  found  false")
    for lost, name, windows, outcome in sorted(rows, key=lambda row: -row[0]):
        print(f"{name:54}{lost:7.2f}{windows:9}{outcome.found:7}{outcome.false:7}")


def main(options: Namespace) -> int:
    """Score all files with each detector and seed; print and write what that is worth."""
    files = labelled(options.nab)
    if options.quick:
        files = dict(list(files.items())[:QUICK_FILES])
    corpus, data = Corpus(files), options.nab / "data"
    controls = list(dict.fromkeys([SHIPPED, *options.control]))
    seeds = range(1 if options.quick else options.seeds)
    tasks = [(data / name, control, seed) for control in controls for seed in seeds for name in files]
    found = in_processes(strengths, tasks)
    report = Report({"files": len(files), "windows": corpus.windows, "seeds": len(seeds)})
    for control in controls:
        runs = []
        for seed in seeds:
            scores = {name: next(found) for name in files}
            runs.append((corpus.optimised(scores), corpus.at(scores, ALERT)))
            if seed == 0 and options.results is not None:
                detector = "streamrnn" if control == SHIPPED else f"streamrnn-{control}"
                write_results(options.results, detector, scores, data)
            if seed == 0 and control == SHIPPED and options.each:
                print_files(corpus, scores)
        report.figures |= figures_of(runs, control)
    rows = [f"{control}/{profile}" for control in CONTROLS for profile in PROFILES]
    title = f"NAB, {len(files)} files, {corpus.windows} windows, {len(seeds)} seeds; found, false: shipped"
    report.table(title, rows, TABLE)
    report.write(options.json)
    passed = report.check(REQUIRED)
    return 1 if options.check and not passed else 0


if __name__ == "__main__":
    parser = detection_arguments(arguments(__doc__), "DIR/streamrnn/CATEGORY/streamrnn_FILE.csv")
    parser.add_argument("nab", type=Path, metavar="NAB_DIR", help="holds data/ and labels/")
    parser.add_argument("--each", action="store_true", help="print what every file loses")
    sys.exit(main(parser.parse_args()))
