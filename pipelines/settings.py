"""The settings file: the tables of a pipeline that say what a record is and how it is judged."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from streamrnn.connectors.options import RecordOptions
from streamrnn.connectors.text import printable
from streamrnn.errors import SettingsError

__all__ = ["TABLES", "FileSettings", "load_settings"]

_RECORD = tuple(option.name for option in fields(RecordOptions))
_MODEL = ("networks", "hidden", "k1", "k2", "recompute", "horizons", "lags", "seed", "learning_rate")
_DETECT = ("false_alarms", "coverage", "learn_anomalies")
TABLES = {"record": _RECORD, "model": _MODEL, "detect": _DETECT}
_LISTS = frozenset({"time", "values", "key", "label", "missing"})


@dataclass(frozen=True)
class FileSettings:
    """What a settings file says.

    Attributes
    ----------
    record : dict
        Of ``RecordOptions``, by name.
    model : dict
        Of ``Settings``, by name.
    """

    record: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)


def load_settings(path: str | Path) -> FileSettings:
    """Read a TOML file.

    Raises
    ------
    SettingsError
        Where it cannot be read, or holds a table or a key that there is not.
    """
    name = printable(str(path))
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise SettingsError(f"cannot read {name}: {reason}") from None
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{name} is no TOML: {error}") from None
    for table, values in tables.items():
        _check(name, table, TABLES, "table")
        if not isinstance(values, Mapping):
            raise SettingsError(f"{name}: [{table}] is a table; write its keys below it")
        for key in values:
            _check(name, key, TABLES[table], f"key of [{table}]")
    record = {key: _listed(name, key, value) for key, value in tables.get("record", {}).items()}
    return FileSettings(record, {**tables.get("model", {}), **tables.get("detect", {})})


def _check(file: str, name: str, known: Iterable[str], what: str) -> None:
    if name in known:
        return
    near = difflib.get_close_matches(name, list(known), 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
    raise SettingsError(f"{file}: {printable(repr(name))} is no {what}; {hint}")


def _listed(file: str, key: str, value: Any) -> Any:
    """A name, or a list of names, as a tuple where a list is meant."""
    if key not in _LISTS:
        if not isinstance(value, bool if key == "sort" else str):
            raise SettingsError(
                f"{file}: {key} is {value!r}; give {'true or false' if key == 'sort' else 'text'}"
            )
        return value
    values = value if isinstance(value, list) else [value]
    if key == "missing":
        values = [part if isinstance(part, str) else f"{part!r}" for part in values]
    if not all(isinstance(part, str) for part in values):
        raise SettingsError(f"{file}: {key} is {value!r}; give a name or a list of names")
    return tuple(values)
