"""Files that lie beside one that is followed, because it was rotated: which of them are newer."""

from __future__ import annotations

import glob
import re
from pathlib import Path

__all__ = ["beside", "newer"]

# As logrotate, logback and Python name them: .1, .2.gz, -20240131, .2024-01-31_10-00.
_ROTATED = re.compile(r"[._-]\d[\dT._-]*(\.gz)?", re.ASCII)


def beside(home: Path) -> list[Path]:
    """Files whose names begin with that of another and go on."""
    found = sorted(home.parent.glob(f"{glob.escape(home.name)}?*"))
    return [file for file in found if file.is_file()]


def newer(home: Path, than_ns: int, left: tuple[int, int]) -> list[tuple[Path, bool]]:
    """Rotated files last written no earlier than a time, the oldest first.

    Files that were last written in the same tick of the clock stand in the order of
    the numbers that their names have: counting up, or down as logrotate does.

    Parameters
    ----------
    home : Path
        The name that the newest file has.
    than_ns : int
        When the file that was left was last written to, ns.
    left : (int, int)
        Device and inode of that one.

    Returns
    -------
    list of (Path, bool)
        And whether it was last written in the same tick, so that it may be older.
    """
    number_left: list[int] = []
    found: list[tuple[int, list[int], Path]] = []
    for file in beside(home):
        rest = file.name.removeprefix(home.name)
        if not _ROTATED.fullmatch(rest) or _is_being_packed(file):
            continue  # whatever else begins so: an editor's copy, our own output
        stat, numbers = file.stat(), [int(digits) for digits in re.findall(r"\d+", rest)]
        if (stat.st_dev, stat.st_ino) == left:
            number_left = numbers
        elif stat.st_mtime_ns >= than_ns:
            found.append((stat.st_mtime_ns, numbers, file))
    counts_up = bool(number_left) and all(numbers > number_left for _, numbers, _ in found)
    found.sort(key=lambda one: one[1], reverse=not counts_up)
    found.sort(key=lambda one: one[0])
    return [(file, written_ns == than_ns) for written_ns, _, file in found]


def _is_being_packed(file: Path) -> bool:
    """Whether what it is packed from is still there."""
    return file.suffix == ".gz" and file.with_suffix("").is_file()
