"""SQLite's write-ahead log: what damage has cut off it.

SQLite reads the log up to the first frame whose checksum is wrong, and says
nothing: after a crash that is the one transaction that was being written. Each
transaction is on the disk before the next one starts (synchronous FULL), so where
two or more stand behind that frame, what was committed is lost.

The format: https://www.sqlite.org/fileformat2.html#walformat
"""

from __future__ import annotations

import os
import sqlite3
import struct
from pathlib import Path

__all__ = ["lost_transactions"]

_HEADER = struct.Struct(">IIIIQII")  # magic, version, page size, sequence, salts, checksums
_FRAME = struct.Struct(">IIQII")  # page, pages of the file after a commit or 0, salts, checksums


def lost_transactions(database: sqlite3.Connection, path: Path) -> int:
    """How many transactions damage to the log has cost; 0 where none.

    Parameters
    ----------
    database : sqlite3.Connection
        That has the log open and has read from it.
    path : Path
        Of the store.
    """
    sound = max(0, database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1])
    (page_bytes,) = database.execute("PRAGMA page_size").fetchone()
    log = Path(f"{path}-wal")
    if not log.exists() or log.stat().st_size < _HEADER.size + _FRAME.size:
        return 0
    with log.open("rb") as file:
        salts = {_HEADER.unpack(file.read(_HEADER.size))[4], _FRAME.unpack(file.read(_FRAME.size))[2]}
        behind = 0
        file.seek(_HEADER.size + sound * (_FRAME.size + page_bytes))
        while len(frame := file.read(_FRAME.size)) == _FRAME.size:
            _, committed, of_frame, *_ = _FRAME.unpack(frame)
            behind += committed != 0 and of_frame in salts
            file.seek(page_bytes, os.SEEK_CUR)
    return behind if behind > 1 else 0
