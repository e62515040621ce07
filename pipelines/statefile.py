"""What a run has learned, as a file: the fleet's state, and the names that its event ids start with."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from streamrnn.connectors.text import printable
from streamrnn.errors import SettingsError, StateError

__all__ = ["RunState", "load_state", "save_state"]

_MAGIC = b"SRNNRUN1"
_LENGTH_BYTES = 8


@dataclass(frozen=True)
class RunState:
    """A state between two runs.

    Attributes
    ----------
    fleet : bytes
        Of ``Fleet.to_bytes``.
    partition_names : tuple of str
        Of the runs so far: events that are open may have begun in them.
    """

    fleet: bytes
    partition_names: tuple[str, ...]


def save_state(path: str | Path, fleet: bytes, partition_names: Sequence[str]) -> None:
    """Write a state so that the file holds the old one or the new one, whatever happens.

    Raises
    ------
    OSError
        Where it cannot be written.
    """
    names = json.dumps(list(partition_names)).encode()
    special = Path(path).exists() and not Path(path).is_file()  # a device is written, never replaced
    beside = Path(path) if special else Path(f"{path}.new")
    try:
        with beside.open("wb") as file:
            file.write(_MAGIC + len(names).to_bytes(_LENGTH_BYTES, "little") + names + fleet)
            file.flush()
            if not special:
                os.fsync(file.fileno())
        if not special:
            beside.replace(path)
    except OSError as error:
        if not special:
            beside.unlink(missing_ok=True)
        error.filename = str(path)
        raise


def load_state(path: str | Path) -> RunState:
    """Read what ``save_state`` wrote.

    Raises
    ------
    SettingsError
        Where the file cannot be read.
    StateError
        Where it is no state.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise SettingsError(f"cannot read {printable(str(path))}: {error.strerror}") from None
    start = len(_MAGIC) + _LENGTH_BYTES
    end = start + int.from_bytes(data[len(_MAGIC) : start], "little")
    if not data.startswith(_MAGIC) or end > len(data):
        raise StateError(f"{printable(str(path))} is no state of a run; give a file that --save-state wrote")
    try:
        names = json.loads(data[start:end])
    except ValueError:
        raise StateError(f"{printable(str(path))} is damaged") from None
    return RunState(data[end:], tuple(map(str, names)))
