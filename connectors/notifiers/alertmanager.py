"""Alertmanager, by version 2 of its API: it groups, silences and sends on by its own rules.

https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streamrnn.connectors.notifications import Alert, Notification
from streamrnn.connectors.notifiers.body import encoded
from streamrnn.connectors.notifiers.endpoint import Endpoint
from streamrnn.connectors.notifiers.http import HttpOptions
from streamrnn.connectors.notifiers.texts import blocks, lines, rfc3339
from streamrnn.errors import SettingsError

__all__ = ["AlertmanagerNotifier", "AlertmanagerOptions"]

_PATH = "/api/v2/alerts"
_FOREIGN_TO_A_NAME = re.compile(r"[^a-zA-Z0-9_]")


@dataclass(frozen=True, kw_only=True)
class AlertmanagerOptions(HttpOptions):
    """How to reach an Alertmanager.

    Attributes
    ----------
    url : str
        Its address, such as ``https://alerts.example:9093``; the API's path is added.
    hold_s : float
        After so long without a word from us Alertmanager calls an alert
        resolved, in seconds. Longer than the repeat interval.

    Examples
    --------
    >>> AlertmanagerOptions(url="https://alerts.example:9093").target
    '/api/v2/alerts'
    """

    hold_s: float = 7 * 86_400.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 60 <= self.hold_s <= 366 * 86_400:
            raise SettingsError(f"hold_s is {self.hold_s!r}; give seconds from 60 to a year's")

    @property
    def target(self) -> str:
        """The API's path behind the url's own."""
        path = super().target.rstrip("/")
        return path if path.endswith(_PATH) else path + _PATH


class AlertmanagerNotifier:
    """A channel that hands alerts to an Alertmanager.

    Examples
    --------
    >>> notifier = AlertmanagerNotifier(AlertmanagerOptions(url="https://alerts.example:9093"))
    >>> notifier.close()
    """

    def __init__(self, options: AlertmanagerOptions) -> None:
        self._endpoint = Endpoint(options)
        self._hold_ns = int(options.hold_s * 1_000_000_000)

    def send(self, notification: Notification) -> None:
        """Post all alerts of one message; see ``Notifier``."""
        body = encoded([_alert(alert, notification.sent_at, self._hold_ns) for alert in notification.alerts])
        self._endpoint.post(body, {}, receiver=notification.receiver, now_ns=notification.sent_at)

    def close(self) -> None:
        """Nothing stays open between messages."""


def _alert(alert: Alert, now: int, hold: int) -> dict[str, Any]:
    """An alert as the API takes it; times in nanoseconds.

    Without an end Alertmanager resolves an alert after some minutes, since
    Prometheus repeats itself; an alert of ours is said once, so it has an end far
    off. What is over ends now at the latest, even where a sensor's clock is ahead.
    """
    ends_at = now + hold if alert.ends_at is None else min(alert.ends_at, now)
    starts_at = min(alert.starts_at, now)
    return {
        "labels": _named(lines({"alertname": "streamrnn", **alert.labels})),
        "annotations": _named(blocks(alert.annotations)),
        "startsAt": rfc3339(starts_at),
        "endsAt": rfc3339(max(ends_at, starts_at)),  # an end before the start is refused
    }


def _named(texts: Mapping[str, str]) -> dict[str, str]:
    """The same under names that every Alertmanager takes, without what is empty."""
    named: dict[str, str] = {}
    for name, text in texts.items():
        plain = _FOREIGN_TO_A_NAME.sub("_", name)
        if not plain or plain[0].isdigit():
            plain = f"_{plain}"
        while plain in named:  # two names that differ only in such characters
            plain += "_"
        if text:
            named[plain] = text
    return named
