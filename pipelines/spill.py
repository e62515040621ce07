"""States of series for which there is no room in memory: one SQLite file beside the run's store.

A snapshot of a run says which series lie here, and this file can go back to what it held
when that was saved. Every state carries the numbers of the first snapshot that has it
and of the first that has it no more; what no kept snapshot has is deleted. So a crash at any
moment costs nothing: what came after the snapshot is undone when the run goes on from it.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from streamrnn.connectors.text import printable
from streamrnn.errors import StateError, StoreError
from streamrnn.pipelines.store import Snapshot, Store

__all__ = ["SqliteSpill", "save_beside"]

_NEVER = 2**62  # number of no snapshot
_LEVEL = 1  # of zlib: a young state of 180 KB takes 12 KB, one of 3000 records 96 KB and 2 ms
_SCHEMA = """
CREATE TABLE IF NOT EXISTS states (id INTEGER PRIMARY KEY, key BLOB, born INTEGER, gone INTEGER, data BLOB,
    seal INTEGER);
CREATE INDEX IF NOT EXISTS states_by_key ON states (key, gone);
CREATE INDEX IF NOT EXISTS states_by_gone ON states (gone);
CREATE INDEX IF NOT EXISTS states_by_born ON states (born);
"""


class SqliteSpill:
    """A ``SpillStore`` in a file; without a path in a temporary one that goes with this object.

    What is put here is safe from a crash of the process at once, and from a power cut when
    ``sync`` returns.

    Parameters
    ----------
    path : str or Path or None
        Made where there is none.
    snapshot : int
        Go on from the state that belongs to this snapshot of the run; 0: from nothing.

    Raises
    ------
    StoreError
        Where it cannot be opened or written.
    StateError
        Where it is damaged, or something else.

    Examples
    --------
    >>> spill = SqliteSpill()
    >>> spill.put("pump-1", b"learned")
    >>> spill.get("pump-1"), spill.get("pump-2")
    (b'learned', None)
    >>> spill.close()
    """

    def __init__(self, path: str | Path | None = None, snapshot: int = 0) -> None:
        self._folder = TemporaryDirectory(prefix="streamrnn-") if path is None else None
        self._path = Path(self._folder.name) / "spill.db" if self._folder else Path(path or "")
        self._name = printable(str(self._path))
        self._next = snapshot + 1
        with self._speaking():
            self._database = sqlite3.connect(self._path, isolation_level=None)
            for setting in ("journal_mode = WAL", "synchronous = NORMAL"):
                self._database.execute(f"PRAGMA {setting}").fetchall()
            self._database.executescript(_SCHEMA)
            self._database.execute("DELETE FROM states WHERE born > ?", (snapshot,))
            self._database.execute(
                "UPDATE states SET gone = ? WHERE gone > ? AND gone < ?", (_NEVER, snapshot, _NEVER)
            )

    def put(self, key: str, state: bytes) -> None:
        """Keep a state in place of whatever was kept under the key."""
        data, name = zlib.compress(state, _LEVEL), _as_bytes(key)
        row = (name, self._next, _NEVER, data, zlib.crc32(name + data))
        with self._transaction() as database:
            self._drop(database, name)
            database.execute("INSERT INTO states (key, born, gone, data, seal) VALUES (?, ?, ?, ?, ?)", row)

    def get(self, key: str) -> bytes | None:
        """The state of a key; None where there is none."""
        return self.as_of(_NEVER - 1, key)

    def drop(self, key: str) -> None:
        """Forget what was kept under a key, if anything was."""
        with self._transaction() as database:
            self._drop(database, _as_bytes(key))

    def as_of(self, snapshot: int, key: str) -> bytes | None:
        """The state of a key that belongs to one of the kept snapshots; None where there was none.

        Raises
        ------
        StateError
            Where it is damaged.
        StoreError
            Where it cannot be read.
        """
        name = _as_bytes(key)
        with self._speaking():
            rows = self._database.execute(
                "SELECT data, seal FROM states INDEXED BY states_by_key"
                " WHERE key = ? AND born <= ? AND gone > ?",
                (name, snapshot, snapshot),
            ).fetchall()
        for data, seal in rows:
            if zlib.crc32(name + data) != seal:
                raise StateError(
                    f"{self._name} is damaged: the state of series {printable(key)} cannot be read; "
                    "restore it together with the run's state, or begin anew without both"
                )
            return zlib.decompress(data)
        return None

    def __len__(self) -> int:
        """How many series lie here."""
        with self._speaking():
            rows = self._database.execute("SELECT count(*) FROM states WHERE gone = ?", (_NEVER,)).fetchall()
        return int(rows[0][0])

    def sync(self) -> None:
        """Have all that was put here survive a power cut; call before a snapshot is saved.

        Raises
        ------
        StoreError
            Where it cannot be written.
        """
        with self._speaking():
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def saved(self, snapshot: int, oldest: int) -> None:
        """A snapshot was saved; what only those before the oldest that is kept had is deleted.

        Raises
        ------
        StoreError
            Where it cannot be written.
        """
        self._next = snapshot + 1
        with self._speaking():
            self._database.execute("DELETE FROM states WHERE gone <= ?", (oldest,))

    def close(self) -> None:
        """Let go of the file; more than once does no harm."""
        self._database.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _drop(self, database: sqlite3.Connection, name: bytes) -> None:
        # By itself SQLite takes the index of ``gone``, in which all that lie here have one entry.
        # What no snapshot has yet is gone at once; the rest with the next snapshot.
        database.execute(
            "DELETE FROM states INDEXED BY states_by_key WHERE key = ? AND gone = ? AND born = ?",
            (name, _NEVER, self._next),
        )
        database.execute(
            "UPDATE states INDEXED BY states_by_key SET gone = ? WHERE key = ? AND gone = ?",
            (self._next, name, _NEVER),
        )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing."""
        with self._speaking():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError:
            raise  # the caller's mistake: closed, or another thread's
        except (sqlite3.OperationalError, sqlite3.IntegrityError) as error:
            raise StoreError(f"cannot use {self._name}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise StateError(f"{self._name} is damaged: {error}; restore it with the run's state") from error


def save_beside(spill: SqliteSpill | None, store: Store, snapshot: Snapshot) -> None:
    """Save a snapshot, behind the series that lie beside it if any do.

    Raises
    ------
    StoreError
        Where it cannot be written.
    """
    if spill is None:
        store.save(snapshot)
        return
    spill.sync()
    oldest = store.newest_snapshot  # the store keeps this one and the next
    spill.saved(store.save(snapshot), oldest)


def _as_bytes(key: str) -> bytes:
    """Any text of Python, lone surrogates too."""
    return key.encode("utf-8", "surrogatepass")
