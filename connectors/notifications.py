"""What is said of incidents, and to whom it is handed: the seam between the outbox and the channels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import msgspec

from streamrnn.errors import StateError

__all__ = ["Alert", "Notification", "Notifier", "Status", "from_json", "to_json"]

Status = Literal["firing", "resolved"]


@dataclass(frozen=True)
class Alert:
    """What is said of one incident.

    Attributes
    ----------
    fingerprint : str
        The incident's stable id.
    status : str
        ``"firing"`` or ``"resolved"``.
    labels : mapping of str to str
        alertname, series, pipeline, severity, kind and others. The same while
        the incident lasts: Alertmanager knows an alert by its labels alone.
    annotations : mapping of str to str
        summary, description, expected, actual, why, replay (a command) and others.
    starts_at : int
        Nanoseconds UTC.
    ends_at : int or None
        Nanoseconds UTC; None while firing.
    values : mapping of str to float
        p_value, surprise, strength and others; may be empty.
    """

    fingerprint: str
    status: Status
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: int
    ends_at: int | None
    values: Mapping[str, float]


@dataclass(frozen=True)
class Notification:
    """One message to one channel.

    Attributes
    ----------
    id : str
        The same over retries and restarts: receivers drop duplicates by it.
    group_key : str
        The same for all notifications of one group of incidents.
    status : str
        ``"firing"`` while any alert fires, else ``"resolved"``.
    receiver : str
        The channel's name.
    alerts : tuple of Alert
        At least one; those that fire first.
    truncated : int
        How many alerts were left out.
    group_labels : mapping of str to str
    sent_at : int
        Wall clock of this attempt, nanoseconds UTC. A new one for each attempt:
        it is signed, and receivers refuse what is minutes old.

    Examples
    --------
    >>> alert = Alert("6f1e", "firing", {"series": "pump-7"}, {"summary": "flow is low"}, 0, None, {})
    >>> message = Notification("m1", "flow", "firing", "night shift", (alert,), 0, {}, sent_at=1)
    >>> from_json(to_json(message)) == message
    True
    """

    id: str
    group_key: str
    status: Status
    receiver: str
    alerts: tuple[Alert, ...]
    truncated: int
    group_labels: Mapping[str, str]
    sent_at: int


class Notifier(Protocol):
    """A channel: where notifications go."""

    def send(self, notification: Notification) -> None:
        """Deliver one message, within a bounded time; return when the receiver has it.

        Called by one thread at a time. May deliver a message again that it
        delivered before.

        Raises
        ------
        DeliveryError
            Where it did not arrive, or nobody knows; says whether to try again.
        """

    def close(self) -> None:
        """Give back what was opened; may be called twice."""


def to_json(notification: Notification) -> dict[str, Any]:
    r"""A notification as plain values that every JSON library takes.

    Numbers that are not finite are left out, and halves of characters (bytes of a
    key that were not of its encoding) are spelled: JSON has neither.

    Examples
    --------
    >>> alert = Alert("6f1e", "firing", {"series": "pump\udcff"}, {}, 0, None, {"p_value": float("nan")})
    >>> stored = to_json(Notification("m1", "flow", "firing", "night shift", (alert,), 0, {}, sent_at=1))
    >>> stored["alerts"][0]["labels"], stored["alerts"][0]["values"]
    ({'series': 'pump\\udcff'}, {})
    """
    finite = [
        replace(alert, values={name: value for name, value in alert.values.items() if math.isfinite(value)})
        for alert in notification.alerts
    ]
    plain: dict[str, Any] = _encodable(msgspec.to_builtins(replace(notification, alerts=tuple(finite))))
    return plain


def from_json(stored: Mapping[str, Any]) -> Notification:
    """The notification that ``to_json`` made plain.

    Raises
    ------
    StateError
        Where it is something else.
    """
    try:
        return msgspec.convert(stored, Notification)
    except msgspec.ValidationError as error:
        raise StateError(f"a stored notification is damaged: {error}") from None


def _encodable(plain: Any) -> Any:
    """The same with every text in UTF-8's reach."""
    if isinstance(plain, str):
        return plain.encode("utf-8", "backslashreplace").decode()
    if isinstance(plain, dict):
        return {_encodable(name): _encodable(value) for name, value in plain.items()}
    if isinstance(plain, (list, tuple)):
        return [_encodable(item) for item in plain]
    return plain
