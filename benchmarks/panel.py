"""Labelled telemetry, servers and valves: how well ``anomaly_score`` ranks, as VUS-PR and AUC-PR.

SETS_DIR holds a folder a set with a CSV file a series (also .gz): timestamp, channels, label (and
changepoint, which is not looked at). One causal pass over each, one setting for all. A set's figure
is the mean over its series, *mean* that over the sets; each the mean over the seeds, with the standard
deviation of one run beside. VUS-PR is that of TSB-AD, with its choice of the window.

    python benchmarks/panel.py SETS_DIR --results results --control frozen --json panel.json
"""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from statistics import fmean

import numpy as np
import pandas as pd
from common import Report, Requirement, arguments
from detection import CONTROLS, SHIPPED, detected, detection_arguments, in_processes, spread

from streamrnn.pipelines.ranking import auc_pr, ranked, season_window, vus_pr

SETS = ("telemanom_u", "telemanom_m", "smd", "asd", "skab")
MEASURES = ("vus_pr", "auc_pr")
QUICK_SERIES = 1  # of each set

REQUIRED = (
    Requirement(f"{SHIPPED}/mean/vus_pr", ">=", 0.45),
    Requirement(f"{SHIPPED}/skab/vus_pr", ">=", 0.79),
)

Task = tuple[Path, str, int, Path | None]


def series_of(folder: Path) -> list[Path]:
    """The files of a set, in order."""
    return sorted(path for path in folder.glob("*.csv*") if path.name.endswith((".csv", ".csv.gz")))


def measured(task: Task) -> tuple[float, ...]:
    """The measures of one series; its scores go into a folder, where one is given."""
    path, control, seed, results = task
    frame = pd.read_csv(path)
    found = detected(frame, control, seed)
    score = ranked(found["anomaly_score"].to_numpy())
    if results is not None:
        results.mkdir(parents=True, exist_ok=True)
        columns = {"score": score, "alarm": found["is_anomaly"].to_numpy(np.int8)}
        pd.DataFrame(columns).to_csv(results / f"{path.name.removesuffix('.gz')}", index=False)
    label = frame["label"].to_numpy() > 0
    first = frame.drop(columns=["timestamp"]).iloc[:, 0].to_numpy(np.float64)
    return vus_pr(label, score, season_window(first)), auc_pr(label, score)


def figures_of(runs: list[dict[str, list[tuple[float, ...]]]], control: str) -> dict[str, float]:
    """Mean and spread of the sets' means over several seeds."""
    found = {}
    for i, measure in enumerate(MEASURES):
        means = [{name: fmean(values[i] for values in run[name]) for name in run} for run in runs]
        for name in runs[0]:
            found |= spread(f"{control}/{name}/{measure}", (mean[name] for mean in means))
        found |= spread(f"{control}/mean/{measure}", (fmean(mean.values()) for mean in means))
    return found


def main(options: Namespace) -> int:
    """Score all series with each detector and seed; print and write how well that ranks."""
    sets = {name: files for name in options.sets if (files := series_of(options.folder / name))}
    if not sets:
        raise SystemExit(f"{options.folder} has no folder with series of {', '.join(options.sets)}")
    if options.quick:
        sets = {name: files[:QUICK_SERIES] for name, files in sets.items()}
    controls = list(dict.fromkeys([SHIPPED, *options.control]))
    seeds = range(1 if options.quick else options.seeds)
    tasks: list[Task] = []
    for control in controls:
        for seed in seeds:
            written = options.results if seed == 0 else None
            base = written / control if written and control != SHIPPED else written
            tasks += [
                (path, control, seed, base and base / name) for name, files in sets.items() for path in files
            ]
    found = in_processes(measured, tasks)
    report = Report({"series": sum(map(len, sets.values())), "seeds": len(seeds)})
    for control in controls:
        runs = [{name: [next(found) for _ in files] for name, files in sets.items()} for _ in seeds]
        report.figures |= figures_of(runs, control)
    rows = [f"{control}/{name}" for control in CONTROLS for name in (*sets, "mean")]
    columns = [f"{measure}{suffix}" for measure in MEASURES for suffix in ("", "_sd")]
    report.table(f"{report.figures['series']} series, {len(seeds)} seeds", rows, columns)
    report.write(options.json)
    passed = report.check(REQUIRED)
    return 1 if options.check and not passed else 0


if __name__ == "__main__":
    parser = detection_arguments(arguments(__doc__), "DIR/SET/SERIES.csv with score and alarm")
    parser.add_argument("folder", type=Path, metavar="SETS_DIR", help="holds a folder a set")
    parser.add_argument(
        "--sets", nargs="+", default=SETS, metavar="SET", help=f"default: {', '.join(SETS)}; each there is"
    )
    sys.exit(main(parser.parse_args()))
