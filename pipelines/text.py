"""A run's summary as text for a terminal: what a person reads in twenty seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.alarms import FalseAlarms, LabelScores
from streamrnn.pipelines.baselines import ChannelSummary
from streamrnn.pipelines.gaps import Steps
from streamrnn.pipelines.race import RACED_CHANNELS
from streamrnn.pipelines.seasons import ForecastSeason, season_text
from streamrnn.pipelines.summary import Summary
from streamrnn.pipelines.tables import channel_lines, event_lines, name_text, series_lines, verdict_text
from streamrnn.pipelines.tally import MISSING, Moment
from streamrnn.pipelines.verdict import BASELINE_WORDS, RACER_WORDS, Racer
from streamrnn.pipelines.words import count, duration, moment, number, percent

__all__ = ["label_facts", "summary_facts", "summary_text", "verdict_facts"]

_SHOWN = 10  # names
_SEASONS = 3  # shown


def summary_text(summary: Summary) -> str:
    """The summary in aligned lines; names are escaped."""
    facts = list(summary_facts(summary))
    width = max(len(label) for label, _ in facts)
    lines = [
        "summary",
        *(f"  {label.ljust(width)}  {fact}".rstrip() for label, fact in facts),
    ]
    if len(summary.settings.channels) > 1:
        lines += ["", *channel_lines(summary)]
    if summary.n_series > 1:
        lines += ["", *series_lines(summary)]
    return "\n".join([*lines, "", *event_lines(summary)])


def _kept(fleet: Mapping[str, Any]) -> str:
    """Where series are, if not all in memory, and how many were forgotten."""
    parts = []
    if fleet.get("in_store"):
        parts.append(f"{fleet['in_memory']:,} in memory, {fleet['in_store']:,} on disk")
    if fleet.get("forgotten"):
        parts.append(f"{fleet['forgotten']:,} forgotten for their silence")
    return f" ({'; '.join(parts)})" if parts else ""


def summary_facts(summary: Summary) -> Iterator[tuple[str, str]]:
    """Labels and what stands beside them."""
    total = summary.total
    yield "records", f"{total.records:,}{_span(summary)}"
    odd = [f"{n:,} {status}" for status, n in list(total.statuses.items())[MISSING:] if n]
    if odd:
        yield "of these", ", ".join(odd)
    if sum(summary.rows.values()) > summary.rows.get("read", 0):
        yield "rows", ", ".join(f"{n:,} {name_text(what)}" for what, n in summary.rows.items() if n)
    if summary.n_series > 1:
        yield "series", f"{summary.n_series:,}{_kept(summary.fleet)}"
        if warning := summary.fleet.get("warning"):
            yield "", f"warning: {warning}"
    elif summary.series and summary.series[0].key:
        yield "series", name_text(summary.series[0].key)
    yield from _step_facts(summary)
    yield "warm-up", _warm_up(summary)
    yield "calibrated", _calibrated(summary)
    yield "false alarms", _asked(summary)
    yield "alarms", _realised(summary)
    if total.false_alarms.provisional:
        yield "", f"{_alarms(total.false_alarms.provisional, total.false_alarms)} before, provisional"
    if total.labels is not None:
        yield from label_facts(total.labels, total.false_alarms)
    if len(total.channels) == 1:
        yield from _channel_facts(total.channels[0], summary)
    yield from _season_facts(summary)
    yield from verdict_facts(summary)
    if summary.season and summary.seasonal_series < summary.n_series:
        kept = f"the first {summary.seasonal_series:,} series alone"
        yield "baseline", f"the season before is kept of {kept}, for more there is no room"


def _names(names: Sequence[str], total: int) -> str:
    """A few names and how many more there are."""
    more = f" and {total - _SHOWN:,} more" if total > _SHOWN else ""
    return ", ".join(map(name_text, names[:_SHOWN])) + more


def _at(place: Moment) -> str:
    time = "" if place.time == NO_TIME else f" ({moment(place.time)})"
    return f"record {place.record:,}{time}"


def _span(summary: Summary) -> str:
    first, last = summary.total.first, summary.total.last
    if first is None or last is None or NO_TIME in (first.time, last.time):
        return ""
    return f", {moment(first.time)} to {moment(last.time)} UTC"


def _step_facts(summary: Summary) -> Iterator[tuple[str, str]]:
    steps = summary.total.steps
    if summary.time is None and not steps.typical_ns:
        yield "times", "none; name the column with --time if there is one"
        return
    if steps.typical_ns:
        low, high = map(duration, steps.range_ns)
        yield "typical step", f"{low if low == high else f'{low} to {high}'}, {_gaps(steps)}"
    odd = [(steps.repeated, "repeated"), (steps.backwards, "earlier than the one before")]
    if any(n for n, _ in odd):
        yield "odd times", ", ".join(f"{n:,} {what}" for n, what in odd if n)


def _gaps(steps: Steps) -> str:
    if not steps.gaps:
        return "no gaps"
    longest = f"{duration(steps.longest_ns)} from {moment(steps.longest_start)}"
    return f"one gap of {longest}" if steps.gaps == 1 else f"{steps.gaps:,} gaps, the longest {longest}"


def _warm_up(summary: Summary) -> str:
    if summary.n_series > 1:
        return f"over in {summary.n_scored:,} of {count(summary.n_series, 'series', 'series')}"
    if summary.total.first_scored is None:
        return "not over: too few records for a first score"
    return f"over at {_at(summary.total.first_scored)}, the first with a score"


def _calibrated(summary: Summary) -> str:
    alarms = summary.total.false_alarms
    left, needed = f"{alarms.normal_left:,}", count(alarms.normal_needed, "normal record")
    if summary.n_series > 1:
        some = f"{summary.n_calibrated:,} of {count(summary.n_series, 'series', 'series')}"
        return f"{some}; the last needs {left} more of {needed}" if alarms.normal_left else some
    if summary.total.first_calibrated is not None:
        return f"from {_at(summary.total.first_calibrated)} on"
    if not alarms.normal_left:
        return "not yet: from the next record on"
    time = alarms.normal_left * summary.total.steps.typical_ns
    about = f" (some {duration(time)})" if time else ""
    return f"not yet: {left} of {needed} are still needed{about}"


def _asked(summary: Summary) -> str:
    alarms, given = summary.total.false_alarms, summary.settings.false_alarms
    each = " of each series" if summary.n_series > 1 else ""
    if alarms.counts == "events":
        known = alarms.level == alarms.level  # of several series, only where one is calibrated
        level = f" (p at or under {alarms.level:.3g} to start with)" if known else ""
        return f"{alarms.asked} asked{each}{level}"
    if isinstance(given, str) and "/" in given:
        return f"{given} needs times, which are not known; {alarms.asked} of normal records instead"
    return f"{alarms.asked} of normal records asked"


def _alarms(n: int, alarms: FalseAlarms) -> str:
    return count(n, "alert" if alarms.counts == "events" else "alarm")


def _realised(summary: Summary) -> str:
    alarms = summary.total.false_alarms
    if not alarms.calibrated:
        return "none counted: no record is calibrated yet"
    came = _alarms(alarms.realised, alarms)
    if alarms.counts == "events":
        _, budget = summary.settings.alarm_rate()
        over = f"in {duration(alarms.expected / budget)} calibrated"
    else:
        over = (
            f"in {count(alarms.calibrated, 'calibrated record')} ({alarms.realised / alarms.calibrated:.3g})"
        )
    return f"{came} {over}, {alarms.expected:.3g} allowed; {_compared(alarms)}"


def _compared(alarms: FalseAlarms) -> str:
    """Whether as many came as were asked for, as far as can be told."""
    if not alarms.enough:
        return "too few records to tell"
    low, high = alarms.realised_low, alarms.realised_high
    than = "more than" if alarms.expected < low else "fewer than" if alarms.expected > high else "as"
    return f"{than} asked (95% interval {low:.2g} to {high:.2g})"


def label_facts(labels: LabelScores, alarms: FalseAlarms) -> Iterator[tuple[str, str]]:
    """What was found of the labelled windows."""
    unscored = labels.windows - labels.scored
    before = f"; {unscored:,} more ended before the first score" if unscored else ""
    found = f"{labels.found:,} of {count(labels.scored, 'labelled window')} found"
    yield "labels", f"{found}, {labels.alerted:,} by an alert{before}"
    if labels.found:
        late = "" if labels.delay_s != labels.delay_s else f" ({duration(1e9 * labels.delay_s)})"
        yield "delay", f"{labels.delay_records:.3g} records{late} to the first detection, on average"
    if labels.alerts:
        right = f"{labels.true_alerts:,} of {count(labels.alerts, 'alert')} overlapping a window"
        yield "precision", f"{percent(labels.precision)}: {right}"
    if labels.unlabelled:
        came = f"{_alarms(labels.false_alarms, alarms)} in {count(labels.unlabelled, 'calibrated record')}"
        rate = f"({labels.false_alarm_rate:.3g}) outside of windows"
        yield "false", f"{came} {rate}, {labels.false_alarms_expected:.3g} allowed"


def _channel_facts(channel: ChannelSummary, summary: Summary) -> Iterator[tuple[str, str]]:
    if not channel.compared:
        yield "forecast", "nothing to compare yet"
        return
    asked = percent(summary.settings.coverage)
    within = f"{percent(channel.coverage)} of values within intervals ({asked} asked)"
    one = summary.n_series == 1
    error = f"mean absolute error {number(channel.mean_absolute_error)}; " if one else ""
    yield "forecast", f"{error}{within}"
    raced = [baseline for baseline in channel.baselines if baseline.compared]
    if raced:
        season = f" ({duration(summary.season_ns)})"
        names = {**BASELINE_WORDS, "seasonal": f"{BASELINE_WORDS['seasonal']}{season}"}
        parts = ", ".join(f"{baseline.ratio:.2f} of {names[baseline.name]}" for baseline in raced)
        median = "" if one else "its error is, in the median, "
        yield "", f"{median}{parts}: {verdict_text(channel, summary.n_series)}"


def _season_facts(summary: Summary) -> Iterator[tuple[str, str]]:
    """The seasons by which channels are forecast, of the first few that have one."""
    known: list[tuple[str, ForecastSeason]] = []
    for series in summary.series:
        for channel in series.channels:
            names = [series.key] if summary.n_series > 1 else []
            names += [channel.channel] if len(series.channels) > 1 else []
            if channel.forecast_season is not None:
                known.append((" ".join(map(name_text, names)), channel.forecast_season))
    label = "season"
    for name, season in known[:_SEASONS]:
        yield label, f"{name}: {season_text(season)}" if name else season_text(season)
        label = ""
    if len(known) > _SEASONS:
        yield "", f"and of {len(known) - _SEASONS:,} more channels; --json has them"


def verdict_facts(summary: Summary) -> Iterator[tuple[str, str]]:
    """What simple racers raised beside the detector, and whether the networks earn their keep."""
    detector, *simple = summary.race
    if summary.total.labels is not None and detector.windows:
        told = [f"{RACER_WORDS[racer.name]} {_found(racer)}" for racer in simple]
        yield "race", f"windows found, false alerts: {_found(detector)}; {'; '.join(told)}"
    elif detector.alerts:
        told = [f"{RACER_WORDS[one.name]} {one.shared:,} (and {one.own:,} more)" for one in simple]
        yield "race", f"{count(detector.alerts, 'alert')}, also raised by: {', '.join(told)}"
    bounds = [(summary.raced_series, summary.n_series, "series")]
    bounds.append((RACED_CHANNELS, len(summary.settings.channels), "channels"))
    if limits := [f"the first {most:,} {what}" for most, there, what in bounds if there > most]:
        yield "limits", f"alerts, and linear AR, race on {' and '.join(limits)} alone"
    yield "verdict", f"forecast: {summary.verdict.forecast_text}"
    yield "", f"detection: {summary.verdict.detection_text}"


def _found(racer: Racer) -> str:
    return f"{racer.found:,}, {racer.false_alerts:,}"
