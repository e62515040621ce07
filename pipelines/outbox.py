"""What must be delivered, until it is: at least once, in order, with the same id each time.

The store holds every message; this delivers what is due. A channel is given one
message at a time, in a thread of its own, so that a slow one keeps nobody waiting. A
try that failed is made again on a schedule; after the last one the message is dead:
kept, counted, and delivered when somebody asks for it.
"""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace

from streamrnn.connectors.notifications import Notification, Notifier, from_json
from streamrnn.connectors.text import printable
from streamrnn.errors import DeliveryError, StateError
from streamrnn.pipelines.store import OutboxEntry, Store

__all__ = ["DEAD", "DELIVERED", "SCHEDULE_S", "WAITING", "Counts", "Sender", "Tries", "due_after"]

_LOG = logging.getLogger("streamrnn.alerts")
WAITING, DELIVERED, DEAD = "waiting", "delivered", "dead"
_NS = 1_000_000_000

# Waits between tries: those of the Standard Webhooks specification, some three days in all.
SCHEDULE_S = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
_JITTER = 0.2  # a wait grows by up to this share, so that what failed together is not tried together
_FAILURES = 3  # in a row, after which a channel is left alone for a while


@dataclass(frozen=True)
class Tries:
    """When tries are made, in seconds.

    Attributes
    ----------
    schedule_s : tuple of float
        Waits between the tries of a message.
    pause_s, longest_pause_s : float
        How long a channel is left alone that failed again and again: at first, and at most.
    """

    schedule_s: tuple[float, ...] = SCHEDULE_S
    pause_s: float = 30.0
    longest_pause_s: float = 600.0


@dataclass
class Counts:
    """What became of messages.

    Attributes
    ----------
    sent, failed, dead : int
        Delivered; tries that failed; given up.
    """

    sent: int = 0
    failed: int = 0
    dead: int = 0


@dataclass
class _Line:
    """A channel: what is under way to it, and how it has been."""

    notifier: Notifier
    under_way: tuple[OutboxEntry, Future[DeliveryError | None]] | None = None
    failures: int = 0
    not_before: int = 0


class Sender:
    """Delivers what is due; call ``step`` again and again, from one thread.

    Parameters
    ----------
    store : Store
        A connection of that thread's own.
    channels : mapping of str to Notifier
    executor : Executor
        Runs tries; with as many threads as there are channels none waits for another.
    clock : callable
        Wall clock, ns UTC.
    tries : Tries
    wake : callable
        Called from another thread when a try is over.

    Attributes
    ----------
    counts : Counts
    """

    def __init__(
        self,
        store: Store,
        channels: Mapping[str, Notifier],
        executor: Executor,
        clock: Callable[[], int],
        *,
        tries: Tries | None = None,
        wake: Callable[[], object] = bool,
    ) -> None:
        self._store, self._executor, self._clock = store, executor, clock
        self._tries, self._wake = tries or Tries(), wake
        self._lines = {name: _Line(notifier) for name, notifier in channels.items()}
        self.counts = Counts()

    @property
    def busy(self) -> bool:
        """Whether a try is under way."""
        return any(line.under_way is not None for line in self._lines.values())

    def settle(self) -> bool:
        """Note how tries went that are over, and begin none; whether any was."""
        return self._collect()

    def step(self) -> bool:
        """Note how tries went, and begin those that are due; whether anything was done.

        Raises
        ------
        StateError, StoreError
            Where the store cannot be read or written; tries are made again.
        """
        done = self._collect()
        due = self._store.outbox_kinds_due(self._clock())
        if not due:
            return done
        disabled = self._store.channels_disabled()
        for name in due:
            if name in disabled or name not in self._lines:
                self._bury_all(name, disabled.get(name, "there is no channel of that name"))
                done = True
            else:
                done = self._begin(name, self._lines[name]) or done
        return done

    def next_due(self) -> int | None:
        """When something is due that may be tried, ns UTC; None where nothing waits."""
        first = self._store.outbox_next()
        pauses = [line.not_before for line in self._lines.values() if line.not_before > self._clock()]
        return first if first is None or not pauses else max(first, min(pauses))

    def _begin(self, name: str, line: _Line) -> bool:
        """Begin the channel's next try, where one is due and it is not left alone."""
        now = self._clock()
        if line.under_way is not None or now < line.not_before:
            return False
        due = self._store.outbox_due(now, 1, kind=name)
        if not due:
            return False
        try:
            notification = from_json(due[0].payload)
        except StateError as error:
            self._bury(due[0], str(error))
            return True
        notification = replace(notification, sent_at=now)
        future = self._executor.submit(_tried, line.notifier, notification)
        line.under_way = (due[0], future)
        future.add_done_callback(lambda _: self._wake())
        return True

    def _collect(self) -> bool:
        """Note how tries went that are over."""
        done = False
        for name, line in self._lines.items():
            if line.under_way is None or not line.under_way[1].done():
                continue
            (entry, future), line.under_way = line.under_way, None
            error = future.result()
            try:
                if error is None:
                    self._delivered(name, line, entry)
                else:
                    self._failed(name, line, entry, error)
            except KeyError:
                _LOG.info("message %s was handed over while it was under way", entry.id)
            done = True
        return done

    def _delivered(self, name: str, line: _Line, entry: OutboxEntry) -> None:
        self._store.outbox_mark(entry.id, DELIVERED, entry.attempt + 1, self._clock())
        self.counts.sent += 1
        if line.failures >= _FAILURES:
            _LOG.info("channel %s answers again", printable(name))
            self._store.outbox_hasten(name, self._clock())
        line.failures = 0

    def _failed(self, name: str, line: _Line, entry: OutboxEntry, error: DeliveryError) -> None:
        now, attempt, reason = self._clock(), entry.attempt + 1, printable(str(error))
        self.counts.failed += 1
        if error.gone:
            with self._store.deciding():
                self._store.channel_disable(name, f"{reason}: it wants nothing more")
            _LOG.error(
                "channel %s is disabled: %s; see `streamrnn alerts test`, or reload", printable(name), reason
            )
        if error.gone or not error.retriable or attempt > len(self._tries.schedule_s):
            self._bury(replace(entry, attempt=attempt), reason)
            return
        due = due_after(entry.id, attempt, now, self._tries.schedule_s)
        if error.retry_after_s is not None:
            line.not_before = max(line.not_before, now + round(error.retry_after_s * _NS))
            due = max(due, line.not_before)
        self._store.outbox_mark(entry.id, WAITING, attempt, due, reason)
        line.failures += 1
        if line.failures == _FAILURES:
            _LOG.warning("channel %s does not take messages: %s", printable(name), reason)
        if line.failures >= _FAILURES:
            doubled = self._tries.pause_s * 2.0 ** min(line.failures - _FAILURES, 10)
            pause_s = min(doubled, self._tries.longest_pause_s)
            line.not_before = max(line.not_before, now + round(pause_s * _NS))

    def _bury_all(self, name: str, reason: str) -> None:
        for entry in self._store.outbox_due(self._clock(), kind=name):
            self._bury(entry, reason)

    def _bury(self, entry: OutboxEntry, reason: str) -> None:
        self._store.outbox_mark(entry.id, DEAD, entry.attempt, self._clock(), reason)
        self.counts.dead += 1
        _LOG.error(
            "message %s to %s is given up: %s; `streamrnn alerts redeliver` tries again",
            *(entry.id, printable(entry.kind), reason),
        )


def due_after(id: str, attempt: int, now: int, schedule_s: tuple[float, ...] = SCHEDULE_S) -> int:
    """When to try again after so many tries, ns UTC; the same for the same id.

    Examples
    --------
    >>> [round(due_after("a.1", attempt, 0) / 1e9, 1) for attempt in (1, 2, 3)]
    [5.8, 318.0, 2006.6]
    """
    digest = hashlib.sha256(f"{id}/{attempt}".encode("utf-8", "backslashreplace")).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return now + round(schedule_s[attempt - 1] * (1.0 + _JITTER * share) * _NS)


def _tried(notifier: Notifier, notification: Notification) -> DeliveryError | None:
    """Send; what went wrong, None where it arrived."""
    try:
        notifier.send(notification)
    except DeliveryError as error:
        return error
    except Exception as error:  # a mistake of one channel must not stop the others
        # Its text may hold a secret: only its kind and place are said.
        place = traceback.extract_tb(error.__traceback__)[-1]
        failed = f"the channel failed with {type(error).__name__} in {place.name}, line {place.lineno}"
        return DeliveryError(failed, retriable=True)
    return None
