"""Servers that take notifications, well or badly: real sockets on loopback, TLS where wanted."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field


@dataclass
class Request:
    """What arrived."""

    line: str
    headers: dict[str, str]
    body: bytes
    address: str


def answer(status="200 OK", *headers):
    """A behaviour: this status and these header lines."""
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers, "Content-Length: 2", "Connection: close", "", "ok"])
    return lambda connection, over: connection.sendall(head.encode("latin-1"))


def drop(connection, over):
    """Close without a word after all was read."""


def hang(connection, over):
    """Say nothing until the test ends."""
    over.wait()


def endless(piece, head=b"HTTP/1.1 200 OK\r\n\r\n", pause_s=0.0):
    """A behaviour: a head, then a piece over and over."""

    def behave(connection, over):
        connection.sendall(head)
        while not over.wait(pause_s):
            connection.sendall(piece)

    return behave


@dataclass
class Receiver:
    """A server whose behaviours are used in turn, the last for good.

    With ``handshake=False`` a TLS server never speaks: it takes the connection only.
    """

    behaviours: list = field(default_factory=lambda: [answer()])
    context: ssl.SSLContext | None = None
    handshake: bool = True
    address: str = "127.0.0.1"

    def __post_init__(self):
        self.requests: list[Request] = []
        self.names: list[str | None] = []
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self._listening = socket.create_server((self.address, 0), family=family)
        self.port = self._listening.getsockname()[1]
        if self.context is not None:
            self.context.sni_callback = lambda _socket, name, _context: self.names.append(name)

    def __enter__(self):
        self._begin(self._accept)
        return self

    def __exit__(self, *_):
        self._over.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _begin(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                connection.settimeout(10)
                self._begin(self._serve, connection)

    def _serve(self, connection):
        with suppress(OSError), connection:
            if self.context is None:
                self._exchange(connection)
            elif not self.handshake:
                self._over.wait()
            else:
                with self.context.wrap_socket(connection, server_side=True) as secured:
                    self._exchange(secured)

    def _exchange(self, connection):
        with connection.makefile("rb") as reading:
            first = reading.readline().decode("latin-1").strip()
            if not first.startswith("POST "):
                return
            headers = {}
            while row := reading.readline().decode("latin-1").strip():
                name, _, value = row.partition(":")
                headers[name.lower()] = value.strip()
            body = reading.read(int(headers.get("content-length", 0)))
        self.requests.append(Request(first, headers, body, connection.getsockname()[0]))
        place = min(len(self.requests), len(self.behaviours)) - 1
        self.behaviours[place](connection, self._over)
