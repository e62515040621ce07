"""Secrets: text that shows itself to nobody but the connector that needs it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from streamrnn.errors import SettingsError

__all__ = ["Secret"]

_MASK = "********"


class Secret:
    """A secret of a pipeline file: text, ``{env = "NAME"}`` or ``{file = "path"}``.

    Examples
    --------
    >>> secret = Secret("swordfish")
    >>> secret, str(secret), secret.reveal()
    (********, '********', 'swordfish')
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself."""
        return self._text

    def __repr__(self) -> str:
        return _MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    @classmethod
    def schema(cls, kind: type) -> dict[str, Any]:
        """What a secret may be, for ``msgspec.json.schema``."""
        if kind is not cls:
            raise NotImplementedError(kind)
        text = {"type": "string"}
        where = {
            "type": "object",
            "properties": {"env": text, "file": text},
            "maxProperties": 1,
            "minProperties": 1,
        }
        return {"anyOf": [text, where]}

    @classmethod
    def decode(cls, kind: type, value: Any) -> Secret:
        """What the file says, fetched from where it points; for ``msgspec.convert``.

        Raises
        ------
        SettingsError
            Where it cannot be found.
        """
        if kind is not cls:
            raise NotImplementedError(kind)
        if isinstance(value, str):
            return cls(value)
        if isinstance(value, dict) and len(value) == 1:
            where, name = next(iter(value.items()))
            if where == "env" and isinstance(name, str):
                return cls(_of_environment(name))
            if where == "file" and isinstance(name, str):
                return cls(_of_file(name))
        raise SettingsError('a secret is text, {env = "NAME"} or {file = "path"}')


def _of_environment(name: str) -> str:
    if name not in os.environ:
        raise SettingsError(f"the environment variable {name!r} holds a secret that is needed; it is not set")
    return os.environ[name]


def _of_file(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise SettingsError(f"cannot read the secret in {name!r}: {reason}") from None
