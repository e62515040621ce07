"""How a server is reached: what a user may say of it."""

from __future__ import annotations

import base64
import re
import ssl
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from streamrnn.connectors.notifiers.addresses import is_allowed, literal, networks
from streamrnn.errors import SettingsError

__all__ = ["SECRET", "HttpOptions"]

SECRET = {"secret": True}
"""Metadata of an option that is a secret: never shown, and a pipeline file may point to it."""

_HEADER_TEXT = re.compile(r"[\x20-\x7e]+")
_URL_TEXT = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, kw_only=True)
class HttpOptions:
    """How to reach a server.

    Attributes
    ----------
    url : str
        ``https://host[:port]/path``; a secret, since many carry a token.
    token : str or None
        Sent as a bearer token.
    username, password : str or None
        Sent as basic authentication.
    allow_http : bool
        Whether the url may be without TLS.
    allow_addresses : tuple of str
        Networks or addresses that are not public and may be connected to all
        the same, such as ``10.0.0.0/8``.
    ca_file : str or None
        PEM: who signed the server's certificate; the system's own where None.
    connect_timeout_s, read_timeout_s : float
        For one connection, and for each wait for the server.
    deadline_s : float
        For all of one attempt: name, connection, request and answer.

    Raises
    ------
    SettingsError

    Examples
    --------
    >>> HttpOptions(url="https://ops.example/hooks/T0KEN", allow_addresses=("10.0.0.0/8",)).host
    'ops.example'
    """

    url: str = field(repr=False, metadata=SECRET)
    token: str | None = field(default=None, repr=False, metadata=SECRET)
    username: str | None = None
    password: str | None = field(default=None, repr=False, metadata=SECRET)
    allow_http: bool = False
    allow_addresses: tuple[str, ...] = ()
    ca_file: str | None = None
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 15.0
    deadline_s: float = 30.0

    def __post_init__(self) -> None:
        parts = self._parts()
        if parts.scheme != "https" and not (parts.scheme == "http" and self.allow_http):
            raise SettingsError("url does not begin with https://; allow_http = true takes http://, too")
        listed = networks(self.allow_addresses)
        address = literal(self.host)
        if address is not None and not is_allowed(address, listed):
            raise SettingsError(f"url leads to {address}, which is not public; list it in allow_addresses")
        for name in ("connect_timeout_s", "read_timeout_s", "deadline_s"):
            if not 0 < getattr(self, name) < 3600:
                raise SettingsError(f"{name} is {getattr(self, name)!r}; give seconds from 0 to 3600")
        self._check_credentials()

    @property
    def host(self) -> str:
        """The name or the address in the url."""
        return self._parts().hostname or ""

    @property
    def port(self) -> int:
        """The port in the url, or the scheme's own."""
        parts = self._parts()
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def target(self) -> str:
        """Path and query of the url."""
        parts = self._parts()
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    @property
    def authorization(self) -> dict[str, str]:
        """The header that says who we are, if any."""
        if self.token is not None:
            return {"Authorization": f"Bearer {self.token}"}
        if self.username is None:
            return {}
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    def context(self) -> ssl.SSLContext | None:
        """How to speak TLS; None where the url is without."""
        if self._parts().scheme == "http":
            return None
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:  # ssl.SSLError is one
            reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
            raise SettingsError(f"cannot read ca_file {self.ca_file!r}: {reason}") from None

    def _parts(self) -> SplitResult:
        try:
            parts = urlsplit(self.url)
            _ = parts.port  # raises where it is none
        except ValueError:
            raise SettingsError("url is none; give https://host/path") from None
        if not _URL_TEXT.fullmatch(self.url) or not parts.hostname:
            raise SettingsError("url is none: give https://host/path, percent-encoded where it is not ASCII")
        if parts.username is not None or parts.fragment:
            raise SettingsError("url holds a user or a fragment; give username and password on their own")
        return parts

    def _check_credentials(self) -> None:
        if (self.username is None) != (self.password is None):
            raise SettingsError("username and password go together; one of them is missing")
        if self.token is not None and self.username is not None:
            raise SettingsError("give a token, or a username and a password, not both")
        if self.token is not None and not _HEADER_TEXT.fullmatch(self.token):
            raise SettingsError("token is empty, or holds characters that no header may hold")
