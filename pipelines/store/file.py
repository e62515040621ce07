"""One SQLite file with one writer: opened, checked, written in transactions, closed."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from streamrnn.connectors.text import printable
from streamrnn.errors import StateError, StoreError
from streamrnn.pipelines.store.creation import Row, connect, create, salvage
from streamrnn.pipelines.store.formats import FORMAT, fault_of, format_of, migrate, seal, spoken
from streamrnn.pipelines.store.writeahead import lost_transactions

__all__ = ["Facts", "StoreFile", "logger", "storable", "to_json"]

logger = logging.getLogger("streamrnn.pipelines.store")

# SQLite's own checkpoints leave pages in the log that are in the file too. Were such a log
# cut short by damage, old pages would cover newer ones: a mixture that never was. So the log
# is emptied whole or not at all, here, whenever it is longer than this.
_LOG_BYTES = 4 << 20
# Of the header, to write and to read; others make SQLite open the file for reading alone.
_VERSIONS, _WAL_VERSIONS = slice(18, 20), b"\2\2"
_COPIES = ("facts", "facts_again")
# Tables whose damaged rows are dropped: reading again brings the same, or nothing can.
_SALVAGED = (
    *("events", "outbox", "incidents", "groups", "members", "silences", "channels", "captures"),
    "requests",
)


@dataclass(frozen=True)
class Facts:
    """What a store knows of itself.

    Attributes
    ----------
    snapshots, journal : int
        Number of the newest one; 0 before the first.
    positions, marks : dict
        What was committed last.
    """

    snapshots: int = 0
    journal: int = 0
    positions: dict[str, int] = field(default_factory=dict)
    marks: dict[str, Any] = field(default_factory=dict)


def to_json(value: Any) -> str:
    """JSON in ASCII: any text of Python survives it, lone surrogates too."""
    return json.dumps(value, separators=(",", ":"))


def storable(text: str) -> str:
    """Text that UTF-8 can hold: what came from names of files may be none."""
    return text.encode("utf-8", "backslashreplace").decode()


class StoreFile:
    """What every part of a store builds on.

    Parameters
    ----------
    path : str or Path
    readonly : bool
        Look, beside a writer or without one; takes no lock and changes nothing.
    beside : bool
        Write, beside a writer or without one: outbox, groups, silences and requests alone,
        which more than one may change. Takes no lock and mends nothing.

    Raises
    ------
    StoreError
        Where it is in use, or cannot be opened, read or written.
    StateError
        Where it is damaged beyond use, something else or of a newer format.
    """

    def __init__(self, path: str | Path, *, readonly: bool = False, beside: bool = False) -> None:
        self._path = Path(path).absolute()
        self._name = printable(str(path))
        self._log_stays = False
        self._told: set[tuple[str, Any]] = set()
        self._found: Facts | None = None
        self._lock = None if readonly or beside else _lock_of(self._path)
        try:
            with self._speaking():
                self._database = self._look(readonly=readonly) if readonly or beside else self._open()
        except BaseException:
            self._unlock()
            raise

    def close(self) -> None:
        """Let go of the file; more than once does no harm."""
        with suppress(sqlite3.Error):  # all is committed; the next to open empties the log
            self._database.close()
        self._unlock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _look(self, *, readonly: bool) -> sqlite3.Connection:
        database = connect(self._path, "ro" if readonly else "rw")
        try:
            _tune(database)
            if (version := format_of(database, self._path)) < FORMAT:
                raise StateError(f"{self._name} has format {version}; what writes to it must open it first")
        except BaseException:
            database.close()
            raise
        return database

    def _open(self) -> sqlite3.Connection:
        if self._is_new():
            with self._using_files():
                create(self._path, fact_rows(Facts()), FORMAT)
        fault, version = self._checked()
        if fault:
            with self._using_files():
                aside = salvage(self._path, version)
            logger.error(
                "%s is damaged: %s; what is whole was kept, the rest is in %s", self._name, fault, aside
            )
        database = connect(self._path, "rw")
        try:
            _tune(database)
            self._prepare(database, version)
        except BaseException:
            database.close()
            raise
        return database

    def _is_new(self) -> bool:
        log = Path(f"{self._path}-wal")
        if self._path.exists():
            if not self._path.stat().st_size:
                raise StateError(f"{self._name} is empty; restore a copy, or delete it to begin anew")
            return False
        if log.exists() and log.stat().st_size:
            raise StateError(f"{self._name} is gone but {printable(str(log))} is not; restore or delete both")
        return True

    @contextmanager
    def _using_files(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f"cannot use {self._name}: {error.strerror}") from error

    def _checked(self) -> tuple[str, int]:
        """(what is wrong with the file's pages, its format); looks, and changes nothing."""
        with self._using_files(), self._path.open("rb") as file:
            versions = file.read(_VERSIONS.stop)[_VERSIONS]
        database = connect(self._path, "ro")
        try:
            database.execute("PRAGMA writable_schema = ON")  # else a file cut short cannot be read at all
            version = format_of(database, self._path)
            fault = fault_of(database, version)
            return fault or ("" if versions == _WAL_VERSIONS else "its header is changed"), version
        finally:
            database.close()

    def _prepare(self, database: sqlite3.Connection, version: int) -> None:
        database.execute("BEGIN IMMEDIATE")
        if version < FORMAT:
            migrate(database, version, FORMAT)
        self._found = _facts_in(database)
        if self._found is None:
            logger.error("%s has lost what was committed last", self._name)
        for table in _SALVAGED:
            self._drop_damaged(database, table)
        database.execute("COMMIT")
        if lost := lost_transactions(database, self._path):
            logger.error("%s-wal is damaged: the last %d transactions are lost", self._name, lost)
        self._empty_log(database)

    # Reading and writing.

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError:
            raise  # the caller's mistake: closed, or another thread's
        except sqlite3.Error as error:
            raise spoken(self._path, error) from error

    def _rows(self, query: str, *values: str | int | None) -> list[Any]:
        with self._speaking():
            return self._database.execute(query, values).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """All that is read in it was there at one moment, whatever a writer does meanwhile."""
        with self._speaking():
            self._database.execute("BEGIN")
            try:
                yield
            finally:
                with suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")

    def _drop_damaged(self, database: sqlite3.Connection, table: str) -> None:
        """Make room for the same rows, which reading again may bring."""
        for name, *columns, mark in database.execute(f"SELECT * FROM {table}").fetchall():
            if mark != seal(table, name, *columns):
                logger.error("%s is damaged: row %r of its %s is lost", self._name, name, table)
                database.execute(f"DELETE FROM {table} WHERE id = ?", (name,))

    def _whole_rows(self, table: str, rows: Iterable[Row]) -> list[Row]:
        """Rows without their seals; those whose seal does not fit are left out, and logged once."""
        whole = []
        for *columns, mark in rows:
            if mark == seal(table, *columns):
                whole.append(tuple(columns))
            elif (place := (table, columns[0])) not in self._told:
                self._told.add(place)
                logger.error("%s is damaged: row %r of its %s cannot be read", self._name, place[1], table)
        return whole

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing: on the disk when it is left, undone where anything fails."""
        with self._speaking():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                raise
        if self._lock is not None:
            self._trim_log()

    def _trim_log(self) -> None:
        if Path(f"{self._path}-wal").stat().st_size > _LOG_BYTES:
            self._empty_log(self._database)

    def _empty_log(self, database: sqlite3.Connection) -> None:
        """Bring all that is committed into the file itself, where damage to the log can't reach it."""
        try:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self._log_stays = False
        except sqlite3.Error as error:  # committed all the same; a later call tries again
            if not self._log_stays:
                logger.warning("%s-wal stays long: %s", self._name, error)
            self._log_stays = True

    def _facts(self) -> Facts:
        """What the store knows of itself.

        Raises
        ------
        StateError
            Where both copies are damaged.
        """
        with self._speaking():
            facts = _facts_in(self._database)
        if facts is None:
            raise StateError(f"{self._name} is damaged: what was committed last cannot be read")
        return facts

    def _known_facts(self) -> Facts:
        """The same, where they are lost made up from what is left."""
        if self._found is None:
            with self._speaking():
                newest = [
                    self._database.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0]
                    for table in ("snapshots", "journal")
                ]
            self._found = Facts(*newest)
        return self._found

    @contextmanager
    def _advancing(self, **changes: Any) -> Iterator[sqlite3.Connection]:
        """A transaction that also changes some of the facts."""
        facts = replace(self._known_facts(), **changes)
        with self._transaction() as database:
            yield database
            for table, row in fact_rows(facts):
                database.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)", row)
        self._found = facts


def _tune(database: sqlite3.Connection) -> None:
    for statement in ("synchronous = FULL", "wal_autocheckpoint = 0", "secure_delete = OFF"):
        database.execute(f"PRAGMA {statement}").fetchall()


def fact_rows(facts: Facts) -> list[tuple[str, tuple[int, str, int]]]:
    """Facts as rows of the two tables that hold them."""
    body = to_json(asdict(facts))
    return [(table, (1, body, seal(table, 1, body))) for table in _COPIES]


def _facts_in(database: sqlite3.Connection) -> Facts | None:
    """The first copy that is whole; None where none is."""
    for table in _COPIES:
        for number, body, mark in database.execute(f"SELECT * FROM {table}"):
            if mark == seal(table, number, body):
                return Facts(**json.loads(body))
    return None


def _lock_of(path: Path) -> int:
    """A lock that the kernel lets go of when the process ends, however it ends."""
    try:
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"cannot open {printable(str(path))}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = printable(os.read(lock, 20).decode("ascii", "replace").strip())
        os.close(lock)
        if not isinstance(error, BlockingIOError):
            raise StoreError(f"cannot lock {printable(str(path))}: {error.strerror}") from error
        raise StoreError(
            f"{printable(str(path))} is in use by process {holder}; stop that one, or give another path"
        ) from error
    with suppress(OSError):  # a courtesy to whoever is refused; a full disk may deny it
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock
