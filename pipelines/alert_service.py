"""The thread that decides who is told and delivers it, beside the one that scores."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from streamrnn.connectors.notifications import Notifier
from streamrnn.connectors.text import printable
from streamrnn.errors import StateError, StoreError
from streamrnn.pipelines.grouping import Desk
from streamrnn.pipelines.outbox import Counts, Sender, Tries
from streamrnn.pipelines.routing import Routing
from streamrnn.pipelines.store import Store

__all__ = ["AlertService", "Figures"]

_LOG = logging.getLogger("streamrnn.alerts")
_LOOK_S = 1.0  # how often to look for what other processes wrote: silences, messages to deliver again
_TROUBLE_S = 5.0
_LEAVE_S, _TRY_S = 5.0, 0.1
_HOLD_S = 1.0  # a channel that answers later than this keeps nobody waiting; it may hear the same twice
_TIDY_S = 600.0
_NS = 1_000_000_000


class Figures:
    """What is known of alerts from outside; read by other threads.

    Attributes
    ----------
    counts : Counts
    open, pending : int
        Incidents that are open, messages that wait.
    """

    def __init__(self) -> None:
        self.counts = Counts()
        self.open = self.pending = 0


class AlertService:
    """Steps a desk and a sender on a connection of their own, until it is stopped.

    Parameters
    ----------
    path : str or Path
        Of the store; another process or thread may hold its lock.
    routing : Routing
    channels : mapping of str to Notifier
        Closed at the end.
    clock : callable
        Wall clock, ns UTC.
    tries : Tries
    apart : bool
        As ``Desk`` has it.

    Attributes
    ----------
    figures : Figures
    """

    def __init__(
        self,
        path: str | Path,
        routing: Routing,
        channels: Mapping[str, Notifier],
        *,
        clock: Callable[[], int] = time.time_ns,
        tries: Tries | None = None,
        apart: bool = False,
    ) -> None:
        self._path, self._routing, self._channels = path, routing, channels
        self._clock, self._tries, self._apart = clock, tries, apart
        self._held_back, self._still = False, threading.Event()
        self.figures = Figures()
        self._news, self._hindered = threading.Event(), False
        self._leaving = self._left = False
        self._reloaded: tuple[Routing, Mapping[str, Notifier]] | None = None
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There is news."""
        self._news.set()

    def reload(self, routing: Routing, channels: Mapping[str, Notifier]) -> None:
        """Go on by other rules and channels; those that were disabled are used again."""
        self._reloaded = (routing, channels)
        self.wake()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Decide nothing and begin no try while this lasts; those under way are waited for, not for long."""
        self._still.clear()
        self._held_back = True
        self.wake()
        if self._thread.is_alive():
            self._still.wait(_HOLD_S)
        try:
            yield
        finally:
            self._held_back = False
            self.wake()

    def stop(self) -> None:
        """Tell what waits for company, try once what is due, and end; within seconds."""
        self._leaving = True
        self.wake()
        self._thread.join(4 * _LEAVE_S)

    def _run(self) -> None:
        while not self._left:
            executor = ThreadPoolExecutor(max(len(self._channels), 1), "channel")
            try:
                with closing(Store(self._path, beside=True)) as store:
                    self._loop(
                        Desk(store, self._routing, apart=self._apart), self._sender(store, executor), store
                    )
            except Exception:  # the outermost loop of this thread: nothing may end the delivery of alerts
                _LOG.exception("alerts begin anew")
                self._left = self._leaving
                self._news.wait(_TROUBLE_S)
            finally:
                executor.shutdown(wait=False, cancel_futures=True)
        self._close_channels()

    def _close_channels(self) -> None:
        for name, channel in self._channels.items():
            try:
                channel.close()
            except OSError as error:
                _LOG.warning("channel %s: %s", printable(name), error)

    def _renewed(self, store: Store) -> bool:
        """Take up other rules and channels, where there are any."""
        if self._reloaded is None:
            return False
        with store.deciding():
            for name in store.channels_disabled():
                store.channel_enable(name)
        self._close_channels()
        (self._routing, self._channels), self._reloaded = self._reloaded, None
        return True

    def _sender(self, store: Store, executor: ThreadPoolExecutor) -> Sender:
        sender = Sender(store, self._channels, executor, self._clock, tries=self._tries, wake=self.wake)
        sender.counts = self.figures.counts
        return sender

    def _loop(self, desk: Desk, sender: Sender, store: Store) -> None:
        tidied = 0
        while not self._leaving:
            self._news.clear()
            if self._renewed(store):
                return
            if self._held_back:
                self._hold(sender)
                continue
            now = self._clock()
            if self._step(desk, sender, store) and now - tidied > _TIDY_S * _NS:
                tidied = now
                desk.tidy(now)
            self._news.wait(self._pause_s(desk, sender))
        self._left = True
        self._leave(desk, sender, store)

    def _hold(self, sender: Sender) -> None:
        """Note how tries go that are under way, and say when none is."""
        sender.settle()
        if not sender.busy:
            self._still.set()
        self._news.wait(_TRY_S)

    def _step(self, desk: Desk, sender: Sender, store: Store) -> bool:
        """One round; False where the store cannot be used now."""
        try:
            desk.step(self._clock())
            while sender.step():
                pass
            self.figures.open = store.incidents_open()
            self.figures.pending = store.outbox_counts().get("waiting", 0)
        except (StateError, StoreError) as error:
            if not self._hindered:
                _LOG.warning("alerts wait: %s", error)
            self._hindered = True
            return False
        self._hindered = False
        return True

    def _pause_s(self, desk: Desk, sender: Sender) -> float:
        if self._hindered:
            return _TROUBLE_S
        due = min(desk.next_due(), sender.next_due() or 2**62)
        return min(max((due - self._clock()) / _NS, 0.001), _LOOK_S)

    def _leave(self, desk: Desk, sender: Sender, store: Store) -> None:
        """Tell what waits for company; try what is due, each once more at most."""
        end = time.monotonic() + _LEAVE_S
        if not self._step(desk, sender, store):
            return
        desk.leave(self._clock())
        while time.monotonic() < end and (sender.step() or sender.busy):
            self._news.wait(_TRY_S)
            self._news.clear()
        self._step(desk, sender, store)
