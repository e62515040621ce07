"""Text of unknown origin, as any receiver may see it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from streamrnn.connectors.text import printable

__all__ = ["block", "blocks", "cut", "line", "lines", "rfc3339"]

_LONGEST_NAME = 200
_LONGEST_LINE = 1000
_LONGEST_BLOCK = 4000


def line(text: str, longest: int = _LONGEST_LINE) -> str:
    r"""Text as one line: what acts on a terminal or turns the writing direction is spelled; cut where long.

    Examples
    --------
    >>> line("pump\x1b[31m\n7"), line("x" * 9, 5)
    ('pump\\x1b[31m\\n7', 'xxxx…')
    """
    # Escapes make text longer: cut first, so that a huge text costs little, and then again.
    return cut(printable(text[: longest + 1]), longest)


def block(text: str, longest: int = _LONGEST_BLOCK) -> str:
    """The same, its line ends kept."""
    short = text[: longest + 1].replace("\r\n", "\n")
    return cut("\n".join(printable(part) for part in short.split("\n")), longest)


def cut(text: str, longest: int) -> str:
    """Text with its end left out where it is long."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def lines(texts: Mapping[str, str]) -> dict[str, str]:
    """Labels as receivers may see them."""
    return {line(name, _LONGEST_NAME): line(text) for name, text in texts.items()}


def blocks(texts: Mapping[str, str]) -> dict[str, str]:
    """Annotations as receivers may see them."""
    return {line(name, _LONGEST_NAME): block(text) for name, text in texts.items()}


def rfc3339(ns: int) -> str:
    """A time as RFC 3339 has it, to the nanosecond.

    Examples
    --------
    >>> rfc3339(1_767_225_600_250_000_000), rfc3339(0)
    ('2026-01-01T00:00:00.25Z', '1970-01-01T00:00:00Z')
    """
    seconds, rest = divmod(ns, 1_000_000_000)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"
