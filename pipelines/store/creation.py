"""New store files: empty ones, and ones that hold what could be read of a damaged one.

A file is made beside the place where it belongs and moved there when it is whole,
so an empty or half-made file in that place is always damage.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from streamrnn.pipelines.store.formats import TABLES, migrate

__all__ = ["connect", "create", "salvage"]

PAGE_BYTES = 1 << 14  # a snapshot of 36 MB takes 150 ms to save; in SQLite's usual 4 KiB, 250 ms
# Of the header: bytes of a page; the change for which the number of pages in it is right.
_PAGE_BYTES_AT, _VALID_FOR_AT = slice(16, 18), slice(92, 96)
_BUSY_S = 5.0  # readers hold the file for milliseconds; whatever takes longer is stuck
_LOGS = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a file

Row = tuple[Any, ...]


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open a database; ``mode`` is "ro", "rw" or "rwc" (make it where there is none).

    Raises
    ------
    sqlite3.Error
        Where it cannot be opened.
    """
    place = f"file:{quote(os.fsencode(path))}?mode={mode}"
    database = sqlite3.connect(place, uri=True, timeout=_BUSY_S, isolation_level=None)
    # Text that is no UTF-8 was damaged: its seal tells, and the other rows can still be read.
    database.text_factory = lambda raw: raw.decode("utf-8", "replace")
    database.execute("PRAGMA cell_size_check = ON")
    return database


def create(
    path: Path, rows: Iterable[tuple[str, Row]], version: int, *, page_bytes: int | None = None
) -> None:
    """Make a store, with rows for its tables, and put it in its place.

    Raises
    ------
    OSError, sqlite3.Error
        Where that fails; what was there before is still there.
    """
    new = Path(f"{path}.new")
    try:
        _remove(new)
        with closing(connect(new, "rwc")) as database:
            for setting in (
                f"page_size = {page_bytes or PAGE_BYTES}",
                "auto_vacuum = NONE",
                "journal_mode = WAL",
            ):
                database.execute(f"PRAGMA {setting}").fetchall()
            database.execute("PRAGMA synchronous = FULL")
            database.execute("BEGIN")
            migrate(database, 0, version)
            for table, row in rows:
                database.execute(f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * len(row))})", row)
            database.execute("COMMIT")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # closing would hide a full disk
        _remove(path, _LOGS)  # of what stood there: they must never meet the new file
        new.replace(path)
    finally:
        _remove(new)
    _sync_folder(path.parent)


def salvage(path: Path, version: int) -> Path:
    """Put a new store in the place of a damaged one, with every row that can be read; where the old one is.

    Rows come over as they are, good seal or not: whoever reads them notices. The first
    page of the old one is made anew, since all others are found through it and what it
    holds is known.

    Raises
    ------
    OSError, sqlite3.Error
        Where the new one cannot be written.
    """
    aside, blank = Path(f"{path}.damaged"), Path(f"{path}.blank")
    _remove(aside)
    for suffix in ("", "-wal"):
        if Path(f"{path}{suffix}").exists():
            shutil.copyfile(f"{path}{suffix}", f"{aside}{suffix}")
    with aside.open("r+b") as file:
        page_bytes = int.from_bytes(file.read(_PAGE_BYTES_AT.stop)[_PAGE_BYTES_AT], "big")
        create(blank, (), version, page_bytes=page_bytes)
        first = bytearray(blank.read_bytes()[:page_bytes])
        _remove(blank)
        first[_VALID_FOR_AT] = bytes(4)  # so that the number of pages is taken from the length of the file
        file.seek(0)
        file.write(first)
    with closing(connect(aside, "ro")) as damaged:
        create(path, _readable(damaged), version)
    return aside


def _remove(path: Path, suffixes: Iterable[str] = ("", *_LOGS)) -> None:
    for suffix in suffixes:
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _readable(database: sqlite3.Connection) -> Iterator[tuple[str, Row]]:
    """Every row that can be reached from the first one on, or from the last one back."""
    for table in TABLES:
        for order in ("ASC", "DESC"):
            with suppress(sqlite3.DatabaseError):
                for row in database.execute(f"SELECT * FROM {table} NOT INDEXED ORDER BY id {order}"):
                    yield table, row
                break


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
