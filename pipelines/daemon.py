"""A daemon from its settings: everything opened, the state of the last run taken up, and the loop."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from streamrnn.connectors.base import Positions
from streamrnn.errors import RetriableError, SettingsError, StateError, StoreError, StreamrnnError
from streamrnn.fleet import Fleet
from streamrnn.pipelines.alert_opening import OpenAlerts, open_alerts
from streamrnn.pipelines.alert_settings import AlertTables
from streamrnn.pipelines.alerting import Alerting
from streamrnn.pipelines.channels import open_channels
from streamrnn.pipelines.coding import Coding
from streamrnn.pipelines.endpoints import Live, open_dead_letters, open_outputs, open_source
from streamrnn.pipelines.event_rows import EventRows
from streamrnn.pipelines.feedback import hear
from streamrnn.pipelines.following import Follower
from streamrnn.pipelines.gap_events import GapEvents
from streamrnn.pipelines.journal import Journal
from streamrnn.pipelines.keeping import Lifetime, Runaway, keeping_of, show_census, ttl_ns
from streamrnn.pipelines.metrics import Metrics
from streamrnn.pipelines.observers import Observers
from streamrnn.pipelines.outputs import Output
from streamrnn.pipelines.pipeline import COMMANDS, WAITING, Pace, Pipeline
from streamrnn.pipelines.reorder import Reorder
from streamrnn.pipelines.routing import routing_of
from streamrnn.pipelines.serve import HealthServer
from streamrnn.pipelines.settings import (
    Checkpoint,
    DeadLetter,
    FileSourceTable,
    PipelineSettings,
    load_settings,
    seconds,
)
from streamrnn.pipelines.silence import Silence
from streamrnn.pipelines.spill import SqliteSpill
from streamrnn.pipelines.store import Snapshot, Store
from streamrnn.pipelines.supervisor import Signals, notify, watchdog_s
from streamrnn.pipelines.topics import MarkedLetters
from streamrnn.pipelines.web.serving import LivePage, check_page, open_page
from streamrnn.settings import Settings
from streamrnn.spill import Keeping
from streamrnn.state import stored_series

__all__ = ["Daemon"]

_LOG = logging.getLogger("streamrnn.daemon")
_SILENT_S = 60.0  # a loop that did not go round for so long is stuck
_STALE = 3.0  # snapshots that are this many times overdue are not fresh
_WAIT_S = 0.2
_SILENCE, _EVENTS, _LIFETIME = "silence", "events", "ttl"  # what a snapshot calls what is known of each
_COLLECT_AFTER = 50_000  # objects made and not freed: more than any batch has


class Daemon:
    """A pipeline as a process.

    Parameters
    ----------
    path : str
        The pipeline file; its tunable settings are read again on SIGHUP.
    dry : bool
        Read and score, but write nothing, keep no state and commit nothing.

    Raises
    ------
    SettingsError
        Where the file is wrong.
    """

    def __init__(self, path: str, *, dry: bool = False) -> None:
        self._path, self._dry = path, dry
        self._settings = load_settings(path)
        check_page(self._settings)
        self._signals = Signals()
        self._last_notice = time.monotonic()
        self._alerts: OpenAlerts | None = None
        self._hindered = False  # what users say cannot be written

    def run(self) -> None:
        """Run until the source ends or a signal says so.

        Raises
        ------
        StreamrnnError
            Where it cannot start, or going on makes no sense; what was committed stays.
        """
        with ExitStack() as opened, self._signals.handled():
            if not self._source_is_there():
                return
            pipeline, metrics, page = self._made(opened)
            if self._settings.serve is not None:
                opened.callback(self._served(self._settings.serve.listen, pipeline, metrics, page).close)
            notify("READY=1")
            with _rare_collections():
                pipeline.run(lambda: self._is_over(pipeline))
            notify("STOPPING=1")
            _LOG.info("%s", metrics.said())
        _LOG.info("left in good order")

    def _source_is_there(self) -> bool:
        """Wait for a table that is not there yet: its columns say what the channels are."""
        table, waiting = self._settings.source, False
        csv = self._settings.record.format == "csv"
        while csv and isinstance(table, FileSourceTable) and table.path != "-":
            path = Path(table.path)
            if not table.follow or (path.is_file() and path.read_bytes()[:65_536].count(b"\n") > 1):
                break
            if not waiting:
                _LOG.info("waiting for the first records of %s", table.path)
                waiting = True
            if self._signals.stop:
                return False
            time.sleep(_WAIT_S)
        return True

    def _made(self, opened: ExitStack) -> tuple[Pipeline, Metrics, LivePage]:
        settings = self._settings
        if self._dry:
            settings = _without_traces(settings, opened.enter_context(TemporaryDirectory()))
        store = Store(settings.checkpoint.path)
        opened.callback(store.close)
        saved = store.load()
        self._check_record(saved)
        live = _live(opened, settings, saved)
        spill = _spill(opened, settings, saved)
        _check_spill(spill, saved)
        fleet = _fleet(settings, saved, live.channels, _keeping(opened, settings, spill, saved))
        coding = Coding(fleet, saved.partition_names if saved else ())
        committed, marks = _committed(store, saved)
        outputs, letters = _outputs(opened, settings, marks)
        checkpoint = settings.checkpoint
        reorder = Reorder(round(1e9 * seconds(settings.record.reorder)), _of(saved, WAITING))
        metrics = Metrics(coding, live, time.monotonic, time.time)
        metrics.show("waiting_records", "Records that wait for earlier ones", lambda: reorder.waiting)
        show_census(metrics, coding)
        self._alerts = alerts = open_alerts(
            settings, self._path, store, coding, saved, metrics.registry, spill
        )
        page = open_page(settings, self._path, store, coding, saved, metrics.registry)
        alerts.service.start()
        opened.callback(alerts.service.stop)
        pipeline = Pipeline(
            source=live.source,
            coding=coding,
            outputs=outputs,
            dead_letters=letters,
            store=store,
            journal=Journal(store, 0 if saved is None else int(saved.extra["journal"])),
            pace=Pace(*map(seconds, (checkpoint.commit, checkpoint.every, checkpoint.keep))),
            clock=time.monotonic,
            observer=Observers(metrics, alerts.intake, Runaway(fleet, settings.fleet.budget), page.feed),
            committed=committed,
            commanded=int(marks.get(COMMANDS, 0)),
            reorder=reorder,
            late=settings.record.late,
            followers=_followers(settings, saved, coding, metrics, alerts.intake),
            commits=not self._dry,
            extra=partial(_extra, live, settings, alerts.intake),
            spill=spill,
        )
        pipeline.retune(_tunable(settings))
        return pipeline, metrics, page

    def _check_record(self, saved: Snapshot | None) -> None:
        """Refuse to go on with records that mean something else."""
        if saved is None:
            return
        before, now = saved.extra["record"], msgspec.to_builtins(self._settings.record)
        keys = {*before, *now} - {"late"}  # a policy: the state is the same
        changed = sorted(key for key in keys if before.get(key) != now.get(key))
        if changed:
            raise SettingsError(
                f"[record] has changed ({', '.join(changed)}), and the state in "
                f"{self._settings.checkpoint.path} was learned from the old one; change it back, or begin "
                "with another checkpoint.path"
            )

    def _is_over(self, pipeline: Pipeline) -> bool:
        """Whether to leave; called once in each round of the loop."""
        if self._signals.take_reload():
            self._reload(pipeline)
        self._hear(pipeline)
        every = watchdog_s()
        if every and time.monotonic() - self._last_notice >= every:
            self._last_notice = time.monotonic()
            notify("WATCHDOG=1")
        return self._signals.stop

    def _reload(self, pipeline: Pipeline) -> None:
        """Read the tunable settings again; a file that is wrong, or a full disk, changes nothing."""
        try:
            settings = load_settings(self._path)
            if settings.model != self._settings.model:
                _LOG.warning("[model] is structural: its changes take effect with a new state only")
            pipeline.retune(_tunable(settings))
            if self._alerts is not None and not self._dry:
                self._alerts.service.reload(routing_of(settings.alerts), open_channels(settings.alerts))
        except StreamrnnError as error:
            _LOG.error("not reloaded: %s", error)

    def _hear(self, pipeline: Pipeline) -> None:
        """Take in what users said of events; where it cannot be written, it waits."""
        try:
            polled, written = pipeline.source.snapshot(), pipeline.committed
            hear(pipeline.store, pipeline.journal, pipeline.coding, polled, written)
        except StoreError as error:
            if not self._hindered:
                _LOG.warning("what was said of events waits: %s", error)
            self._hindered = True
            return
        self._hindered = False

    def _served(self, listen: str, pipeline: Pipeline, metrics: Metrics, page: LivePage) -> HealthServer:
        stale_s = _STALE * pipeline.pace.snapshot_s + _SILENT_S

        def live() -> str:
            silent = time.monotonic() - metrics.last_beat
            return f"the loop has not gone round for {silent:.0f} s" if silent > _SILENT_S else ""

        def ready() -> str:
            age = time.monotonic() - metrics.last_saved
            return live() or (f"the last snapshot is {age:.0f} s old" if age > stale_s else "")

        server = HealthServer(listen, metrics.registry, live, ready, page.routes(ready))
        _LOG.info("health and metrics at port %d", server.port)
        return server


def _without_traces(settings: PipelineSettings, folder: str) -> PipelineSettings:
    """The same for a dry run: nothing is written but in a folder that goes away, and nobody is told."""
    return msgspec.structs.replace(
        settings,
        sink=[],
        dead_letter=DeadLetter(),
        checkpoint=Checkpoint(path=f"{folder}/state.db"),
        alerts=AlertTables(),
    )


def _live(opened: ExitStack, settings: PipelineSettings, saved: Snapshot | None) -> Live:
    """The source, where the snapshot left it."""
    live = open_source(settings, None if saved is None else saved.extra["source"])
    opened.callback(live.source.close)
    if saved is not None:
        live.source.seek(saved.positions)
        _LOG.info("going on from snapshot %d", saved.number)
    return live


def _outputs(
    opened: ExitStack, settings: PipelineSettings, marks: Mapping[str, Any]
) -> tuple[Sequence[Output], MarkedLetters | None]:
    """Where rows and dead letters go."""
    outputs = open_outputs(settings, marks)
    for output in outputs:
        opened.callback(_closed, output)
    letters = open_dead_letters(settings, marks)
    if letters is not None:
        opened.callback(_closed, letters)
    return outputs, letters


def _extra(live: Live, settings: PipelineSettings, alerts: Alerting) -> dict[str, Any]:
    """What a snapshot holds beside the state."""
    record = msgspec.to_builtins(settings.record)
    return {"source": live.found(), "record": record, "alerts": alerts.state()}


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Have the collector pass over all that is loaded by now, and wait until there is more than a batch.

    A batch is thousands of new objects without a cycle. With Python's own thresholds
    they set off hundreds of collections, full ones among them that walk through all
    imported code; that was a fifth of the daemon's processor time.
    """
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def _closed(output: Output | MarkedLetters) -> None:
    """Close an output; what it could not hand on is not committed, and comes again."""
    try:
        output.close()
    except RetriableError as error:
        _LOG.warning("%s", error)


def _committed(store: Store, saved: Snapshot | None) -> tuple[Positions, Mapping[str, Any]]:
    """How far the outputs got; where that is damaged, how far they were at the snapshot."""
    try:
        return store.committed()
    except StateError as error:
        if saved is None:
            raise
        _LOG.warning("outputs begin again at the snapshot: %s", error)
        return saved.extra["committed"], saved.extra["marks"]


def _spill(opened: ExitStack, settings: PipelineSettings, saved: Snapshot | None) -> SqliteSpill | None:
    """Where series lie that exceed the budget, as at the snapshot; also where there is no budget now."""
    path = Path(f"{settings.checkpoint.path}.spill")
    if settings.fleet.budget is None and not path.exists():
        return None
    spill = SqliteSpill(path, 0 if saved is None else saved.number)
    opened.callback(spill.close)
    return spill


def _check_spill(spill: SqliteSpill | None, saved: Snapshot | None) -> None:
    """Refuse to go on where series of the snapshot are gone."""
    wanted = 0 if saved is None else stored_series(saved.fleet)
    there = 0 if spill is None else len(spill)
    if there != wanted:
        raise StateError(
            f"{wanted:,} series of the snapshot lie in the file beside it that ends in .spill, which holds "
            f"{there:,}; restore the two files together, or begin anew without both"
        )


def _keeping(
    opened: ExitStack, settings: PipelineSettings, spill: SqliteSpill | None, saved: Snapshot | None
) -> Keeping:
    """As the file says, but for the time to live: that of the snapshot, until the journal says otherwise."""
    one_stream = isinstance(settings.source, FileSourceTable)  # files one after the other
    keeping = keeping_of(settings.fleet, opened, spill, one_stream=one_stream)
    return keeping if saved is None else replace(keeping, ttl_ns=ttl_ns(_of(saved, _LIFETIME).decode()))


def _fleet(
    settings: PipelineSettings, saved: Snapshot | None, channels: tuple[str, ...], keeping: Keeping
) -> Fleet:
    """The models: those of the snapshot, or new ones.

    Raises
    ------
    SettingsError
        Where a structural setting is not what the state was made with.
    """
    if saved is None:
        return Fleet(Settings.from_dict({**settings.settings(), "channels": channels}), keeping)
    fleet = Fleet.from_bytes(saved.fleet, keeping)
    asked = Settings.from_dict({**settings.settings(), "channels": channels}).structural()
    changed = [name for name, value in fleet.settings.structural().items() if asked[name] != value]
    if changed:
        raise SettingsError(
            f"the state in {settings.checkpoint.path} has another {', '.join(changed)}; change the pipeline "
            "file back, or begin with another checkpoint.path"
        )
    return fleet


def _of(saved: Snapshot | None, name: str) -> bytes:
    """What a snapshot holds under a name; nothing where there is none, or one from before there was such."""
    return b"" if saved is None else saved.others.get(name, b"")


def _followers(
    settings: PipelineSettings, saved: Snapshot | None, coding: Coding, metrics: Metrics, alerts: Alerting
) -> dict[str, Follower]:
    """Who goes along with the stream, by the names under which a snapshot holds what they know."""
    one_stream = isinstance(settings.source, FileSourceTable)  # files one after the other
    silence = Silence(settings.detect.silence, one_stream=one_stream, state=_of(saved, _SILENCE))
    metrics.show("silent_series", "Series that fell silent", lambda: silence.silent)
    gaps = GapEvents(silence, coding, alerts.silent)
    lifetime = Lifetime(coding.fleet, settings.fleet.ttl if saved is None else _of(saved, _LIFETIME).decode())
    return {_SILENCE: gaps, _EVENTS: EventRows(coding, _of(saved, _EVENTS)), _LIFETIME: lifetime}


def _tunable(settings: PipelineSettings) -> dict[str, Any]:
    """All tunable settings, those not given too."""
    whole = Settings.from_dict(settings.settings())
    tunable = {name: value for name, value in whole.to_dict().items() if name not in whole.structural()}
    return {**tunable, "silence": settings.detect.silence, "ttl": settings.fleet.ttl or ""}
