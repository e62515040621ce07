"""PagerDuty, by version 2 of its Events API: one PagerDuty alert for a group of incidents.

https://developer.pagerduty.com/docs/events-api-v2-overview
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from streamrnn.connectors.notifications import Alert, Notification
from streamrnn.connectors.notifiers.body import encoded, finite
from streamrnn.connectors.notifiers.endpoint import Endpoint
from streamrnn.connectors.notifiers.http import SECRET, HttpOptions
from streamrnn.connectors.notifiers.templates import Message, TextOptions
from streamrnn.connectors.notifiers.texts import blocks, line, lines, rfc3339
from streamrnn.errors import SettingsError

__all__ = ["PagerDutyNotifier", "PagerDutyOptions"]

_LONGEST_SUMMARY = 1024  # PagerDuty cuts what is longer
_MOST_BYTES = 400_000  # PagerDuty refuses an event of more than 512 KB
_MOST_ALERTS = (20, 5, 1, 0)  # in the details: the first of them with which the event fits
_SEVERITIES = ("critical", "error", "warning", "info")


@dataclass(frozen=True, kw_only=True)
class PagerDutyOptions(HttpOptions, TextOptions):
    """Which PagerDuty service to trigger.

    Attributes
    ----------
    routing_key : str
        The service's integration key; a secret.
    url : str
        Another where the account is European, or in tests.
    severity : str
        What an alert has whose label is none of PagerDuty's severities.

    Examples
    --------
    >>> PagerDutyOptions(routing_key="0123456789abcdef0123456789abcdef").host
    'events.pagerduty.com'
    """

    routing_key: str = field(repr=False, metadata=SECRET)
    url: str = field(default="https://events.pagerduty.com/v2/enqueue", repr=False, metadata=SECRET)
    severity: str = "error"

    def __post_init__(self) -> None:
        HttpOptions.__post_init__(self)
        TextOptions.__post_init__(self)
        if not self.routing_key:
            raise SettingsError("routing_key is empty; give the integration key of a PagerDuty service")
        if self.severity not in _SEVERITIES:
            raise SettingsError(f"severity is {self.severity!r}; give one of {', '.join(_SEVERITIES)}")


class PagerDutyNotifier:
    """A channel that triggers and resolves PagerDuty alerts.

    Examples
    --------
    >>> notifier = PagerDutyNotifier(PagerDutyOptions(routing_key="0123456789abcdef0123456789abcdef"))
    >>> notifier.close()
    """

    def __init__(self, options: PagerDutyOptions) -> None:
        self._endpoint = Endpoint(options)
        self._options = options
        self._message = Message(options)

    def send(self, notification: Notification) -> None:
        """Trigger while any alert fires, else resolve; see ``Notifier``."""
        for most in _MOST_ALERTS:
            body = encoded(self._event(notification, most))
            if len(body) <= _MOST_BYTES:
                break
        self._endpoint.post(body, {}, receiver=notification.receiver, now_ns=notification.sent_at)

    def close(self) -> None:
        """Nothing stays open between messages."""

    def _event(self, notification: Notification, most: int) -> dict[str, Any]:
        """One event, with at most so many alerts in its details."""
        group = notification.group_key.encode("utf-8", "backslashreplace")
        event: dict[str, Any] = {
            "routing_key": self._options.routing_key,
            "event_action": "trigger" if notification.status == "firing" else "resolve",
            "dedup_key": hashlib.sha256(group).hexdigest(),  # it may have 255 characters, a group more
        }
        if notification.status == "firing":
            event["payload"] = self._payload(notification, most)
        return event

    def _payload(self, notification: Notification, most: int) -> dict[str, Any]:
        firing = [alert for alert in notification.alerts if alert.status == "firing"]
        sources = sorted({alert.labels["series"] for alert in firing if "series" in alert.labels})
        shown = notification.alerts[:most]
        return {
            "summary": line(self._message.title(notification), _LONGEST_SUMMARY),
            "source": line(", ".join(sources) or "streamrnn", _LONGEST_SUMMARY),
            "severity": min((self._severity(alert) for alert in firing), key=_SEVERITIES.index),
            "timestamp": rfc3339(min(alert.starts_at for alert in firing)),
            "group": line(notification.group_key),
            "custom_details": {
                "text": self._message.body(notification),
                "alerts": [_details(alert) for alert in shown],
                "not_shown": notification.truncated + len(notification.alerts) - len(shown),
            },
        }

    def _severity(self, alert: Alert) -> str:
        named = alert.labels.get("severity", "")
        return named if named in _SEVERITIES else self._options.severity


def _details(alert: Alert) -> dict[str, Any]:
    return {
        "status": alert.status,
        "labels": lines(alert.labels),
        "annotations": blocks(alert.annotations),
        "values": finite(alert.values),
    }
