"""A webhook: Alertmanager's body, signed by the Standard Webhooks specification."""

from __future__ import annotations

from dataclasses import dataclass, field

from streamrnn.connectors.notifications import Notification
from streamrnn.connectors.notifiers.body import encoded, webhook_body
from streamrnn.connectors.notifiers.endpoint import Endpoint
from streamrnn.connectors.notifiers.http import SECRET, HttpOptions
from streamrnn.connectors.notifiers.signatures import key_of, message_id, signed

__all__ = ["WebhookNotifier", "WebhookOptions"]


@dataclass(frozen=True, kw_only=True)
class WebhookOptions(HttpOptions):
    """How to reach a webhook, and how to sign.

    Attributes
    ----------
    secrets : tuple of str
        Each ``whsec_`` and the base64 of 24 to 64 random bytes. Two while one
        is replaced by the other; none leaves the body unsigned.
    external_url : str
        Where people see more; repeated in the body.

    Examples
    --------
    >>> secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    >>> options = WebhookOptions(url="https://ops.example/hook", secrets=(secret,))
    >>> secret in repr(options)
    False
    """

    secrets: tuple[str, ...] = field(default=(), repr=False, metadata=SECRET)
    external_url: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        for secret in self.secrets:
            key_of(secret)


class WebhookNotifier:
    """A channel that posts to a webhook.

    Examples
    --------
    >>> notifier = WebhookNotifier(WebhookOptions(url="https://ops.example/hook"))
    >>> notifier.close()
    """

    def __init__(self, options: WebhookOptions) -> None:
        self._endpoint = Endpoint(options)
        self._keys = [key_of(secret) for secret in options.secrets]
        self._external_url = options.external_url

    def send(self, notification: Notification) -> None:
        """Post one message; see ``Notifier``."""
        body = encoded(webhook_body(notification, self._external_url))
        headers = signed(body, message_id(notification.id), notification.sent_at, self._keys)
        self._endpoint.post(body, headers, receiver=notification.receiver, now_ns=notification.sent_at)

    def close(self) -> None:
        """Nothing stays open between messages."""
