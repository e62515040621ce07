"""A webhook that shows what it gets: a line for each alert, here and at http://localhost:8080/.

python webhook.py [PORT]
"""

# ruff: noqa: T201 (it shows)

from __future__ import annotations

import json
import sys
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_LARGEST = 10_000_000  # bytes of a body
_SHOWN: deque[str] = deque(maxlen=1000)


def lines_of(body: Any) -> list[str]:
    """Each alert of a message in words; what a terminal might act on is left out."""
    found = []
    for alert in body["alerts"]:
        labels, annotations = alert["labels"], alert["annotations"]
        what = (alert["status"], labels["severity"], labels.get("series", "-"), annotations["summary"])
        text = f"{alert['startsAt']}  {'  '.join(what)}  {annotations.get('why', '')}"
        found.append("".join(c for c in text if c.isprintable()).rstrip())
    return found


class Handler(BaseHTTPRequestHandler):
    """Takes alerts by POST, shows them by GET."""

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        if not 0 < length <= _LARGEST:
            return self._answer(413, "how long is it?\n")
        try:
            lines = lines_of(json.loads(self.rfile.read(length)))
        except (ValueError, KeyError, TypeError):
            return self._answer(400, "that is no message of alerts\n")
        _SHOWN.extend(lines)
        print("\n".join(lines), flush=True)
        return self._answer(200, "ok\n")

    def do_GET(self) -> None:
        self._answer(200, "".join(f"{line}\n" for line in reversed(_SHOWN)) or "no alert yet\n")

    def _answer(self, code: int, text: str) -> None:
        body = text.encode("utf-8", "replace")
        self.send_response(code)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the alerts are what is to be seen."""


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    ThreadingHTTPServer(("", port), Handler).serve_forever()
