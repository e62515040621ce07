"""A picture of a comparison: how well each forecasts, beside what it costs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from streamrnn.connectors.text import printable
from streamrnn.pipelines.compare import AUTOREGRESSION, Comparison, Contender
from streamrnn.pipelines.compare_text import contender_name
from streamrnn.pipelines.tables import name_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_comparison"]

# Okabe and Ito (2008), as in the picture of a run.
_NETWORK, _SIMPLE, _LATER = "#0072B2", "#999999", ("#D55E00", "#009E73", "#CC79A7", "#E69F00")
_FONT = 9.0
_ROW_IN = 0.34  # height of a contender
_WIDEST = 2.5  # times the last value's error; more would leave no room to tell the others apart


def draw_comparison(comparison: Comparison) -> Figure:
    """Bars of a row each: error to that of the last value, CPU time, memory and, with labels, F1.

    Parameters
    ----------
    comparison : Comparison
    """
    from matplotlib.figure import Figure

    rows = comparison.contenders
    panels = 4 if comparison.labelled else 3
    figure = Figure(figsize=(3.2 * panels + 2.0, 1.6 + _ROW_IN * len(rows)), layout="constrained")
    axes = figure.subplots(1, panels, sharey=True)
    title = f"{printable(comparison.title)[:80]}: {comparison.records:,} records"
    figure.suptitle(title, ha="left", x=0.01, fontsize=_FONT + 2, parse_math=False)
    _draw_errors(axes[0], comparison)
    _bars(axes[1], rows, [one.cpu_us for one in rows], "CPU time of a record, us")
    _bars(axes[2], rows, [(one.bytes_per_series or math.nan) / 1e3 for one in rows], "state of a series, KB")
    if comparison.labelled:
        _bars(axes[3], rows, [math.nan if one.detection is None else one.detection.f1 for one in rows], "F1")
        axes[3].set_xlim(0.0, 1.1)
    axes[0].set_yticks(range(len(rows)), [name_text(contender_name(one)) for one in rows], parse_math=False)
    axes[0].invert_yaxis()
    for ax in axes:
        ax.tick_params(labelsize=_FONT)
        ax.grid(axis="x", color="#DDDDDD", linewidth=0.6)
        ax.set_axisbelow(True)
    return figure


def _draw_errors(ax: Axes, comparison: Comparison) -> None:
    rows = comparison.contenders
    ratios = [one.errors[1].ratio for one in rows]
    later = [horizon for horizon in comparison.compared if horizon > 1]
    cut = f" (cut at {_WIDEST})" if max(ratios) > _WIDEST else ""
    ends = np.fmin(np.fmax.reduce([[e.ratio for e in one.errors.values()] for one in rows], axis=1), _WIDEST)
    _bars(ax, rows, ratios, f"error to that of the last value{cut}", ends.tolist())
    for horizon, color in zip(later, _LATER, strict=False):
        marks = np.fmin([one.errors[horizon].ratio for one in rows], _WIDEST)
        ax.plot(marks, range(len(rows)), "D", color=color, markersize=5, label=f"{horizon} records ahead")
    ax.axvline(1.0, color="#666666", linestyle="--", linewidth=1.0)
    if later:
        ax.legend(fontsize=_FONT - 1, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def _bars(
    ax: Axes, rows: list[Contender], values: list[float], what: str, ends: list[float] | None = None
) -> None:
    """A bar for each value, which is written at its end, or at those that are given."""
    ends = values if ends is None else ends
    simple = [not one.networks or one.name == AUTOREGRESSION for one in rows]
    colors = [_SIMPLE if plain else _NETWORK for plain in simple]
    longest = max((end for end in ends if math.isfinite(end)), default=0.0)
    widths = np.nan_to_num(np.minimum(values, longest))  # no bar where there is no value
    ax.barh(range(len(rows)), widths, color=colors, height=0.7)
    for y, (value, end) in enumerate(zip(values, ends, strict=True)):
        if math.isfinite(value):
            ax.annotate(
                f"{value:.3g}", (end, y), (7, 0), textcoords="offset points", va="center", fontsize=_FONT
            )
    ax.margins(x=0.18)
    ax.set_xlabel(what, fontsize=_FONT)
