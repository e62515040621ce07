"""Forecasts of real and simulated series, 1, 4 and 24 records ahead, against last value on the same rows.

DATA_DIR is NAB's folder or one with a folder a set (``forecast``, ``smd``, ``asd``, ``telemanom_uf``); give
one or several. Each forecaster makes one causal pass over each series, with one setting for all. Errors are
mean absolute ones from record 24 on, divided by last value's on the same rows; a group's figure is the mean
over its series, *real* that over the real groups; with several seeds the mean over them, with the standard
deviation of one run (``_std``) beside. Slow forecasters see the first records of one series a group, and
``subset`` sets the others beside them there. Detectors and ``ar_mixture_all`` also see the other channels and
the time of day; the rest see the channel that they forecast alone.

    python benchmarks/forecast.py NAB_DIR SETS_DIR --seeds 5 --json forecast.json
"""

from __future__ import annotations

import multiprocessing
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from common import Report, Requirement, arguments, in_turn
from dynamics import KINDS
from forecast_series import REAL, SIMULATED, Series, real_series, simulated_series, spread_out
from forecasters import FORECASTERS
from mase import HORIZONS, Array, Forecasts, covered, rows_after, rows_from, scaled_errors

COLD_RECORDS, CHANGED_RECORDS = 1000, 200  # what counts as a start, and as just after a change
SUBSET_RECORDS = QUICK_RECORDS = 3000
QUICK_SERIES = 2  # of each group
ROUNDS = 7  # of the timing
BAND = (0.88, 0.92)  # where the coverage of an interval of 90 % should be
JUDGED = "forecast"  # whose coverage is required
WINNER, LOSER = "trained", "frozen"
FROZEN = ("frozen", "frozen_48", "echo")  # the first costs as much as the trained networks, the others less
RATIOS = (
    *((WINNER, frozen) for frozen in FROZEN),
    ("trained_12", "frozen_48"),
    *((name, linear) for name in (WINNER, "forecast") for linear in ("ar_mixture", "ar_mixture_all")),
    *(("forecast", frozen) for frozen in FROZEN),
)

REQUIRED = (
    *(Requirement(f"real/h1/trained_over_{frozen}", "<=", 0.975) for frozen in FROZEN),
    *(Requirement(f"real/h4/trained_over_{frozen}", "<=", 0.985) for frozen in FROZEN),
    *(Requirement(f"real/h24/forecast_over_{frozen}", "<=", 1.0) for frozen in FROZEN),
    *(
        Requirement(f"real/h{h}/{name}_over_ar_mixture", "<=", 0.95)
        for h in (1, 24)
        for name in (WINNER, "forecast")
    ),
    *(Requirement(f"real/coverage/h{h}", ">=", BAND[0]) for h in HORIZONS),
    *(Requirement(f"real/coverage/h{h}", "<=", BAND[1]) for h in HORIZONS),
    *(Requirement(f"real/coverage_within/h{h}", ">=", 0.9) for h in HORIZONS),
)

Task = tuple[str, int, Series, bool]  # forecaster, seed, series, whether it is of the subset
Row = tuple[str, int, str, str, str, float]  # forecaster, seed, group, series, figure, value
_ROW = ["forecaster", "seed", "group", "series", "figure", "value"]


def measured(task: Task) -> list[Row]:
    """Every figure of one pass over one series."""
    name, seed, series, in_subset = task
    found = FORECASTERS[name].forecast(series, seed)
    rows: list[Row] = []
    for channel, forecasts in zip(series.targets, found, strict=True):
        label = f"{series.name}.{series.channels[channel]}" if len(series.targets) > 1 else series.name
        first = in_subset and channel == series.targets[0]
        figures = figures_of_one(series, series.values[:, channel], forecasts, first)
        if FORECASTERS[name].slow:
            figures = {figure: value for figure, value in figures.items() if figure.startswith("subset")}
        rows += [(name, seed, series.group, label, figure, value) for figure, value in figures.items()]
    return rows


def figures_of_one(series: Series, values: Array, forecasts: Forecasts, in_subset: bool) -> dict[str, float]:
    """Errors and coverage of one target, by figure; without those that are not defined."""
    n = len(values)
    windows = {"": rows_from(n)}
    if series.group == SIMULATED:
        windows["after_change/"] = rows_after(n, series.changes, CHANGED_RECORDS)
    else:
        windows["first1000/"] = rows_from(n, end=COLD_RECORDS)
        if in_subset:
            windows["subset/"] = rows_from(n, end=SUBSET_RECORDS)
    found = {name: scaled_errors(values, forecasts.centre, rows) for name, rows in windows.items()}
    found["coverage/"] = covered(values, forecasts, rows_from(n))
    figures = {
        f"{name}h{h}": float(v) for name, each in found.items() for h, v in zip(HORIZONS, each, strict=True)
    }
    return {name: value for name, value in figures.items() if np.isfinite(value)}


def tasks_of(names: Iterable[str], series: Sequence[Series], seeds: int) -> list[Task]:
    """Who runs on what: the slow ones on the start of the first series of each real group."""
    firsts = {
        id(next(s for s in series if s.group == group)) for group in {s.group for s in series} & {*REAL}
    }
    tasks: list[Task] = []
    for name in names:
        forecaster = FORECASTERS[name]
        for seed in range(seeds if forecaster.seeded and not forecaster.slow else 1):
            for one in series:
                first = id(one) in firsts
                if not forecaster.slow:
                    tasks.append((name, seed, one, first))
                elif first:
                    start = replace(one.start(SUBSET_RECORDS), targets=one.targets[:1])
                    tasks.append((name, seed, start, True))
    return tasks


def in_processes(tasks: Sequence[Task], jobs: int) -> Iterator[list[Row]]:
    """What is measured of each task, in their order; here, where there is one job."""
    if jobs == 1:
        yield from map(measured, tasks)
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(measured, tasks, chunksize=4)


def figures_of(rows: Iterable[Row]) -> dict[str, float]:
    """Every figure of the report that comes from errors and intervals."""
    table = pd.DataFrame(list(rows), columns=_ROW)
    real = table["group"].isin(REAL)
    own = table["figure"].str.contains("first1000|subset|after_change")
    table["place"] = np.where(own, "", np.where(real, "real/", f"{SIMULATED}/")) + table["figure"]
    figures = {**_means(table), **_single_means(table), **_within(table[real]), **_wins(table[real])}
    for place in {name.rpartition("/")[0] for name in figures}:
        for upper, lower in RATIOS:
            if f"{place}/{upper}" in figures and f"{place}/{lower}" in figures and "coverage" not in place:
                ratio = figures[f"{place}/{upper}"] / figures[f"{place}/{lower}"]
                figures[f"{place}/{upper}_over_{lower}"] = ratio
    return figures


def _means(table: pd.DataFrame) -> dict[str, float]:
    """Means over a group's series, then over groups, then over seeds; with the spread over seeds."""
    groups = table.groupby(["place", "forecaster", "seed", "group"])["value"].mean()
    runs = groups.groupby(["place", "forecaster", "seed"]).mean()
    over_seeds = runs.groupby(["place", "forecaster"])
    means, spreads = _named(over_seeds.mean()), _named(over_seeds.std().dropna())
    judged = {
        name.rpartition("/")[0]: value
        for name, value in means.items()
        if name.startswith("real/coverage/") and name.endswith(f"/{JUDGED}")
    }
    return {**means, **{f"{name}_std": value for name, value in spreads.items()}, **judged}


def _single_means(table: pd.DataFrame) -> dict[str, float]:
    """Means over seeds of each real group and of each simulated series."""
    plain = table[table["figure"].str.match(r"h\d+$")]
    real = plain["group"].isin(REAL)
    place = np.where(real, plain["group"], f"{SIMULATED}/" + plain["series"]) + "/" + plain["figure"]
    return _named(plain.assign(place=place).groupby(["place", "forecaster"])["value"].mean())


def _within(real: pd.DataFrame) -> dict[str, float]:
    """Share of the series, over all seeds, whose intervals cover as they should."""
    coverage = real[real["figure"].str.startswith("coverage/")]
    within = coverage.assign(
        value=coverage["value"].between(*BAND),
        place="real/" + coverage["figure"].str.replace("/", "_within/"),
    )
    shares = _named(within.groupby(["place", "forecaster"])["value"].mean())
    judged = {k.rpartition("/")[0]: v for k, v in shares.items() if k.endswith(f"/{JUDGED}")}
    return {**shares, **judged}


def _wins(real: pd.DataFrame) -> dict[str, float]:
    """How many real series there are, and on how many of them training lowers the error, seeds averaged."""
    figures = {}
    for horizon in HORIZONS:
        single = real[real["figure"] == f"h{horizon}"]
        pairs = single.pivot_table("value", ["group", "series"], "forecaster")
        figures[f"real/h{horizon}/series"] = float(len(pairs))
        if {WINNER, LOSER} <= set(pairs.columns):
            figures[f"real/h{horizon}/wins"] = float((pairs[WINNER] < pairs[LOSER]).sum())
    return figures


def _named(values: pd.Series[float]) -> dict[str, float]:
    """``place/forecaster`` to value."""
    return {f"{place}/{name}": float(value) for (place, name), value in values.items()}  # type: ignore[misc]


def chosen_series(options: Namespace) -> list[Series]:
    """The real series that there are, and the simulated ones; few and short ones with ``--quick``."""
    real = real_series(options.folders)
    if not real:
        raise SystemExit(
            f"no series in {', '.join(map(str, options.folders))}: give NAB's folder, or one of sets"
        )
    if not options.quick:
        return [*real, *simulated_series()]
    groups = [[series for series in real if series.group == group] for group in REAL]
    few = [one for group in groups for one in spread_out(group, QUICK_SERIES)]
    return [one.start(QUICK_RECORDS) for one in (*few, *simulated_series())]


def available(names: Sequence[str]) -> list[str]:
    """Those forecasters that can run here; says of the others why not."""
    reasons = {name: FORECASTERS[name].missing() for name in names}
    for name, reason in reasons.items():
        if reason is not None:
            print(f"left out: {name}: {reason}")
    return [name for name, reason in reasons.items() if reason is None]


def printed(report: Report, names: Sequence[str]) -> None:
    """The tables: a line a forecaster, a column what it was measured on."""
    figures = report.figures
    tables = {
        f"mean of the real groups, {figures['real/h1/series']:.0f} series": [
            *(f"real/h{h}" for h in HORIZONS),
            "first1000/h1",
            "us",
        ],
        "groups, h = 1": [f"{group}/h1" for group in REAL],
        "simulated, h = 1": [f"{SIMULATED}/{kind}/h1" for kind in KINDS],
        "simulated": [*(f"{SIMULATED}/h{h}" for h in HORIZONS), *(f"after_change/h{h}" for h in HORIZONS)],
        f"the first {SUBSET_RECORDS} records of one series a group": [f"subset/h{h}" for h in HORIZONS],
        "coverage of intervals of 90 %, and share of series within": [
            f"real/{what}/h{h}" for what in ("coverage", "coverage_within") for h in HORIZONS
        ],
    }
    places = {column for columns in tables.values() for column in columns}
    turned = Report({f"{n}/{p}": figures[f"{p}/{n}"] for p in places for n in names if f"{p}/{n}" in figures})
    for title, columns in tables.items():
        turned.table(title, names, columns)
    print("\nratios")
    for name in sorted(
        name for name in figures if name.startswith(("real/", "first1000/")) and "_over_" in name
    ):
        print(f"{name:44}{figures[name]:8.3f}")
    for h in HORIZONS:
        if f"real/h{h}/wins" in figures:
            wins, count = figures[f"real/h{h}/wins"], figures[f"real/h{h}/series"]
            print(f"h = {h}: {WINNER} lower than {LOSER} on {wins:.0f} of {count:.0f} real series")


def main(options: Namespace) -> int:
    """Measure, print, write."""
    names = available(options.only or list(FORECASTERS))
    seeds = 1 if options.quick else options.seeds
    series = chosen_series(options)
    tasks = tasks_of(names, series, seeds)
    rows = [row for found in in_processes(tasks, options.jobs) for row in found]
    if options.each is not None:
        pd.DataFrame(rows, columns=_ROW).to_csv(options.each, index=False)
    report = Report({"seeds": seeds, **figures_of(rows)})
    times = in_turn([FORECASTERS[name].timed(name) for name in names], rounds=1 if options.quick else ROUNDS)
    report.figures |= {f"us/{name}": time * 1e-3 for name, time in times.items()}
    printed(report, names)
    report.write(options.json)
    passed = report.check(REQUIRED)
    return 1 if options.check and not passed else 0


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="DATA_DIR", help="NAB's, or one of sets")
    parser.add_argument(
        "--seeds", type=int, default=1, metavar="N", help="runs with seeds 0 to N - 1 (default: 1)"
    )
    parser.add_argument("--only", nargs="+", choices=FORECASTERS, metavar="NAME", help=", ".join(FORECASTERS))
    parser.add_argument("--each", type=Path, metavar="FILE", help="write the figures of each series, as CSV")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default: 1)")
    sys.exit(main(parser.parse_args()))
