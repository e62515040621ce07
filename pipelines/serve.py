"""Health and metrics over HTTP: /livez, /readyz, /metrics; where there is a page, all else is its own."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from streamrnn.errors import SettingsError

__all__ = ["HealthServer", "Page"]

_LOG = logging.getLogger("streamrnn.serve")
_TEXT = "text/plain; charset=utf-8"
_SLOW_S = 30.0  # for who asks or listens so slowly no thread waits longer

Check = Callable[[], str]
"""Says what is wrong; empty where nothing is."""


class Page(Protocol):
    """Answers what is neither health nor metrics."""

    def get(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a GET."""

    def post(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a POST."""

    def close(self) -> None:
        """End what still goes on."""


class _Server(ThreadingHTTPServer):
    """Serves in threads that nobody waits for at the end."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what went wrong, but not that somebody hung up."""
        if not isinstance(sys.exception(), OSError):
            _LOG.exception("an answer failed")


class HealthServer:
    """Answers three questions in a thread of its own.

    Parameters
    ----------
    listen : str
        ``host:port``; port 0 takes a free one.
    registry : CollectorRegistry
        What /metrics shows.
    live, ready : callable
        What keeps the loop from beating, and what keeps records from flowing;
        empty text where nothing does.
    page : Page, optional

    Attributes
    ----------
    port : int

    Raises
    ------
    SettingsError
        Where the address cannot be listened on.
    """

    def __init__(
        self,
        listen: str,
        registry: CollectorRegistry,
        live: Check,
        ready: Check,
        page: Page | None = None,
    ) -> None:
        host, _, port = listen.rpartition(":")
        checks = {"/livez": live, "/readyz": ready}

        class Handler(BaseHTTPRequestHandler):
            timeout = _SLOW_S
            server_version, sys_version = "streamrnn", ""

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/metrics":
                    self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
                elif path in checks:
                    wrong = checks[path]()
                    self._answer(503 if wrong else 200, _TEXT, f"{wrong or 'ok'}\n".encode())
                elif page is not None:
                    page.get(self)
                else:
                    self._answer(404, _TEXT, b"/livez, /readyz or /metrics\n")

            def do_POST(self) -> None:
                if page is not None:
                    page.post(self)
                else:
                    self._answer(404, _TEXT, b"there is nothing to post to\n")

            def _answer(self, code: int, kind: str, body: bytes) -> None:
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: what asks every second must not fill the log."""

        try:
            self._server = _Server((host.strip("[]"), int(port)), Handler)
        except (OSError, OverflowError) as error:
            raise SettingsError(f"serve.listen: cannot listen on {listen!r}: {error}") from None
        self._page = page
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        if self._page is not None:
            self._page.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
