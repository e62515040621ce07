"""Kinds of events as style sheets name them."""

from __future__ import annotations

__all__ = ["slug"]


def slug(kind: str) -> str:
    """A kind of event as the style sheet calls it.

    Examples
    --------
    >>> slug("level shift"), slug("")
    ('level-shift', 'other')
    """
    return kind.replace(" ", "-") or "other"
