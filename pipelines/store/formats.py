"""What a store's file looks like, format by format, and what else may be found in its place."""

from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path

from streamrnn.connectors.text import printable
from streamrnn.errors import StateError, StoreError

__all__ = ["FORMAT", "MIGRATIONS", "TABLES", "fault_of", "format_of", "migrate", "seal", "spoken"]

APPLICATION_ID = 0x53524E53  # "SRNS"

# MIGRATIONS[n] turns format n into format n + 1; format 0 is an empty file. SQLite has no
# checksums of its own, so every row carries a seal. What the store knows of itself stands
# in two tables, which means on two pages: damage to one page leaves the other.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE facts (id INTEGER PRIMARY KEY, body TEXT, seal INTEGER)",
        "CREATE TABLE facts_again (id INTEGER PRIMARY KEY, body TEXT, seal INTEGER)",
        "CREATE TABLE snapshots (id INTEGER PRIMARY KEY, body TEXT, seal INTEGER)",
        "CREATE TABLE journal (id INTEGER PRIMARY KEY, body TEXT, seal INTEGER)",
        "CREATE TABLE events"
        " (id TEXT PRIMARY KEY, kind TEXT, time INTEGER, payload TEXT, seal INTEGER) WITHOUT ROWID",
        "CREATE TABLE outbox (id TEXT PRIMARY KEY, kind TEXT, payload TEXT, state TEXT,"
        " attempt INTEGER, due INTEGER, error TEXT, seal INTEGER) WITHOUT ROWID",
        "CREATE INDEX outbox_by_due ON outbox (state, due)",
        "CREATE TABLE chunks (id INTEGER PRIMARY KEY, data BLOB)",
    ),
    (
        "CREATE TABLE incidents (id TEXT PRIMARY KEY, time INTEGER, sequence INTEGER, open INTEGER,"
        " news INTEGER, body TEXT, seal INTEGER) WITHOUT ROWID",
        "CREATE INDEX incidents_by_news ON incidents (news, open, time)",
        "CREATE TABLE groups (id TEXT PRIMARY KEY, alike TEXT, state TEXT, due INTEGER, sent INTEGER,"
        " body TEXT, seal INTEGER) WITHOUT ROWID",
        "CREATE INDEX groups_by_alike ON groups (alike)",
        "CREATE TABLE members (id TEXT PRIMARY KEY, incident TEXT, party TEXT, about TEXT, told INTEGER,"
        " body TEXT, seal INTEGER) WITHOUT ROWID",
        "CREATE INDEX members_by_incident ON members (incident)",
        "CREATE INDEX members_by_party ON members (party)",
        "CREATE INDEX members_by_about ON members (about, told)",
        "CREATE TABLE silences (id TEXT PRIMARY KEY, until INTEGER, body TEXT, seal INTEGER) WITHOUT ROWID",
        "CREATE TABLE channels (id TEXT PRIMARY KEY, body TEXT, seal INTEGER) WITHOUT ROWID",
        "CREATE TABLE captures (id TEXT PRIMARY KEY, time INTEGER, data BLOB, seal INTEGER)",
    ),
    ("CREATE TABLE requests (id INTEGER PRIMARY KEY, body TEXT, seal INTEGER)",),
)
FORMAT = len(MIGRATIONS)
TABLES = (
    *("facts", "facts_again", "snapshots", "journal", "events", "outbox", "chunks"),
    *("incidents", "groups", "members", "silences", "channels", "captures", "requests"),
)

_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"
# Codes of SQLite that tell of the machine, not of the file's contents.
_MACHINE = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
}


def seal(table: str, *columns: str | int | bytes) -> int:
    """CRC-32 over a row and its table's name, so that no row passes for another."""
    return zlib.crc32(repr((table, *columns)).encode())


def migrate(database: sqlite3.Connection, start: int, end: int) -> None:
    """Bring a database from one format to a later one, in the caller's transaction."""
    for number in range(start, end):
        for statement in MIGRATIONS[number]:
            database.execute(statement)
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {end}")


def format_of(database: sqlite3.Connection, path: Path) -> int:
    """The format of a store.

    Raises
    ------
    StateError
        Where the file is something else or of a newer format.
    """
    (mark,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if mark != APPLICATION_ID:
        raise StateError(f"{printable(str(path))} is no store of streamrnn, or is damaged; give another path")
    if not 0 < version <= FORMAT:
        raise StateError(
            f"{printable(str(path))} has format {version}, this streamrnn reads formats up to {FORMAT}; "
            "use the version of streamrnn that wrote it"
        )
    return int(version)


def fault_of(database: sqlite3.Connection, version: int) -> str:
    """What is wrong with the tables and pages of a store; empty where nothing is."""
    whole = sqlite3.connect(":memory:")
    migrate(whole, 0, version)
    expected = whole.execute(_SCHEMA).fetchall()
    whole.close()
    try:
        if database.execute(_SCHEMA).fetchall() != expected:
            return "its tables are not those of a store"
        found = "; ".join(str(text) for (text,) in database.execute("PRAGMA integrity_check(1)"))
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the latter for what a message quotes
        return str(error)
    return "" if found == "ok" else found.replace("\n", " ")


def spoken(path: Path, error: sqlite3.Error) -> StateError | StoreError:
    """What an error of SQLite means to whoever runs the store."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    name = printable(str(path))
    if code == sqlite3.SQLITE_FULL:
        return StoreError(
            f"no room to write {name}: {error}; "
            "what was stored before is safe, and it goes on when there is room"
        )
    if code in _MACHINE:
        return StoreError(
            f"cannot use {name}: {error}; see that its folder can be written and the disk is well"
        )
    return StateError(f"{name} is damaged: {error}; restore a copy, or delete it to begin anew")
