"""Contenders side by side: one pass over a stream, each with a fleet of its own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from streamrnn.connectors.base import Read
from streamrnn.errors import SettingsError
from streamrnn.fleet import Fleet
from streamrnn.networks import CELLS
from streamrnn.pipelines.alarms import LabelScores, label_scores, total_alarms
from streamrnn.pipelines.baselines import NAMES, season_of
from streamrnn.pipelines.coding import Coding
from streamrnn.pipelines.compare_errors import SIMPLE, Errors
from streamrnn.pipelines.input import Input
from streamrnn.pipelines.progress import Progress
from streamrnn.pipelines.replay import replay
from streamrnn.pipelines.tally import Tally
from streamrnn.presets import PRESETS
from streamrnn.records import Batch, Float64Array, Int64Array, Results
from streamrnn.settings import Settings

__all__ = ["AUTOREGRESSION", "Comparison", "Contender", "Detection", "ForecastError", "compare", "contenders"]

AUTOREGRESSION = "ar:24"
_DEFAULT = (*CELLS, *(preset for preset in PRESETS if preset != "shared"))  # which needs a prior


@dataclass(frozen=True)
class ForecastError:
    """How well one channel, or all, were forecast.

    Attributes
    ----------
    mean_absolute_error : float
        Sensor units; of all channels the mean of theirs. NaN: nothing was compared.
    ratio : float
        To the error of the last value: under 1, this is better. Of several series, whose units may
        differ, the median; of all channels the mean of theirs. NaN: not known.
    """

    mean_absolute_error: float
    ratio: float


@dataclass(frozen=True)
class Detection:
    """What was found of the labelled windows.

    Attributes
    ----------
    windows, found : int
        Windows that could be found; those that hold a record of an alert.
    alerts, true_alerts : int
        All; those that overlap a window.
    precision, recall, f1 : float
        Of alerts, of windows, and their harmonic mean; NaN: there are none.
    delay_records, delay_s : float
        From a window's start to its first detection, mean; NaN: none has one.
    """

    windows: int
    found: int
    alerts: int
    true_alerts: int
    precision: float
    recall: float
    f1: float
    delay_records: float
    delay_s: float


@dataclass(frozen=True)
class Contender:
    """One row of a comparison.

    Attributes
    ----------
    name : str
    networks : tuple of str
        None at all: a simple forecast, which has no cost worth measuring.
    errors : dict of int to ForecastError
        Over all channels, by horizon.
    channels : dict of int to dict of str to ForecastError
        By horizon and channel.
    cpu_us : float
        CPU time of a record, scoring and learning of the whole detector, microseconds; NaN: not measured.
    bytes_per_series : int or None
        State of one series; None: not measured.
    alerts : int or None
        Events that reached the alert level; None: it did not race.
    detection : Detection or None
        None without labels.
    """

    name: str
    networks: tuple[str, ...]
    errors: dict[int, ForecastError]
    channels: dict[int, dict[str, ForecastError]]
    cpu_us: float
    bytes_per_series: int | None
    alerts: int | None
    detection: Detection | None


@dataclass(frozen=True)
class Comparison:
    """Everything that a comparison found.

    Attributes
    ----------
    title : str
        What people call what was read.
    records, series : int
    compared : dict of int to int
        By horizon, values of which every contender had a forecast: errors are of these.
    season : int
        Records that the seasonal forecast looks back; 0: there is none.
    labelled : bool
    contenders : list of Contender
        Simple forecasts, the autoregression, then the others as they were asked for.
    """

    title: str
    records: int
    series: int
    compared: dict[int, int]
    season: int
    labelled: bool
    contenders: list[Contender]

    def to_dict(self) -> dict[str, Any]:
        """Everything by name."""
        return asdict(self)


def contenders(entries: Sequence[str], options: Mapping[str, Any]) -> dict[str, Settings]:
    """Settings of the autoregression and of each entry, by name.

    Parameters
    ----------
    entries : sequence of str
        Presets, or entries of ``networks``, several of one contender with a plus between them. None
        at all is one network of each cell, and the presets.
    options : mapping
        Other settings, by name; presets depend on ``channels``.

    Raises
    ------
    SettingsError
        Where an entry is none, or there twice.

    Examples
    --------
    >>> [settings.networks for settings in contenders(["gru:8+ar:24"], {}).values()]
    [('ar:24',), ('gru:8', 'ar:24')]
    """
    shared = {name: value for name, value in options.items() if name not in ("networks", "preset", "prior")}
    chosen = list(entries or _DEFAULT)
    if twice := next((entry for entry in chosen if chosen.count(entry) > 1), None):
        raise SettingsError(f"--networks names {twice!r} twice; leave one out")
    found = {}
    for entry in (AUTOREGRESSION, *(entry for entry in chosen if entry != AUTOREGRESSION)):
        network = {"preset": entry} if entry in PRESETS else {"networks": tuple(entry.split("+"))}
        found[entry] = Settings.from_dict({**shared, **network})
    return found


def compare(
    given: Input,
    chosen: Mapping[str, Settings],
    progress: Progress,
    clock: Callable[[], float] = time.thread_time,
) -> Comparison | None:
    """Let all contenders score and learn the same records, in one pass.

    Parameters
    ----------
    given : Input
    chosen : mapping of str to Settings
        As ``contenders`` gives them for the channels of the input.
    progress : Progress
    clock : callable
        Seconds of CPU; another one in tests.

    Returns
    -------
    Comparison or None
        None where Ctrl-C ended it.

    Raises
    ------
    DataError
        Where the input cannot be read to its end.
    """
    field = []
    for name, settings in chosen.items():
        progress.say(f"loading {name} (the first time it is compiled, for some seconds)")
        field.append(_Entrant(name, settings, given, clock))
    race = _Race(field)
    finished = replay(
        given.source,
        Coding(field[0].fleet),
        [race.add],
        lambda records: progress.show(records, given.share_read),
    )
    progress.clear()
    return race.comparison(given.title) if finished else None


class _TimedFleet(Fleet):
    """A fleet that knows how long it took."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        super().__init__(settings)
        self._clock, self.cpu_s = clock, 0.0

    def process(self, batch: Batch) -> Results:
        began = self._clock()
        try:
            return super().process(batch)
        finally:
            self.cpu_s += self._clock() - began


class _Entrant:
    """A contender under way."""

    def __init__(self, name: str, settings: Settings, given: Input, clock: Callable[[], float]) -> None:
        # One record through another fleet: whatever has to be compiled is compiled outside of the clock.
        Fleet(settings).process(Batch.of_one_series(np.zeros((1, len(settings.channels)))))
        self.name, self.settings, self.fleet = name, settings, _TimedFleet(settings, clock)
        step = given.first.typical_step_ns
        asked = settings.season
        self.season = asked if isinstance(asked, int) else season_of(step)
        self.tally = Tally(settings, season=self.season, step_ns=step)

    @property
    def cpu_us(self) -> float:
        return 1e6 * self.fleet.cpu_s / self.tally.records if self.tally.records else math.nan

    def labels(self, side: int = 0) -> LabelScores:
        """What was found of the windows: by the detector, or by a simple forecast's side of its race."""
        steps = [self.fleet.typical_step_ns(code) for code in range(len(self.fleet.keys))]
        alarms = total_alarms(self.tally, self.settings, np.array(steps or [0.0]))
        counts = self.tally.total()
        if side:
            counts = counts._replace(counters=self.tally.race.counters()[side])
        return label_scores(counts, alarms)


class _Race:
    """All contenders on the same batches."""

    def __init__(self, field: Sequence[_Entrant]) -> None:
        self._field, first = field, field[0]
        self._horizons, self._channels = first.settings.horizons, first.settings.channels
        self._errors = Errors(len(field), self._horizons, first.season)

    def add(self, batch: Read, found: Results) -> None:
        """Have the others process what the first has; count what all found."""
        if not len(batch):
            return
        keys, all_found = self._field[0].fleet.keys, [found]
        for entrant in self._field[1:]:
            entrant.fleet.series(keys[len(entrant.fleet.keys) :])
            all_found.append(entrant.fleet.process(batch))
        for entrant, one in zip(self._field, all_found, strict=True):
            entrant.tally.add(batch, one, batch.labels)
        self._errors.add(batch, all_found)

    def comparison(self, title: str) -> Comparison:
        first = self._field[0]
        tally, counts = first.tally, self._errors.counts.sum(axis=(0, 2))
        return Comparison(
            title=title,
            records=tally.records,
            series=tally.n_series,
            compared=dict(zip(self._horizons, counts.tolist(), strict=True)),
            season=first.season,
            labelled=tally.labelled,
            contenders=list(self._contenders()),
        )

    def _contenders(self) -> Iterator[Contender]:
        first, sums, counts = self._field[0], self._errors.sums, self._errors.counts
        for j, name in enumerate(SIMPLE):
            if name == "seasonal" and not first.season:
                continue
            # The race of alerts knows a season only where records have times.
            raced = name != "seasonal" or first.tally.season > 0
            labels = first.labels(1 + NAMES.index(name))
            yield Contender(
                name=name,
                networks=(),
                **self._judged(sums, counts, j),
                cpu_us=math.nan,
                bytes_per_series=None,
                alerts=labels.alerts if raced else None,
                detection=_detection(labels) if first.tally.labelled and raced else None,
            )
        for j, entrant in enumerate(self._field, len(SIMPLE)):
            labels = entrant.labels()
            yield Contender(
                name=entrant.name,
                networks=entrant.settings.networks,
                **self._judged(sums, counts, j),
                cpu_us=entrant.cpu_us,
                bytes_per_series=entrant.fleet.layout.row_bytes,
                alerts=labels.alerts,
                detection=_detection(labels) if entrant.tally.labelled else None,
            )

    def _judged(self, sums: Float64Array, counts: Int64Array, j: int) -> dict[str, Any]:
        """``errors`` and ``channels`` of the j-th forecaster."""
        errors, channels = {}, {}
        for k, horizon in enumerate(self._horizons):
            n = counts[:, k]
            maes = [_share(*both) for both in zip(sums[:, j, k].sum(axis=0), n.sum(axis=0), strict=True)]
            ratios = _ratios(sums[:, j, k], sums[:, 0, k], n)
            each = [ForecastError(mae, ratio) for mae, ratio in zip(maes, ratios, strict=True)]
            channels[horizon] = dict(zip(self._channels, each, strict=True))
            errors[horizon] = ForecastError(_mean(maes), _mean(ratios))
        return {"errors": errors, "channels": channels}


def _ratios(own: Float64Array, last: Float64Array, counts: Int64Array) -> list[float]:
    """Of each channel the median over (series, channels) of errors to those of the last value."""
    perfect = np.where(own > 0.0, math.inf, 1.0)  # a series that never changed
    ratios = np.divide(own, last, out=perfect, where=last > 0.0)
    known = [column[n > 0] for column, n in zip(ratios.T, counts.T, strict=True)]
    return [float(np.median(column)) if len(column) else math.nan for column in known]


def _detection(labels: LabelScores) -> Detection:
    precision, recall = labels.precision, labels.alert_recall
    # Without an alert there is nothing to be precise about, and nothing is found.
    f1 = 2 * precision * recall / (precision + recall) if precision + recall > 0.0 else 0.0
    return Detection(
        windows=labels.scored,
        found=labels.alerted,
        alerts=labels.alerts,
        true_alerts=labels.true_alerts,
        precision=precision,
        recall=recall,
        f1=f1 if labels.scored else math.nan,
        delay_records=labels.delay_records,
        delay_s=labels.delay_s,
    )


def _share(part: float, whole: int) -> float:
    return float(part) / int(whole) if whole else math.nan


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan
