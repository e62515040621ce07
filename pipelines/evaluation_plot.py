"""A picture of an evaluation: how often small p-values came, and what thresholds would find."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from streamrnn.connectors.text import printable
from streamrnn.pipelines.evaluation import Evaluation
from streamrnn.pipelines.words import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_evaluation"]

# Okabe and Ito (2008), as in the picture of a run.
_MEASURED, _OURS, _ASKED = "#0072B2", "#D55E00", "#666666"
_FONT = 9.0
_TWICE = 2.0  # calibration within this factor is shaded


def draw_evaluation(evaluation: Evaluation, *, title: str) -> Figure:
    """Calibration beside precision and recall.

    Parameters
    ----------
    evaluation : Evaluation
    title : str
        Drawn as it is, never as a formula.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 5.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.suptitle(printable(title)[:100], ha="left", x=0.01, fontsize=_FONT + 2, parse_math=False)
    _draw_calibration(left, evaluation)
    _draw_precision_recall(right, evaluation)
    for ax in (left, right):
        ax.tick_params(labelsize=_FONT)
        ax.grid(color="#DDDDDD", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.legend(fontsize=_FONT, frameon=False, loc="best")
    return figure


def _draw_calibration(ax: Axes, evaluation: Evaluation) -> None:
    levels = evaluation.calibration
    asked = np.array([level.level for level in levels])
    realised, low, high = (
        asked * np.array([getattr(level, name) for level in levels])
        for name in ("ratio", "ratio_low", "ratio_high")
    )
    ax.plot(asked, asked, color=_ASKED, linestyle="--", linewidth=1.0, label="as asked")
    ax.fill_between(asked, asked / _TWICE, asked * _TWICE, color=_ASKED, alpha=0.15, linewidth=0)
    came, none = realised > 0.0, realised == 0.0
    if came.any():
        bars = [(realised - low)[came], (high - realised)[came]]
        label = "came, with its 95% interval"
        ax.errorbar(asked[came], realised[came], bars, color=_MEASURED, marker="o", capsize=3, label=label)
    if none.any():
        ax.plot(asked[none], high[none], "v", color=_MEASURED, label="none came: at most")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("p-value", fontsize=_FONT)
    ax.set_ylabel("share of normal records at or under it", fontsize=_FONT)
    ax.set_title("calibration (shaded: within a factor of 2)", fontsize=_FONT + 1)


def _draw_precision_recall(ax: Axes, evaluation: Evaluation) -> None:
    several = len(evaluation.curves) > 1
    name = "anomaly_score of each series" if several else "anomaly_score"
    label = f"{name}: AUC-PR {evaluation.auc_pr:.2f}, VUS-PR {evaluation.vus_pr:.2f}"
    for i, curve in enumerate(evaluation.curves):
        recall, precision = np.append(0.0, curve.recall), np.append(curve.precision[:1], curve.precision)
        (line,) = ax.plot(recall, precision, color=_MEASURED, drawstyle="steps-pre")
        line.set(linewidth=0.8 if several else 1.4, alpha=0.6 if several else 1.0)
        line.set_label(f"_{i}" if i else label)  # a name with a mark in front is in no legend
    random = f"random: {percent(evaluation.random_auc_pr)}"
    ax.axhline(evaluation.random_auc_pr, color=_ASKED, linestyle="--", linewidth=1.0, label=random)
    if evaluation.precision == evaluation.precision:
        label = f"detections: F1 {evaluation.f1:.2f}, false alarms {percent(evaluation.false_alarm_rate)}"
        ax.plot(evaluation.recall, evaluation.precision, "o", color=_OURS, markersize=8, label=label)
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.02, 1.05)
    ax.set_xlabel("recall", fontsize=_FONT)
    ax.set_ylabel("precision", fontsize=_FONT)
    ax.set_title("records that are labelled", fontsize=_FONT + 1)
