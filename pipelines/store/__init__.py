"""What a run keeps: snapshots, positions, journal, events and outbox, in one SQLite file."""

from __future__ import annotations

from streamrnn.pipelines.store.alerts import Alerts, GroupRow, IncidentRow, MemberRow, SilenceRow
from streamrnn.pipelines.store.events import EventRow, Events
from streamrnn.pipelines.store.journal import Journal, JournalEntry
from streamrnn.pipelines.store.moving import Moving
from streamrnn.pipelines.store.outbox import Outbox, OutboxEntry
from streamrnn.pipelines.store.requests import Request, Requests
from streamrnn.pipelines.store.snapshots import Snapshot, Snapshots

__all__ = [
    "EventRow",
    "GroupRow",
    "IncidentRow",
    "JournalEntry",
    "MemberRow",
    "OutboxEntry",
    "Request",
    "SilenceRow",
    "Snapshot",
    "Store",
]


class Store(Snapshots, Journal, Events, Outbox, Alerts, Moving, Requests):
    """One SQLite file with one writer, safe under ``kill -9`` and power cuts.

    Each verb is one transaction: on the disk when it returns, undone where it raises.
    Every row carries a checksum. A file whose pages are damaged is replaced when it is
    opened for writing: what is whole comes over, the old one stays beside it as
    ``PATH.damaged``. A lock on ``PATH.lock`` keeps a second writer out; the kernel
    drops it when the process ends.

    Parameters
    ----------
    path : str or Path
        Made where there is none.
    readonly : bool
        Look, beside a writer or without one.
    beside : bool
        Write, beside a writer or without one: outbox, groups, silences and requests alone.

    Raises
    ------
    StoreError
        Where it is in use, or cannot be opened, read or written.
    StateError
        Where it is damaged beyond use, something else or of a newer format.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = folder.name + "/state.db"
    >>> with Store(path) as store:
    ...     store.commit({"plant": 500}, {"scored.csv": 81_920})
    ...     store.save(Snapshot(0, b"what was learned", ("plant",), {"plant": 500}, {}))
    1
    >>> with Store(path) as store:
    ...     store.load().positions, store.committed()
    ({'plant': 500}, ({'plant': 500}, {'scored.csv': 81920}))
    >>> folder.cleanup()
    """
