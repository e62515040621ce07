"""A pipeline's alerts on a clock of their own: records by hand, channels that keep what they are given."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from types import SimpleNamespace

from streamrnn.errors import DeliveryError
from streamrnn.pipelines.alerting import Alerting, Identity
from streamrnn.pipelines.grouping import Desk
from streamrnn.pipelines.outbox import Sender
from streamrnn.pipelines.routing import Route, Routing
from streamrnn.pipelines.rules import Rules, Span
from streamrnn.pipelines.store import Store

SECOND = 1_000_000_000
NOON = 1_782_475_200 * SECOND  # 2026-06-26 12:00 UTC, a Friday


class AtOnce(Executor):
    """Runs what it is given before it returns."""

    def submit(self, function, *arguments):
        future = Future()
        future.set_result(function(*arguments))
        return future


class Inbox:
    """A channel that keeps what it is given; ``fault`` is raised instead, where there is one."""

    def __init__(self):
        self.got, self.tries, self.fault = [], 0, None

    def send(self, notification):
        self.tries += 1
        fault = self.fault(notification) if callable(self.fault) else self.fault
        if fault is not None:
            raise fault
        self.got.append(notification)

    def close(self):
        pass

    @property
    def told(self):
        """(status, number of alerts) of each message."""
        return [(n.status, len(n.alerts) + n.truncated) for n in self.got]


class World:
    """Alerts of some series, whose models are not needed."""

    def __init__(self, path, channels=("ops",), series=1, routing=None, **rules):
        self.path, self.now = path, NOON
        self.inboxes = {name: Inbox() for name in channels}
        self.routing = routing or Routing((Route(tuple(channels)),))
        self.rules = Rules(**{"quiet": Span(records=60), **rules})
        settings = SimpleNamespace(channels=("temp",))
        fleet = SimpleNamespace(
            keys=[f"pump-{i}" for i in range(series)],
            settings=settings,
            typical_step_ns=lambda code: 60.0 * SECOND,
        )
        self.coding = SimpleNamespace(fleet=fleet, partition_names=["pumps"])
        self.store = Store(path)
        self.open()

    def open(self, state=None):
        """The process begins, or begins again."""
        recorder = SimpleNamespace(
            records=lambda batch: None, take=lambda *_: None, changed=lambda _: None, rebase=lambda *_: None
        )
        self.alerting = Alerting(
            self.store,
            self.coding,
            rules=self.rules,
            identity=Identity("plant", "plant.toml", {"site": "north"}),
            wall=lambda: self.now,
            wake=lambda: None,
            recorder=recorder,
            state=state,
        )
        self.desk = Desk(self.store, self.routing)
        self.sender = Sender(self.store, self.inboxes, AtOnce(), lambda: self.now)

    @property
    def inbox(self):
        return next(iter(self.inboxes.values()))

    def step(self):
        self.desk.step(self.now)
        while self.sender.step():
            pass

    def wait(self, seconds, every=1.0):
        """Let time go by."""
        end = self.now + round(seconds * SECOND)
        while self.now < end:
            self.now = min(self.now + round(every * SECOND), end)
            self.step()

    def play(self, story, *, minutes=None, every=5):
        """Records come, each minute those of a minute."""
        from made_incidents import part

        batch, found = story
        n = len(self.coding.fleet.keys)
        for minute in range(len(batch) // n) if minutes is None else minutes:
            rows = slice(minute * n, (minute + 1) * n)
            self.alerting.records(part(batch, rows), part(found, rows), None)
            self.step()
            self.wait(60, every=every)


def down(retry_after_s=None):
    return DeliveryError("ops: no answer", retriable=True, retry_after_s=retry_after_s)
