"""Who may see a live page and speak to it."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from http.cookies import CookieError, SimpleCookie

from streamrnn.errors import SettingsError

__all__ = ["Access", "host_of", "is_loopback"]

_COOKIE = "streamrnn"
_LOOPBACK_NAMES = ("localhost",)


class Access:
    """Decides by a request's headers.

    Names that other sites could have point at this machine are refused, so that no
    page from elsewhere reads this one through the browser of somebody who may; numeric
    addresses cannot be made to, nor can the machine's own name.

    Parameters
    ----------
    host : str
        What is listened on.
    token : str or None
        Without one whoever reaches the address may read and write.
    hosts : sequence of str
        Further names under which the page is reached, such as a proxy's.

    Raises
    ------
    SettingsError
        Where more than this machine could reach the page without a token.

    Examples
    --------
    >>> access = Access("127.0.0.1", "swordfish")
    >>> access.refuses({"Host": "evil.example"}), access.refuses({"Host": "localhost:9464"})
    ('this name is not known here; [serve] hosts may list it', '')
    >>> access.knows({}), access.knows({"Authorization": "Bearer swordfish"})
    (False, True)
    """

    def __init__(self, host: str, token: str | None, hosts: Sequence[str] = ()) -> None:
        if token is None and not is_loopback(host):
            raise SettingsError(
                f"serve.page at {host or 'all addresses'!r} would be open to whoever reaches it; give it "
                'a secret, such as serve.token = {env = "STREAMRNN_TOKEN"}, or listen on 127.0.0.1'
            )
        if token is not None and len(token) < 8:
            raise SettingsError("serve.token is shorter than 8 characters; give a long random one")
        own = () if is_loopback(host) else (socket.gethostname(),)
        self._names = {name.lower() for name in (*_LOOPBACK_NAMES, *own, *hosts, host)}
        self._token = token

    def refuses(self, headers: Mapping[str, str]) -> str:
        """Why a request comes from where none may come from; empty: it does not."""
        host, origin = headers.get("Host", ""), headers.get("Origin")
        if not self._is_ours(host_of(host)):
            return "this name is not known here; [serve] hosts may list it"
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return "this is asked for by another site"
        return ""

    def knows(self, headers: Mapping[str, str]) -> bool:
        """Whether a request carries the token, or the cookie that stands for it."""
        if self._token is None:
            return True
        kind, _, given = headers.get("Authorization", "").partition(" ")
        if kind == "Bearer" and self.is_token(given):
            return True
        try:
            cookie = SimpleCookie(headers.get("Cookie", "")).get(_COOKIE)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(cookie.value.encode(), self._ticket().encode())

    def is_token(self, given: str) -> bool:
        """Whether a text is the token."""
        return self._token is not None and hmac.compare_digest(given.encode(), self._token.encode())

    def cookie(self) -> str:
        """What a browser keeps in place of the token, for this site alone and out of reach of scripts."""
        return f"{_COOKIE}={self._ticket()}; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000"

    def _ticket(self) -> str:
        key = (self._token or "").encode()
        return hmac.new(key, b"the live page of streamrnn", hashlib.sha256).hexdigest()

    def _is_ours(self, name: str) -> bool:
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def host_of(address: str) -> str:
    """The name of ``name:port``, in lower case, without the brackets of IPv6."""
    name = address.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.rpartition(":")[0] if ":" in name else name


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() in _LOOPBACK_NAMES
