"""Slack, Teams, e-mail and a hundred others, through the Apprise library: an optional extra.

Apprise opens its own connections. What this module can hold it to, it does: no
redirects, no unencrypted services unless allowed, certificates checked, a time
limit, nothing in logs, plain text. Which addresses it connects to is not checked.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streamrnn.connectors.notifications import Notification
from streamrnn.connectors.notifiers.http import SECRET
from streamrnn.connectors.notifiers.templates import Message, TextOptions
from streamrnn.connectors.notifiers.texts import line
from streamrnn.errors import DeliveryError, SettingsError

if TYPE_CHECKING:
    from apprise import Apprise, NotifyBase

__all__ = ["AppriseNotifier", "AppriseOptions"]

# Where chats begin a mention or a link; a space without width behind it leaves only text.
_ACTS = re.compile(r"@(?=everyone|here|channel|all\b|team\b)|<(?=[!@#/a-z])|\](?=\()", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class AppriseOptions(TextOptions):
    """Which service to tell.

    Attributes
    ----------
    url : str
        One URL as Apprise has them, such as ``slack://...`` or ``mailtos://...``;
        a secret. A second service is a second channel: then each is tried again
        on its own.
    allow_insecure : bool
        Whether the service may be without TLS, or its certificate unchecked.
    deadline_s : float
        For one attempt.

    Examples
    --------
    >>> AppriseOptions(url="slack://T/B/X").deadline_s
    30.0
    """

    url: str = field(repr=False, metadata=SECRET)
    allow_insecure: bool = False
    deadline_s: float = 30.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.deadline_s < 3600:
            raise SettingsError(f"deadline_s is {self.deadline_s!r}; give seconds from 0 to 3600")


class AppriseNotifier:
    """A channel that tells a service by Apprise.

    Raises
    ------
    SettingsError
        Where Apprise is not installed, knows no such service, or it is insecure.
    """

    def __init__(self, options: AppriseOptions) -> None:
        self._options = options
        self._message = Message(options, safe=harmless)
        self._service, self._apprise = _opened(options)

    def send(self, notification: Notification) -> None:
        """Tell the service one message; see ``Notifier``."""
        from apprise import NotifyFormat, NotifyType

        told = self._apprise.notify(
            title=self._message.title(notification),
            body=self._message.body(notification) or " ",  # nothing at all is refused
            notify_type=NotifyType.FAILURE if notification.status == "firing" else NotifyType.SUCCESS,
            body_format=NotifyFormat.TEXT,
        )
        if not told:
            place = f"{line(notification.receiver)}: {line(str(self._service.service_name))}"
            raise DeliveryError(f"{place} did not take it, or not in time", retriable=True)

    def close(self) -> None:
        """Nothing stays open between messages."""


def harmless(text: str) -> str:
    r"""Text in which no chat finds somebody to call or a link to hide.

    Examples
    --------
    >>> harmless("@here <!channel> temp <= 68")
    '@\u200bhere <\u200b!channel> temp <= 68'
    """
    return _ACTS.sub("\\g<0>\u200b", text)


def _opened(options: AppriseOptions) -> tuple[NotifyBase, Apprise]:
    """The service and the library's way to it."""
    try:
        from apprise import Apprise, AppriseAsset, OverflowMode
    except ImportError:
        raise SettingsError(
            "an apprise channel needs Apprise; run: pip install 'streamrnn[apprise]'"
        ) from None

    _hush()
    asset = AppriseAsset(
        app_id="streamrnn",
        app_desc="streamrnn",
        app_url="",
        http_redirects=False,
        interpret_emojis=False,
        interpret_escapes=False,
        service_timeout=options.deadline_s,
        storage_mode="memory",
    )
    service = Apprise.instantiate(options.url, asset=asset)
    if service is None:
        raise SettingsError("url is none that Apprise knows; see https://appriseit.com/services/")
    _check_secure(service, options)
    if "overflow=" not in options.url:
        service.overflow_mode = OverflowMode.TRUNCATE  # a service refuses what is too long for it
    library = Apprise(asset=asset)
    library.add(service)
    return service, library


def _check_secure(service: NotifyBase, options: AppriseOptions) -> None:
    schema = options.url.partition(":")[0].lower()
    plain = service.protocol or ()
    insecure = schema in ((plain,) if isinstance(plain, str) else plain) or not service.verify_certificate
    if insecure and not options.allow_insecure:
        raise SettingsError(
            f"{schema}:// speaks without TLS or checks no certificate; allow_insecure = true takes it"
        )


def _hush() -> None:
    """Keep Apprise and the library below it from the log: they write URLs there, tokens and all."""
    for name in ("apprise", "urllib3"):
        logger = logging.getLogger(name)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
