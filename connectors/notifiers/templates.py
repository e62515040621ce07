"""Titles and bodies of messages, from templates that only put names in their places.

``${labels.series}`` is replaced by a label, ``$$`` by a dollar; there is nothing
else to learn and nothing to execute. What is put in is not read again.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from string import Template

from streamrnn.connectors.notifications import Alert, Notification
from streamrnn.connectors.notifiers.texts import block, cut, line, rfc3339
from streamrnn.errors import SettingsError

__all__ = ["Message", "TextOptions"]

_LABELS = ("alertname", "series", "pipeline", "severity", "kind")
_ANNOTATIONS = ("summary", "description", "expected", "actual", "why", "replay")
_VALUES = ("p_value", "surprise", "strength")
_OF_AN_ALERT = ("status", "fingerprint", "starts_at", "ends_at")
_OF_A_MESSAGE = ("receiver", "count")

_MOST_NAMED = 3  # different values in a title
_MOST_ALERTS = 10  # in a body
_LONGEST_TITLE = 500
_LONGEST_BODY = 20_000


class _Names(Template):
    """Only ``${name}``: a name without braces is an error."""

    idpattern = "(?!)"
    braceidpattern = r"[^{}$]+"


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """What messages say.

    Attributes
    ----------
    title : str
        Once for a message. Where its alerts differ, the first few are named.
    body : str
        Once for each alert. A line whose names are all empty is left out.
    labels : tuple of str
        Labels that a template may name, beside alertname, series, pipeline,
        severity and kind.

    Raises
    ------
    SettingsError
        Where a template names what there is not.

    Examples
    --------
    >>> TextOptions(title="${labels.site}: ${annotations.summary}", labels=("site",)).labels
    ('site',)
    >>> TextOptions(body="${labels.serie}")
    Traceback (most recent call last):
    ...
    streamrnn.errors.SettingsError: body names ${labels.serie}; did you mean ${labels.series}?
    """

    title: str = "${status}: ${annotations.summary}"
    body: str = (
        "${annotations.description}\n"
        "expected ${annotations.expected}, was ${annotations.actual}\n"
        "${annotations.why}\n"
        "since ${starts_at}\n"
        "replay: ${annotations.replay}"
    )
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("title", "body"):
            _check(name, getattr(self, name), self._known())

    def _known(self) -> list[str]:
        return [
            *_OF_AN_ALERT,
            *_OF_A_MESSAGE,
            *(f"labels.{name}" for name in (*_LABELS, *self.labels)),
            *(f"annotations.{name}" for name in _ANNOTATIONS),
            *(f"values.{name}" for name in _VALUES),
        ]


class Message:
    """Notifications as text for people.

    Parameters
    ----------
    options : TextOptions
    safe : callable
        What else makes text from elsewhere harmless, where the message goes.

    Examples
    --------
    >>> alert = Alert("6f1e", "firing", {}, {"summary": "flow is low", "why": "temp was high"}, 0, None, {})
    >>> message = Message(TextOptions())
    >>> notification = Notification("m1", "flow", "firing", "night shift", (alert,), 0, {}, sent_at=1)
    >>> message.title(notification)
    'firing: flow is low'
    >>> print(message.body(notification))
    temp was high
    since 1970-01-01T00:00:00Z
    """

    def __init__(self, options: TextOptions, safe: Callable[[str], str] = str) -> None:
        self._title = options.title
        self._body = options.body.splitlines()
        self._safe = safe

    def title(self, notification: Notification) -> str:
        """One line."""
        whole = {**_of_message(notification), "status": notification.status}

        def put(name: str) -> str:
            texts = [whole[name]] if name in whole else [_of_alert(a, name) for a in notification.alerts]
            return self._safe(_all(texts))

        names = _Names(self._title).get_identifiers()
        title = _Names(self._title).substitute({name: put(name) for name in names})
        return cut(" ".join(title.split()), _LONGEST_TITLE)

    def body(self, notification: Notification) -> str:
        """A paragraph for each alert, and how many are not shown."""
        whole = _of_message(notification)
        shown = notification.alerts[:_MOST_ALERTS]
        parts = ["\n".join(self._paragraph(alert, whole)) for alert in shown]
        more = len(notification.alerts) - len(shown) + notification.truncated
        rest = f"\n\nand {more} more" if more else ""
        return cut("\n\n".join(parts), _LONGEST_BODY) + rest

    def _paragraph(self, alert: Alert, whole: Mapping[str, str]) -> Iterator[str]:
        for row in self._body:
            names = _Names(row).get_identifiers()
            texts = {name: whole.get(name) or _of_alert(alert, name) for name in names}
            if not names or any(texts.values()):
                yield _Names(row).substitute({name: self._safe(block(text)) for name, text in texts.items()})


def _check(option: str, template: str, known: list[str]) -> None:
    if not _Names(template).is_valid():
        raise SettingsError(f"{option} has a $ that begins no ${{name}}; write $$ for a dollar")
    for name in _Names(template).get_identifiers():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean ${{{near[0]}}}?" if near else f"there are {', '.join(known)}"
            raise SettingsError(f"{option} names ${{{name}}}; {hint}")


def _of_message(notification: Notification) -> dict[str, str]:
    return {
        "receiver": notification.receiver,
        "count": str(len(notification.alerts) + notification.truncated),
    }


def _of_alert(alert: Alert, name: str) -> str:
    """What an alert says under a name; nothing where it does not."""
    kind, _, inner = name.partition(".")
    if kind == "labels":
        return alert.labels.get(inner, "")
    if kind == "annotations":
        return alert.annotations.get(inner, "")
    if kind == "values":
        return f"{alert.values[inner]:.6g}" if inner in alert.values else ""
    times = {"starts_at": alert.starts_at, "ends_at": alert.ends_at}
    if name in times:
        ns = times[name]
        return "" if ns is None else rfc3339(ns)
    return str(getattr(alert, name))


def _all(texts: Iterable[str]) -> str:
    """What is said, each once; the first few where there is much."""
    different = [line(text) for text in dict.fromkeys(texts) if text]
    more = len(different) - _MOST_NAMED
    return ", ".join(different[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
