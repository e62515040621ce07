"""One replay from its files to its files: what the command line asks for."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamrnn.connectors.csv import CsvSink, CsvSource
from streamrnn.errors import DataError
from streamrnn.fleet import Fleet
from streamrnn.pipelines import demo
from streamrnn.pipelines.kept import KeptRows
from streamrnn.pipelines.progress import Progress
from streamrnn.pipelines.replay import Watcher, replay
from streamrnn.pipelines.summary import Summary, summarise
from streamrnn.pipelines.tally import Tally
from streamrnn.pipelines.words import count
from streamrnn.settings import Settings

__all__ = ["Job", "Outcome", "carry_out"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to replay and what to make of it.

    Attributes
    ----------
    path : str or None
        A CSV file; ``"-"`` is stdin, None the demonstration, whose episodes are known.
    time, values
        As ``CsvSource`` takes them.
    options : mapping
        Settings by name, without ``channels``.
    output, plot : str or None
        Where to write the scored rows (``"-"`` is stdout) and the picture.
    """

    path: str | None
    time: str | None = None
    values: tuple[str, ...] | None = None
    options: Mapping[str, Any]
    output: str | None = None
    plot: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes
    ----------
    finished : bool
        False where Ctrl-C ended it; then there is no picture.
    summary : Summary
    episodes : list of demo.Verdict
        Of the demonstration.
    """

    finished: bool
    summary: Summary
    episodes: list[demo.Verdict]


def carry_out(job: Job, progress: Progress) -> Outcome:
    """Replay a file.

    Raises
    ------
    DataError
        Where it cannot be read; rows before a bad one are scored and written.
    SettingsError
        Where settings or columns do not fit it, or a file cannot be written.
    """
    path = demo.demo_file() if job.path is None else job.path
    source = CsvSource(path, time=job.time, values=job.values)
    try:
        return _replayed(job, source, progress)
    finally:
        source.close()


def _replayed(job: Job, source: CsvSource, progress: Progress) -> Outcome:
    settings = Settings.from_dict({**job.options, "channels": source.schema.channels})
    fleet = _loaded(settings)
    fleet.series([source.name])
    tally = Tally(settings)
    kept = KeptRows(settings.channels) if job.plot is not None or job.path is None else None
    watchers: list[Watcher] = [tally] if kept is None else [tally, kept]
    sink = None if job.output is None else CsvSink(job.output)
    try:
        finished = replay(source, fleet, sink, watchers, progress)
    except DataError as error:
        raise DataError(f"{error}{_kept_rows(job, tally)}") from None
    finally:
        if sink is not None:
            sink.close()
    summary = _summary(source, fleet, tally)
    episodes = demo.verdicts(summary.events, kept) if job.path is None and kept is not None else []
    if finished and job.plot is not None and kept is not None:
        progress.say("drawing")
        _draw(job.plot, summary, kept, episodes)
        progress.clear()
    return Outcome(finished, summary, episodes)


def _loaded(settings: Settings) -> Fleet:
    """A fleet, its kernels loaded without the collector running over all that Numba makes.

    None of that is ever garbage; frozen, it is not looked at again at exit
    either. Together that is a third of the start of a short run.
    """
    gc.disable()
    try:
        return Fleet(settings)
    finally:
        gc.freeze()
        gc.enable()


def _kept_rows(job: Job, tally: Tally) -> str:
    if job.output in (None, "-") or not tally.records:
        return ""
    return f" ({count(tally.records, 'record')} before it: scored, in {job.output})"


def _summary(source: CsvSource, fleet: Fleet, tally: Tally) -> Summary:
    schema = source.schema
    return summarise(
        tally,
        fleet.settings,
        source=source.name,
        title=source.title,
        time=None if schema.time is None else schema.names[schema.time],
        left_out=schema.left_out,
        typical_step=fleet.typical_step_ns(0),
    )


def _draw(path: str, summary: Summary, kept: KeptRows, episodes: list[demo.Verdict]) -> None:
    from streamrnn.pipelines import plot

    marks = [plot.Mark(e.episode.what, e.episode.start, e.episode.end) for e in episodes]
    settings = summary.settings
    figure = plot.draw(
        kept,
        summary.events,
        title=summary.title,
        n_events=summary.n_events,
        coverage=settings.coverage,
        marks=marks,
    )
    plot.save(figure, Path(path))
