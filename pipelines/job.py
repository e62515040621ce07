"""One replay from its files to its files: what the command line asks for."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from streamrnn.connectors.options import RecordOptions
from streamrnn.connectors.rejects import Rejects
from streamrnn.connectors.sinks import open_sink
from streamrnn.errors import DataError, SettingsError
from streamrnn.fleet import Fleet
from streamrnn.pipelines import demo
from streamrnn.pipelines.ahead import Ahead, forecast_ahead, rows_of
from streamrnn.pipelines.baselines import season_of
from streamrnn.pipelines.coding import Coding
from streamrnn.pipelines.evaluation import Evaluation, Evaluator
from streamrnn.pipelines.fleet_settings import FleetTable
from streamrnn.pipelines.gap_log import GapLog
from streamrnn.pipelines.input import Input
from streamrnn.pipelines.keeping import Runaway, census_dict, keeping_of
from streamrnn.pipelines.kept import KeptRows
from streamrnn.pipelines.looking_back import LookingBack
from streamrnn.pipelines.progress import Progress
from streamrnn.pipelines.replay import Watcher, replay
from streamrnn.pipelines.spill import SqliteSpill
from streamrnn.pipelines.statefile import RunState, load_state, save_state
from streamrnn.pipelines.summary import Summary, summarise
from streamrnn.pipelines.tally import Tally
from streamrnn.pipelines.web.extra import need_bokeh
from streamrnn.pipelines.words import count
from streamrnn.pipelines.writer import Writer
from streamrnn.settings import Settings
from streamrnn.spill import Keeping
from streamrnn.state import decode

if TYPE_CHECKING:
    from streamrnn.pipelines.web.shown import Shown

__all__ = ["Job", "Outcome", "carry_out"]

_MOST_FORECASTS = 100  # series whose forecasts a summary repeats


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to replay and what to make of it.

    Attributes
    ----------
    paths : tuple of str
        Files and folders; ``"-"`` is stdin, none at all the demonstration, whose
        episodes are known.
    record : RecordOptions
    arrange : str
        Several files: ``"one"``, ``"each"`` or ``"auto"``.
    options : mapping
        Settings by name, without ``channels``.
    output, plot, report, rejects, save_state, load_state : str or None
        Files to write (``output``: ``"-"`` is stdout) and to read.
    command : tuple of str
        The arguments behind ``streamrnn`` that a report says it was made by.
    long : bool
        One row of output for each channel of a record.
    forecast : int
        How many records to forecast behind the last.
    offline : bool
        Read each series back from its end, too: rows get columns that look into their future.
    fleet : FleetTable
        How many series are kept, and where.
    evaluate : bool
        Say how good what was found is, by the labels that there must be; the plot then shows that.
    """

    paths: tuple[str, ...]
    record: RecordOptions = field(default_factory=RecordOptions)
    arrange: str = "auto"
    options: Mapping[str, Any]
    output: str | None = None
    long: bool = False
    plot: str | None = None
    report: str | None = None
    command: tuple[str, ...] = ()
    rejects: str | None = None
    forecast: int = 0
    offline: bool = False
    evaluate: bool = False
    save_state: str | None = None
    load_state: str | None = None
    fleet: FleetTable = field(default_factory=FleetTable)


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes
    ----------
    finished : bool
        False where Ctrl-C ended it; then there is no picture.
    summary : Summary
    rejects : Rejects
    ahead : list of Ahead
        Forecasts of at most 100 series.
    episodes : list of demo.Verdict
        Of the demonstration.
    hindsight : dict or None
        What ``--offline`` found, of types that JSON knows.
    """

    finished: bool
    summary: Summary
    rejects: Rejects
    ahead: list[Ahead]
    episodes: list[demo.Verdict]
    evaluation: Evaluation | None
    hindsight: dict[str, Any] | None


def carry_out(job: Job, progress: Progress, say: Callable[[str], None]) -> Outcome:
    """Replay files; ``say`` is told what was found out about them before the first record.

    Raises
    ------
    DataError
        Where one cannot be read, or not to its end; what came before is scored and written.
    SettingsError
        Where settings or columns do not fit, or a file cannot be written.
    StateError
        Where the state to go on from is damaged.
    """
    run = _Run(job, progress)
    try:
        progress.clear()
        say(run.input.found_text())
        return run.carry_out()
    finally:
        run.close()


class _Run:
    """A replay under way: everything that it has opened."""

    def __init__(self, job: Job, progress: Progress) -> None:
        self.job, self.progress = job, progress
        if job.report is not None:  # before kernels are compiled for a run that could not end in it
            need_bokeh("--report")
        self._open = ExitStack()
        try:
            saved = None if job.load_state is None else load_state(job.load_state)
            self.rejects = Rejects(job.rejects)
            self._open.callback(self.rejects.close)
            self.input = self._opened(saved)
            self._open.callback(self.input.close)
            self.evaluator = self._evaluator()
            self.fleet = _fleet(job, self.input, saved, self._keeping())
            self.runaway = Runaway(self.fleet, job.fleet.budget)
            self.settings = self.fleet.settings
            self.coding = Coding(self.fleet, () if saved is None else saved.partition_names)
            step = self.input.first.typical_step_ns
            self.tally = Tally(self.settings, season=season_of(step), step_ns=step)
            self.gaps = GapLog(one_stream=self.input.is_one_stream)
            wants_plot = job.plot is not None and not job.evaluate
            wants_rows = wants_plot or job.report is not None or not job.paths
            self.kept = KeptRows(self.settings.channels) if wants_rows else None
            self.shown = None if job.report is None else _shown(self.settings.channels)
            self.writer = self._writer()
            self.back = LookingBack(self.settings, self.writer) if job.offline else None
            if self.back is not None:
                self._open.callback(self.back.finish)  # what came before a run broke off is written, too
        except BaseException:
            self._open.close()
            raise

    def close(self) -> None:
        """Close what is open."""
        self._open.close()

    def carry_out(self) -> Outcome:
        """Read to the end, or until Ctrl-C."""
        source = self.input.source
        try:
            finished = replay(
                source,
                self.coding,
                self._watchers(),
                lambda records: self.progress.show(records, self.input.share_read),
            )
        except DataError as error:
            raise DataError(f"{error}{self._scored()}") from None
        finally:
            self.progress.clear()
        if self.back is not None:
            self.progress.say("reading back")
            self.back.finish()
            self.progress.clear()
        ahead = self._ahead() if finished and self.job.forecast else []
        if self.writer is not None:
            self.writer.close()
        if self.job.save_state is not None:
            save_state(self.job.save_state, self.fleet.to_bytes(), self.coding.partition_names)
        summary = self._summary()
        rows = self.kept
        episodes = demo.verdicts(summary.events, rows.series(0)) if rows and not self.job.paths else []
        if finished and self.job.plot is not None and rows is not None:
            self.progress.say("drawing")
            _draw(self.job.plot, summary, rows, episodes)
            self.progress.clear()
        if finished:
            self._report(summary, episodes)
        evaluation = self._evaluation(summary) if finished else None
        hindsight = None if self.back is None else self.back.to_dict()
        return Outcome(
            finished, summary, self.rejects, ahead[:_MOST_FORECASTS], episodes, evaluation, hindsight
        )

    def _opened(self, saved: RunState | None) -> Input:
        job, record = self.job, self.job.record
        if saved is not None and record.values is None:
            record = replace(record, values=tuple(decode(saved.fleet).settings["channels"]))
        return Input(job.paths or (str(demo.demo_file()),), record, self.rejects, arrange=job.arrange)

    def _keeping(self) -> Keeping:
        spill = None
        if self.job.fleet.budget is not None:
            spill = SqliteSpill()
            self._open.callback(spill.close)
        return keeping_of(self.job.fleet, self._open, spill, one_stream=self.input.is_one_stream)

    def _evaluator(self) -> Evaluator | None:
        if not self.job.evaluate:
            return None
        if not self.input.first.schema.label:
            raise SettingsError(
                f"{self.input.title} has no column of labels that could be found; name it with --label"
            )
        return Evaluator()

    def _evaluation(self, summary: Summary) -> Evaluation | None:
        if self.evaluator is None:
            return None
        self.progress.say("ranking")
        evaluation = self.evaluator.evaluation(summary.keys)
        if self.job.plot is not None:
            from streamrnn.pipelines import plot
            from streamrnn.pipelines.evaluation_plot import draw_evaluation

            plot.save(draw_evaluation(evaluation, title=summary.title), Path(self.job.plot))
        self.progress.clear()
        return evaluation

    def _report(self, summary: Summary, episodes: Sequence[demo.Verdict]) -> None:
        if self.job.report is None or self.kept is None or self.shown is None:
            return
        from streamrnn.pipelines.web.report import Run, write_report

        self.progress.say("writing the report")
        run = Run(summary, self.kept, self.shown, self.job.command, episodes)
        write_report(Path(self.job.report), run)
        self.progress.clear()

    def _writer(self) -> Writer | None:
        job = self.job
        if job.output is None:
            return None
        shown = self.settings
        if job.forecast:
            shown = replace(shown, horizons=tuple(job.options.get("horizons", (1,))))
        writer = Writer(
            open_sink(job.output), self.settings, shown, self.coding.partition_names, long=job.long
        )
        self._open.callback(writer.close)
        return writer

    def _watchers(self) -> list[Watcher]:
        watchers: list[Watcher] = [
            lambda batch, found: self.tally.add(batch, found, batch.labels),
            lambda batch, found: self.gaps.add(batch),
            lambda batch, found: self.runaway.scored(batch),
        ]
        watchers += [] if self.kept is None else [self.kept.add]
        watchers += [] if self.shown is None else [self.shown.add]
        if (evaluator := self.evaluator) is not None:
            watchers.append(
                lambda batch, found: evaluator.add(batch, found, batch.labels, self.tally.race.scores)
            )
        # Rows last: what was written was seen by all.
        if self.back is not None:
            watchers.append(self.back.add)
        elif self.writer is not None:
            watchers.append(self.writer.add)
        return watchers

    def _ahead(self) -> list[Ahead]:
        """Forecasts behind the last records; they follow the rows that were written."""
        made: list[Ahead] = []
        for key in self.input.source.keys:
            code = int(self.fleet.series([key])[0])
            ahead = forecast_ahead(self.fleet, key, self.tally.newest(code), self.job.forecast)
            if self.writer is not None:
                rows = rows_of(ahead, self.input.first, self.job.record.tz, len(self.settings.horizons))
                self.writer.add_forecast(*rows)
            if len(made) < _MOST_FORECASTS:
                made.append(ahead)
        return made

    def _scored(self) -> str:
        if self.job.output in (None, "-") or not self.tally.records:
            return ""
        return f" ({count(self.tally.records, 'record')} before it: scored, in {self.job.output})"

    def _summary(self) -> Summary:
        schema = self.input.first.schema
        steps = [self.fleet.typical_step_ns(code) for code in range(len(self.fleet.keys))]
        return summarise(
            self.tally,
            self.settings,
            title=self.input.title,
            keys=self.fleet.keys,
            partition_names=self.coding.partition_names,
            typical_steps=np.array(steps),
            seasons=self.fleet.seasons,
            gaps=self.gaps,
            time=None if schema.clock is None else ", ".join(schema.named(schema.clock.places)),
            left_out=tuple(schema.left_out),
            input=self.input.found_dict(),
            rows={"read": self.tally.records, "rejected": self.rejects.rows},
            fleet={**census_dict(self.fleet), "warning": self.runaway.warning or None},
        )


def _fleet(job: Job, given: Input, saved: RunState | None, keeping: Keeping) -> Fleet:
    """A fleet, its kernels loaded without the collector running over all that Numba makes.

    None of that is ever garbage; frozen, it is not looked at again at exit
    either. Together that is a third of the start of a short run.
    """
    options = dict(job.options)
    if job.forecast:
        options["horizons"] = tuple({*options.get("horizons", ()), *range(1, job.forecast + 1)})
    gc.disable()
    try:
        if saved is None:
            return Fleet(Settings.from_dict({**options, "channels": given.channels}), keeping)
        fleet = Fleet.from_bytes(saved.fleet, keeping, **options)
    finally:
        gc.freeze()
        gc.enable()
    if fleet.settings.channels != given.channels:
        raise SettingsError(
            f"--load-state: the state has channels {', '.join(fleet.settings.channels)}, "
            f"{given.title} has {', '.join(given.channels)}; name them with --values in this order"
        )
    return fleet


def _shown(channels: tuple[str, ...]) -> Shown:
    """What a report collects."""
    from streamrnn.pipelines.web.shown import Shown

    return Shown(channels)


def _draw(path: str, summary: Summary, kept: KeptRows, episodes: Sequence[demo.Verdict]) -> None:
    from streamrnn.pipelines import plot

    marks = [plot.Mark(e.episode.what, e.episode.start, e.episode.end) for e in episodes]
    figure = plot.draw(
        kept,
        summary.events,
        title=summary.title,
        keys=summary.keys,
        n_events=summary.total.n_events,
        coverage=summary.settings.coverage,
        marks=marks,
    )
    plot.save(figure, Path(path))
