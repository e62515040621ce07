"""What stands in the sections of a report: tiles, tables and words, all of it plain text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from streamrnn.connectors.text import printable
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.alarms import FalseAlarms
from streamrnn.pipelines.demo import Verdict as EpisodeVerdict
from streamrnn.pipelines.evaluation import CalibrationLevel
from streamrnn.pipelines.summary import Summary
from streamrnn.pipelines.tables import NUMERIC, channel_rows, series_rows
from streamrnn.pipelines.text import summary_facts
from streamrnn.pipelines.verdict import RACER_WORDS
from streamrnn.pipelines.web.calibration import Calibration
from streamrnn.pipelines.words import count, duration, moment

__all__ = [
    "Fact",
    "Table",
    "Tile",
    "alarms_tile",
    "calibration_table",
    "calibration_text",
    "episodes_table",
    "events_title",
    "facts",
    "forecasts_table",
    "lead",
    "race_table",
    "series_table",
    "settings_table",
    "tiles",
]

_MOST_SERIES, _MOST_CHANNELS = 100, 96
_WHOLE_POWERS = 4  # levels to a power of ten, of which the table shows the first


@dataclass(frozen=True)
class Table:
    """A table with a header; ``numeric`` are the columns that stand right."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[str] = NUMERIC


@dataclass(frozen=True)
class Tile:
    """One figure at a glance; ``tone`` is good, bad or plain."""

    name: str
    value: str
    text: str
    tone: str = "plain"


@dataclass(frozen=True)
class Fact:
    """A line of the summary, and those that follow without a name of their own."""

    name: str
    texts: list[str]


def lead(summary: Summary) -> str:
    """What was read, in one line."""
    total = summary.total
    parts = [count(total.records, "record")]
    if summary.n_series > 1:
        parts.append(count(summary.n_series, "series", "series"))
    parts.append(count(len(summary.settings.channels), "channel"))
    text = ", ".join(parts)
    first, last = total.first, total.last
    if first is None or last is None or NO_TIME in (first.time, last.time):
        return text
    return f"{text}, {moment(first.time)} to {moment(last.time)} UTC"


def tiles(summary: Summary) -> list[Tile]:
    """The figures to look at first."""
    total, verdict = summary.total, summary.verdict
    events = count(total.n_events, "event")
    made = [
        Tile("Alerts", f"{total.n_alerts:,}", f"of {events}; {count(total.detections, 'detection')}"),
        alarms_tile(summary.total.false_alarms),
        _verdict_tile("Forecast", verdict.forecast_earns_keep, verdict.forecast_text),
        _verdict_tile("Detection", verdict.detection_earns_keep, verdict.detection_text),
    ]
    labels = total.labels
    if labels is not None:
        told = f"{count(labels.alerts, 'alert')}, {labels.true_alerts:,} of them in a window"
        made.insert(1, Tile("Labelled windows found", f"{labels.found:,} of {labels.scored:,}", told))
    return made


def alarms_tile(alarms: FalseAlarms) -> Tile:
    """What was asked beside what came."""
    name = "False alarms: asked and came"
    if not alarms.calibrated:
        left = f"; {alarms.normal_left:,} normal records to go" if alarms.normal_left else ""
        return Tile(name, "Too early", f"{alarms.asked} asked; no record is calibrated yet{left}")
    value = f"{alarms.realised:,} of {alarms.expected:.3g} allowed"
    if not alarms.enough:
        return Tile(name, value, f"{alarms.asked} asked; too few records to tell")
    interval = f"in the long run {alarms.realised_low:.2g} to {alarms.realised_high:.2g}"
    tone = "bad" if alarms.expected < alarms.realised_low else "good"
    return Tile(name, value, f"{alarms.asked} asked; {interval} (95%)", tone)


def _verdict_tile(name: str, earns: bool | None, text: str) -> Tile:
    value = {True: "Earns its keep", False: "Does not earn it", None: "Cannot be told"}[earns]
    tone = {True: "good", False: "bad", None: "plain"}[earns]
    return Tile(name, value, f"{text[0].upper()}{text[1:]}.", tone)


def facts(summary: Summary) -> list[Fact]:
    """The summary as a terminal prints it."""
    made: list[Fact] = []
    for name, text in summary_facts(summary):
        if name:
            made.append(Fact(name, [text]))
        else:
            made[-1].texts.append(text)
    return made


def events_title(summary: Summary) -> str:
    """How many events there were and how many are listed."""
    total, listed = summary.total, len(summary.events)
    alerts = f"{count(total.n_alerts, 'alert')} (events that reached the alert level; in bold)"
    parts = [f"{count(total.n_events, 'event')}, {alerts}"]
    if total.n_events > listed:
        parts.append(f"the {listed} strongest are listed and drawn")
    if summary.n_silences:
        some = f", the {len(summary.gaps)} longest listed" if summary.n_silences > len(summary.gaps) else ""
        parts.append(f"{count(summary.n_silences, 'gap')} of more than 20 typical steps{some}")
    return f"{'; '.join(parts)}."


def race_table(summary: Summary) -> Table:
    """What the detector and the simple racers raised."""
    with_labels = summary.total.labels is not None
    header = ["racer", "alerts", "same as ours", "its own"]
    header += ["windows found", "false alerts"] if with_labels else []
    rows = []
    for racer in summary.race:
        ours = racer.name == "detector"
        cells = ["this detector" if ours else RACER_WORDS[racer.name], f"{racer.alerts:,}"]
        cells += ["", ""] if ours else [f"{racer.shared:,}", f"{racer.own:,}"]
        cells += [f"{racer.found:,} of {racer.windows:,}", f"{racer.false_alerts:,}"] if with_labels else []
        rows.append(cells)
    return Table("Alerts at the same false_alarms", header, rows, frozenset(header[1:]))


def forecasts_table(summary: Summary) -> Table:
    """The forecast's error to that of simple ones."""
    header, *rows = channel_rows(summary, _MOST_CHANNELS)
    season = f", /season {duration(summary.season_ns)} earlier" if summary.season else ""
    caption = f"Forecast, mean absolute error: /last is to that of the last value{season}; under 1 is better"
    return Table(caption, header, rows)


def series_table(summary: Summary) -> Table | None:
    """The series with the most alerts; None where there is but one."""
    if summary.n_series < 2:
        return None
    header, *rows = series_rows(summary, _MOST_SERIES)
    some = f"; the {len(rows)} with the most alerts" if summary.n_series > len(rows) else ""
    return Table(f"{count(summary.n_series, 'series', 'series')}{some}", header, rows, NUMERIC | {"best on"})


def calibration_text(calibration: Calibration) -> str:
    """Which records the calibration is of."""
    if not calibration.records:
        return "No record is calibrated yet, so nothing can be said of the p-values."
    which = "without a label" if calibration.labelled else "whether odd or not: nothing is labelled"
    return (
        f"How often p-values came in {count(calibration.records, 'calibrated record')} {which}. "
        "On the dashed line they mean what they say; shaded is half to twice as often."
    )


def calibration_table(levels: Sequence[CalibrationLevel]) -> Table:
    """Whole powers of ten, as far as there are enough records."""
    rows = []
    for level in levels[_WHOLE_POWERS::_WHOLE_POWERS]:
        interval = f"{level.ratio_low:.2g} to {level.ratio_high:.2g}"
        told = [f"{level.ratio:.2f}", interval] if level.enough else ["", "too few records to tell"]
        rows.append([f"{level.level:g}", f"{level.expected:,.1f}", f"{level.realised:,}", *told])
    header = ["p at most", "asked", "came", "ratio", "95% interval"]
    return Table("Records asked for and come", header, rows, frozenset(header[:4]))


def episodes_table(episodes: Sequence[EpisodeVerdict]) -> Table | None:
    """What became of the known episodes of the demonstration."""
    if not episodes:
        return None
    rows = [
        [one.episode.what, moment(one.episode.start), moment(one.episode.end), one.text] for one in episodes
    ]
    found = sum(one.event is not None for one in episodes)
    caption = f"Known episodes: {found} of {len(episodes)} found (times are UTC)"
    return Table(caption, ["episode", "start", "end", "what became of it"], rows)


def settings_table(summary: Summary) -> Table:
    """Every setting of the model."""
    given = summary.settings.to_dict()
    rows = [[name, printable(json.dumps(value, ensure_ascii=False))] for name, value in given.items()]
    return Table("Settings of the detector", ["setting", "value"], rows)
