"""Takes the pictures of the report that the documents show; needs Chromium and ``pip install '.[test]'``.

Run: python docs/screenshots.py
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

from streamrnn.pipelines.cli import main

DOCS = Path(__file__).resolve().parent
WIDTH, HEIGHT = 1180, 950


def take() -> None:
    """Replay the demonstration and photograph its report in both themes."""
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "demo.html"
        main(["replay", "--demo", "--report", str(path)])
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scheme, name in (("light", "report.png"), ("dark", "report-dark.png")):
            size = {"width": WIDTH, "height": HEIGHT}
            page = browser.new_page(viewport=size, color_scheme=scheme)
            page.goto(path.as_uri())
            page.wait_for_selector("html[data-ready=yes]")
            page.wait_for_timeout(500)
            page.screenshot(path=DOCS / name)
        browser.close()


if __name__ == "__main__":
    take()
