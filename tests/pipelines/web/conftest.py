from __future__ import annotations

import pytest
from browser import running_browser

from streamrnn.pipelines.cli import main


@pytest.fixture(scope="session")
def session_browser():
    with running_browser() as browser:
        yield browser


class Tab:
    """A page in a real browser that has no network; fails where its console holds a complaint."""

    def __init__(self, context):
        self.context, self.complaints = context, []

    def open(self, path, fragment=""):
        page = self.context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._heard)
        page.on("dialog", self._dialog)
        page.on("request", self._requested)
        page.goto(f"{path.as_uri()}{fragment}")
        page.wait_for_selector("html[data-ready=yes]")
        return page

    def _heard(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _dialog(self, dialog):
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _requested(self, request):
        if not request.url.startswith(("file:", "data:")):
            self.complaints.append(f"asked for {request.url}")


@pytest.fixture
def tab(session_browser):
    """Opens pages; every complaint of the browser fails the test."""
    context = session_browser.new_context(viewport={"width": 1300, "height": 900}, offline=True)
    tab = Tab(context)
    yield tab
    context.close()
    assert tab.complaints == []


@pytest.fixture
def report(tmp_path):
    """Replays what the arguments say, with a report; its path."""

    def make(*arguments, name="report.html"):
        path = tmp_path / name
        assert main(["replay", *map(str, arguments), "--report", str(path)]) == 0
        return path

    return make


@pytest.fixture(scope="session")
def demo_report(tmp_path_factory):
    """The report of the demonstration."""
    path = tmp_path_factory.mktemp("report") / "demo.html"
    assert main(["replay", "--demo", "--report", str(path)]) == 0
    return path
