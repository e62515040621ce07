"""A live page over HTTP: who may ask, what for, and the stream of what is new."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from streamrnn.errors import StreamrnnError
from streamrnn.pipelines.web.access import Access
from streamrnn.pipelines.web.live import LiveData, Place

__all__ = ["LiveRoutes"]

_JSON, _HTML, _TEXT = "application/json", "text/html; charset=utf-8", "text/plain; charset=utf-8"
_MOST_STREAMS = 32
_MOST_BODY = 10_000  # bytes
_BEAT_S = 1.0
_GUESS_S = 1.0  # that a wrong token takes
_RETRY_MS = 1000
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


class _Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a browser may post; each path reads what it needs."""

    token: str = ""
    verb: str = ""
    event: str = ""
    seconds: float = 0.0
    false_alarms: str | float = ""


Answer = tuple[int, str, bytes]


class LiveRoutes:
    """Answers what belongs to a live page.

    Parameters
    ----------
    data : LiveData
    access : Access
    """

    def __init__(self, data: LiveData, access: Access) -> None:
        self._data, self._access = data, access
        self._leaving = threading.Event()
        self._streams = threading.BoundedSemaphore(_MOST_STREAMS)
        self._pages: dict[str, tuple[bytes, str]] = {}
        self._pages_lock = threading.Lock()

    def close(self) -> None:
        """End all streams."""
        self._leaving.set()

    def get(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a GET."""
        where = urlsplit(request.path)
        asked = {name: values[0] for name, values in parse_qs(where.query).items()}
        if wrong := self._access.refuses(dict(request.headers)):
            _send(request, (403, _TEXT, f"{wrong}\n".encode()))
        elif not self._access.knows(dict(request.headers)):
            page = where.path == "/"
            _send(request, *self._page("login.html", 401)) if page else _send(request, _UNKNOWN)
        elif where.path == "/":
            _send(request, *self._page("live.html", 200))
        elif where.path == "/stream":
            self._stream(request, asked)
        else:
            _send(request, self._answered(where.path, asked))

    def post(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a POST; browsers say where it comes from, and it must be from here."""
        headers = dict(request.headers)
        wrong = self._access.refuses(headers) or ("" if "Origin" in headers else "no Origin is given")
        if wrong or headers.get("Content-Type") != _JSON:
            _send(request, (403, _TEXT, f"{wrong or 'only JSON is taken'}\n".encode()))
            return
        try:
            wanted = msgspec.json.decode(_body(request), type=_Wanted)
        except (msgspec.MsgspecError, ValueError) as error:
            _send(request, (400, _TEXT, f"{error}\n".encode()))
            return
        if request.path == "/login":
            self._login(request, wanted)
        elif not self._access.knows(headers):
            _send(request, _UNKNOWN)
        else:
            _send(request, self._done(request.path, wanted))

    def _answered(self, path: str, asked: Mapping[str, str]) -> Answer:
        series, data = asked.get("series", "-1"), self._data
        made: dict[str, Callable[[], bytes]] = {
            "/page": data.page,
            "/heat": data.heat,
            "/heat-figure": data.heat_figure,
            "/series": lambda: data.series(int(series), whole=asked.get("whole") == "1"),
            "/threshold": lambda: data.threshold(int(series)),
            "/line": lambda: data.line(float(asked["surprise"]), _number(asked.get("a_day", ""))),
            "/alike": lambda: data.alike(asked["verb"], asked["event"]),
        }
        return _made(made.get(path))

    def _done(self, path: str, wanted: _Wanted) -> Answer:
        made: dict[str, Callable[[], bytes]] = {
            "/say": lambda: self._data.say(wanted.verb, wanted.event),
            "/apply": lambda: self._data.apply(wanted.false_alarms),
            "/snooze": lambda: self._data.snooze(wanted.event, wanted.seconds),
        }
        return _made(made.get(path))

    def _login(self, request: BaseHTTPRequestHandler, wanted: _Wanted) -> None:
        if not self._access.is_token(wanted.token):
            time.sleep(_GUESS_S)
            _send(request, _UNKNOWN)
            return
        _send(request, (200, _JSON, b"{}"), {"Set-Cookie": self._access.cookie()})

    def _page(self, name: str, code: int) -> tuple[Answer, dict[str, str]]:
        """A page and the policy that it comes with, made once."""
        from streamrnn.pipelines.web.live_html import page_of

        with self._pages_lock:
            if name not in self._pages:
                self._pages[name] = page_of(name)
            body, policy = self._pages[name]
        return (code, _HTML, body), {"Content-Security-Policy": policy}

    def _stream(self, request: BaseHTTPRequestHandler, asked: Mapping[str, str]) -> None:
        if not self._streams.acquire(blocking=False):
            _send(request, (503, _TEXT, b"too many pages are open\n"))
            return
        try:
            place = self._place(request.headers.get("Last-Event-ID", ""), asked)
            request.send_response(200)
            for name, value in {"Content-Type": "text/event-stream", **_HEADERS}.items():
                request.send_header(name, value)
            request.end_headers()
            request.wfile.write(f"retry: {_RETRY_MS}\n\n".encode())
            while not self._leaving.is_set():
                try:
                    news = self._data.news(place)
                except StreamrnnError as error:  # such as a store that is busy; the next beat tries again
                    news = msgspec.json.encode({"trouble": str(error)})
                id = f"{self._data.run}:{place.seen}".encode()
                request.wfile.write(b"id: " + id + b"\ndata: " + news + b"\n\n")
                # All browsers hear the same beat, so that what is new is made once for them all.
                self._leaving.wait(_BEAT_S - time.monotonic() % _BEAT_S)
            request.wfile.write(b"event: end\ndata: {}\n\n")
        except OSError:
            pass  # whoever looked on is gone
        finally:
            self._streams.release()

    def _place(self, last: str, asked: Mapping[str, str]) -> Place:
        """Where a browser goes on: behind the last it heard of this very run, else as its address says."""
        code, seen = _whole(asked.get("series", "")), _whole(asked.get("seen", ""))
        run, _, heard = (last or f"{asked.get('run', '')}:{seen}").partition(":")
        return Place(code, _whole(heard) if run == self._data.run else -1)


_UNKNOWN: Answer = (401, _TEXT, b"the token is needed\n")


def _made(make: Callable[[], bytes] | None) -> Answer:
    if make is None:
        return 404, _TEXT, b"there is nothing here\n"
    try:
        return 200, _JSON, make()
    except StreamrnnError as error:
        return 409, _TEXT, f"{error}\n".encode()
    except (ArithmeticError, LookupError, ValueError):
        return 400, _TEXT, b"this cannot be asked for\n"


def _send(request: BaseHTTPRequestHandler, answer: Answer, more: Mapping[str, str] | None = None) -> None:
    code, kind, body = answer
    request.send_response(code)
    headers: dict[str, Any] = {"Content-Type": kind, "Content-Length": len(body), **_HEADERS, **(more or {})}
    for name, value in headers.items():
        request.send_header(name, str(value))
    request.end_headers()
    request.wfile.write(body)


def _body(request: BaseHTTPRequestHandler) -> bytes:
    length = int(request.headers.get("Content-Length", "0"))
    if not 0 < length <= _MOST_BODY:
        raise ValueError("the body is empty or too long")
    return request.rfile.read(length)


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else -1


def _number(text: str) -> float | None:
    return float(text) if text else None
