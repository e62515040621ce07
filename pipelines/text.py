"""A run's summary as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streamrnn.connectors.text import printable
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.events import ALERT, Event
from streamrnn.pipelines.summary import ChannelSummary, FalseAlarms, Summary
from streamrnn.pipelines.tally import MISSING, Moment
from streamrnn.pipelines.words import count, duration, moment, number, percent, table

__all__ = ["name_text", "summary_text"]

_SHOWN = 10  # events, and channels
_LONGEST_NAME = 40
_NUMBERS = frozenset({"strength", "surprise", "actual", "expected", "MAE", "last value", "within"})


def summary_text(summary: Summary) -> str:
    """The summary in aligned lines; names are escaped."""
    facts = list(_facts(summary))
    width = max(len(label) for label, _ in facts)
    lines = [summary.title, *(f"  {label.ljust(width)}  {fact}".rstrip() for label, fact in facts)]
    if len(summary.channels) > 1:
        lines += ["", *_channel_lines(summary)]
    return "\n".join([*lines, "", *_event_lines(summary)])


def name_text(name: str) -> str:
    """A name from a file, escaped, and cut where it is long."""
    safe = printable(name)
    return safe if len(safe) <= _LONGEST_NAME else safe[: _LONGEST_NAME - 3] + "..."


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(name_text, names[:_SHOWN])) + more


def _at(place: Moment) -> str:
    time = "" if place.time == NO_TIME else f" ({moment(place.time)})"
    return f"record {place.record:,}{time}"


def _facts(summary: Summary) -> Iterator[tuple[str, str]]:
    """Labels and what stands beside them."""
    yield "records", f"{summary.records:,}{_span(summary)}"
    odd = [f"{n:,} {status}" for status, n in list(summary.statuses.items())[MISSING:] if n]
    if odd:
        yield "of these", ", ".join(odd)
    yield "channels", _names([channel.channel for channel in summary.channels])
    if summary.left_out:
        yield "left out", _names(summary.left_out)
    if summary.time is None:
        yield "times", "none; name the column with --time if there is one"
    elif summary.typical_step:
        yield "typical step", duration(summary.typical_step)
    yield "warm-up", _warm_up(summary)
    yield "calibrated", _calibrated(summary)
    yield "false alarms", _asked(summary)
    yield "alarms", _realised(summary)
    if summary.false_alarms.provisional:
        before = summary.false_alarms.provisional
        yield "", f"{_alarms(before, summary.false_alarms)} before, provisional"
    if len(summary.channels) == 1:
        yield from _channel_facts(summary.channels[0], summary.settings.coverage)


def _span(summary: Summary) -> str:
    first, last = summary.first, summary.last
    if first is None or last is None or NO_TIME in (first.time, last.time):
        return ""
    return f", {moment(first.time)} to {moment(last.time)} UTC"


def _warm_up(summary: Summary) -> str:
    if summary.first_scored is None:
        return "not over: too few records for a first score"
    return f"over at {_at(summary.first_scored)}, the first with a score"


def _calibrated(summary: Summary) -> str:
    alarms = summary.false_alarms
    if summary.first_calibrated is not None:
        return f"from {_at(summary.first_calibrated)} on"
    if not alarms.normal_left:
        return "not yet: from the next record on"
    return (
        f"not yet: {alarms.normal_left:,} of {count(alarms.normal_needed, 'normal record')} are still needed"
    )


def _asked(summary: Summary) -> str:
    alarms, given = summary.false_alarms, summary.settings.false_alarms
    if alarms.counts == "events":
        return f"{alarms.asked} asked (p at or under {alarms.level:.3g} to start with)"
    if isinstance(given, str) and "/" in given:
        return f"{given} needs times, which are not known; {alarms.asked} of normal records instead"
    return f"{alarms.asked} of normal records asked"


def _alarms(n: int, alarms: FalseAlarms) -> str:
    return count(n, "alert" if alarms.counts == "events" else "alarm")


def _realised(summary: Summary) -> str:
    alarms, calibrated = summary.false_alarms, summary.statuses["calibrated"]
    if not calibrated:
        return "none counted: no record is calibrated yet"
    came = _alarms(alarms.realised, alarms)
    if alarms.counts == "events":
        over = f"in {duration(calibrated * summary.typical_step)} calibrated"
    else:
        over = f"in {count(calibrated, 'calibrated record')} ({alarms.realised / calibrated:.3g})"
    few = "" if alarms.enough else "; too few records to tell"
    return f"{came} {over}, {alarms.expected:.3g} allowed{few}"


def _channel_facts(channel: ChannelSummary, asked: float) -> Iterator[tuple[str, str]]:
    if not channel.compared:
        yield "forecast", "nothing to compare yet"
        return
    error, naive = channel.mean_absolute_error, channel.last_value_error
    yield "forecast", f"mean absolute error {number(error)}, of the last value {number(naive)}"
    yield "intervals", f"{percent(asked)} asked, {percent(channel.coverage)} of values within"


def _channel_lines(summary: Summary) -> list[str]:
    rows = [["channel", "MAE", "last value", "within"]]
    for channel in summary.channels[:_SHOWN]:
        errors = (channel.mean_absolute_error, channel.last_value_error)
        rows.append([name_text(channel.channel), *map(number, errors), percent(channel.coverage)])
    asked = percent(summary.settings.coverage)
    title = f"Forecast: mean absolute error, that of the last value, share within intervals ({asked} asked)"
    lines = [title, *table(rows, numeric=_NUMBERS)]
    if len(summary.channels) > _SHOWN:
        lines.append(f"  and {len(summary.channels) - _SHOWN} more channels (--json has all)")
    return lines


def _event_lines(summary: Summary) -> list[str]:
    events = summary.events[:_SHOWN]
    if not events:
        return ["No events."]
    timed = any(event.start != NO_TIME for event in events)
    alerts = f"{count(summary.n_alerts, 'alert')} (detections of strength {ALERT} and up)"
    title = f"{count(summary.n_events, 'event')}, {alerts}"
    if summary.n_events > len(events):
        title += f"; the {len(events)} strongest"
    several = len(summary.channels) > 1
    header = ["start", "end"] if timed else ["first", "last"]
    header += ["lasted", "strength", "surprise", *(["channel"] if several else []), "actual", "expected"]
    rows = [header, *(_event_row(event, summary, timed, several) for event in events)]
    return [title, *table(rows, numeric=_NUMBERS)]


def _event_row(event: Event, summary: Summary, timed: bool, several: bool) -> list[str]:
    if timed:
        lasted = duration(event.end - event.start + summary.typical_step)
        span = [moment(event.start), moment(event.end), lasted]
    else:
        span = [f"{event.first:,}", f"{event.last:,}", count(event.last - event.first + 1, "record")]
    expected = f"{number(event.yhat)} ({number(event.yhat_lower)} to {number(event.yhat_upper)})"
    channel = [name_text(event.channel)] if several else []
    strength = [f"{event.strength:.2f}", f"{event.surprise:.1f}"]
    return [*span, *strength, *channel, number(event.actual), expected]
