"""What a run found, in numbers: the object that is printed as text or as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from streamrnn.kernels import tally as kernel
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.alarms import FalseAlarms, LabelScores, false_alarms, label_scores, total_alarms
from streamrnn.pipelines.baselines import ChannelSummary, channel_summaries
from streamrnn.pipelines.events import Event
from streamrnn.pipelines.gap_log import GapEvent, GapLog
from streamrnn.pipelines.gaps import Steps, steps_of, total_steps
from streamrnn.pipelines.seasons import forecast_seasons
from streamrnn.pipelines.tally import CALIBRATED, PROVISIONAL, Counts, Moment, Tally
from streamrnn.pipelines.verdict import Racer, Verdict, racers, verdict
from streamrnn.pipelines.words import iso
from streamrnn.records import STATUSES, Float64Array
from streamrnn.result import Season
from streamrnn.settings import Settings

__all__ = ["MOST_SERIES", "SeriesSummary", "Summary", "for_json", "record_id", "summarise"]

MOST_SERIES = 1000  # that a summary describes one by one

Seasons = Callable[[int], Sequence[Season | None]]


@dataclass(frozen=True)
class SeriesSummary:
    """What was found in one series, or in all together.

    Attributes
    ----------
    code : int
        -1 for all together.
    key : str
        Its name; empty for a series without one and for all together.
    records : int
    statuses : dict of str to int
        Records of each status.
    steps : Steps
    first, last, first_scored, first_calibrated : Moment or None
        Of several series together the last two are None.
    false_alarms : FalseAlarms
    labels : LabelScores or None
        None where there were no labels.
    channels : list of ChannelSummary
    detections : int
        Records with ``is_anomaly``.
    n_events, n_alerts : int
        All events; those that reached the alert level.
    strength, surprise : float
        The largest alert_strength and -log10 p; NaN: nothing was scored.
    """

    code: int
    key: str
    records: int
    statuses: dict[str, int]
    steps: Steps
    first: Moment | None
    last: Moment | None
    first_scored: Moment | None
    first_calibrated: Moment | None
    false_alarms: FalseAlarms
    labels: LabelScores | None
    channels: list[ChannelSummary]
    detections: int
    n_events: int
    n_alerts: int
    strength: float
    surprise: float

    def to_dict(self) -> dict[str, Any]:
        """Everything but code and key, by name."""
        moments = ("first", "last", "first_scored", "first_calibrated")
        same = ("records", "statuses", "detections", "n_events", "n_alerts", "strength", "surprise")
        steps = self.steps
        return {
            **{name: getattr(self, name) for name in same},
            **{name: _moment_dict(getattr(self, name)) for name in moments},
            "typical_step_s": steps.typical_ns / 1e9 or None,
            "gaps": {
                "count": steps.gaps,
                "longest_s": steps.longest_ns / 1e9 or None,
                "longest_start": _time(steps.longest_start),
                "repeated_times": steps.repeated,
                "backward_times": steps.backwards,
            },
            "false_alarms": asdict(self.false_alarms),
            "labels": None if self.labels is None else asdict(self.labels),
            "channels": [channel.to_dict() for channel in self.channels],
        }


@dataclass(frozen=True)
class Summary:
    """What a run found.

    Attributes
    ----------
    title : str
        What people call what was read.
    keys : sequence of str
        Names of the series by their codes; a single one without a key has the name "".
    partition_names : sequence of str
        What the ids of a partition's records start with.
    input : mapping
        How the records were read; of types that JSON knows.
    rows : mapping of str to int
        What became of the rows that were read.
    time : str or None
        Name of the time column.
    left_out : tuple of str
        Columns that are neither time nor value.
    n_series, n_scored, n_calibrated : int
        How many series there were, and of how many a record was scored, was calibrated.
    season, season_ns : int, float
        Records of a season and its length, for the seasonal baseline; 0: none.
    seasonal_series : int
        Of so many series, the first, it was kept.
    raced_series : int
        Of so many series, the first, alerts were raced.
    race : list of Racer
    verdict : Verdict
    total : SeriesSummary
        All series together.
    series : list of SeriesSummary
        At most ``MOST_SERIES``: those with the most alerts, and of as many the strongest, first.
    events : list of Event
        The strongest of the run, in order.
    gaps : list of GapEvent
        The longest silences of the run, in order.
    n_silences : int
        Events of kind gap: a series said nothing for more than 20 of its typical steps.
    settings : Settings
    fleet : mapping
        Where the states of series are and what became of them; what ``warning`` says, if anything.
    """

    title: str
    keys: Sequence[str]
    partition_names: Sequence[str]
    input: Mapping[str, Any]
    rows: Mapping[str, int]
    time: str | None
    left_out: tuple[str, ...]
    n_series: int
    n_scored: int
    n_calibrated: int
    season: int
    season_ns: float
    seasonal_series: int
    raced_series: int
    race: list[Racer]
    verdict: Verdict
    total: SeriesSummary
    series: list[SeriesSummary]
    events: list[Event]
    gaps: list[GapEvent]
    n_silences: int
    settings: Settings
    fleet: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Everything, of types that JSON knows: times as ISO 8601 UTC, NaN as None."""
        same = ("title", "input", "rows", "time", "left_out", "n_series", "n_scored", "n_calibrated")
        plain = {
            **{name: getattr(self, name) for name in same},
            "n_silences": self.n_silences,
            "raced_series": self.raced_series,
            "race": {racer.name: _without_name(racer) for racer in self.race},
            "verdict": self.verdict.to_dict(),
            "season": {
                "records": self.season or None,
                "length_s": self.season_ns / 1e9 or None,
                "series": self.seasonal_series,
            },
            **self.total.to_dict(),
            "events": [
                *(self._event_dict(event) for event in self.events),
                *(self._gap_dict(gap) for gap in self.gaps),
            ],
            "series": [{"key": series.key, **series.to_dict()} for series in self.series],
            "series_not_listed": self.n_series - len(self.series),
            "fleet": self.fleet,
            "settings": self.settings.to_dict(),
        }
        cleaned: dict[str, Any] = for_json(plain)
        return cleaned

    def _event_dict(self, event: Event) -> dict[str, Any]:
        lasted = (event.end - event.start) / 1e9 if NO_TIME not in (event.start, event.end) else None
        parts = [{**part._asdict(), "channel": self.settings.channels[part.channel]} for part in event.parts]
        plain = asdict(event)
        for name in ("partition", "parts", "series"):
            del plain[name]
        return {
            "event_id": record_id(self.partition_names, event.partition, event.first),
            "key": self.keys[event.series],
            **plain,
            "start": _time(event.start),
            "end": _time(event.end),
            "duration_s": lasted,
            "channels": parts,
        }

    def _gap_dict(self, gap: GapEvent) -> dict[str, Any]:
        """What an event says, of one without a row."""
        over = gap.end != NO_TIME
        return {
            "event_id": f"{gap.kind}:{record_id(self.partition_names, gap.partition, gap.offset)}",
            "key": self.keys[gap.series],
            "kind": gap.kind,
            "first": gap.offset,
            "last": gap.offset,
            "start": _time(gap.start),
            "end": _time(gap.end),
            "records": 0,
            "strength": 0.0,
            "alert": False,
            "calibrated": False,
            "surprise": None,
            "peak": None,
            "duration_s": (gap.end - gap.start) / 1e9 if over else None,
            "channels": [],
        }


def record_id(partition_names: Sequence[str], partition: int, offset: int) -> str:
    """The id of a record, which is that of the event that it opened."""
    return f"{partition_names[partition]}-{offset}"


def summarise(
    tally: Tally,
    settings: Settings,
    *,
    title: str,
    keys: Sequence[str],
    partition_names: Sequence[str],
    typical_steps: Float64Array,
    seasons: Seasons | None = None,
    gaps: GapLog | None = None,
    time: str | None = None,
    left_out: tuple[str, ...] = (),
    input: Mapping[str, Any] | None = None,
    rows: Mapping[str, int] | None = None,
    fleet: Mapping[str, Any] | None = None,
) -> Summary:
    """Close a tally and say what it holds.

    Parameters
    ----------
    tally : Tally
    settings : Settings
    title, keys, partition_names, time, left_out, input, rows, fleet
        As ``Summary`` has them.
    typical_steps : (series,) float64
        Time between the records of each series by the detector's own count, ns; 0: not known.
    seasons : callable or None
        Of a series' code, the season that each channel's forecaster goes by.
    gaps : GapLog or None
        Where none, silences are not looked for.
    """
    tally.events.finish()
    of_series = tally.strongest()[:MOST_SERIES]
    steps = np.zeros(max(tally.n_series, 1))
    steps[: len(typical_steps)] = typical_steps[: len(steps)]
    describe = _Describer(tally, settings, seasons)
    total, race = describe.total(steps), racers(tally)
    return Summary(
        title=title,
        keys=keys,
        partition_names=partition_names,
        input=input or {},
        rows=rows or {},
        time=time,
        left_out=left_out,
        n_series=tally.n_series,
        n_scored=_some(tally, PROVISIONAL, CALIBRATED),
        n_calibrated=_some(tally, CALIBRATED),
        season=tally.season,
        season_ns=tally.season * tally.step_ns,
        seasonal_series=tally.seasonal_series,
        raced_series=min(tally.race.n_series, tally.n_series),
        race=race,
        verdict=verdict(total.channels, race, labelled=tally.labelled),
        total=total,
        series=[describe.series(code, keys[code], float(steps[code])) for code in of_series],
        events=tally.events.strongest(),
        gaps=[] if gaps is None else gaps.longest(),
        n_silences=0 if gaps is None else gaps.n_gaps,
        settings=settings,
        fleet=fleet or {},
    )


class _Describer:
    """Makes summaries of a tally's series."""

    def __init__(self, tally: Tally, settings: Settings, seasons: Seasons | None) -> None:
        self._tally, self._settings, self._seasons = tally, settings, seasons
        alerts = int(tally.column(kernel.ALERTS).sum())
        shares = tally.events.alert_shares / 1e6
        self._unknown = [math.nan] * len(shares)
        self._alert_shares = (shares / alerts).tolist() if alerts else self._unknown

    def total(self, typical_steps: Float64Array) -> SeriesSummary:
        alarms = total_alarms(self._tally, self._settings, typical_steps)
        every = slice(0, max(self._tally.n_series, 1))
        described = self._described(-1, self._tally.total(), alarms, total_steps(self._tally))
        channels = self._channels(every, self._alert_shares)
        if self._tally.n_series == 1:
            channels = self._with_seasons(channels, 0, described.steps)
        return replace(described, channels=channels)

    def series(self, code: int, key: str, typical_step: float) -> SeriesSummary:
        counts = self._tally.series(code)
        alarms = false_alarms(counts, self._settings, typical_step)
        shares = self._alert_shares if self._tally.n_series == 1 else self._unknown
        described = self._described(code, counts, alarms, steps_of(counts))
        channels = self._channels(slice(code, code + 1), shares)
        return replace(described, key=key, channels=self._with_seasons(channels, code, described.steps))

    def _with_seasons(self, channels: list[ChannelSummary], code: int, steps: Steps) -> list[ChannelSummary]:
        if self._seasons is None:
            return channels
        given = isinstance(self._settings.season, int)
        found = forecast_seasons(self._seasons(code), steps.typical_ns, given=given)
        return [
            replace(channel, forecast_season=season) for channel, season in zip(channels, found, strict=True)
        ]

    def _channels(self, codes: slice, alert_shares: list[float]) -> list[ChannelSummary]:
        races = self._tally.races(codes)
        seasonal = self._tally.season > 0
        return channel_summaries(races, self._settings.channels, alert_shares, seasonal=seasonal)

    def _described(self, code: int, counts: Counts, alarms: FalseAlarms, steps: Steps) -> SeriesSummary:
        """A summary without key and channels."""
        largest = np.where(counts.largest < 0.0, math.nan, counts.largest).tolist()
        return SeriesSummary(
            code=code,
            key="",
            records=counts.records,
            statuses=dict(zip(STATUSES, counts.statuses.tolist(), strict=True)),
            steps=steps,
            first=counts.moment(kernel.FIRST),
            last=counts.moment(kernel.LAST),
            first_scored=counts.moment(kernel.SCORED),
            first_calibrated=counts.moment(kernel.SURE),
            false_alarms=alarms,
            labels=label_scores(counts, alarms) if self._tally.labelled else None,
            channels=[],
            detections=int(counts.alarms.sum()),
            n_events=int(counts.counters[kernel.EVENTS]),
            n_alerts=int(counts.counters[kernel.ALERTS]),
            strength=largest[kernel.STRENGTH],
            surprise=largest[kernel.SURPRISE],
        )


def _some(tally: Tally, *statuses: int) -> int:
    """Series that have a record of one of the statuses."""
    has = [tally.column(kernel.STATUS + status) > 0 for status in statuses]
    return int(np.logical_or.reduce(has).sum())


def _time(ns: int) -> str | None:
    return None if ns == NO_TIME else iso(ns)


def _without_name(racer: Racer) -> dict[str, Any]:
    return {name: value for name, value in asdict(racer).items() if name != "name"}


def _moment_dict(moment: Moment | None) -> dict[str, Any] | None:
    return None if moment is None else {"record": moment.record, "time": _time(moment.time)}


def for_json(value: Any) -> Any:
    """A value with None for what JSON has no number for, and lists for tuples."""
    if isinstance(value, Mapping):
        return {name: for_json(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [for_json(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
