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

from streamrnn.connectors.kafka_transaction import KafkaTransaction
from streamrnn.errors import SettingsError, StateError, StreamrnnError
from streamrnn.pipelines.alert_opening import open_alerts
from streamrnn.pipelines.alert_service import AlertService
from streamrnn.pipelines.alert_settings import AlertTables
from streamrnn.pipelines.channels import open_channels
from streamrnn.pipelines.coding import Coding
from streamrnn.pipelines.endpoints import Live, open_dead_letters, open_outputs, open_source
from streamrnn.pipelines.exactly_once import check_mode, open_transaction, written_of
from streamrnn.pipelines.group.member import Member
from streamrnn.pipelines.group.opening import open_member
from streamrnn.pipelines.journal import Journal
from streamrnn.pipelines.keeping import Runaway, keeping_of, show_census, ttl_ns
from streamrnn.pipelines.metrics import Metrics
from streamrnn.pipelines.observers import Observer, Observers
from streamrnn.pipelines.outputs import Output, close_quietly
from streamrnn.pipelines.pace import Pace
from streamrnn.pipelines.parts import (
    LIFETIME,
    check_record,
    committed_of,
    extra_of,
    fleet_of,
    followers_of,
    part_of,
    silent_of,
    tunable_of,
)
from streamrnn.pipelines.pipeline import COMMANDS, WAITING, Pipeline
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
from streamrnn.pipelines.spill import SqliteSpill
from streamrnn.pipelines.store import Snapshot, Store
from streamrnn.pipelines.supervisor import Signals, notify, watchdog_s
from streamrnn.pipelines.topics import MarkedLetters
from streamrnn.pipelines.web.serving import LivePage, check_page, open_page
from streamrnn.spill import Keeping
from streamrnn.state import stored_series

__all__ = ["Daemon"]

_LOG = logging.getLogger("streamrnn.daemon")
_SILENT_S = 60.0  # a loop that did not go round for so long is stuck
_STALE = 3.0  # snapshots that are this many times overdue are not fresh
_WAIT_S = 0.2
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
        check_mode(self._settings)
        self._signals = Signals()
        self._last_notice = time.monotonic()
        self._service: AlertService | None = None

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

    def _made(self, opened: ExitStack) -> tuple[Pipeline | Member, Metrics, LivePage]:
        settings = self._settings
        if settings.checkpoint.topic is not None:
            if self._dry:
                raise SettingsError(
                    "a dry run would take partitions from the daemons of its group: without checkpoint.topic "
                    "and with a group of its own it takes nothing"
                )
            member, metrics, self._service = open_member(settings, self._path, opened)
            return member, metrics, LivePage(Observer(), lambda _: None)
        if self._dry:
            settings = _without_traces(settings, opened.enter_context(TemporaryDirectory()))
        store = Store(settings.checkpoint.path)
        opened.callback(store.close)
        saved = store.load()
        check_record(settings, saved)
        live = _live(opened, settings, saved)
        spill = _spill(opened, settings, saved)
        _check_spill(spill, saved)
        fleet = fleet_of(settings, saved, live.channels, _keeping(opened, settings, spill, saved))
        coding = Coding(fleet, saved.partition_names if saved else ())
        committed, marks = committed_of(store, saved)
        transaction = open_transaction(settings, live.source, opened)
        committed = written_of(transaction, () if saved is None else saved.positions, committed)
        outputs, letters = _outputs(opened, settings, marks, transaction)
        checkpoint = settings.checkpoint
        reorder = Reorder(round(1e9 * seconds(settings.record.reorder)), part_of(saved, WAITING))
        metrics = Metrics(coding.partition_names, lambda: [fleet], live, clock=time.monotonic, wall=time.time)
        metrics.show("waiting_records", "Records that wait for earlier ones", lambda: reorder.waiting)
        show_census(metrics, lambda: [fleet])
        alerts = open_alerts(settings, self._path, store, coding, saved, metrics.registry, spill)
        self._service = alerts.service
        page = open_page(settings, self._path, store, coding, saved, metrics.registry)
        alerts.service.start()
        opened.callback(alerts.service.stop)
        followers = followers_of(settings, saved, coding, alerts.intake)
        metrics.show("silent_series", "Series that fell silent", lambda: silent_of(followers))
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
            followers=followers,
            commits=not self._dry and transaction is None,
            transaction=transaction,
            extra=partial(extra_of, live, settings, alerts.intake),
            spill=spill,
        )
        pipeline.retune(tunable_of(settings))
        return pipeline, metrics, page

    def _is_over(self, pipeline: Pipeline | Member) -> bool:
        """Whether to leave; called once in each round of the loop."""
        if self._signals.take_reload():
            self._reload(pipeline)
        pipeline.hear()
        every = watchdog_s()
        if every and time.monotonic() - self._last_notice >= every:
            self._last_notice = time.monotonic()
            notify("WATCHDOG=1")
        return self._signals.stop

    def _reload(self, pipeline: Pipeline | Member) -> None:
        """Read the tunable settings again; a file that is wrong, or a full disk, changes nothing."""
        try:
            settings = load_settings(self._path)
            if settings.model != self._settings.model:
                _LOG.warning("[model] is structural: its changes take effect with a new state only")
            pipeline.retune(tunable_of(settings))
            if self._service is not None and not self._dry:
                self._service.reload(routing_of(settings.alerts), open_channels(settings.alerts))
        except StreamrnnError as error:
            _LOG.error("not reloaded: %s", error)

    def _served(
        self, listen: str, pipeline: Pipeline | Member, metrics: Metrics, page: LivePage
    ) -> HealthServer:
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
    opened: ExitStack,
    settings: PipelineSettings,
    marks: Mapping[str, Any],
    transaction: KafkaTransaction | None,
) -> tuple[Sequence[Output], MarkedLetters | None]:
    """Where rows and dead letters go."""
    outputs = open_outputs(settings, marks, transaction)
    for output in outputs:
        opened.callback(close_quietly, output)
    letters = open_dead_letters(settings, marks, transaction)
    if letters is not None:
        opened.callback(close_quietly, letters)
    return outputs, letters


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
    return keeping if saved is None else replace(keeping, ttl_ns=ttl_ns(part_of(saved, LIFETIME).decode()))
