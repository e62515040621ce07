"""Priors: what a new series gains that begins from what others have in common.

Series of the folders (NAB's, a panel's sets: those of ``forecast_series.py``), each channel that
counts as one of its own. *cold* begins from nothing, *warm* from a prior of half of the
series, drawn by the seed, *foreign* from one of all other groups; no prior has seen what is measured with it.
Records are those until ``provisional`` and until ``calibrated``, with ``false_alarms=1e-3``, the
median; errors are those of the forecast over those of the last value, in the first 100, 500 and
2,000 records, the mean over series; alerts and detections are those a series of the first 1,000
records. Where a folder is NAB's, its score of alerts as shipped and at the best threshold, each
file with the prior of half of the others.

    python benchmarks/prior.py NAB_DIR PANEL_DIR --json prior.json
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from common import Report, Requirement, arguments
from detection import in_processes, spread
from forecast_series import Series, real_series
from nab import ALERT, labelled, read
from nab_scorer import Array, Corpus

from streamrnn import Batch, Fleet, Prior, Settings
from streamrnn.pooling import fit_prior
from streamrnn.records import STATUSES

PRESETS = ("light", "default")
RECORDS = 5_000  # of a series
FIRST = (100, 500, 2_000)
YOUNG = 1_000
FALSE_ALARMS = 1e-3
STARTS = ("cold", "warm", "foreign")
QUICK_SERIES = 4

REQUIRED = tuple(
    requirement
    for preset in PRESETS
    for requirement in (
        Requirement(f"{preset}/warm/error_100_over_cold", "<", 1.0),
        Requirement(f"{preset}/warm/error_500_over_cold", "<", 1.0),
        Requirement(f"{preset}/foreign/error_500_over_cold", "<", 1.0),
        Requirement(f"{preset}/warm/calibrated_over_cold", ">=", 0.98),
        Requirement(f"{preset}/warm/nab_shipped_over_cold", ">=", 0.97),
    )
)


class Task(NamedTuple):
    """Series to fit a prior on (none: cold), others to measure with it."""

    preset: str
    seed: int
    fitted: list[Batch]
    measured: list[Batch]
    nab: bool


def batch_of(values: Array, times: Array | None, code: int = 0) -> Batch:
    """The first records of a series."""
    n = min(len(values), RECORDS)
    stamps = None if times is None else times[:n].astype("datetime64[ns]").astype(np.int64)
    batch = Batch.of_one_series(values[:n], stamps)
    return Batch(np.full(n, code, np.int32), batch.times, batch.values, batch.partitions, batch.offsets)


def single(series: Series) -> Iterator[tuple[str, Batch]]:
    """Each channel that counts, with its group."""
    for d in series.targets:
        yield series.group, batch_of(series.values[:, [d]], series.times)


def measures(settings: Settings, batch: Batch) -> dict[str, float]:
    """What a series that begins so is like when it is young."""
    fleet = Fleet(settings)
    found = fleet.process(Batch(np.zeros(len(batch), np.int32), *list(vars(batch).values())[1:]))
    values = batch.values[:, 0]
    error, naive = np.abs(found.yhat[:, 0] - values), np.abs(np.diff(values, prepend=np.nan))
    known = np.isfinite(error) & np.isfinite(naive)
    figures = {}
    for n in FIRST:
        of_last = naive[:n][known[:n]].mean()
        if len(values) >= n and of_last > 0.0:
            figures[f"error_{n}"] = error[:n][known[:n]].mean() / of_last
    for name in ("provisional", "calibrated"):
        if (rows := np.flatnonzero(found.status == STATUSES.index(name))).size:
            figures[name] = float(rows[0])
    alerts = np.unique(found.event_offset[:YOUNG][found.alert_strength[:YOUNG] >= ALERT])
    figures["alerts"], figures["detections"] = float(len(alerts)), float(found.is_anomaly[:YOUNG].sum())
    inside = (values >= found.yhat_lower[:, 0]) & (values <= found.yhat_upper[:, 0])
    figures["coverage"] = float(inside[: FIRST[1]][known[: FIRST[1]]].mean())
    return figures


def work(task: Task) -> list[dict[str, float]] | list[Array]:
    """The measures of each series, or the strengths of their alerts."""
    options = {"preset": task.preset, "seed": task.seed}
    prior: Prior | None = None
    if task.fitted:
        coded = [
            Batch(np.full(len(batch), i, np.int32), *list(vars(batch).values())[1:])
            for i, batch in enumerate(task.fitted)
        ]
        prior = fit_prior(coded, Settings.from_dict(options))
    if task.nab:
        settings = Settings.from_dict({**options, "prior": prior})
        return [Fleet(settings).process(batch).alert_strength for batch in task.measured]
    settings = Settings.from_dict({**options, "prior": prior, "false_alarms": FALSE_ALARMS})
    return [measures(settings, batch) for batch in task.measured]


def halves(n: int, seed: int) -> list[tuple[list[int], list[int]]]:
    """(those to fit on, those to measure) of n series, twice, so that each is measured once."""
    order = np.random.default_rng(seed).permutation(n).tolist()
    return [(order[1::2], order[0::2]), (order[0::2], order[1::2])]


def tasks_of(series: list[tuple[str, Batch]], preset: str, start: str, seed: int) -> Iterator[Task]:
    """Every series once: cold together, warm by halves, foreign by groups."""
    batches = [batch for _, batch in series]
    groups = list(dict.fromkeys(group for group, _ in series))
    if start == "cold":
        yield Task(preset, seed, [], batches, False)
    elif start == "warm":
        for fitted, mine in halves(len(batches), seed):
            yield Task(preset, seed, [batches[i] for i in fitted], [batches[i] for i in mine], False)
    elif len(groups) > 1:
        for one in groups:
            others = [batch for group, batch in series if group != one]
            yield Task(preset, seed, others, [batch for group, batch in series if group == one], False)


def figures_of(found: list[list[dict[str, float]]], name: str) -> dict[str, float]:
    """Over all series, and the seeds."""
    figures: dict[str, float] = {}
    for measure in {measure for run in found for one in run for measure in one}:
        middle = np.median if measure in ("provisional", "calibrated") else np.mean
        each = [float(middle([one[measure] for one in run if measure in one])) for run in found]
        figures |= spread(f"{name}/{measure}", each)
    return figures


def nab_figures(folder: Path, preset: str, seeds: int) -> dict[str, float]:
    """NAB's score, cold and warm."""
    files = labelled(folder)
    corpus, names = Corpus(files), list(files)
    batches = []
    for name in names:
        frame = read(folder / "data" / name)
        stamps = frame["timestamp"].to_numpy("datetime64[ns]").astype(np.int64)
        batches.append(Batch.of_one_series(frame[["value"]].to_numpy(np.float64), stamps))
    tasks = []
    for seed in range(seeds):
        tasks.append(Task(preset, seed, [], batches, True))
        for fitted, mine in halves(len(names), seed):
            tasks.append(Task(preset, seed, [batches[i] for i in fitted], [batches[i] for i in mine], True))
    found = list(in_processes(work, tasks))
    figures: dict[str, float] = {}
    for start in ("cold", "warm"):
        shipped, best = [], []
        for seed in range(seeds):
            cold, *warm = found[3 * seed : 3 * seed + 3]
            scores = dict(zip(names, map(np.nan_to_num, cold), strict=True))
            for (_, mine), strengths in zip(halves(len(names), seed), warm, strict=True):
                if start == "warm":
                    scores |= {names[i]: np.nan_to_num(s) for i, s in zip(mine, strengths, strict=True)}
            shipped.append(corpus.at(scores, ALERT)["standard"].score)
            best.append(corpus.optimised(scores)["standard"].score)
        figures |= spread(f"{preset}/{start}/nab_shipped", shipped)
        figures |= spread(f"{preset}/{start}/nab_optimised", best)
    return figures


def main(options: Namespace) -> int:
    """Measure, print, write."""
    series = [one for found in real_series(options.folders) for one in single(found)]
    if options.quick:
        series = series[:QUICK_SERIES]
    seeds = 1 if options.quick else options.seeds
    report = Report({"series": len(series), "seeds": seeds})
    for preset in options.presets:
        for start in STARTS:
            tasks = [list(tasks_of(series, preset, start, seed)) for seed in range(seeds)]
            done = in_processes(work, [task for each in tasks for task in each])
            runs = [[one for _ in each for one in next(done)] for each in tasks]
            report.figures |= figures_of(runs, f"{preset}/{start}") if runs[0] else {}
        for folder in options.folders:
            if (folder / "labels").is_dir() and not options.quick:
                report.figures |= nab_figures(folder, preset, seeds)
        for name in [name for name in report.figures if name.startswith(f"{preset}/")]:
            _, start, measure = name.split("/")
            if start != "cold" and (cold := report.figures.get(f"{preset}/cold/{measure}")):
                report.figures[f"{name}_over_cold"] = report.figures[name] / cold
    rows = [f"{preset}/{start}" for preset in options.presets for start in STARTS]
    columns = (
        "provisional",
        "calibrated",
        *(f"error_{n}" for n in FIRST),
        "coverage",
        "alerts",
        "detections",
    )
    report.table(f"{len(series)} series, {seeds} seeds", rows, columns)
    report.table("NAB, alerts", rows, ("nab_shipped", "nab_shipped_sd", "nab_optimised", "nab_optimised_sd"))
    report.write(options.json)
    passed = report.check(REQUIRED)
    return 1 if options.check and not passed else 0


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="NAB's folder, a panel's")
    parser.add_argument("--presets", nargs="+", default=PRESETS, metavar="NAME", help="default: %(default)s")
    parser.add_argument("--seeds", type=int, default=6, metavar="N", help="default: %(default)s")
    sys.exit(main(parser.parse_args()))
