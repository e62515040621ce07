"""Signatures as the Standard Webhooks specification 1.0 has them.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence

from streamrnn.errors import SettingsError

__all__ = ["key_of", "message_id", "signed"]

_PREFIX = "whsec_"
_PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")  # no full stop: it separates what is signed


def key_of(secret: str) -> bytes:
    """The key in a secret such as ``whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw``.

    Raises
    ------
    SettingsError
        Where it is no base64, or not of 24 to 64 bytes; the message does not show it.

    Examples
    --------
    >>> len(key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    24
    """
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise SettingsError("a secret to sign with is no base64; give whsec_ and base64") from None
    if not 24 <= len(key) <= 64:
        raise SettingsError(f"a secret to sign with has {len(key)} bytes; give 24 to 64, random, as base64")
    return key


def message_id(notification_id: str) -> str:
    """An id that a header and a signature can carry: itself, or its hash where it holds other characters.

    Examples
    --------
    >>> message_id("a1b2"), len(message_id("pump 7.1"))
    ('a1b2', 64)
    """
    if _PLAIN_ID.fullmatch(notification_id):
        return notification_id
    return hashlib.sha256(notification_id.encode("utf-8", "backslashreplace")).hexdigest()


def signed(body: bytes, id: str, sent_at: int, keys: Sequence[bytes]) -> dict[str, str]:
    """The headers that go with a body; a signature by each key, so that receivers may change theirs.

    Parameters
    ----------
    id : str
        As ``message_id`` gives it.
    sent_at : int
        Wall clock, nanoseconds UTC; receivers refuse what is older than minutes.
    """
    timestamp = str(sent_at // 1_000_000_000)
    content = f"{id}.{timestamp}.".encode() + body
    headers = {"webhook-id": id, "webhook-timestamp": timestamp}
    digests = [hmac.new(key, content, hashlib.sha256).digest() for key in keys]
    if digests:
        headers["webhook-signature"] = " ".join(f"v1,{base64.b64encode(d).decode()}" for d in digests)
    return headers
