"""A comparison as a table for people, and as rows for programs."""

from __future__ import annotations

import math
from typing import Any

from streamrnn.connectors.base import Columns
from streamrnn.pipelines.compare import Comparison, Contender
from streamrnn.pipelines.tables import name_text
from streamrnn.pipelines.verdict import BASELINE_WORDS
from streamrnn.pipelines.words import count, number, percent, table

__all__ = ["comparison_rows", "comparison_text", "contender_name"]

_DETECTION = ("windows", "found", "true_alerts", "precision", "recall", "f1", "delay_records", "delay_s")


def contender_name(contender: Contender) -> str:
    """What people call it."""
    return BASELINE_WORDS.get(contender.name, contender.name)


def comparison_text(comparison: Comparison) -> str:
    """The comparison for people."""
    values = f"{comparison.compared[1]:,} values of {count(comparison.records, 'record')}"
    series = count(comparison.series, "series", "series")
    title = f"comparison: {values} in {series}, for which every contender had a forecast"
    later = [horizon for horizon in comparison.compared if horizon > 1]
    rows = [["network", "MAE", "/last", *(f"/last h{h}" for h in later), "us", "bytes", "alerts"]]
    if comparison.labelled:
        rows[0] += ["found", "precision", "recall", "F1", "delay"]
    rows += [_row(contender, later, comparison.labelled) for contender in comparison.contenders]
    lines = [title, *table(rows, numeric=frozenset(rows[0][1:]))]
    return "\n".join([*lines, *_notes(comparison, later)])


def _row(contender: Contender, later: list[int], labelled: bool) -> list[str]:
    first, size = contender.errors[1], contender.bytes_per_series
    ratios = [_ratio(contender.errors[horizon].ratio) for horizon in (1, *later)]
    cells = [name_text(contender_name(contender)), number(first.mean_absolute_error), *ratios]
    cells += ["-" if math.isnan(contender.cpu_us) else f"{contender.cpu_us:.1f}"]
    cells += ["-" if size is None else f"{size:,}"]
    cells += ["-" if contender.alerts is None else f"{contender.alerts:,}"]
    return [*cells, *_found(contender)] if labelled else cells


def _found(contender: Contender) -> list[str]:
    found = contender.detection
    if found is None:
        return ["-"] * 5
    rates = [percent(found.precision), percent(found.recall), _ratio(found.f1)]
    delay = "-" if math.isnan(found.delay_records) else f"{found.delay_records:.3g}"
    return [f"{found.found:,} of {found.windows:,}", *rates, delay]


def _ratio(ratio: float) -> str:
    return "-" if math.isnan(ratio) else f"{ratio:.3f}"


def _notes(comparison: Comparison, later: list[int]) -> list[str]:
    """What the columns mean."""
    channels = len(comparison.contenders[0].channels[1])
    each = f", the mean of {channels} channels" if channels > 1 else ""
    several = ", of series the median" if comparison.series > 1 else ""
    ahead = f"; h{later[0]}: {later[0]} records ahead" if later else ""
    season = f"; a season: {count(comparison.season, 'record')}" if comparison.season else ""
    notes = [
        f"  MAE: mean absolute error, one record ahead{each}",
        f"  /last: to that of the last value{several}{ahead}",
        f"  us: CPU time a record, scoring and learning; bytes: state of a series{season}",
    ]
    if comparison.labelled:
        notes.append(
            "  alerts: precision by alerts, recall by labelled windows; delay: records to the first detection"
        )
    return [*notes, _smallest(comparison)]


def _smallest(comparison: Comparison) -> str:
    known = [one for one in comparison.contenders if not math.isnan(one.errors[1].ratio)]
    if not known:
        return "  too few forecasts to compare"
    best = min(known, key=lambda one: one.errors[1].ratio)
    name, ratio = name_text(contender_name(best)), _ratio(best.errors[1].ratio)
    return f"  smallest error: {name}, {ratio} of the last value's"


def comparison_rows(comparison: Comparison) -> Columns:
    """Columns of one row for each contender; an error further ahead is ``mae_h6``."""
    rows = [_columns(contender, comparison.labelled) for contender in comparison.contenders]
    return {name: [row[name] for row in rows] for name in rows[0]}


def _columns(contender: Contender, labelled: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"name": contender.name, "networks": "+".join(contender.networks)}
    for horizon, error in contender.errors.items():
        mark = "" if horizon == 1 else f"_h{horizon}"
        row |= {f"mae{mark}": error.mean_absolute_error, f"ratio{mark}": error.ratio}
    row |= {
        "cpu_us": contender.cpu_us,
        "bytes_per_series": contender.bytes_per_series,
        "alerts": contender.alerts,
    }
    if labelled:
        row |= {name: getattr(contender.detection, name, None) for name in _DETECTION}
    return row
