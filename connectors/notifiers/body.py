"""A notification in the shape that Alertmanager's webhooks have, version 4.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from streamrnn.connectors.notifications import Alert, Notification
from streamrnn.connectors.notifiers.texts import blocks, line, lines, rfc3339

__all__ = ["encoded", "finite", "webhook_body"]

_NOT_YET = "0001-01-01T00:00:00Z"  # Go's zero time: what Alertmanager writes while an alert fires


def webhook_body(notification: Notification, external_url: str = "") -> dict[str, Any]:
    """What any receiver of Alertmanager's webhooks understands; ``values`` is Grafana's addition.

    Examples
    --------
    >>> alert = Alert("6f1e", "firing", {"series": "pump-7"}, {"summary": "flow is low"}, 0, None, {})
    >>> body = webhook_body(Notification("m1", "flow", "firing", "night shift", (alert,), 0, {}, sent_at=1))
    >>> body["status"], body["commonLabels"], body["alerts"][0]["endsAt"]
    ('firing', {'series': 'pump-7'}, '0001-01-01T00:00:00Z')
    """
    alerts = [_alert(alert, external_url) for alert in notification.alerts]
    return {
        "version": "4",
        "groupKey": line(notification.group_key),
        "truncatedAlerts": notification.truncated,
        "status": notification.status,
        "receiver": line(notification.receiver),
        "groupLabels": lines(notification.group_labels),
        "commonLabels": _common(alert["labels"] for alert in alerts),
        "commonAnnotations": _common(alert["annotations"] for alert in alerts),
        "externalURL": external_url,
        "alerts": alerts,
    }


def finite(values: Mapping[str, float]) -> dict[str, float]:
    """The numbers that JSON can hold."""
    return {line(name): value for name, value in values.items() if math.isfinite(value)}


def encoded(body: Any) -> bytes:
    """As JSON, compact."""
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _alert(alert: Alert, external_url: str) -> dict[str, Any]:
    return {
        "status": alert.status,
        "labels": lines(alert.labels),
        "annotations": blocks(alert.annotations),
        "startsAt": rfc3339(alert.starts_at),
        "endsAt": _NOT_YET if alert.ends_at is None else rfc3339(alert.ends_at),
        "generatorURL": external_url,
        "fingerprint": line(alert.fingerprint),
        "values": finite(alert.values),
    }


def _common(mappings: Iterable[dict[str, str]]) -> dict[str, str]:
    """What all mappings say alike."""
    first, *others = mappings
    return {name: text for name, text in first.items() if all(o.get(name) == text for o in others)}
