"""A picture of a run: values with their forecasts, surprise with its level, status."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from streamrnn.connectors.text import printable
from streamrnn.errors import SettingsError
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.events import Event
from streamrnn.pipelines.kept import KeptRows, SeriesRows
from streamrnn.pipelines.view import View, interrupted, reined, shifted, span_of, view_of
from streamrnn.pipelines.words import count
from streamrnn.records import STATUSES, Float64Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Mark", "draw", "save"]

# Okabe and Ito (2008): told apart with any kind of colour vision.
_VALUE, _FORECAST, _EVENT, _KNOWN = "#222222", "#0072B2", "#D55E00", "#CC79A7"
_STATUS_COLOURS = {
    "warming": "#BDBDBD",
    "provisional": "#F0E442",
    "calibrated": "#009E73",
    "missing": "#FFFFFF",
}
_PANELS = 8  # channels that fit on one page
_LABELS = 12  # events whose strength is written out
_LABEL_ROOM = 0.03  # of the width, that two of them need
_LONGEST_NAME = 70
_FONT = 9.0
# inches
_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM, _SPACE = 13.0, 0.95, 0.2, 0.75, 0.75, 0.14


@dataclass(frozen=True)
class Mark:
    """A span that is known, to be drawn over the values; ns UTC."""

    label: str
    start: int
    end: int


def save(figure: Figure, path: Path) -> None:
    """Write a figure to a file; SettingsError where that is impossible."""
    try:
        with warnings.catch_warnings():
            # Names in scripts that the font lacks become boxes; that is said by the picture itself.
            warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
            figure.savefig(path, dpi=110)
    except OSError as error:
        raise SettingsError(f"cannot write {printable(str(path))}: {error.strerror}") from None


def draw(
    kept: KeptRows,
    events: Sequence[Event],
    *,
    title: str,
    n_events: int,
    coverage: float,
    keys: Sequence[str] = ("",),
    marks: Sequence[Mark] = (),
) -> Figure:
    """The picture of a run: of several series, the one with the strongest event.

    Parameters
    ----------
    kept : KeptRows
    events : sequence of Event
        The strongest first; the first few are labelled with their strength.
    title : str
        Drawn as it is, never as a formula.
    n_events : int
        How many events there were, should these be only some.
    coverage : float
        Share of values that the intervals are to hold.
    keys : sequence of str
        Names of the series by their codes.
    marks : sequence of Mark
        Spans to point out.
    """
    code = next((event.series for event in events if event.series < kept.n_kept), 0)
    own = [event for event in events if event.series == code]
    channels = _shown_channels(len(kept.channels), own)
    rows = kept.series(code)
    view = view_of(rows)
    figure, axes = _panels(len(channels))
    for ax, d in zip(axes, channels, strict=False):
        _draw_channel(ax, view, rows.channel(d)[:, view.rows])
        ax.set_ylabel(_safe(kept.channels[d], 22), parse_math=False, fontsize=_FONT)
    _draw_surprise(axes[-2], view, rows)
    for ax in axes[:-1]:
        _draw_events(ax, view, own)
        ax.tick_params(labelbottom=False, labelsize=_FONT - 1)
    _label_events(axes[0], view, own)
    if view.timed:
        _draw_marks(axes[0], view, marks)
    _draw_status(axes[-1], view, rows)
    _set_x(axes[-1], view)
    figure.align_ylabels(axes[:-1])
    notes = [*_series_note(kept, keys[code], bool(own)), *_notes(kept, rows, channels)]
    if n_events > len(events):
        notes.append(f"events: those of the {len(events)} strongest of {n_events:,}")
    _head(figure, "\n".join([_safe(title), *(["; ".join(notes)] if notes else [])]), coverage, bool(marks))
    return figure


def _shown_channels(count: int, events: Sequence[Event]) -> list[int]:
    """The channels that fit, in order: those with the largest shares in the events."""
    shares = np.zeros(count)
    for event in events:
        for part in event.parts:
            if part.channel < count:
                shares[part.channel] += np.nan_to_num(part.share)
    shown: list[int] = np.sort(np.argsort(-shares, kind="stable")[:_PANELS]).tolist()
    return shown


def _panels(panels: int) -> tuple[Figure, list[Axes]]:
    """An empty figure: panels for the channels, then surprise, then status."""
    from matplotlib.figure import Figure

    heights = [max(1.9, 4.0 - 0.6 * panels)] * panels + [1.6, 0.22]
    figure = Figure(figsize=(_WIDTH, sum(heights) + _SPACE * (panels + 1) + _TOP + _BOTTOM))
    height = figure.get_figheight()
    grid = figure.add_gridspec(
        panels + 2,
        1,
        height_ratios=heights,
        hspace=_SPACE * (panels + 2) / sum(heights),  # in units of the mean height
        left=_LEFT / _WIDTH,
        right=1.0 - _RIGHT / _WIDTH,
        top=1.0 - _TOP / height,
        bottom=_BOTTOM / height,
    )
    axes = [figure.add_subplot(grid[0])]
    axes += [figure.add_subplot(grid[i], sharex=axes[0]) for i in range(1, panels + 2)]
    return figure, axes


def _safe(text: str, longest: int = _LONGEST_NAME) -> str:
    safe = printable(text)
    return safe if len(safe) <= longest else safe[: longest - 3] + "..."


def _draw_channel(ax: Axes, view: View, channel: Float64Array) -> None:
    low, high, forecasts = reined(channel)
    x, lowest, highest, yhat, lower, upper = interrupted(view, *channel[:2], *forecasts)
    ax.fill_between(x, lower, upper, color=_FORECAST, alpha=0.22, linewidth=0)
    ax.plot(x, yhat, color=_FORECAST, linewidth=0.9)
    # Through the smallest and the largest value of each row, which are one where nothing is thinned.
    ax.plot(np.repeat(x, 2), np.column_stack([lowest, highest]).ravel(), color=_VALUE, linewidth=0.9)
    known = ~np.isnan(lowest)
    alone = known & ~shifted(known, 1) & ~shifted(known, -1)
    ax.plot(x[alone], lowest[alone], ".", color=_VALUE, markersize=2.5 if len(x) > 50 else 5)
    for outside, edge, arrow in ((highest > high, high, "^"), (lowest < low, low, "v")):
        places = x[outside]
        ax.plot(places, np.full(len(places), edge), marker=arrow, color=_VALUE, linestyle="", clip_on=False)
    ax.set_ylim(low, high)
    ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)


def _draw_surprise(ax: Axes, view: View, kept: SeriesRows) -> None:
    surprise = kept.column("surprise")[view.rows]
    level = -np.log10(kept.column("level")[view.rows])
    x, y, threshold = interrupted(view, surprise, level)
    ax.plot(x, y, color=_VALUE, linewidth=0.8)
    ax.plot(x, threshold, color=_EVENT, linewidth=1.0, linestyle="--")
    hits = kept.column("is_anomaly")[view.rows] > 0.0
    ax.plot(view.x[hits], surprise[hits], "o", color=_EVENT, markersize=4)
    known = np.concatenate([y, threshold])
    known = known[~np.isnan(known)]
    ax.set_ylim(0.0, 1.15 * max(known.max(), 1.0) if len(known) else 1.0)
    ax.set_ylabel("surprise\n(-log10 p)", fontsize=_FONT)
    ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)


def _draw_events(ax: Axes, view: View, events: Sequence[Event]) -> None:
    for event in events:
        if view.timed and NO_TIME in (event.start, event.end):
            continue
        left, right = span_of(view, (event.start, event.first), (event.end, event.last))
        ax.axvspan(left, right, facecolor=_EVENT, alpha=0.2, edgecolor=_EVENT, linewidth=0.8)


def _label_events(ax: Axes, view: View, events: Sequence[Event]) -> None:
    """Write strengths above the panel, the strongest first, where there is room."""
    if not len(view.x):
        return
    room = _LABEL_ROOM * (view.x[-1] - view.x[0])
    taken: list[float] = []
    for event in events[:_LABELS]:
        if view.timed and NO_TIME in (event.start, event.end):
            continue
        middle = 0.5 * (view.at(event.start, event.first) + view.at(event.end, event.last))
        if all(abs(middle - other) >= room for other in taken):
            taken.append(middle)
            ax.annotate(
                f"{event.strength:.2f}",
                (middle, 1.0),
                (0, 3),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="center",
                color=_EVENT,
                fontsize=_FONT,
            )


def _draw_marks(ax: Axes, view: View, marks: Sequence[Mark]) -> None:
    for mark in marks:
        left, right = span_of(view, (mark.start, 0), (mark.end, 0))
        ax.axvspan(left, right, 0.955, 0.985, facecolor=_KNOWN, edgecolor=_KNOWN, linewidth=1.5)
        ax.annotate(
            _safe(mark.label),
            (0.5 * (left + right), 0.945),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="top",
            color="#8C3E6B",  # the same, dark enough to read
            fontsize=_FONT - 1,
            parse_math=False,
        )


def _draw_status(ax: Axes, view: View, kept: SeriesRows) -> None:
    """A ribbon of the records' status, with its legend below."""
    from matplotlib.patches import Patch

    status = kept.column("status")[view.rows].astype(np.int64)
    ax.set_yticks([])
    ax.set_ylim(0, 1)
    if not len(status):
        return
    starts = np.flatnonzero(np.diff(status, prepend=-1))
    edges = np.append(view.x[starts], view.x[-1] + view.step) - 0.5 * view.step
    for code in np.unique(status):
        runs = np.flatnonzero(status[starts] == code)
        spans = [(edges[i], edges[i + 1] - edges[i]) for i in runs]
        ax.broken_barh(spans, (0, 1), facecolor=_STATUS_COLOURS[STATUSES[code]], linewidth=0)
    names = [STATUSES[code] for code in np.unique(status)]
    colours = _STATUS_COLOURS
    patches = [Patch(facecolor=colours[n], edgecolor="#888888", linewidth=0.5, label=n) for n in names]
    ax.set_ylabel("status", fontsize=_FONT, rotation=0, ha="right", va="center")
    ax.figure.legend(handles=patches, loc="lower right", ncols=4, fontsize=_FONT, frameon=False)


def _set_x(ax: Axes, view: View) -> None:
    ax.tick_params(labelsize=_FONT)
    if len(view.x):
        ax.set_xlim(view.x[0] - 0.5 * view.step, view.x[-1] + 0.5 * view.step)
    if not view.timed:
        ax.locator_params(axis="x", integer=True)
    else:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator()  # type: ignore[no-untyped-call]
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    ax.set_xlabel("time (UTC)" if view.timed else "record", fontsize=_FONT)


def _series_note(kept: KeptRows, key: str, has_events: bool) -> list[str]:
    """Which of how many series is shown."""
    if kept.n_series == 1:
        return [f"series {_safe(key, 30)}"] if key else []
    if not has_events:
        return [f"series {_safe(key, 30)}, the first of {kept.n_series:,}: there are no events"]
    first = "" if kept.n_kept == kept.n_series else f"the first {kept.n_kept:,} of "
    return [f"series {_safe(key, 30)}, that of the strongest event of {first}{kept.n_series:,}"]


def _notes(kept: KeptRows, rows: SeriesRows, channels: Sequence[int]) -> list[str]:
    """What is not in the picture."""
    notes = []
    if rows.stride > 1:
        notes.append(f"of every {rows.stride:,} records the range of values and the most surprising one")
    left_out = [name for d, name in enumerate(kept.channels) if d not in channels]
    if left_out:
        names = ", ".join(_safe(name, 20) for name in left_out[:4])
        dots = ", ..." if len(left_out) > 4 else ""
        notes.append(f"not shown: {count(len(left_out), 'channel')} ({names}{dots})")
    return notes


def _head(figure: Figure, title: str, coverage: float, known: bool) -> None:
    """The title, and what the lines mean."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    figure.suptitle(
        title,
        x=0.008,
        y=1.0 - 0.08 / figure.get_figheight(),
        va="top",
        ha="left",
        fontsize=_FONT + 2,
        parse_math=False,
    )
    handles: list[Any] = [
        Line2D([], [], color=_VALUE, label="value"),
        Line2D([], [], color=_FORECAST, label="forecast"),
        Patch(facecolor=_FORECAST, alpha=0.22, label=f"{coverage:.3g} interval"),
        Patch(facecolor=_EVENT, alpha=0.3, label="event (its strength)"),
        Line2D([], [], color=_EVENT, linestyle="--", label="level"),
        Line2D([], [], color=_EVENT, marker="o", markersize=4, linestyle="", label="detection"),
    ]
    if known:
        handles.append(Patch(facecolor=_KNOWN, label="known episode"))
    figure.legend(handles=handles, loc="upper right", ncols=7, fontsize=_FONT, frameon=False)
