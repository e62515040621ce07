"""``streamrnn watch``: the live page of a pipeline that runs, in a browser or in the terminal."""

from __future__ import annotations

import argparse
import os
import sys
import urllib.error
import urllib.request
import webbrowser
from http.client import HTTPException, HTTPResponse
from typing import Any

import msgspec

from streamrnn.connectors.text import printable, shown
from streamrnn.errors import SettingsError
from streamrnn.pipelines.plain import Plain
from streamrnn.pipelines.settings import load_settings
from streamrnn.pipelines.web.access import host_of

__all__ = ["run"]

_FINE, _INTERRUPTED = 0, 130
_PATIENCE_S = 30.0  # the daemon says something once a second
_ANYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


def run(arguments: argparse.Namespace) -> int:
    """Look at a pipeline; the exit code.

    Raises
    ------
    SettingsError
        Where there is no live page, or nothing answers.
    """
    serve = load_settings(arguments.file).serve
    name = printable(arguments.file)
    if serve is None or not serve.page:
        raise SettingsError(f"{name} has no live page; write page = true under [serve], and run it")
    host, port = host_of(serve.listen), serve.listen.rpartition(":")[2]
    host = _ANYWHERE.get(host, host)
    token = None if serve.token is None else serve.token.reveal()
    site = _Site(f"http://{f'[{host}]' if ':' in host else host}:{port}", token)
    try:
        if arguments.plain:
            return _print(site, arguments.series)
        site.ask("/livez").close()
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise SettingsError(
            f"nothing answers at {site.address} ({reason}); `streamrnn run {name}` serves it"
        ) from None
    print(f"{site.address}/")
    if _has_screen() and not webbrowser.open(f"{site.address}/"):
        print("streamrnn: no browser was found; open the address yourself", file=sys.stderr)
    return _FINE


class _Site:
    """Where a daemon serves its page, and what it is asked with."""

    def __init__(self, address: str, token: str | None) -> None:
        self.address = address
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # none for this machine

    def ask(self, path: str) -> HTTPResponse:
        """Begin to read what is there; an unready daemon answers, too."""
        request = urllib.request.Request(f"{self.address}{path}", headers=self._headers)
        try:
            answer: HTTPResponse = self._opener.open(request, timeout=_PATIENCE_S)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 503:
                return self.ask("/metrics")
            raise OSError(f"it answers {error.code} {error.reason}") from None
        return answer

    def read(self, path: str) -> dict[str, Any]:
        """All that is there, as JSON."""
        with self.ask(path) as answer:
            told: dict[str, Any] = msgspec.json.decode(answer.read())
        return told


def _print(site: _Site, series: str | None) -> int:
    """Print what is new until the daemon ends."""
    page = site.read("/page")
    if series is not None and series not in page["names"]:
        some = ", ".join(page["names"][:10])
        raise SettingsError(f"--series: there is no series {shown(series)}; there are {some or 'none yet'}")
    code = page["first"] if series is None else page["names"].index(series)
    plain = Plain(page, code, in_place=sys.stdout.isatty())
    with site.ask(f"/stream?series={code}") as stream:
        try:
            for line in stream:
                if line.startswith(b"event: end"):
                    break
                is_news = line.startswith(b"data: ")
                if is_news and (text := plain.take(msgspec.json.decode(line[6:]))):
                    print(text, flush=True)
        except KeyboardInterrupt:
            return _INTERRUPTED
        except (OSError, HTTPException):
            pass  # killed, which ends it, too
    print("the daemon has ended", file=sys.stderr)
    return _FINE


def _has_screen() -> bool:
    """Whether a browser would have somewhere to open a window."""
    names = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    return sys.platform != "linux" or any(os.environ.get(name) for name in names)
