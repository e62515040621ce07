"""Alerts and notifications for tests."""

from __future__ import annotations

import dataclasses

from streamrnn.connectors.notifications import Alert, Notification


def alert(fingerprint="6f1e", status="firing", **labels):
    return Alert(
        fingerprint,
        status,
        {"alertname": "anomaly", "series": "pump-7", "severity": "critical", **labels},
        {"summary": "flow is low", "why": "flow 91 %", "replay": "streamrnn replay --key pump-7"},
        1_767_225_600_000_000_000,
        None if status == "firing" else 1_767_225_660_000_000_000,
        {"p_value": 1e-9},
    )


def notification(*alerts, **changes):
    alerts = alerts or (alert(),)
    status = "firing" if any(one.status == "firing" for one in alerts) else "resolved"
    given = Notification("n1", "group", status, "night shift", alerts, 0, {}, 1_767_225_700_000_000_000)
    return dataclasses.replace(given, **changes)
