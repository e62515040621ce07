"""The tables of a summary's text: channels, series, events."""

from __future__ import annotations

import math
from collections.abc import Sequence

from streamrnn.connectors.text import printable
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.baselines import ChannelSummary
from streamrnn.pipelines.events import Event, Part
from streamrnn.pipelines.gap_log import GapEvent
from streamrnn.pipelines.race import RACED_CHANNELS
from streamrnn.pipelines.summary import SeriesSummary, Summary
from streamrnn.pipelines.verdict import BASELINE_WORDS
from streamrnn.pipelines.words import count, duration, moment, number, percent, table

__all__ = [
    "NUMERIC",
    "channel_lines",
    "channel_rows",
    "event_lines",
    "event_rows",
    "name_text",
    "series_lines",
    "series_rows",
    "verdict_text",
]

_EVENTS, _SERIES, _CHANNELS = 10, 10, 8  # shown
_GAPS = 3  # of the events
_LONGEST_NAME = 40
_LONGEST_PART = 16
_HARDEST = {**BASELINE_WORDS, "seasonal": "the season before"}
_RATIOS = {"last_value": "/last", "seasonal": "/season", "ewma": "/EWMA", "linear": "/AR"}
NUMERIC = frozenset(  # columns that stand right
    {"strength", "surprise", "actual", "expected", "MAE", "within", "in alerts"}
    | {*_RATIOS.values(), "records", "alerts", "allowed", "gaps"}
)


def name_text(name: str, longest: int = _LONGEST_NAME) -> str:
    """A name from a file, escaped, and cut where it is long."""
    safe = printable(name)
    return safe if len(safe) <= longest else safe[: longest - 3] + "..."


def verdict_text(channel: ChannelSummary, n_series: int) -> str:
    """Who forecasts best, in words."""
    if n_series > 1:
        tied = f", ties in {channel.ties:,}" if channel.ties else ""
        lost = f", loses in {channel.loses:,}" if channel.loses else ""
        return f"best in {channel.wins:,} of {n_series:,} series{tied}{lost}"
    if channel.hardest is None:
        return "too few to tell"
    name = _HARDEST[channel.hardest]
    if channel.ties:
        return f"ties with {name}"
    return f"{name} does better" if channel.loses else "better than all of them"


def _ratio(channel: ChannelSummary, name: str) -> str:
    found = next((b.ratio for b in channel.baselines if b.name == name), math.nan)
    return "-" if math.isnan(found) else f"{found:.2f}"


def channel_rows(summary: Summary, most: int) -> list[list[str]]:
    """A header, then so many channels, those with the largest part in alerts first, with the race of each."""
    channels = sorted(summary.total.channels, key=lambda c: -(c.alert_share if c.alert_share > 0 else 0.0))
    names = [name for name in _RATIOS if any(b.name == name for b in channels[0].baselines)]
    rows = [["channel", "in alerts", "MAE", *(_RATIOS[name] for name in names), "within", "forecast"]]
    for channel in channels[:most]:
        errors = [number(channel.mean_absolute_error), *(_ratio(channel, name) for name in names)]
        rows.append(
            [
                name_text(channel.channel),
                percent(channel.alert_share),
                *errors,
                percent(channel.coverage),
                verdict_text(channel, summary.n_series),
            ]
        )
    return rows


def channel_lines(summary: Summary) -> list[str]:
    """The first channels and their race."""
    channels = summary.total.channels
    more = f"; {_CHANNELS} of {len(channels)} shown, --json has all" if len(channels) > _CHANNELS else ""
    verdicts = _verdicts(channels) if summary.n_series == 1 else "the median of the ratios of all series"
    title = f"Channels: {verdicts}{more}"
    season = f", /season: {duration(summary.season_ns)} before" if summary.season else ""
    asked = percent(summary.settings.coverage)
    few = f" of the first {RACED_CHANNELS}" if len(channels) > RACED_CHANNELS else ""
    others = f"{season}, /AR: linear AR{few}"
    note = f"  (MAE: mean absolute error; /last: to that of the last value{others}; {asked} asked within)"
    return [title, *table(channel_rows(summary, _CHANNELS), numeric=NUMERIC), note]


def _verdicts(channels: list[ChannelSummary]) -> str:
    """On how many channels the forecast is best."""
    words = {"wins": "the forecast is best on {}", "ties": "ties on {}", "loses": "loses on {}"}
    counted = {verdict: sum(getattr(channel, verdict) for channel in channels) for verdict in words}
    said = [text.format(counted[verdict]) for verdict, text in words.items() if counted[verdict]]
    return ", ".join(said) or "too few records for a verdict"


def series_rows(summary: Summary, most: int) -> list[list[str]]:
    """A header, then so many series, those with the most alerts first."""
    several = len(summary.settings.channels) > 1
    last = "best on" if several else "/last"
    rows = [["series", "records", "step", "gaps", "alerts", "allowed", "strength", last]]
    return [*rows, *(_series_row(series, several) for series in summary.series[:most])]


def series_lines(summary: Summary) -> list[str]:
    """The first series."""
    shown = min(_SERIES, len(summary.series))
    some = f"; the {shown} with the most alerts" if summary.n_series > shown else ""
    title = (
        f"{count(summary.n_series, 'series', 'series')}{some} (alerts beside those allowed while calibrated)"
    )
    return [title, *table(series_rows(summary, _SERIES), numeric=NUMERIC | {"best on"})]


def _series_row(series: SeriesSummary, several: bool) -> list[str]:
    steps = series.steps
    best = sum(channel.wins for channel in series.channels)
    return [
        name_text(series.key),
        f"{series.records:,}",
        duration(steps.typical_ns) if steps.typical_ns else "-",
        f"{steps.gaps:,}",
        f"{series.n_alerts:,}",
        f"{series.false_alarms.expected:.3g}" if series.false_alarms.calibrated else "-",
        "-" if math.isnan(series.strength) else f"{series.strength:.2f}",
        f"{best} of {len(series.channels)}" if several else _ratio(series.channels[0], "last_value"),
    ]


def event_lines(summary: Summary) -> list[str]:
    """The strongest events and the longest gaps."""
    gaps = summary.gaps[:_GAPS]
    events = summary.events[: _EVENTS - len(gaps)]
    if not events and not gaps:
        return ["No events."]
    total = summary.total
    alerts = f"{count(total.n_alerts, 'alert')} (events that reached the alert level)"
    title = f"{count(total.n_events, 'event')}, {alerts}"
    if total.n_events > len(events):
        title += f"; the {len(events)} strongest"
    if gaps:
        title += f"; {count(summary.n_silences, 'gap')} of more than 20 steps"
        title += f", the {len(gaps)} longest" if summary.n_silences > len(gaps) else ""
    return [title, *table(event_rows(summary, events, gaps), numeric=NUMERIC)]


def event_rows(summary: Summary, events: Sequence[Event], gaps: Sequence[GapEvent]) -> list[list[str]]:
    """A header, then these events and these gaps."""
    timed = bool(gaps) or any(event.start != NO_TIME for event in events)
    several = len(summary.settings.channels) > 1
    header = ["series"] if summary.n_series > 1 else []
    header += ["start", "end"] if timed else ["first", "last"]
    header += [
        "lasted",
        "kind",
        "strength",
        "surprise",
        *(["channel"] if several else []),
        "actual",
        "expected",
    ]
    header += ["also"] if several else []
    steps = {series.code: series.steps.typical_ns for series in summary.series}
    rows = [header, *(_event_row(event, summary, steps, timed, several) for event in events)]
    return [*rows, *(_gap_row(gap, summary, header) for gap in gaps)]


def _event_row(
    event: Event, summary: Summary, steps: dict[int, float], timed: bool, several: bool
) -> list[str]:
    cells = [name_text(summary.keys[event.series], 24)] if summary.n_series > 1 else []
    if timed:
        lasted = event.end - event.start + steps.get(event.series, 0.0)
        cells += [moment(event.start), moment(event.end), duration(lasted)]
    else:
        cells += [f"{event.first:,}", f"{event.last:,}", count(event.records, "record")]
    top, *others = event.parts
    cells += [event.kind, f"{event.strength:.2f}", f"{event.surprise:.1f}"]
    cells += [_part_text(top, summary)] if several else []
    cells += [
        number(top.actual),
        f"{number(top.yhat)} ({number(top.yhat_lower)} to {number(top.yhat_upper)})",
    ]
    return [*cells, ", ".join(_part_text(part, summary) for part in others)] if several else cells


def _gap_row(gap: GapEvent, summary: Summary, header: list[str]) -> list[str]:
    over = gap.end != NO_TIME
    cells = {
        "series": name_text(summary.keys[gap.series], 24),
        "start": moment(gap.start),
        "end": moment(gap.end),
        "lasted": duration(gap.end - gap.start) if over else "to the end",
        "kind": "gap",
        "actual": "none",
        "expected": "records",
    }
    return [cells.get(name, "") for name in header]


def _part_text(part: Part, summary: Summary) -> str:
    share = "" if math.isnan(part.share) else f" {100 * part.share:.0f}%"
    return f"{name_text(summary.settings.channels[part.channel], _LONGEST_PART)}{share}"
