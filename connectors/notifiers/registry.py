"""Which channel a name asks for. A new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from streamrnn.connectors.notifications import Notifier
from streamrnn.connectors.notifiers.alertmanager import AlertmanagerNotifier, AlertmanagerOptions
from streamrnn.connectors.notifiers.apprise import AppriseNotifier, AppriseOptions
from streamrnn.connectors.notifiers.command import CommandNotifier, CommandOptions
from streamrnn.connectors.notifiers.pagerduty import PagerDutyNotifier, PagerDutyOptions
from streamrnn.connectors.notifiers.webhook import WebhookNotifier, WebhookOptions
from streamrnn.errors import SettingsError

__all__ = ["NOTIFIERS", "Kind", "open_notifier"]


class Kind(NamedTuple):
    """A kind of channel.

    Attributes
    ----------
    options : type
        A frozen dataclass of plain fields; those whose metadata has ``secret``
        are secrets. Making one checks it and opens nothing.
    open : callable
        Options to notifier. Raises SettingsError where it cannot be.
    """

    options: type[Any]
    open: Callable[[Any], Notifier]


NOTIFIERS = {
    "webhook": Kind(WebhookOptions, WebhookNotifier),
    "alertmanager": Kind(AlertmanagerOptions, AlertmanagerNotifier),
    "pagerduty": Kind(PagerDutyOptions, PagerDutyNotifier),
    "command": Kind(CommandOptions, CommandNotifier),
    "apprise": Kind(AppriseOptions, AppriseNotifier),
}


def open_notifier(kind: str, options: Any) -> Notifier:
    """A channel, by the name of its kind and its options.

    Raises
    ------
    SettingsError
        Where there is no such kind, or its options cannot be met here.

    Examples
    --------
    >>> open_notifier("webhook", NOTIFIERS["webhook"].options(url="https://ops.example/hook")).close()
    """
    if kind not in NOTIFIERS:
        raise SettingsError(f"there is no channel of kind {kind!r}; there are {', '.join(NOTIFIERS)}")
    return NOTIFIERS[kind].open(options)
