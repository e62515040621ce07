"""Connections of urllib3 that go to addresses found before, and end in time.

A time-out of a socket is for one read: a server that sends a byte a second never
meets it. So a timer shuts the connection when all its time is over.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from urllib3.connection import HTTPConnection, HTTPSConnection

from streamrnn.connectors.notifiers.addresses import Address

__all__ = ["Line", "connection"]


class Line:
    """The way to a server for one attempt.

    Parameters
    ----------
    addresses : sequence of addresses
        Tried in their order until one answers.
    deadline : float
        Of ``time.monotonic``; then whatever is open is shut.
    """

    def __init__(self, addresses: Sequence[Address], deadline: float) -> None:
        self._addresses = addresses
        self._deadline = deadline
        self._twin: socket.socket | None = None
        self._is_cut = False
        self._timer = threading.Timer(deadline - time.monotonic(), self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._timer.join()  # it must not shut what another file has become
        if self._twin is not None:
            self._twin.close()

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return self._is_cut or time.monotonic() >= self._deadline

    def open(self, port: int, timeout_s: float) -> socket.socket:
        """A connection to the first address that takes one; OSError where none does."""
        failed: OSError = TimeoutError()
        for address in self._addresses:
            left_s = self._deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            try:
                opened = socket.create_connection((str(address), port), min(timeout_s, left_s))
            except OSError as error:
                failed = error
            else:
                # TLS takes the socket's file away from it; a twin stays ours to shut.
                self._twin = opened.dup()
                if self._is_cut:  # before there was a twin: nobody would cut it again
                    opened.close()
                    raise TimeoutError
                return opened
        raise failed

    def _cut(self) -> None:
        self._is_cut = True
        if self._twin is not None:
            with suppress(OSError):
                self._twin.shutdown(socket.SHUT_RDWR)


class _Pinned(HTTPConnection):
    """A connection over a line, whose target nobody but the server sees.

    urllib3 puts the target of a request into warnings; ours is often a secret.
    """

    line: Line
    target: str

    def _new_conn(self) -> socket.socket:
        return self.line.open(self.port, float(self.timeout or 0.0))

    def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        super().putrequest(method, self.target, *args, **kwargs)


class _PinnedTLS(_Pinned, HTTPSConnection):
    """The same with TLS."""


def connection(
    host: str, port: int, target: str, line: Line, context: ssl.SSLContext | None
) -> HTTPConnection:
    """A connection that is not yet open.

    Parameters
    ----------
    host : str
        For the Host header, and what the certificate must carry.
    target : str
        Path and query.
    context : ssl.SSLContext or None
        None speaks without TLS.
    """
    made: _Pinned = _Pinned(host, port) if context is None else _PinnedTLS(host, port, ssl_context=context)
    made.line = line
    made.target = target
    return made
