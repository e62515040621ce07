"""Takes the pictures of the pages that the documents show; needs Chromium and ``pip install '.[test]'``.

Run: python docs/screenshots.py
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from streamrnn.pipelines.cli import main

DOCS = Path(__file__).resolve().parent
WIDTH, HEIGHT, LIVE_HEIGHT = 1180, 950, 1330
PUMPS, STEPS = 8, 1500
PIPELINE = """
[source]
kind = "file"
path = "in.csv"
[record]
key = "pump"
[detect]
false_alarms = "1/day"
[serve]
listen = "127.0.0.1:{port}"
page = true
"""


def take() -> None:
    """Photograph the report of the demonstration and the live page of some pumps, in both themes."""
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        path = Path(folder) / "demo.html"
        main(["replay", "--demo", "--report", str(path)])
        for scheme, name in (("light", "report.png"), ("dark", "report-dark.png")):
            page = opened(browser, path.as_uri(), scheme)
            page.screenshot(path=DOCS / name)
        with plant(Path(folder)) as url:
            for scheme, name in (("light", "live.png"), ("dark", "live-dark.png")):
                page = opened(browser, url, scheme)
                page.set_viewport_size({"width": WIDTH, "height": LIVE_HEIGHT})
                page.wait_for_timeout(6000)
                page.screenshot(path=DOCS / name)
        browser.close()


def opened(browser: Browser, url: str, scheme: str) -> Page:
    """A page that is drawn."""
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme)
    page.goto(url)
    page.wait_for_selector("html[data-ready=yes]")
    page.wait_for_timeout(500)
    return page


@contextmanager
def plant(folder: Path) -> Iterator[str]:
    """A daemon over the readings of some pumps, which go on; where its page is."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    (folder / "plant.toml").write_text(PIPELINE.format(port=port))
    lines, table = rows(), folder / "in.csv"
    table.write_text("time,pump,pressure [bar]\n" + "".join(lines[: -100 * PUMPS]))
    writer = (
        "import sys, time\nfor line in sys.stdin:\n    open('in.csv', 'a').write(line); time.sleep(1 / 8)\n"
    )
    command = [sys.executable, "-m", "streamrnn", "run", "plant.toml"]
    with (
        subprocess.Popen(command, cwd=folder) as daemon,
        subprocess.Popen(
            [sys.executable, "-c", writer], cwd=folder, stdin=subprocess.PIPE, text=True
        ) as more,
    ):
        try:
            waited_for(f"{url}livez")
            time.sleep(5)
            assert more.stdin is not None
            more.stdin.write("".join(lines[-100 * PUMPS :]))
            more.stdin.flush()
            yield url
        finally:
            more.kill()
            daemon.terminate()


def rows() -> list[str]:
    """Readings of some pumps, one a second and pump up to now, with a few faults."""
    rng = np.random.default_rng(4)
    at = np.arange(STEPS)
    values = (
        6 + 0.4 * np.sin(at / 40)[:, None] + 0.3 * rng.random(PUMPS) + 0.05 * rng.normal(size=(STEPS, PUMPS))
    )
    values[1290:1330, 6] -= 1.1
    values[1180:1184, 3] += 1.4
    values[1340:1343, 6] += 0.9
    first = int(time.time()) - STEPS + 90
    stamps = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(first + t)) for t in at]
    return [
        f"{stamps[t]},pump-{code + 1:02d},{values[t, code]:.3f}\n"
        for t in range(STEPS)
        for code in range(PUMPS)
    ]


def waited_for(url: str) -> None:
    """Wait until something answers."""
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)


if __name__ == "__main__":
    take()
