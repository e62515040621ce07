"""Priors as files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamrnn.connectors.text import printable
from streamrnn.errors import SettingsError, StateError
from streamrnn.prior import Prior

__all__ = ["load_prior", "with_prior"]


def load_prior(path: str | Path) -> Prior:
    """The prior that a file holds.

    Raises
    ------
    SettingsError
        Where it cannot be read, or holds none.
    """
    name = printable(str(path))
    try:
        return Prior.from_bytes(Path(path).read_bytes())
    except OSError as error:
        raise SettingsError(f"cannot read the prior {name}: {error.strerror or error}") from None
    except StateError as error:
        raise SettingsError(f"{name}: {error}") from None


def with_prior(options: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by name, the prior itself in the place of its file's name.

    Raises
    ------
    SettingsError
        Where the file cannot be read, or holds none.
    """
    given = dict(options)
    if isinstance(path := given.get("prior"), str):
        given["prior"] = load_prior(path)
    return given
