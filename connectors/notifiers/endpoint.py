"""One POST to a server that may be slow, hostile or away: bounded in time, place and memory."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPException

from streamrnn import __version__
from streamrnn.connectors.notifiers.addresses import Address, is_allowed, networks, resolve
from streamrnn.connectors.notifiers.answers import failure
from streamrnn.connectors.notifiers.http import HttpOptions
from streamrnn.connectors.notifiers.texts import line
from streamrnn.errors import DeliveryError

__all__ = ["Endpoint"]


class Endpoint:
    """A server that takes JSON by POST.

    Proxies that the environment names are ignored, redirects are not followed,
    and no more than the head of an answer is read.

    Parameters
    ----------
    options : HttpOptions

    Raises
    ------
    SettingsError
        Where the ca_file cannot be read.

    Examples
    --------
    >>> local = HttpOptions(url="http://127.0.0.1:9/", allow_http=True, allow_addresses=("127.0.0.1",))
    >>> Endpoint(local).post(b"{}", {}, receiver="night shift", now_ns=0)
    Traceback (most recent call last):
    ...
    streamrnn.errors.DeliveryError: night shift: 127.0.0.1 cannot be reached: Connection refused
    """

    def __init__(self, options: HttpOptions) -> None:
        self._options = options
        self._context = options.context()
        self._listed = networks(options.allow_addresses)
        own = {"Content-Type": "application/json", "User-Agent": f"streamrnn/{__version__}"}
        self._headers = {**own, **options.authorization}

    def post(self, body: bytes, headers: Mapping[str, str], *, receiver: str, now_ns: int) -> None:
        """Send a body; return when the server says that it took it.

        Parameters
        ----------
        headers : mapping of str to str
            Beside those of every request.
        receiver : str
            The channel's name, for messages.
        now_ns : int
            Wall clock, nanoseconds UTC.

        Raises
        ------
        DeliveryError
            Where it does not. The message names the channel and the host, no more.
        """
        place = f"{line(receiver)}: {self._options.host}"
        deadline = time.monotonic() + self._options.deadline_s
        addresses = self._addresses(place, deadline)
        try:
            status, answered = self._exchange(addresses, deadline, body, {**self._headers, **headers})
        except (OSError, HTTPException) as error:
            late = isinstance(error, TimeoutError) or time.monotonic() >= deadline
            why = "did not answer in time" if late else _why(error)
            raise DeliveryError(f"{place} {why}", retriable=True) from None
        if (failed := failure(place, status, answered, now_ns)) is not None:
            raise failed

    def _addresses(self, place: str, deadline: float) -> list[Address]:
        """Where the host may be reached now."""
        try:
            found = resolve(self._options.host, self._options.port, deadline - time.monotonic())
        except OSError as error:
            why = "in time" if isinstance(error, TimeoutError) else f"({error})"
            raise DeliveryError(f"{place} cannot be resolved {why}", retriable=True) from None
        allowed = [address for address in found if is_allowed(address, self._listed)]
        if not allowed:
            # A name may stand for another address tomorrow, and does where a network is half up.
            raise DeliveryError(
                f"{place} is {found[0]}, which is not public; list it in allow_addresses", retriable=True
            )
        return allowed

    def _exchange(
        self, addresses: Sequence[Address], deadline: float, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str]]:
        """Status and headers of the answer; what follows them is not read, however long it is."""
        from streamrnn.connectors.notifiers.pinned import Line, connection  # urllib3

        options = self._options
        with Line(addresses, deadline) as way:
            pinned = connection(options.host, options.port, options.target, way, self._context)
            try:
                pinned.timeout = options.connect_timeout_s
                pinned.connect()
                pinned.timeout = options.read_timeout_s
                pinned.sock.settimeout(options.read_timeout_s)
                pinned.request("POST", "/", body=body, headers=headers, preload_content=False)
                answer = pinned.getresponse()
                answer.close()  # it holds the socket, too
                if way.is_over:  # a head that was cut looks like a short one
                    raise TimeoutError
                return answer.status, answer.headers
            finally:
                pinned.close()


def _why(error: OSError | HTTPException) -> str:
    """What went wrong, in words that hold nothing of what was sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"has a certificate that is not accepted: {line(error.verify_message)}"
    if isinstance(error, ssl.SSLError):
        return f"cannot be spoken to by TLS: {line(error.reason or 'the connection broke')}"
    if isinstance(error, (HTTPException, ConnectionResetError, BrokenPipeError)):
        return "broke off, or answered in no HTTP"
    return f"cannot be reached: {error.strerror or type(error).__name__}"
