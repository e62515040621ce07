"""Matchers of labels, as Alertmanager's users write them: ``site=north``, ``series=~pump-.*``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from streamrnn.connectors.text import shown
from streamrnn.errors import SettingsError

__all__ = ["Matcher", "matcher", "matchers", "matches"]

_SHAPE = re.compile(r"\s*([A-Za-z_]\w*)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)


@dataclass(frozen=True)
class Matcher:
    """One condition on one label; a label that is not there counts as empty.

    Attributes
    ----------
    name : str
    relation : str
        ``=``, ``!=``, ``=~`` or ``!~``; patterns match a whole value.
    value : str

    Examples
    --------
    >>> matcher("series=~pump-[12]").matches({"series": "pump-2"}), matcher('site!="north"').matches({})
    (True, True)
    """

    name: str
    relation: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet the condition."""
        found = labels.get(self.name, "")
        same = found == self.value if "~" not in self.relation else bool(re.fullmatch(self.value, found))
        return same is (self.relation[0] == "=")


def matcher(text: str) -> Matcher:
    """A matcher as it is written.

    Raises
    ------
    SettingsError
        Where it is none.
    """
    parts = _SHAPE.fullmatch(text)
    if parts is None:
        raise SettingsError(f"{shown(text)} is no matcher; give one such as site=north or series=~pump-.*")
    name, relation, value = parts.groups()
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    if "~" in relation:
        try:
            re.compile(value)
        except re.error as error:
            raise SettingsError(f"{shown(text)} holds no regular expression: {error}") from None
    return Matcher(name, relation, value)


def matchers(texts: Iterable[str]) -> tuple[Matcher, ...]:
    """Several of them.

    Raises
    ------
    SettingsError
        Where one is none.
    """
    return tuple(matcher(text) for text in texts)


def matches(all_of: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether labels meet all conditions."""
    return all(one.matches(labels) for one in all_of)
