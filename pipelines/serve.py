"""Health and metrics over HTTP: /livez, /readyz, /metrics."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from streamrnn.errors import SettingsError

__all__ = ["HealthServer"]

_TEXT = "text/plain; charset=utf-8"

Check = Callable[[], str]
"""Says what is wrong; empty where nothing is."""


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

    Attributes
    ----------
    port : int

    Raises
    ------
    SettingsError
        Where the address cannot be listened on.
    """

    def __init__(self, listen: str, registry: CollectorRegistry, live: Check, ready: Check) -> None:
        host, _, port = listen.rpartition(":")
        checks = {"/livez": live, "/readyz": ready}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/metrics":
                    self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
                elif path in checks:
                    wrong = checks[path]()
                    self._answer(
                        503 if wrong else 200, "text/plain; charset=utf-8", f"{wrong or 'ok'}\n".encode()
                    )
                else:
                    self._answer(404, "text/plain; charset=utf-8", b"/livez, /readyz or /metrics\n")

            def _answer(self, code: int, kind: str, body: bytes) -> None:
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: what asks every second must not fill the log."""

        try:
            self._server = ThreadingHTTPServer((host.strip("[]"), int(port)), Handler)
        except (OSError, OverflowError) as error:
            raise SettingsError(f"serve.listen: cannot listen on {listen!r}: {error}") from None
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
