"""A real browser for tests of pages: Chromium of the system, driven by Playwright."""

import os
import shutil
from contextlib import contextmanager

from real_parts import skip_without

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def running_browser():
    """Chromium without a window; skips where it or Playwright is missing."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        skip_without("browser", "install Chromium, such as by apt-get install chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        skip_without("browser", "pip install playwright")
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if root else [])
        try:
            yield browser
        finally:
            browser.close()
